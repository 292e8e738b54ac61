package peer_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo/internal/memnet"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// A client is the least that can talk to a peer.
type client struct {
	t      *testing.T
	nc     net.Conn
	frames *zkproto.FrameReader
}

func newClient(t *testing.T, nc net.Conn) *client {
	t.Cleanup(func() { nc.Close() })
	return &client{t: t, nc: nc, frames: zkproto.NewFrameReader(nc, 0)}
}

// send sends the records as one frame.
func (c *client) send(records ...peer.Body) {
	c.t.Helper()
	b, mark := zkproto.BeginFrame(nil)
	for _, rec := range records {
		b = rec.AppendTo(b)
	}
	if _, err := c.nc.Write(zkproto.EndFrame(b, mark)); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// connect does the handshake for the session id, 0 for a new one.
func (c *client) connect(id int64) zkproto.ConnectResponse {
	c.t.Helper()
	password := zkproto.SessionPassword(id)
	c.send(zkproto.ConnectRequest{TimeoutMS: 10000, SessionID: id, Password: password[:], HasReadOnly: true})
	frame, err := c.frames.Next()
	if err != nil {
		c.t.Fatalf("connect: %v", err)
	}
	r := zkproto.NewReader(frame)
	var resp zkproto.ConnectResponse
	resp.Decode(&r)
	if err := r.Done(); err != nil || !resp.HasReadOnly {
		c.t.Fatalf("connect response %+v: %v", resp, err)
	}
	return resp
}

// receive reads a frame and returns its header and what is behind it.
func (c *client) receive() (zkproto.ReplyHeader, zkproto.Reader) {
	c.t.Helper()
	frame, err := c.frames.Next()
	if err != nil {
		c.t.Fatalf("receive: %v", err)
	}
	r := zkproto.NewReader(frame)
	var h zkproto.ReplyHeader
	h.Decode(&r)
	return h, r
}

// mustEnd waits for the peer to close the connection.
func (c *client) mustEnd() {
	c.t.Helper()
	if frame, err := c.frames.Next(); err != io.EOF {
		c.t.Errorf("got frame %x, %v, want the end of the connection", frame, err)
	}
}

// newServer serves h on a network in memory and returns a function that dials it.
func newServer(t *testing.T, h peer.Handler) (srv *peer.Server, dial func() *client) {
	t.Helper()
	n := memnet.New()
	ln, err := n.Listen("zk1:2181")
	if err != nil {
		t.Fatal(err)
	}
	srv = peer.Serve(ln, h)
	t.Cleanup(srv.Close)
	return srv, func() *client {
		t.Helper()
		nc, err := n.Dial(t.Context(), "tcp", srv.Addr())
		if err != nil {
			t.Fatal(err)
		}
		return newClient(t, nc)
	}
}

func TestScriptedConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, dial := newServer(t, func(c *peer.Conn) {
			req, err := c.ReadConnect()
			if err != nil || req.TimeoutMS != 10000 {
				t.Errorf("ReadConnect() = %+v, %v", req, err)
			}
			c.Accept(42, 4*time.Second, peer.ReadOnly)
			set, err := c.ReadRequest()
			var rec zkproto.SetDataRequest
			if err != nil || set.Header.Op != zkproto.OpSetData || set.Decode(&rec) != nil || rec.Path != "/a" {
				t.Errorf("ReadRequest() = %+v, %v", set, err)
			}
			time.Sleep(time.Hour) // the test's clock, not ours
			c.Event(zkproto.EventDataChanged, "/a", -1)
			c.Reply(set.Header.Xid, 7, zkproto.OK, zkproto.StatResponse{Stat: zkproto.Stat{Mzxid: 7}})
			c.ReplyRaw([]byte("nonsense"))
			if _, err := c.ReadRequest(); err != io.EOF {
				t.Errorf("ReadRequest() after the client closed: %v, want io.EOF", err)
			}
		})
		c := dial()
		if resp := c.connect(0); resp.SessionID != 42 || resp.TimeoutMS != 4000 || !resp.ReadOnly || len(resp.Password) != 16 {
			t.Errorf("connect = %+v", resp)
		}
		start := time.Now()
		c.send(zkproto.RequestHeader{Xid: 1, Op: zkproto.OpSetData}, zkproto.SetDataRequest{Path: "/a", Version: -1})
		h, r := c.receive()
		var ev zkproto.WatcherEvent
		ev.Decode(&r)
		if h.Xid != zkproto.XidNotification || h.Zxid != -1 || ev.Path != "/a" || r.Done() != nil {
			t.Errorf("event = %+v, %+v", h, ev)
		}
		if d := time.Since(start); d != time.Hour {
			t.Errorf("the event came after %v, want 1h", d)
		}
		h, r = c.receive()
		var stat zkproto.StatResponse
		stat.Decode(&r)
		if h.Xid != 1 || h.Zxid != 7 || stat.Stat.Mzxid != 7 || r.Done() != nil {
			t.Errorf("reply = %+v, %+v", h, stat)
		}
		if frame, err := c.frames.Next(); string(frame) != "nonsense" {
			t.Errorf("raw reply = %q, %v", frame, err)
		}
		c.nc.Close()
		synctest.Wait()
	})
}

func TestBasicKeepsSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &peer.Basic{Data: []byte("canned"), Stat: zkproto.Stat{Version: 3}}
		srv, dial := newServer(t, b.Handle)

		first := dial()
		resp := first.connect(0)
		id := resp.SessionID
		if id != peer.FirstSessionID || resp.TimeoutMS != 10000 || !b.Alive(id) {
			t.Fatalf("new session = %+v", resp)
		}
		first.send(zkproto.RequestHeader{Xid: 5, Op: zkproto.OpGetData}, zkproto.PathWatchRequest{Path: "/any"})
		h, r := first.receive()
		var got zkproto.GetDataResponse
		got.Decode(&r)
		if h.Xid != 5 || h.Err != zkproto.OK || h.Zxid != b.Zxid() || string(got.Data) != "canned" || got.Stat.Version != 3 {
			t.Errorf("getData = %+v, %+v", h, got)
		}
		for _, op := range []zkproto.OpCode{zkproto.OpPing, zkproto.OpAuth, zkproto.OpSetWatches, zkproto.OpSetWatches2} {
			first.send(zkproto.RequestHeader{Xid: 6, Op: op})
			want := int32(6)
			if op == zkproto.OpPing {
				want = zkproto.XidPing
			}
			if h, r := first.receive(); h.Xid != want || h.Err != zkproto.OK || r.Len() != 0 {
				t.Errorf("%v = %+v with %d bytes", op, h, r.Len())
			}
		}
		first.send(zkproto.RequestHeader{Xid: 7, Op: zkproto.OpSync}, zkproto.PathRequest{NullPath: true})
		if h, r := first.receive(); h.Err != zkproto.OK || r.Len() != 4 {
			t.Errorf("sync of null = %+v with %d bytes, want null", h, r.Len())
		}

		// The session moves to a second connection; the first one ends.
		second := dial()
		if resp := second.connect(id); resp.SessionID != id {
			t.Errorf("resume = %+v", resp)
		}
		first.mustEnd()
		synctest.Wait()
		if b.Conn(id) == nil || len(srv.Conns()) != 1 {
			t.Errorf("session has connection %v, server has %d", b.Conn(id), len(srv.Conns()))
		}

		// A server that restarts keeps the session, an expired one is refused.
		srv.CloseConns()
		second.mustEnd()
		third := dial()
		third.connect(id)
		if !b.Expire(id) || b.Expire(id) || b.Alive(id) {
			t.Error("Expire did not end the session exactly once")
		}
		third.mustEnd()
		fourth := dial()
		if resp := fourth.connect(id); !resp.Refused() || resp.SessionID != 0 {
			t.Errorf("resume of an expired session = %+v, want a refusal", resp)
		}
		fourth.mustEnd()

		fifth := dial()
		next := fifth.connect(0).SessionID
		if next != id+1 || len(b.Sessions()) != 1 || b.Sessions()[0] != next {
			t.Errorf("next session %#x, alive %#x", next, b.Sessions())
		}
		zxid := b.Zxid()
		fifth.send(zkproto.RequestHeader{Xid: 9, Op: zkproto.OpCloseSession})
		if h, _ := fifth.receive(); h.Xid != 9 || h.Err != zkproto.OK || h.Zxid != zxid+1 {
			t.Errorf("closeSession = %+v", h)
		}
		fifth.mustEnd()
		if b.Alive(next) {
			t.Error("a closed session is alive")
		}
	})
}

func TestBasicRefusesAWrongPassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &peer.Basic{Timeout: 4 * time.Second}
		_, dial := newServer(t, b.Handle)
		resp := dial().connect(0)
		if resp.TimeoutMS != 4000 {
			t.Errorf("granted %d ms, want 4000", resp.TimeoutMS)
		}
		c := dial()
		c.send(zkproto.ConnectRequest{SessionID: resp.SessionID, Password: make([]byte, 16)})
		frame, err := c.frames.Next()
		if err != nil || len(frame) != 36 { // no read-only byte, as in the request
			t.Errorf("refusal = %x, %v", frame, err)
		}
		c.mustEnd()
		if !b.Alive(resp.SessionID) {
			t.Error("a wrong password ended the session")
		}
	})
}

func TestBasicLetsTheTestAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &peer.Basic{
			Connect: func(c *peer.Conn, req zkproto.ConnectRequest) bool {
				if req.LastZxidSeen > 0 {
					return true // behind: closes without a word
				}
				return false
			},
			Answer: func(c *peer.Conn, req peer.Request) bool {
				if req.Header.Op != zkproto.OpCreate {
					return false
				}
				c.Reply(req.Header.Xid, 99, zkproto.ErrNodeExists, nil)
				return true
			},
		}
		b.SetZxid(50)
		_, dial := newServer(t, b.Handle)
		c := dial()
		c.connect(0)
		c.send(zkproto.RequestHeader{Xid: 1, Op: zkproto.OpCreate}, zkproto.CreateRequest{Path: "/a"})
		if h, _ := c.receive(); h.Err != zkproto.ErrNodeExists || h.Zxid != 99 {
			t.Errorf("create = %+v, want the test's answer", h)
		}
		c.send(zkproto.RequestHeader{Xid: 2, Op: zkproto.OpWhoAmI})
		if h, _ := c.receive(); h.Err != zkproto.ErrUnimplemented || h.Zxid != -1 {
			t.Errorf("whoAmI = %+v, want Unimplemented", h)
		}
		c.mustEnd()

		behind := dial()
		behind.send(zkproto.ConnectRequest{LastZxidSeen: 1})
		behind.mustEnd()
	})
}

func TestFourLetterWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, dial := newServer(t, new(peer.Basic).Handle)
		for word, want := range map[string]string{"ruok": "imok", "isro": "rw", "srvr": "srvr is not executed because it is not in the whitelist.\n"} {
			c := dial()
			c.nc.Write([]byte(word))
			if got, err := io.ReadAll(c.nc); string(got) != want || err != nil {
				t.Errorf("%s = %q, %v, want %q", word, got, err, want)
			}
		}
		_, dial = newServer(t, func(c *peer.Conn) {
			if _, err := c.ReadConnect(); !errors.Is(err, peer.ErrFourLetterWord) {
				t.Errorf("ReadConnect() of a word: %v, want ErrFourLetterWord", err)
			}
			if got := c.FourLetter(); got != "mntr" {
				t.Errorf("FourLetter() = %q, want mntr", got)
			}
		})
		c := dial()
		c.nc.Write([]byte("mntr"))
		c.mustEnd()
	})
}

// Close ends handlers that read, that write to a client that does not read, and
// that wait for Done. The bubble fails if it leaves one.
func TestServerCloseJoinsHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handlers := make(chan peer.Handler, 3)
		handlers <- func(c *peer.Conn) { c.ReadConnect() }
		handlers <- func(c *peer.Conn) {
			for c.WriteText("text without end") == nil {
			}
		}
		handlers <- func(c *peer.Conn) { <-c.Done() }
		srv, dial := newServer(t, func(c *peer.Conn) { (<-handlers)(c) })
		for range 3 {
			dial()
		}
		synctest.Wait()
		if n := len(srv.Conns()); n != 3 {
			t.Errorf("%d handlers run, want 3", n)
		}
		srv.Close()
		srv.Close()
		if n := len(srv.Conns()); n != 0 {
			t.Errorf("%d handlers run after Close", n)
		}
	})
}

func TestPeerServesTCP(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := peer.Serve(ln, new(peer.Basic).Handle)
	defer srv.Close()
	nc, err := net.Dial("tcp", srv.Addr())
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, nc)
	if resp := c.connect(0); resp.Refused() {
		t.Fatalf("connect = %+v", resp)
	}
	c.send(zkproto.RequestHeader{Xid: zkproto.XidPing, Op: zkproto.OpPing})
	if h, _ := c.receive(); h.Xid != zkproto.XidPing {
		t.Errorf("ping = %+v", h)
	}
	c.send(zkproto.RequestHeader{Xid: 1, Op: zkproto.OpCloseSession})
	if h, _ := c.receive(); h.Xid != 1 || h.Err != zkproto.OK {
		t.Errorf("closeSession = %+v", h)
	}
	c.mustEnd()
}
