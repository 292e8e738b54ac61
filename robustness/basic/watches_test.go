package basic

import (
	"testing"

	"github.com/gazoo-zk/gazoo"
)

func TestCheckOneShots(t *testing.T) {
	set := func(l *log, version int32, err error) *log { return l.op(0, "set", "/a", nil, version, err) }
	look := func(l *log, look watchLook) *log { return l.note(1, "look", "/a", look) }
	at := func(version int32) watchState { return watchState{true, version, 0} }
	data := func(base, now int32, ev gazoo.EventType) watchLook {
		return watchLook{Kind: "data", Base: at(base), Now: at(now), Done: true, Event: int32(ev)}
	}
	presence := func(base, now bool, ev gazoo.EventType) watchLook {
		return watchLook{Kind: "exists", Base: watchState{Found: base}, Now: watchState{Found: now}, Done: true, Event: int32(ev)}
	}
	ended := func(reason bool) watchLook {
		return watchLook{Kind: "data", Base: at(0), Now: at(1), Done: true, Err: "over", Reason: reason}
	}
	children := data(0, 1, gazoo.EventChildrenChanged)
	children.Kind = "children"
	killed := &log{}
	killed.begin(0, "set", "/a", nil)
	late, fits, cause := []string{"the event before the change"}, []string{"an event that fits"}, []string{"an event has a cause"}

	judge(t, checkWatches, []judged{
		{"a change and its event", look(set(&log{}, 1, nil), data(0, 1, gazoo.EventDataChanged)).ops(), nil},
		{"the event, and an old state on another server", look(set(&log{}, 1, nil), data(0, 0, gazoo.EventDataChanged)).ops(), nil},
		{"the event of a lost set", look(set(&log{}, 0, lost), data(0, 1, gazoo.EventDataChanged)).ops(), nil},
		{"the event of a killed process", look(killed, data(0, 1, gazoo.EventDataChanged)).ops(), nil},
		{"a child", look(&log{}, children).ops(), nil},
		{"created", look(&log{}, presence(false, true, gazoo.EventCreated)).ops(), nil},
		{"deleted", look(&log{}, presence(true, false, gazoo.EventDeleted)).ops(), nil},
		{"the session is over", look(&log{}, ended(true)).ops(), nil},

		{"no event", look(set(&log{}, 1, nil), watchLook{Kind: "data", Base: at(0), Now: at(1)}).ops(), late},
		{"no event of a create", look(&log{}, watchLook{Kind: "exists", Now: at(0)}).ops(), late},
		{"no reason", look(&log{}, ended(false)).ops(), []string{"ends with an event or the session"}},
		{"no cause", look(&log{}, data(0, 0, gazoo.EventDataChanged)).ops(), cause},
		{"an older cause", look(set(&log{}, 1, nil), data(1, 1, gazoo.EventDataChanged)).ops(), cause},
		{"a refused cause", look(set(&log{}, 0, unsent), data(0, 0, gazoo.EventDataChanged)).ops(), cause},
		{"a later cause", set(look(&log{}, data(0, 0, gazoo.EventDataChanged)), 1, nil).ops(), cause},
		{"another event", look(set(&log{}, 1, nil), data(0, 1, gazoo.EventDeleted)).ops(), fits},
		{"deleted, what was missing", look(&log{}, presence(false, false, gazoo.EventDeleted)).ops(), fits},
	})
}

func TestCheckStreams(t *testing.T) {
	type count = watchCount
	tally := func(l *log, before, after watchCount, data, children int32) *log {
		return l.note(1, "tally", "/a", watchTally{before, after, data, children})
	}
	first := func() *log { return tally(&log{}, count{2, 1, 0}, count{2, 1, 0}, 10, 20) }
	missed, cause := []string{"every change has an event"}, []string{"an event has a cause"}

	judge(t, checkWatches, []judged{
		{"an event for each change", tally(first(), count{2, 1, 0}, count{4, 2, 0}, 12, 21).ops(), nil},
		{"events before the read", tally(first(), count{4, 2, 0}, count{4, 2, 0}, 12, 21).ops(), nil},
		{"one more behind the read", tally(first(), count{2, 1, 0}, count{5, 3, 0}, 12, 21).ops(), nil},
		{"a gap before the read", tally(first(), count{2, 1, 1}, count{2, 1, 1}, 12, 21).ops(), nil},
		{"a gap behind the read", tally(first(), count{2, 1, 0}, count{2, 1, 1}, 12, 21).ops(), nil},
		{"behind a gap", tally(tally(first(), count{2, 1, 1}, count{2, 1, 1}, 15, 25), count{2, 1, 1}, count{3, 1, 1}, 16, 25).ops(), nil},

		{"a set without an event", tally(first(), count{2, 1, 0}, count{3, 2, 0}, 12, 21).ops(), missed},
		{"a child without an event", tally(first(), count{2, 1, 0}, count{4, 1, 0}, 12, 21).ops(), missed},
		{"missed behind a gap", tally(tally(first(), count{2, 1, 1}, count{2, 1, 1}, 15, 25), count{2, 1, 1}, count{2, 1, 1}, 16, 25).ops(), missed},
		{"an event twice", tally(first(), count{4, 1, 0}, count{4, 1, 0}, 11, 20).ops(), cause},
		{"an event of no child", tally(first(), count{2, 2, 0}, count{2, 2, 0}, 10, 20).ops(), cause},
	})
}

func TestCheckFollowed(t *testing.T) {
	follow := func(l *log, states ...watchState) *log {
		for _, s := range states {
			l.note(1, "follow data", "/a", s)
		}
		return l
	}
	last := func(last, now watchState) *log { return (&log{}).note(1, "last", "/a", watchLast{"data", last, now}) }
	v := func(version int32, czxid int64) watchState { return watchState{true, version, czxid} }
	missing, back := watchState{}, []string{"never backwards"}

	judge(t, checkWatches, []judged{
		{"forward", follow(&log{}, missing, v(0, 5), v(2, 5), missing, v(0, 9)).ops(), nil},
		{"the same again", follow(&log{}, v(1, 5), v(1, 5)).ops(), nil},
		{"missing on a server that is behind", follow(&log{}, missing, v(1, 5)).ops(), nil},
		{"the last state", last(v(3, 0), v(3, 0)).ops(), nil},

		{"an older version", follow(&log{}, v(1, 5), v(0, 5)).ops(), back},
		{"back from the dead", follow(&log{}, v(1, 5), missing, v(1, 5)).ops(), back},
		{"an older znode", follow(&log{}, v(0, 9), v(3, 5)).ops(), back},
		{"an older znode behind a missing one", follow(&log{}, v(0, 9), missing, v(3, 5)).ops(), back},
		{"not the last state", last(v(2, 0), v(3, 0)).ops(), []string{"the last state is seen"}},
		{"it was deleted", last(v(2, 5), missing).ops(), []string{"the last state is seen"}},
	})
}
