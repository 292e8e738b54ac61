package basic

import "testing"

func TestCheckPipeline(t *testing.T) {
	type step struct {
		kind  string
		value string
		err   error
	}
	// run makes a history of one client. Results and zxids count up.
	run := func(burst []int, end *pipeEnd, steps ...step) *log {
		l := &log{}
		for n, s := range steps {
			l.op(0, s.kind, "/d", pipeIn{n}, pipeOut{int64(n + 1), int64(n + 1), s.value}, s.err)
		}
		if burst != nil {
			l.note(0, "burst", "/d", pipeBurst{First: burst})
		}
		if end != nil {
			l.op(4, "final", "/d", nil, end, nil)
		}
		return l
	}
	left := func(value string, names ...string) *pipeEnd { return &pipeEnd{value, names} }
	create, set := step{kind: pipeCreate}, step{kind: pipeSet}
	get := func(value string) step { return step{kind: pipeGet, value: value} }
	outs := func(kinds []string, outs ...pipeOut) *log {
		l := &log{}
		for n, out := range outs {
			l.op(0, kinds[n], "/d", pipeIn{n}, out, nil)
		}
		return l
	}
	killed := run(nil, nil, create)
	killed.begin(0, pipeCreate, "/d", pipeIn{1})
	killed.begin(0, pipeSet, "/d", pipeIn{2})
	killed.op(4, "final", "/d", nil, left("2", "0", "1"), nil)
	lostCreate, lostSet := step{pipeCreate, "", lost}, step{pipeSet, "", lost}
	unsentCreate, unsentSet := step{pipeCreate, "", unsent}, step{pipeSet, "", unsent}
	own, done, none := []string{"reads see own writes"}, []string{"acknowledged is done"}, []string{"none without those before"}

	judge(t, checkPipeline, []judged{
		{"all is well", run([]int{0, 0, 0}, left("1", "0"), create, set, get("1")).ops(), nil},
		{"nothing written", run(nil, left(""), get("")).ops(), nil},
		{"lost and done", run(nil, left("1"), set, lostSet, get("1")).ops(), nil},
		{"lost and not done", run(nil, left("0"), set, lostSet, get("0")).ops(), nil},
		{"lost and done later", run(nil, left("1"), set, lostSet, get("0"), get("1")).ops(), nil},
		{"the first ones of a burst are done", run([]int{0, 0, 0}, left("", "0", "1"), lostCreate, lostCreate, lostCreate).ops(), nil},
		{"the first one was lost before", run([]int{0, 1, 1}, left("", "1", "2"), lostCreate, create, create).ops(), nil},
		{"not sent", run([]int{0, 0}, left("", "0"), create, unsentCreate).ops(), nil},
		{"its process was killed", killed.ops(), nil},

		{"the value before", run(nil, nil, set, set, get("0")).ops(), own},
		{"the value of a refused one", run(nil, nil, set, unsentSet, get("1")).ops(), own},
		{"back again", run(nil, nil, set, lostSet, get("1"), get("0")).ops(), own},
		{"a late one overtaken", run(nil, left("0"), lostSet, set).ops(), own},
		{"what comes later", run(nil, nil, get("1"), set).ops(), own},
		{"acknowledged and gone", run(nil, left(""), create).ops(), done},
		{"refused and done", run(nil, left("", "0"), unsentCreate).ops(), []string{"refused is not done"}},
		{"nobody's", run(nil, left("", "0"), set, get("0")).ops(), append([]string{"reads see own writes"}, "somebody made it")},
		{"done without the one before", run([]int{0, 0}, left("", "1"), lostCreate, create).ops(), none},
		{"the last one of three", run([]int{0, 0, 0}, left("", "0", "2"), lostCreate, lostCreate, lostCreate).ops(), none},
		{"done behind one that was not sent", run([]int{0, 0}, left("", "1"), unsentCreate, lostCreate).ops(), none},
		{"results in another order", outs([]string{pipeCreate, pipeGet}, pipeOut{Done: 2, Zxid: 1}, pipeOut{Done: 1}).ops(), []string{"results in order"}},
		{"zxids of writes", outs([]string{pipeCreate, pipeShare}, pipeOut{Done: 1, Zxid: 2}, pipeOut{Done: 2, Zxid: 1}).ops(), []string{"never backwards"}},
		{"zxids of reads", outs([]string{pipeShared, pipeShared}, pipeOut{Done: 1, Zxid: 2}, pipeOut{Done: 2, Zxid: 1}).ops(), []string{"never backwards"}},
		{"the client's zxid", (&log{}).note(0, "burst", "/d", pipeBurst{Last: 2}).note(0, "burst", "/d", pipeBurst{Last: 1}).ops(), []string{"never backwards"}},
	})
}
