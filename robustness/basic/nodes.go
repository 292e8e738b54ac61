package basic

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// Nodes creates, sets and deletes a few znodes, with and without a condition on the version, and looks at them behind a
// write. All of it must be linearizable, refusals (exists already, does not exist, has another version) included.
func Nodes() *program.Program {
	return &program.Program{Name: "nodes", Setup: made(), Client: nodesClient, Check: checkNodes}
}

var nodes = []string{"/a", "/b", "/c"}

// What the operations note.
type (
	nodeIn struct {
		Value   string `json:"v,omitempty"`
		Version int32  `json:"n"` // the condition of a set or delete; -1 is none
	}
	nodeOut struct {
		Found   bool   `json:"f"`
		Value   string `json:"v,omitempty"` // of a get alone
		Version int32  `json:"n"`
	}
)

func nodesClient(ctx context.Context, e *program.Env) error {
	zk, err := e.Open(ctx)
	if zk == nil {
		return err
	}
	defer zk.CloseNow()
	version := map[string]int32{}
	for i := 0; e.Pause(ctx, 150*time.Millisecond); i++ {
		key := nodes[e.Rand.IntN(len(nodes))]
		in := nodeIn{Version: gazoo.AnyVersion}
		if e.Rand.IntN(3) > 0 {
			in.Version = version[key]
		}
		op, cancel := context.WithTimeout(ctx, call)
		switch dice := e.Rand.IntN(10); {
		case dice < 3:
			in = nodeIn{Value: name(e, i)}
			p := e.Begin("create", key, in)
			_, err := zk.Create(op, key, []byte(in.Value))
			p.End(nodeOut{Found: true}, err)
			version[key] = 0
		case dice < 5:
			in.Value = name(e, i)
			p := e.Begin("set", key, in)
			stat, err := zk.Set(op, key, []byte(in.Value), in.Version)
			p.End(nodeOut{Found: true, Version: stat.Version}, err)
			version[key] = stat.Version
		case dice < 7:
			p := e.Begin("delete", key, in)
			p.End(nil, zk.Delete(op, key, in.Version))
		case dice < 9:
			p := e.Begin("get", key, nil)
			var data []byte
			var stat gazoo.Stat
			err := fresh(op, zk)
			if err == nil {
				data, stat, err = zk.Get(op, key)
				if errors.Is(err, gazoo.ErrNoNode) {
					p.End(nodeOut{}, nil)
					break
				}
			}
			version[key] = stat.Version
			p.End(nodeOut{true, string(data), stat.Version}, err)
		default:
			p := e.Begin("exists", key, nil)
			var found bool
			var stat gazoo.Stat
			err := fresh(op, zk)
			if err == nil {
				stat, found, err = zk.Exists(op, key)
			}
			p.End(nodeOut{Found: found, Version: stat.Version}, err)
		}
		cancel()
	}
	return nil
}

// nodeState is a znode as the model knows it.
type nodeState struct {
	exists  bool
	value   string
	version int32
}

// nodeStep is an operation as the model gets it.
type nodeStep struct {
	kind    string
	in      nodeIn
	out     nodeOut
	outcome history.Outcome
	code    gazoo.Code // of a refusal
}

// apply returns what a server would answer, and the state behind it.
func (s nodeState) apply(op nodeStep) (nodeState, gazoo.Code) {
	switch {
	case op.kind == "create" && s.exists:
		return s, gazoo.ErrNodeExists
	case op.kind == "create":
		return nodeState{true, op.in.Value, 0}, 0
	case !s.exists:
		return s, gazoo.ErrNoNode
	case op.in.Version != gazoo.AnyVersion && op.in.Version != s.version:
		return s, gazoo.ErrBadVersion
	case op.kind == "set":
		return nodeState{true, op.in.Value, s.version + 1}, 0
	}
	return nodeState{}, 0
}

var nodeModel = porcupine.Model{
	Init: func() any { return nodeState{} },
	Step: func(state, input, _ any) (bool, any) {
		s, op := state.(nodeState), input.(nodeStep)
		switch op.kind {
		case "get":
			return s == nodeState{op.out.Found, op.out.Value, op.out.Version}, s
		case "exists":
			return s.exists == op.out.Found && s.version == op.out.Version, s
		}
		next, code := s.apply(op)
		switch op.outcome {
		case history.OK:
			return code == 0 && (op.kind != "set" || next.version == op.out.Version), next
		case history.Refused:
			return code == op.code, s
		}
		return true, next // one that was not done fits behind all others
	},
	DescribeOperation: func(input, _ any) string { return fmt.Sprintf("%+v", input) },
}

func checkNodes(ops []history.Op) (bad []program.Violation) {
	for _, key := range nodes {
		var steps []porcupine.Operation
		for i := range ops {
			op := &ops[i]
			step := nodeStep{
				kind: op.Kind, in: history.Decode[nodeIn](op.In), out: history.Decode[nodeOut](op.Out),
				outcome: op.Outcome, code: gazoo.Code(op.Code),
			}
			read, end := op.Kind == "get" || op.Kind == "exists", op.End
			switch {
			case op.Key != key, read && op.Outcome != history.OK:
				continue
			case op.Outcome == history.Maybe:
				end = history.Never
			case op.Outcome == history.Refused && step.code != gazoo.ErrNodeExists && step.code != gazoo.ErrNoNode && step.code != gazoo.ErrBadVersion:
				continue
			}
			steps = append(steps, porcupine.Operation{ClientId: op.Client, Input: step, Call: int64(op.Start), Return: int64(end)})
		}
		bad = append(bad, linearizable(nodeModel, key, steps)...)
	}
	return bad
}
