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
)

// Watch is a one-shot watch, set by [Client.GetW], [Client.ExistsW] or [Client.ChildrenW]. It
// ends exactly once: with the event, or with the reason why none will come (session lost,
// client closed, watch closed). It survives reconnects within its session. Safe for
// concurrent use.
//
// Close a watch that is no longer wanted: the last one on a path is then removed from the
// server as well.
type Watch struct {
	core *core
	path string // absolute
	root string // chroot of the view
	kind watchKind

	// Guarded by registry.mu.
	gone  bool // it has ended, or its owner closed it
	local bool // not sent to the server: a stream on the same path serves it

	mu   sync.Mutex // guards what follows
	done chan struct{}
	over bool
	ev   Event
	err  error
	then []func(Event, error)
}

func newWatch(c *core, path, root string, kind watchKind) *Watch {
	return &Watch{core: c, path: path, root: root, kind: kind, done: make(chan struct{})}
}

// fire ends the watch with an event, whose path is absolute. It never blocks.
func (w *Watch) fire(ev Event) {
	ev.Path, _ = relPath(w.root, ev.Path)
	w.finish(ev, nil)
}

func (w *Watch) finish(ev Event, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return
	}
	w.over, w.ev, w.err = true, ev, err
	close(w.done)
	for _, fn := range w.then {
		w.tell(fn)
	}
	w.then = nil
}

// tell queues a callback; it never blocks.
func (w *Watch) tell(fn func(Event, error)) {
	w.core.calls.enqueue(func() { fn(w.Result()) })
}

// Wait blocks until the watch ends and returns its event, or why there is none:
// [ErrSessionExpired], [ErrSessionPresumed], [ErrClosed], [ErrWatchCanceled], [ErrWatchNotSet], or, when ctx ends
// first, the context's error (the watch goes on).
func (w *Watch) Wait(ctx context.Context) (Event, error) {
	if ctx == nil {
		return Event{}, refuse("watch", w.path, errNilContext)
	}
	select {
	case <-w.done:
		return w.Result()
	case <-ctx.Done():
		return Event{}, w.opError(ctxError(ctx))
	}
}

// Done is closed when the watch has ended.
func (w *Watch) Done() <-chan struct{} { return w.done }

// Result returns what Wait would, once Done is closed; before, it returns a zero event and no
// error.
func (w *Watch) Result() (Event, error) {
	select {
	case <-w.done:
	default:
		return Event{}, nil
	}
	if w.err != nil {
		return Event{}, w.opError(w.err)
	}
	return w.ev, nil
}

// Then has fn called with the outcome on the client's callback goroutine, once.
func (w *Watch) Then(fn func(Event, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		w.tell(fn)
		return
	}
	w.then = append(w.then, fn)
}

// Close ends the watch with [ErrWatchCanceled] unless it has ended, and takes it off the server
// when it was the last one there. It does not wait and never fails.
func (w *Watch) Close() { w.core.watches.cancel(w) }

func (w *Watch) opError(err error) error {
	path, _ := relPath(w.root, w.path)
	return &OpError{Op: "watch", Path: path, Outcome: OutcomeNotSent, Err: err}
}
