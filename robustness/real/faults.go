package real

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gazoo-zk/gazoo/internal/child"
	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/internal/faultproxy"
	"github.com/gazoo-zk/gazoo/robustness/fault"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// rejoining bounds how long the end of a fault waits for a server to serve again: a quorum may be missing.
const rejoining = 15 * time.Second

// settled is how long the servers go on whole before one of them has the next fault. A follower of ZooKeeper 3.8.0 says that
// it has what the leader has before it is in its log, and a quorum of those that are killed then loses what was acknowledged
// long before (ZOOKEEPER-4646); that is known, and would hide all else.
const settled = 500 * time.Millisecond

// target is what has a fault; one at a time. All servers, and the network between them, are one (see settled), unless a
// majority of them may fail at once.
type target struct {
	what  string
	index int
}

// What faults are of.
const (
	ofServers = "servers"
	ofLink    = "link"
	ofProcess = "process"
)

// errNothing says that a fault makes no sense at the moment.
var errNothing = errors.New("nothing to be done")

// undo takes a fault back; nil when there is nothing to take back.
type undo func(ctx context.Context) error

// Begin implements [run.World]. What has a fault already gets no other.
func (w *World) Begin(ctx context.Context, s fault.Step) error {
	t, do := w.plan(s)
	if do == nil || !w.claim(t) {
		return nil
	}
	back, err := do(ctx)
	if err != nil {
		w.release(t)
		if errors.Is(err, errNothing) {
			return nil
		}
		return err
	}
	w.cfg.Log("%v: %s %d", s, t.what, t.index)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done[s.Kind]++
	if back == nil {
		delete(w.busy, t)
		return nil
	}
	w.undo[s] = func(ctx context.Context) error {
		defer w.release(t)
		return back(ctx)
	}
	return nil
}

// End implements [run.World].
func (w *World) End(ctx context.Context, s fault.Step) error {
	w.mu.Lock()
	back := w.undo[s]
	delete(w.undo, s)
	w.mu.Unlock()
	if back == nil {
		return nil
	}
	return back(ctx)
}

func (w *World) claim(t target) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy[t] {
		return false
	}
	w.busy[t] = true
	return true
}

func (w *World) release(t target) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.busy, t)
}

// plan returns what a step is done to, and what does it; nil when it cannot be done here.
func (w *World) plan(s fault.Step) (target, func(context.Context) (undo, error)) {
	switch s.Kind {
	case fault.KillServer, fault.PauseServer, fault.StopServer:
		i := w.server(s)
		t := target{ofServers, 0}
		if w.mayFailMany() {
			t.index = 1 + i
		}
		return t, func(context.Context) (undo, error) { return w.disableServer(s.Kind, w.ensemble.Server(i)) }
	case fault.Partition, fault.Blackout:
		return target{ofServers, 0}, func(context.Context) (undo, error) { return w.cutOff(s) }
	case fault.PauseClient, fault.KillClient, fault.Expire:
		return w.planClient(s)
	}
	begin, end := linkFault(s)
	c := w.current()
	if begin == nil || c == nil {
		return target{}, nil
	}
	i := s.Target % c.total
	l, err := w.link(i)
	return target{ofLink, i}, func(context.Context) (undo, error) {
		if err != nil {
			return nil, err
		}
		l.each(begin)
		if end == nil {
			return nil, nil
		}
		return func(context.Context) error { l.each(end); return nil }, nil
	}
}

func (w *World) current() *clients {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clients
}

// server returns the index of the server that a step is for.
func (w *World) server(s fault.Step) int {
	if s.Leader {
		if leader, err := w.ensemble.Leader(); err == nil {
			return leader
		}
	}
	return s.Target % w.ensemble.Len()
}

// disableServer makes a server unable to serve.
func (w *World) disableServer(kind fault.Kind, s *ensemble.Server) (undo, error) {
	if s.PID() == 0 || !w.mayFailMany() && !w.allServe() {
		return nil, errNothing // one has failed by itself, or is not back yet
	}
	if kind == fault.PauseServer {
		return func(ctx context.Context) error { return errors.Join(s.Resume(), w.whole(ctx)) }, s.Pause()
	}
	var err error
	if kind == fault.KillServer {
		err = s.Kill()
	} else if stopped := s.Stop(); stopped != nil {
		w.cfg.Log("%v", stopped) // and it has been killed
	}
	return func(ctx context.Context) error {
		if err := s.Launch(); err != nil {
			return err
		}
		return w.whole(ctx)
	}, err
}

