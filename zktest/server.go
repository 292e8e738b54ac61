package zktest

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/internal/memnet"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// Server is a ZooKeeper server for tests, or an ensemble of them. Its methods are safe for
// concurrent use.
type Server struct {
	cfg       config
	tb        testing.TB // nil of New
	clock     zkserver.Clock
	network   *memnet.Network // nil on the loopback interface
	endpoints []*Endpoint
	rules     rules
	sessions  sessions
	log       oplog
	timers    timers

	life    sync.Mutex // held while servers start and stop
	mu      sync.Mutex // guards the fields below
	core    *zkserver.Server
	started int  // how often a core was
	down    bool // the core is closed, by Stop
	closed  bool
}

// Start starts a server that is closed with the test. When the test has failed, the operations
// that the server has seen last are written into its log. What of the server does not end makes
// the test fail.
//
// Clients connect with [Server.Addr] and [Server.Dial].
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	s, err := New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	s.tb = t
	t.Cleanup(s.finish)
	return s
}

// New is [Start] without a test. The caller closes the server.
func New(opts ...Option) (*Server, error) {
	s := &Server{cfg: config{logSize: 200}, clock: systemClock{}}
	for _, o := range opts {
		o(&s.cfg)
	}
	if s.cfg.err != nil {
		return nil, s.cfg.err
	}
	if s.cfg.clock != nil {
		s.clock = s.cfg.clock
		s.cfg.clock.attach(s)
	}
	s.timers.clock = s.clock
	s.sessions.init()
	s.log.ring = make([]Entry, s.cfg.logSize)
	if !s.cfg.loopback {
		s.network = memnet.New()
		s.network.SetDialHook(s.admits)
	}
	if err := s.open(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// open starts the first core and all endpoints.
func (s *Server) open() error {
	if err := s.boot(nil); err != nil {
		return err
	}
	for _, seed := range s.cfg.seeds {
		if err := s.server().Fill(seed); err != nil {
			return fmt.Errorf("zktest: seed: %w", err)
		}
	}
	for i := range max(1, s.cfg.endpoints) {
		ep, err := newEndpoint(s, i)
		if err != nil {
			return err
		}
		s.endpoints = append(s.endpoints, ep)
		if err := ep.start(); err != nil {
			return err
		}
	}
	return nil
}

// boot starts a core, with the data of another one or without any.
func (s *Server) boot(old *zkserver.Server) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started++
	opts := []zkserver.Option{
		zkserver.WithTickTime(10 * time.Millisecond), zkserver.WithSessionTimeouts(50*time.Millisecond, 10*time.Minute),
		zkserver.WithMaxClientConns(0), zkserver.WithFourLetterWords("*"), zkserver.WithExtendedTypes(),
		zkserver.WithReapInterval(10 * time.Second), zkserver.WithClock(s.clock),
		// A restart at the same time, as it happens on virtual time, must not hand out an id again.
		zkserver.WithSessionSeed(s.clock.Now().UnixMilli() + int64(s.started)),
	}
	opts = append(opts, s.cfg.server...)
	if old != nil {
		opts = append(opts, zkserver.WithDataOf(old))
	}
	core, err := zkserver.New(opts...)
	if err != nil {
		return err
	}
	s.core, s.down = core, false
	return nil
}

// server returns the server that owns the tree; it may be closed.
func (s *Server) server() *zkserver.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.core
}

// admits decides about dials in memory.
func (s *Server) admits(_ context.Context, addr string) error {
	for _, ep := range s.endpoints {
		if ep.addr == addr && ep.refuses() {
			return os.NewSyscallError("connect", syscall.ECONNREFUSED)
		}
	}
	return nil
}

// Addr returns the connect string of all endpoints, such as "127.0.0.1:40123" with
// [OnLoopback], where every program can use it, or "zk1:2181,zk2:2181", which means something
// to [Server.Dial] alone. It stays the same over stops and restarts.
func (s *Server) Addr() string {
	addrs := make([]string, len(s.endpoints))
	for i, ep := range s.endpoints {
		addrs[i] = ep.addr
	}
	return strings.Join(addrs, ",")
}

