package conformance

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// The connect handshake.

var connectFacts = facts(protocolVersionIsIgnored, passwordOfANewSessionIsIgnored, bytesBehindConnectAreIgnored,
	shortConnectRequest, readOnlyByteIsEchoed, zxidAheadIsRefused, sessionTimeoutIsClamped, wrongPasswordIsRefused,
	unknownSessionIsRefused, requestsBehindConnectWait, secondConnectIsARequest, passwordFollowsFromID, sessionIDs)

func newSession() zkproto.ConnectRequest {
	return zkproto.ConnectRequest{TimeoutMS: 10_000, HasReadOnly: true}
}

func protocolVersionIsIgnored(t *testing.T, s *server) {
	for _, version := range []int32{0, 5, -1} {
		c := s.dial(t)
		req := newSession()
		req.ProtocolVersion = version
		if got := c.Handshake(req); got.ProtocolVersion != 0 || got.Refused() {
			t.Errorf("connect with protocol version %d: %+v, want a session and version 0", version, got)
		}
		endSession(t, c)
	}
}

func passwordOfANewSessionIsIgnored(t *testing.T, s *server) {
	for _, password := range [][]byte{nil, {}, {1}, make([]byte, 16), make([]byte, 100)} {
		c := s.dial(t)
		req := newSession()
		req.Password = password
		if got := c.Handshake(req); got.Refused() || len(got.Password) != 16 {
			t.Errorf("new session with a password of %d bytes: %+v, want a session", len(password), got)
		}
		endSession(t, c)
	}
}

func bytesBehindConnectAreIgnored(t *testing.T, s *server) {
	c := s.dial(t)
	c.Write(rawzk.Frame(rawzk.Bytes(append(newSession().AppendTo(nil), 1, 2, 3))))
	if got := c.Greeting(); got.Refused() {
		t.Errorf("connect request with 3 more bytes: %+v, want a session", got)
	}
	endSession(t, c)
	c.Want(zkproto.OK, zkproto.OpPing, nil)
}

func shortConnectRequest(t *testing.T, s *server) {
	whole := newSession().AppendTo(nil)
	for _, n := range []int{0, 4, 24, 27} { // the password's length is complete with 28 bytes
		c := s.dial(t)
		c.Write(rawzk.Frame(rawzk.Bytes(whole[:n])))
		c.Closed()
	}
	c := s.dial(t)
	long := newSession()
	long.Password = make([]byte, 16)
	c.Write(rawzk.Frame(rawzk.Bytes(long.AppendTo(nil)[:30]))) // the password is cut short
	c.Closed()
}

func readOnlyByteIsEchoed(t *testing.T, s *server) {
	for _, x := range []struct {
		has, readOnly bool
		size          int
	}{{false, false, 36}, {true, false, 37}, {true, true, 37}} {
		c := s.dial(t)
		req := newSession()
		req.HasReadOnly, req.ReadOnly = x.has, x.readOnly
		c.Write(rawzk.Frame(req))
		b, err := c.NextBytes()
		if err != nil || len(b) != x.size {
			t.Fatalf("connect response is %d bytes (%v), want %d", len(b), err, x.size)
		}
		if x.has && b[36] != 0 {
			t.Error("a standalone server says that it is read-only")
		}
		endSession(t, c)
	}
}

func zxidAheadIsRefused(t *testing.T, s *server) {
	a := s.open(t)
	zxid := a.Want(zkproto.OK, zkproto.OpPing, nil).Zxid
	req := newSession()
	req.LastZxidSeen = zxid
	c := s.dial(t)
	if c.Handshake(req).Refused() {
		t.Error("session refused to a client that has seen the newest zxid")
	}
	endSession(t, c)
	for _, x := range []zkproto.ConnectRequest{newSession(), rawzk.Resume(a.Session)} {
		x.LastZxidSeen = zxid + 1<<20
		c := s.dial(t)
		c.Write(rawzk.Frame(x))
		c.Closed()
	}
	a.Want(zkproto.OK, zkproto.OpPing, nil) // its session was not touched
}

func sessionTimeoutIsClamped(t *testing.T, s *server) {
	least, most := int32(minTimeout.Milliseconds()), int32(maxTimeout.Milliseconds())
	for _, x := range []struct{ ask, want int32 }{
		{10_000, 10_000}, {1, least}, {0, least}, {-5, least}, {-1 << 31, least}, {1<<31 - 1, most}, {least, least}, {most, most},
	} {
		c := s.dial(t)
		req := newSession()
		req.TimeoutMS = x.ask
		if got := c.Handshake(req); got.TimeoutMS != x.want {
			t.Errorf("asked for %d ms, got %d, want %d", x.ask, got.TimeoutMS, x.want)
		}
		endSession(t, c)
	}
}

