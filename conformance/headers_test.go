package conformance

import (
	"testing"

	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// Headers, what uses a zxid, and order.

var headerFacts = facts(pingsHaveTheirXid, authXidIsEchoed, anyXidIsEchoed, authRepliesHaveZxidZero, unknownOperations,
	writesUseAZxid, failedWritesUseAZxid, emptyMultiUsesAZxid, undecodableWritesUseAZxid, readsUseNoZxid,
	readsTellTheNewestZxid, ownEventComesBeforeReply, repliesComeInOrder, eventsComeBeforeLaterReplies)

func pingsHaveTheirXid(t *testing.T, s *server) {
	c := s.open(t)
	for _, xid := range []int32{-2, 1, 77, -1} {
		c.Write(rawzk.Request(xid, zkproto.OpPing, nil))
		if p := c.Next(); p.Xid != -2 || p.Err != zkproto.OK || len(p.Body) > 0 || p.Zxid <= 0 {
			t.Errorf("ping with xid %d: %+v, want xid -2", xid, p)
		}
	}
}

func authXidIsEchoed(t *testing.T, s *server) {
	c := s.open(t)
	for _, xid := range []int32{-4, 77, 0} {
		c.Write(rawzk.Request(xid, zkproto.OpAuth, auth("digest", "bob:pw")))
		if p := c.Next(); p.Xid != xid || p.Err != zkproto.OK || len(p.Body) > 0 {
			t.Errorf("auth with xid %d: %+v", xid, p)
		}
	}
}

func anyXidIsEchoed(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for _, xid := range []int32{0, -1, -2, -4, -8, 5, 5, 5, 4, 1<<31 - 1, -1 << 31} {
		for _, x := range []struct {
			op   zkproto.OpCode
			body rawzk.Body
		}{{zkproto.OpExists, read(d)}, {zkproto.OpSetData, set(d)}, {zkproto.OpSetWatches, zkproto.SetWatchesRequest{}}, {zkproto.OpSync, at(d)}} {
			c.Write(rawzk.Request(xid, x.op, x.body))
			if p := c.Next(); p.Xid != xid || p.Err != zkproto.OK {
				t.Errorf("%v with xid %d: %+v", x.op, xid, p.ReplyHeader)
			}
		}
	}
}

func authRepliesHaveZxidZero(t *testing.T, s *server) {
	c := s.open(t)
	if p := c.Want(zkproto.OK, zkproto.OpAuth, auth("digest", "bob:pw")); p.Zxid != 0 {
		t.Errorf("auth reply has zxid %d, want 0", p.Zxid)
	}
	if p := c.Want(zkproto.OK, zkproto.OpSASL, zkproto.SASLRequest{Token: []byte{}}); p.Zxid != 0 {
		t.Errorf("sasl reply has zxid %d, want 0", p.Zxid)
	}
	if p := c.Want(zkproto.ErrAuthFailed, zkproto.OpAuth, auth("nope", "")); p.Zxid != 0 {
		t.Errorf("refused auth has zxid %d, want 0", p.Zxid)
	}
}

func unknownOperations(t *testing.T, s *server) {
	for _, op := range []zkproto.OpCode{0, -1, 10, 50, 99, 108} {
		c := s.open(t)
		c.Write(rawzk.Request(77, op, rawzk.Bytes("anything")))
		if p := c.Next(); p.Xid != 77 || p.Err != zkproto.ErrUnimplemented || p.Zxid != -1 || len(p.Body) > 0 {
			t.Errorf("%v: %+v, want Unimplemented with zxid -1", op, p)
		}
		c.Closed()
		s.resume(t, c.Session)
	}
}

// counting returns a connection of a server that nobody else uses, and a function that checks how many zxids a request
// uses. Where it says so, the reply carries the newest one.
func counting(t *testing.T, s *server) (*rawzk.Conn, func(uses int64, code zkproto.Code, op zkproto.OpCode, b rawzk.Body)) {
	t.Helper()
	s = s.with(t, options{alone: "quiet"})
	c := s.open(t)
	return c, func(uses int64, code zkproto.Code, op zkproto.OpCode, b rawzk.Body) {
		t.Helper()
		before := c.Want(zkproto.OK, zkproto.OpPing, nil).Zxid
		p := c.Call(op, b)
		if p.Err != code {
			t.Errorf("%v %+v: %v, want %v", op, b, p.Err.Name(), code.Name())
		}
		if p.Zxid != before+uses {
			t.Errorf("%v %+v (%v) has zxid %d behind %d, want %d more", op, b, p.Err.Name(), p.Zxid, before, uses)
		}
		if after := c.Want(zkproto.OK, zkproto.OpPing, nil).Zxid; after != before+uses {
			t.Errorf("%v %+v (%v) took the server from zxid %d to %d, want %d more", op, b, p.Err.Name(), before, after, uses)
		}
	}
}

func writesUseAZxid(t *testing.T, s *server) {
	c, step := counting(t, s)
	d := dir(c)
	step(1, zkproto.OK, zkproto.OpCreate, create(d+"/a"))
	step(1, zkproto.OK, zkproto.OpCreate2, create(d+"/b"))
	step(1, zkproto.OK, zkproto.OpCreateContainer, createAs(d+"/c", zkproto.ModeContainer))
	step(1, zkproto.OK, zkproto.OpCreateTTL, createTTL(d+"/t", 1_000_000))
	step(1, zkproto.OK, zkproto.OpSetData, set(d+"/a"))
	step(1, zkproto.OK, zkproto.OpSetACL, setACL(d+"/a", open...))
	step(1, zkproto.OK, zkproto.OpDelete, del(d+"/a"))
	step(1, zkproto.OK, zkproto.OpMulti, multi(mCreate(d+"/x", 0), mSet(d+"/x", 0), mDelete(d+"/x", 1)))

	other := s.with(t, options{alone: "quiet"}).open(t)
	first := other.Want(zkproto.OK, zkproto.OpPing, nil).Zxid
	if p := other.Want(zkproto.OK, zkproto.OpCloseSession, nil); p.Zxid != first+1 {
		t.Errorf("the end of a session has zxid %d behind %d, want one more", p.Zxid, first)
	}
}

func failedWritesUseAZxid(t *testing.T, s *server) {
	c, step := counting(t, s)
	d := dir(c)
	step(1, zkproto.ErrNodeExists, zkproto.OpCreate, create(d))
	step(1, zkproto.ErrBadArguments, zkproto.OpCreate, createAs(d+"/a", 9))
	step(1, zkproto.ErrBadArguments, zkproto.OpCreateTTL, createTTL(d+"/a", 0))
	step(1, zkproto.ErrNoNode, zkproto.OpDelete, del(d+"/a"))
	step(1, zkproto.ErrBadVersion, zkproto.OpSetData, zkproto.SetDataRequest{Path: d, Version: 9})
	step(1, zkproto.ErrInvalidACL, zkproto.OpSetACL, setACL(d))
	step(1, zkproto.ErrBadArguments, zkproto.OpDeleteContainer, at(d))
	step(1, zkproto.ErrReconfigDisabled, zkproto.OpReconfig, zkproto.ReconfigRequest{ConfigID: -1})
	step(1, zkproto.OK, zkproto.OpMulti, multi(mCheck(d, 9)))
}

func emptyMultiUsesAZxid(t *testing.T, s *server) {
	_, step := counting(t, s)
	step(1, zkproto.OK, zkproto.OpMulti, multi())
}

func undecodableWritesUseAZxid(t *testing.T, s *server) {
	_, step := counting(t, s)
	for _, op := range []zkproto.OpCode{
		zkproto.OpCreate, zkproto.OpCreate2, zkproto.OpCreateContainer, zkproto.OpCreateTTL, zkproto.OpDelete, zkproto.OpSetData, zkproto.OpSetACL,
	} {
		step(1, zkproto.ErrMarshallingError, op, rawzk.Bytes{0, 0})
	}
	step(0, zkproto.ErrMarshallingError, zkproto.OpReconfig, rawzk.Bytes{0, 0})
}

func readsUseNoZxid(t *testing.T, s *server) {
	c, step := counting(t, s)
	d := dir(c)
	step(0, zkproto.OK, zkproto.OpExists, watch(d))
	step(0, zkproto.ErrNoNode, zkproto.OpExists, watch(d+"/a"))
	step(0, zkproto.OK, zkproto.OpGetData, watch(d))
	step(0, zkproto.OK, zkproto.OpGetChildren, watch(d))
	step(0, zkproto.OK, zkproto.OpGetChildren2, watch(d))
	step(0, zkproto.OK, zkproto.OpGetACL, at(d))
	step(0, zkproto.OK, zkproto.OpSync, at(d))
	step(0, zkproto.OK, zkproto.OpMultiRead, multi())
	step(0, zkproto.OK, zkproto.OpAddWatch, zkproto.AddWatchRequest{Path: d})
	step(0, zkproto.OK, zkproto.OpRemoveWatches, zkproto.RemoveWatchesRequest{Path: d, Type: zkproto.WatcherAny})
	step(0, zkproto.ErrNoWatcher, zkproto.OpRemoveWatches, zkproto.RemoveWatchesRequest{Path: d, Type: zkproto.WatcherAny})
	step(0, zkproto.OK, zkproto.OpSetWatches, zkproto.SetWatchesRequest{})
	step(0, zkproto.OK, zkproto.OpGetEphemerals, at(d))
	step(0, zkproto.OK, zkproto.OpGetAllChildrenNumber, at(d))
	step(0, zkproto.OK, zkproto.OpWhoAmI, nil)
	step(0, zkproto.ErrMarshallingError, zkproto.OpGetData, rawzk.Bytes{0, 0})

	s = s.with(t, options{alone: "quiet"})
	before := c.Want(zkproto.OK, zkproto.OpPing, nil).Zxid
	c = s.resume(t, c.Session)
	c.Want(zkproto.OK, zkproto.OpAuth, auth("digest", "bob:pw"))
	if after := c.Want(zkproto.OK, zkproto.OpPing, nil).Zxid; after != before {
		t.Errorf("resuming a session and authenticating took the server from zxid %d to %d", before, after)
	}
}

func readsTellTheNewestZxid(t *testing.T, s *server) {
	s = s.with(t, options{alone: "quiet"})
	a, b := s.open(t), s.open(t)
	d := dir(a)
	want := a.Want(zkproto.OK, zkproto.OpSetData, set(d)).Zxid
	for _, p := range []rawzk.Reply{
		b.Want(zkproto.OK, zkproto.OpExists, read("/")),
		b.Want(zkproto.ErrNoNode, zkproto.OpGetData, read("/missing")),
		b.Want(zkproto.OK, zkproto.OpPing, nil),
		b.Want(zkproto.OK, zkproto.OpSync, at("/")),
	} {
		if p.Zxid != want {
			t.Errorf("reply %+v behind the write %d of another client", p.ReplyHeader, want)
		}
	}
}

func ownEventComesBeforeReply(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	c.Want(zkproto.OK, zkproto.OpGetData, watch(d))
	causes(c, zkproto.OpSetData, set(d), changed(d))
	c.Want(zkproto.OK, zkproto.OpGetChildren, watch(d))
	causes(c, zkproto.OpCreate, create(d+"/a"), children(d))
	c.Want(zkproto.OK, zkproto.OpExists, watch(d+"/a"))
	causes(c, zkproto.OpMulti, multi(mSet(d+"/a", 0), mDelete(d+"/a", 1)), changed(d+"/a"))
}

func repliesComeInOrder(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	const n = 200
	var b []byte
	for i := range int32(n) {
		op, body := zkproto.OpSetData, rawzk.Body(set(d))
		switch i % 4 {
		case 1:
			op, body = zkproto.OpGetData, read(d)
		case 2:
			op, body = zkproto.OpCreate, createAs(d+"/s", zkproto.ModePersistentSequential)
		case 3:
			op, body = zkproto.OpSync, at(d)
		}
		b = append(b, rawzk.Request(i+1, op, body)...)
	}
	c.Write(b)
	for i := range int32(n) {
		p := c.Next()
		if p.Xid != i+1 || p.Err != zkproto.OK {
			t.Fatalf("reply %d is %+v", i+1, p.ReplyHeader)
		}
		if i%4 == 1 {
			if v := as[zkproto.GetDataResponse](t, p).Stat.Version; v != i/4+1 {
				t.Fatalf("get behind %d sets has version %d", i/4+1, v)
			}
		}
	}
}

func eventsComeBeforeLaterReplies(t *testing.T, s *server) {
	a, b := s.open(t), s.open(t)
	d := dir(a)
	b.Want(zkproto.OK, zkproto.OpGetData, watch(d))
	a.Want(zkproto.OK, zkproto.OpSetData, set(d))
	frames := b.Exchange(zkproto.OpGetData, read(d))
	same(t, eventsOf(t, frames), []string{changed(d)})
}
