package watch

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gazoo-zk/gazoo"
)

func TestLines(t *testing.T) {
	tests := []struct {
		name       string
		line       line
		text, json string // json without the stat
	}{
		{"created", eventLine("/", gazoo.Event{Type: gazoo.EventCreated, Path: "/a"}), "created\t/a", `{"type":"created","path":"/a"}`},
		{"zxid", eventLine("/a", gazoo.Event{Type: gazoo.EventDeleted, Path: "/a", Zxid: 31}), "deleted\t/a", `{"type":"deleted","path":"/a","zxid":"0x1f"}`},
		{"no zxid", eventLine("/a", gazoo.Event{Type: gazoo.EventDataChanged, Path: "/a", Zxid: -1}), "data-changed\t/a", `{"type":"data-changed","path":"/a"}`},
		{
			"overflow", eventLine("/a", gazoo.Event{Gap: gazoo.GapOverflow}),
			"gap\t/a\t" + gazoo.GapOverflow.String() + ": events may have been missed",
			`{"type":"gap","path":"/a","reason":"` + gazoo.GapOverflow.String() + `: events may have been missed"}`,
		},
		{"null", dataLine("/a", gazoo.DataSnapshot{Exists: true, Stat: gazoo.Stat{Version: 3}}), "data\t/a\t3\tnull", `{"type":"data","path":"/a","data":null,"stat":{`},
		{"lines", dataLine("/a", gazoo.DataSnapshot{Exists: true, Data: []byte("1\n2\t3")}), "data\t/a\t0\t\"1\\n2\\t3\"", `{"type":"data","path":"/a","data":"1\n2\t3","stat":{`},
		{"no data", dataLine("/a", gazoo.DataSnapshot{}), "missing\t/a", `{"type":"missing","path":"/a"}`},
		{"children", childrenLine("/a", gazoo.ChildrenSnapshot{Exists: true, Children: []string{"c", "b"}}), "children\t/a\t[\"b\",\"c\"]", `{"type":"children","path":"/a","children":["b","c"],"stat":{`},
		{"no children", childrenLine("/a", gazoo.ChildrenSnapshot{Exists: true}), "children\t/a\t[]", `{"type":"children","path":"/a","children":[],"stat":{`},
		{"no parent", childrenLine("/a", gazoo.ChildrenSnapshot{}), "missing\t/a", `{"type":"missing","path":"/a"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := strings.Join(tt.line.fields, "\t"); got != tt.text {
				t.Errorf("text is %q, want %q", got, tt.text)
			}
			got, err := json.Marshal(tt.line.object)
			if err != nil || !strings.HasPrefix(string(got), tt.json) {
				t.Errorf("JSON is %s, %v; want %s", got, err, tt.json)
			}
		})
	}
}
