package faultproxy_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/internal/faultproxy"
	"github.com/gazoo-zk/gazoo/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// backend is a server whose connections the test holds in its hands.
type backend struct {
	t     *testing.T
	ln    net.Listener
	conns chan net.Conn
	wg    sync.WaitGroup
}

func newBackend(t *testing.T) *backend {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{t: t, ln: ln, conns: make(chan net.Conn, 16)}
	b.wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { nc.Close() })
			b.conns <- nc
		}
	})
	t.Cleanup(func() { ln.Close(); b.wg.Wait() })
	return b
}

func newProxy(t *testing.T, b *backend) *faultproxy.Proxy {
	t.Helper()
	p, err := faultproxy.New(b.ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func dial(t *testing.T, p *faultproxy.Proxy) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { nc.Close() })
	return nc
}

// connect returns both ends of a new connection through p.
func connect(t *testing.T, p *faultproxy.Proxy, b *backend) (client, server net.Conn) {
	t.Helper()
	client = dial(t, p)
	server = <-b.conns
	server.SetDeadline(time.Now().Add(20 * time.Second))
	return client, server
}

func send(t *testing.T, nc net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(nc, s); err != nil {
		t.Fatalf("write %q: %v", s, err)
	}
}

func expect(t *testing.T, nc net.Conn, want string) {
	t.Helper()
	buf := make([]byte, len(want))
	if _, err := io.ReadFull(nc, buf); err != nil || string(buf) != want {
		t.Fatalf("read %q, %v; want %q", buf, err, want)
	}
}

func expectReset(t *testing.T, nc net.Conn) {
	t.Helper()
	n, err := nc.Read(make([]byte, 64))
	if n != 0 || !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("read = %d, %v; want a reset", n, err)
	}
}

// expectSilence checks that nothing arrives for a moment, which is all that can be observed of something held.
func expectSilence(t *testing.T, nc net.Conn) {
	t.Helper()
	nc.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
	n, err := nc.Read(make([]byte, 64))
	if !errors.Is(err, syscall.ETIMEDOUT) && !isTimeout(err) {
		t.Fatalf("read = %d, %v; want silence", n, err)
	}
	nc.SetReadDeadline(time.Now().Add(20 * time.Second))
}

func isTimeout(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}

func waitConns(t *testing.T, p *faultproxy.Proxy, want int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); p.Conns() != want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("Conns() = %d, want %d", p.Conns(), want)
		}
	}
}

// expectRefused connects and wants to be reset, be it while dialling or while reading.
func expectRefused(t *testing.T, p *faultproxy.Proxy) {
	t.Helper()
	nc, err := net.Dial("tcp", p.Addr())
	if err != nil {
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("dial: %v; want a reset", err)
		}
		return
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	expectReset(t, nc)
}

func frame(body string) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(body)))) + body
}

func TestForwardsBothWaysAndHalfCloses(t *testing.T) {
	b := newBackend(t)
	p := newProxy(t, b)
	client, server := connect(t, p, b)
	send(t, client, "question")
	expect(t, server, "question")
	client.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(server); len(rest) != 0 || err != nil {
		t.Fatalf("server read %q, %v; want the end of the stream", rest, err)
	}
	send(t, server, "answer")
	expect(t, client, "answer")
	server.Close()
	if rest, err := io.ReadAll(client); len(rest) != 0 || err != nil {
		t.Fatalf("client read %q, %v; want the end of the stream", rest, err)
	}
	waitConns(t, p, 0)
	if got := p.Accepted(); got != 1 {
		t.Errorf("Accepted() = %d, want 1", got)
	}
}

func TestForwardsLargeStreams(t *testing.T) {
	b := newBackend(t)
	p := newProxy(t, b)
	client, server := connect(t, p, b)
	want := bytes.Repeat([]byte("0123456789abcdef"), 512<<10) // 8 MiB, more than every buffer on the way
	var wg sync.WaitGroup
	wg.Go(func() {
		client.Write(want)
		client.(*net.TCPConn).CloseWrite()
	})
	got, err := io.ReadAll(server)
	wg.Wait()
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("server read %d bytes, %v; want the %d that were sent", len(got), err, len(want))
	}
}

func TestResetOfThePeerIsPassedOn(t *testing.T) {
	b := newBackend(t)
	p := newProxy(t, b)
	client, server := connect(t, p, b)
	server.(*net.TCPConn).SetLinger(0)
	server.Close()
	expectReset(t, client)
	waitConns(t, p, 0)
}

