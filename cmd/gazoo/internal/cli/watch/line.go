package watch

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/output"
)

// line is one line of output in both forms.
type line struct {
	object any
	fields []string
}

type eventObject struct {
	Type   string `json:"type"`
	Path   string `json:"path"`
	Zxid   string `json:"zxid,omitempty"`
	Reason string `json:"reason,omitempty"`
}

var eventNames = map[gazoo.EventType]string{
	gazoo.EventCreated:         "created",
	gazoo.EventDeleted:         "deleted",
	gazoo.EventDataChanged:     "data-changed",
	gazoo.EventChildrenChanged: "children-changed",
}

// eventLine describes an event of a watch on path.
func eventLine(path string, ev gazoo.Event) line {
	if ev.Gap != gazoo.GapNone {
		reason := ev.Gap.String() + ": events may have been missed"
		return line{eventObject{Type: "gap", Path: path, Reason: reason}, []string{"gap", path, reason}}
	}
	name, known := eventNames[ev.Type]
	if !known {
		name = ev.Type.String()
	}
	object := eventObject{Type: name, Path: ev.Path}
	if ev.Zxid > 0 {
		object.Zxid = output.Hex(ev.Zxid)
	}
	return line{object, []string{name, ev.Path}}
}

type dataObject struct {
	Type string `json:"type"`
	Path string `json:"path"`
	output.Value
	Stat *output.Stat `json:"stat"`
}

func dataLine(path string, s gazoo.DataSnapshot) line {
	if !s.Exists {
		return missing(path)
	}
	return line{
		dataObject{"data", path, output.ValueOf(s.Data), output.StatOf(s.Stat)},
		[]string{"data", path, strconv.Itoa(int(s.Stat.Version)), output.Inline(s.Data)},
	}
}

type childrenObject struct {
	Type     string       `json:"type"`
	Path     string       `json:"path"`
	Children []string     `json:"children"`
	Stat     *output.Stat `json:"stat"`
}

func childrenLine(path string, s gazoo.ChildrenSnapshot) line {
	if !s.Exists {
		return missing(path)
	}
	names := append([]string{}, s.Children...)
	slices.Sort(names)
	text, _ := json.Marshal(names) // strings cannot fail
	return line{
		childrenObject{"children", path, names, output.StatOf(s.Stat)},
		[]string{"children", path, string(text)},
	}
}

func missing(path string) line {
	return line{eventObject{Type: "missing", Path: path}, []string{"missing", path}}
}
