// Package canned is a server that answers every request of the ZooKeeper protocol with a prepared reply of the right
// shape, without a tree behind it. It reads and writes in large batches and allocates nothing for an ordinary request,
// so that a client that is measured against it is measured alone.
//
// What a reply holds is said by the path: a get of "/bench/get-100" is answered with 100 bytes, the children of
// "/bench/children-1000" are 1,000 names. Without a number there are none. Writes succeed, and change nothing.
//
// A set on one of the paths below makes something happen: Fire, Cut.
package canned

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// Paths that are special.
const (
	// Fire: a set fires all watches of the connection, which has its reply before the events.
	Fire = "/canned/fire"
	// Cut: a set is answered, and then the connection is cut. Whoever comes back with the session and watches it had
	// is timed.
	Cut = "/canned/cut"
	// Report: a get returns a [Reconnect] as text, of the latest connection cut in the session.
	Report = "/canned/report"
)

// Reconnect is how long a session took to come back after [Cut]: the text of [Report] has three whole numbers, with
// spaces between.
type Reconnect struct {
	Connected  time.Duration // from the cut to the connect request on a new connection
	Registered time.Duration // from there until the last watch was registered again; 0 before that
	Watches    int           // registered again so far
}

// String returns the text of [Report]: the durations in nanoseconds, and the count.
func (r Reconnect) String() string {
	return fmt.Sprintf("%d %d %d", r.Connected.Nanoseconds(), r.Registered.Nanoseconds(), r.Watches)
}

// Server is a server that answers with prepared replies.
type Server struct {
	ln     net.Listener
	wg     sync.WaitGroup
	counts [256]atomic.Int64
	ids    atomic.Int64

	mu       sync.Mutex
	closed   bool
	conns    map[net.Conn]bool
	sessions map[int64]*absent
}

// absent is a session whose connection was cut.
type absent struct {
	watches int // it had
	cut     time.Time
	back    time.Time // when it connected again
	again   int       // watches registered since
	done    time.Time // when the last one was
}

// Start starts a server. An address such as "127.0.0.1:0" is as good as any. Close it.
func Start(addr string) (*Server, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &Server{ln: ln, conns: map[net.Conn]bool{}, sessions: map[int64]*absent{}}
	s.ids.Store(time.Now().UnixNano() & 0xffffff << 32)
	s.wg.Go(s.accept)
	return s, nil
}

// Addr returns the address to connect to.
func (s *Server) Addr() string { return s.ln.Addr().String() }

// Close cuts all connections and waits for the server's goroutines.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	for nc := range s.conns {
		nc.Close()
	}
	s.mu.Unlock()
	err := s.ln.Close()
	s.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Count returns how many requests of a kind were answered. Replies on their way count.
func (s *Server) Count(op zkproto.OpCode) int64 { return s.counts[uint8(op)].Load() }

// Total returns how many requests of any kind were answered.
func (s *Server) Total() (n int64) {
	for i := range s.counts {
		n += s.counts[i].Load()
	}
	return n
}

func (s *Server) accept() {
	for {
		nc, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			nc.Close()
			return
		}
		s.conns[nc] = true
		s.mu.Unlock()
		s.wg.Go(func() {
			c := &conn{srv: s, nc: nc}
			c.serve()
			nc.Close()
			s.mu.Lock()
			delete(s.conns, nc)
			s.mu.Unlock()
		})
	}
}

// connect answers the first frame of a connection.
func (s *Server) connect(c *conn, frame []byte) {
	r := zkproto.NewReader(frame)
	var req zkproto.ConnectRequest
	req.Decode(&r)
	c.session = req.SessionID
	if c.session == 0 {
		c.session = s.ids.Add(1)
	} else {
		s.mu.Lock()
		if a := s.sessions[c.session]; a != nil {
			a.back, a.again, a.done = time.Now(), 0, time.Time{}
			c.absent = a
		}
		s.mu.Unlock()
	}
	password := zkproto.SessionPassword(c.session)
	var mark int
	c.out, mark = zkproto.BeginFrame(c.out)
	c.out = zkproto.ConnectResponse{
		TimeoutMS: max(req.TimeoutMS, 4000), SessionID: c.session, Password: password[:], HasReadOnly: req.HasReadOnly,
	}.AppendTo(c.out)
	c.out = zkproto.EndFrame(c.out, mark)
}

// leave notes that a connection is about to be cut.
func (s *Server) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions[c.session] = &absent{watches: c.watched, cut: time.Now()}
}

// registered notes that a session has registered watches again, as it does after a reconnect.
func (s *Server) registered(c *conn, n int) {
	if c.absent == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := c.absent
	a.again += n
	if a.done.IsZero() && a.again >= a.watches {
		a.done = time.Now()
	}
}

// report returns what is known of the session's latest return.
func (s *Server) report(c *conn) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := c.absent
	if a == nil {
		return Reconnect{}.String()
	}
	r := Reconnect{Connected: a.back.Sub(a.cut), Watches: a.again}
	if !a.done.IsZero() {
		r.Registered = a.done.Sub(a.back)
	}
	return r.String()
}

// gone forgets a session that was closed.
func (s *Server) gone(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, c.session)
}

// number returns the digits at the end of a path as a number.
func number(path []byte) int {
	n, unit := 0, 1
	for i := len(path) - 1; i >= 0 && path[i] >= '0' && path[i] <= '9' && unit < 1e8; i-- {
		n += unit * int(path[i]-'0')
		unit *= 10
	}
	return n
}

func special(path []byte) bool { return bytes.HasPrefix(path, []byte("/canned/")) }
