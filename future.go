package gazoo

import (
	"context"
	"errors"
)

// Future is the result to come of an asynchronous operation. It is a small value: copy it,
// wait for it from several goroutines, attach callbacks. The zero Future is not usable.
type Future[T any] struct {
	zk   *Client
	cl   *call
	gen  uint32
	take func(*call) T
}

var errReleased = errors.New("future was released")

func (f Future[T]) stale() bool { return f.cl == nil || f.cl.gen.Load() != f.gen }

// Wait blocks until the operation is done and returns its result, as often as it is called.
// When ctx ends first the operation goes on: Wait may be called again.
func (f Future[T]) Wait(ctx context.Context) (T, error) {
	var zero T
	if ctx == nil {
		return zero, refuse("wait", "", errNilContext)
	}
	if f.stale() {
		return zero, refuse("wait", "", errReleased)
	}
	cl := f.cl
	if cl.finished() {
		return f.result()
	}
	if ctx.Err() != nil || !cl.await(ctx.Done()) {
		return zero, &OpError{Op: cl.name, Path: cl.path, Outcome: OutcomeUnknown, Write: cl.write, Err: ctxError(ctx)}
	}
	if cl.state.Load() == callTold {
		cl.ready <- struct{}{} // for the next waiter
	}
	return f.result()
}

func (f Future[T]) result() (T, error) {
	if f.cl.err != nil {
		var zero T
		return zero, f.cl.opError()
	}
	return f.take(f.cl), nil
}

// Ready reports whether Wait would return at once.
func (f Future[T]) Ready() bool { return !f.stale() && f.cl.finished() }

// Done returns a channel that is closed when the operation is done.
func (f Future[T]) Done() <-chan struct{} {
	if f.stale() {
		return closedChan
	}
	cl := f.cl
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if asked, _ := cl.ask(); !asked || cl.finished() {
		return closedChan
	}
	if cl.async == nil {
		cl.async = &asyncPart{}
	}
	if cl.async.done == nil {
		cl.async.done = make(chan struct{})
	}
	return cl.async.done
}

// Then has fn called with the result on the client's callback goroutine, after the callbacks
// of operations that finished before.
func (f Future[T]) Then(fn func(T, error)) {
	if f.stale() {
		return
	}
	cl, c := f.cl, f.zk.core
	run := func() { fn(f.Wait(context.Background())) }
	cl.mu.Lock()
	asked, _ := cl.ask()
	if cl.async == nil && (!asked || cl.finished()) {
		cl.mu.Unlock()
		c.calls.enqueue(run)
		return
	}
	if cl.async == nil {
		cl.async = &asyncPart{}
	}
	cl.async.then = append(cl.async.then, run)
	cl.mu.Unlock()
}

// Release gives the operation's memory back for the next one. It is never needed, and worth
// it only in tight pipelines: afterwards the future, and every copy of it, is spent. Call it
// only after a Wait that returned the result.
func (f Future[T]) Release() {
	if !f.Ready() {
		return
	}
	if f.cl.state.Load() == callTold {
		<-f.cl.ready // complete has put the token in, or is about to
	}
	f.cl.release()
}

// begin submits a call and returns its future. err is what was wrong with the arguments.
func begin[T any](ctx context.Context, zk *Client, cl *call, err error, take func(*call) T) Future[T] {
	if err != nil {
		return failed(zk, cl, err, take)
	}
	if ctx == nil {
		return failed(zk, cl, errNilContext, take)
	}
	cl.root, cl.bound = zk.root, zk.session
	f := Future[T]{zk: zk, cl: cl, gen: cl.gen.Load(), take: take}
	name, path, write, fallback := cl.name, cl.path, cl.write, cl.fallback
	if err := zk.core.send.submit(ctx, cl, false); err != nil {
		// The call is gone; a new one carries the error.
		again := zk.core.newCall(0, name, path)
		again.root, again.write, again.fallback = zk.root, write, fallback
		return failed(zk, again, errors.Unwrap(err), take)
	}
	return f
}

// failed returns a future that was never submitted.
func failed[T any](zk *Client, cl *call, err error, take func(*call) T) Future[T] {
	cl.fail(OutcomeNotSent, err)
	f := Future[T]{zk: zk, cl: cl, gen: cl.gen.Load(), take: take}
	cl.complete(zk.core)
	return f
}

// compose runs fn, an operation of several requests, on a goroutine of its own.
func compose[T any](ctx context.Context, zk *Client, name, path string, err error, fn func(context.Context) (T, error)) Future[T] {
	cl := zk.core.newCall(0, name, path)
	take := func(cl *call) T {
		v, _ := cl.value.(T)
		return v
	}
	if ctx == nil {
		err = errNilContext
	}
	if err != nil {
		return failed(zk, cl, err, take)
	}
	f := Future[T]{zk: zk, cl: cl, gen: cl.gen.Load(), take: take}
	zk.core.users.start(func() {
		v, err := fn(ctx)
		cl.value = v
		if err != nil {
			cl.fail(0, err)
		}
		cl.complete(zk.core)
	})
	return f
}
