package conformance

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/internal/testcert"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// Connections over TLS: Apache has a port for it, and zkserver serves on a listener of crypto/tls.

var tlsFacts = facts(plaintextOnTheTLSPort, plaintextBesideTLS, wordsOverTLS, missingCertificateIsRefused,
	untrustedCertificateIsRefused, wantedCertificateMayBeMissing)

// overTLS connects, with a certificate or without.
func (s *server) overTLS(t *testing.T, certificates ...tls.Certificate) *tls.Conn {
	t.Helper()
	nc, err := net.DialTimeout("tcp", s.tlsAddr, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(rawzk.Patience))
	host, _, _ := net.SplitHostPort(s.tlsAddr)
	return tls.Client(nc, &tls.Config{RootCAs: s.ca.Pool(), ServerName: host, Certificates: certificates, MaxVersion: tls.VersionTLS12})
}

func plaintextOnTheTLSPort(t *testing.T, s *server) {
	s = s.with(t, options{tls: tlsNone})
	c := rawzk.Dial(t, s.tlsAddr)
	c.Write(rawzk.Frame(newSession()))
	// An alert may come, but nothing of ZooKeeper.
	out, err := io.ReadAll(c.Net)
	if isTimeout(err) {
		t.Errorf("a plaintext client on the TLS port was not closed")
	}
	if len(out) > 0 && out[0] != 0x15 {
		t.Errorf("a plaintext client on the TLS port was sent %x", out)
	}
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

func plaintextBesideTLS(t *testing.T, s *server) {
	s = s.with(t, options{tls: tlsNone})
	plain := s.open(t)
	secure := rawzk.New(t, s.overTLS(t)).Open(sessionTimeout)
	endSession(t, secure)
	d := dir(plain)
	secure.Want(zkproto.OK, zkproto.OpGetData, watch(d))
	plain.Want(zkproto.OK, zkproto.OpSetData, set(d))
	events(secure, changed(d))
}

func wordsOverTLS(t *testing.T, s *server) {
	s = s.with(t, options{tls: tlsNone})
	nc := s.overTLS(t)
	nc.Write([]byte("ruok"))
	if out, err := io.ReadAll(nc); string(out) != "imok" {
		t.Errorf("ruok over TLS: %q, %v, want imok", out, err)
	}
}

// refusedByAlert checks that a client is not let in.
func refusedByAlert(t *testing.T, nc *tls.Conn) {
	t.Helper()
	if _, err := nc.Write(rawzk.Frame(newSession())); err != nil {
		return
	}
	n, err := nc.Read(make([]byte, 100))
	if n > 0 || err == nil || isTimeout(err) {
		t.Errorf("read %d bytes, %v, want an alert or the end", n, err)
	}
}

func missingCertificateIsRefused(t *testing.T, s *server) {
	s = s.with(t, options{tls: tlsNeed})
	refusedByAlert(t, s.overTLS(t))
	own, _, _ := s.ca.Client(pkix.Name{CommonName: "client"})
	endSession(t, rawzk.New(t, s.overTLS(t, own)).Open(sessionTimeout))
}

func untrustedCertificateIsRefused(t *testing.T, s *server) {
	s = s.with(t, options{tls: tlsNeed})
	foreign, _, _ := testcert.NewCA().Client(pkix.Name{CommonName: "client"})
	refusedByAlert(t, s.overTLS(t, foreign))
}

func wantedCertificateMayBeMissing(t *testing.T, s *server) {
	s = s.with(t, options{tls: tlsWant})
	c := rawzk.New(t, s.overTLS(t)).Open(sessionTimeout)
	endSession(t, c)
	if got, want := identities(c), []zkproto.ClientInfo{{Scheme: "ip", User: "127.0.0.1"}}; !slices.Equal(got, want) {
		t.Errorf("whoAmI = %v, want %v", got, want)
	}
}
