package zkserver

import (
	"github.com/gazoo-zk/gazoo/internal/ztree"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// decode reads the record of a request. Bytes behind it are ignored.
func (q *request) decode(r *zkproto.Reader) {
	w := &q.write
	w.Op = q.op
	switch q.op {
	case zkproto.OpCreate, zkproto.OpCreate2, zkproto.OpCreateContainer:
		var m zkproto.CreateRequest
		m.Decode(r)
		w.Path, w.Data, w.ACL, w.Mode, w.NullPath, w.NullID = m.Path, m.Data, m.ACL, m.Mode, m.NullPath, m.NullID
	case zkproto.OpCreateTTL:
		var m zkproto.CreateTTLRequest
		m.Decode(r)
		w.Path, w.Data, w.ACL, w.Mode, w.TTL, w.NullPath, w.NullID = m.Path, m.Data, m.ACL, m.Mode, m.TTL, m.NullPath, m.NullID
	case zkproto.OpDelete:
		var m zkproto.DeleteRequest
		m.Decode(r)
		w.Path, w.Version, w.NullPath = m.Path, m.Version, m.NullPath
	case zkproto.OpSetData:
		var m zkproto.SetDataRequest
		m.Decode(r)
		w.Path, w.Data, w.Version, w.NullPath = m.Path, m.Data, m.Version, m.NullPath
	case zkproto.OpSetACL:
		var m zkproto.SetACLRequest
		m.Decode(r)
		w.Path, w.ACL, w.Version, w.NullPath, w.NullID = m.Path, m.ACL, m.Version, m.NullPath, m.NullID
	case zkproto.OpExists, zkproto.OpGetData, zkproto.OpGetChildren, zkproto.OpGetChildren2:
		var m zkproto.PathWatchRequest
		m.Decode(r)
		w.Path, q.flag, q.null = m.Path, m.Watch, m.NullPath
	case zkproto.OpGetACL, zkproto.OpSync, zkproto.OpGetEphemerals, zkproto.OpGetAllChildrenNumber:
		var m zkproto.PathRequest
		m.Decode(r)
		w.Path, q.null = m.Path, m.NullPath
	case zkproto.OpMulti, zkproto.OpMultiRead:
		var m zkproto.MultiRequest
		m.Decode(r)
		q.ops = m.Ops
		q.bad = !validMulti(q.op, q.ops)
	case zkproto.OpReconfig:
		var m zkproto.ReconfigRequest
		m.Decode(r)
	case zkproto.OpCheckWatches, zkproto.OpRemoveWatches:
		var m zkproto.CheckWatchesRequest
		m.Decode(r)
		w.Path, q.num, q.null = m.Path, int32(m.Type), m.NullPath
	case zkproto.OpAddWatch:
		var m zkproto.AddWatchRequest
		m.Decode(r)
		w.Path, q.num, q.null = m.Path, int32(m.Mode), m.NullPath
	case zkproto.OpSetWatches:
		var m zkproto.SetWatchesRequest
		m.Decode(r)
		q.watches = &zkproto.SetWatches2Request{RelativeZxid: m.RelativeZxid, Data: m.Data, Exist: m.Exist, Child: m.Child}
		q.bad = m.Data == nil || m.Exist == nil || m.Child == nil
	case zkproto.OpSetWatches2:
		var m zkproto.SetWatches2Request
		m.Decode(r)
		q.watches = &m
		q.bad = m.Data == nil || m.Exist == nil || m.Child == nil || m.Persistent == nil || m.PersistentRecursive == nil
	}
	q.bad = q.bad || r.Err() != nil
}

// answer executes a request and replies to it.
func (e *engine) answer(c *conn, s *session, q *request) {
	caller := &ztree.Caller{Session: s.id, Cxid: q.xid, IDs: q.ids}
	switch q.op {
	case zkproto.OpCreate, zkproto.OpCreate2, zkproto.OpCreateContainer, zkproto.OpCreateTTL,
		zkproto.OpDelete, zkproto.OpDeleteContainer, zkproto.OpSetData, zkproto.OpSetACL,
		zkproto.OpMulti, zkproto.OpReconfig:
		e.change(c, caller, q)
	case zkproto.OpExists, zkproto.OpGetData, zkproto.OpGetChildren, zkproto.OpGetChildren2,
		zkproto.OpGetACL, zkproto.OpGetEphemerals, zkproto.OpGetAllChildrenNumber, zkproto.OpMultiRead:
		e.look(c, caller, q)
	case zkproto.OpSetWatches, zkproto.OpSetWatches2, zkproto.OpAddWatch,
		zkproto.OpCheckWatches, zkproto.OpRemoveWatches:
		e.watch(c, q)
	case zkproto.OpPing:
		put(e, c, zkproto.ReplyHeader{Xid: zkproto.XidPing, Zxid: e.tree.Zxid()}, noBody{})
	case zkproto.OpSync:
		switch {
		case q.bad:
			e.refuse(c, q, zkproto.ErrMarshallingError)
		case e.readOnly:
			e.refuse(c, q, zkproto.ErrNotReadOnly)
		case e.following():
			resp := zkproto.SyncResponse{Path: q.write.Path, NullPath: q.null}
			asked := *q
			e.askWrite(c, q, func(*engine, *session) func(*engine) {
				return func(r *engine) { put(r, c, r.header(&asked), resp) }
			})
		default:
			put(e, c, e.header(q), zkproto.SyncResponse{Path: q.write.Path, NullPath: q.null})
		}
	case zkproto.OpWhoAmI:
		put(e, c, e.header(q), e.srv.whoAmI(q.ids))
	case zkproto.OpCloseSession:
		if e.following() {
			s.closing = true
			xid := q.xid
			e.askWrite(c, q, func(m *engine, s *session) func(*engine) {
				zxid := m.closeSession(s, xid)
				return func(r *engine) { r.farewell(c, xid, zxid) }
			})
			return
		}
		e.farewell(c, q.xid, e.closeSession(s, q.xid))
	default:
		put(e, c, zkproto.ReplyHeader{Xid: q.xid, Zxid: -1, Err: zkproto.ErrUnimplemented}, noBody{})
		e.hangUp(c)
	}
}

// farewell answers the end of a session.
func (e *engine) farewell(c *conn, xid int32, zxid int64) {
	put(e, c, zkproto.ReplyHeader{Xid: xid, Zxid: zxid}, noBody{})
	e.hangUp(c)
}

// header begins the reply to a request that changed nothing.
func (e *engine) header(q *request) zkproto.ReplyHeader {
	return zkproto.ReplyHeader{Xid: q.xid, Zxid: e.tree.Zxid()}
}

// refuse answers with an error, which uses no zxid.
func (e *engine) refuse(c *conn, q *request, code zkproto.Code) {
	put(e, c, zkproto.ReplyHeader{Xid: q.xid, Zxid: e.tree.Zxid(), Err: code}, noBody{})
}

// change executes a write. Also one that fails is a transaction.
func (e *engine) change(c *conn, caller *ztree.Caller, q *request) {
	if e.readOnly {
		e.refuse(c, q, zkproto.ErrNotReadOnly)
		return
	}
	if q.bad && (q.op == zkproto.OpReconfig || e.srv.cfg.modern && q.op != zkproto.OpMulti) {
		e.refuse(c, q, zkproto.ErrMarshallingError)
		return
	}
	if e.following() {
		asked, who := *q, *caller
		e.askWrite(c, q, func(m *engine, _ *session) func(*engine) {
			out := m.execute(&who, &asked)
			return func(r *engine) { r.respond(c, &asked, &out) }
		})
		return
	}
	out := e.execute(caller, q)
	e.respond(c, q, &out)
}

// execute lets the tree do a write.
func (e *engine) execute(caller *ztree.Caller, q *request) ztree.Outcome {
	var out ztree.Outcome
	switch {
	case q.op == zkproto.OpDeleteContainer:
		// Meant for servers alone. 3.9 lets every client do it, whatever the ACL says.
		out = e.tree.Fail(caller, e.now(), zkproto.ErrBadArguments)
	case q.bad:
		out = e.tree.Fail(caller, e.now(), zkproto.ErrMarshallingError)
	case q.op == zkproto.OpReconfig:
		code := zkproto.ErrReconfigDisabled
		if e.srv.cfg.limits.reconfig {
			code = zkproto.ErrUnimplemented // it takes an ensemble
		}
		out = e.tree.Fail(caller, e.now(), code)
	case q.op == zkproto.OpMulti:
		out = e.tree.Multi(caller, e.now(), q.ops)
	default:
		out = e.tree.Write(caller, e.now(), q.write)
	}
	e.wrote(&out)
	return out
}

// respond tells a client what became of its write.
func (e *engine) respond(c *conn, q *request, out *ztree.Outcome) {
	h := zkproto.ReplyHeader{Xid: q.xid, Zxid: out.Txn.Zxid, Err: out.Code}
	switch {
	case out.Code != zkproto.OK || q.op == zkproto.OpDelete:
		put(e, c, h, noBody{})
	case q.op == zkproto.OpMulti:
		put(e, c, h, zkproto.MultiResponse{Results: out.Results})
	case q.op == zkproto.OpCreate:
		put(e, c, h, zkproto.CreateResponse{Path: out.Path})
	case q.op == zkproto.OpSetData || q.op == zkproto.OpSetACL:
		put(e, c, h, zkproto.StatResponse{Stat: out.Stat})
	default:
		put(e, c, h, zkproto.Create2Response{Path: out.Path, Stat: out.Stat})
	}
}

// look executes a read.
func (e *engine) look(c *conn, caller *ztree.Caller, q *request) {
	path := q.write.Path
	if q.bad || q.null && q.op != zkproto.OpGetEphemerals {
		e.refuse(c, q, zkproto.ErrMarshallingError)
		return
	}
	h := e.header(q)
	switch q.op {
	case zkproto.OpExists:
		stat, code := e.tree.Exists(caller, path)
		if q.flag && (code == zkproto.OK || code == zkproto.ErrNoNode) {
			e.watches.add(c, path, standard)
		}
		if code != zkproto.OK {
			e.refuse(c, q, code)
			return
		}
		put(e, c, h, zkproto.StatResponse{Stat: stat})
	case zkproto.OpGetData:
		data, stat, code := e.tree.Get(caller, path)
		if code != zkproto.OK {
			e.refuse(c, q, code)
			return
		}
		if q.flag {
			e.watches.add(c, path, standard)
		}
		put(e, c, h, zkproto.GetDataResponse{Data: data, Stat: stat})
	case zkproto.OpGetChildren, zkproto.OpGetChildren2:
		names, stat, code := e.tree.Children(caller, path)
		if code != zkproto.OK {
			e.refuse(c, q, code)
			return
		}
		if q.flag {
			e.watches.add(c, path, standard<<toChild)
		}
		if q.op == zkproto.OpGetChildren {
			put(e, c, h, zkproto.ChildrenResponse{Children: names})
			return
		}
		put(e, c, h, zkproto.Children2Response{Children: names, Stat: stat})
	case zkproto.OpGetACL:
		acl, stat, code := e.tree.GetACL(caller, path)
		if code != zkproto.OK {
			e.refuse(c, q, code)
			return
		}
		put(e, c, h, zkproto.GetACLResponse{ACL: acl, Stat: stat})
	case zkproto.OpGetAllChildrenNumber:
		n, code := e.tree.Count(caller, path)
		if code != zkproto.OK {
			e.refuse(c, q, code)
			return
		}
		put(e, c, h, zkproto.AllChildrenNumberResponse{Count: n})
	case zkproto.OpGetEphemerals:
		put(e, c, h, zkproto.EphemeralsResponse{Paths: e.tree.Ephemerals(caller.Session, path)})
	case zkproto.OpMultiRead:
		put(e, c, h, zkproto.MultiResponse{Results: e.multiRead(caller, q.ops)})
	}
}

// watch executes the requests that are about watches alone.
func (e *engine) watch(c *conn, q *request) {
	t, path := &e.watches, q.write.Path
	if q.bad {
		e.refuse(c, q, zkproto.ErrMarshallingError)
		return
	}
	switch q.op {
	case zkproto.OpAddWatch:
		switch mode := zkproto.AddWatchMode(q.num); {
		case mode == zkproto.WatchPersistent && !q.null:
			t.add(c, path, persistent|persistent<<toChild)
		case mode == zkproto.WatchPersistentRecursive && !q.null:
			t.add(c, path, t.recursiveBits())
		default:
			e.refuse(c, q, zkproto.ErrMarshallingError)
			return
		}
		put(e, c, e.header(q), zkproto.AddWatchResponse{})
	case zkproto.OpCheckWatches, zkproto.OpRemoveWatches:
		mask, ok := t.meant(zkproto.WatcherType(q.num))
		have := c.watched[path]
		switch {
		case !ok:
			e.refuse(c, q, zkproto.ErrMarshallingError)
			return
		case have&mask == 0:
			e.refuse(c, q, zkproto.ErrNoWatcher)
			return
		case q.op == zkproto.OpRemoveWatches:
			t.set(c, path, have, have&^mask)
		}
		put(e, c, e.header(q), noBody{})
	default:
		e.setWatches(c, q.watches)
		put(e, c, e.header(q), noBody{})
	}
}
