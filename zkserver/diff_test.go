package zkserver_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// TestSameAsApache sends the same random requests to an Apache server and to this one, and
// compares what both send, frame by frame. Only session ids, times and where zxids begin may
// differ.
func TestSameAsApache(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			apache := ensemble.Shared(t, ensemble.Standalone).Server(0).Addr()
			ours := start(t, zkserver.WithExtendedTypes(), zkserver.WithTickTime(500*time.Millisecond),
				zkserver.WithSessionTimeouts(time.Second, time.Minute)).Addr()
			root := fmt.Sprintf("/diff%d", time.Now().UnixNano())
			a, b := newSide(t, apache, root), newSide(t, ours, root)
			rnd := rand.New(rand.NewPCG(seed, 7))
			g := &generator{rnd: rnd, root: root}
			for range 500 {
				op, rec, conn := g.next()
				want, got := a.ask(conn, op, rec), b.ask(conn, op, rec)
				if want != got {
					t.Fatalf("%v %s\nApache: %s\nours:   %s", op, show(rec), want, got)
				}
			}
		})
	}
}

func show(b rawzk.Body) string {
	if raw, ok := b.(rawzk.Bytes); ok {
		return fmt.Sprintf("%q", []byte(raw))
	}
	return fmt.Sprintf("%#v", b)
}

// side is one of the two servers, with two connections of which the first has authenticated.
type side struct {
	t     *testing.T
	conns [2]*rawzk.Conn
	zxid  int64 // where the zxids of the test begin
}

func newSide(t *testing.T, addr, root string) *side {
	s := &side{t: t}
	for i := range s.conns {
		s.conns[i] = rawzk.Dial(t, addr).Open(30 * time.Second)
	}
	s.conns[0].Want(zkproto.OK, zkproto.OpAuth, zkproto.AuthRequest{Scheme: "digest", Auth: []byte("bob:pw")})
	s.zxid = s.conns[0].Want(zkproto.OK, zkproto.OpCreate, create(root)).Zxid
	t.Cleanup(func() {
		for _, c := range s.conns {
			for xid := c.Send(zkproto.OpCloseSession, nil); c.Next().Xid != xid; {
			}
		}
	})
	return s
}

// ask sends a request, and a ping on the other connection so that its events are in as well. It
// returns all frames as text, normalised.
func (s *side) ask(i int, op zkproto.OpCode, rec rawzk.Body) string {
	s.t.Helper()
	var out strings.Builder
	c, other := s.conns[i], s.conns[1-i]
	xid := c.Send(op, rec)
	s.collect(&out, c, op, xid)
	out.WriteString(" other:")
	other.Write(rawzk.Request(zkproto.XidPing, zkproto.OpPing, nil))
	s.collect(&out, other, zkproto.OpPing, zkproto.XidPing)
	if op == zkproto.OpMulti && strings.Contains(out.String(), zkproto.ErrMarshallingError.Name()) {
		// Apache uses up a zxid and does not tell, and does not forget what the multi would
		// have changed, until the next transaction.
		s.conns[0].Want(zkproto.ErrNoNode, zkproto.OpDelete, zkproto.DeleteRequest{Path: "/missing"})
		return "refused"
	}
	return out.String()
}

func (s *side) collect(out *strings.Builder, c *rawzk.Conn, op zkproto.OpCode, xid int32) {
	for {
		p, err := c.TryNext()
		if err != nil {
			s.t.Fatalf("%v after %q", err, out)
		}
		fmt.Fprintf(out, " {%d zxid %s %v", p.Xid, s.rel(p.Zxid), p.Err.Name())
		if p.Xid == xid {
			if p.Err == zkproto.OK {
				s.body(out, op, p.Body)
			} else if len(p.Body) > 0 && op != zkproto.OpMulti && op != zkproto.OpMultiRead {
				fmt.Fprintf(out, " BODY %x", p.Body)
			}
			out.WriteString("}")
			return
		}
		fmt.Fprintf(out, " %x}", p.Body)
	}
}

func (s *side) rel(zxid int64) string {
	if zxid <= 0 {
		return fmt.Sprint(zxid)
	}
	return fmt.Sprintf("+%d", zxid-s.zxid)
}

