package recipe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/election"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// Election is an election, in its default mode. Its leaders write guarded, resign or hand over.
func Election() *program.Program {
	return electionProgram("election", program.Needs{OneLeader: true})
}

// ElectionQuorum is an election in the mode in which leaders are certain whatever is cut off.
func ElectionQuorum() *program.Program {
	return electionProgram("election-quorum", program.Needs{}, election.WithQuorum())
}

// seat is the path of the election.
const seat = "/leader"

func electionProgram(name string, needs program.Needs, opts ...election.Option) *program.Program {
	return &program.Program{
		Name:     name,
		Needs:    needs,
		Expiries: true,
		Setup:    fenceSetup,
		Client: func(ctx context.Context, e *program.Env) error {
			zk, err := e.Open(ctx)
			if zk == nil {
				return err
			}
			defer goodbye(e, zk)
			el, err := election.New(zk, seat, slices.Concat(opts, []election.Option{election.WithIdentity(fmt.Sprint(e.Client))})...)
			if err != nil {
				return err
			}
			// One of them is a latch, which campaigns in the background.
			if e.Client == 0 {
				return latched(ctx, e, zk, el.Start())
			}
			for e.Pause(ctx, 200*time.Millisecond) {
				if err := campaign(ctx, e, zk, el); err != nil {
					return err
				}
			}
			return nil
		},
		Final: func(ctx context.Context, e *program.Env) error {
			return final(ctx, e, func(zk *gazoo.Client) error {
				return errors.Join(fenceFinal(ctx, e, zk), empty(ctx, e, zk, seat))
			})
		},
		Check: checkElection,
	}
}

// campaign takes part once, with more or less patience.
func campaign(ctx context.Context, e *program.Env, zk *gazoo.Client, el *election.Election) error {
	wait := ctx
	if e.Rand.IntN(5) == 0 {
		var cancel context.CancelFunc
		wait, cancel = context.WithTimeout(ctx, upTo(e, 0, 2*time.Second))
		defer cancel()
	}
	var l *election.Leadership
	err := cancelable(wait, e, func(ctx context.Context) (err error) {
		l, err = el.Campaign(ctx)
		return err
	})
	if err != nil {
		if wait.Err() != nil && errors.Is(err, wait.Err()) {
			return nil
		}
		return err
	}
	if !lead(ctx, e, zk, l) || e.Rand.IntN(5) > 0 {
		release(e, zk, l.Resign)
		return nil
	}
	// Whoever gets it may be gone by then. The leadership has ended with success alone.
	patience, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	heir := fmt.Sprint((e.Client + 1 + e.Rand.IntN(e.Clients-1)) % e.Clients)
	if err := l.HandOver(patience, heir); err != nil {
		release(e, zk, l.Resign)
	}
	return nil
}

// latched leads whenever a latch does.
func latched(ctx context.Context, e *program.Env, zk *gazoo.Client, latch *election.Latch) error {
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), clearing)
		defer cancel()
		latch.Close(ctx)
	}()
	for e.Pause(ctx, 200*time.Millisecond) {
		l, err := latch.Await(ctx)
		switch {
		case err == nil:
		case ctx.Err() != nil && errors.Is(err, ctx.Err()):
			continue
		default:
			return err
		}
		lead(ctx, e, zk, l)
		release(e, zk, l.Resign)
	}
	return nil
}

// lead leads for a while and reports whether it still does. The token and the session are those of a lock.
func lead(ctx context.Context, e *program.Env, zk *gazoo.Client, l *election.Leadership) bool {
	note := hold(e, seat, holdIn{Token: l.Token(), Session: l.Session().ID()}, l.Err)
	act := asking(zk)
	if e.Rand.IntN(2) == 0 {
		act = func(ctx context.Context) {
			fence(ctx, e, l.Txn(), writeIn{Token: l.Token()})
			asking(zk)(ctx)
		}
	}
	alive := note.keep(ctx, upTo(e, minHold, maxHold)) && note.during(e.Session, act)
	note.end()
	if !alive {
		tooLate(e, zk, l.Path(), l.Txn(), l.Token())
	}
	return alive
}

func checkElection(ops []history.Op) []program.Violation {
	all := holds(ops, seat)
	return slices.Concat(overlaps(all), disorder(all), stale(ops), late(ops, "release"), late(ops, "cancel"), orphans(ops))
}