// refused checks that a resume is answered by zeros and the end of the connection.
func refused(t *testing.T, s *server, req zkproto.ConnectRequest) {
	t.Helper()
	c := s.dial(t)
	got := c.Handshake(req)
	if got.TimeoutMS != 0 || got.SessionID != 0 || !bytes.Equal(got.Password, make([]byte, 16)) || got.HasReadOnly != req.HasReadOnly {
		t.Errorf("resume with %+v: %+v, want a refusal", req, got)
	}
	c.Closed()
}

// refusedOnceExpired is refused for a session that ends at about this moment: a server that is still busy with that may
// close the connection without an answer.
func refusedOnceExpired(t *testing.T, s *server, session zkproto.ConnectResponse) {
	t.Helper()
	for range 50 {
		c := s.dial(t)
		c.Write(rawzk.Frame(rawzk.Resume(session)))
		b, err := c.NextBytes()
		if err == nil {
			r := zkproto.NewReader(b)
			var got zkproto.ConnectResponse
			if got.Decode(&r); !got.Refused() {
				t.Errorf("expired session %#x was resumed: %+v", session.SessionID, got)
			}
			refused(t, s, rawzk.Resume(session))
			return
		}
	}
	t.Errorf("expired session %#x gets no answer", session.SessionID)
}

func wrongPasswordIsRefused(t *testing.T, s *server) {
	for _, password := range [][]byte{nil, {}, make([]byte, 16), make([]byte, 17)} {
		c := s.open(t)
		req := rawzk.Resume(c.Session)
		req.Password = password
		req.HasReadOnly = len(password) != 0
		refused(t, s, req)
		s.resume(t, c.Session) // the session itself goes on
	}
}

func unknownSessionIsRefused(t *testing.T, s *server) {
	c := s.open(t)
	id := c.Session.SessionID + 1<<30
	password := zkproto.SessionPassword(id)
	refused(t, s, zkproto.ConnectRequest{TimeoutMS: 10_000, SessionID: id, Password: password[:], HasReadOnly: true})
	c.Want(zkproto.OK, zkproto.OpCloseSession, nil)
	c.Closed()
	refused(t, s, rawzk.Resume(c.Session))
}

func requestsBehindConnectWait(t *testing.T, s *server) {
	c := s.dial(t)
	b := rawzk.Frame(newSession())
	b = append(b, rawzk.Request(7, zkproto.OpAuth, auth("digest", "bob:pw"))...)
	b = append(b, rawzk.Request(8, zkproto.OpExists, read("/zookeeper"))...)
	c.Write(b)
	if c.Greeting().Refused() {
		t.Fatal("session refused")
	}
	endSession(t, c)
	for _, xid := range []int32{7, 8} {
		if p := c.Next(); p.Xid != xid || p.Err != zkproto.OK {
			t.Errorf("reply %+v, want one to %d", p.ReplyHeader, xid)
		}
	}
}

func secondConnectIsARequest(t *testing.T, s *server) {
	c := s.open(t)
	c.Write(rawzk.Frame(newSession()))
	if p := c.Next(); p.Xid != 0 || p.Zxid != -1 || p.Err != zkproto.ErrUnimplemented {
		t.Errorf("second connect request: %+v, want Unimplemented", p.ReplyHeader)
	}
	c.Closed()
	s.resume(t, c.Session)
}

func passwordFollowsFromID(t *testing.T, s *server) {
	c := s.open(t)
	want := zkproto.SessionPassword(c.Session.SessionID)
	if !bytes.Equal(c.Session.Password, want[:]) {
		t.Errorf("session %#x has password %x, want %x", c.Session.SessionID, c.Session.Password, want)
	}
	for id, want := range map[int64]string{
		0x0100000f268f0016: "b7c4044ad52aed2b7022861b6a8e5943", 0x0100000000000001: "054cc74a37327db215e702e20c73f005",
	} {
		if got := zkproto.SessionPassword(id); hex.EncodeToString(got[:]) != want {
			t.Errorf("password of %#x = %x, want %s", id, got, want)
		}
		// A wrong password and an unknown session look the same, so only that it is refused can be seen.
		b, _ := hex.DecodeString(want)
		refused(t, s, zkproto.ConnectRequest{TimeoutMS: 10_000, SessionID: id, Password: b, HasReadOnly: true})
	}
}

func sessionIDs(t *testing.T, s *server) {
	s = s.with(t, options{alone: "quiet"})
	a, b := s.open(t).Session.SessionID, s.open(t).Session.SessionID
	if a>>56 != 1 || b != a+1 {
		t.Errorf("session ids %#x and %#x, want 0x01 in front and one behind the other", a, b)
	}
}
