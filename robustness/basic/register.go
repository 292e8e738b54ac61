package basic

import (
	"context"
	"fmt"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// Register writes a few znodes with and without a condition on the version, and reads them behind a write. All of it must
// be linearizable: as if each operation had happened at one moment between its start and its end.
func Register() *program.Program {
	return &program.Program{Name: "register", Setup: made(registers...), Client: registerClient, Check: checkRegister}
}

var registers = []string{"/a", "/b", "/c"}

// What a register's operations note.
type (
	registerIn struct {
		Value   string `json:"v,omitempty"`
		Version int32  `json:"n"` // the condition of a set; -1 is none
	}
	registerOut struct {
		Value   string `json:"v,omitempty"`
		Version int32  `json:"n"`
	}
)

func registerClient(ctx context.Context, e *program.Env) error {
	zk, err := e.Open(ctx)
	if zk == nil {
		return err
	}
	defer zk.CloseNow()
	version := map[string]int32{}
	for i := 0; e.Pause(ctx, 100*time.Millisecond); i++ {
		key := registers[e.Rand.IntN(len(registers))]
		in := registerIn{Value: name(e, i), Version: -1}
		op, cancel := context.WithTimeout(ctx, call)
		switch dice := e.Rand.IntN(10); {
		case dice < 4:
			p := e.Begin("read", key, nil)
			var data []byte
			var stat gazoo.Stat
			err := fresh(op, zk)
			if err == nil {
				data, stat, err = zk.Get(op, key)
			}
			p.End(registerOut{string(data), stat.Version}, err)
			if err == nil {
				version[key] = stat.Version
			}
		default:
			if dice < 8 {
				in.Version = version[key]
			}
			p := e.Begin("write", key, in)
			stat, err := zk.Set(op, key, []byte(in.Value), in.Version)
			p.End(registerOut{Version: stat.Version}, err)
			if err == nil {
				version[key] = stat.Version
			}
		}
		cancel()
	}
	return nil
}

// registerState is a register as the model knows it.
type registerState struct {
	value   string
	version int32
}

// registerStep is an operation as the model gets it: one whose outcome is not known fits both when it was done and,
// placed behind all others, when it was not.
type registerStep struct {
	kind    string
	in      registerIn
	out     registerOut
	outcome history.Outcome
	bad     bool // refused for its version
}

var registerModel = porcupine.Model{
	Init: func() any { return registerState{"0", 0} },
	Step: func(state, input, output any) (bool, any) {
		s, op := state.(registerState), input.(registerStep)
		if op.kind == "read" {
			return s.value == op.out.Value && s.version == op.out.Version, s
		}
		fits := op.in.Version == -1 || op.in.Version == s.version
		next := registerState{op.in.Value, s.version + 1}
		switch {
		case op.bad:
			return !fits, s
		case op.outcome == history.OK:
			return fits && next.version == op.out.Version, next
		case fits:
			return true, next
		default:
			return true, s
		}
	},
	DescribeOperation: func(input, _ any) string { return fmt.Sprintf("%+v", input) },
}

func checkRegister(ops []history.Op) (bad []program.Violation) {
	for _, key := range registers {
		var steps []porcupine.Operation
		for i := range ops {
			op := &ops[i]
			step := registerStep{
				kind: op.Kind, in: history.Decode[registerIn](op.In), out: history.Decode[registerOut](op.Out),
				outcome: op.Outcome, bad: op.Failed(gazoo.ErrBadVersion),
			}
			end := op.End
			switch {
			case op.Key != key, op.Outcome == history.Refused && !step.bad, op.Outcome == history.Maybe && op.Kind == "read":
				continue
			case op.Outcome == history.Maybe:
				end = history.Never
			}
			steps = append(steps, porcupine.Operation{ClientId: op.Client, Input: step, Call: int64(op.Start), Return: int64(end)})
		}
		bad = append(bad, linearizable(registerModel, key, steps)...)
	}
	return bad
}
