package recipe

import "testing"

// againBelow appends that a child comes, goes, and comes again as it was, with a new parent in between or without.
func againBelow(s story, parent bool) story {
	do := func(at int, path, kind string, before, after *nodeOut) {
		s = s.op(0, "event", path, at, at, nil, eventOut{kind, before, after})
	}
	s = s.op(1, "create", "/tree/b", 440, 450, nodeIn{"6"}, nil).op(1, "delete", "/tree/b", 10, 20, nil, nil)
	child := &nodeOut{"6", 30, 30, 0}
	do(500, "/tree/b", "added", nil, child)
	do(501, "/tree/b", "removed", child, nil)
	if parent {
		do(502, "/tree", "removed", &nodeOut{seed, 1, 1, 0}, nil)
		do(503, "/tree", "added", nil, &nodeOut{"5", 20, 20, 0})
	}
	do(504, "/tree/b", "added", nil, child)
	return s
}

func TestCheckCache(t *testing.T) {
	n := func(value string, czxid, mzxid int64, version int32) *nodeOut {
		return &nodeOut{value, czxid, mzxid, version}
	}
	event := func(s story, at int, path, kind string, before, after *nodeOut) story {
		return s.op(0, "event", path, at, at, nil, eventOut{kind, before, after})
	}
	write := func(s story, kind, path, value string, start, end int, fates ...fate) story {
		return s.op(1, kind, path, start, end, nodeIn{value}, nil, fates...)
	}
	root, a1, a2 := n(seed, 1, 1, 0), n("1", 5, 5, 0), n("2", 5, 7, 1)
	begin := event(write(write(write(story{}, "create", "/tree/a", "1", 100, 110), "set", "/tree/a", "2", 200, 210), "set", "/tree/a", "9", 210, 220, refused), 50, "/tree", "added", nil, root)
	added := event(begin, 120, "/tree/a", "added", nil, a1)
	changed := event(added, 220, "/tree/a", "changed", a1, a2)
	removed := event(write(changed, "delete", "/tree/a", "", 300, 310), 320, "/tree/a", "removed", a2, nil)
	end := func(truth, held, replayed *nodeOut) story {
		of := func(n *nodeOut) map[string]nodeOut { return map[string]nodeOut{"/tree/a": *n} }
		return changed.op(0, "converged", "", 900, 900, nil, convergedOut{of(truth), of(held), of(replayed)})
	}
	own := func(s story, zxid int64, node *nodeOut) story {
		return s.op(0, "own", "/tree/a", 400, 400, nil, ownOut{zxid, node})
	}
	judge(t, checkCache, []verdict{
		{"added, changed and removed", removed, ""},
		{"a state in between was not seen", event(begin, 220, "/tree/a", "added", nil, a2), ""},
		{"a write in doubt", event(write(removed, "create", "/tree/a", "3", 400, 410, maybe), 420, "/tree/a", "added", nil, n("3", 9, 9, 0)), ""},
		{"an event before the write is acknowledged", event(write(removed, "create", "/tree/a", "3", 400, 450), 420, "/tree/a", "added", nil, n("3", 9, 9, 0)), ""},
		{"deleted and made again, seen as one", event(write(changed, "create", "/tree/a", "3", 400, 450), 420, "/tree/a", "changed", a2, n("3", 9, 9, 0)), ""},
		{"its parent is another one", againBelow(write(write(removed, "delete", "/tree", "", 400, 410), "create", "/tree", "5", 420, 430), true), ""},
		{"the same state again, and its parent is the same", againBelow(removed, false), "nothing goes back"},
		{"converged", end(a2, a2, a2), ""},
		{"its own write", own(changed, 7, a2), ""},
		{"its own write, and a later one", own(changed, 6, a2), ""},
		{"its own write, which was deleted since", own(removed, 7, nil), ""},

		{"added twice", event(added, 230, "/tree/a", "added", nil, a2), "events follow"},
		{"changed before it was added", event(begin, 220, "/tree/a", "changed", a1, a2), "events follow"},
		{"removed twice", event(removed, 330, "/tree/a", "removed", a2, nil), "events follow"},
		{"the change is of another state", event(added, 220, "/tree/a", "changed", root, a2), "events follow"},
		{"an older state", event(event(begin, 220, "/tree/a", "added", nil, a2), 230, "/tree/a", "changed", a2, a1), "nothing goes back"},
		{"the same state again", event(removed, 330, "/tree/a", "added", nil, a2), "nothing goes back"},
		{"a state that nobody has written", event(begin, 120, "/tree/a", "added", nil, n("x", 5, 5, 0)), "states were there"},
		{"a state whose write was refused", event(begin, 250, "/tree/a", "added", nil, n("9", 5, 5, 0)), "states were there"},
		{"a state of another znode", event(begin, 120, "/tree/b", "added", nil, a1), "states were there"},
		{"a state before it was written", event(begin, 90, "/tree/a", "added", nil, a1), "states were there"},
		{"removed, though nobody has deleted it", event(changed, 320, "/tree/a", "removed", a2, nil), "states were there"},
		{"a child without a parent", event(write(begin, "create", "/tree/b/x", "4", 100, 110), 120, "/tree/b/x", "added", nil, n("4", 5, 5, 0)), "children within parents"},
		{"a parent removed before its child", event(write(event(write(changed, "create", "/tree/a/x", "4", 230, 240), 250, "/tree/a/x", "added", nil, n("4", 8, 8, 0)), "delete", "/tree/a", "", 300, 310), 320, "/tree/a", "removed", a2, nil), "children within parents"},
		{"its own write is not seen", own(changed, 8, a2), "own writes are seen"},
		{"its own write is not there", own(changed, 7, nil), "own writes are seen"},
		{"a wait that was wrong", changed.op(0, "waited", "/tree/a", 400, 400, nil, false), "waits are true"},
		{"the cache is behind", end(a2, a1, a2), "all converges"},
		{"the events are behind", end(a2, a2, a1), "all converges"},
	})
}