func TestCutResetsBothSidesAndLaterConnectionsWork(t *testing.T) {
	b := newBackend(t)
	p := newProxy(t, b)
	client, server := connect(t, p, b)
	send(t, client, "established") // a cut while the proxy still dials ends the server's side without a reset
	expect(t, server, "established")
	p.Cut()
	if got := p.Conns(); got != 0 {
		t.Errorf("Conns() = %d after Cut, want 0", got)
	}
	expectReset(t, client)
	expectReset(t, server)
	client, server = connect(t, p, b)
	send(t, client, "x")
	expect(t, server, "x")
}

func TestRefuseLeavesOpenConnections(t *testing.T) {
	b := newBackend(t)
	p := newProxy(t, b)
	client, server := connect(t, p, b)
	p.Refuse(true)
	expectRefused(t, p)
	if got := p.Refused(); got != 1 {
		t.Errorf("Refused() = %d, want 1", got)
	}
	send(t, client, "still here")
	expect(t, server, "still here")
	p.Refuse(false)
	connect(t, p, b)
	if got := p.Accepted(); got != 2 {
		t.Errorf("Accepted() = %d, want 2", got)
	}
}

func TestUnreachableTargetResetsTheClient(t *testing.T) {
	b := newBackend(t)
	p := newProxy(t, b)
	b.ln.Close()
	expectRefused(t, p)
	other := newBackend(t)
	p.SetTarget(other.ln.Addr().String())
	client, server := connect(t, p, other)
	send(t, client, "moved")
	expect(t, server, "moved")
}

func TestStallHoldsBytesAndTheEndOfTheStream(t *testing.T) {
	for _, dir := range []faultproxy.Dir{faultproxy.Upstream, faultproxy.Downstream} {
		t.Run(dir.String(), func(t *testing.T) {
			b := newBackend(t)
			p := newProxy(t, b)
			from, to := connect(t, p, b)
			if dir == faultproxy.Downstream {
				from, to = to, from
			}
			p.Stall(dir, true)
			send(t, from, "held")
			send(t, to, "other way")
			expect(t, from, "other way")
			from.(*net.TCPConn).CloseWrite()
			expectSilence(t, to)
			p.Stall(dir, false)
			if got, err := io.ReadAll(to); string(got) != "held" || err != nil {
				t.Errorf("read %q, %v; want what was held and then the end", got, err)
			}
		})
	}
}

func TestStallHoldsAReset(t *testing.T) {
	b := newBackend(t)
	p := newProxy(t, b)
	client, server := connect(t, p, b)
	p.Stall(faultproxy.Both, true)
	server.(*net.TCPConn).SetLinger(0)
	server.Close()
	send(t, client, "into the void")
	expectSilence(t, client)
	p.Stall(faultproxy.Both, false)
	expectReset(t, client)
}

func TestStallCoversLaterConnections(t *testing.T) {
	b := newBackend(t)
	p := newProxy(t, b)
	p.Stall(faultproxy.Both, true)
	client, server := connect(t, p, b)
	send(t, client, "x")
	expectSilence(t, server)
	p.Clear()
	expect(t, server, "x")
}

func TestDelayCostsLatencyNotThroughput(t *testing.T) {
	b := newBackend(t)
	p := newProxy(t, b)
	client, server := connect(t, p, b)
	const delay = 50 * time.Millisecond
	p.Delay(faultproxy.Upstream, delay)
	start := time.Now()
	for range 10 {
		send(t, client, "x")
	}
	expect(t, server, "xxxxxxxxxx")
	if took := time.Since(start); took < delay || took > 8*delay {
		t.Errorf("ten writes took %v, want about one delay of %v", took, delay)
	}
	p.Delay(faultproxy.Upstream, time.Hour)
	send(t, client, "y")
	expectSilence(t, server)
	p.Delay(faultproxy.Upstream, 0)
	expect(t, server, "y")
}

func TestByteAtATime(t *testing.T) {
	b := newBackend(t)
	p := newProxy(t, b)
	client, server := connect(t, p, b)
	const pause = 5 * time.Millisecond
	p.ByteAtATime(faultproxy.Downstream, pause)
	start := time.Now()
	send(t, server, "0123456789")
	buf := make([]byte, 10)
	n, err := client.Read(buf)
	if n > 3 || err != nil {
		t.Errorf("first read = %d bytes, %v; want about one", n, err)
	}
	if _, err := io.ReadFull(client, buf[n:]); err != nil || string(buf) != "0123456789" {
		t.Errorf("read %q, %v", buf, err)
	}
	if took := time.Since(start); took < 9*pause {
		t.Errorf("ten bytes took %v, want at least %v", took, 9*pause)
	}
}

