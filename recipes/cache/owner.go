package cache

import (
	"context"
	"strings"
	"sync"

	"github.com/gazoo-zk/gazoo"
)

// owner is the goroutine that changes the tree. Everything it learns about a znode comes from reads, which are answered
// in the order in which they were sent; an event only says that a znode is to be read again. However many events there are
// of a znode, one read of it is queued for them. The children that a listing has are queued as one work.
type owner[T any] struct {
	c     *Cache[T]
	async gazoo.Async

	queue  []work         // to be sent, in order
	flight []read         // sent, in order
	queued map[string]int // paths of queue, with their epochs
	round  int            // comparisons with the server begun
	synced int            // of these, finished
	state  gazoo.State

	// A mark ends an epoch: it is due when nothing is undone any more that belongs to its epoch or an earlier one. Reads
	// to which another one leads belong to that one's.
	epoch  int
	undone map[int]int // works and reads of each epoch that have not been dealt with
	marks  []mark      // in order
}

// mark is something to be done when all has been dealt with that came before it.
type mark struct {
	epoch int
	due   func()
}

// ask is what others want of the owner: to be told when all events that came before have been dealt with.
type ask[T any] struct{ done func() }

func newOwner[T any](c *Cache[T]) *owner[T] {
	return &owner[T]{c: c, async: c.zk.Async(), queued: map[string]int{}, undone: map[int]int{}, state: gazoo.StateConnected}
}

// run opens the watch, pumps its events, and follows them until the cache is closed or the client ends.
func (o *owner[T]) run() {
	defer close(o.c.done)
	err := o.follow()
	if cause := context.Cause(o.c.ctx); cause != nil {
		err = cause
	}
	o.c.fail(err)
}

func (o *owner[T]) follow() error {
	stream, err := o.open()
	if err != nil {
		return err
	}
	defer stream.Close()

	events := make(chan any) // gazoo.Event, gazoo.StateChange, func() for a mark, or error
	ctx, cancel := context.WithCancel(o.c.ctx)
	var pumps sync.WaitGroup
	defer pumps.Wait()
	defer cancel()
	changes := o.c.zk.SubscribeState()
	pumps.Go(func() { o.pump(ctx, stream, events) })
	pumps.Go(func() { o.pumpStates(ctx, changes, events) })

	o.compare()
	for {
		o.send()
		o.settle()
		var head <-chan struct{}
		if len(o.flight) > 0 {
			head = o.flight[0].done()
		}
		select {
		case ev := <-events:
			switch ev := ev.(type) {
			case error:
				return ev
			case gazoo.Event:
				o.event(ev)
			case gazoo.StateChange:
				o.stateChange(ev)
			case func():
				// An old server's events may come behind answers that are newer than they are: nothing but a look at
				// everything tells then.
				if stream.Emulated() {
					o.compare()
				}
				o.mark(ev)
			}
		case <-head:
			if err := o.land(); err != nil {
				return err
			}
		case <-o.c.ctx.Done():
			return context.Cause(o.c.ctx)
		}
	}
}

// compare begins to compare everything with the server.
func (o *owner[T]) compare() {
	o.round++
	o.c.mu.Lock()
	o.c.overflow = false // it is found again if it still is
	o.c.mu.Unlock()
	o.c.setStale(true)
	o.push(work{path: o.c.path, whole: true, epoch: o.epoch})
}

// event queues what an event says has changed.
func (o *owner[T]) event(ev gazoo.Event) {
	switch {
	case ev.Gap != gazoo.GapNone:
		o.compare()
	case ev.Type == gazoo.EventChildrenChanged:
	case o.within(ev.Path):
		o.push(work{path: ev.Path, epoch: o.epoch})
	}
}

// within reports whether a znode is to be read at all.
func (o *owner[T]) within(path string) bool {
	rest, inside := relative(o.c.path, path)
	if !inside || depthOf(rest) > o.c.cfg.depth {
		return false
	}
	if o.c.cfg.filter == nil {
		return true
	}
	for end := len(path) - len(rest); end < len(path); end++ {
		if slash := strings.IndexByte(path[end:], '/'); slash >= 0 {
			end += slash
		} else {
			end = len(path)
		}
		if o.c.cfg.choose(path[:end]) == Prune {
			return false
		}
	}
	return true
}

// depthOf is how many levels below the root a path relative to it is.
func depthOf(rest string) int {
	if rest == "" {
		return 0
	}
	return 1 + strings.Count(rest, "/")
}

// mark has something done when all that has come so far has been dealt with.
func (o *owner[T]) mark(due func()) {
	o.marks = append(o.marks, mark{o.epoch, due})
	o.epoch++
}

// settle notes that all is compared, when nothing is left to be read, and does what is due.
func (o *owner[T]) settle() {
	if len(o.undone) == 0 && o.synced < o.round {
		o.synced = o.round
		o.c.finish()
	}
	for len(o.marks) > 0 && o.dealtWith(o.marks[0].epoch) {
		o.marks[0].due()
		o.marks = o.marks[1:]
	}
}

// dealtWith reports whether nothing is undone of an epoch and those before it.
func (o *owner[T]) dealtWith(epoch int) bool {
	for undone := range o.undone {
		if undone <= epoch {
			return false
		}
	}
	return true
}
