package conformance

import (
	"fmt"
	"testing"

	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// Transactions of several operations, and reads of several znodes.

var multiFacts = facts(create2InAMulti, createContainerInAMulti, containerModeInAMulti, ttlInAMulti, foreignOperations,
	unknownModesInAMulti, ttlModeOfPlainCreateInAMulti, failedMultiTellsEach, failedMultiChangesNothing, multiSeesItself, emptyMulti,
	largeMulti, multiFiresStepByStep, failedMultiFiresNothing, multiChecksPermissions, multiReadSetsNoWatch,
	multiReadFailsAlone, multiReadRefusesOthers, emptyMultiRead)

func create2InAMulti(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	op := mCreate(d+"/a", 0)
	op.Op = zkproto.OpCreate2
	if r := results(c, multi(op))[0]; r.Op != zkproto.OpCreate || r.Path != d+"/a" || r.HasStat {
		t.Errorf("create2 has the result %+v, want that of a create", r)
	}
}

func createContainerInAMulti(t *testing.T, s *server) {
	c := s.with(t, options{reaper: true}).open(t)
	d := dir(c)
	op := func(name string, mode zkproto.CreateMode) zkproto.MultiOp {
		op := mCreate(d+name, mode)
		op.Op = zkproto.OpCreateContainer
		return op
	}
	res := results(c, multi(op("/container", zkproto.ModeContainer), op("/plain", zkproto.ModePersistent), op("/ephemeral", zkproto.ModeEphemeral)))
	if r := res[0]; r.Op != zkproto.OpCreate2 || !r.HasStat || r.Stat != statOf(c, r.Path) {
		t.Errorf("createContainer has the result %+v, want the type of create2 and a stat", r)
	}
	for _, r := range res[1:] {
		if r.Op != zkproto.OpCreate || r.HasStat {
			t.Errorf("createContainer of another mode has the result %+v, want that of a create", r)
		}
	}
	if got := statOf(c, d+"/ephemeral").EphemeralOwner; got != c.Session.SessionID {
		t.Errorf("owner %#x, want that the mode made it ephemeral", got)
	}
	hadAChild(c, d+"/plain")
	hadAChild(c, d+"/container")
	stays(c, d+"/plain", d+"/container")
}

func containerModeInAMulti(t *testing.T, s *server) {
	c := s.with(t, options{reaper: true}).open(t)
	d := dir(c)
	for _, op := range []zkproto.OpCode{zkproto.OpCreate, zkproto.OpCreate2} {
		o := mCreate(fmt.Sprintf("%s/%d", d, op), zkproto.ModeContainer)
		o.Op = op
		if r := results(c, multi(o))[0]; r.Op != zkproto.OpCreate2 || !r.HasStat {
			t.Errorf("%v of a container has the result %+v, want the type of create2 and a stat", op, r)
		}
		hadAChild(c, o.Path)
		gone(c, o.Path)
	}
}

func ttlInAMulti(t *testing.T, s *server) {
	c := s.with(t, options{reaper: true}).open(t)
	d := dir(c)
	op := zkproto.MultiOp{Op: zkproto.OpCreateTTL, Path: d + "/a", ACL: open, Mode: zkproto.ModePersistentTTL, TTL: 1}
	if r := results(c, multi(op))[0]; r.Op != zkproto.OpCreate2 || !r.HasStat {
		t.Errorf("createTTL has the result %+v, want the type of create2 and a stat", r)
	}
	gone(c, op.Path)
	op.TTL = 0
	codes(c, multi(op), zkproto.ErrBadArguments)
	op.Mode, op.TTL = zkproto.ModePersistent, 5
	if r := results(c, multi(op))[0]; r.Op != zkproto.OpCreate || r.HasStat {
		t.Errorf("createTTL with a plain mode has the result %+v, want that of a create", r)
	}
	op.Path, op.Mode, op.TTL = d+"/c", zkproto.ModeContainer, -5
	if r := results(c, multi(op))[0]; r.Op != zkproto.OpCreate2 || !r.HasStat {
		t.Errorf("createTTL of a container has the result %+v, want the type of create2 and a stat", r)
	}
	hadAChild(c, op.Path)
	gone(c, op.Path)
}

func foreignOperations(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	header := func(op zkproto.OpCode) []byte {
		return zkproto.MultiHeader{Type: op, Err: -1}.AppendTo(nil)
	}
	end := zkproto.MultiHeader{Type: zkproto.OpError, Done: true, Err: -1}.AppendTo(nil)
	get := zkproto.MultiOp{Op: zkproto.OpGetData, Path: d}
	list := zkproto.MultiOp{Op: zkproto.OpGetChildren, Path: d}
	for name, body := range map[string]rawzk.Body{
		"setACL":           rawzk.Bytes(append(setACL(d, open...).AppendTo(header(zkproto.OpSetACL)), end...)),
		"exists":           rawzk.Bytes(append(read(d).AppendTo(header(zkproto.OpExists)), end...)),
		"deleteContainer":  rawzk.Bytes(append(at(d).AppendTo(header(zkproto.OpDeleteContainer)), end...)),
		"a multi":          rawzk.Bytes(append(multi(mSet(d, -1)).AppendTo(header(zkproto.OpMulti)), end...)),
		"an unknown one":   rawzk.Bytes(append(at(d).AppendTo(header(99)), end...)),
		"reads":            multi(get, list),
		"a read and a set": multi(get, mSet(d, -1)),
		"a set and a read": multi(mSet(d, -1), get),
	} {
		if p := c.Call(zkproto.OpMulti, body); p.Err != zkproto.ErrMarshallingError {
			t.Errorf("multi with %s: %v, want MarshallingError", name, p.Err.Name())
		}
		c.Want(zkproto.OK, zkproto.OpPing, nil)
	}
	if v := statOf(c, d).Version; v != 0 {
		t.Errorf("version %d, want that none of the sets was done", v)
	}
}

func unknownModesInAMulti(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for _, op := range []zkproto.OpCode{zkproto.OpCreate, zkproto.OpCreate2, zkproto.OpCreateContainer, zkproto.OpCreateTTL} {
		for _, mode := range []zkproto.CreateMode{-1, 7, 1 << 20} {
			o := mCreate(d+"/a", mode)
			o.Op = op
			codes(c, multi(mSet(d, -1), o, mSet(d, -1)), zkproto.OK, zkproto.ErrBadArguments, zkproto.ErrRuntimeInconsistency)
		}
	}
}

func ttlModeOfPlainCreateInAMulti(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for _, mode := range []zkproto.CreateMode{zkproto.ModePersistentTTL, zkproto.ModePersistentSequentialTTL} {
		if p := c.Call(zkproto.OpMulti, multi(mCreate(d+"/a", mode))); p.Err != zkproto.ErrMarshallingError {
			t.Errorf("multi with a create in %v: %v, want MarshallingError", mode, p.Err.Name())
		}
	}
}

func failedMultiTellsEach(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	ok, bad, worse := mSet(d, -1), mSet(d, 77), mDelete(d+"/missing", -1)
	const inconsistent = zkproto.ErrRuntimeInconsistency
	codes(c, multi(bad, ok, ok), zkproto.ErrBadVersion, inconsistent, inconsistent)
	codes(c, multi(ok, bad, ok), zkproto.OK, zkproto.ErrBadVersion, inconsistent)
	codes(c, multi(ok, ok, bad), zkproto.OK, zkproto.OK, zkproto.ErrBadVersion)
	codes(c, multi(bad, worse), zkproto.ErrBadVersion, inconsistent) // only the first is told
	codes(c, multi(worse, bad), zkproto.ErrNoNode, inconsistent)

	// The header of each failed result carries the code as well as its body.
	p := c.Want(zkproto.OK, zkproto.OpMulti, multi(ok, bad, ok))
	var want []byte
	for _, code := range []zkproto.Code{zkproto.OK, zkproto.ErrBadVersion, inconsistent} {
		want = zkproto.AppendInt32(zkproto.MultiHeader{Type: zkproto.OpError, Err: code}.AppendTo(want), int32(code))
	}
	want = zkproto.MultiHeader{Type: zkproto.OpError, Done: true, Err: -1}.AppendTo(want)
	if string(p.Body) != string(want) {
		t.Errorf("results %x, want %x", p.Body, want)
	}
}

func failedMultiChangesNothing(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	made(c, create(d+"/a"))
	parent, stat := statOf(c, d), statOf(c, d+"/a")
	codes(c, multi(mSet(d+"/a", 0), mCreate(d+"/b", 0), mCreate(d+"/e", zkproto.ModeEphemeral), mDelete(d+"/a", 1), mCheck(d+"/a", -1)),
		zkproto.OK, zkproto.OK, zkproto.OK, zkproto.OK, zkproto.ErrNoNode)
	if got := statOf(c, d); got != parent {
		t.Errorf("parent %+v, want it as before: %+v", got, parent)
	}
	if got := statOf(c, d+"/a"); got != stat || string(dataOf(c, d+"/a")) != "v" {
		t.Errorf("znode %+v, want it as before: %+v", got, stat)
	}
	missing(c, d+"/b")
	missing(c, d+"/e")
}

func multiSeesItself(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	codes(c, multi(mCreate(d+"/a", 0), mSet(d+"/a", 0), mCheck(d+"/a", 1), mDelete(d+"/a", 1)), zkproto.OK, zkproto.OK, zkproto.OK, zkproto.OK)
	codes(c, multi(mCreate(d+"/a", 0), mCreate(d+"/a/b", 0), mDelete(d+"/a", -1)), zkproto.OK, zkproto.OK, zkproto.ErrNotEmpty)
	codes(c, multi(mCreate(d+"/a", 0), mCreate(d+"/a", 0)), zkproto.OK, zkproto.ErrNodeExists)
	codes(c, multi(mCreate(d+"/e", zkproto.ModeEphemeral), mCreate(d+"/e/x", 0)), zkproto.OK, zkproto.ErrNoChildrenForEphemerals)
	codes(c, multi(mCreate(d+"/a", 0), mDelete(d+"/a", -1), mCreate(d+"/a", 0)), zkproto.OK, zkproto.OK, zkproto.OK)
	if got := statOf(c, d); got.NumChildren != 1 || got.Cversion != 5 {
		t.Errorf("parent %+v, want 1 child and cversion 5", got)
	}
}

func emptyMulti(t *testing.T, s *server) {
	results(s.open(t), multi())
}

func largeMulti(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	var ops []zkproto.MultiOp
	for i := range 5000 {
		ops = append(ops, mCreate(fmt.Sprintf("%s/%d", d, i), 0))
	}
	results(c, multi(ops...))
	if n := statOf(c, d).NumChildren; n != 5000 {
		t.Errorf("%d children, want 5000", n)
	}
}

func multiFiresStepByStep(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	c.Want(zkproto.OK, zkproto.OpGetData, watch(d))
	causes(c, zkproto.OpMulti, multi(mSet(d, -1), mSet(d, -1)), changed(d))
	c.Want(zkproto.OK, zkproto.OpGetChildren, watch(d))
	causes(c, zkproto.OpMulti, multi(mCreate(d+"/a", 0), mDelete(d+"/a", -1)), children(d))
	c.Want(zkproto.OK, zkproto.OpAddWatch, zkproto.AddWatchRequest{Path: d, Mode: zkproto.WatchPersistentRecursive})
	causes(c, zkproto.OpMulti, multi(mSet(d, -1), mCreate(d+"/a", 0), mSet(d+"/a", 0), mDelete(d+"/a", 1), mSet(d, -1)),
		changed(d), created(d+"/a"), changed(d+"/a"), deleted(d+"/a"), changed(d))
}

func failedMultiFiresNothing(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	c.Want(zkproto.OK, zkproto.OpGetData, watch(d))
	c.Want(zkproto.OK, zkproto.OpGetChildren, watch(d))
	codes(c, multi(mSet(d, -1), mCreate(d+"/a", 0), mCheck(d, 77)), zkproto.OK, zkproto.OK, zkproto.ErrBadVersion)
	events(c)
	causes(c, zkproto.OpSetData, set(d), changed(d)) // the watches are still there
}

func multiChecksPermissions(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	made(c, createWith(d+"/a", except(zkproto.PermWrite|zkproto.PermCreate|zkproto.PermDelete)...))
	codes(c, multi(mSet(d+"/a", -1)), zkproto.ErrNoAuth)
	codes(c, multi(mCreate(d+"/a/b", 0)), zkproto.ErrNoAuth)
	codes(c, multi(mDelete(d+"/a/b", 0)), zkproto.ErrNoAuth)
	op := mCreate(d+"/b", 0)
	op.ACL = none
	codes(c, multi(op, mSet(d+"/b", -1)), zkproto.OK, zkproto.ErrNoAuth) // also by an ACL of the same multi
	op.ACL = nil
	codes(c, multi(op), zkproto.ErrInvalidACL)
}

func multiReadSetsNoWatch(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	c.Want(zkproto.OK, zkproto.OpMultiRead, multi(
		zkproto.MultiOp{Op: zkproto.OpGetData, Path: d, Watch: true}, zkproto.MultiOp{Op: zkproto.OpGetChildren, Path: d, Watch: true}))
	causes(c, zkproto.OpSetData, set(d))
	causes(c, zkproto.OpCreate, create(d+"/a"))
	causes(c, zkproto.OpDelete, del(d+"/a"))
}

func multiReadFailsAlone(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	made(c, create(d+"/a"))
	made(c, createWith(d+"/locked", except(zkproto.PermRead)...))
	get := func(path string) zkproto.MultiOp { return zkproto.MultiOp{Op: zkproto.OpGetData, Path: path} }
	list := func(path string) zkproto.MultiOp { return zkproto.MultiOp{Op: zkproto.OpGetChildren, Path: path} }
	p := c.Want(zkproto.OK, zkproto.OpMultiRead, multi(get(d+"/missing"), get(d+"/a"), list(d+"/locked"), list(d+"/a"), list("//"), get("")))
	res := as[zkproto.MultiResponse](t, p).Results
	for i, want := range []zkproto.Code{zkproto.ErrNoNode, zkproto.OK, zkproto.ErrNoAuth, zkproto.OK, zkproto.ErrNoNode, zkproto.OK} {
		if res[i].Err != want || (res[i].Op == zkproto.OpError) != (want != zkproto.OK) {
			t.Errorf("result %d is %+v, want %v", i, res[i], want.Name())
		}
	}
	if r := res[1]; r.Op != zkproto.OpGetData || string(r.Data) != "v" || r.Stat != statOf(c, d+"/a") {
		t.Errorf("getData inside has the result %+v", r)
	}
	if r := res[3]; r.Op != zkproto.OpGetChildren || len(r.Children) != 0 || r.HasStat {
		t.Errorf("getChildren inside has the result %+v", r)
	}
}

func multiReadRefusesOthers(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	get := zkproto.MultiOp{Op: zkproto.OpGetData, Path: d}
	for _, ops := range [][]zkproto.MultiOp{{mSet(d, -1)}, {get, mSet(d, -1)}, {mSet(d, -1), get}, {mCheck(d, -1)}, {mCreate(d+"/a", 0)}} {
		if p := c.Call(zkproto.OpMultiRead, multi(ops...)); p.Err != zkproto.ErrMarshallingError {
			t.Errorf("multiRead of %+v: %v, want MarshallingError", ops, p.Err.Name())
		}
	}
	if stat := statOf(c, d); stat.Version != 0 || stat.NumChildren != 0 {
		t.Errorf("%+v, want that no write was done", stat)
	}
}

func emptyMultiRead(t *testing.T, s *server) {
	c := s.open(t)
	if got := as[zkproto.MultiResponse](t, c.Want(zkproto.OK, zkproto.OpMultiRead, multi())).Results; len(got) != 0 {
		t.Errorf("results %+v", got)
	}
}
