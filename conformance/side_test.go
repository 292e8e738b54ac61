package conformance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// answer is what clients see of a step, with zxids counted from the create of the test's znode, and sessions by the
// number of the client.
type answer struct {
	code   zkproto.Code
	zxid   int64
	body   string
	events [people][]string
}

func (a answer) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v at %d: %s", a.code.Name(), a.zxid, a.body)
	for i, events := range a.events {
		if len(events) > 0 {
			fmt.Fprintf(&b, "; client %d is told %q", i, events)
		}
	}
	return b.String()
}

func statText(s zkproto.Stat) string {
	return fmt.Sprintf("[c %d m %d p %d v %d cv %d av %d owner %d length %d kids %d touched %t]", s.Czxid, s.Mzxid, s.Pzxid, s.Version,
		s.Cversion, s.Aversion, s.EphemeralOwner, s.DataLength, s.NumChildren, s.Mzxid == s.Czxid && s.Mtime != s.Ctime)
}

func dataText(b []byte) string {
	if b == nil {
		return "null"
	}
	return fmt.Sprintf("%q", b)
}

func resultsText(all []zkproto.MultiResult) string {
	var b strings.Builder
	for _, r := range all {
		slices.Sort(r.Children)
		fmt.Fprintf(&b, "(%v %v %q %s %q", r.Op, r.Err.Name(), r.Path, dataText(r.Data), r.Children)
		if r.HasStat {
			b.WriteString(statText(r.Stat))
		}
		b.WriteString(")")
	}
	return b.String()
}

// realSide is a server behind connections.
type realSide struct {
	t     rawzk.TB
	s     *server
	root  string
	base  int64
	conns [people]*rawzk.Conn
}

func newRealSide(t rawzk.TB, s *server, root string) *realSide {
	r := &realSide{t: t, s: s, root: root}
	for i := range r.conns {
		r.conns[i] = s.open(t)
	}
	p := r.conns[0].Want(zkproto.OK, zkproto.OpCreate, create(root))
	r.base = p.Zxid
	return r
}

// do does a step and tells all that clients see of it.
func (r *realSide) do(s step) answer {
	var a answer
	c := r.conns[s.client]
	switch s.action {
	case login:
		a = r.exchange(s, zkproto.OpAuth, auth("digest", users[s.client]))
	case reconnect:
		r.conns[s.client] = r.s.resume(r.t, c.Session)
	case restart:
		a = r.exchange(s, zkproto.OpCloseSession, nil)
		for _, events := range a.events { // ephemerals go in any order
			slices.Sort(events)
		}
		c.Closed()
		r.conns[s.client] = r.s.open(r.t)
	default:
		a = r.exchange(s, s.op, r.body(s))
		if s.op == zkproto.OpMulti && a.code == zkproto.ErrMarshallingError {
			// Apache uses a zxid and does not tell, and what it had prepared of the multi goes with the next transaction.
			r.exchange(s, zkproto.OpDelete, del("/missing"))
			a = answer{code: a.code}
		}
	}
	return a
}

// users are the credentials of the clients.
var (
	users   = [people]string{"bob:pw", "amy:pw", "eve:pw"}
	userIDs = [people]string{bob, amy, "eve:tPVS62yQF/M0lNvU6mzotOuRJxo="}
)

// transcript is what each client is sent during a burst.
type transcript [people][]string

// add appends an answer to what the client that asked is sent, and its events to what everybody is sent.
func (tr *transcript) add(client int, a answer) {
	for i, events := range a.events {
		tr[i] = append(tr[i], events...)
	}
	a.events = [people][]string{}
	tr[client] = append(tr[client], a.String())
}

func (tr transcript) String() string {
	var b strings.Builder
	for i, lines := range tr {
		for _, line := range lines {
			fmt.Fprintf(&b, "client %d: %s\n", i, line)
		}
	}
	return b.String()
}