func TestCutAfterForwardsExactlyThatMuch(t *testing.T) {
	b := newBackend(t)
	p := newProxy(t, b)
	client, server := connect(t, p, b)
	p.CutAfter(faultproxy.Upstream, 10)
	send(t, client, "0123456")
	expect(t, server, "0123456")
	send(t, client, "789abcdef")
	expect(t, server, "789")
	expectReset(t, server)
	expectReset(t, client)
	client, server = connect(t, p, b) // once only
	send(t, client, "0123456789abcdef")
	expect(t, server, "0123456789abcdef")
}

func TestCutAfterZeroCutsAtTheNextByte(t *testing.T) {
	b := newBackend(t)
	p := newProxy(t, b)
	client, server := connect(t, p, b)
	p.CutAfter(faultproxy.Both, 0)
	send(t, server, "never seen")
	expectReset(t, client)
	expectReset(t, server)
}

func TestBlackHoleSwallowsAndSpoils(t *testing.T) {
	b := newBackend(t)
	p := newProxy(t, b)
	client, server := connect(t, p, b)
	p.BlackHole(true)
	send(t, client, "lost")
	send(t, server, "lost")
	expectSilence(t, client)
	expectSilence(t, server)
	late := dial(t, p)
	send(t, late, "lost as well")
	expectSilence(t, late)
	waitConns(t, p, 2)
	p.BlackHole(false)
	expectReset(t, client)
	expectReset(t, server)
	expectReset(t, late)
	client, server = connect(t, p, b)
	send(t, client, "through")
	expect(t, server, "through")
}

func TestFilterCutsWhenTheReplyComes(t *testing.T) {
	b := newBackend(t)
	p := newProxy(t, b)
	client, server := connect(t, p, b)
	p.SetFilter(func(dir faultproxy.Dir, connID int, body []byte) faultproxy.Verdict {
		switch {
		case dir == faultproxy.Upstream && connID == 1 && string(body) == "ping":
			return faultproxy.Drop
		case dir == faultproxy.Downstream && string(body) == "created":
			return faultproxy.Cut
		}
		return faultproxy.Forward
	})
	send(t, client, frame("ping")+frame("create")[:6])
	send(t, client, frame("create")[6:]+frame(""))
	expect(t, server, frame("create")+frame(""))
	send(t, server, frame("pong")+frame("created")+frame("more"))
	expect(t, client, frame("pong"))
	expectReset(t, client)
	expectReset(t, server)
}

func TestFilterBeginsAtTheNextFrame(t *testing.T) {
	b := newBackend(t)
	p := newProxy(t, b)
	client, server := connect(t, p, b)
	send(t, client, frame("first")[:7])
	expect(t, server, frame("first")[:7])
	p.SetFilter(func(faultproxy.Dir, int, []byte) faultproxy.Verdict { return faultproxy.Drop })
	send(t, client, frame("first")[7:]+frame("second")+frame("third")[:6])
	expect(t, server, frame("first")[7:])
	expectSilence(t, server)
	p.SetFilter(nil)
	send(t, client, frame("third")[6:])
	expect(t, server, frame("third"))
}

func TestFilterLeavesFourLetterWordsAlone(t *testing.T) {
	b := newBackend(t)
	p := newProxy(t, b)
	p.SetFilter(func(faultproxy.Dir, int, []byte) faultproxy.Verdict { return faultproxy.Drop })
	client, server := connect(t, p, b)
	send(t, client, "ruok")
	expect(t, server, "ruok")
	send(t, server, "imok")
	expect(t, client, "imok")
	client, server = connect(t, p, b)
	send(t, server, "rw") // shorter than a length prefix
	server.Close()
	if got, err := io.ReadAll(client); string(got) != "rw" || err != nil {
		t.Errorf("read %q, %v; want rw", got, err)
	}
}

func TestBlockingFilterHoldsOneDirectionOnly(t *testing.T) {
	b := newBackend(t)
	p := newProxy(t, b)
	client, server := connect(t, p, b)
	reached, release := make(chan struct{}), make(chan struct{})
	p.SetFilter(func(dir faultproxy.Dir, _ int, _ []byte) faultproxy.Verdict {
		if dir == faultproxy.Upstream {
			close(reached)
			<-release
		}
		return faultproxy.Forward
	})
	send(t, client, frame("request"))
	<-reached
	send(t, server, frame("event"))
	expect(t, client, frame("event"))
	close(release)
	expect(t, server, frame("request"))
}

func TestCloseIsFinalAndRepeatable(t *testing.T) {
	leak.Check(t)
	b := newBackend(t)
	p := newProxy(t, b)
	client, _ := connect(t, p, b)
	p.Stall(faultproxy.Both, true)
	p.Delay(faultproxy.Both, time.Hour)
	send(t, client, "x")
	p.Close()
	expectReset(t, client)
	if nc, err := net.Dial("tcp", p.Addr()); err == nil {
		nc.Close()
		t.Error("dial after Close succeeded")
	}
	if err := p.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}
