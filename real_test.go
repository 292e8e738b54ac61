package gazoo_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/internal/faultproxy"
)

// This file has what the tests on real servers (real_*_test.go) share.

// wantErr fails the test unless err matches want.
func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s = %v, want %v", what, err, want)
	}
}

// awaitState waits for the next change to a state, skipping others.
func awaitState(t *testing.T, sub *gazoo.StateSubscription, want gazoo.State) gazoo.StateChange {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	for {
		ch, err := sub.Next(ctx)
		if err != nil {
			t.Fatalf("waiting for state %v: %v", want, err)
		}
		if ch.To == want {
			return ch
		}
	}
}

// awaitEvent waits for a one-shot watch and checks what it says.
func awaitEvent(t *testing.T, w *gazoo.Watch, want gazoo.EventType, path string) {
	t.Helper()
	ev, err := w.Wait(deadline(t, 20*time.Second))
	if err != nil {
		t.Fatalf("watch on %s: %v, want %v", path, err, want)
	}
	if ev.Type != want || ev.Path != path {
		t.Errorf("watch = %v %s, want %v %s", ev.Type, ev.Path, want, path)
	}
}

// pending fails the test when a watch has ended.
func pending(t *testing.T, what string, w *gazoo.Watch) {
	t.Helper()
	select {
	case <-w.Done():
		ev, err := w.Result()
		t.Errorf("watch %s ended with %+v, %v; want it to wait", what, ev, err)
	default:
	}
}

// proxies returns the proxy in front of each server.
func proxies(c cluster.Cluster) []*faultproxy.Proxy {
	list := make([]*faultproxy.Proxy, c.Len())
	for i := range list {
		list[i] = c.Proxy(i)
	}
	return list
}

// cut breaks a proxied client's connection and waits until it is back.
func cut(t *testing.T, c cluster.Cluster, zk *gazoo.Client) gazoo.StateChange {
	t.Helper()
	sub := zk.SubscribeState()
	for _, p := range proxies(c) {
		p.Cut()
	}
	return awaitState(t, sub, gazoo.StateConnected)
}

// away keeps a proxied client off its servers while f runs and waits until it is back.
func away(t *testing.T, c cluster.Cluster, zk *gazoo.Client, f func()) gazoo.StateChange {
	t.Helper()
	sub := zk.SubscribeState()
	// All refuse before the first one cuts, or the client finds the next one in time.
	for _, p := range proxies(c) {
		p.Refuse(true)
	}
	for _, p := range proxies(c) {
		p.Cut()
	}
	awaitState(t, sub, gazoo.StateSuspended)
	f()
	for _, p := range proxies(c) {
		p.Refuse(false)
	}
	return awaitState(t, sub, gazoo.StateConnected)
}

// expire ends a proxied client's session by closing it through a connection of its own, and
// waits until the client has a new one.
func expire(t *testing.T, c cluster.Cluster, zk *gazoo.Client) gazoo.StateChange {
	t.Helper()
	saved := zk.Session().Saved()
	return away(t, c, zk, func() {
		thief, err := gazoo.Connect(deadline(t, 20*time.Second), c.Hosts(), gazoo.WithSession(saved))
		must(t, err)
		if thief.SessionID() != saved.ID {
			t.Errorf("session taken over = 0x%x, want 0x%x", thief.SessionID(), saved.ID)
		}
		must(t, thief.Close())
	})
}

// serverIndex tells which server a client is connected to. Followers drop their clients when
// the leader goes, so it may have to wait.
func serverIndex(t *testing.T, c cluster.Cluster, zk *gazoo.Client) int {
	t.Helper()
	ctx, addr := deadline(t, 30*time.Second), ""
	for addr == "" {
		must(t, zk.WaitState(ctx, gazoo.StateConnected))
		addr = zk.Server()
	}
	for i := range c.Len() {
		if addr == c.Addr(i) || addr == c.Proxy(i).Addr() {
			return i
		}
	}
	t.Fatalf("Server() = %q, which is none of %s", addr, c.Hosts())
	return -1
}

// sockets counts the connections that clients open and close through its dialler.
type sockets struct {
	tries, dials atomic.Int64 // all dials, and those that succeeded

	mu       sync.Mutex
	open     gauge
	answered gauge // those on which a server said something: they carry a session
}

// gauge is a number and the most it ever was.
type gauge struct{ now, top int }

func (g *gauge) add(n int) {
	g.now += n
	g.top = max(g.top, g.now)
}

func (s *sockets) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	s.tries.Add(1)
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	s.dials.Add(1)
	s.mu.Lock()
	s.open.add(1)
	s.mu.Unlock()
	return &countedConn{Conn: conn, sockets: s}, nil
}

func (s *sockets) counts() (open, answered gauge) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open, s.answered
}

type countedConn struct {
	net.Conn
	sockets *sockets

	// Guarded by sockets.mu.
	answered, closed bool
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.sockets.mu.Lock()
		if !c.answered && !c.closed {
			c.answered = true
			c.sockets.answered.add(1)
		}
		c.sockets.mu.Unlock()
	}
	return n, err
}

func (c *countedConn) Close() error {
	c.sockets.mu.Lock()
	if !c.closed {
		c.closed = true
		c.sockets.open.add(-1)
		if c.answered {
			c.sockets.answered.add(-1)
		}
	}
	c.sockets.mu.Unlock()
	return c.Conn.Close()
}
