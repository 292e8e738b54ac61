package gazoo_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/faultproxy"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/internal/testcert"
)

// serveTCP serves h on a free port of a loopback address, with TLS if cfg is not nil, and
// returns the server and its port.
func serveTCP(t *testing.T, ip string, cfg *tls.Config, h peer.Handler) (*peer.Server, int) {
	t.Helper()
	ln, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	must(t, err)
	port := ln.Addr().(*net.TCPAddr).Port
	if cfg != nil {
		ln = tls.NewListener(ln, cfg)
	}
	srv := peer.Serve(ln, h)
	t.Cleanup(srv.Close)
	return srv, port
}

func certFor(ca *testcert.CA, hosts ...string) *tls.Config {
	cert, _, _ := ca.Server(hosts...)
	return &tls.Config{Certificates: []tls.Certificate{cert}}
}

func trust(ca *testcert.CA) gazoo.Option {
	return gazoo.WithTLS(&tls.Config{RootCAs: ca.Pool()})
}

// refused tries a single host that must fail, and returns why.
func refused(t *testing.T, hosts string, opts ...gazoo.Option) error {
	t.Helper()
	opts = append(opts, gazoo.WithFailFast())
	zk, err := gazoo.Connect(deadline(t, 30*time.Second), hosts, opts...)
	if err == nil {
		zk.Close()
		t.Fatalf("Connect(%q) succeeded", hosts)
	}
	return err
}

func TestTLSVerifiesTheConfiguredName(t *testing.T) {
	ca := testcert.NewCA()
	b := &peer.Basic{}
	var names1, names2 serverNames
	one, p1 := serveTCP(t, "127.0.0.1", names1.note(certFor(ca, "zk1.test")), b.Handle)
	_, p2 := serveTCP(t, "127.0.0.2", names2.note(certFor(ca, "zk2.test")), b.Handle)
	var n names
	n.set("zk1.test", "127.0.0.1")
	n.set("zk2.test", "127.0.0.2")
	hosts := fmt.Sprintf("zk1.test:%d,zk2.test:%d", p1, p2)
	zk := connect(t, hosts, trust(ca), gazoo.WithResolver(n.resolve), gazoo.WithHostOrder())
	if want := fmt.Sprintf("127.0.0.1:%d", p1); zk.Server() != want {
		t.Errorf("on %q, want %q", zk.Server(), want)
	}
	id := zk.SessionID()
	ctx := deadline(t, 30*time.Second)
	sub := zk.SubscribeState()
	one.Close()
	if ch, err := sub.Next(ctx); err != nil {
		t.Fatalf("state after the first server closed: %+v, %v", ch, err)
	}
	must(t, zk.WaitState(ctx, gazoo.StateConnected))
	if want := fmt.Sprintf("127.0.0.2:%d", p2); zk.Server() != want || zk.SessionID() != id {
		t.Errorf("on %q in session %x, want %q in %x", zk.Server(), zk.SessionID(), want, id)
	}
	if got := names1.all(); !slices.Equal(got, []string{"zk1.test"}) {
		t.Errorf("the first server was asked for %q, want zk1.test", got)
	}
	if got := names2.all(); !slices.Equal(got, []string{"zk2.test"}) {
		t.Errorf("the second server was asked for %q, want zk2.test", got)
	}
}

// serverNames notes the names that clients ask a TLS server for.
type serverNames struct {
	mu    sync.Mutex
	names []string
}

func (s *serverNames) note(cfg *tls.Config) *tls.Config {
	cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.names = append(s.names, hello.ServerName)
		return nil, nil
	}
	return cfg
}

func (s *serverNames) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.names)
}

