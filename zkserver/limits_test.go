package zkserver_test

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/internal/testcert"
	"github.com/gazoo-zk/gazoo/zkproto"
	"github.com/gazoo-zk/gazoo/zkserver"
)

var anySession = zkproto.ConnectRequest{TimeoutMS: 10000, HasReadOnly: true}

func TestConnectRequestsTakeTokens(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		refused := func() {
			t.Helper()
			c := v.dial()
			c.Write(rawzk.Frame(anySession))
			c.Closed()
		}
		first := v.dial()
		session := first.Handshake(anySession)
		v.dial().Handshake(anySession)
		refused()
		if first.Call(zkproto.OpPing, nil); v.srv.ConnCount() != 2 {
			t.Errorf("%d connections, want the 2 that came in time", v.srv.ConnCount())
		}
		time.Sleep(time.Second)
		if got := v.dial().Handshake(rawzk.Resume(session)); got.SessionID != session.SessionID {
			t.Errorf("session %x resumed as %x", session.SessionID, got.SessionID)
		}
		refused() // resuming took the token
		time.Sleep(time.Hour)
		v.dial().Handshake(anySession)
		v.dial().Handshake(anySession)
		refused() // the bucket holds two, however long one waits
	}, zkserver.WithConnectThrottle(zkserver.ConnectThrottle{Burst: 2, Fill: 1, Every: time.Second}))
}

func TestRequestsThatWaitedTooLongAreRefused(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		c, other := v.dial().Open(time.Minute), v.dial().Open(time.Minute)
		c.Want(zkproto.OK, zkproto.OpCreate, create("/a"))
		busy := make(chan error)
		go func() {
			busy <- v.srv.Fill(func(yield func(string, []byte) bool) {
				time.Sleep(2 * time.Second) // the engine is held up
				yield("/b", nil)
			})
		}()
		synctest.Wait()
		c.Send(zkproto.OpSetData, zkproto.SetDataRequest{Path: "/a", Data: []byte("late"), Version: -1})
		c.Write(rawzk.Request(zkproto.XidPing, zkproto.OpPing, nil))
		other.Send(zkproto.OpCloseSession, nil)
		if err := <-busy; err != nil {
			t.Fatal(err)
		}
		if p := c.Next(); p.Err != zkproto.ErrThrottledOp || len(p.Body) > 0 {
			t.Errorf("setData that waited 2s = %v, want ErrThrottledOp", p.Err)
		}
		if p := c.Next(); p.Xid != zkproto.XidPing || p.Err != zkproto.OK {
			t.Errorf("ping that waited 2s = %+v", p.ReplyHeader)
		}
		if p := other.Next(); p.Err != zkproto.OK {
			t.Errorf("closeSession that waited 2s = %v", p.Err)
		}
		p := c.Want(zkproto.OK, zkproto.OpGetData, zkproto.PathWatchRequest{Path: "/a"})
		var got zkproto.GetDataResponse
		r := zkproto.NewReader(p.Body)
		if got.Decode(&r); string(got.Data) != "v" {
			t.Errorf("data %q, want v: the refused request was executed", got.Data)
		}
	}, zkserver.WithThrottledOpWait(time.Second))
}

func TestLargeRequestsAreBoundedTogether(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		a, b, small := v.dial().Open(time.Minute), v.dial().Open(time.Minute), v.dial().Open(time.Minute)
		a.Want(zkproto.OK, zkproto.OpCreate, create("/a"))
		write := zkproto.SetDataRequest{Path: "/a", Data: make([]byte, 60<<10), Version: -1}
		busy := make(chan error)
		go func() {
			busy <- v.srv.Fill(func(yield func(string, []byte) bool) {
				time.Sleep(time.Second)
				yield("/b", nil)
			})
		}()
		synctest.Wait()
		a.Send(zkproto.OpSetData, write)
		synctest.Wait()
		b.Send(zkproto.OpSetData, write)
		small.Send(zkproto.OpGetData, zkproto.PathWatchRequest{Path: "/a"})
		b.Closed()
		if err := <-busy; err != nil {
			t.Fatal(err)
		}
		if p := a.Next(); p.Err != zkproto.OK {
			t.Errorf("the first large request = %v", p.Err)
		}
		if p := small.Next(); p.Err != zkproto.OK {
			t.Errorf("a small request = %v", p.Err)
		}
		for range 3 { // what was answered counts no more
			a.Want(zkproto.OK, zkproto.OpSetData, write)
		}
		if got := v.dial().Handshake(rawzk.Resume(b.Session)); got.Refused() {
			t.Error("the session of the connection that was closed is gone")
		}
	}, zkserver.WithLargeRequests(10<<10, 100<<10))
}

func TestReconfigIsUnimplementedWhenEnabled(t *testing.T) {
	for _, c := range []struct {
		opts []zkserver.Option
		want zkproto.Code
	}{
		{nil, zkproto.ErrReconfigDisabled},
		{[]zkserver.Option{zkserver.WithReconfigEnabled()}, zkproto.ErrUnimplemented},
	} {
		virtual(t, func(t *testing.T, v *world) {
			conn := v.dial().Open(time.Minute)
			conn.Want(c.want, zkproto.OpReconfig, zkproto.ReconfigRequest{})
			conn.Want(zkproto.OK, zkproto.OpExists, zkproto.PathWatchRequest{Path: "/"}) // it goes on
		}, c.opts...)
	}
}

func TestConnectionsWithoutAHandshakeEnd(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		silent, slow := v.dial(), v.dial()
		slow.Write([]byte{0, 0, 0, 45, 0})
		session := v.dial().Open(time.Hour)
		begin := time.Now()
		silent.Closed()
		slow.Closed()
		if took := time.Since(begin); took < 10*time.Second || took > 21*time.Second {
			t.Errorf("closed after %v, want 10s to 20s", took)
		}
		session.Want(zkproto.OK, zkproto.OpExists, zkproto.PathWatchRequest{Path: "/"})
	})
}

