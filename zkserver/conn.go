package zkserver

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gazoo-zk/gazoo/internal/nonblock"
	"github.com/gazoo-zk/gazoo/internal/ztree"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// conn is a connection. Its reader decodes frames and hands them to the engine; its writer
// sends what the engine has released.
type conn struct {
	srv   *Server
	nc    net.Conn
	raw   syscall.RawConn // for writes that do not wait; nil when they cannot be had
	ip    string
	num   int64 // counts connections, in the order in which they were accepted
	since time.Time
	ids   atomic.Pointer[[]ztree.ID] // never changed in place; written by the reader
	ready chan struct{}              // closed when the connect response is on its way
	done  chan struct{}              // closed with the socket
	once  sync.Once                  // closes the socket
	left  sync.Once                  // stops counting the connection

	outstanding int  // requests inside the server; guarded by inbox.mu
	ended       bool // guarded by inbox.mu

	wake    chan struct{} // has an element when the writer has something to do
	mu      sync.Mutex    // guards the fields below
	drained sync.Cond     // waits for the writer, or for the end
	out     []byte        // released, and not in the writer's hands
	chunks  [][]byte      // the same, before out: what a client that does not read has coming
	chunked int           // bytes of chunks
	writing int           // bytes that are, or in those of the spreader
	last    bool          // close when all is sent
	over    bool          // the socket is closed

	// Owned by the engine.
	session   *session
	gone      bool
	dirty     bool   // in engine.dirty
	held      []byte // output of the batch under way, or not durable yet
	marks     []mark // into held
	lastHeld  bool   // close behind held; what comes after it is dropped
	announced bool   // the connect response is in held
	waiting   bool   // for the leader; of a replica, as the next
	backlog   []request
	watched   map[string]watchBits
	told      uint64 // the last of watchTable's turns in which it was told of an event
	stats     connStats
}

const (
	maxBatch = 32        // requests that a reader hands over together
	chunk    = 256 << 10 // bytes after which another buffer begins: growing a large one holds up the engine
	unsent   = 1 << 20   // bytes: with more to be sent, a connection is not read
)

func newConn(s *Server, nc net.Conn, ip string) *conn {
	c := &conn{
		srv: s, nc: nc, raw: nonblock.Conn(nc), ip: ip, since: time.Now(),
		ready: make(chan struct{}), done: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	c.drained.L = &c.mu
	c.stats.cxid = -1
	c.ids.Store(&[]ztree.ID{{Scheme: "ip", ID: ip}})
	return c
}

func remoteIP(nc net.Conn) string {
	addr := nc.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return addr
}

func (c *conn) identities() []ztree.ID { return *c.ids.Load() }

// read is the reader goroutine.
func (c *conn) read() {
	defer func() {
		c.closeSocket()
		c.srv.in.post(request{conn: c, kind: kindGone})
	}()
	frames, ok := c.greet()
	if !ok {
		return
	}
	batch := make([]request, 0, 4)
	for {
		frame, err := frames.Next()
		if err != nil || len(frame) < zkproto.RequestHeaderSize {
			c.submit(&batch)
			return
		}
		r := zkproto.NewReader(frame)
		var h zkproto.RequestHeader
		h.Decode(&r)
		c.srv.stats.received.Add(1)
		c.srv.stats.bytesReceived.Add(int64(len(frame)) + 4)
		if h.Op == zkproto.OpAuth || h.Op == zkproto.OpSASL {
			if !c.submit(&batch) || !c.security(h, &r) {
				return
			}
			continue
		}
		if !c.mayAsk() {
			c.expel(zkproto.ReplyHeader{Xid: h.Xid, Err: zkproto.ErrSessionClosedRequireSASLAuth})
			return
		}
		large, ok := c.srv.large.admit(&c.srv.cfg.limits, len(frame))
		if !ok {
			c.srv.stats.largeRejected.Add(1)
			c.submit(&batch)
			return
		}
		req := request{conn: c, xid: h.Xid, op: h.Op, ids: c.identities(), at: time.Now(), size: len(frame), large: large}
		req.decode(&r)
		batch = append(batch, req)
		if len(batch) < maxBatch && frames.Buffered() {
			continue
		}
		if !c.submit(&batch) {
			return
		}
	}
}

func (c *conn) submit(batch *[]request) bool {
	if len(*batch) == 0 {
		return true
	}
	ok := c.awaitDrain() && c.srv.in.submit(c, *batch)
	if !ok {
		for i := range *batch {
			c.srv.large.done((*batch)[i].large)
		}
	}
	clear(*batch)
	*batch = (*batch)[:0]
	return ok
}

// awaitDrain waits while a client asks for more than it reads.
func (c *conn) awaitDrain() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.unsentBytes() > unsent && !c.over {
		c.drained.Wait()
	}
	return !c.over
}

