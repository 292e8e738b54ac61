package gazoo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gazoo-zk/gazoo/zkproto"
)

type closeMode uint8

const (
	closeDrain closeMode = iota
	closeNow
	closeDetach
)

// moment is what Close grants, beyond its time, to goroutines that were told to stop.
const moment = 100 * time.Millisecond

var errCutShort = errors.New("cut short by CloseNow")

// close ends the client. The first caller does the work; others wait for it.
func (c *core) close(ctx context.Context, mode closeMode) error {
	late, cancel := withMoment(ctx)
	defer cancel()
	if mode == closeNow {
		c.send.abort(ErrClosed)
		// A Close that drains has no more patience than this one.
		defer context.AfterFunc(ctx, func() { c.hurry(errCutShort) })()
	}
	if c.closing.CompareAndSwap(false, true) {
		c.closeErr = c.shutdown(ctx, late, mode)
		close(c.closed)
	}
	select {
	case <-c.closed:
	case <-late.Done():
		return refuse("close", "", fmt.Errorf("another Close is still draining: %w", ctxError(ctx)))
	}
	if !c.manager.join(late.Done()) || !c.users.wait(late.Done(), false) {
		return refuse("close", "", fmt.Errorf("goroutines still running: %w", ctxError(ctx)))
	}
	if mode == closeNow || c.closeErr == nil {
		return nil
	}
	return refuse("close", "", c.closeErr)
}

// withMoment returns a context that ends a moment after ctx.
func withMoment(ctx context.Context) (late context.Context, cancel func()) {
	late, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		sleep(late, moment, nil)
		end()
	})
	return late, func() { stop(); end() }
}

// shutdown does the work of close. The error says what there was no time for.
func (c *core) shutdown(ctx, late context.Context, mode closeMode) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c.patience, func() { cancel(context.Cause(c.patience)) })()
	cause := ErrClosed
	c.send.end(cause, mode != closeNow)
	letGo := func() { c.manager.endTenancy(cause) }
	idle := false
	c.manager.do(func() {
		c.manager.closing = true
		if idle = c.send.isIdle(); idle && mode != closeDetach {
			letGo() // below, for a client that is not idle
		}
	})
	if mode != closeNow && !idle {
		select {
		case <-c.send.idle:
		case <-ctx.Done():
			c.send.abort(cause)
			err = fmt.Errorf("calls were still in flight: %w", ctxError(ctx))
		}
	}
	if mode == closeDetach {
		cause = ErrDetached
	} else {
		// Before the server hears of it: others may be granted what is held as soon as the session has ended there.
		if !idle {
			c.manager.do(letGo)
		}
		if !c.closeSession(ctx) && err == nil {
			err = fmt.Errorf("the server has not confirmed the session's end: %w", ctxError(ctx))
		}
	}
	c.endContexts()
	c.manager.do(func() { c.manager.stop(cause) })
	joined := c.manager.join(late.Done())
	c.calls.close()
	if joined && c.users.wait(closedChan, true) {
		close(c.done)
		return err
	}
	// A callback is still running, perhaps the one that called Close.
	go func() {
		<-c.manager.stopped
		c.users.wait(nil, true)
		close(c.done)
	}()
	return err
}

// closeSession asks the server to end the session and waits for its answer or the
// connection's end. It reports whether that came before the context's end.
func (c *core) closeSession(ctx context.Context) bool {
	cl := c.newCall(zkproto.OpCloseSession, "close session", "")
	if !c.send.inject(cl, 0) {
		cl.release()
		return true
	}
	if !cl.await(ctx.Done()) {
		if cl.desert() {
			return false
		}
		<-cl.ready
	}
	cl.release()
	return true
}

var closedChan = func() chan struct{} {
	ch := make(chan struct{})
	close(ch)
	return ch
}()
