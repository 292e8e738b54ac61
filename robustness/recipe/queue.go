package recipe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/queue"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// Locking is a queue that delivers each item at least once, in its default mode.
func Locking() *program.Program {
	return lockingProgram("locking-queue", program.Needs{OneLeader: true})
}

// LockingQuorum is that queue in the mode in which consumers are certain whatever is cut off.
func LockingQuorum() *program.Program {
	return lockingProgram("locking-queue-quorum", program.Needs{}, queue.WithQuorum())
}

// jobs is the path of the queues.
const jobs = "/jobs"

func lockingProgram(name string, needs program.Needs, opts ...queue.Option) *program.Program {
	return &program.Program{
		Name:     name,
		Needs:    needs,
		Expiries: true,
		Client: func(ctx context.Context, e *program.Env) error {
			zk, err := e.Open(ctx)
			if zk == nil {
				return err
			}
			defer goodbye(e, zk)
			q, err := queue.NewLocking(zk, jobs, queue.Text(), opts...)
			if err != nil {
				return err
			}
			for i := 0; e.Pause(ctx, 150*time.Millisecond); i++ {
				if e.Rand.IntN(10) < 4 {
					put(ctx, e, i, q.Put)
					continue
				}
				item, err := q.Poll(ctx, upTo(e, 0, time.Second))
				switch {
				case err == nil:
					work(ctx, e, zk, item)
				case errors.Is(err, queue.ErrEmpty), ctx.Err() != nil && errors.Is(err, ctx.Err()):
				default:
					return err
				}
			}
			return nil
		},
		Final: func(ctx context.Context, e *program.Env) error {
			return final(ctx, e, func(zk *gazoo.Client) error {
				if err := empty(ctx, e, zk, jobs+"/taken"); err != nil {
					return err
				}
				q, err := queue.NewLocking(zk, jobs, queue.Text())
				if err != nil {
					return err
				}
				return rest(ctx, e, q.Len, func(ctx context.Context) (string, error) {
					item, err := q.Get(ctx)
					if err != nil {
						return "", err
					}
					return item.Value, item.Consume(ctx)
				})
			})
		},
		Check: checkLocking,
	}
}

// put puts an item that nobody else puts. What is in doubt is not put again.
func put(ctx context.Context, e *program.Env, i int, do func(context.Context, string, ...queue.PutOption) error) {
	id := fmt.Sprintf("%d.%d.%d", e.Client, e.Run, i)
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	p := e.Begin("put", id, nil)
	p.End(nil, do(ctx, id))
}

// work is what a consumer does with an item: most of the time it consumes it, also one that it has lost.
func work(ctx context.Context, e *program.Env, zk *gazoo.Client, item *queue.Item[string]) {
	note := hold(e, item.Value, holdIn{Token: item.Token(), Session: item.Session().ID()}, item.Err)
	if note.keep(ctx, upTo(e, minHold, maxHold)) {
		note.during(e.Session, asking(zk))
	}
	note.end()
	end := func(what string, do func(context.Context) error) {
		ctx, cancel := context.WithTimeout(context.Background(), upTo(e, 10*time.Millisecond, 5*time.Second))
		defer cancel()
		p := e.Begin(what, item.Value, nil)
		err := do(ctx)
		outcome := history.OutcomeOf(err)
		if errors.Is(err, queue.ErrInDoubt) {
			outcome = history.Maybe
		}
		p.EndAs(outcome, nil, err)
	}
	switch dice := e.Rand.IntN(10); {
	case dice < 7:
		end("consume", item.Consume)
	case dice < 8:
		end("requeue", item.Requeue)
	default:
		release(e, zk, item.Release)
	}
}

