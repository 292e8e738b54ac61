package env

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/gazoo-zk/gazoo"
)

func TestWhatFailsForGood(t *testing.T) {
	refused := fmt.Errorf("zk1: %w", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)})
	closed := fmt.Errorf("zk1: connect record: %w", io.EOF)
	for _, tt := range []struct {
		name string
		err  error
		want bool
	}{
		{"nobody listens", refused, true},
		{"at no address", errors.Join(refused, refused), true},
		{"another address is not serving", errors.Join(refused, closed), false},
		{"not serving", errors.Join(closed), false},
		{"no such name", &net.DNSError{IsNotFound: true}, true},
		{"name server is down", &net.DNSError{IsTimeout: true}, false},
		{"certificate", fmt.Errorf("TLS: %w", &tls.CertificateVerificationError{Err: errors.New("x")}), true},
		{"no route", &net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}, false},
	} {
		if got := forGood(tt.err); got != tt.want {
			t.Errorf("%s: forGood(%v) = %v, want %v", tt.name, tt.err, got, tt.want)
		}
	}
}

// TestGivingUpWantsEveryHost shows that one server that may still come is waited for.
func TestGivingUpWantsEveryHost(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	a, b := gazoo.Host{Name: "a", Port: 1}, gazoo.Host{Name: "b", Port: 1}
	var gaveUp error
	h := &hopeless{left: map[string]bool{a.String(): true, b.String(): true}, giveUp: func(err error) { gaveUp = err }}
	for _, info := range []gazoo.ConnectInfo{{Host: a, Err: refused}, {Host: b, Err: io.EOF}, {Host: a, Err: refused}} {
		if h.OnConnect(info); gaveUp != nil {
			t.Fatalf("gave up after %v at %v: %v", info.Err, info.Host, gaveUp)
		}
	}
	if h.OnConnect(gazoo.ConnectInfo{Host: b, Err: refused}); !errors.Is(gaveUp, gazoo.ErrNoServer) {
		t.Errorf("gave up with %v when nobody listens anywhere, want %v", gaveUp, gazoo.ErrNoServer)
	}
}