func TestTLSRefusesWhatItCannotVerify(t *testing.T) {
	ca, stranger := testcert.NewCA(), testcert.NewCA()
	b := &peer.Basic{}
	_, named := serveTCP(t, "127.0.0.1", certFor(ca, "zk2.test"), b.Handle)
	_, foreign := serveTCP(t, "127.0.0.1", certFor(stranger, "zk1.test"), b.Handle)
	_, plain := serveTCP(t, "127.0.0.1", nil, func(c *peer.Conn) {
		c.WriteText("This is no TLS server\n")
		c.ReadRequest()
	})
	var n names
	n.set("zk1.test", "127.0.0.1")
	for _, tc := range []struct {
		name   string
		hosts  string
		target any // of errors.As
	}{
		{"wrong name", fmt.Sprintf("zk1.test:%d", named), new(x509.HostnameError)},
		{"address instead of a name", fmt.Sprintf("127.0.0.1:%d", named), new(x509.HostnameError)},
		{"unknown authority", fmt.Sprintf("zk1.test:%d", foreign), new(x509.UnknownAuthorityError)},
		{"no TLS", fmt.Sprintf("zk1.test:%d", plain), new(tls.RecordHeaderError)},
	} {
		err := refused(t, tc.hosts, trust(ca), gazoo.WithResolver(n.resolve))
		if !errors.As(err, tc.target) || !errors.Is(err, gazoo.ErrNoServer) {
			t.Errorf("%s: Connect: %v, want a %T", tc.name, err, tc.target)
		}
	}
	// Without roots of its own the configuration trusts the system's, which know none of ours.
	err := refused(t, fmt.Sprintf("tls://zk1.test:%d", foreign), gazoo.WithResolver(n.resolve))
	if !errors.As(err, new(x509.UnknownAuthorityError)) {
		t.Errorf("system roots: Connect: %v, want an x509.UnknownAuthorityError", err)
	}
	connect(t, fmt.Sprintf("zk1.test:%d", named), gazoo.WithResolver(n.resolve),
		gazoo.WithTLS(&tls.Config{RootCAs: ca.Pool(), ServerName: "zk2.test"})) // a name of the caller's choice
	connect(t, fmt.Sprintf("zk1.test:%d", foreign), gazoo.WithResolver(n.resolve),
		gazoo.WithTLS(&tls.Config{InsecureSkipVerify: true}))
}

func TestTLSVerifiesAddressLiterals(t *testing.T) {
	ca := testcert.NewCA()
	_, port := serveTCP(t, "127.0.0.1", certFor(ca, "127.0.0.1"), (&peer.Basic{}).Handle)
	connect(t, fmt.Sprintf("127.0.0.1:%d", port), trust(ca))
}

func TestTLSByHost(t *testing.T) {
	ca := testcert.NewCA()
	b := &peer.Basic{}
	_, secure := serveTCP(t, "127.0.0.1", certFor(ca, "127.0.0.1"), b.Handle)
	_, plain := serveTCP(t, "127.0.0.1", nil, b.Handle)
	at := func(scheme string, port int) string { return fmt.Sprintf("%s127.0.0.1:%d", scheme, port) }
	for _, tc := range []struct {
		hosts string
		opts  []gazoo.Option
		port  int // of the server that can be reached
	}{
		{at("", secure), []gazoo.Option{trust(ca)}, secure},
		{at("tcp://", plain), []gazoo.Option{trust(ca)}, plain},
		{at("tcp://", secure) + "," + at("tls://", plain) + "," + at("tls://", secure), []gazoo.Option{trust(ca)}, secure},
		{at("", plain), nil, plain},
		{at("tls://", plain) + "," + at("tcp://", plain), nil, plain},
	} {
		zk := connect(t, tc.hosts, append(tc.opts, gazoo.WithHostOrder(), gazoo.WithSessionTimeout(2*time.Second))...)
		if want := at("", tc.port); zk.Server() != want {
			t.Errorf("%s: on %q, want %q", tc.hosts, zk.Server(), want)
		}
	}
}

// Certificates given by a callback are asked for at every connection, so they may change while
// the client runs.
func TestClientCertificatesMayChange(t *testing.T) {
	ca := testcert.NewCA()
	cfg := certFor(ca, "127.0.0.1")
	cfg.ClientAuth, cfg.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool()
	var mu sync.Mutex
	var subjects []string
	cfg.VerifyConnection = func(state tls.ConnectionState) error {
		mu.Lock()
		defer mu.Unlock()
		subjects = append(subjects, state.PeerCertificates[0].Subject.CommonName)
		return nil
	}
	srv, port := serveTCP(t, "127.0.0.1", cfg, (&peer.Basic{}).Handle)
	var serial atomic.Int32
	mine := &tls.Config{RootCAs: ca.Pool(), GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		cert, _, _ := ca.Client(pkix.Name{CommonName: fmt.Sprintf("client %d", serial.Add(1))})
		return &cert, nil
	}}
	zk := connect(t, fmt.Sprintf("127.0.0.1:%d", port), gazoo.WithTLS(mine))
	sub := zk.SubscribeState()
	srv.CloseConns()
	ctx := deadline(t, 30*time.Second)
	for {
		ch, err := sub.Next(ctx)
		must(t, err)
		if ch.To == gazoo.StateConnected {
			break
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"client 1", "client 2"}; !slices.Equal(subjects, want) {
		t.Errorf("server saw %q, want %q", subjects, want)
	}
	if mine.ServerName != "" {
		t.Errorf("the caller's configuration was changed: ServerName %q", mine.ServerName)
	}
	if err := refused(t, fmt.Sprintf("127.0.0.1:%d", port), trust(ca), gazoo.WithSessionTimeout(3*time.Second)); !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without a certificate: %v, want the server's alert", err)
	}
}

