package recipe

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gazoo-zk/gazoo/recipes/partition"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// boundary is how long a party has to stay the same before its members divide the set.
const boundary = 500 * time.Millisecond

// items is the set that is divided.
var items = []string{"a", "b", "c", "d", "e", "f", "g"}

// Partition is a set that is divided among all clients. In the end, when there are no faults, all of it is held.
func Partition() *program.Program {
	return &program.Program{
		Name:     "partition",
		Needs:    program.Needs{OneLeader: true}, // its locks are those of the default mode
		Expiries: true,
		Client: func(ctx context.Context, e *program.Env) error {
			zk, err := e.Open(ctx)
			if zk == nil {
				return err
			}
			defer goodbye(e, zk)
			// No two members may have one name: what the process before left stays until its session has expired.
			name := fmt.Sprintf("%d.%d", e.Client, e.Run)
			opts := []partition.Option{partition.WithIdentifier(name), partition.WithTimeBoundary(boundary)}
			long, stop := afterwards(ctx, e)
			defer stop()
			for long.Err() == nil {
				err := partition.Run(long, zk, "/set", items, func(share context.Context, mine []string) error {
					keepShare(ctx, share, e, mine, zk.SessionID())
					return nil
				}, opts...)
				if err != nil && long.Err() == nil {
					return err
				}
				e.Pause(ctx, time.Second)
			}
			return nil
		},
		Check: checkPartition,
	}
}

// settleTime is how long programs that promise something in the end go on when they are told to stop: sessions of those
// that were killed have to expire meanwhile.
func settleTime(e *program.Env) time.Duration { return 2*e.Session + 5*time.Second }

// afterwards returns a context that ends some time after ctx, and notes when that began.
func afterwards(ctx context.Context, e *program.Env) (context.Context, context.CancelFunc) {
	long, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		p := e.Begin("settle", "", nil)
		program.Sleep(long, settleTime(e))
		p.End(nil, nil)
		cancel()
	})
	return long, func() {
		stop()
		cancel()
	}
}

// keepShare holds a share until it has to be given up, or for a while while ctx lasts. The context of a share ends by a timer, so its
// being alive says something only when the process has been running for some time without a break.
func keepShare(ctx, share context.Context, e *program.Env, mine []string, session int64) {
	until := history.Never
	if ctx.Err() == nil && e.Rand.IntN(3) == 0 {
		until = e.Clock().Add(upTo(e, 100*time.Millisecond, 5*time.Second))
	}
	var steady steadiness
	notes := make([]*holding, len(mine))
	for i, item := range mine {
		notes[i] = hold(e, item, holdIn{Session: session}, steady.err(share))
	}
	defer func() {
		for _, n := range notes {
			n.end()
		}
	}()
	for share.Err() == nil && e.Clock() < until {
		steady.look(e.Clock())
		for _, n := range notes {
			n.look()
		}
		program.Sleep(share, look)
	}
}

// steadiness tells whether the process has been running for some time without a break.
type steadiness struct{ since, last history.Instant }

const (
	pause = 25 * time.Millisecond // a longer time between two looks is a break
	calm  = 100 * time.Millisecond
)

func (s *steadiness) look(at history.Instant) {
	if s.last == 0 || at.Since(s.last) > pause {
		s.since = at
	}
	s.last = at
}

// err returns what a context says while the process runs steadily.
func (s *steadiness) err(ctx context.Context) func() error {
	return func() error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if s.last.Since(s.since) < calm {
			return errUnsteady
		}
		return nil
	}
}

var errUnsteady = fmt.Errorf("it has not been running for %v without a break", calm)

// checkPartition finds items that two had, and some that nobody had in the end.
func checkPartition(ops []history.Op) (bad []program.Violation) {
	all := holds(ops, "")
	byItem := map[string][]held{}
	for _, h := range all {
		byItem[h.Key] = append(byItem[h.Key], h)
		if !slices.Contains(items, h.Key) {
			bad = append(bad, program.Violated("items of the set", "%q is none: %v", h.Key, h.Op))
		}
	}
	for _, of := range byItem {
		bad = append(bad, overlaps(of)...)
	}
	// Right before the first one goes, all have had the same time to settle.
	if at, _, ok := settled(ops); ok {
		for _, item := range items {
			if !slices.ContainsFunc(byItem[item], func(h held) bool { return h.Start <= at && h.End >= at }) {
				bad = append(bad, program.Violated("all is held", "nobody had %q at %v, when all had had %v to settle", item, time.Duration(at), byItem[item]))
			}
		}
	}
	return append(bad, orphans(ops)...)
}

// settled returns the moment right before the first client went of those that had been told to stop, and who those are.
// It is false when they had no time in common to settle.
func settled(ops []history.Op) (at history.Instant, clients []int, ok bool) {
	var from history.Instant
	at = history.Never
	for i := range ops {
		if op := &ops[i]; op.Kind == "settle" && op.Outcome == history.OK {
			clients = append(clients, op.Client)
			from, at = max(from, op.Start), min(at, op.End)
		}
	}
	return at - 1, clients, len(clients) > 0 && at.Since(from) > time.Second
}