func TestImpossibleLimitsAreErrors(t *testing.T) {
	for name, opt := range map[string]zkserver.Option{
		"tokens never added":   zkserver.WithConnectThrottle(zkserver.ConnectThrottle{Burst: 1}),
		"negative tokens":      zkserver.WithConnectThrottle(zkserver.ConnectThrottle{Burst: -1}),
		"negative wait":        zkserver.WithThrottledOpWait(-1),
		"no large requests":    zkserver.WithLargeRequests(0, 0),
		"no request may wait":  zkserver.WithOutstandingPerConn(0),
		"unknown scheme":       zkserver.WithRequiredAuth("nobody"),
		"negative connections": zkserver.WithMaxConns(-1),
	} {
		if srv, err := zkserver.New(opt); err == nil {
			t.Errorf("%s: New = nil error", name)
			srv.Close()
		}
	}
}

func TestListenerThatSpeaksTLS(t *testing.T) {
	ca := testcert.NewCA()
	cert, _, _ := ca.Server("127.0.0.1")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	srv, err := zkserver.New(zkserver.WithFourLetterWords("ruok"))
	must(t, err)
	served := make(chan error, 1)
	go func() {
		served <- srv.Serve(tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}}))
	}()
	defer func() {
		srv.Close()
		if err := <-served; !errors.Is(err, zkserver.ErrClosed) {
			t.Errorf("Serve = %v, want ErrClosed", err)
		}
	}()
	zk, err := gazoo.Connect(t.Context(), ln.Addr().String(), gazoo.WithTLS(&tls.Config{RootCAs: ca.Pool()}))
	must(t, err)
	defer zk.Close()
	data := make([]byte, 300<<10)
	_, err = zk.Create(t.Context(), "/a", data)
	must(t, err)
	got, _, err := zk.Get(t.Context(), "/a")
	if must(t, err); len(got) != len(data) {
		t.Errorf("Get = %d bytes, want %d", len(got), len(data))
	}
	if word, err := zk.FourLetterWord(t.Context(), "ruok"); err != nil || word != "imok" {
		t.Errorf("ruok over TLS = %q, %v", word, err)
	}
	plain := rawzk.Dial(t, ln.Addr().String()) // without TLS it is no client
	plain.Write(rawzk.Frame(anySession))
	if b, err := plain.NextBytes(); err == nil {
		t.Errorf("a server that speaks TLS answered %x in plain text", b)
	}
}

// TestClientsThatDoNotReadShareABound holds that what waits for all of them together is bounded,
// and that those who read are not the ones to go.
func TestClientsThatDoNotReadShareABound(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		path := "/" + strings.Repeat("w", 2000)
		writer := v.dial().Open(time.Hour)
		writer.Want(zkproto.OK, zkproto.OpCreate, create(path))
		watch := zkproto.AddWatchRequest{Path: path, Mode: zkproto.WatchPersistentRecursive}
		reader := v.dial().Open(time.Hour)
		reader.Want(zkproto.OK, zkproto.OpAddWatch, watch)
		events := make(chan int, 1)
		go func() {
			n := 0
			for n < 2000 {
				if _, err := reader.TryNext(); err != nil {
					break
				}
				n++
			}
			events <- n
		}()
		var mute []*rawzk.Conn
		for range 8 {
			c := v.dial().Open(time.Hour)
			c.Want(zkproto.OK, zkproto.OpAddWatch, watch)
			mute = append(mute, c)
		}
		for range 2000 {
			writer.Want(zkproto.OK, zkproto.OpSetData, zkproto.SetDataRequest{Path: path, Version: -1})
		}
		if n := <-events; n != 2000 {
			t.Errorf("the client that reads got %d events, want 2000", n)
		}
		synctest.Wait()
		if n := v.srv.ConnCount(); n != 2 {
			t.Errorf("%d connections, want those of the writer and of the client that reads", n)
		}
		for _, c := range mute {
			if got := v.dial().Handshake(rawzk.Resume(c.Session)); got.Refused() {
				t.Error("a session ended with its connection")
			}
		}
	}, zkserver.WithMaxBufferedTotal(1<<20), zkserver.WithMaxClientConns(0))
}

// TestWaitingRequestsAreBoundedInBytes holds that connections whose requests wait are not read
// beyond the bound, and that nothing is lost by it.
func TestWaitingRequestsAreBoundedInBytes(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		c := v.dial().Open(time.Hour)
		c.Want(zkproto.OK, zkproto.OpCreate, create("/a"))
		busy := make(chan error)
		go func() {
			busy <- v.srv.Fill(func(yield func(string, []byte) bool) {
				time.Sleep(time.Second)
				yield("/b", nil)
			})
		}()
		synctest.Wait()
		const requests = 10
		sent := make(chan int, requests)
		go func() {
			for i := range requests {
				c.Send(zkproto.OpSetData, zkproto.SetDataRequest{Path: "/a", Data: make([]byte, 512<<10), Version: -1})
				sent <- i
			}
			close(sent)
		}()
		synctest.Wait()
		if len(sent) == requests {
			t.Error("all requests were read while they waited")
		}
		if err := <-busy; err != nil {
			t.Fatal(err)
		}
		for i := range requests {
			if p := c.Next(); p.Err != zkproto.OK {
				t.Errorf("request %d = %v", i, p.Err)
			}
		}
		for range sent {
		}
	}, zkserver.WithOutstandingBytes(1<<20))
}
