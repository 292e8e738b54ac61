package faultproxy

import (
	"context"
	"io"
	"net"
	"sync"
	"time"
)

// link is one accepted connection with its counterpart to the target.
type link struct {
	p      *Proxy
	id     int
	client net.Conn
	ctx    context.Context // ends when the link does
	cancel context.CancelFunc

	// Guarded by p.mu.
	server    net.Conn // nil until dialled
	ended     bool
	swallowed bool // a black hole took bytes of it, or would have
}

// serve dials the target and pumps both directions until the link ends.
func (l *link) serve() {
	if l.inBlackHole() {
		// Nobody is on the other side: the link ends when the client leaves, or when the hole closes.
		io.Copy(io.Discard, l.client)
		l.end(true)
		return
	}
	var dialer net.Dialer
	server, err := dialer.DialContext(l.ctx, "tcp", l.p.Target())
	if err != nil {
		// The client learns of it as it would of a reset, so not through a stall.
		failed := time.Now()
		if l.hold(Downstream, arrival(failed)) {
			l.end(true)
		}
		return
	}
	if !l.attach(server) {
		reset(server) // cut while dialling
		return
	}
	up := &pipe{l: l, dir: Upstream, src: l.client, dst: server, chunks: make(chan chunk, queueLen)}
	down := &pipe{l: l, dir: Downstream, src: server, dst: l.client, chunks: make(chan chunk, queueLen)}
	var readers, writers sync.WaitGroup
	orderly := [2]bool{}
	readers.Go(up.readLoop)
	readers.Go(down.readLoop)
	writers.Go(func() { orderly[0] = up.writeLoop() })
	writers.Go(func() { orderly[1] = down.writeLoop() })
	writers.Wait()
	l.end(!orderly[0] || !orderly[1])
	readers.Wait()
}

func (l *link) inBlackHole() bool {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	return l.swallowed
}

// attach stores the connection to the target unless the link has ended meanwhile.
func (l *link) attach(server net.Conn) bool {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	if l.ended {
		return false
	}
	l.server = server
	return true
}

// end closes both sides, with a reset if hard, and forgets the link. Only the first call does anything. It is safe
// from any goroutine and does not wait.
func (l *link) end(hard bool) {
	l.p.mu.Lock()
	if l.ended {
		l.p.mu.Unlock()
		return
	}
	l.ended = true
	server := l.server
	l.p.mu.Unlock()

	for _, nc := range []net.Conn{l.client, server} {
		switch {
		case nc == nil:
		case hard:
			reset(nc)
		default:
			nc.Close()
		}
	}
	l.cancel()

	// Last, so that Conns counts a connection as gone only when its peers can see that it is.
	l.p.mu.Lock()
	delete(l.p.links, l)
	l.p.mu.Unlock()
}

// arrival tells when bytes that came in at the given time are to go out.
func arrival(at time.Time) func(dirFaults) time.Time {
	return func(f dirFaults) time.Time { return at.Add(f.delay) }
}

// hold waits until the direction dir is not stalled and the time due has come, judging again whenever a setting
// changes. It returns false when the link ended first.
func (l *link) hold(dir Dir, due func(dirFaults) time.Time) bool {
	for {
		l.p.mu.Lock()
		f, changed := *l.p.faults(dir), l.p.changed
		l.p.mu.Unlock()

		var timer <-chan time.Time // nil while stalled: only a change helps
		if !f.stalled {
			wait := time.Until(due(f))
			if wait <= 0 {
				return l.ctx.Err() == nil
			}
			timer = time.After(wait)
		}
		select {
		case <-timer:
		case <-changed:
		case <-l.ctx.Done():
			return false
		}
	}
}
