package gazoo_test

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// fakeTree is a scripted server with a tree and watch tables: as much of ZooKeeper as the
// client's watches and composite operations need, with the mixed-mode rules of 3.8 or 3.9.
type fakeTree struct {
	peer.Basic
	modern bool                                           // 3.9: modes of watches on one path are independent
	lacks  map[zkproto.OpCode]bool                        // operations this server does not know
	before func(c *peer.Conn, req peer.Request) bool      // sees each request first; true: dealt with
	after  func(c *peer.Conn, req peer.Request) (ok bool) // runs after the change, before the reply; false: no reply

	forget bool        // do not remember requests that read
	down   atomic.Bool // connections are closed without an answer

	mu    sync.Mutex
	nodes map[string]*fakeNode
	conns map[*peer.Conn]*fakeTables
	reqs  []peer.Request // everything but pings
}

type fakeNode struct {
	data []byte
	stat zkproto.Stat
	made int32 // children ever created: names sequential ones
}

// fakeTables is what the server holds for one connection: path to set of modes.
type fakeTables struct{ data, child map[string]fakeMode }

type fakeMode uint8

const (
	fakeOnce fakeMode = 1 << iota
	fakePersistent
	fakeRecursive
)

// plant starts a fake tree at addr.
func (w *world) plant(addr string, change ...func(*fakeTree)) *fakeTree {
	w.t.Helper()
	t := newFakeTree(change...)
	w.serve(addr, t.Handle)
	return t
}

func newFakeTree(change ...func(*fakeTree)) *fakeTree {
	t := &fakeTree{nodes: map[string]*fakeNode{"/": {}}, conns: make(map[*peer.Conn]*fakeTables)}
	for _, f := range change {
		f(t)
	}
	t.Answer = t.answer
	if t.Connect == nil {
		t.Connect = func(*peer.Conn, zkproto.ConnectRequest) bool { return t.down.Load() }
	}
	return t
}

func modernTree(t *fakeTree) { t.modern = true }

// lacking makes a server that does not know the operations.
func lacking(ops ...zkproto.OpCode) func(*fakeTree) {
	return func(t *fakeTree) {
		t.lacks = make(map[zkproto.OpCode]bool)
		for _, op := range ops {
			t.lacks[op] = true
		}
	}
}

