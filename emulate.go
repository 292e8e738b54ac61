package gazoo

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
)

// This file feeds streams from one-shot watches, on servers without addWatch. What happens
// between an event and the next registration is seen as a difference, so changes in quick
// succession coalesce; nothing is missed for good.

// emulate feeds a stream until it or the client ends. A stream that was emulated once stays
// so: the registration it would need may not exist on the next server again.
func (c *core) emulate(s *Stream) {
	ctx, cancel := context.WithCancel(c.ctx)
	s.mu.Lock()
	s.emulation = cancel
	closed := s.err != nil
	s.mu.Unlock()
	if closed {
		cancel()
		return
	}
	c.watches.adopt(s)
	e := &emulator{zk: &Client{core: c}, s: s}
	c.users.start(func() {
		defer cancel()
		e.watchNode(ctx, s.path, false, new(atomic.Bool))
	})
}

// emulator watches one znode, or with a recursive stream every znode of a subtree, each on a
// goroutine of its own.
type emulator struct {
	zk *Client
	s  *Stream
}

// watchNode follows one znode until ctx ends. With announce its existence at the first look is
// news. absent tells the parent's goroutine that the znode is gone and its deletion was told.
func (e *emulator) watchNode(ctx context.Context, path string, announce bool, absent *atomic.Bool) {
	var known Stat
	var names []string
	var kids []*emulated
	defer func() { stopAll(kids) }()
	for first, existed := true, false; ctx.Err() == nil; first = false {
		look, err := e.look(ctx, path)
		if err != nil {
			if isEnded(err) || ctx.Err() != nil || e.zk.WaitState(ctx, StateConnected) != nil {
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
		existed, known, names = look.exists, look.stat, look.names
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
		if l.names, _, l.child, err = e.zk.ChildrenW(ctx, path); err == nil {
			return l, nil
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
		child = l.child.done
	}
	select {
	case <-l.data.done:
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
		e.zk.core.users.start(func() { e.watchNode(kidCtx, absPathName(path, name), announce, &k.absent) })
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
