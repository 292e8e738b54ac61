//go:build unix

package zkserver

import (
	"bytes"
	"io"
	"net"
	"testing"

	"github.com/gazoo-zk/gazoo/internal/nonblock"
)

// spreadPair returns a connection of a server that has no goroutines, and its client's end.
func spreadPair(t *testing.T) (*conn, net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); nc.Close() })
	srv := newServer(defaults())
	return newConn(srv, nc, "127.0.0.1"), client
}

// due puts bytes into a connection as release does.
func (c *conn) due(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = append(c.out, b...)
	c.srv.unsent.Add(int64(len(b)))
}

func TestSpreaderWritesByItself(t *testing.T) {
	c, client := spreadPair(t)
	w, event, got := nonblock.NewWriter(), []byte("an event"), make([]byte, len("an event"))
	send := func() {
		c.due(event)
		c.writeNow(w)
		if _, err := io.ReadFull(client, got); err != nil {
			t.Fatal(err)
		}
	}
	send()
	if !bytes.Equal(got, event) {
		t.Errorf("client read %q, want %q", got, event)
	}
	if n := testing.AllocsPerRun(100, send); n > 0 {
		t.Errorf("%v allocations for an event, want none", n)
	}
	c.writeNow(w) // with nothing to write
	if len(c.wake) > 0 {
		t.Error("the writer was woken")
	}
	if n := c.srv.unsent.Load(); n != 0 {
		t.Errorf("%d bytes count as unsent", n)
	}
}

func TestSpreaderLeavesTheRestToTheWriter(t *testing.T) {
	c, client := spreadPair(t)
	all := make([]byte, 32<<20) // more than a socket takes
	for i := range all {
		all[i] = byte(i >> 8)
	}
	half := len(all) / 2
	c.due(all[:half])
	w := nonblock.NewWriter()
	c.writeNow(w)
	n := int(c.srv.stats.bytesSent.Load())
	switch {
	case n == 0 || n == half:
		t.Fatalf("%d bytes were written at once, want some of %d", n, half)
	case len(c.wake) != 1:
		t.Fatal("the writer was not woken")
	case c.pending() != half-n || c.srv.unsent.Load() != int64(half-n):
		t.Fatalf("%d bytes pending, %d unsent, want %d", c.pending(), c.srv.unsent.Load(), half-n)
	}
	c.due(all[half:]) // stays behind it
	c.writeNow(w)

	done := make(chan struct{})
	go func() { defer close(done); c.write() }()
	got := make([]byte, len(all))
	if _, err := io.ReadFull(client, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, all) {
		t.Error("the bytes arrived changed")
	}
	c.closeSocket()
	<-done
	if n := c.srv.unsent.Load(); n != 0 {
		t.Errorf("%d bytes count as unsent", n)
	}
}

// TestSpreaderAndTheEnd has the writer give up what the spreader is about to send.
func TestSpreaderAndTheEnd(t *testing.T) {
	c, client := spreadPair(t)
	client.Close()
	w, failed := nonblock.NewWriter(), false
	for !failed {
		c.due([]byte("nobody reads this"))
		c.writeNow(w) // fails as soon as the reset is here
		select {
		case <-c.done:
			failed = true
		default:
		}
	}
	c.writeNow(w)
	c.discard()
	c.writeNow(w)
	if n := c.srv.unsent.Load(); n != 0 || c.pending() != 0 {
		t.Errorf("%d bytes count as unsent, %d as pending", n, c.pending())
	}
}
