package gazoo

import (
	"slices"
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
	epoch    uint64    // counts connections: what the server held is forgotten with each
	emulated []*Stream // fed from one-shots, see emulate.go
	removed  bool      // removals were sent under mu, the sender needs a drain
}

// watchEntry is everything about one absolute path.
type watchEntry struct {
	data, exist, child []*Watch // one-shots; data and exist share the server's data table
	persistent         []*Stream
	recursive          []*Stream

	inflight   int             // one-shot registrations not answered
	remote     int             // of these, sent with the watch flag
	adding     bool            // a stream registration is on its way
	waiters    []chan struct{} // stream registrations that wait for those before them
	epoch      uint64          // the connection for which server is true
	server     table
	serverMode zkproto.AddWatchMode // when server has tableStream
}

// table is what the server holds for a path.
type table uint8

const (
	tableData   table = 1 << iota // a one-shot in the data table
	tableChild                    // a one-shot in the child table
	tableStream                   // a persistent or recursive watch (both tables)
)

// registration accompanies the call that sets a one-shot watch.
type registration struct {
	r      *registry
	w      *Watch
	remote bool // the request carries the watch flag
}

func newRegistry(c *core) *registry {
	return &registry{core: c, paths: make(map[string]*watchEntry)}
}

func (r *registry) entry(path string) *watchEntry {
	e := r.paths[path]
	if e == nil {
		e = &watchEntry{epoch: r.epoch}
		r.paths[path] = e
	}
	if e.epoch != r.epoch {
		e.epoch, e.server = r.epoch, 0
	}
	return e
}

func (r *registry) unlock() {
	removed := r.removed
	r.removed = false
	r.mu.Unlock()
	if removed {
		r.core.send.drain()
	}
}

// begin prepares a one-shot registration. On a path with a stream the watch is served from
// the stream's events and not sent: ZooKeeper 3.8 would replace the stream's registration.
func (r *registry) begin(w *Watch) *registration {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entry(w.path)
	// A stream's registration outlives the stream while one-shots are served from it.
	g := &registration{r: r, w: w, remote: !e.adding && e.server&tableStream == 0 && len(e.persistent)+len(e.recursive) == 0}
	e.inflight++
	if g.remote {
		e.remote++
	}
	w.local = !g.remote
	return g
}

// settle is told the fate of the call that carried a registration, on the goroutine that
// completes it: the reader, in wire order, when there was an answer.
func (g *registration) settle(cl *call) {
	r, w := g.r, g.w
	missing := w.kind == watchExist && cl.outcome == OutcomeRefused && cl.err == error(ErrNoNode)
	ok := cl.err == nil || missing
	r.mu.Lock()
	e := r.entry(w.path)
	e.inflight--
	if g.remote {
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
	case w.local && !e.adding && e.server&tableStream == 0:
		// The stream that was to serve it never came to be.
		w.gone = true
		w.finish(Event{}, ErrWatchNotSet)
	case missing:
		e.exist = append(e.exist, w)
	case w.kind == watchChild:
		e.child = append(e.child, w)
	default:
		e.data = append(e.data, w)
	}
	e.admit()
	r.tidy(w.path, e)
	r.unlock()
}

// admit lets stream registrations look again. Under mu.
func (e *watchEntry) admit() {
	if e.remote == 0 && !e.adding {
		for _, ch := range e.waiters {
			close(ch)
		}
		e.waiters = nil
	}
}

func (k watchKind) table() table {
	if k == watchChild {
		return tableChild
	}
	return tableData
}

// used returns the tables that something local still needs.
func (e *watchEntry) used() (used table) {
	streams := len(e.persistent)+len(e.recursive) > 0
	if streams || len(e.data)+len(e.exist) > 0 {
		used |= tableData
	}
	if streams || len(e.child) > 0 {
		used |= tableChild
	}
	return used
}

// tidy takes from the server what nothing local uses any more, and forgets empty entries. A
// removal strips every mode of its table on 3.8, so it is sent only when no local and no
// in-flight registration uses that table. Under mu; the request is put on the wire here, so
// that a registration begun later stays behind it.
func (r *registry) tidy(path string, e *watchEntry) {
	if e.inflight > 0 || e.adding {
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
		r.remove(path, kind)
	}
	e.server &^= drop
	if used == 0 && len(e.waiters) == 0 {
		delete(r.paths, path)
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
		if e := r.paths[w.path]; e != nil {
			same := func(x *Watch) bool { return x == w }
			e.data = slices.DeleteFunc(e.data, same)
			e.exist = slices.DeleteFunc(e.exist, same)
			e.child = slices.DeleteFunc(e.child, same)
			r.tidy(w.path, e)
		}
	}
	r.unlock()
	w.finish(Event{}, ErrWatchCanceled)
}

// dispatch hands an event to everyone it concerns. It runs on the reader and never blocks.
// The event's path is absolute.
func (r *registry) dispatch(wire zkproto.WatcherEvent, zxid int64) {
	ev := Event{Type: wire.Type, Path: wire.Path, Zxid: zxid}
	n := 0
	r.mu.Lock()
	if e := r.paths[ev.Path]; e != nil {
		n += r.fire(ev.Path, e, ev)
		if ev.Type != EventChildrenChanged || !r.derives(e) {
			// Where ChildrenChanged is derived, 3.9 sends it too.
			n += push(e.persistent, ev)
		}
	}
	if r.streams > 0 && ev.Type != EventChildrenChanged {
		for path := ev.Path; ; path = ParentPath(path) {
			if e := r.paths[path]; e != nil {
				n += push(e.recursive, ev)
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
	return e.epoch == r.epoch && e.server&tableStream != 0 && e.serverMode == zkproto.WatchPersistentRecursive
}

// derive makes the ChildrenChanged of a parent out of its child's Created or Deleted.
func (r *registry) derive(ev Event) int {
	parent := ParentPath(ev.Path)
	e := r.paths[parent]
	if e == nil || !r.derives(e) || parent == ev.Path {
		return 0
	}
	ev.Type, ev.Path = EventChildrenChanged, parent
	return r.fire(parent, e, ev) + push(e.persistent, ev)
}

// fire ends the one-shots that an event concerns.
func (r *registry) fire(path string, e *watchEntry, ev Event) int {
	n := 0
	end := func(list *[]*Watch) {
		for _, w := range *list {
			w.gone = true
			w.fire(ev)
			n++
		}
		*list = nil
	}
	if ev.Type == EventChildrenChanged || ev.Type == EventDeleted {
		end(&e.child)
		e.server &^= tableChild
	}
	if ev.Type != EventChildrenChanged {
		end(&e.data)
		end(&e.exist)
		e.server &^= tableData
	}
	r.tidy(path, e)
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
	for path, e := range r.paths {
		for _, list := range []*[]*Watch{&e.data, &e.exist, &e.child} {
			for _, w := range *list {
				w.gone = true
				w.finish(Event{}, cause)
			}
			*list = nil
		}
		r.tidy(path, r.entry(path))
	}
	r.unlock()
}

// end closes everything.
func (r *registry) end(cause error) {
	r.endOneShots(cause)
	r.mu.Lock()
	var all []*Stream
	for path, e := range r.paths {
		all = append(append(all, e.persistent...), e.recursive...)
		e.persistent, e.recursive = nil, nil
		r.tidy(path, e)
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
		oneShots += len(e.data) + len(e.exist) + len(e.child)
		streams += len(e.persistent) + len(e.recursive)
	}
	return oneShots, streams + len(r.emulated)
}
