package conformance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// This file has short names for the records that most facts send and read.

func acl(perms zkproto.Perm, scheme, id string) zkproto.ACL {
	return zkproto.ACL{Perms: perms, Scheme: scheme, ID: id}
}

var (
	open = []zkproto.ACL{acl(zkproto.PermAll, "world", "anyone")}
	none = []zkproto.ACL{acl(0, "world", "anyone")}
)

// all but one permission for everybody.
func except(p zkproto.Perm) []zkproto.ACL {
	return []zkproto.ACL{acl(zkproto.PermAll&^p, "world", "anyone")}
}

func create(path string) zkproto.CreateRequest {
	return zkproto.CreateRequest{Path: path, Data: []byte("v"), ACL: open}
}

func createAs(path string, mode zkproto.CreateMode) zkproto.CreateRequest {
	r := create(path)
	r.Mode = mode
	return r
}

func createWith(path string, acl ...zkproto.ACL) zkproto.CreateRequest {
	r := create(path)
	r.ACL = acl
	return r
}

func createTTL(path string, ttl int64) zkproto.CreateTTLRequest {
	return zkproto.CreateTTLRequest{Path: path, Data: []byte("v"), ACL: open, Mode: zkproto.ModePersistentTTL, TTL: ttl}
}

func del(path string) zkproto.DeleteRequest { return zkproto.DeleteRequest{Path: path, Version: -1} }

func set(path string) zkproto.SetDataRequest {
	return zkproto.SetDataRequest{Path: path, Data: []byte("w"), Version: -1}
}

func setACL(path string, acl ...zkproto.ACL) zkproto.SetACLRequest {
	return zkproto.SetACLRequest{Path: path, ACL: acl, Version: -1}
}

// read is a read of any kind without a watch, and watch is one with it.
func read(path string) zkproto.PathWatchRequest { return zkproto.PathWatchRequest{Path: path} }

func watch(path string) zkproto.PathWatchRequest {
	return zkproto.PathWatchRequest{Path: path, Watch: true}
}

func at(path string) zkproto.PathRequest { return zkproto.PathRequest{Path: path} }

func auth(scheme, credentials string) zkproto.AuthRequest {
	return zkproto.AuthRequest{Scheme: scheme, Auth: []byte(credentials)}
}

func multi(ops ...zkproto.MultiOp) zkproto.MultiRequest { return zkproto.MultiRequest{Ops: ops} }

// Operations of a multi.

func mCreate(path string, mode zkproto.CreateMode) zkproto.MultiOp {
	return zkproto.MultiOp{Op: zkproto.OpCreate, Path: path, Data: []byte("v"), ACL: open, Mode: mode}
}

func mDelete(path string, version int32) zkproto.MultiOp {
	return zkproto.MultiOp{Op: zkproto.OpDelete, Path: path, Version: version}
}

func mSet(path string, version int32) zkproto.MultiOp {
	return zkproto.MultiOp{Op: zkproto.OpSetData, Path: path, Data: []byte("w"), Version: version}
}

func mCheck(path string, version int32) zkproto.MultiOp {
	return zkproto.MultiOp{Op: zkproto.OpCheck, Path: path, Version: version}
}

// as decodes a reply, which must be one record and no more.
func as[M any, P interface {
	*M
	Decode(*zkproto.Reader)
}](t rawzk.TB, p rawzk.Reply) M {
	t.Helper()
	var m M
	r := zkproto.NewReader(p.Body)
	P(&m).Decode(&r)
	if err := r.Done(); err != nil {
		t.Fatalf("reply %+v %x: %v", p.ReplyHeader, p.Body, err)
	}
	return m
}

// statOf returns the stat of a znode that must be there.
func statOf(c *rawzk.Conn, path string) zkproto.Stat {
	c.TB.Helper()
	return as[zkproto.StatResponse](c.TB, c.Want(zkproto.OK, zkproto.OpExists, read(path))).Stat
}

func dataOf(c *rawzk.Conn, path string) []byte {
	c.TB.Helper()
	return as[zkproto.GetDataResponse](c.TB, c.Want(zkproto.OK, zkproto.OpGetData, read(path))).Data
}

