package zkserver

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gazoo-zk/gazoo/internal/ztree"
)

// ErrClosed is returned by [Server.Serve] after [Server.Close].
var ErrClosed = errors.New("zkserver: server closed")

// Server is a ZooKeeper server. Its methods are safe for concurrent use.
type Server struct {
	cfg       config
	leader    *Server // nil unless it is a replica
	number    uint64  // high byte of session ids
	providers map[string]Provider
	started   time.Time
	stats     stats
	large     large
	unsent    atomic.Int64 // bytes that are released and not sent
	in        *inbox
	spreader  spreader
	stop      chan struct{} // closed by Close
	stopped   chan struct{} // closed when the engine has ended
	ended     chan struct{} // closed when nothing is served any more
	last      *ztree.Tree   // set before
	wg        sync.WaitGroup

	mu        sync.Mutex // guards the fields below
	closed    bool
	err       error // why ended is closed
	listeners map[net.Listener]struct{}
	addrs     []net.Addr
	conns     map[*conn]struct{}
	accepted  int64
	perIP     map[string]int
}

// stats are the numbers that anybody counts and four-letter words show.
type stats struct {
	received, sent, authFailed, rejected atomic.Int64
	bytesReceived, bytesSent             atomic.Int64
	connects, resumes                    atomic.Int64 // connect requests, and those of them with a session
	dropped                              atomic.Int64 // connections for want of a token
	silent                               atomic.Int64 // connections whose connect request never came
	expired                              atomic.Int64 // sessions
	throttled, largeRejected             atomic.Int64 // requests
}

// New makes a server that serves nobody yet. It must be closed. The error names every option
// that is out of range.
func New(opts ...Option) (*Server, error) {
	cfg := defaults()
	for _, o := range opts {
		o(&cfg)
	}
	if err := cfg.finish(); err != nil {
		return nil, err
	}
	s := newServer(cfg)
	if err := s.run(); err != nil {
		return nil, err
	}
	return s, nil
}

func newServer(cfg config) *Server {
	s := &Server{
		cfg: cfg, number: 1, providers: make(map[string]Provider), started: time.Now(),
		in:   newInbox(cfg.outstanding, cfg.outstandingEach, cfg.limits.waiting),
		stop: make(chan struct{}), stopped: make(chan struct{}), ended: make(chan struct{}),
		listeners: make(map[net.Listener]struct{}), conns: make(map[*conn]struct{}), perIP: make(map[string]int),
	}
	s.spreader.srv = s
	for _, p := range slices.Concat(cfg.builtin(), cfg.providers) {
		s.providers[p.Scheme] = p
	}
	return s
}

// run lets the engine run.
func (s *Server) run() error {
	e, err := newEngine(s)
	if err == nil {
		s.wg.Go(e.run)
	}
	return err
}

// Start makes a server and lets it serve on a TCP port: see [WithAddr].
func Start(opts ...Option) (*Server, error) {
	cfg := defaults()
	for _, o := range opts {
		o(&cfg)
	}
	// First of all: without the port, a directory is none of this server's business.
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", cfg.addr)
	if err != nil {
		return nil, err
	}
	s, err := New(opts...)
	if err != nil {
		ln.Close()
		return nil, err
	}
	s.adopt(ln)
	s.wg.Go(func() { s.accept(ln) })
	return s, nil
}

// Serve accepts connections on a listener until it fails, or the server is closed: then it
// returns [ErrClosed]. It closes the listener. A server may serve on several.
func (s *Server) Serve(ln net.Listener) error {
	if !s.adopt(ln) {
		ln.Close()
		return ErrClosed
	}
	return s.accept(ln)
}

// adopt registers a listener; false after Close.
func (s *Server) adopt(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.listeners[ln] = struct{}{}
	s.addrs = append(s.addrs, ln.Addr())
	return true
}

func (s *Server) accept(ln net.Listener) error {
	defer func() {
		ln.Close()
		s.mu.Lock()
		delete(s.listeners, ln)
		s.mu.Unlock()
	}()
	for pause := time.Duration(0); ; {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			pause = 0
			s.admit(nc)
			continue
		case s.isClosed():
			return ErrClosed
		case errors.Is(err, net.ErrClosed):
			return err
		}
		// Out of file descriptors, for example: others will be closed.
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.cfg.logger.Warn("accept failed", "err", err)
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-s.stop:
			t.Stop()
			return ErrClosed
		}
	}
}

