package zkserver

import (
	"net"
	"runtime"
	"slices"
	"sync"
	"syscall"
)

// spreader sends what has become ready on many connections at once, such as an event that all of them watch for. To wake
// the writer of each takes longer than to write. So a few goroutines go through the connections and write as much as each
// socket takes without waiting; the rest is left to its writer.
type spreader struct {
	srv *Server

	mu      sync.Mutex // guards the fields below
	queue   []*conn
	running int // goroutines
}

const (
	manyConns = 64 // connections from which on it is worth it
	stride    = 32 // connections that a goroutine takes at once, before it lets others run
)

// spread sends what the connections were released, unless their writers come first.
func (p *spreader) spread(conns []*conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, conns...)
	for p.running < min(runtime.GOMAXPROCS(0), (len(p.queue)+stride-1)/stride) {
		p.running++
		p.srv.wg.Go(p.run)
	}
}

// run is a goroutine that writes until nothing is left.
func (p *spreader) run() {
	var taken [stride]*conn
	var a attempt
	a.do = a.write
	for {
		n := p.take(taken[:])
		if n == 0 {
			return
		}
		for _, c := range taken[:n] {
			c.writeNow(&a)
		}
		runtime.Gosched()
	}
}

// take moves connections from the end of the queue to where the caller wants them. With none left, the caller is to end.
func (p *spreader) take(to []*conn) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := max(0, len(p.queue)-len(to))
	n := copy(to, p.queue[at:])
	clear(p.queue[at:])
	p.queue = p.queue[:at]
	if n == 0 {
		p.running--
		p.queue = nil
	}
	return n
}

// attempt is a write that does not wait. It is used again and again, so that none of it is allocated for each.
type attempt struct {
	do  func(fd uintptr) bool // is write
	buf []byte
	n   int
	err error
}

// rawConn returns what connections need for writes that do not wait; nil when they cannot be had. Types that have a
// socket inside, such as TLS connections, must be written through.
func rawConn(nc net.Conn) syscall.RawConn {
	tcp, ok := nc.(*net.TCPConn)
	if !ok || !canTry {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// writeNow writes what is released, as far as the socket takes it, and wakes the writer for everything else.
func (c *conn) writeNow(a *attempt) {
	c.mu.Lock()
	if c.over || c.writing > 0 { // whoever writes sees to the rest
		c.mu.Unlock()
		return
	}
	if c.last || len(c.chunks) > 0 {
		c.mu.Unlock()
		c.signal()
		return
	}
	if len(c.out) == 0 {
		c.mu.Unlock()
		return
	}
	a.buf, c.out = c.out, nil
	c.writing = len(a.buf)
	c.mu.Unlock()

	a.n, a.err = 0, nil
	if err := c.raw.Write(a.do); err != nil {
		a.err = err
	}
	c.srv.stats.bytesSent.Add(int64(a.n))

	c.mu.Lock()
	more := false
	if c.writing > 0 { // it was not given up meanwhile
		c.srv.unsent.Add(int64(-a.n))
		c.writing = 0
		switch rest := a.buf[a.n:]; {
		case len(rest) > 0:
			c.chunks = slices.Insert(c.chunks, 0, rest)
			c.chunked += len(rest)
		case c.out == nil:
			c.out = a.buf[:0]
		}
		more = c.unsentBytes() > 0 || c.last
	}
	c.mu.Unlock()
	a.buf = nil
	c.drained.Signal()
	switch {
	case a.err != nil:
		c.closeSocket()
	case more:
		c.signal()
	}
}
