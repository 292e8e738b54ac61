package faultproxy

import (
	"context"
	"io"
	"net"
	"sync"
	"time"
)

// Conn is an accepted connection with its counterpart to the target. Its faults come on top of those of its proxy and
// end with it. All methods are safe for concurrent use.
type Conn struct {
	p      *Proxy
	id     int
	client net.Conn
	ctx    context.Context // ends when the connection does
	cancel context.CancelFunc
	tap    Tap

	// Guarded by p.mu.
	server    net.Conn // nil until dialled
	ended     bool
	swallowed bool // a black hole took bytes of it, or would have
	hung      bool // it came while the proxy hung
	halfOpen  bool // the target's side was reset, and the client is not to know
	dirs      [2]dirFaults
}

// ID is 1 for the first connection that the proxy accepted, 2 for the second, and so on.
func (c *Conn) ID() int { return c.id }

// RemoteAddr returns the client's address.
func (c *Conn) RemoteAddr() net.Addr { return c.client.RemoteAddr() }

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.ctx.Done() }

// Ended reports whether the connection has ended, or is about to: before its peers can see it.
func (c *Conn) Ended() bool {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	return c.ended
}

// serve dials the target and pumps both directions until the connection ends.
func (c *Conn) serve() {
	if c.tap.Closed != nil {
		defer c.tap.Closed()
	}
	if c.inBlackHole() {
		// Nobody is on the other side: it ends when the client leaves, or when the hole closes.
		io.Copy(io.Discard, c.client)
		c.end(endReset)
		return
	}
	server, err := c.p.dial(c.ctx, c.client)
	if err != nil {
		// The client learns of it as it would of a reset, so not through a stall.
		failed := time.Now()
		if c.hold(Downstream, arrival(failed)) {
			c.end(endReset)
		}
		return
	}
	if !c.attach(server) {
		reset(server) // cut while dialling
		return
	}
	up := &pipe{c: c, dir: Upstream, src: c.client, dst: server, chunks: make(chan chunk, queueLen)}
	down := &pipe{c: c, dir: Downstream, src: server, dst: c.client, chunks: make(chan chunk, queueLen)}
	var readers, writers sync.WaitGroup
	orderly := [2]bool{}
	readers.Go(up.readLoop)
	readers.Go(down.readLoop)
	writers.Go(func() { orderly[0] = up.writeLoop() })
	writers.Go(func() { orderly[1] = down.writeLoop() })
	writers.Wait()
	if orderly[0] && orderly[1] {
		c.end(endOrderly)
	} else {
		c.end(endReset)
	}
	readers.Wait()
}

func (c *Conn) inBlackHole() bool {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	return c.swallowed
}

// attach stores the connection to the target unless it has ended meanwhile.
func (c *Conn) attach(server net.Conn) bool {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if c.ended {
		return false
	}
	c.server = server
	return true
}

// ending says how a connection ends.
type ending int

const (
	endOrderly ending = iota // as both sides did
	endReset                 // both sides see a reset
	endBehind                // both sides see the end behind what they were sent
)

// end closes both sides and forgets the connection. Only the first call does anything. It is safe from any goroutine
// and does not wait.
func (c *Conn) end(how ending) {
	c.p.mu.Lock()
	if c.ended {
		c.p.mu.Unlock()
		return
	}
	c.ended = true
	server := c.server
	c.p.mu.Unlock()

	for _, nc := range []net.Conn{c.client, server} {
		switch {
		case nc == nil:
		case how == endReset:
			reset(nc)
		case how == endBehind:
			resetBehind(nc)
		default:
			nc.Close()
		}
	}
	c.cancel()

	// Last, so that Conns counts a connection as gone only when its peers can see that it is.
	c.p.mu.Lock()
	delete(c.p.conns, c)
	c.p.mu.Unlock()
}

// cutter is a connection in memory that can be reset.
type cutter interface{ Cut() }

// reset closes nc so that its peer sees a reset and not an orderly end.
func reset(nc net.Conn) {
	nc = plain(nc)
	if c, ok := nc.(cutter); ok {
		c.Cut()
	}
	resetBehind(nc)
}

// plain returns the connection under TLS: a reset is no affair of TLS.
func plain(nc net.Conn) net.Conn {
	if tls, ok := nc.(interface{ NetConn() net.Conn }); ok {
		return tls.NetConn()
	}
	return nc
}

// resetBehind is reset, except that what was written before still reaches the peer: a reset in memory would take it
// back, so there it is an end.
func resetBehind(nc net.Conn) {
	nc = plain(nc)
	if tc, ok := nc.(*net.TCPConn); ok {
		tc.SetLinger(0)
	}
	nc.Close()
}

// arrival tells when bytes that came in at the given time are to go out.
func arrival(at time.Time) func(dirFaults) time.Time {
	return func(f dirFaults) time.Time { return at.Add(f.delay) }
}

// hold waits until the direction dir is not stalled and the time due has come, judging again whenever a setting
// changes. It returns false when the connection ended first.
func (c *Conn) hold(dir Dir, due func(dirFaults) time.Time) bool {
	for {
		c.p.mu.Lock()
		f, changed := c.faults(dir), c.p.changed
		c.p.mu.Unlock()

		var timer <-chan time.Time // nil while stalled: only a change helps
		if !f.stalled {
			wait := time.Until(due(f))
			if wait <= 0 {
				return c.ctx.Err() == nil
			}
			timer = time.After(wait)
		}
		select {
		case <-timer:
		case <-changed:
		case <-c.ctx.Done():
			return false
		}
	}
}

// faults returns what is in force for a single direction; the caller holds p.mu.
func (c *Conn) faults(dir Dir) dirFaults {
	f, own := *c.p.faults(dir), c.dirs[dir-1]
	f.stalled = f.stalled || own.stalled
	f.delay += own.delay
	return f
}

// Cut resets both sides.
func (c *Conn) Cut() { c.end(endReset) }

// Stall is [Proxy.Stall] for this connection.
func (c *Conn) Stall(dir Dir, on bool) { c.setDir(dir, func(f *dirFaults) { f.stalled = on }) }

// Delay is [Proxy.Delay] for this connection, on top of it.
func (c *Conn) Delay(dir Dir, d time.Duration) {
	c.setDir(dir, func(f *dirFaults) { f.delay = max(d, 0) })
}

func (c *Conn) setDir(dir Dir, change func(*dirFaults)) {
	c.p.set(func() {
		for _, d := range [...]Dir{Upstream, Downstream} {
			if dir&d != 0 {
				change(&c.dirs[d-1])
			}
		}
	})
}

// BlackHole swallows everything from here on, in both directions, ends and resets included: neither side learns that
// the other is gone. Only [Conn.Cut] ends it, or a fault of the proxy that ends.
func (c *Conn) BlackHole() { c.p.set(func() { c.swallowed = true }) }

// HalfOpen resets the target's side and swallows the rest: the client goes on believing in the connection.
func (c *Conn) HalfOpen() {
	var server net.Conn
	c.p.set(func() { c.swallowed, c.halfOpen, server = true, true, c.server })
	if server != nil {
		reset(server)
	}
}

// Clear ends the faults of this connection alone. One that a black hole swallowed is reset.
func (c *Conn) Clear() {
	spoiled := false
	c.p.set(func() {
		spoiled = c.swallowed
		c.dirs = [2]dirFaults{}
	})
	if spoiled {
		c.end(endReset)
	}
}
