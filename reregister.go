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
		if e.server&tableStream != 0 && (e.serverMode == zkproto.WatchPersistentRecursive || !s.recursive) {
			r.attach(e, s)
			r.mu.Unlock()
			return nil, nil
		}
		if e.remote == 0 && !e.adding {
			e.adding = true
			g := &streamRegistration{r: r, s: s, mode: zkproto.WatchPersistent}
			if s.recursive || len(e.recursive) > 0 {
				g.mode = zkproto.WatchPersistentRecursive
			}
			r.mu.Unlock()
			return g, nil
		}
		turn := make(chan struct{})
		e.waiters = append(e.waiters, turn)
		r.mu.Unlock()
		select {
		case <-turn:
		case <-ctx.Done():
			return nil, ctxError(ctx)
		}
	}
}

func (r *registry) attach(e *watchEntry, s *Stream) {
	if s.recursive {
		e.recursive = append(e.recursive, s)
		r.streams++
		return
	}
	e.persistent = append(e.persistent, s)
}

// settle is registration.settle for streams.
func (g *streamRegistration) settle(cl *call) {
	r, s := g.r, g.s
	r.mu.Lock()
	e := r.entry(s.path)
	e.adding = false
	if cl.err == nil {
		e.server |= tableStream
		e.serverMode = g.mode
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
	r.tidy(s.path, e)
	r.unlock()
}

// orphan ends the one-shots that a stream was to serve. Under mu.
func (r *registry) orphan(e *watchEntry) {
	for _, list := range []*[]*Watch{&e.data, &e.exist, &e.child} {
		kept := (*list)[:0]
		for _, w := range *list {
			if w.local {
				w.gone = true
				w.finish(Event{}, ErrWatchNotSet)
				continue
			}
			kept = append(kept, w)
		}
		clear((*list)[len(kept):])
		*list = kept
	}
}

// closeStream is Stream.Close.
func (r *registry) closeStream(s *Stream) {
	same := func(x *Stream) bool { return x == s }
	r.mu.Lock()
	if e := r.paths[s.path]; e != nil {
		if s.recursive {
			before := len(e.recursive)
			e.recursive = deleteFunc(e.recursive, same)
			r.streams -= before - len(e.recursive)
		} else {
			e.persistent = deleteFunc(e.persistent, same)
		}
		r.tidy(s.path, e)
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
	for path, e := range r.paths {
		all = append(append(all, e.persistent...), e.recursive...)
		e.persistent, e.recursive = nil, nil
		r.orphan(e)
		r.tidy(path, e)
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

// renewal is what a handshake registers again: encoded requests, and what they cover.
type renewal struct {
	frames  [][]byte
	paths   []renewed
	watches int
	streams bool // the requests are setWatches2
}

type renewed struct {
	path   string
	server table
	mode   zkproto.AddWatchMode
}

// maxRenewal bounds one setWatches request: well under the servers' default limit of 1 MiB
// whatever else is in it (ZOOKEEPER-706).
const maxRenewal = 120 << 10

// renew encodes the registration of everything there is. zxid is the last one seen when the
// connection was lost: the server compares it with each znode and answers with the events
// that were missed. oneShots is false for a new session, whose one-shots have ended.
func (r *registry) renew(zxid int64, oneShots, streams bool) *renewal {
	rn := &renewal{}
	var m zkproto.SetWatches2Request
	size := 0
	cut := func() {
		if size == 0 {
			return
		}
		m.RelativeZxid = zxid
		b, mark := zkproto.BeginFrame(nil)
		if len(m.Persistent)+len(m.PersistentRecursive) > 0 {
			rn.streams = true
			b = zkproto.RequestHeader{Xid: zkproto.XidSetWatches, Op: zkproto.OpSetWatches2}.AppendTo(b)
			b = m.AppendTo(b)
		} else {
			b = zkproto.RequestHeader{Xid: zkproto.XidSetWatches, Op: zkproto.OpSetWatches}.AppendTo(b)
			b = zkproto.SetWatchesRequest{RelativeZxid: zxid, Data: m.Data, Exist: m.Exist, Child: m.Child}.AppendTo(b)
		}
		rn.frames = append(rn.frames, zkproto.EndFrame(b, mark))
		m = zkproto.SetWatches2Request{}
		size = 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	forgot := false
	for path, e := range r.paths {
		p := renewed{path: path}
		var lists []*[]string
		add := func(list *[]string, t table) {
			lists = append(lists, list)
			p.server |= t
		}
		if oneShots {
			if len(e.data) > 0 {
				add(&m.Data, tableData)
			}
			if len(e.exist) > 0 {
				add(&m.Exist, tableData)
			}
			if len(e.child) > 0 {
				add(&m.Child, tableChild)
			}
		}
		switch {
		case !streams:
		case len(e.recursive) > 0:
			add(&m.PersistentRecursive, tableStream)
			p.mode = zkproto.WatchPersistentRecursive
		case len(e.persistent) > 0:
			add(&m.Persistent, tableStream)
		}
		if len(lists) == 0 {
			continue
		}
		if plant.ClientForgetsWatch && !forgot {
			forgot = true
			rn.paths = append(rn.paths, p)
			continue
		}
		// All lists of one path go into one request: within it the server handles streams
		// last, so that on 3.8 they are what remains.
		cost := len(lists) * (len(path) + 4)
		if size+cost > maxRenewal {
			cut()
		}
		for _, list := range lists {
			*list = append(*list, path)
		}
		size += cost
		rn.watches += len(lists)
		rn.paths = append(rn.paths, p)
	}
	cut()
	return rn
}

// renewed records what a handshake registered and puts the gap markers. It returns the paths
// that nothing uses any more, to be tidied when requests can be sent.
func (r *registry) renewed(rn *renewal, gap GapReason) (stale []string) {
	r.mu.Lock()
	for _, p := range rn.paths {
		e := r.entry(p.path)
		e.server |= p.server
		e.serverMode = p.mode
		if p.server&tableStream != 0 {
			push(e.persistent, Event{Type: EventNone, Gap: gap})
			push(e.recursive, Event{Type: EventNone, Gap: gap})
		}
		if e.server&^tableStream&^e.used() != 0 || e.used() == 0 {
			stale = append(stale, p.path)
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

func (r *registry) tidyPaths(paths []string) {
	r.mu.Lock()
	for _, path := range paths {
		if e := r.paths[path]; e != nil {
			r.tidy(path, e)
		}
	}
	r.unlock()
}
