package cache

import (
	"context"
	"fmt"
	"iter"
	"sync"
)

// EventType is what happened.
type EventType uint8

const (
	Added       EventType = iota + 1 // a znode has come: New
	Changed                          // its data was written: Old and New
	Removed                          // it has gone: Old
	Synced                           // everything was compared with the server: Generation. The first one says that the cache is filled
	Suspended                        // the connection is lost
	Lost                             // the session is lost, or must be taken as lost
	Reconnected                      // the connection is back: a Synced follows
	Fault                            // a znode cannot be read or decoded, or there is no room for it: Err
)

// String returns the type in lower case.
func (t EventType) String() string {
	names := [...]string{"none", "added", "changed", "removed", "synced", "suspended", "lost", "reconnected", "fault"}
	if int(t) < len(names) {
		return names[t]
	}
	return fmt.Sprintf("event %d", uint8(t))
}

// Event is something that happened to a cache.
type Event[T any] struct {
	Type       EventType
	Path       string   // of the znode; of the cache's root for what concerns all
	Old, New   *Node[T] // before and after, nil for none; shared by all subscribers, so not to be changed
	Generation int      // of Synced
	Err        error    // of Fault
}

// Subscription is a queue of events of one subscriber. Safe for concurrent use, though events are shared out among
// concurrent readers. Close one that is not read any more.
type Subscription[T any] struct {
	c *Cache[T]

	mu     sync.Mutex
	queue  []Event[T]
	limit  int // of the queue, beyond which events are joined
	joined int
	err    error
	wake   chan struct{} // one slot
}

// Subscribe returns a subscription that begins with what the cache holds, as added znodes and, when it is in order, a
// Synced event; what happens from then on follows without a gap.
func (c *Cache[T]) Subscribe() *Subscription[T] {
	s := &Subscription[T]{c: c, wake: make(chan struct{}, 1)}
	var held []Node[T]
	if c.storage != nil {
		c.stored.RLock()
		defer c.stored.RUnlock()
		held = c.copyOf(c.path)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.storage == nil {
		held = c.exportAll(c.path)
	}
	for i := range held {
		s.queue = append(s.queue, Event[T]{Type: Added, Path: held[i].Path, New: new(held[i])})
	}
	if !c.status.Stale {
		s.queue = append(s.queue, Event[T]{Type: Synced, Path: c.path, Generation: c.status.Generation})
	}
	s.limit = max(c.cfg.queue, 2*len(s.queue))
	s.err = c.failed
	s.signal()
	c.subs[s] = struct{}{}
	return s
}

// Close ends the subscription. It may be called again.
func (s *Subscription[T]) Close() {
	s.c.mu.Lock()
	delete(s.c.subs, s)
	s.c.mu.Unlock()
	s.end(ErrClosed)
}

// Joined returns how many events were joined to others, because the subscriber was slow.
func (s *Subscription[T]) Joined() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.joined
}

// Next returns the next event. Behind the last one it returns why there will be none: [ErrClosed], what ended the cache,
// or ctx's error, after which it may be called again.
func (s *Subscription[T]) Next(ctx context.Context) (Event[T], error) {
	for {
		s.mu.Lock()
		if len(s.queue) > 0 {
			ev := s.queue[0]
			s.queue[0] = Event[T]{}
			s.queue = s.queue[1:]
			if len(s.queue) > 0 || s.err != nil {
				s.signal() // another reader may be waiting
			}
			s.mu.Unlock()
			return ev, nil
		}
		s.queue = nil
		err := s.err
		s.mu.Unlock()
		if err != nil {
			s.signal()
			return Event[T]{}, err
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return Event[T]{}, context.Cause(ctx)
		}
	}
}

func (s *Subscription[T]) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *Subscription[T]) end(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.mu.Unlock()
	s.signal()
}

func (s *Subscription[T]) push(ev Event[T]) {
	s.mu.Lock()
	if s.err == nil {
		s.queue = append(s.queue, ev)
		if len(s.queue) > s.limit {
			before := len(s.queue)
			s.queue = join(s.queue)
			s.joined += before - len(s.queue)
			s.limit = max(s.c.cfg.queue, 2*len(s.queue)) // joining costs a pass: the next one comes when it has doubled
		}
	}
	s.mu.Unlock()
	s.signal()
}

// join makes the events of each znode one. A znode that has come takes the place of its last coming, which is behind that
// of its parent; one that has gone that of its last going, which is before its parent's. Of the other events the last of
// each kind stays.
func join[T any](queue []Event[T]) []Event[T] {
	type history struct {
		before    *Node[T] // what the subscriber has of it
		after     *Node[T]
		came, end int // places of its last coming and its last event
	}
	nodes := map[string]*history{}
	others := map[EventType]int{}
	for i, ev := range queue {
		if !ev.concernsNode() {
			if ev.Type != Fault {
				others[ev.Type] = i
			}
			continue
		}
		h := nodes[ev.Path]
		if h == nil {
			h = &history{before: ev.Old}
			nodes[ev.Path] = h
		}
		if ev.Old == nil {
			h.came = i
		}
		h.after, h.end = ev.New, i
	}
	var out []Event[T]
	for i, ev := range queue {
		if !ev.concernsNode() {
			if last, once := others[ev.Type]; !once || last == i {
				out = append(out, ev)
			}
			continue
		}
		h := nodes[ev.Path]
		ev.Old, ev.New = h.before, h.after
		place := h.end
		switch {
		case h.before == nil && h.after == nil:
			continue // it came and went
		case h.before == nil:
			ev.Type, place = Added, h.came
		case h.after == nil:
			ev.Type = Removed
		default:
			ev.Type = Changed
		}
		if place == i {
			out = append(out, ev)
		}
	}
	return out
}

func (ev Event[T]) concernsNode() bool { return ev.Old != nil || ev.New != nil }

// Events iterates over a subscription of its own until ctx ends or the cache does; the last element carries the error.
func (c *Cache[T]) Events(ctx context.Context) iter.Seq2[Event[T], error] {
	return func(yield func(Event[T], error) bool) {
		s := c.Subscribe()
		defer s.Close()
		for {
			ev, err := s.Next(ctx)
			if !yield(ev, err) || err != nil {
				return
			}
		}
	}
}

// emit gives an event to all subscribers. c.mu is held.
func (c *Cache[T]) emit(ev Event[T]) {
	for s := range c.subs {
		s.push(ev)
	}
}