// pending returns how many bytes were released and are not sent yet.
func (c *conn) pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unsentBytes()
}

// unsentBytes is pending with the mutex held.
func (c *conn) unsentBytes() int { return c.chunked + len(c.out) + c.writing }

// security handles the requests that do not wait in the queue. It reports whether the
// connection goes on.
func (c *conn) security(h zkproto.RequestHeader, r *zkproto.Reader) bool {
	if h.Op == zkproto.OpSASL {
		var req zkproto.SASLRequest
		if req.Decode(r); r.Err() != nil || req.Token == nil {
			return false
		}
		// As a server without SASL: no error and no token, which clients take for a failure.
		b := zkproto.ReplyHeader{Xid: h.Xid}.AppendTo(nil)
		c.sendNow(zkproto.SASLResponse{}.AppendTo(b), false)
		return true
	}
	var req zkproto.AuthRequest
	req.Decode(r)
	if r.Err() != nil {
		return false
	}
	return c.authenticate(h.Xid, req)
}

// expel answers a request past the engine and closes the connection when that is sent.
func (c *conn) expel(h zkproto.ReplyHeader) {
	c.sendNow(h.AppendTo(nil), true)
	<-c.done
}

// sendNow sends a frame past the engine.
func (c *conn) sendNow(frame []byte, last bool) {
	c.srv.stats.sent.Add(1)
	c.mu.Lock()
	if !c.over {
		b, m := zkproto.BeginFrame(c.out)
		c.out = zkproto.EndFrame(append(b, frame...), m)
		c.srv.unsent.Add(int64(len(c.out) - m))
	}
	c.last = c.last || last
	pending := c.unsentBytes()
	c.mu.Unlock()
	if c.srv.tooMuch(pending) {
		c.closeSocket()
	}
	c.signal()
}

// release makes the first n bytes that are held ready for the writer, which has to be woken. It is called by the engine.
func (c *conn) release(n int, last bool) {
	c.mu.Lock()
	if p := c.unsentBytes(); p > c.srv.cfg.maxBuffered || c.srv.unsent.Load() > c.srv.cfg.limits.buffered {
		c.mu.Unlock()
		if c.srv.tooMuch(p) {
			c.srv.cfg.logger.Warn("client does not read", "addr", c.nc.RemoteAddr())
			c.closeSocket()
			return
		}
		c.mu.Lock()
	}
	if c.over {
		c.mu.Unlock()
		return
	}
	c.srv.unsent.Add(int64(n))
	if len(c.out) >= chunk {
		c.chunks = append(c.chunks, c.out)
		c.chunked += len(c.out)
		c.out = nil
	}
	switch {
	case len(c.out) == 0 && n == len(c.held):
		c.out, c.held = c.held, c.out
	default:
		c.out = append(c.out, c.held[:n]...)
		c.held = append(c.held[:0], c.held[n:]...)
	}
	c.last = c.last || last
	c.mu.Unlock()
	const keep = 64 << 10
	if len(c.held) == 0 && cap(c.held) > keep {
		c.held = nil
	}
	if c.announced {
		c.announced = false
		close(c.ready)
	}
}

