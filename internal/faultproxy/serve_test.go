package faultproxy_test

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo/internal/faultproxy"
	"github.com/gazoo-zk/gazoo/internal/memnet"
)

// inMemory is a proxy between a network in memory and targets that the test holds in its hands.
type inMemory struct {
	t       *testing.T
	net     *memnet.Network
	p       *faultproxy.Proxy
	targets chan net.Conn
}

// virtual runs f in a bubble with a proxy in memory.
func virtual(t *testing.T, tap func(*faultproxy.Conn) faultproxy.Tap, f func(t *testing.T, m *inMemory)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := &inMemory{t: t, net: memnet.New(), targets: make(chan net.Conn, 16)}
		ln, err := m.net.Listen("zk:1")
		if err != nil {
			t.Fatal(err)
		}
		m.p = faultproxy.Serve(ln, func(_ context.Context, client net.Conn) (net.Conn, error) {
			a, b := memnet.Pair()
			m.targets <- b
			return a, nil
		}, tap)
		defer m.p.Close()
		f(t, m)
	})
}

func (m *inMemory) dial() net.Conn {
	m.t.Helper()
	nc, err := m.net.Dial(context.Background(), "mem", "zk:1")
	if err != nil {
		m.t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(time.Hour))
	m.t.Cleanup(func() { nc.Close() })
	return nc
}

// connect returns both ends of a new connection and the proxy's view of it.
func (m *inMemory) connect() (client, server net.Conn, c *faultproxy.Conn) {
	m.t.Helper()
	client = m.dial()
	server = <-m.targets
	m.t.Cleanup(func() { server.Close() })
	all := m.p.Open()
	return client, server, all[len(all)-1]
}

func TestFaultsOfOneConnection(t *testing.T) {
	virtual(t, nil, func(t *testing.T, m *inMemory) {
		client, server, c := m.connect()
		other, otherServer, _ := m.connect()
		if c.ID() != 1 || c.RemoteAddr().String() != client.LocalAddr().String() {
			t.Errorf("connection %d of %v, want 1 of %v", c.ID(), c.RemoteAddr(), client.LocalAddr())
		}
		c.Stall(faultproxy.Upstream, true)
		send(t, client, "held")
		send(t, other, "free")
		expect(t, otherServer, "free")
		expectSilence(t, server)
		send(t, server, "down")
		expect(t, client, "down")
		c.Stall(faultproxy.Upstream, false)
		server.SetReadDeadline(time.Time{})
		expect(t, server, "held")

		c.Delay(faultproxy.Upstream, time.Second)
		m.p.Delay(faultproxy.Both, time.Second)
		begin := time.Now()
		send(t, client, "late")
		expect(t, server, "late")
		if d := time.Since(begin); d != 2*time.Second {
			t.Errorf("arrived after %v, want the delays of connection and proxy, 2s", d)
		}
		begin = time.Now()
		send(t, other, "late")
		expect(t, otherServer, "late")
		if d := time.Since(begin); d != time.Second {
			t.Errorf("arrived after %v, want the delay of the proxy, 1s", d)
		}
		m.p.Clear()
		begin = time.Now()
		send(t, client, "x")
		expect(t, server, "x")
		if d := time.Since(begin); d != 0 {
			t.Errorf("arrived after %v behind Clear", d)
		}
		c.Cut()
		expectReset(t, client)
		expectReset(t, server)
		<-c.Done()
		send(t, other, "x")
		expect(t, otherServer, "x")
	})
}

func TestBlackHoleOfOneConnection(t *testing.T) {
	virtual(t, nil, func(t *testing.T, m *inMemory) {
		client, server, c := m.connect()
		c.BlackHole()
		send(t, client, "lost")
		server.Close()
		expectSilence(t, client)
		send(t, client, "lost")
		c.Clear()
		expectReset(t, client)

		client, server, c = m.connect()
		c.BlackHole()
		client.Close()
		expectSilence(t, server)
		c.Cut()
		expectReset(t, server)
	})
}

func TestHalfOpen(t *testing.T) {
	virtual(t, nil, func(t *testing.T, m *inMemory) {
		client, server, c := m.connect()
		c.HalfOpen()
		expectReset(t, server)
		send(t, client, "lost")
		expectSilence(t, client)
		if n := m.p.Conns(); n != 1 {
			t.Errorf("%d connections, want the half-open one", n)
		}
		client.Close()
		synctest.Wait()
		if n := m.p.Conns(); n != 0 {
			t.Errorf("%d connections after both sides have left", n)
		}
	})
}

func TestHang(t *testing.T) {
	virtual(t, nil, func(t *testing.T, m *inMemory) {
		client, server, _ := m.connect()
		m.p.Hang(true)
		hung := m.dial()
		send(t, hung, "anybody?")
		expectSilence(t, hung)
		send(t, client, "fine")
		expect(t, server, "fine")
		m.p.Hang(false)
		expectReset(t, hung)
		send(t, client, "fine")
		expect(t, server, "fine")
		m.connect()
		m.p.Hang(true)
		m.p.Clear()
		m.connect()
	})
}

func TestTap(t *testing.T) {
	closed := make(chan int, 1)
	tap := func(c *faultproxy.Conn) faultproxy.Tap {
		return faultproxy.Tap{
			Frame: func(dir faultproxy.Dir, frame []byte) (faultproxy.Verdict, []byte) {
				switch string(frame) {
				case "replace":
					return faultproxy.Forward, []byte("something else")
				case "empty":
					return faultproxy.Forward, []byte{}
				case "drop":
					return faultproxy.Drop, nil
				case "last":
					return faultproxy.Last, []byte("last words")
				case "cut":
					return faultproxy.Cut, nil
				}
				return faultproxy.Forward, nil
			},
			Closed: func() { closed <- c.ID() },
		}
	}
	virtual(t, tap, func(t *testing.T, m *inMemory) {
		closed = make(chan int, 1) // of the bubble
		client, server, c := m.connect()
		for _, f := range []string{"as it is", "replace", "drop", "empty", "last", "never"} {
			send(t, client, frame(f))
		}
		got, err := io.ReadAll(server)
		if want := frame("as it is") + frame("something else") + frame("") + frame("last words"); err != nil || string(got) != want {
			t.Errorf("read %q, %v, want %q", got, err, want)
		}
		if _, err := client.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("client read: %v, want the end", err)
		}
		<-c.Done()
		if id := <-closed; id != 1 {
			t.Errorf("Closed for %d, want 1", id)
		}

		client, server, _ = m.connect()
		send(t, server, frame("a")+frame("cut"))
		got, err = io.ReadAll(client)
		if string(got) != frame("a") || err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read %q, %v, want what came before the cut", got, err)
		}
	})
}