// pipeline sends requests at once and then reads what comes.
func (r *realSide) pipeline(client int, all []step) (tr transcript) {
	r.t.Helper()
	c := r.conns[client]
	var b []byte
	for i, st := range all {
		b = append(b, rawzk.Request(int32(i), st.op, r.body(st))...)
	}
	c.Write(b)
	for i, st := range all {
		for {
			p := c.Next()
			if ev, ok := p.Event(); ok {
				tr[client] = append(tr[client], event(ev.Type, ev.Path))
				continue
			}
			if p.Xid != int32(i) {
				r.t.Fatalf("got %+v, want the reply to %d", p.ReplyHeader, i)
			}
			tr.add(client, r.answer(st.op, p))
			break
		}
	}
	for i, c := range r.conns {
		tr[i] = append(tr[i], eventsOf(r.t, c.Exchange(zkproto.OpPing, nil))...)
	}
	return tr
}

// answer is what a reply says.
func (r *realSide) answer(op zkproto.OpCode, p rawzk.Reply) answer {
	r.t.Helper()
	a := answer{code: p.Err}
	if p.Zxid > 0 {
		a.zxid = p.Zxid - r.base
	}
	if p.Err == zkproto.OK {
		a.body = r.decode(op, p)
	}
	return a
}

// exchange sends a request, and a ping on each other connection so that all its events are in.
func (r *realSide) exchange(s step, op zkproto.OpCode, body rawzk.Body) answer {
	r.t.Helper()
	frames := r.conns[s.client].Exchange(op, body)
	a := r.answer(op, frames[len(frames)-1])
	a.events[s.client] = eventsOf(r.t, frames)
	for i, c := range r.conns {
		if i != s.client {
			a.events[i] = eventsOf(r.t, c.Exchange(zkproto.OpPing, nil))
		}
	}
	return a
}

func (r *realSide) body(s step) rawzk.Body {
	m := s.m
	m.Path = r.root + m.Path
	switch s.op {
	case zkproto.OpCreate, zkproto.OpCreate2, zkproto.OpCreateContainer:
		return zkproto.CreateRequest{Path: m.Path, Data: m.Data, ACL: m.ACL, Mode: m.Mode}
	case zkproto.OpCreateTTL:
		return zkproto.CreateTTLRequest{Path: m.Path, Data: m.Data, ACL: m.ACL, Mode: m.Mode, TTL: m.TTL}
	case zkproto.OpDelete:
		return zkproto.DeleteRequest{Path: m.Path, Version: m.Version}
	case zkproto.OpSetData:
		return zkproto.SetDataRequest{Path: m.Path, Data: m.Data, Version: m.Version}
	case zkproto.OpSetACL:
		return zkproto.SetACLRequest{Path: m.Path, ACL: m.ACL, Version: m.Version}
	case zkproto.OpExists, zkproto.OpGetData, zkproto.OpGetChildren, zkproto.OpGetChildren2:
		return zkproto.PathWatchRequest{Path: m.Path, Watch: m.Watch}
	case zkproto.OpMulti, zkproto.OpMultiRead:
		return multi(opsBelow(r.root, s.ops)...)
	case zkproto.OpAddWatch:
		return zkproto.AddWatchRequest{Path: m.Path, Mode: zkproto.AddWatchMode(s.num)}
	case zkproto.OpRemoveWatches:
		return zkproto.RemoveWatchesRequest{Path: m.Path, Type: zkproto.WatcherType(s.num)}
	case zkproto.OpSetWatches, zkproto.OpSetWatches2:
		l := listsBelow(r.root, s.lists)
		zxid := r.conns[s.client].Want(zkproto.OK, zkproto.OpPing, nil).Zxid - s.back
		if s.back < 0 {
			zxid = 1 << 40
		}
		if s.op == zkproto.OpSetWatches {
			return zkproto.SetWatchesRequest{RelativeZxid: zxid, Data: l[0], Exist: l[1], Child: l[2]}
		}
		return zkproto.SetWatches2Request{RelativeZxid: zxid, Data: l[0], Exist: l[1], Child: l[2], Persistent: l[3], PersistentRecursive: l[4]}
	}
	return zkproto.PathRequest{Path: m.Path}
}

