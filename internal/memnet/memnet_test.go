package memnet_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo/internal/memnet"
)

// mustListen listens on addr and closes the listener with the test.
func mustListen(t *testing.T, n *memnet.Network, addr string) net.Listener {
	t.Helper()
	ln, err := n.Listen(addr)
	if err != nil {
		t.Fatalf("Listen(%q): %v", addr, err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// mustDial dials addr and accepts on ln, and closes both ends with the test.
func mustDial(t *testing.T, n *memnet.Network, ln net.Listener) (client, server *memnet.Conn) {
	t.Helper()
	c, err := n.Dial(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	s, err := ln.Accept()
	if err != nil {
		t.Fatalf("Accept: %v", err)
	}
	t.Cleanup(func() { c.Close(); s.Close() })
	return c.(*memnet.Conn), s.(*memnet.Conn)
}

func TestDialReachesTheListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		ln := mustListen(t, n, "zk1:2181")
		client, server := mustDial(t, n, ln)
		if got := client.RemoteAddr().String(); got != "zk1:2181" {
			t.Errorf("RemoteAddr() = %q, want the dialled address", got)
		}
		if got := server.LocalAddr().String(); got != "zk1:2181" {
			t.Errorf("accepted LocalAddr() = %q, want the dialled address", got)
		}
		if client.LocalAddr() != server.RemoteAddr() {
			t.Errorf("the ends disagree about the client: %v, %v", client.LocalAddr(), server.RemoteAddr())
		}
		if n.OpenConns() != 1 || len(n.Conns()) != 1 || n.Conns()[0] != client {
			t.Errorf("OpenConns() = %d, Conns() = %v, want the one", n.OpenConns(), n.Conns())
		}

		client.Write([]byte("hello"))
		client.Close()
		if got, err := io.ReadAll(server); string(got) != "hello" || err != nil {
			t.Errorf("server read %q, %v, want hello", got, err)
		}
		if _, err := server.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("write to a closed end: %v, want EPIPE", err)
		}
		if n.OpenConns() != 1 {
			t.Error("a connection with one end open does not count")
		}
		server.Close()
		if n.OpenConns() != 0 {
			t.Errorf("OpenConns() = %d after both ends closed", n.OpenConns())
		}
		if err := server.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second Close: %v, want net.ErrClosed", err)
		}
	})
}

func TestDialIsRefusedWithoutAListener(t *testing.T) {
	n := memnet.New()
	refused := func(when string) {
		t.Helper()
		_, err := n.Dial(t.Context(), "tcp", "zk1:2181")
		op, ok := errors.AsType[*net.OpError](err)
		if !ok || op.Op != "dial" || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Dial %s: %v, want a dial error with ECONNREFUSED", when, err)
		}
	}
	refused("before Listen")
	ln := mustListen(t, n, "zk1:2181")
	if _, err := n.Listen("zk1:2181"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second Listen: %v, want EADDRINUSE", err)
	}
	ln.Close()
	refused("after Close")
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v, want net.ErrClosed", err)
	}
	mustListen(t, n, "zk1:2181") // the address is free again
	if _, err := n.Listen("no port"); err == nil {
		t.Error("Listen on an address without port succeeded")
	}
	if n.OpenConns() != 0 {
		t.Errorf("OpenConns() = %d", n.OpenConns())
	}
}

func TestListenOnPortZeroFindsAFreeOne(t *testing.T) {
	n := memnet.New()
	a, b := mustListen(t, n, "127.0.0.1:0"), mustListen(t, n, "127.0.0.1:0")
	if a.Addr().String() == b.Addr().String() {
		t.Fatalf("both listen on %v", a.Addr())
	}
	mustDial(t, n, a)
	mustDial(t, n, b)
}

func TestDialHookHangsAndRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		ln := mustListen(t, n, "zk1:2181")
		n.SetDialHook(func(ctx context.Context, addr string) error {
			<-ctx.Done()
			return ctx.Err()
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		_, err := n.Dial(ctx, "tcp", "zk1:2181")
		if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("hanging dial: %v, want a timeout", err)
		}
		if d := time.Since(start); d != time.Minute {
			t.Errorf("hanging dial took %v, want 1m", d)
		}
		n.SetDialHook(func(ctx context.Context, addr string) error { return syscall.EHOSTUNREACH })
		if _, err := n.Dial(t.Context(), "tcp", "zk1:2181"); !errors.Is(err, syscall.EHOSTUNREACH) {
			t.Errorf("refused dial: %v, want the hook's error", err)
		}
		n.SetDialHook(nil)
		mustDial(t, n, ln)
	})
}

func TestFullBacklogLetsDialsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		ln := mustListen(t, n, "zk1:2181")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var conns []net.Conn
		for {
			c, err := n.Dial(ctx, "tcp", "zk1:2181")
			if err != nil {
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("dial with a full backlog: %v, want the context's error", err)
				}
				break
			}
			conns = append(conns, c)
		}
		if n.OpenConns() != len(conns) {
			t.Errorf("OpenConns() = %d, want %d", n.OpenConns(), len(conns))
		}
		ln.Close()
		for _, c := range conns {
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Fatalf("connection that was never accepted: %v, want ECONNRESET", err)
			}
			c.Close()
		}
		if n.OpenConns() != 0 {
			t.Errorf("OpenConns() = %d, want 0", n.OpenConns())
		}
	})
}

func TestDeadlinesFollowVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := memnet.Pair()
		defer a.Close()
		defer b.Close()
		start := time.Now()
		buf := make([]byte, 8)

		a.SetReadDeadline(start.Add(time.Hour))
		_, err := a.Read(buf)
		if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read error %v, want a timeout", err)
		}
		if d := time.Since(start); d != time.Hour {
			t.Errorf("Read waited %v, want 1h", d)
		}
		b.Write([]byte("data"))
		if _, err := a.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read behind the deadline: %v, want a timeout although there is data", err)
		}
		a.SetReadDeadline(time.Time{})
		if n, err := a.Read(buf); n != 4 || err != nil {
			t.Errorf("Read without deadline = %d, %v", n, err)
		}

		// A deadline that is moved while a read waits holds for that read.
		a.SetDeadline(time.Now().Add(time.Minute))
		go func() {
			time.Sleep(time.Second)
			a.SetDeadline(time.Now().Add(-1))
		}()
		start = time.Now()
		if _, err := a.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("Read error %v after %v, want a timeout after 1s", err, time.Since(start))
		}
		if _, err := a.Write(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Write behind the deadline: %v, want a timeout", err)
		}
	})
}

func TestWriteBlocksWhenTheBufferIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := memnet.Pair()
		defer a.Close()
		defer b.Close()
		a.SetWriteBuffer(10)
		a.SetWriteDeadline(time.Now().Add(time.Second))
		if n, err := a.Write(make([]byte, 25)); n != 10 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Write into a full buffer = %d, %v, want 10 and a timeout", n, err)
		}
		a.SetWriteDeadline(time.Time{})
		done := make(chan error, 1)
		go func() {
			_, err := a.Write(make([]byte, 15))
			done <- err
		}()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("Write returned %v with a full buffer", err)
		default:
		}
		if _, err := io.ReadFull(b, make([]byte, 25)); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Errorf("Write: %v", err)
		}
		go func() {
			_, err := a.Write(make([]byte, 50))
			done <- err
		}()
		synctest.Wait()
		a.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("blocked Write after Close: %v, want net.ErrClosed", err)
		}
	})
}

func TestNetworkBufferHoldsForLaterDials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		n.SetBuffer(3)
		client, _ := mustDial(t, n, mustListen(t, n, "zk1:2181"))
		client.SetWriteDeadline(time.Now().Add(time.Second))
		if n, err := client.Write(make([]byte, 5)); n != 3 || err == nil {
			t.Errorf("Write = %d, %v, want 3 and a timeout", n, err)
		}
	})
}

func TestHalfClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := memnet.Pair()
		defer a.Close()
		defer b.Close()
		a.Write([]byte("last"))
		a.CloseWrite()
		if got, err := io.ReadAll(b); string(got) != "last" || err != nil {
			t.Errorf("read %q, %v, want last", got, err)
		}
		if _, err := a.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("Write after CloseWrite: %v, want EPIPE", err)
		}
		b.Write([]byte("back"))
		if n, err := a.Read(make([]byte, 9)); n != 4 || err != nil {
			t.Errorf("Read after CloseWrite = %d, %v, want the answer", n, err)
		}
		a.CloseRead()
		if _, err := a.Read(make([]byte, 9)); err != io.EOF {
			t.Errorf("Read after CloseRead: %v, want io.EOF", err)
		}
		if n, err := b.Write([]byte("lost")); n != 4 || err != nil {
			t.Errorf("Write to an end after CloseRead = %d, %v", n, err)
		}
	})
}

func TestCutResetsBothEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		client, server := mustDial(t, n, mustListen(t, n, "zk1:2181"))
		client.Write([]byte("on its way"))
		read := make(chan error, 1)
		go func() {
			_, err := client.Read(make([]byte, 1))
			read <- err
		}()
		synctest.Wait()
		n.Conns()[0].Cut()
		if err := <-read; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("waiting Read: %v, want ECONNRESET", err)
		}
		if _, err := server.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("Read at the other end: %v, want ECONNRESET", err)
		}
		if _, err := server.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("Write at the other end: %v, want ECONNRESET", err)
		}
		if n.OpenConns() != 1 {
			t.Error("a cut connection whose ends are open does not count as leaked")
		}
	})
}

func TestStallHoldsBackBytesAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := memnet.Pair()
		defer a.Close()
		defer b.Close()
		a.Stall(memnet.Outbound)
		a.Write([]byte("one"))
		b.SetReadDeadline(time.Now().Add(time.Hour))
		if _, err := b.Read(make([]byte, 9)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("Read of a stalled direction: %v, want a timeout", err)
		}
		b.SetReadDeadline(time.Time{})
		b.Write([]byte("other direction"))
		if n, err := a.Read(make([]byte, 99)); n != 15 || err != nil {
			t.Errorf("the other direction = %d, %v", n, err)
		}
		a.Write([]byte("two"))
		a.Close()
		b.Resume(memnet.Inbound)
		if got, err := io.ReadAll(b); string(got) != "onetwo" || err != nil {
			t.Errorf("after Resume: %q, %v, want onetwo", got, err)
		}
	})
}

// A partitioned peer that closes cannot be told from one that is slow.
func TestStallHidesThatTheOtherEndClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := memnet.Pair()
		defer a.Close()
		a.Stall(memnet.Both)
		b.Close()
		if n, err := a.Write([]byte("ping")); n != 4 || err != nil {
			t.Errorf("Write during a partition = %d, %v, want success", n, err)
		}
		a.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read during a partition: %v, want a timeout", err)
		}
		a.SetReadDeadline(time.Time{})
		a.Resume(memnet.Both)
		if _, err := a.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("Read after it: %v, want io.EOF", err)
		}
		if _, err := a.Write([]byte("ping")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("Write after it: %v, want EPIPE", err)
		}
	})
}

func TestConcurrentWritesDoNotMix(t *testing.T) {
	a, b := memnet.Pair()
	defer b.Close()
	a.SetWriteBuffer(7) // a write takes many steps
	const writers, size, each = 4, 100, 20
	for w := range writers {
		go func() {
			msg := make([]byte, size)
			for i := range msg {
				msg[i] = byte(w)
			}
			for range each {
				a.Write(msg)
			}
		}()
	}
	buf := make([]byte, size)
	for range writers * each {
		if _, err := io.ReadFull(b, buf); err != nil {
			t.Fatal(err)
		}
		for _, c := range buf {
			if c != buf[0] {
				t.Fatalf("one write in the middle of another: %v", buf)
			}
		}
	}
	a.Close()
}
