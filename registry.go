package gazoo

import (
	"sync"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// registry knows which local watches hang on which path, and what the server is believed to
// hold for this connection. Everything is guarded by mu. It is changed in wire order by the
// reader (registrations take effect when their reply is processed, events remove them) and by
// owners who close their watches.
type registry struct {
	core     *core
	mu       sync.Mutex
	paths    map[string]*watchEntry
	streams  int       // recursive streams anywhere: without any, events need no walk to the root
	epoch    uint32    // counts connections: what the server held is forgotten with each
	emulated []*Stream // fed from one-shots, see emulate.go
	removed  bool      // removals were sent under mu, the sender needs a drain
}

func newRegistry(c *core) *registry {
	return &registry{core: c, paths: make(map[string]*watchEntry)}
}

func (r *registry) entry(path string) *watchEntry {
	e := r.paths[path]
	if e == nil {
		e = &watchEntry{path: path, epoch: r.epoch}
		r.paths[path] = e
	}
	r.refresh(e)
	return e
}

// refresh forgets what the server held on an earlier connection.
func (r *registry) refresh(e *watchEntry) {
	if e.epoch != r.epoch {
		e.epoch, e.server = r.epoch, 0
	}
}

func (r *registry) unlock() {
	removed := r.removed
	r.removed = false
	r.mu.Unlock()
	if removed {
		r.core.send.drain()
	}
}

// begin prepares a one-shot registration and reports whether the request is to carry the watch
// flag. On a path with a stream the watch is served from the stream's events and not sent:
// ZooKeeper 3.8 would replace the stream's registration.
func (r *registry) begin(w *Watch, path string) (remote bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entry(path)
	w.entry = e
	// A stream's registration outlives the stream while one-shots are served from it.
	w.local = e.adding() || e.server&tableStream != 0 || e.hasStreams()
	e.inflight++
	if !w.local {
		e.remote++
	}
	return !w.local
}

// settle is told the fate of the call that carried a registration, on the goroutine that
// completes it: the reader, in wire order, when there was an answer. Until then the entry stays.
func (w *Watch) settle(cl *call) {
	r, e := w.core.watches, w.entry
	missing := w.kind == watchExist && cl.outcome == OutcomeRefused && cl.err == error(ErrNoNode)
	ok := cl.err == nil || missing
	r.mu.Lock()
	r.refresh(e)
	e.inflight--
	if !w.local {
		e.remote--
		if ok {
			e.server |= w.kind.table()
		}
	}
	switch {
	case !ok:
		w.gone = true
	case w.gone:
		// Its owner closed it meanwhile.
	case w.local && !e.adding() && e.server&tableStream == 0:
		// The stream that was to serve it never came to be.
		w.gone = true
		w.fail(ErrWatchNotSet)
	default:
		if w.kind == watchExist && !missing {
			w.kind = watchData // it exists: that is how it is set again
		}
		e.shots[w.kind].add(w)
	}
	e.admit()
	r.tidy(e)
	r.unlock()
}

// tidy takes from the server what nothing local uses any more, and forgets empty entries. A
// removal strips every mode of its table on 3.8, so it is sent only when no local and no
// in-flight registration uses that table. Under mu; the request is put on the wire here, so
// that a registration begun later stays behind it.
func (r *registry) tidy(e *watchEntry) {
	if e.inflight > 0 || e.adding() {
		return
	}
	used := e.used()
	drop := e.server &^ used
	if e.server&tableStream != 0 {
		drop = 0 // it also serves the one-shots here
		if used == 0 {
			drop = e.server
		}
	}
	if drop != 0 && e.epoch == r.epoch {
		kind := zkproto.WatcherAny
		switch drop {
		case tableData:
			kind = zkproto.WatcherData
		case tableChild:
			kind = zkproto.WatcherChildren
		}
		r.remove(e.path, kind)
	}
	e.server &^= drop
	if used == 0 && (e.streams == nil || len(e.streams.waiters) == 0) && !e.gone {
		e.gone = true
		delete(r.paths, e.path)
	}
}

// remove sends a removeWatches without waiting for it. NoWatcher is success: a one-shot may
// have fired meanwhile. Without a connection there is nothing to remove, on a server without
// the operation no way to: the event will find nobody.
func (r *registry) remove(path string, kind zkproto.WatcherType) {
	cl := r.core.newCall(zkproto.OpRemoveWatches, "remove watches", path)
	cl.req.path, cl.req.num = path, int32(kind)
	cl.state.Store(callAbandoned) // nobody waits: complete releases it
	if !r.core.send.background(cl) {
		cl.release()
		return
	}
	r.removed = true
}

// cancel is Watch.Close.
func (r *registry) cancel(w *Watch) {
	r.mu.Lock()
	if !w.gone {
		w.gone = true
		w.entry.shots[w.kind].remove(w)
		r.tidy(w.entry)
	}
	r.unlock()
	w.fail(ErrWatchCanceled)
}

// dispatch hands an event to everyone it concerns. It runs on the reader and never blocks.
// The event's path is absolute.
func (r *registry) dispatch(wire zkproto.WatcherEvent, zxid int64) {
	ev := Event{Type: wire.Type, Path: wire.Path, Zxid: zxid}
	n := 0
	r.mu.Lock()
	if e := r.paths[ev.Path]; e != nil {
		n += r.fire(e, ev)
		if ev.Type != EventChildrenChanged || !r.derives(e) {
			// Where ChildrenChanged is derived, 3.9 sends it too.
			n += push(e.persistent(), ev)
		}
	}
	if r.streams > 0 && ev.Type != EventChildrenChanged {
		for path := ev.Path; ; path = ParentPath(path) {
			if e := r.paths[path]; e != nil {
				n += push(e.recursive(), ev)
			}
			if path == "/" {
				break
			}
		}
	}
	if ev.Type == EventCreated || ev.Type == EventDeleted {
		n += r.derive(ev)
	}
	r.unlock()
	if hooks := r.core.cfg.hooks.watch; len(hooks) > 0 {
		for _, h := range hooks {
			r.core.calls.enqueue(func() { h.OnWatch(WatchInfo{Event: ev, Receivers: n}) })
		}
	}
}

// derives reports whether the ChildrenChanged of a path is made here: the server has a
// recursive registration for it, which keeps 3.8 from sending it. The registration may outlive
// the last recursive stream, serving a persistent one.
func (r *registry) derives(e *watchEntry) bool {
	return e.epoch == r.epoch && e.server&tableStream != 0 && e.streams.mode == zkproto.WatchPersistentRecursive
}

// derive makes the ChildrenChanged of a parent out of its child's Created or Deleted.
func (r *registry) derive(ev Event) int {
	parent := ParentPath(ev.Path)
	e := r.paths[parent]
	if e == nil || !r.derives(e) || parent == ev.Path {
		return 0
	}
	ev.Type, ev.Path = EventChildrenChanged, parent
	return r.fire(e, ev) + push(e.persistent(), ev)
}

// fire ends the one-shots that an event concerns.
func (r *registry) fire(e *watchEntry, ev Event) (n int) {
	end := func(kind watchKind) {
		for w := range e.shots[kind].take() {
			w.gone = true
			w.finish(ev.Type, ev.Zxid, nil)
			n++
		}
	}
	if ev.Type == EventChildrenChanged || ev.Type == EventDeleted {
		end(watchChild)
		e.server &^= tableChild
	}
	if ev.Type != EventChildrenChanged {
		end(watchData)
		end(watchExist)
		e.server &^= tableData
	}
	r.tidy(e)
	return n
}

func push(streams []*Stream, ev Event) int {
	for _, s := range streams {
		s.push(ev)
	}
	return len(streams)
}

// dropped is told that the connection is gone: nothing is registered any more.
func (r *registry) dropped() {
	r.mu.Lock()
	r.epoch++
	r.mu.Unlock()
}

// endOneShots ends every one-shot watch: the session they belong to is lost.
func (r *registry) endOneShots(cause error) {
	r.mu.Lock()
	for _, e := range r.paths {
		for kind := range e.shots {
			for w := range e.shots[kind].take() {
				w.gone = true
				w.fail(cause)
			}
		}
		r.refresh(e)
		r.tidy(e)
	}
	r.unlock()
}

// end closes everything.
func (r *registry) end(cause error) {
	r.endOneShots(cause)
	r.mu.Lock()
	var all []*Stream
	for _, e := range r.paths {
		all = append(all, e.take()...)
		r.tidy(e)
	}
	all = append(all, r.emulated...)
	r.streams, r.emulated = 0, nil
	r.unlock()
	for _, s := range all {
		s.finish(cause)
	}
}

// count returns the local one-shots and streams, for tests and diagnostics.
func (r *registry) count() (oneShots, streams int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.paths {
		for kind := range e.shots {
			oneShots += e.shots[kind].len()
		}
		streams += len(e.persistent()) + len(e.recursive())
	}
	return oneShots, streams + len(r.emulated)
}
