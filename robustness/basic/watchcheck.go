package basic

import (
	"cmp"
	"slices"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// watchView is all that one run of a client has noted of one thing.
type watchView struct {
	client, run int
	kind, key   string
}

func checkWatches(ops []history.Op) (bad []program.Violation) {
	sets := map[string][]*history.Op{}
	notes := map[watchView][]*history.Op{}
	var views []watchView
	for i := range ops {
		op := &ops[i]
		switch op.Kind {
		case "set":
			sets[op.Key] = append(sets[op.Key], op)
		case "set child", "create", "delete":
		default:
			v := watchView{op.Client, op.Run, op.Kind, op.Key}
			if notes[v] == nil {
				views = append(views, v)
			}
			notes[v] = append(notes[v], op)
		}
	}
	for _, v := range views {
		// They were noted one behind the other, some perhaps at one moment.
		slices.SortFunc(notes[v], func(a, b *history.Op) int { return cmp.Compare(a.ID, b.ID) })
		switch v.kind {
		case "look":
			for _, op := range notes[v] {
				bad = append(bad, looked(op, sets[op.Key])...)
			}
		case "tally":
			bad = append(bad, tallied(notes[v])...)
		case "last":
			for _, op := range notes[v] {
				if l := history.Decode[watchLast](op.Out); l.Last != l.Now {
					bad = append(bad, program.Violated("the last state is seen", "%v", *op))
				}
			}
		default:
			bad = append(bad, followed(notes[v])...)
		}
	}
	return bad
}

// looked judges a one-shot watch.
func looked(op *history.Op, sets []*history.Op) []program.Violation {
	look := history.Decode[watchLook](op.Out)
	ev := gazoo.EventType(look.Event)
	switch {
	case !look.Done:
		return []program.Violation{program.Violated("the event before the change", "%v", *op)}
	case look.Err != "" && !look.Reason:
		return []program.Violation{program.Violated("ends with an event or the session", "%v", *op)}
	case look.Err != "":
		return nil
	}
	fits := map[string][]gazoo.EventType{
		"data":     {gazoo.EventDataChanged},
		"children": {gazoo.EventChildrenChanged},
		"exists":   {gazoo.EventCreated},
	}[look.Kind]
	if look.Kind == "exists" && look.Base.Found {
		fits = []gazoo.EventType{gazoo.EventDataChanged, gazoo.EventDeleted}
	}
	if !slices.Contains(fits, ev) {
		return []program.Violation{program.Violated("an event that fits", "%v of %v", ev, *op)}
	}
	// A set that may have made a newer version than there was.
	cause := func(set *history.Op) bool {
		switch set.Outcome {
		case history.OK:
			return set.Start < op.Start && history.Decode[int32](set.Out) > look.Base.Version
		case history.Maybe:
			return set.Start < op.Start
		}
		return false
	}
	if look.Kind == "data" && !slices.ContainsFunc(sets, cause) {
		return []program.Violation{program.Violated("an event has a cause", "%v", *op)}
	}
	return nil
}

// tallied judges a stream: between two reads without a gap there are as many events as changes.
func tallied(ops []*history.Op) (bad []program.Violation) {
	var base *watchTally
	for _, op := range ops {
		t := history.Decode[watchTally](op.Out)
		if t.Before.Gaps != t.After.Gaps {
			base = nil
			continue
		}
		if base == nil || base.After.Gaps != t.Before.Gaps {
			base = &t
			continue
		}
		for _, n := range []struct {
			what                    string
			changes, atLeast, above int32
		}{
			{"data", t.Data - base.Data, t.Before.Data - base.After.Data, t.After.Data - base.Before.Data},
			{"children", t.Children - base.Children, t.Before.Children - base.After.Children, t.After.Children - base.Before.Children},
		} {
			switch {
			case n.above < n.changes:
				bad = append(bad, program.Violated("every change has an event", "of the %s %d changes and %d events: %v", n.what, n.changes, n.above, *op))
				base = nil
			case n.atLeast > n.changes:
				bad = append(bad, program.Violated("an event has a cause", "of the %s %d changes and %d events: %v", n.what, n.changes, n.atLeast, *op))
				base = nil
			}
			if base == nil {
				break
			}
		}
	}
	return bad
}

// followed judges the states that were followed: none is older than the one before.
func followed(ops []*history.Op) (bad []program.Violation) {
	var newest watchState // of those that were found
	gone := false         // it was missing behind that one, and can only come again as another one
	for _, op := range ops {
		s := history.Decode[watchState](op.Out)
		if !s.Found {
			gone = newest.Found
			continue
		}
		if newest.Found && (s.Czxid < newest.Czxid || s.Czxid == newest.Czxid && (gone || s.Version < newest.Version)) {
			bad = append(bad, program.Violated("never backwards", "%v, behind %+v, gone %v", *op, newest, gone))
		}
		newest, gone = s, false
	}
	return bad
}
