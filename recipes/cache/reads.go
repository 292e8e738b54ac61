package cache

import (
	"errors"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
)

// This file is what the owner asks the server, and what it makes of the answers.

// work is something to be read.
type work struct {
	path  string
	whole bool // compare all that is known below it too
	epoch int
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

// passing reports whether the next connection or session may give another answer.
func passing(err error) bool {
	return retry.Lost(err) || errors.Is(err, gazoo.ErrThrottledOp)
}
