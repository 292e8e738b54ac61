package conformance

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/internal/testcert"
	"github.com/gazoo-zk/gazoo/zkproto"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// kind says which server it is.
type kind string

const (
	apache kind = "apache"
	ours   kind = "ours"
)

var kinds = []kind{apache, ours}

// target is what reports of tests call it.
func (k kind) target() string {
	if k == apache {
		return string(ensemble.Standalone)
	}
	return "embedded"
}

// options are the settings that facts are about. The zero value is how most facts want a server: all four-letter words,
// TTL znodes, a tick of 500 ms and session time-outs from 1 s to 60 s.
type options struct {
	alone string // sets a server apart that a fact wants for itself

	super        bool // super:secret passes every access check
	noTTL        bool // extended types are off
	enforceQuota bool
	reaper       bool   // looks for containers and TTL znodes every 200 ms
	requireAuth  string // scheme without which nothing may be asked
	maxConns     int    // from one address
	words        string // four-letter words, if not all
	tls          tlsMode
	maxFrame     int
	skipACL      bool
}

type tlsMode string

const (
	tlsNone tlsMode = "none" // no client certificates
	tlsWant tlsMode = "want"
	tlsNeed tlsMode = "need"
)

const (
	tick           = 500 * time.Millisecond
	minTimeout     = 2 * tick
	maxTimeout     = time.Minute
	superDigest    = "super:lK75jTNcA+U9vtVEw5vB51mj/w4="
	superPassword  = "super:secret"
	reaperInterval = 200 * time.Millisecond
)

// server is a server of either kind, which facts share: each uses znodes of its own.
type server struct {
	kind    kind
	addr    string
	tlsAddr string
	ca      *testcert.CA
	close   func() error
}

// servers are those that run, by kind and options. The first fact that needs one starts it, and TestMain closes all.
var servers struct {
	mu  sync.Mutex
	all map[serverKey]*server
}

type serverKey struct {
	kind kind
	opt  options
}

// with returns the server of this kind that has the given options.
func (s *server) with(t rawzk.TB, opt options) *server { return get(t, s.kind, opt) }

func get(t rawzk.TB, k kind, opt options) *server {
	t.Helper()
	servers.mu.Lock()
	defer servers.mu.Unlock()
	key := serverKey{k, opt}
	if s := servers.all[key]; s != nil {
		return s
	}
	start := startOurs
	if k == apache {
		start = startApache
	}
	s, err := start(opt)
	if err != nil {
		t.Fatalf("start %s with %+v: %v", k, opt, err)
	}
	if servers.all == nil {
		servers.all = make(map[serverKey]*server)
	}
	servers.all[key] = s
	return s
}

func closeServers() error {
	servers.mu.Lock()
	defer servers.mu.Unlock()
	var first error
	for _, s := range servers.all {
		if err := s.close(); err != nil && first == nil {
			first = err
		}
	}
	servers.all = nil
	return first
}

func startApache(opt options) (*server, error) {
	cfg := ensemble.Config{
		TickTime: tick, MinSessionTimeout: minTimeout, MaxSessionTimeout: maxTimeout, NoExtendedTypes: opt.noTTL,
		Properties: map[string]string{}, SystemProperties: map[string]string{},
	}
	if opt.super {
		cfg.SuperDigest = superDigest
	}
	if opt.enforceQuota {
		cfg.Properties["enforceQuota"] = "true"
	}
	if opt.reaper {
		cfg.SystemProperties["znode.container.checkIntervalMs"] = fmt.Sprint(reaperInterval.Milliseconds())
	}
	if opt.requireAuth != "" {
		cfg.SystemProperties["zookeeper.enforce.auth.enabled"] = "true"
		cfg.SystemProperties["zookeeper.enforce.auth.schemes"] = opt.requireAuth
	}
	if opt.maxConns > 0 {
		cfg.Properties["maxClientCnxns"] = fmt.Sprint(opt.maxConns)
	}
	if opt.words != "" {
		cfg.Properties["4lw.commands.whitelist"] = opt.words
	}
	if opt.maxFrame > 0 {
		cfg.SystemProperties["jute.maxbuffer"] = fmt.Sprint(opt.maxFrame)
	}
	if opt.skipACL {
		cfg.SystemProperties["zookeeper.skipACL"] = "yes"
	}
	if opt.tls != "" {
		cfg.TLS = &ensemble.TLSConfig{ClientAuth: ensemble.ClientAuth(opt.tls)}
	}
	e, err := ensemble.Start(cfg)
	if err != nil {
		return nil, err
	}
	return &server{kind: apache, addr: e.Server(0).Addr(), tlsAddr: e.Server(0).TLSAddr(), ca: e.CA(), close: e.Close}, nil
}