// opsBelow puts the operations of a multi below the test's znode.
func opsBelow(root string, ops []zkproto.MultiOp) []zkproto.MultiOp {
	ops = slices.Clone(ops)
	for i := range ops {
		ops[i].Path = root + ops[i].Path
	}
	return ops
}

func listsBelow(root string, lists [5][]string) (out [5][]string) {
	for i, list := range lists {
		for _, path := range list {
			out[i] = append(out[i], root+path)
		}
	}
	return out
}

// stat makes a stat comparable.
func (r *realSide) stat(s zkproto.Stat) zkproto.Stat {
	for _, zxid := range []*int64{&s.Czxid, &s.Mzxid, &s.Pzxid} {
		*zxid -= r.base
	}
	if s.EphemeralOwner != 0 {
		owner := int64(99)
		for i, c := range r.conns {
			if c.Session.SessionID == s.EphemeralOwner {
				owner = int64(i) + 1
			}
		}
		s.EphemeralOwner = owner
	}
	return s
}

func (r *realSide) decode(op zkproto.OpCode, p rawzk.Reply) string {
	r.t.Helper()
	switch op {
	case zkproto.OpCreate:
		return as[zkproto.CreateResponse](r.t, p).Path
	case zkproto.OpCreate2, zkproto.OpCreateContainer, zkproto.OpCreateTTL:
		m := as[zkproto.Create2Response](r.t, p)
		return m.Path + statText(r.stat(m.Stat))
	case zkproto.OpExists, zkproto.OpSetData, zkproto.OpSetACL:
		return statText(r.stat(as[zkproto.StatResponse](r.t, p).Stat))
	case zkproto.OpGetData:
		m := as[zkproto.GetDataResponse](r.t, p)
		return dataText(m.Data) + statText(r.stat(m.Stat))
	case zkproto.OpGetACL:
		m := as[zkproto.GetACLResponse](r.t, p)
		return fmt.Sprint(m.ACL, statText(r.stat(m.Stat)))
	case zkproto.OpGetChildren:
		names := as[zkproto.ChildrenResponse](r.t, p).Children
		slices.Sort(names)
		return fmt.Sprintf("%q", names)
	case zkproto.OpGetChildren2:
		m := as[zkproto.Children2Response](r.t, p)
		slices.Sort(m.Children)
		return fmt.Sprintf("%q", m.Children) + statText(r.stat(m.Stat))
	case zkproto.OpSync:
		return as[zkproto.SyncResponse](r.t, p).Path
	case zkproto.OpMulti, zkproto.OpMultiRead:
		all := as[zkproto.MultiResponse](r.t, p).Results
		for i := range all {
			all[i].Stat = r.stat(all[i].Stat)
		}
		return resultsText(all)
	case zkproto.OpGetEphemerals:
		paths := as[zkproto.EphemeralsResponse](r.t, p).Paths
		slices.Sort(paths)
		return fmt.Sprintf("%q", paths)
	case zkproto.OpGetAllChildrenNumber:
		return fmt.Sprint(as[zkproto.AllChildrenNumberResponse](r.t, p).Count)
	case zkproto.OpAddWatch:
		return fmt.Sprint(as[zkproto.AddWatchResponse](r.t, p).Err)
	}
	if len(p.Body) > 0 {
		r.t.Fatalf("%v is answered %x, want no body", op, p.Body)
	}
	return ""
}

// modelSide is the model.
type modelSide struct{ m *model }

// do does a step and tells all that clients must see of it.
func (s modelSide) do(st step) answer {
	m := s.m
	a := answer{code: zkproto.OK}
	m.events = [people][]string{}
	c := m.clients[st.client]
	switch st.action {
	case login:
		if id := (identity{"digest", userIDs[st.client]}); !slices.Contains(c.ids, id) {
			c.ids = append(c.ids, id)
		}
	case reconnect:
		m.clients[st.client] = newClient()
	case restart:
		m.zxid++
		a.zxid = m.zxid
		m.endSession(st.client)
		for _, events := range m.events {
			slices.Sort(events)
		}
		m.zxid++ // the next session
		m.clients[st.client] = newClient()
	default:
		a.body, a.code = s.ask(st)
		m.settle()
		a.zxid = m.zxid
		if st.op == zkproto.OpMulti && a.code == zkproto.ErrMarshallingError {
			m.zxid++
			a.zxid = 0
		}
	}
	a.events = m.events
	return a
}

