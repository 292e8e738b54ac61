package queue

import (
	"context"
	"fmt"
	"sync"

	"github.com/gazoo-zk/gazoo"
)

// Background puts without waiting for the answers, many at a time over one connection. Items of one goroutine reach the
// queue in the order of its calls. Safe for concurrent use.
type Background[T any] struct {
	c *core[T]

	mu      sync.Mutex
	pending int
	failed  int
	first   error         // of those that failed
	idle    chan struct{} // closed when nothing is pending
}

// Background makes the queue's path and returns what puts in the background. It does not go with [WithCapacity], whose
// count each put has to wait for.
func (c *core[T]) Background(ctx context.Context) (*Background[T], error) {
	if c.cfg.capacity > 0 {
		return nil, &gazoo.ArgumentError{Arg: "WithCapacity", Reason: "does not go with puts in the background"}
	}
	for _, p := range c.places {
		if err := ensure(ctx, c.zk, p.entries, c.cfg.acl); err != nil {
			return nil, fmt.Errorf("put into %s: %w", c.path, err)
		}
	}
	b := &Background[T]{c: c, idle: make(chan struct{})}
	close(b.idle)
	return b, nil
}

// Pending is a put that is on its way.
type Pending struct{ f gazoo.Future[gazoo.Created] }

// Wait waits for the result: nil once the item is in the queue. Nothing is tried again; [gazoo.MaybeApplied] tells
// whether an item whose answer was lost may be there. When ctx ends first the put goes on.
func (p Pending) Wait(ctx context.Context) error {
	_, err := p.f.Wait(ctx)
	return err
}

// Done returns a channel that is closed when the result is there.
func (p Pending) Done() <-chan struct{} { return p.f.Done() }

// Then has fn called with the result, on the client's callback goroutine.
func (p Pending) Then(fn func(error)) { p.f.Then(func(_ gazoo.Created, err error) { fn(err) }) }

// Put sends an item. ctx bounds how long it waits for room in the client's window ([gazoo.WithWindow]). The error is
// that of an argument, the codec, or the context, and nothing was sent then; what comes later is told by the result and by
// Flush.
func (b *Background[T]) Put(ctx context.Context, item T, opts ...PutOption) (Pending, error) {
	fail := func(err error) (Pending, error) { return Pending{}, fmt.Errorf("put into %s: %w", b.c.path, err) }
	prefix, err := b.c.cfg.style.newPut(opts)
	if err != nil {
		return fail(err)
	}
	data, err := b.c.encode([]T{item})
	if err != nil {
		return fail(err)
	}
	create := []gazoo.CreateOption{gazoo.Sequential()}
	if b.c.cfg.acl != nil {
		create = append(create, gazoo.WithACL(b.c.cfg.acl...))
	}
	b.begin()
	shard := b.c.shard()
	f := b.c.zk.Async().Create(ctx, gazoo.JoinPath(b.c.places[shard].entries, prefix), data[0], create...)
	if f.Ready() {
		if _, err := f.Wait(context.Background()); err != nil && gazoo.WasNotSent(err) {
			b.end(nil)
			return fail(err)
		}
	}
	f.Then(func(created gazoo.Created, err error) {
		if err == nil {
			b.c.noticed(shard, created.Path)
		}
		b.end(err)
	})
	return Pending{f}, nil
}

func (b *Background[T]) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pending++; b.pending == 1 {
		b.idle = make(chan struct{})
	}
}

func (b *Background[T]) end(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		if b.failed++; b.first == nil {
			b.first = err
		}
	}
	if b.pending--; b.pending == 0 {
		close(b.idle)
	}
}

// FlushError says how many puts have failed since the last Flush. It unwraps to the error of the first one.
type FlushError struct {
	Failed int
	Err    error
}

// Error gives the number and the first error.
func (e *FlushError) Error() string { return fmt.Sprintf("%d items not put: %v", e.Failed, e.Err) }

// Unwrap returns the first error.
func (e *FlushError) Unwrap() error { return e.Err }

// Flush waits until there is a result for every put so far, and tells of those that failed since the last Flush: nil
// says that all are in the queue.
//
// Errors: [*FlushError]; the context's, after which Flush may be called again.
func (b *Background[T]) Flush(ctx context.Context) error {
	b.mu.Lock()
	idle := b.idle
	b.mu.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
		return fmt.Errorf("flush %s: %w", b.c.path, context.Cause(ctx))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed == 0 {
		return nil
	}
	err := &FlushError{Failed: b.failed, Err: b.first}
	b.failed, b.first = 0, nil
	return fmt.Errorf("flush %s: %w", b.c.path, err)
}