func (s *side) stat(st zkproto.Stat) string {
	owner := "none"
	if st.EphemeralOwner != 0 {
		owner = fmt.Sprintf("%x", st.EphemeralOwner)
		for i, c := range s.conns {
			if c.Session.SessionID == st.EphemeralOwner {
				owner = fmt.Sprintf("session %d", i)
			}
		}
	}
	return fmt.Sprintf("[c %s m %s p %s v%d c%d a%d %s len %d kids %d mtime=ctime %t]", s.rel(st.Czxid), s.rel(st.Mzxid), s.rel(st.Pzxid),
		st.Version, st.Cversion, st.Aversion, owner, st.DataLength, st.NumChildren, st.Mzxid != st.Czxid || st.Mtime == st.Ctime)
}

// body writes down a reply's record; what is decoded must also encode to the same bytes.
func (s *side) body(out *strings.Builder, op zkproto.OpCode, b []byte) {
	r := zkproto.NewReader(b)
	same := func(again rawzk.Body) {
		if err := r.Done(); err != nil {
			fmt.Fprintf(out, " %v", err)
		}
		if !bytes.Equal(again.AppendTo(nil), b) {
			fmt.Fprintf(out, " NOT CANONICAL %x", b)
		}
	}
	switch op {
	case zkproto.OpCreate, zkproto.OpSync:
		var m zkproto.SyncResponse
		m.Decode(&r)
		same(m)
		fmt.Fprintf(out, " %q %t", m.Path, m.NullPath)
	case zkproto.OpCreate2, zkproto.OpCreateContainer, zkproto.OpCreateTTL:
		var m zkproto.Create2Response
		m.Decode(&r)
		same(m)
		fmt.Fprintf(out, " %q %s", m.Path, s.stat(m.Stat))
	case zkproto.OpExists, zkproto.OpSetData, zkproto.OpSetACL:
		var m zkproto.StatResponse
		m.Decode(&r)
		same(m)
		fmt.Fprintf(out, " %s", s.stat(m.Stat))
	case zkproto.OpGetData:
		var m zkproto.GetDataResponse
		m.Decode(&r)
		same(m)
		fmt.Fprintf(out, " %q %t %s", m.Data, m.Data == nil, s.stat(m.Stat))
	case zkproto.OpGetACL:
		var m zkproto.GetACLResponse
		m.Decode(&r)
		same(m)
		fmt.Fprintf(out, " %v %s", m.ACL, s.stat(m.Stat))
	case zkproto.OpGetChildren:
		var m zkproto.ChildrenResponse
		m.Decode(&r)
		same(m)
		slices.Sort(m.Children)
		fmt.Fprintf(out, " %q", m.Children)
	case zkproto.OpGetChildren2:
		var m zkproto.Children2Response
		m.Decode(&r)
		same(m)
		slices.Sort(m.Children)
		fmt.Fprintf(out, " %q %s", m.Children, s.stat(m.Stat))
	case zkproto.OpGetEphemerals:
		var m zkproto.EphemeralsResponse
		m.Decode(&r)
		same(m)
		slices.Sort(m.Paths)
		fmt.Fprintf(out, " %q", m.Paths)
	case zkproto.OpWhoAmI:
		var m zkproto.WhoAmIResponse
		m.Decode(&r)
		var all []string
		for _, c := range m.Clients {
			if c.Scheme == "ip" && net.ParseIP(c.User) != nil {
				c.User = "an address"
			}
			all = append(all, c.Scheme+":"+c.User)
		}
		slices.Sort(all)
		fmt.Fprintf(out, " %q", all)
	case zkproto.OpMulti, zkproto.OpMultiRead:
		var m zkproto.MultiResponse
		m.Decode(&r)
		same(m)
		for _, res := range m.Results {
			slices.Sort(res.Children)
			fmt.Fprintf(out, " (%d %v %q %q %t %q", res.Op, res.Err.Name(), res.Path, res.Data, res.Data == nil, res.Children)
			if res.HasStat {
				out.WriteString(s.stat(res.Stat))
			}
			out.WriteString(")")
		}
	default:
		fmt.Fprintf(out, " %x", b)
	}
}

// generator makes random requests, most of which make some sense.
type generator struct {
	rnd  *rand.Rand
	root string
}

func (g *generator) one(n int) bool { return g.rnd.IntN(n) == 0 }

func pick[T any](g *generator, from ...T) T { return from[g.rnd.IntN(len(from))] }

func (g *generator) path() string {
	if g.one(15) {
		return pick(g, "", g.root, g.root+"/", g.root+"//a", g.root+"/a\x00", g.root+"/../a", "a", g.root+"/.", g.root+"/a/",
			"/zookeeper/config", "/zookeeper/config/a", g.root+"/a\u0085", g.root+"/\ue000", g.root+"/\ufeff")
	}
	return g.below()
}