// Dial connects to an address of [Server.Addr]. It has the signature that gazoo.WithDialer
// and others want:
//
//	gazoo.Connect(ctx, srv.Addr(), gazoo.WithDialer(srv.Dial))
func (s *Server) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if s.network == nil {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	return s.network.Dial(ctx, network, addr)
}

// Data says what becomes of the tree and of the sessions when a server starts anew.
type Data bool

// KeepData goes on with all that there was, as a server that was merely stopped. LoseData
// begins with nothing, as one whose disk was wiped.
const (
	KeepData Data = false
	LoseData Data = true
)

// Stop kills the server, all endpoints included: connections are reset, new ones refused, and
// sessions do not age meanwhile. [Server.Restart] ends it, and so does [Endpoint.Start] for one of
// them.
func (s *Server) Stop() {
	s.life.Lock()
	defer s.life.Unlock()
	s.note(nil, "stop")
	s.stop()
}

func (s *Server) stop() {
	for _, ep := range s.endpoints {
		ep.stop()
	}
	s.mu.Lock()
	core := s.core
	s.down = true
	s.mu.Unlock()
	core.Close()
}

// Restart kills the server if it runs, and starts it again at the same addresses, with all
// endpoints. Faults of the network, rules and lags stay as they are.
func (s *Server) Restart(data Data) {
	s.life.Lock()
	defer s.life.Unlock()
	s.mu.Lock()
	old, closed := s.core, s.closed
	s.mu.Unlock()
	if closed {
		return
	}
	s.stop()
	if data == LoseData {
		old = nil
		s.note(nil, "restart, data lost")
	} else {
		s.note(nil, "restart")
	}
	if err := s.boot(old); err != nil {
		s.fatal(err)
	}
	for _, ep := range s.endpoints {
		if err := ep.start(); err != nil {
			s.fatal(err)
		}
	}
}

// fatal is called when something fails that has worked with the same settings before.
func (s *Server) fatal(err error) {
	if s.tb == nil {
		panic("zktest: " + err.Error())
	}
	s.tb.Helper()
	s.tb.Fatalf("zktest: %v", err)
}

// Close ends the server and waits for all of it. It may be called again, but not from a rule.
func (s *Server) Close() error {
	s.life.Lock()
	defer s.life.Unlock()
	s.mu.Lock()
	s.closed = true
	core := s.core
	s.mu.Unlock()
	s.timers.close()
	for _, ep := range s.endpoints {
		ep.close()
	}
	if core != nil {
		core.Close()
	}
	if s.cfg.clock != nil {
		s.cfg.clock.detach(s)
	}
	return nil
}

// finish ends the server with its test.
func (s *Server) finish() {
	t := s.tb
	if t.Failed() {
		if log := s.Log(); len(log) > 0 {
			var b strings.Builder
			for _, e := range log {
				b.WriteString(e.String() + "\n")
			}
			t.Logf("zktest: what the server has seen last:\n%s", b.String())
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Close()
	}()
	patience := time.NewTimer(20 * time.Second)
	defer patience.Stop()
	select {
	case <-done:
	case <-patience.C:
		buf := make([]byte, 1<<20)
		t.Errorf("zktest: the server does not end:\n%s", buf[:runtime.Stack(buf, true)])
		return
	}
	for _, ep := range s.endpoints {
		if n := ep.proxy.Conns(); n > 0 {
			t.Errorf("zktest: %d connections left at %s", n, ep.Name())
		}
	}
}

// Endpoints returns all endpoints, in the order of [Server.Addr]: one, unless [Endpoints] asks
// for more.
func (s *Server) Endpoints() []*Endpoint { return slices.Clone(s.endpoints) }

// Endpoint returns the endpoint with a number, which counts from 0.
func (s *Server) Endpoint(i int) *Endpoint { return s.endpoints[i] }
