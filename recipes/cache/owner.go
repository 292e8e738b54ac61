package cache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
)

// owner is the goroutine that changes the tree. Everything it learns about a znode comes from reads, which are answered
// in the order in which they were sent; an event only says that a znode is to be read again. At most one read of a znode
// is in flight, and at most one more is queued.
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

// work is something to be read.
type work struct {
	path  string
	whole bool // compare all that is known below it too
	epoch int
}

// mark is something to be done when all has been dealt with that came before it.
type mark struct {
	epoch int
	due   func()
}

// read is a request that was sent.
type read struct {
	work
	kind readKind
	node gazoo.Future[gazoo.Node]
	stat gazoo.Future[gazoo.Presence] // without data
	list gazoo.Future[gazoo.Directory]
}

type readKind uint8

const (
	readNode readKind = iota
	readStat
	readKids
)

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
			r := o.flight[0]
			o.flight = o.flight[1:]
			if err := o.take(r); err != nil {
				return err
			}
			if o.undone[r.epoch]--; o.undone[r.epoch] == 0 {
				delete(o.undone, r.epoch)
			}
		case <-o.c.ctx.Done():
			return context.Cause(o.c.ctx)
		}
		o.settle()
	}
}

// open sets the watch, which waits for a connection.
func (o *owner[T]) open() (*gazoo.Stream, error) {
	var opts []gazoo.StreamOption
	if o.c.cfg.depth > 0 {
		opts = append(opts, gazoo.Recursive())
	}
	for {
		stream, err := o.c.zk.Watch(o.c.ctx, o.c.path, opts...)
		if err == nil || !passing(err) || o.c.ctx.Err() != nil {
			return stream, err
		}
	}
}