func aclOf(c *rawzk.Conn, path string) []zkproto.ACL {
	c.TB.Helper()
	return as[zkproto.GetACLResponse](c.TB, c.Want(zkproto.OK, zkproto.OpGetACL, at(path))).ACL
}

func childrenOf(c *rawzk.Conn, path string) []string {
	c.TB.Helper()
	names := as[zkproto.ChildrenResponse](c.TB, c.Want(zkproto.OK, zkproto.OpGetChildren, read(path))).Children
	slices.Sort(names)
	return names
}

// missing fails the test if there is a znode.
func missing(c *rawzk.Conn, path string) {
	c.TB.Helper()
	c.Want(zkproto.ErrNoNode, zkproto.OpExists, read(path))
}

// made creates a znode and returns the path that the server says it has.
func made(c *rawzk.Conn, req zkproto.CreateRequest) string {
	c.TB.Helper()
	return as[zkproto.CreateResponse](c.TB, c.Want(zkproto.OK, zkproto.OpCreate, req)).Path
}

// results returns what became of the operations of a multi whose header has no error.
func results(c *rawzk.Conn, req zkproto.MultiRequest) []zkproto.MultiResult {
	c.TB.Helper()
	p := c.Want(zkproto.OK, zkproto.OpMulti, req)
	res := as[zkproto.MultiResponse](c.TB, p).Results
	if len(res) != len(req.Ops) {
		c.TB.Fatalf("multi of %d operations has %d results", len(req.Ops), len(res))
	}
	return res
}

// codes checks what became of each operation of a multi.
func codes(c *rawzk.Conn, req zkproto.MultiRequest, want ...zkproto.Code) {
	c.TB.Helper()
	for i, r := range results(c, req) {
		if r.Err != want[i] {
			c.TB.Errorf("multi %+v: operation %d: %v, want %v", req.Ops, i, r.Err.Name(), want[i].Name())
		}
		if allOK := want[len(want)-1] == zkproto.OK; (r.Op == zkproto.OpError) == allOK {
			c.TB.Errorf("multi %+v: operation %d has a result of type %v", req.Ops, i, r.Op)
		}
	}
}

// Events as text, so that lists of them can be compared and read.

func created(path string) string  { return event(zkproto.EventCreated, path) }
func deleted(path string) string  { return event(zkproto.EventDeleted, path) }
func changed(path string) string  { return event(zkproto.EventDataChanged, path) }
func children(path string) string { return event(zkproto.EventChildrenChanged, path) }

func event(typ zkproto.EventType, path string) string { return fmt.Sprintf("%v %s", typ, path) }

// eventsOf returns the events among frames.
func eventsOf(t rawzk.TB, frames []rawzk.Reply) []string {
	t.Helper()
	var all []string
	for _, p := range frames {
		if ev, ok := p.Event(); ok {
			if ev.State != zkproto.StateSyncConnected {
				t.Errorf("event %+v has not the state SyncConnected", ev)
			}
			all = append(all, event(ev.Type, ev.Path))
		}
	}
	return all
}

// events checks the events that have come, in their order: a ping goes behind them.
func events(c *rawzk.Conn, want ...string) {
	c.TB.Helper()
	same(c.TB, eventsOf(c.TB, c.Exchange(zkproto.OpPing, nil)), want)
}

// causes checks the events that a request which must succeed brings its own connection before its reply.
func causes(c *rawzk.Conn, op zkproto.OpCode, b rawzk.Body, want ...string) {
	c.TB.Helper()
	frames := c.Exchange(op, b)
	if last := frames[len(frames)-1]; last.Err != zkproto.OK {
		c.TB.Errorf("%v %+v: %v, want Ok", op, b, last.Err.Name())
	}
	same(c.TB, eventsOf(c.TB, frames), want)
}

func same(t rawzk.TB, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got events [%s], want [%s]", strings.Join(got, ", "), strings.Join(want, ", "))
	}
}

// try is a request and the code that its reply must have.
type try struct {
	want zkproto.Code
	op   zkproto.OpCode
	body rawzk.Body
}

func tryAll(c *rawzk.Conn, all ...try) {
	c.TB.Helper()
	for _, x := range all {
		c.Want(x.want, x.op, x.body)
	}
}

// splitPath returns the names that a path is made of.
func splitPath(path string) []string { return strings.Split(strings.TrimPrefix(path, "/"), "/") }
