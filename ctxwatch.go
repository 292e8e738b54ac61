package gazoo

import (
	"context"
	"sync"
	"sync/atomic"
)

// A wait on two channels, the answer's and the context's, costs several times a wait on one, and
// callers that share a context contend for its channel. So a context that many calls in a row
// came with is watched once for all of them: when it ends, their callers are roused and look at
// it themselves. Calls with other contexts wait on both channels.

// ctxWatch is the watch of one context.
type ctxWatch struct {
	done <-chan struct{} // the context's
	stop func() bool
	over bool // ended or replaced: no call may come to rely on it. Guarded by sender.mu
}

// ctxWatches holds the one watch of a client.
type ctxWatches struct {
	current atomic.Pointer[ctxWatch]

	mu    sync.Mutex // guards what follows, and changes of current
	next  <-chan struct{}
	calls int // in a row that came with next
	ended bool
}

// worthWatching is how many calls in a row must have come with a context.
const worthWatching = 32

// watch returns the watch of a context, nil when it has none.
func (c *core) watch(ctx context.Context) *ctxWatch {
	done := ctx.Done()
	if done == nil {
		return nil
	}
	if w := c.contexts.current.Load(); w != nil && w.done == done {
		return w
	}
	// It is a guess about the calls to come, so one that another caller keeps from counting does not matter.
	if g := &c.contexts; g.mu.TryLock() {
		if g.next != done {
			g.next, g.calls = done, 0
		}
		g.calls++
		if g.calls >= worthWatching && !g.ended && ctx.Err() == nil {
			w := &ctxWatch{done: done}
			w.stop = context.AfterFunc(ctx, func() { c.send.rouse(w) })
			c.retire(g.current.Swap(w))
			g.next = nil
		}
		g.mu.Unlock()
	}
	return nil
}

// endContexts stops watching for good.
func (c *core) endContexts() {
	c.contexts.mu.Lock()
	defer c.contexts.mu.Unlock()
	c.contexts.ended = true
	c.retire(c.contexts.current.Swap(nil))
}

// retire stops a watch. Those who rely on it look after their context themselves from here on.
func (c *core) retire(w *ctxWatch) {
	if w != nil && w.stop() {
		c.send.rouse(w)
	}
}

// rouse has the callers who rely on a watch look at their context.
func (s *sender) rouse(w *ctxWatch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.over = true
	rouse := func(cl *call) {
		if cl.watch == w {
			cl.rouse()
		}
	}
	if l := s.link; l != nil {
		for i := range l.pending.len() {
			rouse(*l.pending.at(i))
		}
		for _, cl := range l.auths {
			rouse(cl)
		}
	}
	for cl := s.head; cl != nil; cl = cl.next {
		rouse(cl)
	}
}
