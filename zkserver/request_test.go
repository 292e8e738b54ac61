package zkserver_test

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
	"github.com/gazoo-zk/gazoo/zkserver"
)

func TestUnknownOperations(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		c := v.dial().Open(10 * time.Second)
		for _, op := range []zkproto.OpCode{0, -1, 10, 50, 99, 108, zkproto.OpCheck, zkproto.OpCreateSession} {
			c.Write(rawzk.Request(77, op, zkproto.CheckVersionRequest{Path: "/", Version: -1}))
			if p := c.Next(); p.Xid != 77 || p.Err != zkproto.ErrUnimplemented || p.Zxid != -1 {
				t.Errorf("%v: %+v, want Unimplemented with zxid -1", op, p.ReplyHeader)
			}
			c.Closed()
			next := v.dial()
			if next.Handshake(rawzk.Resume(c.Session)).Refused() {
				t.Fatalf("%v ended the session", op)
			}
			c = next
		}
	})
}

func TestWhatUsesAZxid(t *testing.T) {
	for _, modern := range []bool{false, true} {
		opts := []zkserver.Option{}
		if modern {
			opts = append(opts, zkserver.WithVersion39())
		}
		virtual(t, func(t *testing.T, v *world) {
			c := v.dial().Open(10 * time.Second)
			zxid := int64(1)
			step := func(uses int64, code zkproto.Code, op zkproto.OpCode, b rawzk.Body) {
				t.Helper()
				zxid += uses
				if p := c.Want(code, op, b); p.Zxid != zxid {
					t.Errorf("3.9 %t: %v has zxid %d, want %d", modern, op, p.Zxid, zxid)
				}
			}
			undecodable := int64(1)
			if modern {
				undecodable = 0
			}
			short := rawzk.Bytes{0, 0}
			step(1, zkproto.OK, zkproto.OpCreate, create("/a"))
			step(1, zkproto.ErrNodeExists, zkproto.OpCreate, create("/a"))
			step(undecodable, zkproto.ErrMarshallingError, zkproto.OpCreate, short)
			step(undecodable, zkproto.ErrMarshallingError, zkproto.OpDelete, short)
			step(1, zkproto.ErrMarshallingError, zkproto.OpMulti, short)
			step(1, zkproto.OK, zkproto.OpMulti, zkproto.MultiRequest{})
			step(1, zkproto.ErrBadArguments, zkproto.OpDeleteContainer, zkproto.PathRequest{Path: "/a"})
			step(1, zkproto.ErrReconfigDisabled, zkproto.OpReconfig, zkproto.ReconfigRequest{})
			step(0, zkproto.ErrMarshallingError, zkproto.OpReconfig, short)
			step(0, zkproto.ErrMarshallingError, zkproto.OpGetData, short)
			step(0, zkproto.ErrMarshallingError, zkproto.OpSetWatches, rawzk.Bytes{0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255})
			step(0, zkproto.OK, zkproto.OpSync, zkproto.PathRequest{NullPath: true})
			step(0, zkproto.OK, zkproto.OpMultiRead, zkproto.MultiRequest{})
			step(0, zkproto.ErrMarshallingError, zkproto.OpMultiRead, zkproto.MultiRequest{Ops: []zkproto.MultiOp{{Op: zkproto.OpDelete, Path: "/a"}}})
			step(0, zkproto.OK, zkproto.OpExists, zkproto.PathWatchRequest{Path: "/a"})
			step(1, zkproto.OK, zkproto.OpCloseSession, nil)
			c.Closed()
		}, opts...)
	}
}

func TestPipeline(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		c := v.dial().Open(10 * time.Second)
		var out []byte
		xid := int32(0)
		add := func(op zkproto.OpCode, b rawzk.Body) {
			xid++
			out = append(out, rawzk.Request(xid, op, b)...)
		}
		const n = 2000 // more than may be inside at once
		for range n {
			add(zkproto.OpCreate, zkproto.CreateRequest{Path: "/s", ACL: open, Mode: zkproto.ModePersistentSequential})
		}
		add(zkproto.OpCloseSession, rawzk.Bytes{1, 2, 3})
		add(zkproto.OpCreate, create("/behind"))
		go c.Write(out)
		for i := range n + 1 {
			if p := c.Next(); p.Xid != int32(i+1) || p.Err != zkproto.OK {
				t.Fatalf("reply %d is %+v", i+1, p.ReplyHeader)
			}
		}
		c.Closed()
		d := v.dial().Open(10 * time.Second)
		d.Want(zkproto.ErrNoNode, zkproto.OpExists, zkproto.PathWatchRequest{Path: "/behind"})
	})
}

func TestSlowReaderIsDisconnected(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		c := v.dial().Open(10 * time.Second)
		req := create("/big")
		req.Data = make([]byte, 900_000)
		c.Want(zkproto.OK, zkproto.OpCreate, req)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				b := zkproto.PathWatchRequest{Path: "/big"}.AppendTo(zkproto.RequestHeader{Op: zkproto.OpGetData}.AppendTo(nil))
				if _, err := c.Net.Write(rawzk.Frame(rawzk.Bytes(b))); err != nil {
					return
				}
			}
		}()
		<-done
		synctest.Wait()
		if n := v.srv.ConnCount(); n != 0 {
			t.Errorf("ConnCount() = %d, want the client that never reads gone", n)
		}
		if s := v.dial().Handshake(rawzk.Resume(c.Session)); s.Refused() {
			t.Error("its session ended with it")
		}
	}, zkserver.WithMaxBuffered(4<<20))
}