// admit starts the goroutines of a connection, or closes it when there are too many.
func (s *Server) admit(nc net.Conn) {
	ip := remoteIP(nc)
	s.mu.Lock()
	defer s.mu.Unlock()
	over := s.cfg.maxClientConns > 0 && s.perIP[ip] >= s.cfg.maxClientConns ||
		s.cfg.maxConns > 0 && len(s.conns) >= s.cfg.maxConns
	if s.closed || over {
		if over {
			s.stats.rejected.Add(1)
		}
		nc.Close()
		return
	}
	s.accepted++
	c := newConn(s, nc, ip)
	c.num = s.accepted
	s.conns[c] = struct{}{}
	s.perIP[ip]++
	s.wg.Go(c.read)
	s.wg.Go(c.write)
}

// forget is called once by each connection when it ends.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if s.perIP[c.ip]--; s.perIP[c.ip] <= 0 {
		delete(s.perIP, c.ip)
	}
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Done is closed when the server serves no more: after [Server.Close], or when its directory cannot
// be written any more. It must be closed then too.
func (s *Server) Done() <-chan struct{} { return s.ended }

// Err returns why the server serves no more: [ErrClosed], or what is wrong with its directory; nil
// while it serves. What was acknowledged before is on disk.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// failed ends the service for good.
func (s *Server) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish(err)
}

// finish is called with the mutex held. The first reason counts.
func (s *Server) finish(err error) {
	if s.err == nil {
		s.err = err
		close(s.ended)
	}
}

// Close closes all listeners and connections and waits until everything has ended. It may be
// called again. Without a directory, everything is gone then; with one, all that was done is on
// disk, and sessions go on when a server is started on it again. Close writes no snapshot, so
// that it is quick. It returns an error when the server had failed: see [Server.Err].
func (s *Server) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.stop)
	}
	listeners := slices.Collect(maps.Keys(s.listeners))
	conns := slices.Collect(maps.Keys(s.conns))
	s.mu.Unlock()
	for _, ln := range listeners {
		ln.Close()
	}
	for _, c := range conns {
		c.closeSocket()
	}
	s.wg.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish(ErrClosed)
	if errors.Is(s.err, ErrClosed) {
		return nil
	}
	return s.err
}

// Addr returns the first address that the server listened on, as clients dial it; "" while
// there was none.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.addrs) == 0 {
		return ""
	}
	return s.addrs[0].String()
}

// ConnCount returns the number of connections, those without a session included.
func (s *Server) ConnCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// call runs f on the engine's goroutine, behind what is queued, and waits for it, and until what it
// did and could see is durable. It reports false when the server is closed, or has failed.
func (s *Server) call(f func(*engine)) bool {
	safe := make(chan bool, 1)
	run := func(e *engine) {
		if e.failed {
			safe <- false
			return
		}
		f(e)
		e.whenDurable(safe)
	}
	if !s.in.post(request{kind: kindDo, do: run}) {
		return false
	}
	select {
	case ok := <-safe:
		return ok
	case <-s.stopped:
		select { // it may have been the last thing that the engine did
		case ok := <-safe:
			return ok
		default:
			return false
		}
	}
}

// SessionInfo is a session as [Server.Sessions] shows it.
type SessionInfo struct {
	ID         int64
	Timeout    time.Duration // as negotiated last
	Connected  bool          // a connection is attached
	Ephemerals []string      // paths, sorted
}

// Sessions returns the sessions that are alive, in the order of their ids.
func (s *Server) Sessions() []SessionInfo {
	var all []SessionInfo
	if !s.call(func(e *engine) { all = e.sessionInfos() }) {
		return nil
	}
	return all
}

// ExpireSession ends a session as if its client had been silent for too long, and closes its
// connection without a word. It reports whether there was such a session.
func (s *Server) ExpireSession(id int64) bool {
	found := false
	if s.leader != nil {
		return s.leader.ExpireSession(id)
	}
	s.call(func(e *engine) { found = e.expire(id) })
	return found
}

// WatchCount returns the number of watches; one that is in both tables of the protocol, for
// data and for children, counts twice, as in the four-letter word mntr.
func (s *Server) WatchCount() int {
	n := 0
	s.call(func(e *engine) { n = e.watches.count })
	return n
}

// ReadOnly switches read-only mode, as a server of an ensemble has it while it sees no quorum:
// writes are refused, only clients that accept a read-only server get in, and their sessions
// end with the mode. All connections are closed; sessions from before cannot be used
// meanwhile, do not expire, and go on afterwards.
func (s *Server) ReadOnly(on bool) { s.call(func(e *engine) { e.setReadOnly(on) }) }