func (s modelSide) ask(st step) (body string, code zkproto.Code) {
	m, op := s.m, st.m
	op.Op, op.Path = st.op, m.root+op.Path
	c := m.clients[st.client]
	switch st.op {
	case zkproto.OpCreate, zkproto.OpCreate2, zkproto.OpCreateContainer, zkproto.OpCreateTTL, zkproto.OpDelete, zkproto.OpSetData, zkproto.OpSetACL:
		m.zxid++
		res, code := m.write(st.client, op, false)
		switch {
		case code != zkproto.OK || st.op == zkproto.OpDelete:
			return "", code
		case st.op == zkproto.OpCreate:
			return res.Path, code
		}
		return res.Path + statText(res.Stat), code
	case zkproto.OpMulti:
		m.zxid++
		res, code := m.multi(st.client, opsBelow(m.root, st.ops))
		return resultsText(res), code
	case zkproto.OpMultiRead:
		var all []zkproto.MultiResult
		for _, op := range opsBelow(m.root, st.ops) {
			res, code := m.read(st.client, op.Op, op.Path)
			if code != zkproto.OK {
				res = zkproto.MultiResult{Op: zkproto.OpError, Err: code}
			}
			all = append(all, res)
		}
		return resultsText(all), zkproto.OK
	case zkproto.OpExists:
		if op.Watch && !hasNUL(op.Path) {
			c.data[op.Path] = once
		}
		switch {
		case hasNUL(op.Path):
			return "", zkproto.ErrBadArguments
		case m.nodes[op.Path] == nil:
			return "", zkproto.ErrNoNode
		}
		return statText(m.stat(op.Path)), zkproto.OK
	case zkproto.OpGetData, zkproto.OpGetChildren, zkproto.OpGetChildren2:
		res, code := m.read(st.client, st.op, op.Path)
		if code != zkproto.OK {
			return "", code
		}
		table := c.child
		if st.op == zkproto.OpGetData {
			table = c.data
		}
		if op.Watch {
			table[op.Path] = once
		}
		switch st.op {
		case zkproto.OpGetData:
			return dataText(res.Data) + statText(res.Stat), code
		case zkproto.OpGetChildren:
			return fmt.Sprintf("%q", res.Children), code
		}
		return fmt.Sprintf("%q", res.Children) + statText(res.Stat), code
	case zkproto.OpGetACL:
		acl, code := m.getACL(st.client, op.Path)
		if code != zkproto.OK {
			return "", code
		}
		return fmt.Sprint(acl, statText(m.stat(op.Path))), code
	case zkproto.OpAddWatch:
		if code := m.addWatch(st.client, op.Path, st.num); code != zkproto.OK {
			return "", code
		}
		return "0", zkproto.OK
	case zkproto.OpRemoveWatches:
		return "", m.removeWatch(st.client, op.Path, st.num)
	case zkproto.OpSetWatches, zkproto.OpSetWatches2:
		zxid := m.zxid - st.back
		if st.back < 0 {
			zxid = 1 << 40
		}
		m.again(st.client, zxid, listsBelow(m.root, st.lists))
		return "", zkproto.OK
	case zkproto.OpGetEphemerals:
		return fmt.Sprintf("%q", m.ephemerals(st.client, op.Path)), zkproto.OK
	case zkproto.OpGetAllChildrenNumber:
		n, code := m.descendants(st.client, op.Path)
		if code != zkproto.OK {
			return "", code
		}
		return fmt.Sprint(n), code
	}
	return op.Path, zkproto.OK // sync
}

func hasNUL(path string) bool { return strings.Contains(path, "\x00") }