func (c *conn) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// write is the writer goroutine.
func (c *conn) write() {
	const keep = 64 << 10
	var buf []byte
	defer c.discard()
	for {
		select {
		case <-c.wake:
		case <-c.done:
			return
		}
		c.mu.Lock()
		if c.writing > 0 { // the spreader writes, and will wake this goroutine for what it leaves
			c.mu.Unlock()
			continue
		}
		if len(c.chunks) > 0 {
			buf, c.chunks[0] = c.chunks[0], nil
			c.chunks = c.chunks[1:]
			c.chunked -= len(buf)
			c.signal() // for what is behind it
		} else {
			buf, c.out = c.out, buf[:0]
			c.chunks = nil
		}
		c.writing = len(buf)
		last := c.last
		c.mu.Unlock()
		if last {
			// Whoever does not even read the last words is not waited for.
			c.nc.SetWriteDeadline(time.Now().Add(10 * time.Second))
		}
		if len(buf) > 0 {
			c.srv.stats.bytesSent.Add(int64(len(buf)))
			if _, err := c.nc.Write(buf); err != nil {
				c.closeSocket()
				return
			}
		}
		c.srv.unsent.Add(int64(-len(buf)))
		c.mu.Lock()
		c.writing = 0
		more := c.unsentBytes() > 0
		c.mu.Unlock()
		c.drained.Signal()
		if cap(buf) > keep {
			buf = nil
		}
		if last && !more {
			c.leave()
			if half, ok := c.nc.(interface{ CloseWrite() error }); ok {
				half.CloseWrite()
			}
			c.closeSocket()
			return
		}
	}
}

// discard gives up what will not be sent.
func (c *conn) discard() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	c.srv.unsent.Add(int64(-c.unsentBytes()))
	c.out, c.chunks, c.chunked, c.writing = nil, nil, 0, 0
}

// leave stops counting the connection, before its client can see the end: whoever connects
// next finds its place free.
func (c *conn) leave() { c.left.Do(func() { c.srv.forget(c) }) }

// closeSocket closes the connection. The reader tells the engine.
func (c *conn) closeSocket() {
	c.leave()
	c.once.Do(func() {
		close(c.done)
		c.nc.Close()
		c.mu.Lock()
		c.over = true
		c.mu.Unlock()
		c.drained.Signal()
		c.srv.in.end(c)
	})
}

// silent counts a connection that is given up because it said nothing.
func (c *conn) silent(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.srv.stats.silent.Add(1)
	}
}

// greet reads what a connection begins with: a connect request, which it waits to be answered,
// or a four-letter word, behind which nothing is read. It reports whether requests follow.
func (c *conn) greet() (*zkproto.FrameReader, bool) {
	// A grid of 10 seconds, as Apache checks connections without a session.
	const grid = 10 * time.Second
	up := time.Since(c.srv.started)
	c.nc.SetReadDeadline(c.srv.started.Add(((up+grid)/grid + 1) * grid))

	var first [4]byte
	if _, err := io.ReadFull(c.nc, first[:]); err != nil {
		c.silent(err)
		return nil, false
	}
	if word := string(first[:]); knownWord(word) {
		if c.greetWord(word) {
			<-c.done
		}
		return nil, false
	}
	frames := zkproto.NewFrameReader(io.MultiReader(bytes.NewReader(first[:]), c.nc), c.srv.cfg.maxRequest)
	frames.SetHead(0) // refused for its length alone
	frame, err := frames.Next()
	if err != nil {
		c.silent(err)
		return nil, false
	}
	r := zkproto.NewReader(frame)
	var req zkproto.ConnectRequest
	req.Decode(&r)
	if r.Err() != nil {
		return nil, false
	}
	c.srv.stats.received.Add(1)
	if !c.srv.in.submit(c, []request{{conn: c, kind: kindConnect, connect: &req}}) {
		return nil, false
	}
	select {
	case <-c.ready:
	case <-c.done:
		return nil, false
	}
	c.nc.SetReadDeadline(time.Time{})
	return frames, true
}
