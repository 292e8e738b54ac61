package gazoo

import (
	"context"
	"iter"
	"sync"
)

// StreamOption configures [Client.Watch].
type StreamOption func(*Stream)

// Recursive watches the znode and everything below it. Such a stream yields Created,
// DataChanged and Deleted, never ChildrenChanged.
func Recursive() StreamOption { return func(s *Stream) { s.recursive = true } }

// StreamBuffer sets how many events a stream holds for a slow reader (default 10,000). When
// one more comes, all are dropped and a single [GapOverflow] takes their place: a reader that
// reads the tree again then misses nothing.
func StreamBuffer(events int) StreamOption { return func(s *Stream) { s.limit = max(1, events) } }

// Stream is a persistent watch: it yields every event of its znode (or subtree) until it is
// closed, across reconnects and sessions. After each reconnect it yields a gap before later
// events, because servers do not replay what happened meanwhile. Safe for concurrent use,
// though events are shared out among concurrent readers.
type Stream struct {
	core      *core
	path      string // absolute
	root      string
	recursive bool
	limit     int

	mu    sync.Mutex
	queue []Event
	err   error         // ends the stream once the queue is empty
	ready chan struct{} // one slot: there is something to look at
	end   chan struct{} // closed with err set

	emulation context.CancelFunc // set when the server has no addWatch
}

func newStream(c *core, path, root string, opts []StreamOption) *Stream {
	s := &Stream{
		core: c, path: path, root: root, limit: 10000,
		ready: make(chan struct{}, 1), end: make(chan struct{}),
	}
	for _, opt := range opts {
		opt(s)
	}
	return s
}

// push appends an event with an absolute path; it never blocks.
func (s *Stream) push(ev Event) {
	if ev.Type == EventNone {
		ev.Path = s.path
	}
	rel, inside := relPath(s.root, ev.Path)
	if !inside {
		return
	}
	ev.Path = rel
	s.mu.Lock()
	if s.err == nil {
		switch {
		case len(s.queue) >= s.limit:
			ev.Type, ev.Gap, ev.Zxid = EventNone, GapOverflow, 0
			ev.Path, _ = relPath(s.root, s.path)
			clear(s.queue)
			s.queue = append(s.queue[:0], ev)
		case ev.Gap != GapNone && len(s.queue) > 0 && s.queue[len(s.queue)-1].Gap != GapNone:
			s.queue[len(s.queue)-1].Gap = max(ev.Gap, s.queue[len(s.queue)-1].Gap)
		default:
			s.queue = append(s.queue, ev)
		}
	}
	s.mu.Unlock()
	s.wake()
}

func (s *Stream) wake() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// finish ends the stream; what is queued can still be read.
func (s *Stream) finish(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
		close(s.end)
	}
	s.mu.Unlock()
}

// Next returns the next event, waiting for it by ctx. A gap comes as [EventNone] with Gap set:
// read the watched znodes again. After the stream's end it returns why: [ErrWatchCanceled] or
// [ErrClosed].
func (s *Stream) Next(ctx context.Context) (Event, error) {
	if ctx == nil {
		return Event{}, s.opError(errNilContext)
	}
	for {
		s.mu.Lock()
		if len(s.queue) > 0 {
			ev := s.queue[0]
			s.queue = s.queue[1:]
			more := len(s.queue) > 0
			if !more {
				s.queue = nil
			}
			s.mu.Unlock()
			if more {
				s.wake() // another reader may be waiting
			}
			return ev, nil
		}
		err := s.err
		s.mu.Unlock()
		if err != nil {
			return Event{}, s.opError(err)
		}
		select {
		case <-s.ready:
		case <-s.end:
		case <-ctx.Done():
			return Event{}, s.opError(ctxError(ctx))
		}
	}
}

// Events iterates over Next until ctx or the stream ends; the last element carries the error.
// The stream itself stays open: close it.
func (s *Stream) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for {
			ev, err := s.Next(ctx)
			if !yield(ev, err) || err != nil {
				return
			}
		}
	}
}

// Emulated reports whether the stream is fed from one-shot watches, because a server did not know persistent ones. What
// [Client.Watch] says of the order of events and replies does not hold then: an event may come behind a reply that shows
// the change.
func (s *Stream) Emulated() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.emulation != nil
}

// Close ends the stream and takes its watch off the server when nothing else needs it. It
// does not wait and may be called more than once.
func (s *Stream) Close() {
	s.finish(ErrWatchCanceled)
	s.core.watches.closeStream(s)
	s.mu.Lock()
	stop := s.emulation
	s.mu.Unlock()
	if stop != nil {
		stop()
	}
}

func (s *Stream) opError(err error) error {
	path, _ := relPath(s.root, s.path)
	return &OpError{Op: "watch", Path: path, Outcome: OutcomeNotSent, Err: err}
}
