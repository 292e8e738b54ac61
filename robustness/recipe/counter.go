package recipe

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/counter"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// Counter is a counter that all add to, some with receipts.
func Counter() *program.Program { return counterProgram("counter", program.Needs{}, false) }

// CounterFresh is Counter with reads behind a sync.
func CounterFresh() *program.Program {
	// A leader that does not know yet that it has been replaced answers reads behind a sync.
	return counterProgram("counter-fresh", program.Needs{OneLeader: true}, true)
}

// What is noted of a change and of a read.
type (
	addIn  struct{ By int64 }
	addOut struct{ Pre, Post int64 }
)

func counterProgram(name string, needs program.Needs, fresh bool) *program.Program {
	return &program.Program{
		Name:  name,
		Needs: needs,
		Client: func(ctx context.Context, e *program.Env) error {
			zk, err := e.Open(ctx)
			if zk == nil {
				return err
			}
			defer goodbye(e, zk)
			var opts []counter.Option
			if e.Client%2 == 1 {
				opts = append(opts, counter.WithReceipts("/receipts"))
			}
			c, err := counter.NewInt(zk, "/count", 0, opts...)
			if err != nil {
				return err
			}
			defer c.Close()
			for e.Pause(ctx, 150*time.Millisecond) {
				count(ctx, e, c, fresh)
			}
			return nil
		},
		Final: func(ctx context.Context, e *program.Env) error {
			return final(ctx, e, func(zk *gazoo.Client) error {
				c, err := counter.NewInt(zk, "/count", 0)
				if err != nil {
					return err
				}
				v, err := c.GetFresh(ctx)
				e.Note("sum", "", v.Value)
				return err
			})
		},
		Check: checkCounter,
	}
}

func count(ctx context.Context, e *program.Env, c *counter.Counter[int64], fresh bool) {
	ctx, cancel := context.WithTimeout(ctx, upTo(e, 10*time.Millisecond, 3*time.Second))
	defer cancel()
	dice := e.Rand.IntN(10)
	switch {
	case dice < 6:
		by := int64(1 + e.Rand.IntN(9))
		p := e.Begin("add", "", addIn{by})
		change, err := c.Add(ctx, by)
		p.End(addOut{change.Pre, change.Post}, err)
	case dice < 8 && fresh:
		p := e.Begin("fresh", "", nil)
		v, err := c.GetFresh(ctx)
		p.End(v.Value, err)
	default:
		p := e.Begin("get", "", nil)
		v, err := c.Get(ctx)
		p.End(v.Value, err)
	}
}

// checkCounter judges a counter that only grows. Acknowledged changes tell from which value to which, so they have one
// order, and reads have their place in it.
func checkCounter(ops []history.Op) (bad []program.Violation) {
	complain := func(promise, format string, args ...any) {
		bad = append(bad, program.Violated(promise, format, args...))
	}
	type add struct {
		*history.Op
		addIn
		addOut
	}
	var adds []add
	var sure, perhaps int64
	for i := range ops {
		op := &ops[i]
		if op.Kind != "add" {
			continue
		}
		a := add{op, history.Decode[addIn](op.In), history.Decode[addOut](op.Out)}
		switch op.Outcome {
		case history.OK:
			adds = append(adds, a)
			sure += a.By
			if a.Post != a.Pre+a.By {
				complain("one on top of the other", "%d and %d are not %d: %v", a.Pre, a.By, a.Post, op)
			}
		case history.Maybe:
			perhaps += a.By
		}
	}
	slices.SortStableFunc(adds, func(a, b add) int { return cmp.Compare(a.Pre, b.Pre) })
	var latest add // the one that began last, of those before in the order of the values
	for i, a := range adds {
		if i > 0 && a.Pre < adds[i-1].Post {
			complain("one on top of the other", "both have changed %d: %v; %v", a.Pre, adds[i-1].Op, a.Op)
		}
		if latest.Op != nil && a.End < latest.Start {
			complain("in real time", "the later one was applied first: %v; %v", a.Op, latest.Op)
		}
		if latest.Op == nil || a.Start > latest.Start {
			latest = a
		}
	}
	type reader struct{ client, run int }
	seen := map[reader]*history.Op{}
	value := func(op *history.Op) int64 {
		if op.Kind == "add" {
			return history.Decode[addOut](op.Out).Post
		}
		return history.Decode[int64](op.Out)
	}
	for i := range ops {
		op := &ops[i]
		if op.Outcome != history.OK || op.Kind != "get" && op.Kind != "fresh" && op.Kind != "add" {
			continue
		}
		// The operations of one client come one after the other.
		if before := seen[reader{op.Client, op.Run}]; before != nil && value(op) < value(before) {
			complain("no client goes back", "%v; %v", before, op)
		}
		seen[reader{op.Client, op.Run}] = op
		if op.Kind == "add" {
			continue
		}
		v, most := value(op), int64(0)
		for j := range ops {
			o := &ops[j]
			if o.Kind == "add" && o.Outcome != history.Refused && o.Start < op.End {
				most += history.Decode[addIn](o.In).By
			}
			if op.Kind == "fresh" && o.Kind == "add" && o.Outcome == history.OK && o.End < op.Start && value(o) > v {
				complain("fresh", "a change that had been made was not seen: %v; %v", o, op)
			}
		}
		if v > most {
			complain("sum", "all that had been added were %d: %v", most, op)
		}
		for _, a := range adds {
			if v > a.Pre && v < a.Post {
				complain("sum", "there was no such value: %v; %v", a.Op, op)
			}
		}
	}
	for i := range ops {
		if op := &ops[i]; op.Kind == "sum" {
			v := history.Decode[int64](op.Out)
			if v < sure || v > sure+perhaps {
				complain("sum", "the end is %d, acknowledged were %d, in doubt %d", v, sure, perhaps)
			}
			if len(adds) > 0 && v < adds[len(adds)-1].Post {
				complain("sum", "the end is %d: %v", v, adds[len(adds)-1].Op)
			}
		}
	}
	return append(bad, orphans(ops)...)
}
