package cache

import (
	"context"
	"errors"
	"sync"

	"github.com/gazoo-zk/gazoo"
)

// oneShots feeds an owner on servers without persistent recursive watches: each znode has a one-shot watch on its data
// and, where the cache goes on below it, one on its children, set by the reads themselves.
type oneShots struct {
	// Owned by the owner: the watches that have not fired.
	data, kids map[string]*gazoo.Watch

	mu    sync.Mutex
	fired []fired // what the client's callback goroutine has told
	wake  chan struct{}
}

// fired is a watch that has ended, or a mark behind all that had ended before.
type fired struct {
	path string
	kids bool
	lost bool // it ended with its session
	mark func()
}

func newOneShots() *oneShots {
	return &oneShots{data: map[string]*gazoo.Watch{}, kids: map[string]*gazoo.Watch{}, wake: make(chan struct{}, 1)}
}

// tell notes something, from any goroutine.
func (w *oneShots) tell(f fired) {
	w.mu.Lock()
	w.fired = append(w.fired, f)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *oneShots) take() []fired {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.fired
	w.fired = nil
	return list
}

// arm keeps a watch until it fires.
func (w *oneShots) arm(path string, kids bool, watch *gazoo.Watch) {
	armed := w.data
	if kids {
		armed = w.kids
	}
	armed[path] = watch
	watch.Then(func(_ gazoo.Event, err error) {
		w.tell(fired{path: path, kids: kids, lost: err != nil})
	})
}

// close takes all watches off.
func (w *oneShots) close() {
	for _, armed := range []map[string]*gazoo.Watch{w.data, w.kids} {
		for _, watch := range armed {
			watch.Close()
		}
	}
}

// fired deals with what the watches have told.
func (o *owner[T]) firedOneShots() {
	lost := false
	for _, f := range o.shots.take() {
		switch {
		case f.mark != nil:
			o.push(work{mark: f.mark})
			continue
		case f.kids:
			delete(o.shots.kids, f.path)
		default:
			delete(o.shots.data, f.path)
		}
		switch {
		case f.lost:
			lost = true
		case f.kids:
			o.queue = append(o.queue, work{path: f.path, kids: true})
		default:
			o.push(work{path: f.path})
		}
	}
	if lost {
		o.compare() // its watches have to be set again
	}
}

// pumpMarks brings marks behind the watches that the client has told of: its callbacks run in the order of the wire.
func (o *owner[T]) pumpMarks(ctx context.Context) {
	for {
		select {
		case a := <-o.c.asks:
			o.async.Sync(ctx, o.c.path).Then(func(struct{}, error) { o.shots.tell(fired{mark: a.done}) })
		case <-ctx.Done():
			return
		}
	}
}

// sendWatched sends a read that sets a watch, unless it is set.
func (o *owner[T]) sendWatched(r *read) {
	path := r.path
	switch {
	case r.work.kids && o.shots.kids[path] != nil:
		r.kind, r.list = readKids, o.async.Children(o.c.ctx, path)
	case r.work.kids:
		r.kind, r.watchedList = readKidsWatched, o.async.ChildrenW(o.c.ctx, path)
	case o.shots.data[path] != nil:
		r.kind, r.node = readNode, o.async.Get(o.c.ctx, path)
	case path == o.c.path && r.missing:
		r.kind, r.watchedStat = readStatWatched, o.async.ExistsW(o.c.ctx, path)
	default:
		r.kind, r.watchedNode = readNodeWatched, o.async.GetW(o.c.ctx, path)
	}
}

// takeWatched is take for these.
func (o *owner[T]) takeWatched(r read) error {
	switch r.kind {
	case readKidsWatched:
		dir, err := r.watchedList.Wait(o.c.ctx)
		if err == nil {
			o.arm(r.path, true, dir.Watch)
		}
		return o.takeKids(r, dir.Directory, err)
	case readStatWatched:
		p, err := r.watchedStat.Wait(o.c.ctx)
		if err == nil {
			o.arm(r.path, false, p.Watch)
			if p.Exists {
				o.push(work{path: r.path, whole: r.whole}) // made meanwhile
			}
			return nil
		}
		return o.takeNode(r, nil, gazoo.Stat{}, err)
	}
	node, err := r.watchedNode.Wait(o.c.ctx)
	if err == nil {
		o.arm(r.path, false, node.Watch)
	}
	if errors.Is(err, gazoo.ErrNoNode) && r.path == o.c.path {
		o.push(work{path: r.path, whole: true, missing: true})
	}
	return o.takeNode(r, node.Data, node.Stat, err)
}

// arm keeps a watch; of two reads in flight the second one's is not needed.
func (o *owner[T]) arm(path string, kids bool, watch *gazoo.Watch) {
	if !kids && o.shots.data[path] != nil || kids && o.shots.kids[path] != nil {
		watch.Close()
		return
	}
	o.shots.arm(path, kids, watch)
}