// allServe reports whether each server follows or leads.
func (w *World) allServe() bool {
	for i := range w.ensemble.Len() {
		if _, err := w.ensemble.Server(i).Mode(); err != nil {
			return false
		}
	}
	return true
}

// whole waits until all servers serve, and a moment longer.
func (w *World) whole(ctx context.Context) error {
	if w.mayFailMany() {
		return nil
	}
	soon, cancel := context.WithTimeout(ctx, rejoining)
	defer cancel()
	if err := w.ensemble.WaitReady(soon); err != nil {
		w.cfg.Log("the servers do not find each other yet: %v", err)
	}
	program.Sleep(ctx, settled)
	return nil
}

// cutOff cuts a server off from the others.
func (w *World) cutOff(s fault.Step) (undo, error) {
	cut := w.ensemble.Partition
	if s.Kind == fault.Blackout {
		cut = w.ensemble.Blackout
	}
	i := w.server(s)
	if !w.allServe() {
		return nil, errNothing
	}
	cut(i)
	return func(ctx context.Context) error {
		w.ensemble.Heal()
		return w.whole(ctx)
	}, nil
}

// linkFault returns what begins and ends a fault of a client's links.
func linkFault(s fault.Step) (begin, end func(*faultproxy.Proxy)) {
	type proxy = faultproxy.Proxy
	dir := faultproxy.Upstream
	if s.Bytes%2 == 0 {
		dir = faultproxy.Downstream
	}
	switch s.Kind {
	case fault.Cut:
		return (*proxy).Cut, nil
	case fault.CutAfter:
		return func(p *proxy) { p.CutAfter(dir, s.Bytes) }, func(p *proxy) { p.CutAfter(dir, -1) }
	case fault.DropReply:
		return func(p *proxy) { p.SetFilter(loseReply()) }, func(p *proxy) { p.SetFilter(nil) }
	case fault.StallUp:
		return func(p *proxy) { p.Stall(faultproxy.Upstream, true) }, func(p *proxy) { p.Stall(faultproxy.Upstream, false) }
	case fault.StallDown:
		return func(p *proxy) { p.Stall(faultproxy.Downstream, true) }, func(p *proxy) { p.Stall(faultproxy.Downstream, false) }
	case fault.BlackHole:
		return func(p *proxy) { p.BlackHole(true) }, func(p *proxy) { p.BlackHole(false) }
	case fault.Slow:
		return func(p *proxy) { p.Delay(faultproxy.Both, s.Delay) }, func(p *proxy) { p.Delay(faultproxy.Both, 0) }
	case fault.Refuse:
		return func(p *proxy) { p.Refuse(true); p.Cut() }, func(p *proxy) { p.Refuse(false) }
	}
	return nil, nil
}

// planClient is plan for what is done to processes and sessions.
func (w *World) planClient(s fault.Step) (target, func(context.Context) (undo, error)) {
	c := w.current()
	if c == nil {
		return target{}, nil
	}
	client := s.Target % c.total
	slot := c.slotOf(client)
	t := target{ofProcess, client % len(c.slots)}
	switch s.Kind {
	case fault.PauseClient:
		return t, func(context.Context) (undo, error) {
			p := slot.process()
			if p.ended() {
				return nil, errNothing // by itself, which Stop reports
			}
			if err := child.Pause(p.cmd.Process); err != nil {
				return nil, fmt.Errorf("pause worker process: %w", err)
			}
			return func(context.Context) error { return child.Resume(p.cmd.Process) }, nil
		}
	case fault.KillClient:
		return t, func(context.Context) (undo, error) {
			p := slot.process()
			if p.ended() {
				return nil, errNothing
			}
			p.kill()
			return func(context.Context) error { return c.start(slot) }, nil
		}
	default:
		return t, func(context.Context) (undo, error) {
			return nil, slot.process().tell(order{Do: doExpire, Client: client})
		}
	}
}
