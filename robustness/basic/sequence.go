package basic

import (
	"context"
	"slices"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// Sequence makes sequential znodes, protected ones among them. Numbers are unique and grow with real time: what ended
// before something else began has the smaller one. Every one that was acknowledged is there in the end, every refused one
// is not, and one whose answer was lost is there once at most.
func Sequence() *program.Program {
	return &program.Program{
		Name: "sequence", Setup: made("/seq"), Client: sequenceClient, Final: sequenceFinal, Check: checkSequence,
	}
}

// sequenceOut is what a create returned, or what was found of it in the end.
type sequenceOut struct {
	Name string `json:"n"`
	Data string `json:"d,omitempty"` // the Key of its create
	Zxid int64  `json:"z,omitempty"`
}

func sequenceClient(ctx context.Context, e *program.Env) error {
	zk, err := e.Open(ctx)
	if zk == nil {
		return err
	}
	defer zk.CloseNow()
	for i := 0; e.Pause(ctx, 200*time.Millisecond); i++ {
		kind, opts := "create", []gazoo.CreateOption{gazoo.Sequential()}
		if e.Rand.IntN(3) == 0 {
			kind, opts = "protected", append(opts, gazoo.Protected())
		}
		id := name(e, i)
		op, cancel := context.WithTimeout(ctx, 2*call)
		p := e.Begin(kind, id, nil)
		path, err := zk.Create(op, "/seq/n-", []byte(id), opts...)
		p.End(sequenceOut{Name: gazoo.BaseName(path)}, err)
		cancel()
	}
	return nil
}

func sequenceFinal(ctx context.Context, e *program.Env) error {
	zk, err := e.Connect(ctx)
	if err != nil {
		return err
	}
	defer zk.CloseNow()
	var all []sequenceOut
	p := e.Begin("final", "", nil)
	err = readAll(ctx, zk, "/seq", func(name, data string, stat gazoo.Stat) {
		all = append(all, sequenceOut{name, data, stat.Czxid})
	})
	return p.End(all, err)
}

func checkSequence(ops []history.Op) (bad []program.Violation) {
	made := map[string]*history.Op{} // by data
	var final []sequenceOut
	judge := false
	for i := range ops {
		switch op := &ops[i]; op.Kind {
		case "final":
			final, judge = history.Decode[[]sequenceOut](op.Out), op.Outcome == history.OK
		default:
			made[op.Key] = op
		}
	}
	// Numbers of those that were acknowledged, and of lost ones that were found.
	var known []numbered
	byNumber := map[int64]*history.Op{}
	know := func(op *history.Op, name string, end history.Instant) {
		_, number, ok := gazoo.SequenceOf(name)
		if !ok {
			bad = append(bad, program.Violated("numbered", "%s, made by %v", name, *op))
			return
		}
		if other := byNumber[int64(number)]; other != nil {
			bad = append(bad, program.Violated("unique numbers", "%d is of %v and of %v", number, *other, *op))
		}
		byNumber[int64(number)] = op
		copied := *op
		copied.End = end
		known = append(known, numbered{op: &copied, number: int64(number)})
	}
	for _, op := range made {
		if op.Outcome == history.OK {
			know(op, history.Decode[sequenceOut](op.Out).Name, op.End)
		}
	}
	found := map[string]string{} // names by data
	for _, node := range final {
		op, twice := made[node.Data], found[node.Data]
		switch {
		case op == nil:
			bad = append(bad, program.Violated("somebody made it", "%+v", node))
		case twice != "":
			bad = append(bad, program.Violated("once at most", "%s and %s are of %v", twice, node.Name, *op))
		case op.Outcome == history.Refused:
			bad = append(bad, program.Violated("refused is not done", "%s is of %v", node.Name, *op))
		case op.Outcome == history.OK && history.Decode[sequenceOut](op.Out).Name != node.Name:
			bad = append(bad, program.Violated("the name returned", "%s is of %v", node.Name, *op))
		case op.Outcome == history.Maybe:
			know(op, node.Name, history.Never)
		}
		found[node.Data] = node.Name
	}
	for _, op := range made {
		if judge && op.Outcome == history.OK && found[op.Key] == "" {
			bad = append(bad, program.Violated("acknowledged is done", "nothing is left of %v", *op))
		}
	}
	bad = append(bad, timely("numbers grow with time", known)...)

	slices.SortFunc(final, func(a, b sequenceOut) int { return int(min(max(a.Zxid-b.Zxid, -1), 1)) })
	for i := 1; i < len(final); i++ {
		_, a, _ := gazoo.SequenceOf(final[i-1].Name)
		_, b, _ := gazoo.SequenceOf(final[i].Name)
		if a >= b {
			bad = append(bad, program.Violated("numbers grow with zxids", "%+v and %+v", final[i-1], final[i]))
		}
	}
	return bad
}
