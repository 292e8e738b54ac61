package zkserver_test

import (
	"bytes"
	"encoding/hex"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
	"github.com/gazoo-zk/gazoo/zkserver"
)

func TestNewSession(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		for i, c := range []struct{ ask, want int32 }{{10000, 10000}, {1, 6000}, {-5, 6000}, {100000, 60000}} {
			s := v.dial().Handshake(zkproto.ConnectRequest{ProtocolVersion: 5, TimeoutMS: c.ask, HasReadOnly: i%2 == 0})
			password := zkproto.SessionPassword(s.SessionID)
			if s.TimeoutMS != c.want || s.ProtocolVersion != 0 || !bytes.Equal(s.Password, password[:]) || s.ReadOnly {
				t.Errorf("asked for %d ms: %+v, want %d ms and its password", c.ask, s, c.want)
			}
			if want := int64(0x0100_0000_0000_0000) + 7<<16 + int64(i); s.SessionID != want {
				t.Errorf("session id %#x, want %#x", s.SessionID, want)
			}
			if s.HasReadOnly != (i%2 == 0) {
				t.Errorf("read-only byte present: %t, want as in the request", s.HasReadOnly)
			}
		}
		if zxid := v.dial().Open(time.Second).Call(zkproto.OpPing, nil).Zxid; zxid != 5 {
			t.Errorf("zxid %d after 5 sessions", zxid)
		}
	}, zkserver.WithSessionSeed(7))
}

func TestResume(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		a := v.dial().Open(10 * time.Second)
		b := v.dial()
		req := rawzk.Resume(a.Session)
		req.TimeoutMS = 8000
		s := b.Handshake(req)
		if s.SessionID != a.Session.SessionID || s.TimeoutMS != 8000 {
			t.Errorf("resume = %+v, want session %#x with the new time-out", s, a.Session.SessionID)
		}
		a.Closed()
		if p := b.Call(zkproto.OpPing, nil); p.Zxid != 1 || p.Xid != zkproto.XidPing {
			t.Errorf("ping = %+v, want that resuming used no zxid", p.ReplyHeader)
		}

		wrong := rawzk.Resume(a.Session)
		wrong.Password = make([]byte, 16)
		unknown := rawzk.Resume(a.Session)
		unknown.SessionID++
		for _, req := range []zkproto.ConnectRequest{wrong, unknown} {
			c := v.dial()
			if s := c.Handshake(req); s.TimeoutMS != 0 || s.SessionID != 0 || !bytes.Equal(s.Password, make([]byte, 16)) {
				t.Errorf("resume of another's session = %+v, want a refusal", s)
			}
			c.Closed()
		}
		b.Want(zkproto.OK, zkproto.OpPing, nil) // an impostor does not disturb the owner

		ahead := v.dial()
		ahead.Write(rawzk.Frame(zkproto.ConnectRequest{LastZxidSeen: 2, TimeoutMS: 10000}))
		ahead.Closed()

		b.Want(zkproto.OK, zkproto.OpCloseSession, nil)
		b.Closed()
		if s := v.dial().Handshake(rawzk.Resume(a.Session)); !s.Refused() {
			t.Errorf("resume of a closed session = %+v", s)
		}
	})
}

func TestMalformedBeginnings(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		for _, b := range []string{
			"00000010" + "00000000" + "0000000000000000" + "00000000", // no session id
			"ffffffff", "00100000" + "00", "00000000", "78797a20",
		} {
			c := v.dial()
			raw, err := hex.DecodeString(b)
			if err != nil {
				t.Fatal(err)
			}
			c.Write(raw)
			c.Closed()
		}

		// Only 20 seconds are given to say anything.
		begin := time.Now()
		v.dial().Closed()
		if d := time.Since(begin); d < 10*time.Second || d > 20*time.Second {
			t.Errorf("silent connection closed after %v, want 10 to 20 s", d)
		}

		// What comes behind the connect request waits for the answer.
		c := v.dial()
		b := rawzk.Frame(zkproto.ConnectRequest{TimeoutMS: 10000})
		b = append(b, rawzk.Frame(rawzk.Bytes(zkproto.AuthRequest{Scheme: "digest", Auth: []byte("a:b")}.AppendTo(
			zkproto.RequestHeader{Xid: zkproto.XidAuth, Op: zkproto.OpAuth}.AppendTo(nil))))...)
		c.Write(b)
		if f, err := c.NextBytes(); err != nil || len(f) != 36 {
			t.Errorf("connect response of %d bytes (%v), want 36", len(f), err)
		}
		if p := c.Next(); p.Xid != zkproto.XidAuth || p.Zxid != 0 || p.Err != zkproto.OK {
			t.Errorf("auth reply = %+v", p.ReplyHeader)
		}
	})
}