func startOurs(opt options) (*server, error) {
	words := "*"
	if opt.words != "" {
		words = opt.words
	}
	opts := []zkserver.Option{
		zkserver.WithTickTime(tick), zkserver.WithSessionTimeouts(minTimeout, maxTimeout),
		zkserver.WithMaxClientConns(opt.maxConns), zkserver.WithFourLetterWords(words),
	}
	if !opt.noTTL {
		opts = append(opts, zkserver.WithExtendedTypes())
	}
	if opt.super {
		opts = append(opts, zkserver.WithSuperDigest(superDigest))
	}
	if opt.enforceQuota {
		opts = append(opts, zkserver.WithEnforceQuota())
	}
	if opt.reaper {
		opts = append(opts, zkserver.WithReapInterval(reaperInterval))
	}
	if opt.requireAuth != "" {
		opts = append(opts, zkserver.WithRequiredAuth(opt.requireAuth))
	}
	if opt.maxFrame > 0 {
		opts = append(opts, zkserver.WithMaxRequest(opt.maxFrame))
	}
	if opt.skipACL {
		opts = append(opts, zkserver.WithSkipACL())
	}
	srv, err := zkserver.Start(opts...)
	if err != nil {
		return nil, err
	}
	s := &server{kind: ours, addr: srv.Addr(), close: srv.Close}
	if opt.tls != "" {
		if err := s.serveTLS(srv, opt.tls); err != nil {
			srv.Close()
			return nil, err
		}
	}
	return s, nil
}

// serveTLS lets a server of this process serve on a TLS port too, in the way that its users do it.
func (s *server) serveTLS(srv *zkserver.Server, mode tlsMode) error {
	s.ca = testcert.NewCA()
	certificate, _, _ := s.ca.Server("127.0.0.1", "localhost")
	conf := &tls.Config{Certificates: []tls.Certificate{certificate}, ClientCAs: s.ca.Pool(), MaxVersion: tls.VersionTLS12}
	switch mode {
	case tlsWant:
		conf.ClientAuth = tls.VerifyClientCertIfGiven
	case tlsNeed:
		conf.ClientAuth = tls.RequireAndVerifyClientCert
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.tlsAddr = ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(tls.NewListener(ln, conf)) }()
	s.close = func() error {
		srv.Close()
		<-served
		return nil
	}
	return nil
}

// dial connects, without a handshake.
func (s *server) dial(t rawzk.TB) *rawzk.Conn {
	t.Helper()
	return rawzk.Dial(t, s.addr)
}

const sessionTimeout = 30 * time.Second

// open begins a session, which ends with the test if its connection is still there.
func (s *server) open(t rawzk.TB) *rawzk.Conn {
	t.Helper()
	return s.openFor(t, sessionTimeout)
}

func (s *server) openFor(t rawzk.TB, timeout time.Duration) *rawzk.Conn {
	t.Helper()
	c := s.dial(t).Open(timeout)
	endSession(t, c)
	return c
}

// resume takes a session over on a new connection.
func (s *server) resume(t rawzk.TB, session zkproto.ConnectResponse) *rawzk.Conn {
	t.Helper()
	c := s.dial(t)
	if c.Handshake(rawzk.Resume(session)).Refused() {
		t.Fatalf("session %#x cannot be resumed", session.SessionID)
	}
	endSession(t, c)
	return c
}

// endSession ends a session behind the test, so that it does not expire in the middle of another.
func endSession(t rawzk.TB, c *rawzk.Conn) {
	t.Cleanup(func() {
		c.Net.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Net.Write(rawzk.Request(0, zkproto.OpCloseSession, nil)); err == nil {
			io.Copy(io.Discard, c.Net)
		}
	})
}

var dirs atomic.Int64

// dir makes a znode that no other test uses.
func dir(c *rawzk.Conn) string {
	c.TB.Helper()
	path := fmt.Sprintf("/fact%d", dirs.Add(1))
	c.Want(zkproto.OK, zkproto.OpCreate, create(path))
	return path
}

// word sends a four-letter word and returns what comes back before the end.
func (s *server) word(t *testing.T, word string) string {
	t.Helper()
	c := s.dial(t)
	c.Write([]byte(word))
	out, err := io.ReadAll(c.Net)
	if err != nil {
		t.Fatalf("%s: %v after %q", word, err, out)
	}
	return string(out)
}
