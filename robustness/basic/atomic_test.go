package basic

import "testing"

func TestCheckAtomic(t *testing.T) {
	all := func(a ...atom) []atom {
		for len(a) < len(atoms) {
			a = append(a, a[len(a)-1])
		}
		return a
	}
	write := func(l *log, id string, version int32, zxid int64, err error) *log {
		return l.op(0, "write", id, atomicIn{-1}, all(atom{Version: version, Zxid: zxid}), err)
	}
	at := func(l *log, seen ...atom) *log { return l.op(1, "read at once", "", nil, all(seen...), nil) }
	turn := func(l *log, seen ...atom) *log { return l.op(1, "read in turn", "", nil, all(seen...), nil) }
	final := func(l *log, last atom, done map[string]int64) *log {
		return l.op(4, "final", "", nil, atomicEnd{all(last), done}, nil)
	}
	type zxids = map[string]int64
	none, x, y := atom{Value: "0"}, atom{"x", 1, 10}, atom{"y", 2, 20}
	xy := func() *log { return write(write(&log{}, "x", 1, 10, nil), "y", 2, 20, nil) }
	killed := &log{}
	killed.begin(0, "write", "x", atomicIn{-1})
	whole, done, refused := []string{"all or nothing"}, []string{"acknowledged is done"}, []string{"refused is not done"}

	judge(t, checkAtomic, []judged{
		{"a write, seen by all", final(turn(at(xy(), y), y), y, zxids{"x": 10, "y": 20}).ops(), nil},
		{"a reader that is behind", at(at(at(xy(), none), x), x).ops(), nil},
		{"a write between the reads", turn(xy(), none, none, x, y).ops(), nil},
		{"lost and done", final(at(write(&log{}, "x", 0, 0, lost), x), x, zxids{"x": 10}).ops(), nil},
		{"lost and not done", final(at(write(&log{}, "x", 0, 0, lost), none), none, nil).ops(), nil},
		{"its process was killed", final(killed, x, zxids{"x": 10}).ops(), nil},
		{"refused", final(write(&log{}, "x", 0, 0, version), none, nil).ops(), nil},

		{"a part at once", at(xy(), x, y).ops(), whole},
		{"the other part at once", at(xy(), y, x).ops(), whole},
		{"a part in turn", turn(xy(), y, x).ops(), whole},
		{"a part of one that was lost", at(write(&log{}, "x", 0, 0, lost), x, none).ops(), whole},
		{"two zxids", turn(write(&log{}, "x", 0, 0, lost), x, atom{"x", 1, 11}).ops(), whole},
		{"two zxids returned", (&log{}).op(0, "write", "x", atomicIn{-1}, []atom{{Zxid: 1}, {Zxid: 2}}, nil).ops(), whole},
		{"another zxid than returned", at(xy(), atom{"x", 1, 11}).ops(), []string{"what was returned", "what was returned", "what was returned", "what was returned"}},
		{"refused and seen", turn(write(&log{}, "x", 0, 0, version), none, none, none, x).ops(), refused},
		{"seen before it is written", write(turn(&log{}, none, none, none, x), "x", 1, 10, nil).ops(), []string{"in the order of time"}},
		{"nobody's", turn(&log{}, none, none, none, x).ops(), []string{"somebody wrote it"}},
		{"in spite of its condition", (&log{}).op(0, "write", "x", atomicIn{4}, all(atom{Version: 1, Zxid: 10}), nil).ops(), []string{"conditions hold"}},
		{"against the time", write(write(&log{}, "x", 2, 20, nil), "y", 1, 10, nil).ops(), []string{"in the order of time"}},
		{"refused, and its own znode left", final(write(xy(), "z", 0, 0, version), y, zxids{"x": 10, "y": 20, "z": 15}).ops(), append(refused, whole...)},
		{"acknowledged, and its own znode missing", final(xy(), y, zxids{"y": 20}).ops(), append(whole, done...)},
		{"undone", final(write(&log{}, "x", 1, 10, nil), none, zxids{}).ops(), done},
		{"another one is the last", final(xy(), x, zxids{"x": 10, "y": 20}).ops(), whole},
	})
}
