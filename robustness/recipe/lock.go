package recipe

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/lock"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// Lock is a mutex, in its default mode. Holders write guarded by it, also when they have lost it.
func Lock() *program.Program { return lockProgram("lock", program.Needs{OneLeader: true}) }

// LockQuorum is a mutex in the mode in which holders are certain whatever is cut off.
func LockQuorum() *program.Program {
	return lockProgram("lock-quorum", program.Needs{}, lock.WithQuorum())
}

func lockProgram(name string, needs program.Needs, opts ...lock.Option) *program.Program {
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
			mu, err := lock.New(zk, "/lock", opts...)
			if err != nil {
				return err
			}
			for e.Pause(ctx, 200*time.Millisecond) {
				h, err := acquire(ctx, e, mu.Lock, mu.TryLock)
				if err != nil {
					return err
				}
				if h != nil {
					lockHeld(ctx, e, zk, h, "/lock", holdIn{})
				}
			}
			return nil
		},
		Final: func(ctx context.Context, e *program.Env) error {
			return final(ctx, e, func(zk *gazoo.Client) error {
				return errors.Join(fenceFinal(ctx, e, zk), empty(ctx, e, zk, "/lock"))
			})
		},
		Check: checkLock,
	}
}

// final runs what notes the end with a client.
func final(ctx context.Context, e *program.Env, note func(zk *gazoo.Client) error) error {
	zk, err := e.Connect(ctx)
	if err != nil {
		return err
	}
	defer zk.CloseNow()
	return note(zk)
}

// acquire waits for a lock, or tries, or waits for some time only. It returns nil when it has not got it, and an error
// when the reason is none that faults explain. A wait that is canceled has to end at once.
func acquire(ctx context.Context, e *program.Env, wait, try func(context.Context) (*lock.Held, error)) (*lock.Held, error) {
	take := wait
	switch dice := e.Rand.IntN(20); {
	case dice == 0:
		take = try
	case dice < 5:
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, upTo(e, 0, 2*time.Second))
		defer cancel()
	}
	var h *lock.Held
	err := cancelable(ctx, e, func(ctx context.Context) (err error) {
		h, err = take(ctx)
		return err
	})
	switch {
	case err == nil:
		return h, nil
	case errors.Is(err, lock.ErrBusy), ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return nil, nil
	}
	return nil, err
}

// cancelable runs what has to return at once when ctx ends, and notes how long that took.
func cancelable(ctx context.Context, e *program.Env, do func(context.Context) error) error {
	over := make(chan *stopwatch, 1)
	stop := context.AfterFunc(ctx, func() { over <- startWatch(e) })
	err := do(ctx)
	if stop() {
		return err
	}
	took := (<-over).stop()
	if err != nil {
		e.Note("cancel", "", span{Took: took, Err: err.Error()})
	}
	return err
}

// lockHeld is what a holder does.
func lockHeld(ctx context.Context, e *program.Env, zk *gazoo.Client, h *lock.Held, key string, in holdIn) {
	in.Token, in.Session = h.Token(), h.Session().ID()
	note := hold(e, key, in, h.Err)
	act := asking(zk)
	if !in.Shared && e.Rand.IntN(2) == 0 {
		act = func(ctx context.Context) {
			fence(ctx, e, h.Txn(), writeIn{Token: in.Token})
			asking(zk)(ctx)
		}
	}
	alive := note.keep(ctx, holdTime(e)) && note.during(e.Session, act)
	note.end()
	if !alive && !in.Shared {
		tooLate(e, zk, h.Path(), h.Txn(), in.Token)
	}
	release(e, zk, h.Release)
}

// holdTime is how long a lock is held: sometimes longer than a session lives that is cut off, since only then it shows
// whether its loss is noticed.
func holdTime(e *program.Env) time.Duration {
	if e.Rand.IntN(40) == 0 {
		return upTo(e, minHold, max(maxHold, 2*e.Session))
	}
	return upTo(e, minHold, maxHold)
}

// tooLate tries to write when what guards the writes has been lost: in the session that held it, and in whichever there
// is, which only the znode's absence can refuse.
func tooLate(e *program.Env, zk *gazoo.Client, path string, guard *gazoo.Txn, token int64) {
	ctx, cancel := context.WithTimeout(context.Background(), e.Session)
	defer cancel()
	fence(ctx, e, guard, writeIn{Token: token, Late: true})
	fence(ctx, e, zk.Txn().Check(path, gazoo.AnyVersion), writeIn{Token: token, Late: true})
}

// release gives something up: most of the time with patience, sometimes with a context that has ended or is about to.
func release(e *program.Env, zk *gazoo.Client, do func(context.Context) error) {
	limit := zk.SessionTimeout()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	switch dice := e.Rand.IntN(20); {
	case dice < 3:
		cancel()
		limit = time.Second
	case dice < 6:
		ctx, cancel = context.WithTimeout(ctx, upTo(e, 0, 5*time.Millisecond))
		defer cancel()
	}
	bounded(e, "release", limit, func() error { return do(ctx) })
}

func checkLock(ops []history.Op) []program.Violation {
	all := holds(ops, "/lock")
	return slices.Concat(overlaps(all), disorder(all), stale(ops), late(ops, "release"), late(ops, "cancel"), orphans(ops))
}
