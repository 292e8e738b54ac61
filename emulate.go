package gazoo

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// This file feeds streams from one-shot watches, on servers without addWatch. What happens
// between an event and the next registration is seen as a difference, so changes in quick
// succession coalesce; nothing is missed for good.

// emulate feeds a stream until it or the client ends. A stream that was emulated once stays
// so: the registration it would need may not exist on the next server again. The channel is
// closed when everything was looked at once: what changes afterwards is seen.
func (c *core) emulate(s *Stream) <-chan struct{} {
	ready := make(chan struct{})
	ctx, cancel := context.WithCancel(c.ctx)
	s.mu.Lock()
	s.emulation = cancel
	closed := s.err != nil
	s.mu.Unlock()
	if closed {
		cancel()
		close(ready)
		return ready
	}
	e := &emulator{zk: &Client{core: c}, s: s}
	e.scan.Add(1)
	c.users.start(func() {
		defer cancel()
		e.watchNode(ctx, s.path, false, new(atomic.Bool), sync.OnceFunc(e.scan.Done))
	})
	c.users.start(func() {
		e.scan.Wait()
		close(ready)
	})
	return ready
}

// emulateNew is emulate for a stream that is being opened. It waits until the stream sees all
// that changes from now on.
func (c *core) emulateNew(ctx context.Context, s *Stream) error {
	select {
	case <-c.emulate(s):
	case <-ctx.Done():
		return ctxError(ctx)
	}
	c.watches.adopt(s)
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	return nil
}

// emulateOn is emulate for a stream that goes on on a server without addWatch: a gap at once,
// and another one when it sees changes again.
func (c *core) emulateOn(s *Stream, gap GapReason) {
	s.push(Event{Type: EventNone, Gap: gap})
	c.watches.adopt(s)
	ready := c.emulate(s)
	c.users.start(func() {
		<-ready
		s.push(Event{Type: EventNone, Gap: gap})
	})
}

// emulator watches one znode, or with a recursive stream every znode of a subtree, each on a
// goroutine of its own.
type emulator struct {
	zk   *Client
	s    *Stream
	scan sync.WaitGroup // the first looks at all that was there when the stream was opened
}

// watchNode follows one znode until ctx ends. With announce its existence at the first look is
// news. absent tells the parent's goroutine that the znode is gone and its deletion was told.
// looked, if not nil, is called after the first look.
func (e *emulator) watchNode(ctx context.Context, path string, announce bool, absent *atomic.Bool, looked func()) {
	if looked != nil {
		defer looked()
	}
	var known Stat
	var names []string
	var kids []*emulated
	defer func() { stopAll(kids) }()
	for first, existed := true, false; ctx.Err() == nil; {
		look, err := e.look(ctx, path)
		if err != nil {
			if isEnded(err) || e.zk.WaitState(ctx, StateConnected) != nil {
				return
			}
			// The server refuses (overload) or went away again: no haste.
			if sleep(ctx, 100*time.Millisecond, nil) != nil {
				return
			}
			continue
		}
		if !first || announce {
			e.tell(path, existed, look.exists, known, look.stat)
			if !e.s.recursive && existed && look.exists && !sameNames(names, look.names) {
				e.s.push(Event{Type: EventChildrenChanged, Path: path})
			}
		}
		absent.Store(!look.exists)
		if e.s.recursive {
			kids = e.follow(ctx, path, kids, look.names, !first || announce)
		}
		if first && looked != nil {
			looked()
		}
		first, existed, known, names = false, look.exists, look.stat, look.names
		look.wait(ctx)
	}
}

// look is one reading of a znode, with watches on it.
type look struct {
	exists      bool
	stat        Stat
	names       []string
	data, child *Watch
}

func (e *emulator) look(ctx context.Context, path string) (look, error) {
	for {
		var l look
		var err error
		if l.stat, l.exists, l.data, err = e.zk.ExistsW(ctx, path); err != nil || !l.exists {
			return l, err
		}
		l.names, _, l.child, err = e.zk.ChildrenW(ctx, path)
		if err == nil || errors.Is(err, ErrNoAuth) {
			return l, nil // without Read its own changes can be seen, its children's cannot
		}
		l.data.Close()
		if !errors.Is(err, ErrNoNode) {
			return l, err
		}
	}
}

// wait blocks until one of the watches ends, and closes both.
func (l look) wait(ctx context.Context) {
	var child <-chan struct{}
	if l.child != nil {
		child = l.child.Done()
	}
	select {
	case <-l.data.Done():
	case <-child:
	case <-ctx.Done():
	}
	l.data.Close()
	if l.child != nil {
		l.child.Close()
	}
}

// tell pushes the difference between two looks at a znode.
func (e *emulator) tell(path string, existed, exists bool, old, stat Stat) {
	switch {
	case existed && (!exists || old.Czxid != stat.Czxid):
		e.s.push(Event{Type: EventDeleted, Path: path})
		if exists {
			e.s.push(Event{Type: EventCreated, Path: path, Zxid: stat.Czxid})
		}
	case !existed && exists:
		e.s.push(Event{Type: EventCreated, Path: path, Zxid: stat.Czxid})
	case exists && old.Mzxid != stat.Mzxid:
		e.s.push(Event{Type: EventDataChanged, Path: path, Zxid: stat.Mzxid})
	}
}

// emulated is one child being followed.
type emulated struct {
	name   string
	stop   context.CancelFunc
	absent atomic.Bool
}

// follow starts watching new children. One that is no longer listed is let go only once it
// has told its own deletion.
func (e *emulator) follow(ctx context.Context, path string, kids []*emulated, names []string, announce bool) []*emulated {
	kids = slices.DeleteFunc(kids, func(k *emulated) bool {
		gone := k.absent.Load() && !slices.Contains(names, k.name)
		if gone {
			k.stop()
		}
		return gone
	})
	for _, name := range names {
		if slices.ContainsFunc(kids, func(k *emulated) bool { return k.name == name }) {
			continue
		}
		k := &emulated{name: name}
		var kidCtx context.Context
		kidCtx, k.stop = context.WithCancel(ctx)
		kids = append(kids, k)
		var looked func()
		if !announce {
			e.scan.Add(1)
			looked = sync.OnceFunc(e.scan.Done)
		}
		e.zk.core.users.start(func() { e.watchNode(kidCtx, absPathName(path, name), announce, &k.absent, looked) })
	}
	return kids
}

func stopAll(kids []*emulated) {
	for _, k := range kids {
		k.stop()
	}
}

func sameNames(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	x, y := slices.Clone(a), slices.Clone(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}