func TestFrameLimit(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		c := v.dial().Open(10 * time.Second)
		overhead := 8 + 4 + 2 + 4 + 4 // header, path, data length, version
		fits := zkproto.SetDataRequest{Path: "/x", Data: make([]byte, zkproto.DefaultFrameLimit-overhead)}
		c.Want(zkproto.ErrNoNode, zkproto.OpSetData, fits)
		c.Write([]byte{0, 0x10, 0, 0}) // one byte more, of which none need come
		c.Closed()

		for _, short := range [][]byte{{}, {0, 0, 0, 1}} {
			d := v.dial()
			d.Handshake(rawzk.Resume(c.Session)) // the session lives on
			d.Write(rawzk.Frame(rawzk.Bytes(short)))
			d.Closed()
		}
	})
}

func TestConnectionLimit(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		a := v.dial().Open(10 * time.Second)
		b := v.dial().Open(10 * time.Second)
		v.dial().Closed()
		if n := v.srv.ConnCount(); n != 2 {
			t.Errorf("ConnCount() = %d, want 2", n)
		}
		a.Want(zkproto.OK, zkproto.OpCloseSession, nil)
		a.Closed()
		time.Sleep(time.Second)
		v.dial().Open(10 * time.Second)
		b.Want(zkproto.OK, zkproto.OpPing, nil)
	}, zkserver.WithMaxClientConns(2))
}

func TestReadOnly(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		a := v.dial().Open(10 * time.Second)
		a.Want(zkproto.OK, zkproto.OpCreate, create("/a"))
		v.srv.ReadOnly(true)
		a.Closed()

		c := v.dial()
		c.Write(rawzk.Frame(zkproto.ConnectRequest{TimeoutMS: 10000, HasReadOnly: true}))
		c.Closed()
		c = v.dial()
		req := rawzk.Resume(a.Session)
		req.ReadOnly = true
		c.Write(rawzk.Frame(req))
		c.Closed()

		c = v.dial()
		if s := c.Handshake(zkproto.ConnectRequest{TimeoutMS: 10000, HasReadOnly: true, ReadOnly: true}); !s.ReadOnly || s.Refused() {
			t.Errorf("connect = %+v, want a read-only session", s)
		}
		c.Want(zkproto.OK, zkproto.OpGetData, zkproto.PathWatchRequest{Path: "/a"})
		c.Want(zkproto.ErrNotReadOnly, zkproto.OpCreate, create("/b"))
		c.Want(zkproto.ErrNotReadOnly, zkproto.OpSync, zkproto.PathRequest{Path: "/"})
		c.Want(zkproto.ErrNotReadOnly, zkproto.OpMulti, zkproto.MultiRequest{})
		for range 30 {
			time.Sleep(time.Second)
			c.Want(zkproto.OK, zkproto.OpPing, nil)
		}

		v.srv.ReadOnly(false)
		c.Closed()
		if s := v.dial().Handshake(rawzk.Resume(c.Session)); !s.Refused() {
			t.Errorf("session of read-only mode resumed: %+v", s)
		}
		d := v.dial()
		if s := d.Handshake(rawzk.Resume(a.Session)); s.SessionID != a.Session.SessionID {
			t.Errorf("resume after read-only mode = %+v, want session %#x", s, a.Session.SessionID)
		}
		d.Want(zkproto.OK, zkproto.OpCreate, create("/b"))
	})
}

func TestOptionsAreValidated(t *testing.T) {
	_, err := zkserver.New(zkserver.WithTickTime(0), zkserver.WithMaxRequest(1), zkserver.WithFourLetterWords("toolong"))
	if err == nil {
		t.Fatal("New with bad options succeeded")
	}
	for _, want := range []string{"tick", "1 bytes", "toolong"} {
		if !bytes.Contains([]byte(err.Error()), []byte(want)) {
			t.Errorf("New = %v, want it to name %q", err, want)
		}
	}
}