// rest takes what is left when all clients have gone, and notes it.
func rest(ctx context.Context, e *program.Env, size func(context.Context) (int, error), take func(context.Context) (string, error)) error {
	var ids []string
	for {
		id, err := take(ctx)
		if errors.Is(err, queue.ErrEmpty) {
			break
		}
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	e.Note("rest", "", ids)
	n, err := size(ctx)
	if err == nil && n > 0 {
		e.Note("left", jobs, n)
	}
	return err
}

// parcel is what became of one item.
type parcel struct {
	id    string
	put   *history.Op
	done  []*history.Op // that certainly ended it: it was consumed, taken
	doubt []*history.Op // that perhaps ended it
	rest  int           // how often it was left
}

// parcels returns the items of a history. Those that end one are operations of the kind done, or doubts.
func parcels(ops []history.Op, done string, idOf func(*history.Op) string) (all []*parcel, byID map[string]*parcel, bad []program.Violation) {
	byID = map[string]*parcel{}
	for i := range ops {
		if op := &ops[i]; op.Kind == "put" {
			x := &parcel{id: op.Key, put: op}
			all, byID[op.Key] = append(all, x), x
		}
	}
	known := func(id string, op *history.Op) *parcel {
		x := byID[id]
		switch {
		case x == nil:
			bad = append(bad, program.Violated("nothing is invented", "nobody has put %q: %v", id, op))
		case x.put.Outcome == history.Refused:
			bad = append(bad, program.Violated("nothing is invented", "%q is there, though its put was refused: %v; %v", id, x.put, op))
		case op.End < x.put.Start:
			bad = append(bad, program.Violated("nothing is invented", "%q was there before it was put: %v; %v", id, op, x.put))
		}
		return x
	}
	for i := range ops {
		op := &ops[i]
		switch op.Kind {
		case done:
			switch op.Outcome {
			case history.OK:
				if x := known(idOf(op), op); x != nil {
					x.done = append(x.done, op)
				}
			case history.Maybe:
				if x := byID[idOf(op)]; x != nil {
					x.doubt = append(x.doubt, op)
				}
			}
		case "doubt":
			if x := known(op.Key, op); x != nil {
				x.doubt = append(x.doubt, op)
			}
		case "hold":
			known(op.Key, op)
		case "rest":
			for _, id := range history.Decode[[]string](op.Out) {
				if x := known(id, op); x != nil {
					x.rest++
				}
			}
		}
	}
	return all, byID, bad
}

// twice finds items that ended more than once.
func twice(all []*parcel) (bad []program.Violation) {
	for _, x := range all {
		if len(x.done)+x.rest > 1 {
			bad = append(bad, program.Violated("nothing twice", "%q was processed %d times, and was left %d times: %v", x.id, len(x.done), x.rest, x.done))
		}
	}
	return bad
}

// lost returns the items whose put was acknowledged and that have nevertheless gone.
func lost(all []*parcel) (gone []*parcel) {
	for _, x := range all {
		if x.put.Outcome == history.OK && len(x.done)+len(x.doubt)+x.rest == 0 {
			gone = append(gone, x)
		}
	}
	return gone
}

func ended(ops []history.Op, kind string) bool {
	return slices.ContainsFunc(ops, func(op history.Op) bool { return op.Kind == kind })
}

func checkLocking(ops []history.Op) []program.Violation {
	all, byID, bad := parcels(ops, "consume", func(op *history.Op) string { return op.Key })
	bad = append(bad, twice(all)...)
	if ended(ops, "rest") {
		for _, x := range lost(all) {
			bad = append(bad, program.Violated("nothing is lost", "%q was put, and nobody has consumed it: %v", x.id, x.put))
		}
	}
	for _, id := range keysOf(ops, "hold") {
		handed := holds(ops, id)
		bad = slices.Concat(bad, overlaps(handed), disorder(handed))
		if byID[id] == nil {
			continue
		}
		for _, c := range byID[id].done {
			for _, h := range handed {
				// The holder that has consumed it has stopped looking before.
				if h.Alive > c.End {
					bad = append(bad, program.Violated("nothing behind the end", "%q was held when it had been consumed: %v; %v", id, c, h.Op))
				}
			}
		}
	}
	return slices.Concat(bad, late(ops, "release"), orphans(ops))
}

// Plain is a queue that delivers each item at most once.
func Plain() *program.Program {
	return &program.Program{
		Name: "queue",
		Client: func(ctx context.Context, e *program.Env) error {
			zk, err := e.Open(ctx)
			if zk == nil {
				return err
			}
			defer goodbye(e, zk)
			q, err := queue.New(zk, jobs, queue.Text())
			if err != nil {
				return err
			}
			for i := 0; e.Pause(ctx, 150*time.Millisecond); i++ {
				if e.Rand.IntN(10) < 5 {
					put(ctx, e, i, q.Put)
					continue
				}
				p := e.Begin("take", "", nil)
				id, err := q.Poll(ctx, upTo(e, 0, time.Second))
				if doubt, ok := errors.AsType[*queue.DoubtError](err); ok {
					e.Note("doubt", string(doubt.Data), nil)
					// What it may have removed is known, so the operation itself leaves nothing open.
					p.EndAs(history.Refused, nil, err)
					continue
				}
				p.End(id, err)
				if err != nil && !errors.Is(err, queue.ErrEmpty) && !gazoo.MaybeApplied(err) && (ctx.Err() == nil || !errors.Is(err, ctx.Err())) {
					return err
				}
			}
			return nil
		},
		Final: func(ctx context.Context, e *program.Env) error {
			return final(ctx, e, func(zk *gazoo.Client) error {
				q, err := queue.New(zk, jobs, queue.Text())
				if err != nil {
					return err
				}
				return rest(ctx, e, q.Len, q.Get)
			})
		},
		Check: checkPlain,
	}
}

func checkPlain(ops []history.Op) []program.Violation {
	all, _, bad := parcels(ops, "take", func(op *history.Op) string { return history.Decode[string](op.Out) })
	bad = append(bad, twice(all)...)
	if ended(ops, "rest") {
		open := 0 // takes that may have removed an item of which nobody heard
		for i := range ops {
			if ops[i].Kind == "take" && ops[i].Outcome == history.Maybe {
				open++
			}
		}
		if gone := lost(all); len(gone) > open {
			for _, x := range gone {
				bad = append(bad, program.Violated("nothing is lost", "%q was put, and has gone (as have %d, with %d takes in doubt): %v", x.id, len(gone), open, x.put))
			}
		}
	}
	return slices.Concat(bad, orphans(ops))
}