func (t *fakeTree) answer(c *peer.Conn, req peer.Request) bool {
	op := req.Header.Op
	reads := op == zkproto.OpGetData || op == zkproto.OpExists
	if op != zkproto.OpPing && !(t.forget && reads) {
		t.mu.Lock()
		t.reqs = append(t.reqs, req)
		t.mu.Unlock()
	}
	if t.before != nil && t.before(c, req) {
		return true
	}
	if t.lacks[op] {
		c.Reply(req.Header.Xid, -1, zkproto.ErrUnimplemented, nil)
		time.Sleep(time.Millisecond) // between the answer and the close lies a moment
		c.Close()
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	body, code, known := t.apply(c, req)
	if !known {
		return false
	}
	if t.after != nil && !t.after(c, req) {
		return true
	}
	if code != zkproto.OK {
		body = nil
	}
	c.Reply(req.Header.Xid, t.Zxid(), code, body)
	return true
}

func (t *fakeTree) apply(c *peer.Conn, req peer.Request) (body peer.Body, code zkproto.Code, known bool) {
	switch op := req.Header.Op; op {
	case zkproto.OpCreate, zkproto.OpCreate2, zkproto.OpCreateContainer:
		var m zkproto.CreateRequest
		must2(req.Decode(&m))
		path, stat, code := t.create(m.Path, m.Data, m.Mode, c.SessionID())
		if op == zkproto.OpCreate {
			return zkproto.CreateResponse{Path: path}, code, true
		}
		return zkproto.Create2Response{Path: path, Stat: stat}, code, true
	case zkproto.OpDelete:
		var m zkproto.DeleteRequest
		must2(req.Decode(&m))
		return nil, t.remove(m.Path, m.Version), true
	case zkproto.OpSetData:
		var m zkproto.SetDataRequest
		must2(req.Decode(&m))
		stat, code := t.set(m.Path, m.Data, m.Version)
		return zkproto.StatResponse{Stat: stat}, code, true
	case zkproto.OpExists, zkproto.OpGetData, zkproto.OpGetChildren, zkproto.OpGetChildren2:
		var m zkproto.PathWatchRequest
		must2(req.Decode(&m))
		n := t.nodes[m.Path]
		if m.Watch && (n != nil || op == zkproto.OpExists) {
			table := t.tables(c).data
			if op == zkproto.OpGetChildren || op == zkproto.OpGetChildren2 {
				table = t.tables(c).child
			}
			t.hang(table, m.Path, fakeOnce)
		}
		if n == nil {
			return nil, zkproto.ErrNoNode, true
		}
		switch op {
		case zkproto.OpExists:
			return zkproto.StatResponse{Stat: n.stat}, 0, true
		case zkproto.OpGetData:
			return zkproto.GetDataResponse{Data: n.data, Stat: n.stat}, 0, true
		case zkproto.OpGetChildren:
			return zkproto.ChildrenResponse{Children: t.children(m.Path)}, 0, true
		}
		return zkproto.Children2Response{Children: t.children(m.Path), Stat: n.stat}, 0, true
	case zkproto.OpAddWatch:
		var m zkproto.AddWatchRequest
		must2(req.Decode(&m))
		if m.Mode == zkproto.WatchPersistent {
			t.hang(t.tables(c).data, m.Path, fakePersistent)
			t.hang(t.tables(c).child, m.Path, fakePersistent)
		} else {
			t.hang(t.tables(c).data, m.Path, fakeRecursive)
			if !t.modern {
				t.hang(t.tables(c).child, m.Path, fakeRecursive)
			}
		}
		return zkproto.AddWatchResponse{}, 0, true
	case zkproto.OpRemoveWatches:
		var m zkproto.RemoveWatchesRequest
		must2(req.Decode(&m))
		return nil, t.unhang(c, m.Path, m.Type), true
	case zkproto.OpSetWatches:
		var m zkproto.SetWatchesRequest
		must2(req.Decode(&m))
		t.rehang(c, zkproto.SetWatches2Request{RelativeZxid: m.RelativeZxid, Data: m.Data, Exist: m.Exist, Child: m.Child})
		return nil, 0, true
	case zkproto.OpSetWatches2:
		var m zkproto.SetWatches2Request
		must2(req.Decode(&m))
		t.rehang(c, m)
		return nil, 0, true
	case zkproto.OpCloseSession:
		t.bury(c.SessionID())
	}
	return nil, 0, false
}

func must2(err error) {
	if err != nil {
		panic(fmt.Sprintf("client sent a malformed record: %v", err))
	}
}

func (t *fakeTree) children(path string) []string {
	names := []string{}
	if t.nodes[path] == nil || t.nodes[path].stat.NumChildren == 0 {
		return names
	}
	for p := range t.nodes {
		if p != "/" && gazoo.ParentPath(p) == path {
			names = append(names, gazoo.BaseName(p))
		}
	}
	return names
}

func (t *fakeTree) create(path string, data []byte, mode zkproto.CreateMode, session int64) (string, zkproto.Stat, zkproto.Code) {
	zxid := t.NextZxid()
	parent := t.nodes[gazoo.ParentPath(path)]
	if parent == nil {
		return "", zkproto.Stat{}, zkproto.ErrNoNode
	}
	if mode.Sequential() {
		path += fmt.Sprintf("%010d", parent.made)
	}
	if t.nodes[path] != nil {
		return "", zkproto.Stat{}, zkproto.ErrNodeExists
	}
	n := &fakeNode{data: data, stat: zkproto.Stat{Czxid: zxid, Mzxid: zxid, Pzxid: zxid, DataLength: int32(len(data))}}
	if mode.Ephemeral() {
		n.stat.EphemeralOwner = session
	}
	t.nodes[path] = n
	parent.made++
	parent.stat.Cversion++
	parent.stat.NumChildren++
	parent.stat.Pzxid = zxid
	t.fire(gazoo.EventCreated, path, zxid)
	return path, n.stat, 0
}

func (t *fakeTree) remove(path string, version int32) zkproto.Code {
	zxid := t.NextZxid()
	n := t.nodes[path]
	switch {
	case n == nil:
		return zkproto.ErrNoNode
	case version >= 0 && version != n.stat.Version:
		return zkproto.ErrBadVersion
	case n.stat.NumChildren > 0:
		return zkproto.ErrNotEmpty
	}
	delete(t.nodes, path)
	parent := t.nodes[gazoo.ParentPath(path)]
	parent.stat.Cversion++
	parent.stat.NumChildren--
	parent.stat.Pzxid = zxid
	t.fire(gazoo.EventDeleted, path, zxid)
	return 0
}

func (t *fakeTree) set(path string, data []byte, version int32) (zkproto.Stat, zkproto.Code) {
	zxid := t.NextZxid()
	n := t.nodes[path]
	switch {
	case n == nil:
		return zkproto.Stat{}, zkproto.ErrNoNode
	case version >= 0 && version != n.stat.Version:
		return zkproto.Stat{}, zkproto.ErrBadVersion
	}
	n.data = data
	n.stat.Version++
	n.stat.Mzxid, n.stat.DataLength = zxid, int32(len(data))
	t.fire(gazoo.EventDataChanged, path, zxid)
	return n.stat, 0
}

// bury deletes a session's ephemerals.
func (t *fakeTree) bury(session int64) {
	for path, n := range t.nodes {
		if n.stat.EphemeralOwner == session {
			t.remove(path, -1)
		}
	}
}

func (t *fakeTree) tables(c *peer.Conn) *fakeTables {
	if t.conns[c] == nil {
		t.conns[c] = &fakeTables{make(map[string]fakeMode), make(map[string]fakeMode)}
	}
	return t.conns[c]
}

func (t *fakeTree) hang(table map[string]fakeMode, path string, mode fakeMode) {
	if t.modern {
		mode |= table[path]
	}
	table[path] = mode
}

func (t *fakeTree) unhang(c *peer.Conn, path string, kind zkproto.WatcherType) zkproto.Code {
	found := false
	for i, table := range []map[string]fakeMode{t.tables(c).data, t.tables(c).child} {
		if kind == zkproto.WatcherData && i == 1 || kind == zkproto.WatcherChildren && i == 0 {
			continue
		}
		gone := table[path]
		if t.modern && kind != zkproto.WatcherAny {
			gone &= fakeOnce
		}
		found = found || gone != 0
		if table[path] &^= gone; table[path] == 0 {
			delete(table, path)
		}
	}
	if !found {
		return zkproto.ErrNoWatcher
	}
	return 0
}

func (t *fakeTree) rehang(c *peer.Conn, m zkproto.SetWatches2Request) {
	tab := t.tables(c)
	for _, p := range m.Data {
		switch n := t.nodes[p]; {
		case n == nil:
			c.Event(gazoo.EventDeleted, p, -1)
		case n.stat.Mzxid > m.RelativeZxid:
			c.Event(gazoo.EventDataChanged, p, -1)
		default:
			t.hang(tab.data, p, fakeOnce)
		}
	}
	for _, p := range m.Exist {
		if t.nodes[p] != nil {
			c.Event(gazoo.EventCreated, p, -1)
		} else {
			t.hang(tab.data, p, fakeOnce)
		}
	}
	for _, p := range m.Child {
		switch n := t.nodes[p]; {
		case n == nil:
			c.Event(gazoo.EventDeleted, p, -1)
		case n.stat.Pzxid > m.RelativeZxid:
			c.Event(gazoo.EventChildrenChanged, p, -1)
		default:
			t.hang(tab.child, p, fakeOnce)
		}
	}
	for _, p := range m.Persistent {
		t.hang(tab.data, p, fakePersistent)
		t.hang(tab.child, p, fakePersistent)
	}
	for _, p := range m.PersistentRecursive {
		t.hang(tab.data, p, fakeRecursive)
		if !t.modern {
			t.hang(tab.child, p, fakeRecursive)
		}
	}
}

// fire sends what a change of path causes, in the servers' order.
func (t *fakeTree) fire(typ gazoo.EventType, path string, zxid int64) {
	if !t.modern {
		zxid = -1
	}
	data := func(f *fakeTables) map[string]fakeMode { return f.data }
	child := func(f *fakeTables) map[string]fakeMode { return f.child }
	told := t.trigger(data, typ, path, zxid, nil)
	if typ == gazoo.EventDeleted {
		t.trigger(child, typ, path, zxid, told)
	}
	if typ != gazoo.EventDataChanged {
		t.trigger(child, gazoo.EventChildrenChanged, gazoo.ParentPath(path), zxid, nil)
	}
}

func (t *fakeTree) trigger(pick func(*fakeTables) map[string]fakeMode, typ gazoo.EventType, path string, zxid int64, skip map[*peer.Conn]bool) map[*peer.Conn]bool {
	told := make(map[*peer.Conn]bool)
	for c, tab := range t.conns {
		table := pick(tab)
		hit := table[path]&(fakeOnce|fakePersistent) != 0
		if table[path] &^= fakeOnce; table[path] == 0 {
			delete(table, path)
		}
		for p := path; typ != gazoo.EventChildrenChanged; p = gazoo.ParentPath(p) {
			hit = hit || table[p]&fakeRecursive != 0
			if p == "/" {
				break
			}
		}
		if hit && !skip[c] {
			c.Event(typ, path, zxid)
			told[c] = true
		}
	}
	return told
}

// do runs f with the tree locked, as another client's changes would come.
func (t *fakeTree) do(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f()
}

func (t *fakeTree) mustCreate(paths ...string) {
	t.do(func() {
		for _, p := range paths {
			if _, _, code := t.create(p, nil, zkproto.ModePersistent, 0); code != 0 {
				panic(fmt.Sprintf("create %s: %v", p, code))
			}
		}
	})
}

func (t *fakeTree) mustSet(path, data string) { t.do(func() { t.set(path, []byte(data), -1) }) }
func (t *fakeTree) mustDelete(path string)    { t.do(func() { t.remove(path, -1) }) }

// expire ends a session as a server does: ephemerals first, then the connection.
func (t *fakeTree) expire(session int64) {
	t.do(func() { t.bury(session) })
	t.Expire(session)
}

// held returns what hangs in the tables of live connections, sorted.
func (t *fakeTree) held() []string {
	var held []string
	t.do(func() {
		for c, tab := range t.conns {
			select {
			case <-c.Done():
				continue
			default:
			}
			for name, table := range map[string]map[string]fakeMode{"data": tab.data, "child": tab.child} {
				for path := range maps.Keys(table) {
					held = append(held, fmt.Sprintf("%s %s %d", name, path, table[path]))
				}
			}
		}
	})
	slices.Sort(held)
	return held
}

// sent returns the requests of an operation, and forgets nothing.
func (t *fakeTree) sent(op zkproto.OpCode) []peer.Request {
	var reqs []peer.Request
	t.do(func() {
		for _, r := range t.reqs {
			if r.Header.Op == op {
				reqs = append(reqs, r)
			}
		}
	})
	return reqs
}

// sentAll returns every request but pings.
func (t *fakeTree) sentAll() (reqs []peer.Request) {
	t.do(func() { reqs = slices.Clone(t.reqs) })
	return reqs
}
