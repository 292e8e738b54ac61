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

// RW is a read/write lock, in its default mode. Writers write guarded by it, and some turn into readers.
func RW() *program.Program { return rwProgram("rwlock", program.Needs{OneLeader: true}) }

// RWQuorum is a read/write lock in the mode in which holders are certain whatever is cut off.
func RWQuorum() *program.Program {
	return rwProgram("rwlock-quorum", program.Needs{}, lock.WithQuorum())
}

func rwProgram(name string, needs program.Needs, opts ...lock.Option) *program.Program {
	return &program.Program{
		Name:     name,
		Clients:  5,
		Needs:    needs,
		Expiries: true,
		Setup:    fenceSetup,
		Client: func(ctx context.Context, e *program.Env) error {
			zk, err := e.Open(ctx)
			if zk == nil {
				return err
			}
			defer goodbye(e, zk)
			rw, err := lock.NewRW(zk, "/lock", opts...)
			if err != nil {
				return err
			}
			for e.Pause(ctx, 200*time.Millisecond) {
				if e.Rand.IntN(3) > 0 {
					h, err := acquire(ctx, e, rw.RLock, rw.TryRLock)
					if err != nil {
						return err
					}
					if h != nil {
						lockHeld(ctx, e, zk, h, "/lock", holdIn{Shared: true})
					}
					continue
				}
				h, err := acquire(ctx, e, rw.Lock, rw.TryLock)
				if err != nil {
					return err
				}
				switch {
				case h == nil:
				case e.Rand.IntN(3) > 0:
					lockHeld(ctx, e, zk, h, "/lock", holdIn{})
				default:
					downgrade(ctx, e, zk, h)
				}
			}
			return nil
		},
		Final: func(ctx context.Context, e *program.Env) error {
			return final(ctx, e, func(zk *gazoo.Client) error {
				return errors.Join(fenceFinal(ctx, e, zk), empty(ctx, e, zk, "/lock"))
			})
		},
		Check: checkRW,
	}
}

// downgrade holds the write lock for a while, and then the read lock in its place.
func downgrade(ctx context.Context, e *program.Env, zk *gazoo.Client, h *lock.Held) {
	note := hold(e, "/lock", holdIn{Token: h.Token(), Session: h.Session().ID()}, h.Err)
	if note.keep(ctx, upTo(e, minHold, maxHold)) {
		note.during(e.Session, asking(zk))
	}
	note.end()
	patience, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := h.Downgrade(patience)
	if err != nil {
		h.Release(patience) // nothing is held any more, and a release does no harm
		return
	}
	lockHeld(ctx, e, zk, r, "/lock", holdIn{Shared: true, Was: h.Token()})
}

func checkRW(ops []history.Op) []program.Violation {
	all := holds(ops, "/lock")
	bad := slices.Concat(overlaps(all), disorder(all), stale(ops), late(ops, "release"), late(ops, "cancel"), orphans(ops))
	for _, r := range all {
		for _, w := range all {
			if r.Was != 0 && !w.Shared && w.Token > r.Was && w.Token < r.Token {
				bad = append(bad, program.Violated("no writer between", "a writer got in when another became a reader: %v; %v", w.Op, r.Op))
			}
		}
	}
	return bad
}

// permits is the size of the semaphore.
const permits = 3

// Semaphore is one of three permits, in its default mode. Some want two at once.
func Semaphore() *program.Program {
	return semaphoreProgram("semaphore", program.Needs{OneLeader: true})
}

// SemaphoreQuorum is a semaphore in the mode in which holders are certain whatever is cut off.
func SemaphoreQuorum() *program.Program {
	return semaphoreProgram("semaphore-quorum", program.Needs{}, lock.WithQuorum())
}

func semaphoreProgram(name string, needs program.Needs, opts ...lock.Option) *program.Program {
	return &program.Program{
		Name:     name,
		Clients:  5,
		Needs:    needs,
		Expiries: true,
		Client: func(ctx context.Context, e *program.Env) error {
			zk, err := e.Open(ctx)
			if zk == nil {
				return err
			}
			defer goodbye(e, zk)
			s, err := lock.NewSemaphore(zk, "/permits", permits, opts...)
			if err != nil {
				return err
			}
			for e.Pause(ctx, 100*time.Millisecond) {
				if err := usePermits(ctx, e, zk, s); err != nil {
					return err
				}
			}
			return nil
		},
		Final: func(ctx context.Context, e *program.Env) error {
			return final(ctx, e, func(zk *gazoo.Client) error { return empty(ctx, e, zk, "/permits", "/permits-__lock__") })
		},
		Check: checkSemaphore,
	}
}

func usePermits(ctx context.Context, e *program.Env, zk *gazoo.Client, s *lock.Semaphore) error {
	if e.Rand.IntN(3) > 0 {
		h, err := acquire(ctx, e, s.Acquire, s.TryAcquire)
		if h == nil {
			return err
		}
		lockHeld(ctx, e, zk, h, "/permits", holdIn{N: 1, Shared: true})
		return nil
	}
	var g *lock.Group
	wait, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := cancelable(wait, e, func(ctx context.Context) (err error) {
		g, err = s.AcquireN(ctx, 2)
		return err
	})
	if err != nil {
		if wait.Err() != nil && errors.Is(err, wait.Err()) {
			return nil
		}
		return err
	}
	note := hold(e, "/permits", holdIn{N: 2, Shared: true, Session: g.Members()[0].Session().ID()}, g.Err)
	if note.keep(ctx, upTo(e, minHold, maxHold)) {
		note.during(e.Session, asking(zk))
	}
	note.end()
	release(e, zk, g.Release)
	return nil
}

func checkSemaphore(ops []history.Op) (bad []program.Violation) {
	all := holds(ops, "/permits")
	for i, h := range all {
		n := h.N
		with := []*history.Op{h.Op}
		for _, before := range all[:i] {
			if before.Alive > h.Start {
				n += before.N
				with = append(with, before.Op)
			}
		}
		if n > permits {
			bad = append(bad, program.Violated("no more than there are", "%d of %d permits were held at the same time: %v", n, permits, with))
		}
	}
	return slices.Concat(bad, late(ops, "release"), late(ops, "cancel"), orphans(ops))
}
