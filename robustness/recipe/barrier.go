package recipe

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gazoo-zk/gazoo/recipes/barrier"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// Barrier is a barrier that the first client puts up and takes down, while the others wait for it.
func Barrier() *program.Program {
	return &program.Program{
		Name:  "barrier",
		Needs: program.Needs{OneLeader: true}, // who asks a server that has been cut off may not hear of a barrier
		Client: func(ctx context.Context, e *program.Env) error {
			zk, err := e.Open(ctx)
			if zk == nil {
				return err
			}
			defer goodbye(e, zk)
			b, err := barrier.New(zk, "/barrier")
			if err != nil {
				return err
			}
			if e.Client == 0 {
				upAndDown(ctx, e, b)
			} else {
				for e.Pause(ctx, 100*time.Millisecond) {
					wait(ctx, e, "wait", upTo(e, 50*time.Millisecond, 3*time.Second), b.Wait)
				}
			}
			down(e, b)
			wait(context.Background(), e, "last wait", clearing, b.Wait)
			return nil
		},
		Check: checkBarrier,
	}
}

func upAndDown(ctx context.Context, e *program.Env, b *barrier.Barrier) {
	for e.Pause(ctx, 300*time.Millisecond) {
		create, cancel := context.WithTimeout(ctx, 3*time.Second)
		p := e.Begin("create", "", nil)
		created, err := b.Create(create)
		p.End(created, err)
		cancel()
		e.Pause(ctx, 2*time.Second)
		down(e, b)
	}
}

// down takes the barrier down, whatever it takes.
func down(e *program.Env, b *barrier.Barrier) {
	ctx, cancel := context.WithTimeout(context.Background(), clearing)
	defer cancel()
	p := e.Begin("remove", "", nil)
	removed, err := b.Remove(ctx)
	p.End(removed, err)
}

// wait waits for some time, which must not be much longer.
func wait(ctx context.Context, e *program.Env, what string, d time.Duration, do func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	p := e.Begin(what, "", nil)
	err := do(ctx)
	outcome := history.OK
	if err != nil {
		outcome = history.Refused // it has not passed, whatever a server did
	}
	p.EndAs(outcome, nil, err)
}

// checkBarrier finds waits that ended while the barrier was up all the time, and some that did not when it was down.
func checkBarrier(ops []history.Op) (bad []program.Violation) {
	for i := range ops {
		w := &ops[i]
		if w.Kind == "last wait" && w.Outcome == history.Refused {
			bad = append(bad, program.Violated("nobody sleeps on", "the barrier had been taken down by the one who waited: %v", w))
		}
		if w.Kind != "wait" && w.Kind != "last wait" || w.Outcome != history.OK {
			continue
		}
		for j := range ops {
			up := &ops[j]
			if up.Kind != "create" || up.Outcome != history.OK || up.End >= w.Start {
				continue
			}
			// Whoever takes it down does so for certain between the begin and the end, or for all we know much later.
			if !slices.ContainsFunc(ops, func(r history.Op) bool {
				end := r.End
				if r.Outcome == history.Maybe {
					end = history.Never
				}
				return r.Kind == "remove" && r.Outcome != history.Refused && r.Start <= w.End && end >= up.Start
			}) {
				bad = append(bad, program.Violated("nobody passes", "it was up all the time: %v; %v", up, w))
			}
		}
	}
	return append(bad, orphans(ops)...)
}

// members is how many a double barrier is for.
const members = 3

// DoubleBarrier is a double barrier for three, with four clients, so that one may be missing.
func DoubleBarrier() *program.Program {
	return &program.Program{
		Name:     "double-barrier",
		Expiries: true,
		Client: func(ctx context.Context, e *program.Env) error {
			zk, err := e.Open(ctx)
			if zk == nil {
				return err
			}
			defer goodbye(e, zk)
			d, err := barrier.NewDouble(zk, "/round", members)
			if err != nil {
				return err
			}
			for e.Pause(ctx, 200*time.Millisecond) {
				if err := round(ctx, e, d); err != nil {
					return err
				}
			}
			return nil
		},
		Check: checkDouble,
	}
}

// round enters, is inside for a while, and leaves.
func round(ctx context.Context, e *program.Env, d *barrier.Double) error {
	// Half of them come several at a time, which makes it possible that nobody misses another.
	enter, cancel := context.WithTimeout(ctx, upTo(e, time.Second, 10*time.Second))
	defer cancel()
	p := e.Begin("enter", "", e.Session)
	m, err := d.Enter(enter)
	if err != nil {
		p.EndAs(history.Refused, nil, err)
		if enter.Err() != nil && errors.Is(err, enter.Err()) {
			return nil
		}
		return err
	}
	p.End(nil, nil)
	note := hold(e, "/round", holdIn{Token: m.Token(), Session: m.Session().ID(), Shared: true}, m.Err)
	note.keep(ctx, upTo(e, minHold, maxHold))
	note.end()
	leave, cancel := context.WithTimeout(context.Background(), upTo(e, time.Second, 10*time.Second))
	defer cancel()
	p = e.Begin("leave", "", e.Session)
	p.End(nil, m.Leave(leave))
	return nil
}

// presence is a time in which a member may have been counted.
type presence struct {
	*history.Op
	from, to history.Instant
}

// presences returns how long each of those that entered may have been counted, at most: until its Leave has said that it
// is out, or until what is cleaned up in the background must have gone.
func presences(ops []history.Op) (all []presence) {
	type who struct{ client, run int }
	last := map[who]history.Instant{}
	for i := range ops {
		op, at := &ops[i], ops[i].End
		if at == history.Never {
			at = max(op.Start, history.Decode[holdOut](op.Out).Alive)
		}
		last[who{op.Client, op.Run}] = max(last[who{op.Client, op.Run}], at)
	}
	open := map[who]int{}
	for i := range ops {
		op := &ops[i]
		w := who{op.Client, op.Run}
		switch op.Kind {
		case "enter":
			long := 3 * history.Decode[time.Duration](op.In)
			to := last[w].Add(long)
			if op.Outcome == history.Refused {
				to = op.End.Add(long)
			}
			open[w] = len(all)
			all = append(all, presence{op, op.Start, to})
		case "leave":
			if i, inside := open[w]; inside && op.Outcome == history.OK {
				all[i].to = op.End
			}
		}
	}
	return all
}

// checkDouble finds members that got in before enough had come, and members that were told that all had left when not all
// had.
func checkDouble(ops []history.Op) (bad []program.Violation) {
	all := presences(ops) // by their begins
	for _, p := range all {
		if p.Outcome != history.OK {
			continue
		}
		// From the last moment at which nobody was there the barrier is closed until there are enough at the same time.
		most := 0
		for _, q := range all {
			if q.from > p.End {
				break
			}
			n := 0
			for _, r := range all {
				if r.from <= q.from && r.to >= q.from {
					n++
				}
			}
			if n == 1 {
				most = 0
			}
			most = max(most, n)
		}
		if most < members {
			bad = append(bad, program.Violated("nobody is alone", "there had been %d at most: %v", most, p.Op))
		}
	}
	inside := holds(ops, "/round")
	for i := range ops {
		op := &ops[i]
		if op.Kind != "leave" || op.Outcome != history.OK {
			continue
		}
		for _, h := range inside {
			if h.Start < op.Start && h.Alive > op.End {
				bad = append(bad, program.Violated("all have left", "one was inside all the time: %v; %v", h.Op, op))
			}
		}
	}
	return append(bad, orphans(ops)...)
}
