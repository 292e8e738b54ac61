package lock

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
)

// Multi takes several locks as one: all of them or none. It takes them in the order of their paths, so programs that take
// overlapping sets by a Multi cannot wait for each other in a circle. Safe for concurrent use; it needs no close.
type Multi struct{ locks []*Mutex }

// NewMulti makes a lock of several, readers and writers of an [RW] among them. They must be of one client and chroot, and
// of different paths.
//
// Errors: [gazoo.ErrBadArguments].
func NewMulti(locks ...*Mutex) (*Multi, error) {
	bad := func(reason string) error {
		return fmt.Errorf("new multi-lock: %w", &gazoo.ArgumentError{Arg: "locks", Reason: reason})
	}
	if len(locks) == 0 || slices.Contains(locks, nil) {
		return nil, bad("must be there")
	}
	m := &Multi{locks: slices.Clone(locks)}
	slices.SortFunc(m.locks, func(a, b *Mutex) int { return cmp.Compare(a.path, b.path) })
	for i, l := range m.locks {
		if l.zk.Context() != m.locks[0].zk.Context() || l.zk.Root() != m.locks[0].zk.Root() {
			return nil, bad("are of different clients or chroots")
		}
		if i > 0 && l.path == m.locks[i-1].path {
			return nil, bad("have the path " + l.path + " in common")
		}
	}
	return m, nil
}

// Lock waits until it holds all of them. While it waits for one it holds those before it; when one of these is lost, it
// begins anew, unless a lock has [WithOneSession].
//
// Errors: those of [Mutex.Lock], and none is held then.
func (m *Multi) Lock(ctx context.Context) (*Group, error) { return m.acquire(ctx, false) }

// TryLock is Lock that does not wait for other contenders.
//
// Errors: [ErrBusy] and those of Lock.
func (m *Multi) TryLock(ctx context.Context) (*Group, error) { return m.acquire(ctx, true) }

// Do runs fn while all of them are held, with a context that ends when any is lost, or ctx ends; and releases them. The
// error is fn's, and else that of the locks.
func (m *Multi) Do(ctx context.Context, fn func(ctx context.Context, held *Group) error) error {
	return do(ctx, m.Lock, fn)
}

func (m *Multi) acquire(ctx context.Context, try bool) (*Group, error) {
	once := slices.ContainsFunc(m.locks, func(l *Mutex) bool { return l.cfg.once })
	for {
		held, err := m.takeAll(ctx, try)
		if err == nil {
			return held, nil
		}
		lost := errors.Is(err, ErrLost) || gazoo.SessionLost(err)
		if !lost || once || ctx.Err() != nil || m.locks[0].zk.Context().Err() != nil {
			return nil, fmt.Errorf("multi-lock: %w", retry.Canceled(ctx, err))
		}
	}
}

// takeAll takes the locks one behind the other. When one of them fails, or is lost before the last is there, it gives
// all back.
func (m *Multi) takeAll(ctx context.Context, try bool) (*Group, error) {
	var members []*Held
	wait, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	values := wait // with what a holder's context carries
	for _, l := range m.locks {
		held, err := l.acquire(values, try)
		if err != nil {
			if cause := context.Cause(wait); cause != nil && ctx.Err() == nil {
				err = cause
			}
			if len(members) > 0 {
				newGroup(ctx, members).Release(ctx)
			}
			return nil, err
		}
		members = append(members, held)
		values = context.WithValue(values, l.key(), held.hold)
		defer context.AfterFunc(held.Context(), func() { cancel(context.Cause(held.Context())) })()
	}
	g := newGroup(values, members)
	if err := g.Err(); err != nil {
		g.Release(ctx)
		return nil, err
	}
	return g, nil
}
