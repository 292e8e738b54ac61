//go:build unix

package nonblock_test

import (
	"bytes"
	"io"
	"net"
	"testing"

	"github.com/gazoo-zk/gazoo/internal/nonblock"
)

// pair returns both ends of a TCP connection.
func pair(t *testing.T) (here, there net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if here, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if there, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { here.Close(); there.Close() })
	return here, there
}

func TestWriteTakesWhatFits(t *testing.T) {
	here, there := pair(t)
	w, raw := nonblock.NewWriter(), nonblock.Conn(here)
	all := bytes.Repeat([]byte("0123456789abcdef"), 2<<20) // more than sockets take
	n, err := w.Write(raw, all)
	if err != nil || n == 0 || n == len(all) {
		t.Fatalf("Write = %d, %v; want some of %d bytes", n, err, len(all))
	}
	for more := n; more > 0; n += more {
		if more, err = w.Write(raw, all[n:]); err != nil {
			t.Fatalf("Write to a socket that is full: %v", err)
		}
	}
	got := make([]byte, n)
	if _, err := io.ReadFull(there, got); err != nil || !bytes.Equal(got, all[:n]) {
		t.Errorf("the %d bytes arrived changed: %v", n, err)
	}
}

func TestWriteDoesNotAllocate(t *testing.T) {
	here, there := pair(t)
	w, raw, buf := nonblock.NewWriter(), nonblock.Conn(here), []byte("a frame")
	if n := testing.AllocsPerRun(100, func() {
		if n, err := w.Write(raw, buf); n != len(buf) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
		if _, err := io.ReadFull(there, buf); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations for a write, want none", n)
	}
}

func TestWriteToAClosedConnection(t *testing.T) {
	here, _ := pair(t)
	raw := nonblock.Conn(here)
	here.Close()
	if n, err := nonblock.NewWriter().Write(raw, []byte("x")); n != 0 || err == nil {
		t.Errorf("Write = %d, %v; want an error", n, err)
	}
}

// wrapped hides a TCP connection, as TLS does.
type wrapped struct{ net.Conn }

func TestConnThatMustBeWrittenThrough(t *testing.T) {
	here, _ := pair(t)
	if raw := nonblock.Conn(wrapped{here}); raw != nil {
		t.Error("Conn went past the type that wraps the connection")
	}
}