// pump brings events, and marks between them: whoever asks for a mark gets it behind all events that had arrived before.
func (o *owner[T]) pump(ctx context.Context, stream *gazoo.Stream, out chan<- any) {
	send := func(v any) bool {
		select {
		case out <- v:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for {
		wait, interrupt := context.WithCancel(ctx)
		var asked *ask[T]
		heard := make(chan struct{})
		go func() {
			defer close(heard)
			select {
			case a := <-o.c.asks:
				asked = &a
				interrupt()
			case <-wait.Done():
			}
		}()
		for {
			// Next prefers events to the end of its context, so it has returned all of them when it fails by that.
			ev, err := stream.Next(wait)
			if err == nil {
				if !send(ev) {
					interrupt()
					<-heard
					return
				}
				continue
			}
			ended := wait.Err() == nil
			interrupt()
			<-heard
			switch {
			case ended:
				send(err)
				return
			case ctx.Err() != nil:
				return
			}
			break
		}
		if asked != nil && !send(asked.done) {
			return
		}
	}
}

// pumpStates brings changes of the connection's state.
func (o *owner[T]) pumpStates(ctx context.Context, changes *gazoo.StateSubscription, out chan<- any) {
	for {
		ch, err := changes.Next(ctx)
		if err != nil {
			return // the stream's end tells the same
		}
		select {
		case out <- ch:
		case <-ctx.Done():
			return
		}
	}
}

// stateChange tells subscribers of the connection. Several changes in quick succession come as one.
func (o *owner[T]) stateChange(ch gazoo.StateChange) {
	if ch.To == gazoo.StateConnected && o.state == gazoo.StateConnected && ch.Missed > 0 {
		o.c.connection(Suspended)
	}
	o.state = ch.To
	if ch.To == gazoo.StateConnected {
		o.c.connection(Reconnected) // the stream's gap leads to a comparison
		return
	}
	// News that come late, when the connection is back already, say nothing of what the gap behind them has settled.
	if o.c.zk.State() != gazoo.StateConnected {
		o.c.setStale(true)
	}
	what := Suspended
	if ch.To == gazoo.StateLost {
		what = Lost
	}
	o.c.connection(what)
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
	names, inside := below(o.c.path, path)
	if !inside {
		return false
	}
	level, at := 0, o.c.path
	for name := range names {
		level, at = level+1, child(at, name)
		if level > o.c.cfg.depth || o.c.cfg.choose(at) == Prune {
			return false
		}
	}
	return true
}

// push queues a read of a znode, unless one is queued already.
func (o *owner[T]) push(w work) {
	if epoch, queued := o.queued[w.path]; queued && epoch <= w.epoch && !w.whole {
		return
	}
	o.queued[w.path] = w.epoch
	o.enqueue(w)
}

func (o *owner[T]) enqueue(w work) {
	o.undone[w.epoch]++
	o.queue = append(o.queue, w)
}

// sendNext sends a read to which another one has led.
func (o *owner[T]) sendNext(r read) {
	o.undone[r.epoch]++
	o.flight = append(o.flight, r)
}

// mark has something done when all that has come so far has been dealt with.
func (o *owner[T]) mark(due func()) {
	o.marks = append(o.marks, mark{o.epoch, due})
	o.epoch++
}

// send sends what is queued, as far as the window goes.
func (o *owner[T]) send() {
	for len(o.queue) > 0 && len(o.flight) < o.c.cfg.window {
		w := o.queue[0]
		o.queue[0] = work{}
		o.queue = o.queue[1:]
		r := read{work: w}
		switch {
		case o.c.cfg.noData || w.whole && o.c.has(w.path):
			// What is known is compared by its stat, and read only if that differs.
			r.kind, r.stat = readStat, o.async.Exists(o.c.ctx, w.path)
		default:
			r.kind, r.node = readNode, o.async.Get(o.c.ctx, w.path)
		}
		delete(o.queued, w.path)
		o.flight = append(o.flight, r)
	}
}

func (r read) done() <-chan struct{} {
	switch r.kind {
	case readNode:
		return r.node.Done()
	case readStat:
		return r.stat.Done()
	case readKids:
		return r.list.Done()
	}
	return nil
}

// take applies the answer to a read. An error ends the cache.
func (o *owner[T]) take(r read) error {
	switch r.kind {
	case readKids:
		dir, err := r.list.Wait(o.c.ctx)
		return o.takeKids(r, dir, err)
	case readStat:
		p, err := r.stat.Wait(o.c.ctx)
		if err == nil && !p.Exists {
			err = gazoo.ErrNoNode
		}
		if err == nil && !o.c.cfg.noData {
			if changed := o.c.differs(r.path, p.Stat); changed {
				// A read of all its content, in the place of the one that has just been answered.
				o.sendNext(read{work: r.work, kind: readNode, node: o.async.Get(o.c.ctx, r.path)})
				return nil
			}
			o.descend(r.work, p.Stat, false)
			return nil
		}
		return o.takeNode(r, nil, p.Stat, err)
	}
	node, err := r.node.Wait(o.c.ctx)
	return o.takeNode(r, node.Data, node.Stat, err)
}

func (o *owner[T]) takeNode(r read, data []byte, stat gazoo.Stat, err error) error {
	switch {
	case err == nil:
		fresh, known := o.c.put(r.path, data, stat)
		if known {
			o.descend(r.work, stat, fresh)
		}
	case errors.Is(err, gazoo.ErrNoNode):
		o.c.remove(r.path)
	case passing(err):
		o.push(r.work) // the next one waits for a connection
	case errors.Is(err, gazoo.ErrClosed), errors.Is(err, gazoo.ErrAuthFailed):
		return err
	default:
		o.c.fault(r.path, err)
	}
	return nil
}

// descend goes on below a znode that was read: to its children when it is fresh or they may have changed, and when all
// is compared.
func (o *owner[T]) descend(w work, stat gazoo.Stat, fresh bool) {
	names, inside := below(o.c.path, w.path)
	level := 0
	if inside {
		for range names {
			level++
		}
	}
	if level >= o.c.cfg.depth || !fresh && !w.whole || stat.NumChildren == 0 && !o.c.hasKids(w.path) {
		return
	}
	o.sendNext(read{work: w, kind: readKids, list: o.async.Children(o.c.ctx, w.path)})
}

// takeKids queues a znode's children: those that are not known, those that have gone, and when all is compared all.
func (o *owner[T]) takeKids(r read, dir gazoo.Directory, err error) error {
	switch {
	case err == nil:
	case errors.Is(err, gazoo.ErrNoNode):
		o.push(work{path: r.path, epoch: r.epoch})
		return nil
	case passing(err):
		o.enqueue(work{path: r.path, whole: r.whole, epoch: r.epoch})
		return nil
	case errors.Is(err, gazoo.ErrClosed), errors.Is(err, gazoo.ErrAuthFailed):
		return err
	default:
		o.c.fault(r.path, err)
		return nil
	}
	there := make(map[string]bool, len(dir.Children))
	for _, name := range dir.Children {
		there[name] = true
	}
	// Those that have gone come first: they make room.
	for _, name := range o.c.kidsOf(r.path) {
		if !there[name] {
			o.push(work{path: child(r.path, name), epoch: r.epoch})
		}
	}
	for _, name := range dir.Children {
		path := child(r.path, name)
		if o.c.cfg.choose(path) != Prune && (r.whole || !o.c.has(path)) {
			o.push(work{path: path, whole: r.whole, epoch: r.epoch})
		}
	}
	return nil
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

// passing reports whether the next connection or session may give another answer.
func passing(err error) bool {
	return retry.Lost(err) || errors.Is(err, gazoo.ErrThrottledOp)
}

// setStale says whether the cache is behind by an unknown amount.
func (c *Cache[T]) setStale(stale bool) {
	c.mu.Lock()
	if c.status.Stale != stale {
		c.status.Stale, c.status.Since = stale, time.Now()
	}
	c.wake()
	c.mu.Unlock()
}

// finish ends a comparison.
func (c *Cache[T]) finish() {
	c.mu.Lock()
	c.status.Generation++
	if c.status.Stale {
		c.status.Stale, c.status.Since = false, time.Now()
	}
	c.emit(Event[T]{Type: Synced, Path: c.path, Generation: c.status.Generation})
	c.wake()
	c.mu.Unlock()
}

// fail ends everything.
func (c *Cache[T]) fail(err error) {
	c.mu.Lock()
	c.failed = fmt.Errorf("cache %s: %w", c.path, err)
	c.status.Stale, c.status.Since = true, time.Now()
	for s := range c.subs {
		s.end(c.failed)
	}
	c.wake()
	c.mu.Unlock()
}

// wake lets those look again who wait for something. mu is held.
func (c *Cache[T]) wake() {
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}
