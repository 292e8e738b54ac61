package conformance

import (
	"testing"

	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// Where zkserver means to differ. Each function asserts what either server does; facts.tsv says why.

var differences = facts(wrongPasswordAndItsOwner, createSessionFromAClient, checkOutsideAMulti, checkWatchesOfOthers,
	addWatchOfTheNullPath, negativeTTLInAPlainMode, charactersBeyondTheBasicPlane, negativeCounts)

func wrongPasswordAndItsOwner(t *testing.T, s *server) {
	c := s.open(t)
	req := rawzk.Resume(c.Session)
	req.Password = make([]byte, 16)
	refused(t, s, req)
	if s.kind == apache {
		c.Closed()
		return
	}
	c.Want(zkproto.OK, zkproto.OpPing, nil)
}

func createSessionFromAClient(t *testing.T, s *server) {
	if s.kind == apache {
		c := s.open(t)
		c.Want(zkproto.ErrMarshallingError, zkproto.OpCreateSession, nil)
		c.Write(rawzk.Request(1, zkproto.OpCreateSession, rawzk.Bytes{0, 0, 0x27, 0x10}))
		if got := c.Greeting(); got.SessionID != c.Session.SessionID {
			t.Errorf("createSession from a client: %+v, want another connect response", got)
		}
		return
	}
	for _, body := range []rawzk.Body{nil, rawzk.Bytes{0, 0, 0x27, 0x10}} {
		c := s.open(t)
		xid := c.Send(zkproto.OpCreateSession, body)
		if p := c.Next(); p.Xid != xid || p.Err != zkproto.ErrUnimplemented || p.Zxid != -1 {
			t.Errorf("createSession from a client: %+v, want Unimplemented", p.ReplyHeader)
		}
		c.Closed()
	}
}

func checkOutsideAMulti(t *testing.T, s *server) {
	// Apache cannot be restarted after one that succeeds.
	s = s.with(t, options{alone: "quiet"})
	c := s.open(t)
	d := dir(c)
	ok, bad := zkproto.CheckVersionRequest{Path: d, Version: 0}, zkproto.CheckVersionRequest{Path: d, Version: 7}
	if s.kind == apache {
		c.Want(zkproto.ErrBadVersion, zkproto.OpCheck, bad)
		c.Want(zkproto.ErrNoNode, zkproto.OpCheck, zkproto.CheckVersionRequest{Path: d + "/missing", Version: -1})
		c.Send(zkproto.OpCheck, ok)
		c.Want(zkproto.OK, zkproto.OpPing, nil) // the next reply is that of the next request
		return
	}
	for _, req := range []zkproto.CheckVersionRequest{ok, bad} {
		xid := c.Send(zkproto.OpCheck, req)
		if p := c.Next(); p.Xid != xid || p.Err != zkproto.ErrUnimplemented || p.Zxid != -1 {
			t.Errorf("check outside of a multi: %+v, want Unimplemented", p.ReplyHeader)
		}
		c.Closed()
		c = s.resume(t, c.Session)
	}
}

func checkWatchesOfOthers(t *testing.T, s *server) {
	c, other := s.open(t), s.open(t)
	d := dir(c)
	other.Want(zkproto.OK, zkproto.OpGetData, watch(d))
	want := zkproto.ErrNoWatcher
	if s.kind == apache {
		want = zkproto.OK
	}
	c.Want(want, check, unwatch(d, zkproto.WatcherData))
	c.Want(zkproto.ErrNoWatcher, remove, unwatch(d, zkproto.WatcherData))
}

func addWatchOfTheNullPath(t *testing.T, s *server) {
	if s.kind == ours {
		c := s.open(t)
		c.Want(zkproto.ErrMarshallingError, zkproto.OpAddWatch, zkproto.AddWatchRequest{NullPath: true})
		return
	}
	c := s.with(t, options{alone: "null path"}).dial(t).Open(minTimeout)
	c.Want(zkproto.OK, zkproto.OpAddWatch, zkproto.AddWatchRequest{NullPath: true})
	// Apache cannot end this connection any more: it trips over the path among the watches. So nothing is said of its end.
}

func negativeTTLInAPlainMode(t *testing.T, s *server) {
	if s.kind == apache {
		return // it would end the server, and each restart
	}
	c := s.open(t)
	for mode := range zkproto.ModePersistentTTL {
		c.Want(zkproto.ErrBadArguments, zkproto.OpCreateTTL, zkproto.CreateTTLRequest{Path: "/ttl", ACL: open, Mode: mode, TTL: -1})
	}
	missing(c, "/ttl")
}

func charactersBeyondTheBasicPlane(t *testing.T, s *server) {
	c := s.open(t)
	want := "\U0001f600"
	if s.kind == apache {
		want = "\xed\xa0\xbd\xed\xb8\x80" // as two surrogates
	}
	if got := as[zkproto.SyncResponse](t, c.Want(zkproto.OK, zkproto.OpSync, at("\U0001f600"))).Path; got != want {
		t.Errorf("sync of a character beyond U+FFFF echoes %x, want %x", got, want)
	}
}

func negativeCounts(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	invalid, lists := zkproto.ErrMarshallingError, zkproto.ErrMarshallingError
	if s.kind == apache { // for which the list is empty
		invalid, lists = zkproto.ErrInvalidACL, zkproto.OK
	}
	for _, count := range []int32{-2, -1 << 31} {
		c.Want(invalid, zkproto.OpSetACL, rawzk.Bytes(zkproto.AppendInt32(zkproto.AppendInt32(zkproto.AppendString(nil, d), count), -1)))
		b := zkproto.AppendInt32(zkproto.AppendInt64(nil, 0), count)
		c.Want(lists, zkproto.OpSetWatches, rawzk.Bytes(zkproto.AppendStrings(zkproto.AppendStrings(b, nil), nil)))
	}
}
