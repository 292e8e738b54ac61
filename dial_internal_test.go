package gazoo

import (
	"net"
	"syscall"
	"testing"
)

func TestConnectionsDoNotDelaySmallWrites(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	cfg := defaults()
	conn, err := (&core{cfg: cfg}).dialHost(t.Context(), Host{Name: "127.0.0.1"}, ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var noDelay int
	if cerr := raw.Control(func(fd uintptr) {
		noDelay, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_NODELAY)
	}); cerr != nil || err != nil || noDelay == 0 {
		t.Errorf("TCP_NODELAY = %d, %v, %v, want it set", noDelay, cerr, err)
	}
}