func TestFourLetterWordsOverTLS(t *testing.T) {
	ca := testcert.NewCA()
	_, port := serveTCP(t, "127.0.0.1", certFor(ca, "zk.test"), words(&peer.Basic{}, func(c *peer.Conn, word string) {
		if word == "srvr" {
			c.WriteText("Zookeeper version: 3.8.0-x, built on 2022-02-25 08:49 UTC\n")
		} else {
			c.WriteText("zk_server_state\tstandalone\n")
		}
	}))
	var n names
	n.set("zk.test", "127.0.0.1")
	zk := connect(t, fmt.Sprintf("zk.test:%d", port), trust(ca), gazoo.WithResolver(n.resolve))
	ctx := deadline(t, 30*time.Second)
	if v, err := zk.ServerVersion(ctx); err != nil || v.String() != "3.8.0" {
		t.Errorf("ServerVersion = %v, %v, want 3.8.0", v, err)
	}
	if text, err := zk.FourLetterWord(ctx, "mntr"); err != nil || text != "zk_server_state\tstandalone\n" {
		t.Errorf("mntr = %q, %v", text, err)
	}
}

func TestTLSHandshakeInPieces(t *testing.T) {
	ca := testcert.NewCA()
	_, port := serveTCP(t, "127.0.0.1", certFor(ca, "127.0.0.1"), (&peer.Basic{Data: []byte("x")}).Handle)
	proxy, err := faultproxy.New(fmt.Sprintf("127.0.0.1:%d", port))
	must(t, err)
	defer proxy.Close()
	proxy.ByteAtATime(faultproxy.Both, time.Nanosecond)
	zk := connect(t, proxy.Addr(), trust(ca))
	if data, _, err := zk.Get(deadline(t, 30*time.Second), "/"); err != nil || string(data) != "x" {
		t.Errorf("Get = %q, %v", data, err)
	}
}

// trickle is a connection from which a byte can be read every pause.
type trickle struct {
	net.Conn
	pause time.Duration
}

func (c *trickle) Read(b []byte) (int, error) {
	time.Sleep(c.pause)
	return c.Conn.Read(b[:min(1, len(b))])
}

func TestSlowTLSHandshake(t *testing.T) {
	for _, tc := range []struct {
		pause time.Duration
		want  string // server that is reached
	}{
		{time.Millisecond, "slow:2181"},
		{time.Second, "b:2181"},
	} {
		t.Run(fmt.Sprint(tc.pause), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				ca := testcert.NewCA()
				for _, name := range []string{"slow", "b"} {
					ln, err := w.net.Listen(name + ":2181")
					must(t, err)
					srv := peer.Serve(tls.NewListener(ln, certFor(ca, name)), (&peer.Basic{}).Handle)
					t.Cleanup(srv.Close)
				}
				begin := time.Now()
				zk := w.connect("slow,b", trust(ca), gazoo.WithSessionTimeout(10*time.Second),
					gazoo.WithDialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
						nc, err := w.net.Dial(ctx, network, addr)
						if err == nil && addr == "slow:2181" {
							nc = &trickle{nc, tc.pause}
						}
						return nc, err
					}))
				if d := time.Since(begin); zk.Server() != tc.want || d > 6*time.Second {
					t.Errorf("on %q after %v, want %q within a host's share of the time-out", zk.Server(), d, tc.want)
				}
			})
		})
	}
}

// Resolvers may return IPv4 addresses in IPv6 form.
func TestMappedAddressesAreDialledAsIPv4(t *testing.T) {
	_, port := serveTCP(t, "127.0.0.1", nil, (&peer.Basic{}).Handle)
	zk := connect(t, fmt.Sprintf("zk.test:%d", port), gazoo.WithResolver(func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("::ffff:127.0.0.1")}, nil
	}))
	if want := fmt.Sprintf("127.0.0.1:%d", port); zk.Server() != want {
		t.Errorf("on %q, want %q", zk.Server(), want)
	}
}
