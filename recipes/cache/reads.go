package cache

import (
	"context"
	"errors"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
)

// This file is what the owner asks the server, and what it makes of the answers.

// work is something to be read: a znode, or children of it.
type work struct {
	path  string
	whole bool // compare all that is known below it too
	epoch int
	names []string // of the children; nil for the znode itself
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
		w := &o.queue[0]
		if len(w.names) > 0 {
			name := w.names[0]
			w.names = w.names[1:]
			o.sendKid(work{path: child(w.path, name), whole: w.whole, epoch: w.epoch})
			if len(w.names) > 0 {
				continue
			}
			o.finished(w.epoch)
		} else {
			delete(o.queued, w.path)
			o.flight = append(o.flight, o.request(*w))
		}
		*w = work{}
		o.queue = o.queue[1:]
	}
	if len(o.queue) == 0 {
		o.queue = nil // it has been as large as the tree is wide
	}
}

// sendKid sends a read of a child that was listed: of one that is known when all is compared only.
func (o *owner[T]) sendKid(w work) {
	if o.c.cfg.choose(w.path) != Prune && (w.whole || o.c.get(w.path) == nil) {
		o.sendNext(o.request(w))
	}
}

// request sends the first read of a znode. What is known is compared by its stat, and read only if that differs.
func (o *owner[T]) request(w work) read {
	if o.c.cfg.noData || w.whole && o.c.get(w.path) != nil {
		return read{work: w, kind: readStat, stat: o.async.Exists(o.c.ctx, w.path)}
	}
	return read{work: w, kind: readNode, node: o.async.Get(o.c.ctx, w.path)}
}

// finished notes that a work or a read has been dealt with.
func (o *owner[T]) finished(epoch int) {
	if o.undone[epoch]--; o.undone[epoch] == 0 {
		delete(o.undone, epoch)
	}
}

// land takes in the answers that have come: the first, and those behind it, but not so many that the server runs out of
// requests meanwhile.
func (o *owner[T]) land() error {
	for n := 0; len(o.flight) > 0 && n < o.c.cfg.window/4 && (n == 0 || o.flight[0].ready()); n++ {
		r := o.flight[0]
		o.flight[0] = read{}
		o.flight = o.flight[1:]
		if err := o.take(r); err != nil {
			return err
		}
		o.finished(r.epoch)
		o.settle()
	}
	return nil
}

func (r read) done() <-chan struct{} {
	switch r.kind {
	case readNode:
		return r.node.Done()
	case readStat:
		return r.stat.Done()
	}
	return r.list.Done()
}

func (r read) ready() bool {
	switch r.kind {
	case readNode:
		return r.node.Ready()
	case readStat:
		return r.stat.Ready()
	}
	return r.list.Ready()
}

// take applies the answer to a read, which has come. An error ends the cache.
func (o *owner[T]) take(r read) error {
	ctx := context.Background() // nothing is waited for
	switch r.kind {
	case readKids:
		dir, err := r.list.Wait(ctx)
		r.list.Release()
		return o.takeKids(r, dir, err)
	case readStat:
		p, err := r.stat.Wait(ctx)
		r.stat.Release()
		if err == nil && !p.Exists {
			err = gazoo.ErrNoNode
		}
		if err != nil || o.c.cfg.noData {
			return o.takeNode(r, nil, p.Stat, err)
		}
		n := o.c.get(r.path)
		if n == nil || n.stat.Czxid != p.Stat.Czxid || n.stat.Mzxid != p.Stat.Mzxid || o.c.unstored(n) {
			// A read of all its content, in the place of the one that has just been answered.
			o.sendNext(read{work: r.work, kind: readNode, node: o.async.Get(o.c.ctx, r.path)})
			return nil
		}
		o.descend(r.work, n, p.Stat, false)
		return nil
	}
	node, err := r.node.Wait(ctx)
	r.node.Release()
	return o.takeNode(r, node.Data, node.Stat, err)
}

func (o *owner[T]) takeNode(r read, data []byte, stat gazoo.Stat, err error) error {
	switch {
	case err == nil:
		if n, fresh := o.c.put(r.path, data, stat); n != nil {
			o.descend(r.work, n, stat, fresh)
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
func (o *owner[T]) descend(w work, n *node[T], stat gazoo.Stat, fresh bool) {
	if !fresh && !w.whole || stat.NumChildren == 0 && len(n.kids) == 0 {
		return
	}
	if rest, _ := relative(o.c.path, w.path); depthOf(rest) >= o.c.cfg.depth {
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
	// Those that have gone come first: they make room.
	if n := o.c.get(r.path); n != nil && len(n.kids) > 0 {
		there := make(map[string]bool, len(dir.Children))
		for _, name := range dir.Children {
			there[name] = true
		}
		for name := range n.kids {
			if !there[name] {
				o.push(work{path: child(r.path, name), epoch: r.epoch})
			}
		}
	}
	if len(dir.Children) > 0 {
		o.enqueue(work{path: r.path, whole: r.whole, epoch: r.epoch, names: dir.Children})
	}
	return nil
}

// passing reports whether the next connection or session may give another answer.
func passing(err error) bool {
	return retry.Lost(err) || errors.Is(err, gazoo.ErrThrottledOp)
}
