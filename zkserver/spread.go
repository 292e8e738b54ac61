package zkserver

import (
	"runtime"
	"slices"
	"sync"

	"github.com/gazoo-zk/gazoo/internal/nonblock"
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
	w := nonblock.NewWriter()
	for {
		n := p.take(taken[:])
		if n == 0 {
			return
		}
		for _, c := range taken[:n] {
			c.writeNow(w)
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

// writeNow writes what is released, as far as the socket takes it, and wakes the writer for everything else.
func (c *conn) writeNow(w *nonblock.Writer) {
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
	buf := c.out
	c.out, c.writing = nil, len(buf)
	c.mu.Unlock()

	n, err := w.Write(c.raw, buf)
	c.srv.stats.bytesSent.Add(int64(n))

	c.mu.Lock()
	more := false
	if c.writing > 0 { // it was not given up meanwhile
		c.srv.unsent.Add(int64(-n))
		c.writing = 0
		switch rest := buf[n:]; {
		case len(rest) > 0:
			c.chunks = slices.Insert(c.chunks, 0, rest)
			c.chunked += len(rest)
		case c.out == nil:
			c.out = buf[:0]
		}
		more = c.unsentBytes() > 0 || c.last
	}
	c.mu.Unlock()
	c.drained.Signal()
	switch {
	case err != nil:
		c.closeSocket()
	case more:
		c.signal()
	}
}
