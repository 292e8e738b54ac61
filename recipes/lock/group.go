package lock

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gazoo-zk/gazoo"
)

// Group is several locks or permits that are held together ([Multi], [Semaphore.AcquireN]), all in one session. It ends
// when any of them does; those that are left stay held until the release. Release it. Safe for concurrent use.
type Group struct {
	members []*Held

	ctx      context.Context
	end      context.CancelCauseFunc
	stops    []func() bool
	released atomic.Bool
	freed    chan struct{}
	result   error // read behind freed
}

// newGroup makes a group of what is held; ctx gives its values.
func newGroup(ctx context.Context, members []*Held) *Group {
	g := &Group{members: members, freed: make(chan struct{})}
	g.ctx, g.end = context.WithCancelCause(context.WithoutCancel(ctx))
	for _, h := range members {
		g.stops = append(g.stops, context.AfterFunc(h.Context(), func() { g.end(context.Cause(h.Context())) }))
	}
	return g
}

// Members returns the handles, in the order of their paths.
func (g *Group) Members() []*Held { return slices.Clone(g.members) }

// Context ends when any of them is not held any more, or when that is in doubt, with its cause.
func (g *Group) Context() context.Context { return g.ctx }

// Err returns nil while all of them are held, and otherwise what ended the group. It reads the clock.
func (g *Group) Err() error {
	for _, h := range g.members {
		if g.ctx.Err() != nil {
			break
		}
		if err := h.Err(); err != nil {
			g.end(err)
		}
	}
	return context.Cause(g.ctx)
}

// Txn begins a transaction that the server applies only while all of them are held: it checks their znodes, so the
// results of what is added begin at the number of members. [Group.Lost] knows the error of one that came too late.
func (g *Group) Txn() *gazoo.Txn {
	txn := g.members[0].Txn()
	for _, h := range g.members[1:] {
		txn.Check(h.Path(), gazoo.AnyVersion)
	}
	return txn
}

// Lost reports whether the error of a transaction of [Group.Txn] says that one of them was not held any more.
func (g *Group) Lost(err error) bool {
	if failed, ok := errors.AsType[*gazoo.TxnError](err); ok {
		return failed.Index < len(g.members) && failed.Code == gazoo.ErrNoNode
	}
	return g.members[0].Lost(err)
}

// Verify asks the ensemble whether all of them are still held: see [Held.Verify].
//
// Errors: [ErrLost], [ErrReleased], the context's.
func (g *Group) Verify(ctx context.Context) error {
	if err := g.Err(); err != nil {
		return err
	}
	return errors.Join(g.each(func(h *Held) error { return h.Verify(ctx) })...)
}

// Release gives all of them up, at the same time: see [Held.Release].
//
// Errors: those of the members, joined.
func (g *Group) Release(ctx context.Context) error {
	if g.released.CompareAndSwap(false, true) {
		g.Err() // what ended it before counts
		g.end(ErrReleased)
		for _, stop := range g.stops {
			stop()
		}
		g.result = errors.Join(g.each(func(h *Held) error { return h.Release(ctx) })...)
		close(g.freed)
	}
	<-g.freed
	return g.result
}

// each runs fn for all members beside each other.
func (g *Group) each(fn func(*Held) error) []error {
	errs := make([]error, len(g.members))
	var wg sync.WaitGroup
	for i, h := range g.members {
		wg.Go(func() { errs[i] = fn(h) })
	}
	wg.Wait()
	return errs
}