// below is a path of which the siblings are the test's own, as sequential names need.
func (g *generator) below() string {
	p := g.root
	for range 1 + g.rnd.IntN(3) {
		p += "/" + pick(g, "a", "b", "c")
	}
	return p
}

func (g *generator) data() []byte {
	return pick(g, nil, []byte{}, []byte("x"), []byte("some data"))
}

func (g *generator) acl() []zkproto.ACL {
	if !g.one(4) {
		return open
	}
	e := func(perms zkproto.Perm, scheme, id string) zkproto.ACL {
		return zkproto.ACL{Perms: perms, Scheme: scheme, ID: id}
	}
	return pick(g, nil, []zkproto.ACL{},
		[]zkproto.ACL{e(31, "auth", "")},
		[]zkproto.ACL{e(1, "world", "anyone"), e(31, "auth", "ignored")},
		[]zkproto.ACL{e(31, "digest", "bob:ikIaKsbtGweaHnb/jKn7OHqbunM="), e(1, "world", "anyone"), e(1, "world", "anyone")},
		[]zkproto.ACL{e(15, "world", "anyone")},
		[]zkproto.ACL{e(30, "world", "anyone")},
		[]zkproto.ACL{e(255, "world", "anyone")},
		[]zkproto.ACL{e(0, "world", "anyone")},
		[]zkproto.ACL{e(31, "world", "nobody")},
		[]zkproto.ACL{e(31, "ip", "127.0.0.0/8")},
		[]zkproto.ACL{e(31, "ip", "10.0.0.1")},
		[]zkproto.ACL{e(31, "ip", "10.0.0.1/33")},
		[]zkproto.ACL{e(31, "ip", "::1")},
		[]zkproto.ACL{e(31, "ip", "10.1")},
		[]zkproto.ACL{e(31, "ip", "10.1.2.3/0")},
		[]zkproto.ACL{e(31, "digest", "a:b:c")},
		[]zkproto.ACL{e(31, "digest", "a:")},
		[]zkproto.ACL{e(31, "digest", ":x")},
		[]zkproto.ACL{e(31, "sasl", "x")},
		[]zkproto.ACL{e(31, "", "x")},
		[]zkproto.ACL{e(31, "super", "x")},
	)
}

func (g *generator) version() int32 { return pick[int32](g, -1, -1, -1, 0, 1, 2, -2) }

func (g *generator) mode() zkproto.CreateMode {
	return pick[zkproto.CreateMode](g, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, -1)
}

func (g *generator) ttl() int64 { return pick[int64](g, 1000000, 1, 0, 1<<40-1, 1<<40) }

// multiOp makes an operation of a multi.
func (g *generator) multiOp() zkproto.MultiOp {
	op := zkproto.MultiOp{Path: g.path(), Data: g.data(), ACL: g.acl(), Version: g.version(), NullPath: g.one(60)}
	op.Op = pick(g, zkproto.OpCreate, zkproto.OpCreate, zkproto.OpCreate, zkproto.OpCreate2, zkproto.OpCreateContainer, zkproto.OpCreateTTL,
		zkproto.OpDelete, zkproto.OpSetData, zkproto.OpCheck)
	op.Mode = pick[zkproto.CreateMode](g, 0, 0, 0, 2, 1, g.mode())
	if op.Op == zkproto.OpCreateTTL {
		op.Mode, op.TTL = pick[zkproto.CreateMode](g, 5, 6, 5, 6, g.mode()), g.ttl()
	}
	if op.Mode.Sequential() {
		op.Path = g.below()
	}
	if g.one(80) {
		op.Op = zkproto.OpGetData
	}
	return op
}

// next makes a request and chooses the connection for it.
func (g *generator) next() (zkproto.OpCode, rawzk.Body, int) {
	op, rec := g.request()
	if g.one(25) && rec != nil { // cut short, or with something behind it
		b := rec.AppendTo(nil)
		if g.one(2) {
			b = append(b, 1, 2, 3)
		} else {
			b = b[:g.rnd.IntN(len(b)+1)]
		}
		rec = rawzk.Bytes(b)
	}
	return op, rec, g.rnd.IntN(2)
}