func TestAuth(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		bob := []zkproto.ACL{{Perms: zkproto.PermAll, Scheme: "digest", ID: "bob:ikIaKsbtGweaHnb/jKn7OHqbunM="}}
		c := v.dial().Open(10 * time.Second)
		c.Want(zkproto.OK, zkproto.OpAuth, zkproto.AuthRequest{Scheme: "digest", Auth: []byte("bob:pw")})
		c.Want(zkproto.OK, zkproto.OpAuth, zkproto.AuthRequest{Scheme: "ip"})
		req := create("/bobs")
		req.ACL = bob
		c.Want(zkproto.OK, zkproto.OpCreate, req)
		c.Want(zkproto.OK, zkproto.OpGetData, zkproto.PathWatchRequest{Path: "/bobs"})

		d := v.dial()
		d.Handshake(rawzk.Resume(c.Session)) // identities are the connection's
		d.Want(zkproto.ErrNoAuth, zkproto.OpGetData, zkproto.PathWatchRequest{Path: "/bobs"})
		d.Want(zkproto.OK, zkproto.OpAuth, zkproto.AuthRequest{Scheme: "digest", Auth: []byte("super:secret")})
		d.Want(zkproto.OK, zkproto.OpGetData, zkproto.PathWatchRequest{Path: "/bobs"})

		for _, bad := range []zkproto.AuthRequest{{Scheme: "world"}, {Scheme: "digest"}, {Scheme: "super", Auth: []byte("x")}, {}} {
			e := v.dial().Open(10 * time.Second)
			if p := e.Want(zkproto.ErrAuthFailed, zkproto.OpAuth, bad); p.Zxid != 0 {
				t.Errorf("auth reply has zxid %d, want 0", p.Zxid)
			}
			e.Closed()
		}
		if p := d.Want(zkproto.OK, zkproto.OpSASL, zkproto.SASLRequest{Token: []byte{}}); len(p.Body) != 4 {
			t.Errorf("sasl = %x, want a null token", p.Body)
		}
	}, zkserver.WithSuperDigest("super:lK75jTNcA+U9vtVEw5vB51mj/w4="))
}

func TestRequiredAuth(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		c := v.dial().Open(10 * time.Second)
		for _, op := range []zkproto.OpCode{zkproto.OpPing, zkproto.OpCloseSession, zkproto.OpWhoAmI} {
			c.Write(rawzk.Request(9, op, nil))
			if p := c.Next(); p.Xid != 9 || p.Zxid != 0 || p.Err != zkproto.ErrSessionClosedRequireSASLAuth || len(p.Body) > 0 {
				t.Errorf("%v without authentication: %+v, want SessionClosedRequireSaslAuth with zxid 0", op, p)
			}
			c.Closed()
			next := v.dial()
			if next.Handshake(rawzk.Resume(c.Session)).Refused() {
				t.Fatalf("%v ended the session", op)
			}
			c = next
		}
		c.Want(zkproto.OK, zkproto.OpAuth, zkproto.AuthRequest{Scheme: "digest", Auth: []byte("bob:pw")})
		c.Want(zkproto.OK, zkproto.OpPing, nil)
	}, zkserver.WithRequiredAuth("digest"))
	if _, err := zkserver.New(zkserver.WithRequiredAuth("nope")); err == nil {
		t.Error("New with a required scheme of which there is no provider succeeded")
	}
}

// TestNullIDInACL has what Apache answers where it trips over the null.
func TestNullIDInACL(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		c := v.dial().Open(10 * time.Second)
		c.Want(zkproto.OK, zkproto.OpAuth, zkproto.AuthRequest{Scheme: "digest", Auth: []byte("bob:pw")})
		c.Want(zkproto.OK, zkproto.OpCreate, create("/a"))
		for scheme, want := range map[string]zkproto.Code{
			"world": zkproto.ErrMarshallingError, "digest": zkproto.ErrMarshallingError, "ip": zkproto.ErrMarshallingError,
			"sasl": zkproto.ErrInvalidACL, "auth": zkproto.OK,
		} {
			b := zkproto.AppendString(nil, "/a")
			b = zkproto.AppendInt32(b, 1)
			b = zkproto.AppendInt32(b, int32(zkproto.PermAll))
			b = zkproto.AppendNullString(zkproto.AppendString(b, scheme))
			c.Want(want, zkproto.OpSetACL, rawzk.Bytes(zkproto.AppendInt32(b, -1)))
		}
	})
}

func TestProvider(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		c := v.dial().Open(10 * time.Second)
		mine := create("/token")
		mine.ACL = []zkproto.ACL{{Perms: zkproto.PermAll, Scheme: "token", ID: "t1"}}
		c.Want(zkproto.OK, zkproto.OpCreate, mine)
		c.Want(zkproto.ErrNoAuth, zkproto.OpGetData, zkproto.PathWatchRequest{Path: "/token"})
		c.Want(zkproto.OK, zkproto.OpAuth, zkproto.AuthRequest{Scheme: "token", Auth: []byte("t1")})
		c.Want(zkproto.OK, zkproto.OpGetData, zkproto.PathWatchRequest{Path: "/token"})
	}, zkserver.WithProvider(zkserver.Provider{
		Scheme: "token",
		Authenticate: func(_ net.Addr, credentials []byte) ([]zkserver.Identity, error) {
			return []zkserver.Identity{{Scheme: "token", ID: string(credentials)}}, nil
		},
	}))
}
