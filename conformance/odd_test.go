package conformance

import (
	"slices"
	"strings"
	"testing"

	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// What no client sends, and servers answer all the same.

var oddFacts = facts(oddConnectRequests, shortAuthRequest, nullSASLToken, requestsBehindRefusedAuth, prefixesAreTrimmed,
	oddMultiHeaders, nullPathInAMultiRead, anyNonZeroIsTrue, longNames, deepTrees, handshakeInPieces, requestInPieces,
	rootsOwnWatches, nullWatchPaths, schemesOfOtherCase, ephemeralsUnderContainers, replyHoldsNothingBehindError)

func oddConnectRequests(t *testing.T, s *server) {
	whole := newSession().AppendTo(nil) // the password's length is at 24
	for name, length := range map[string]int32{"-2": -2, "1000": 1000, "2^31-1": 1<<31 - 1} {
		b := slices.Concat(whole[:24], zkproto.AppendInt32(nil, length), whole[28:])
		c := s.dial(t)
		c.Write(rawzk.Frame(rawzk.Bytes(b)))
		if p, err := c.NextBytes(); err == nil {
			t.Errorf("connect request with a password of %s bytes is answered %x", name, p)
		}
	}
}

func shortAuthRequest(t *testing.T, s *server) {
	whole := auth("digest", "bob:pw").AppendTo(nil)
	for _, n := range []int{0, 3, 8, len(whole) - 1} {
		c := s.open(t)
		c.Send(zkproto.OpAuth, rawzk.Bytes(whole[:n]))
		c.Closed()
		s.resume(t, c.Session)
	}
}

func nullSASLToken(t *testing.T, s *server) {
	for _, body := range []rawzk.Body{zkproto.SASLRequest{}, rawzk.Bytes{}, rawzk.Bytes{0, 0, 0, 5}} {
		c := s.open(t)
		c.Send(zkproto.OpSASL, body)
		c.Closed()
		s.resume(t, c.Session)
	}
}

func requestsBehindRefusedAuth(t *testing.T, s *server) {
	c, other := s.open(t), s.open(t)
	d := dir(other)
	c.Write(slices.Concat(rawzk.Request(1, zkproto.OpAuth, auth("nope", "x")), rawzk.Request(2, zkproto.OpCreate, create(d+"/a"))))
	if p := c.Next(); p.Xid != 1 || p.Err != zkproto.ErrAuthFailed {
		t.Errorf("got %+v, want AuthFailed", p.ReplyHeader)
	}
	c.Closed()
	s.resume(t, c.Session)
	missing(other, d+"/a")
}

func prefixesAreTrimmed(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	made(c, createAs(d+"/a", zkproto.ModeEphemeral))
	for prefix, all := range map[string]bool{
		"\t": true, "\x01": true, "\x00 /\x1f": true, "\n/ ": true, "\u00a0": false, "\u2003": false, "\u0085": false, " " + d: false, d: true, d + " ": false,
	} {
		got := as[zkproto.EphemeralsResponse](t, c.Want(zkproto.OK, zkproto.OpGetEphemerals, at(prefix))).Paths
		if (len(got) == 1) != all {
			t.Errorf("ephemerals with prefix %q = %q, want that it finds it: %t", prefix, got, all)
		}
	}
}

func oddMultiHeaders(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	op := set(d).AppendTo(nil)
	header := func(typ zkproto.OpCode, done byte, err int32) []byte {
		return zkproto.AppendInt32(append(zkproto.AppendInt32(nil, int32(typ)), done), err)
	}
	end := header(-1, 1, -1)
	for _, x := range []struct {
		name string
		body []byte
		want zkproto.Code
		n    int
	}{
		{"an error in the header of an operation", slices.Concat(header(5, 0, 7), op, end), zkproto.OK, 1},
		{"another type at the end", slices.Concat(header(5, 0, -1), op, header(5, 1, 0)), zkproto.OK, 1},
		{"done as 2", slices.Concat(header(5, 0, -1), op, header(-1, 2, -1)), zkproto.OK, 1},
		{"done at once and then an operation", slices.Concat(end, header(5, 0, -1), op, end), zkproto.OK, 0},
		{"no end", slices.Concat(header(5, 0, -1), op), zkproto.ErrMarshallingError, 0},
		{"type -1 that is not done", slices.Concat(header(-1, 0, -1), op, end), zkproto.ErrMarshallingError, 0},
	} {
		p := c.Call(zkproto.OpMulti, rawzk.Bytes(x.body))
		if p.Err != x.want {
			t.Errorf("multi with %s: %v, want %v", x.name, p.Err.Name(), x.want.Name())
			continue
		}
		if x.want == zkproto.OK {
			if got := as[zkproto.MultiResponse](t, p).Results; len(got) != x.n {
				t.Errorf("multi with %s has %d results, want %d", x.name, len(got), x.n)
			}
		}
	}
}

func nullPathInAMultiRead(t *testing.T, s *server) {
	c := s.open(t)
	for _, op := range []zkproto.OpCode{zkproto.OpGetData, zkproto.OpGetChildren} {
		p := c.Call(zkproto.OpMultiRead, multi(zkproto.MultiOp{Op: zkproto.OpGetData, Path: "/"}, zkproto.MultiOp{Op: op, NullPath: true}))
		if p.Err != zkproto.ErrMarshallingError {
			t.Errorf("multiRead with %v of the null path: %v, want MarshallingError", op, p.Err.Name())
		}
	}
}

func anyNonZeroIsTrue(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	c.Want(zkproto.OK, zkproto.OpGetData, rawzk.Bytes(append(zkproto.AppendString(nil, d), 0x80)))
	causes(c, zkproto.OpSetData, set(d), changed(d))
}

func longNames(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	long := d + "/" + strings.Repeat("n", 300_000)
	made(c, create(long))
	addWatch(c, d, recursive)
	causes(c, zkproto.OpSetData, set(long), changed(long))
	if got := childrenOf(c, d); len(got) != 1 || len(got[0]) != 300_000 {
		t.Errorf("%d children", len(got))
	}
	causes(c, zkproto.OpDelete, zkproto.DeleteRequest{Path: long, Version: 1}, deleted(long))
}

func deepTrees(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	const depth = 1000
	path := d
	var ops []zkproto.MultiOp
	for range depth {
		path += "/x"
		ops = append(ops, mCreate(path, 0))
		if len(ops) == 100 {
			results(c, multi(ops...))
			ops = nil
		}
	}
	addWatch(c, d, recursive)
	causes(c, zkproto.OpSetData, set(path), changed(path))
	if n := as[zkproto.AllChildrenNumberResponse](t, c.Want(zkproto.OK, zkproto.OpGetAllChildrenNumber, at(d))).Count; n != depth {
		t.Errorf("%d descendants, want %d", n, depth)
	}
}

func handshakeInPieces(t *testing.T, s *server) {
	c := s.dial(t)
	for _, b := range rawzk.Frame(newSession()) {
		c.Write([]byte{b})
	}
	if c.Greeting().Refused() {
		t.Error("session refused")
	}
	endSession(t, c)
}

func requestInPieces(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	b := slices.Concat(rawzk.Request(1, zkproto.OpSetData, set(d)), rawzk.Request(2, zkproto.OpExists, read(d)))
	for _, x := range b {
		c.Write([]byte{x})
	}
	for _, xid := range []int32{1, 2} {
		if p := c.Next(); p.Xid != xid || p.Err != zkproto.OK {
			t.Errorf("got %+v, want the reply to %d", p.ReplyHeader, xid)
		}
	}
}

func rootsOwnWatches(t *testing.T, s *server) {
	c := s.with(t, options{alone: "quiet"}).open(t)
	c.Want(zkproto.OK, zkproto.OpGetChildren, watch("/"))
	c.Want(zkproto.OK, zkproto.OpGetData, watch("/"))
	causes(c, zkproto.OpCreate, create("/w"), children("/"))
	causes(c, zkproto.OpSetData, set("/"), changed("/"))
	addWatch(c, "/", persistent)
	for range 2 {
		causes(c, zkproto.OpSetData, set("/"), changed("/"))
		causes(c, zkproto.OpSetData, set("/w"))
		causes(c, zkproto.OpCreate, create("/w2"), children("/"))
		causes(c, zkproto.OpDelete, del("/w2"), children("/"))
	}
	zxid := c.Want(zkproto.OK, zkproto.OpPing, nil).Zxid
	c.Want(zkproto.OK, remove, unwatch("/", zkproto.WatcherAny))
	causes(c, zkproto.OpCreate, create("/w2"))
	causes(c, zkproto.OpSetWatches, again(zxid, ofChildren, "/"), children("/"))
	c.Want(zkproto.OK, zkproto.OpDelete, del("/w2"))
	c.Want(zkproto.OK, zkproto.OpDelete, del("/w"))
}

func nullWatchPaths(t *testing.T, s *server) {
	c := s.open(t)
	for typ := zkproto.WatcherChildren; typ <= zkproto.WatcherAny; typ++ {
		c.Want(zkproto.ErrNoWatcher, remove, zkproto.RemoveWatchesRequest{NullPath: true, Type: typ})
	}
}

func schemesOfOtherCase(t *testing.T, s *server) {
	c := s.open(t)
	c.Want(zkproto.ErrAuthFailed, zkproto.OpAuth, auth("Digest", "bob:pw"))
	c.Closed()
	c = s.open(t)
	d := dir(c)
	c.Want(zkproto.ErrInvalidACL, zkproto.OpSetACL, setACL(d, acl(31, "World", "anyone")))
	c.Want(zkproto.ErrInvalidACL, zkproto.OpSetACL, setACL(d, acl(31, "AUTH", "")))
}

func ephemeralsUnderContainers(t *testing.T, s *server) {
	s = s.with(t, options{reaper: true})
	c, other := s.open(t), s.open(t)
	d := dir(c)
	c.Want(zkproto.OK, zkproto.OpCreateContainer, createAs(d+"/c", zkproto.ModeContainer))
	made(other, createAs(d+"/c/e", zkproto.ModeEphemeral))
	other.Want(zkproto.OK, zkproto.OpCloseSession, nil)
	gone(c, d+"/c")
}

func replyHoldsNothingBehindError(t *testing.T, s *server) {
	c := s.open(t)
	for _, op := range []zkproto.OpCode{
		zkproto.OpCreate2, zkproto.OpExists, zkproto.OpGetData, zkproto.OpSetData, zkproto.OpGetACL, zkproto.OpSetACL, zkproto.OpGetChildren2,
		zkproto.OpGetAllChildrenNumber, zkproto.OpAddWatch, zkproto.OpGetEphemerals, zkproto.OpSync,
	} {
		if p := c.Call(op, rawzk.Bytes{0, 0}); p.Err == zkproto.OK || len(p.Body) > 0 {
			t.Errorf("%v of nonsense: %+v", op, p)
		}
	}
}