func (g *generator) request() (zkproto.OpCode, rawzk.Body) {
	path, null := g.path(), g.one(40)
	if null {
		path = ""
	}
	switch g.rnd.IntN(26) {
	case 0, 1, 2, 3:
		op := pick(g, zkproto.OpCreate, zkproto.OpCreate2, zkproto.OpCreateContainer)
		req := zkproto.CreateRequest{Path: path, Data: g.data(), ACL: g.acl(), Mode: g.mode(), NullPath: null}
		if req.Mode.Sequential() && !null {
			req.Path = g.below()
		}
		return op, req
	case 4, 5:
		op := pick(g, zkproto.OpCreate, zkproto.OpCreate2)
		if g.one(20) {
			path = pick(g, g.root+"/\U0001F600", "/", "/zookeeper", "/zookeeper/quota")
		}
		return op, zkproto.CreateRequest{Path: path, Data: g.data(), ACL: open, NullPath: null}
	case 6:
		return zkproto.OpCreateTTL, zkproto.CreateTTLRequest{
			Path: g.below(), Data: g.data(), ACL: g.acl(),
			Mode: pick[zkproto.CreateMode](g, 5, 6, 5, 6, g.mode()), TTL: g.ttl(),
		}
	case 7, 8:
		if g.one(20) {
			path = pick(g, "/", "/zookeeper", "/zookeeper/quota")
		}
		return zkproto.OpDelete, zkproto.DeleteRequest{Path: path, Version: g.version(), NullPath: null}
	case 9, 10:
		return zkproto.OpSetData, zkproto.SetDataRequest{Path: path, Data: g.data(), Version: g.version(), NullPath: null}
	case 11:
		return zkproto.OpSetACL, zkproto.SetACLRequest{Path: path, ACL: g.acl(), Version: g.version(), NullPath: null}
	case 12, 13, 14:
		op := pick(g, zkproto.OpExists, zkproto.OpGetData, zkproto.OpGetChildren, zkproto.OpGetChildren2)
		return op, zkproto.PathWatchRequest{Path: g.readPath(path), Watch: g.one(2), NullPath: null}
	case 15:
		return zkproto.OpGetACL, zkproto.PathRequest{Path: g.readPath(path), NullPath: null}
	case 16:
		op := pick(g, zkproto.OpSync, zkproto.OpGetEphemerals)
		return op, zkproto.PathRequest{Path: path, NullPath: null}
	case 17:
		return zkproto.OpGetAllChildrenNumber, zkproto.PathRequest{Path: g.readPath(path), NullPath: null}
	case 18, 19, 20:
		ops := make([]zkproto.MultiOp, g.rnd.IntN(4))
		for i := range ops {
			ops[i] = g.multiOp()
		}
		return zkproto.OpMulti, zkproto.MultiRequest{Ops: ops}
	case 21:
		ops := make([]zkproto.MultiOp, g.rnd.IntN(3))
		for i := range ops {
			ops[i] = zkproto.MultiOp{Op: pick(g, zkproto.OpGetData, zkproto.OpGetChildren), Path: g.readPath(g.path()), Watch: g.one(2)}
		}
		return zkproto.OpMultiRead, zkproto.MultiRequest{Ops: ops}
	case 22:
		return zkproto.OpAddWatch, zkproto.AddWatchRequest{Path: path, Mode: pick[zkproto.AddWatchMode](g, 0, 1, 2)}
	case 23:
		return zkproto.OpRemoveWatches, zkproto.CheckWatchesRequest{Path: path, Type: pick[zkproto.WatcherType](g, 1, 2, 3, 4, 0)}
	case 24:
		zxid := int64(0)
		if g.one(2) {
			zxid = 1 << 40
		}
		list := func() []string {
			all := make([]string, g.rnd.IntN(3))
			for i := range all {
				all[i] = g.path()
			}
			return all
		}
		if g.one(2) {
			return zkproto.OpSetWatches, zkproto.SetWatchesRequest{RelativeZxid: zxid, Data: list(), Exist: list(), Child: list()}
		}
		return zkproto.OpSetWatches2, zkproto.SetWatches2Request{RelativeZxid: zxid, Data: list(), Exist: list(), Child: list(), Persistent: list(), PersistentRecursive: list()}
	}
	switch g.rnd.IntN(4) {
	case 0:
		return zkproto.OpWhoAmI, nil
	case 1:
		return zkproto.OpReconfig, zkproto.ReconfigRequest{Joining: "x", ConfigID: -1}
	case 2:
		return zkproto.OpDeleteContainer, zkproto.PathRequest{Path: g.path()}
	}
	return zkproto.OpSync, zkproto.PathRequest{Path: path}
}

// readPath keeps to the znodes of this test, for the server's own differ from run to run.
func (g *generator) readPath(path string) string {
	if strings.HasPrefix(path, g.root) {
		return path
	}
	return g.root
}
