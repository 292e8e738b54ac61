package gazoo

import (
	"context"
	"fmt"

	"github.com/gazoo-zk/gazoo/zkproto"
)

type closeMode uint8

const (
	closeDrain closeMode = iota
	closeNow
	closeDetach
)

// close ends the client. The first caller does the work; others wait for it.
func (c *core) close(ctx context.Context, mode closeMode) error {
	if mode == closeNow {
		c.send.abort(ErrClosed)
	}
	if c.closing.CompareAndSwap(false, true) {
		c.shutdown(ctx, mode)
		close(c.closed)
	}
	select {
	case <-c.closed:
	case <-ctx.Done():
		return refuse("close", "", fmt.Errorf("another Close is still draining: %w", ctxError(ctx)))
	}
	if !c.manager.join(ctx.Done()) || !c.users.wait(ctx.Done(), false) {
		return refuse("close", "", fmt.Errorf("goroutines still running: %w", ctxError(ctx)))
	}
	return nil
}

func (c *core) shutdown(ctx context.Context, mode closeMode) {
	cause := ErrClosed
	c.manager.do(func() { c.manager.closing = true })
	c.send.end(cause, mode != closeNow)
	if mode != closeNow {
		select {
		case <-c.send.idle:
		case <-ctx.Done():
			c.send.abort(cause)
		}
	}
	if mode == closeDetach {
		cause = ErrDetached
	} else {
		c.closeSession(ctx)
	}
	c.manager.do(func() { c.manager.stop(cause) })
	c.manager.join(ctx.Done())
	c.calls.close()
	if c.users.wait(closedChan, true) {
		close(c.done)
		return
	}
	// A callback is still running, perhaps the one that called Close.
	go func() {
		c.users.wait(nil, true)
		close(c.done)
	}()
}

// closeSession asks the server to end the session and waits for its answer or the
// connection's end.
func (c *core) closeSession(ctx context.Context) {
	cl := c.newCall(zkproto.OpCloseSession, "close session", "")
	if !c.send.inject(cl, 0) {
		cl.release()
		return
	}
	select {
	case <-cl.ready:
		cl.release()
	case <-ctx.Done():
		if !cl.state.CompareAndSwap(callPending, callAbandoned) {
			<-cl.ready
			cl.release()
		}
	}
}

var closedChan = func() chan struct{} {
	ch := make(chan struct{})
	close(ch)
	return ch
}()
