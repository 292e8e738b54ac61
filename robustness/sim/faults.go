package sim

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/gazoo-zk/gazoo/internal/faultproxy"
	"github.com/gazoo-zk/gazoo/robustness/fault"
	"github.com/gazoo-zk/gazoo/robustness/program"
	"github.com/gazoo-zk/gazoo/zktest"
)

// Begin does what a step says. There is no leader to be hit.
func (w *World) Begin(ctx context.Context, s fault.Step) error {
	undo := w.begin(ctx, s)
	if undo == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.undo[s] = undo
	return nil
}

// End takes it back.
func (w *World) End(_ context.Context, s fault.Step) error {
	w.mu.Lock()
	undo := w.undo[s]
	delete(w.undo, s)
	w.mu.Unlock()
	if undo != nil {
		undo()
	}
	return nil
}

// ofClient reports whether the target of a fault is a client.
func ofClient(k fault.Kind) bool {
	switch k {
	case fault.Cut, fault.CutAfter, fault.StallUp, fault.StallDown, fault.BlackHole, fault.Slow, fault.Refuse,
		fault.PauseClient, fault.KillClient, fault.Expire, fault.DropReply:
		return true
	}
	return false
}

// begin begins a fault, and returns what ends it; nil when nothing has to be done for that.
func (w *World) begin(ctx context.Context, s fault.Step) (undo func()) {
	if ofClient(s.Kind) {
		w.mu.Lock()
		p := w.procs[s.Target%len(w.procs)]
		w.mu.Unlock()
		return w.hit(p, s)
	}
	if w.form == Durable {
		return w.hitDurable(ctx, s)
	}
	ep := w.srv.Endpoint(s.Target % servers)
	switch s.Kind {
	case fault.KillServer, fault.StopServer:
		w.alone(ep.Stop)
		return func() { w.alone(ep.Start) }
	case fault.PauseServer:
		ep.Stall(zktest.BothWays)
		return ep.Heal
	case fault.Partition:
		w.alone(func() { ep.ReadOnly(true) })
		return func() { w.alone(func() { ep.ReadOnly(false) }) }
	case fault.Blackout:
		ep.Freeze()
		return ep.Thaw
	case fault.Lag:
		ep.Lag(s.Delay)
		return func() { ep.Lag(0) }
	case fault.Restart:
		w.alone(w.srv.Stop)
		return func() { w.alone(func() { w.srv.Restart(zktest.KeepData) }) }
	}
	return nil
}

// alone does something that starts or stops servers when nobody else does. They wait on a channel, as nothing in a bubble
// may wait on a mutex for long.
func (w *World) alone(f func()) {
	w.turn <- struct{}{}
	defer func() { <-w.turn }()
	f()
}

// hit does something to a client's process or network.
func (w *World) hit(p *process, s fault.Step) (undo func()) {
	l := p.now()
	if l.killed() {
		return nil
	}
	n := l.net
	each := func(f func(*faultproxy.Proxy)) { n.each(f) }
	switch s.Kind {
	case fault.Cut:
		each((*faultproxy.Proxy).Cut)
	case fault.CutAfter:
		dir := faultproxy.Upstream
		if s.Bytes%2 == 1 {
			dir = faultproxy.Downstream
		}
		each(func(p *faultproxy.Proxy) { p.CutAfter(dir, s.Bytes) })
		return func() { each(func(p *faultproxy.Proxy) { p.CutAfter(dir, -1) }) }
	case fault.StallUp, fault.StallDown:
		dir := faultproxy.Upstream
		if s.Kind == fault.StallDown {
			dir = faultproxy.Downstream
		}
		each(func(p *faultproxy.Proxy) { p.Stall(dir, true) })
		return func() { each(func(p *faultproxy.Proxy) { p.Stall(dir, false) }) }
	case fault.BlackHole:
		each(func(p *faultproxy.Proxy) { p.BlackHole(true) })
		return func() { each(func(p *faultproxy.Proxy) { p.BlackHole(false) }) }
	case fault.Slow:
		n.slow(s.Delay)
		return func() { n.slow(0) }
	case fault.Refuse:
		each(func(p *faultproxy.Proxy) { p.Refuse(true); p.Cut() })
		return func() { each(func(p *faultproxy.Proxy) { p.Refuse(false) }) }
	case fault.KillClient:
		l.kill()
		return func() {
			if err := p.start(); err != nil {
				panic(err) // it has worked with the same settings before
			}
		}
	case fault.Expire:
		for _, id := range l.sessions() {
			l.env.Expiry(id)
			w.srv.ExpireSession(id)
		}
	case fault.DropReply:
		ids := l.sessions()
		if len(ids) == 0 {
			return nil
		}
		id := ids[s.Bytes%len(ids)]
		h := w.srv.Add(zktest.Rule{
			Match: zktest.Match{Op: zktest.OpWrite, Session: id}, Do: zktest.DropReply(), Times: 1,
		})
		return h.Remove
	}
	return nil
}

// powerPatience is how long the server may go on until the power fails in the middle of something.
const powerPatience = 300 * time.Millisecond

// hitDurable does something to the durable server or to its disk. One such thing is under way at a time.
func (w *World) hitDurable(ctx context.Context, s fault.Step) (undo func()) {
	if s.Kind == fault.PauseServer {
		ep := w.srv.Endpoint(0)
		ep.Stall(zktest.BothWays)
		return ep.Heal
	}
	w.mu.Lock()
	down := w.down
	w.down = true
	w.mu.Unlock()
	if down {
		return nil
	}
	restart := func() {
		w.revive()
		w.mu.Lock()
		w.down = false
		w.mu.Unlock()
	}
	switch s.Kind {
	case fault.KillServer, fault.StopServer, fault.Restart:
		w.srv.Stop()
		return restart
	case fault.DiskFull:
		w.disk.SetCapacity(1)
		return func() {
			w.srv.Stop()
			w.disk.SetCapacity(0)
			restart()
		}
	case fault.PowerFail:
		w.disk.PowerOffAt(w.disk.Ops() + 1 + s.Bytes%40)
		program.Sleep(ctx, powerPatience)
		w.disk.PowerOff()
		return func() {
			w.srv.Stop()
			w.disk.Reboot(w.seed ^ uint64(s.At))
			restart()
		}
	}
	w.mu.Lock()
	w.down = false
	w.mu.Unlock()
	return nil
}

// revive starts the durable server again. When it does not start with what is on the disk, that is a violation, and it
// goes on with nothing.
func (w *World) revive() {
	err := w.restart()
	if err == nil {
		return
	}
	w.mu.Lock()
	w.failed = append(w.failed, fmt.Errorf("the server does not start again: %w", err))
	w.mu.Unlock()
	dir := filepath.Join(dataDir, "version-2")
	names, err := w.disk.ReadDir(dir)
	for _, name := range names {
		err = errors.Join(err, w.disk.Remove(filepath.Join(dir, name)))
	}
	if err := errors.Join(err, w.restart()); err != nil {
		panic(err) // not even with nothing
	}
}

func (w *World) restart() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	// A server that has lost its data, as far as package zktest knows, reads what is on the disk.
	w.srv.Restart(zktest.LoseData)
	return nil
}
