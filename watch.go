package gazoo

import (
	"context"
	"sync"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// EventType is the kind of a watch event.
type EventType = zkproto.EventType

// Watch event types. Their names are ZooKeeper's, less "Node".
const (
	EventNone            = zkproto.EventNone            // no change: a gap, see Event.Gap
	EventCreated         = zkproto.EventCreated         // the znode was created
	EventDeleted         = zkproto.EventDeleted         // the znode was deleted
	EventDataChanged     = zkproto.EventDataChanged     // its data was set, equal or not
	EventChildrenChanged = zkproto.EventChildrenChanged // a direct child was created or deleted
)

// Event is what a watch delivers.
type Event struct {
	Type EventType
	Path string    // relative to the view that registered the watch
	Zxid int64     // of the change, when the server tells (ZooKeeper 3.9); else 0 or -1
	Gap  GapReason // set with EventNone on streams: events may be missing, read again
}

// GapReason says why a stream may have missed events.
type GapReason uint8

const (
	GapNone       GapReason = iota
	GapReconnect            // the connection was lost and the watch registered again: servers do not replay
	GapNewSession           // the same, and the session is a new one
	GapOverflow             // the reader was too slow and the queue was emptied
)

// String returns the reason in words.
func (g GapReason) String() string {
	return [...]string{"none", "reconnect", "new session", "overflow"}[min(g, 3)]
}

// watchKind says which table of the server a one-shot watch hangs in, and how it is set again.
type watchKind uint8

const (
	watchData watchKind = iota
	watchExist
	watchChild
	watchKinds // how many there are
)

// Watch is a one-shot watch, set by [Client.GetW], [Client.ExistsW] or [Client.ChildrenW]. It
// ends exactly once: with the event, or with the reason why none will come (session lost,
// client closed, watch closed). It survives reconnects within its session. Safe for
// concurrent use.
//
// Close a watch that is no longer wanted: the last one on a path is then removed from the
// server as well.
type Watch struct {
	core  *core
	entry *watchEntry // of its path

	// Guarded by registry.mu.
	next, prev *Watch // in the ring of its kind, nil outside of one
	kind       watchKind
	gone       bool // it has ended, or its owner closed it
	local      bool // not sent to the server: a stream on the same path serves it

	root int32 // length of the view's chroot, the beginning of the path

	mu   sync.Mutex // guards what follows
	over bool
	typ  EventType // the event's, when there is no err
	zxid int64
	err  error
	wait *watchWait // nil while nobody waits, and at the end
}

// watchWait is who waits for a watch. Most watches fire without.
type watchWait struct {
	done chan struct{} // nil until somebody asks for it
	then []func(Event, error)
}

func (w *Watch) path() string {
	path := w.entry.path[w.root:]
	if path == "" {
		return "/"
	}
	return path
}

// finish ends the watch, with the type and zxid of its event or with err. It never blocks.
func (w *Watch) finish(typ EventType, zxid int64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return
	}
	w.over, w.typ, w.zxid, w.err = true, typ, zxid, err
	if wait := w.wait; wait != nil {
		w.wait = nil
		if wait.done != nil {
			close(wait.done)
		}
		for _, fn := range wait.then {
			w.tell(fn)
		}
	}
}

// fail is finish without an event.
func (w *Watch) fail(err error) { w.finish(0, 0, err) }

// tell queues a callback; it never blocks.
func (w *Watch) tell(fn func(Event, error)) {
	w.core.calls.enqueue(func() { fn(w.Result()) })
}

// Wait blocks until the watch ends and returns its event, or why there is none:
// [ErrSessionExpired], [ErrSessionPresumed], [ErrClosed], [ErrWatchCanceled], [ErrWatchNotSet], or, when ctx ends
// first, the context's error (the watch goes on).
func (w *Watch) Wait(ctx context.Context) (Event, error) {
	if ctx == nil {
		return Event{}, w.opError(errNilContext)
	}
	select {
	case <-w.Done():
		return w.Result()
	case <-ctx.Done():
		return Event{}, w.opError(ctxError(ctx))
	}
}

// Done is closed when the watch has ended.
func (w *Watch) Done() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return closedChan
	}
	wait := w.waited()
	if wait.done == nil {
		wait.done = make(chan struct{})
	}
	return wait.done
}

// waited makes place for who waits. Under mu.
func (w *Watch) waited() *watchWait {
	if w.wait == nil {
		w.wait = &watchWait{}
	}
	return w.wait
}

// Result returns what Wait would, once Done is closed; before, it returns a zero event and no
// error.
func (w *Watch) Result() (Event, error) {
	w.mu.Lock()
	over, ev, err := w.over, Event{Type: w.typ, Zxid: w.zxid}, w.err
	w.mu.Unlock()
	switch {
	case !over:
		return Event{}, nil
	case err != nil:
		return Event{}, w.opError(err)
	}
	ev.Path = w.path()
	return ev, nil
}

// Then has fn called with the outcome on the client's callback goroutine, once.
func (w *Watch) Then(fn func(Event, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		w.tell(fn)
		return
	}
	wait := w.waited()
	wait.then = append(wait.then, fn)
}

// Close ends the watch with [ErrWatchCanceled] unless it has ended, and takes it off the server
// when it was the last one there. It does not wait and never fails.
func (w *Watch) Close() { w.core.watches.cancel(w) }

func (w *Watch) opError(err error) error {
	return &OpError{Op: "watch", Path: w.path(), Outcome: OutcomeNotSent, Err: err}
}
