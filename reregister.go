package gazoo

import (
	"context"

	"github.com/gazoo-zk/gazoo/internal/plant"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// This file is the registry's work around a connection: registering streams, and registering
// everything again after a reconnect.

// streamRegistration accompanies the call that adds a stream.
type streamRegistration struct {
	r    *registry
	s    *Stream
	mode zkproto.AddWatchMode
}

// beginStream waits for its turn on the path: one-shots sent as watches must be answered
// first (on 3.8 they would replace the stream's registration), and so must another stream. It
// returns nil when the server's registration serves the new stream already, which is then
// attached.
func (r *registry) beginStream(ctx context.Context, s *Stream) (*streamRegistration, error) {
	for {
		r.mu.Lock()
		e := r.entry(s.path)
		if e.server&tableStream != 0 && (e.streams.mode == zkproto.WatchPersistentRecursive || !s.recursive) {
			r.attach(e, s)
			r.mu.Unlock()
			return nil, nil
		}
		se := e.stream()
		if e.remote == 0 && !se.adding {
			se.adding = true
			g := &streamRegistration{r: r, s: s, mode: zkproto.WatchPersistent}
			if s.recursive || len(se.recursive) > 0 {
				g.mode = zkproto.WatchPersistentRecursive
			}
			r.mu.Unlock()
			return g, nil
		}
		turn := make(chan struct{})
		se.waiters = append(se.waiters, turn)
		r.mu.Unlock()
		select {
		case <-turn:
		case <-ctx.Done():
			return nil, ctxError(ctx)
		}
	}
}

func (r *registry) attach(e *watchEntry, s *Stream) {
	se := e.stream()
	if s.recursive {
		se.recursive = append(se.recursive, s)
		r.streams++
		return
	}
	se.persistent = append(se.persistent, s)
}

// settle is registration.settle for streams.
func (g *streamRegistration) settle(cl *call) {
	r, s := g.r, g.s
	r.mu.Lock()
	e := r.entry(s.path)
	se := e.stream()
	se.adding = false
	if cl.err == nil {
		e.server |= tableStream
		se.mode = g.mode
		s.mu.Lock()
		closed := s.err != nil
		s.mu.Unlock()
		if !closed {
			r.attach(e, s)
		}
	} else if e.server&tableStream == 0 {
		r.orphan(e)
	}
	e.admit()
	r.tidy(e)
	r.unlock()
}

// orphan ends the one-shots that a stream was to serve. Under mu.
func (r *registry) orphan(e *watchEntry) {
	var kept watchRing
	for kind := range e.shots {
		ring := &e.shots[kind]
		for w := range ring.take() {
			if w.local {
				w.gone = true
				w.fail(ErrWatchNotSet)
				continue
			}
			kept.add(w)
		}
		*ring, kept = kept, watchRing{}
	}
}

// closeStream is Stream.Close.
func (r *registry) closeStream(s *Stream) {
	same := func(x *Stream) bool { return x == s }
	r.mu.Lock()
	if e := r.paths[s.path]; e != nil {
		if se := e.streams; se != nil {
			before := len(se.recursive)
			se.recursive = deleteFunc(se.recursive, same)
			r.streams -= before - len(se.recursive)
			se.persistent = deleteFunc(se.persistent, same)
		}
		r.tidy(e)
	}
	r.emulated = deleteFunc(r.emulated, same)
	r.unlock()
}

// adopt takes in a stream that is fed from one-shots.
func (r *registry) adopt(s *Stream) {
	r.mu.Lock()
	r.emulated = append(r.emulated, s)
	r.mu.Unlock()
}

// degrade takes every stream off its path, for a connection to a server without addWatch; the
// caller has them emulated.
func (r *registry) degrade() []*Stream {
	r.mu.Lock()
	var all []*Stream
	for _, e := range r.paths {
		all = append(all, e.take()...)
		r.orphan(e)
		r.tidy(e)
	}
	r.streams = 0
	r.unlock()
	return all
}

// deleteFunc copies: dispatch may be walking the old slice of another entry's stream.
func deleteFunc(list []*Stream, del func(*Stream) bool) []*Stream {
	var kept []*Stream
	for _, s := range list {
		if !del(s) {
			kept = append(kept, s)
		}
	}
	return kept
}

// renewal is what a handshake registers again: how many requests, and what they cover.
type renewal struct {
	requests int
	paths    []renewed
	watches  int
	streams  bool // there were setWatches2 requests
}

type renewed struct {
	entry  *watchEntry
	mode   zkproto.AddWatchMode
	server table
}

// maxRenewal bounds one setWatches request: well under the servers' default limit of 1 MiB
// whatever else is in it (ZOOKEEPER-706).
const maxRenewal = 120 << 10

// watchLists is a setWatches request in the making: its lists, encoded.
type watchLists struct {
	lists [5]struct {
		paths int32
		bytes []byte
	}
	size  int
	frame []byte
}

// The lists of a setWatches2 request, in their order. A setWatches request has those of the
// one-shots, whose numbers are the kinds.
const (
	listPersistent = iota + int(watchKinds)
	listRecursive
)

func (l *watchLists) add(list int, path string) {
	l.lists[list].paths++
	l.lists[list].bytes = zkproto.AppendString(l.lists[list].bytes, path)
	l.size += 4 + len(path)
}

// cut returns the request as a frame, valid until the next one, and begins another.
func (l *watchLists) cut(zxid int64) (frame []byte, streams bool) {
	streams = l.lists[listPersistent].paths+l.lists[listRecursive].paths > 0
	op, n := zkproto.OpSetWatches, int(watchKinds)
	if streams {
		op, n = zkproto.OpSetWatches2, len(l.lists)
	}
	b, mark := zkproto.BeginFrame(l.frame[:0])
	b = zkproto.RequestHeader{Xid: zkproto.XidSetWatches, Op: op}.AppendTo(b)
	b = zkproto.AppendInt64(b, zxid)
	for i := range l.lists[:n] {
		list := &l.lists[i]
		b = zkproto.AppendInt32(b, list.paths)
		b = append(b, list.bytes...)
		list.paths, list.bytes = 0, list.bytes[:0]
	}
	l.size = 0
	l.frame = zkproto.EndFrame(b, mark)
	return l.frame, streams
}

// renew sends the registration of everything there is. zxid is the last one seen when the
// connection was lost: the server compares it with each znode and answers with the events
// that were missed. oneShots is false for a new session, whose one-shots have ended. send is
// called under mu, and does not keep what it gets.
func (r *registry) renew(zxid int64, oneShots, streams bool, send func(frame []byte)) *renewal {
	rn := &renewal{}
	var lists watchLists
	cut := func() {
		if lists.size == 0 {
			return
		}
		frame, streams := lists.cut(zxid)
		rn.streams = rn.streams || streams
		rn.requests++
		send(frame)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	rn.paths = make([]renewed, 0, len(r.paths))
	forgot := false
	for _, e := range r.paths {
		p := renewed{entry: e}
		var where [len(lists.lists)]bool
		n := 0
		add := func(list int, t table) {
			where[list] = true
			p.server |= t
			n++
		}
		if oneShots {
			for kind := range e.shots {
				if e.shots[kind].first != nil {
					add(kind, watchKind(kind).table())
				}
			}
		}
		switch {
		case !streams || e.streams == nil:
		case len(e.streams.recursive) > 0:
			add(listRecursive, tableStream)
			p.mode = zkproto.WatchPersistentRecursive
		case len(e.streams.persistent) > 0:
			add(listPersistent, tableStream)
		}
		if n == 0 {
			continue
		}
		rn.paths = append(rn.paths, p)
		if plant.ClientForgetsWatch && !forgot {
			forgot = true
			continue
		}
		// All lists of one path go into one request: within it the server handles streams
		// last, so that on 3.8 they are what remains.
		if lists.size+n*(len(e.path)+4) > maxRenewal {
			cut()
		}
		for list, in := range where {
			if in {
				lists.add(list, e.path)
			}
		}
		rn.watches += n
	}
	cut()
	return rn
}

// renewed records what a handshake registered and puts the gap markers. It returns the paths
// that nothing uses any more, to be tidied when requests can be sent.
func (r *registry) renewed(rn *renewal, gap GapReason) (stale []*watchEntry) {
	r.mu.Lock()
	for _, p := range rn.paths {
		e := p.entry
		if e.gone {
			e = r.entry(e.path) // the server has it all the same
		}
		r.refresh(e)
		e.server |= p.server
		if p.server&tableStream != 0 {
			e.stream().mode = p.mode
			push(e.persistent(), Event{Type: EventNone, Gap: gap})
			push(e.recursive(), Event{Type: EventNone, Gap: gap})
		}
		used := e.used()
		if e.server&^tableStream&^used != 0 || used == 0 {
			stale = append(stale, e)
		}
	}
	push(r.emulated, Event{Type: EventNone, Gap: gap})
	r.mu.Unlock()
	if hooks := r.core.cfg.hooks.watch; len(hooks) > 0 && rn.watches > 0 {
		for _, h := range hooks {
			r.core.calls.enqueue(func() { h.OnWatch(WatchInfo{Registered: rn.watches}) })
		}
	}
	return stale
}

func (r *registry) tidyPaths(stale []*watchEntry) {
	r.mu.Lock()
	for _, e := range stale {
		r.tidy(e)
	}
	r.unlock()
}
