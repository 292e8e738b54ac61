package zkserver_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo/zkproto"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// replica lets a replica of the world's server listen on an address, until the test ends.
func (v *world) replica(addr string) *zkserver.Server {
	v.t.Helper()
	ln, err := v.net.Listen(addr)
	must(v.t, err)
	srv, err := zkserver.NewReplica(v.srv)
	must(v.t, err)
	served := make(chan struct{})
	go func() { defer close(served); srv.Serve(ln) }()
	v.t.Cleanup(func() { srv.Close(); <-served })
	return srv
}

// dialAt is dial for another address.
func (v *world) dialAt(addr string) *raw {
	v.t.Helper()
	nc, err := v.net.Dial(context.Background(), "tcp", addr)
	must(v.t, err)
	r := newRaw(v.t, nc)
	nc.SetDeadline(time.Now().Add(time.Hour))
	return r
}

func (r *raw) get(path string) string {
	r.t.Helper()
	p := r.call(zkproto.OpGetData, zkproto.PathWatchRequest{Path: path})
	if p.Err != zkproto.OK {
		return p.Err.Name()
	}
	var m zkproto.GetDataResponse
	rd := zkproto.NewReader(p.body)
	m.Decode(&rd)
	return string(m.Data)
}

func set(path, data string) zkproto.SetDataRequest {
	return zkproto.SetDataRequest{Path: path, Data: []byte(data), Version: -1}
}

func TestReplicaFollowsItsLeader(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		c := v.dial().open(20 * time.Second)
		c.want(zkproto.OK, zkproto.OpCreate, create("/before"))
		for _, path := range []string{"/q", "/zookeeper/quota/q/zookeeper_limits", "/zookeeper/quota/q/zookeeper_stats"} {
			must(t, v.srv.Put(path, []byte("count=10,bytes=-1")))
		}
		one, two := v.replica("one:1"), v.replica("two:1")
		must(t, v.srv.Put("/q/counted", nil)) // also by the quotas of the replicas
		a, b := v.dialAt("one:1").open(20*time.Second), v.dialAt("two:1").open(20*time.Second)
		synctest.Wait()
		for _, r := range []*raw{a, b} {
			if got := r.get("/before"); got != "v" {
				t.Errorf("get = %q, want what was there before the replica", got)
			}
		}
		b.want(zkproto.ErrNoNode, zkproto.OpExists, zkproto.PathWatchRequest{Path: "/x", Watch: true})
		a.want(zkproto.OK, zkproto.OpCreate, create("/x"))
		if ev := b.next().event(t); ev.Type != zkproto.EventCreated || ev.Path != "/x" {
			t.Errorf("event at the other replica = %+v, want /x created", ev)
		}
		a.want(zkproto.OK, zkproto.OpMulti, zkproto.MultiRequest{Ops: []zkproto.MultiOp{
			{Op: zkproto.OpSetData, Path: "/x", Data: []byte("2"), Version: 0},
			{Op: zkproto.OpCreate, Path: "/x/y", ACL: open, Mode: zkproto.ModeEphemeral},
		}})
		a.want(zkproto.ErrNodeExists, zkproto.OpCreate, create("/x"))
		synctest.Wait()
		if got := b.get("/x"); got != "2" {
			t.Errorf("get at the other replica = %q, want 2", got)
		}
		if x, y, z := one.Zxid(), two.Zxid(), v.srv.Zxid(); x != z || y != z {
			t.Errorf("zxids %#x and %#x, want the leader's %#x", x, y, z)
		}
		for _, srv := range []*zkserver.Server{one, two} {
			if got, want := fmt.Sprintf("%+v", srv.Nodes("/")), fmt.Sprintf("%+v", v.srv.Nodes("/")); got != want {
				t.Errorf("tree of a replica\n%s\nwant\n%s", got, want)
			}
		}
		must(t, one.Put("/put", nil)) // by way of the leader
		must(t, two.Remove("/before"))
		if got, want := paths(v.srv.Nodes("/")), []string{"/", "/put", "/q", "/q/counted", "/x", "/x/y"}; !slices.Equal(got[:6], want) {
			t.Errorf("Nodes of the leader = %q, want %q", got, want)
		}
		if s := one.Sessions(); len(s) != 1 || s[0].ID != a.session.SessionID {
			t.Errorf("Sessions of a replica = %+v, want those connected there", s)
		}
		if s := v.srv.Sessions(); len(s) != 3 || !s[1].Connected || !s[2].Connected {
			t.Errorf("Sessions of the leader = %+v, want all three, connected", s)
		}
		a.want(zkproto.OK, zkproto.OpCloseSession, nil)
		a.closed()
		synctest.Wait()
		if got := b.get("/x/y"); got != "NoNode" {
			t.Errorf("ephemeral of a closed session: %s, want NoNode", got)
		}
		w := v.dialAt("one:1")
		w.write([]byte("srvr"))
		buf := make([]byte, 4096)
		n, _ := w.nc.Read(buf)
		if text := string(buf[:n]); !strings.Contains(text, "Mode: follower\n") {
			t.Errorf("srvr = %q, want a follower", text)
		}
	}, zkserver.WithFourLetterWords("*"))
}

func TestReplicaLags(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		late := v.replica("late:1")
		c, l := v.dial().open(40*time.Second), v.dialAt("late:1").open(40*time.Second)
		l.want(zkproto.OK, zkproto.OpAddWatch, zkproto.AddWatchRequest{Path: "/", Mode: zkproto.WatchPersistentRecursive})
		late.Lag(3 * time.Second)
		begin := time.Now()
		c.want(zkproto.OK, zkproto.OpCreate, create("/a"))
		time.Sleep(time.Second)
		if got := l.get("/a"); got != "NoNode" {
			t.Errorf("get at a replica that lags = %s, want NoNode", got)
		}
		if ev := l.next().event(t); ev.Path != "/a" || time.Since(begin) != 3*time.Second {
			t.Errorf("event %+v after %v, want it after 3s", ev, time.Since(begin))
		}

		// A write through it, and what is behind it, is answered when it has arrived here.
		begin = time.Now()
		setXid := l.send(zkproto.OpSetData, set("/a", "2"))
		getXid := l.send(zkproto.OpGetData, zkproto.PathWatchRequest{Path: "/a"})
		l.send(zkproto.OpPing, nil)
		time.Sleep(time.Second)
		if got := c.get("/a"); got != "2" {
			t.Errorf("get at the leader = %q, want 2: the write happens at once", got)
		}
		if ev := l.next().event(t); ev.Type != zkproto.EventDataChanged {
			t.Errorf("event %+v, want the change before the reply", ev)
		}
		reply, read, ping := l.next(), l.next(), l.next()
		if d := time.Since(begin); d != 3*time.Second || reply.Xid != setXid || read.Xid != getXid || ping.Xid != zkproto.XidPing {
			t.Errorf("replies %d %d %d after %v, want %d %d -2 after 3s", reply.Xid, read.Xid, ping.Xid, d, setXid, getXid)
		}
		if !strings.Contains(string(read.body), "2") || read.Zxid < reply.Zxid {
			t.Errorf("read behind the write = %q at %#x, want it to see the write at %#x", read.body, read.Zxid, reply.Zxid)
		}

		// A sync waits for what was there before it.
		c.want(zkproto.OK, zkproto.OpSetData, set("/a", "3"))
		begin = time.Now()
		time.Sleep(time.Second)
		xid := l.send(zkproto.OpSync, zkproto.PathRequest{Path: "/"})
		l.next().event(t)
		if p := l.next(); p.Xid != xid || time.Since(begin) != 3*time.Second {
			t.Errorf("sync answered with %d after %v, want %d after 3s", p.Xid, time.Since(begin), xid)
		}
		if got := l.get("/a"); got != "3" {
			t.Errorf("get behind a sync = %q, want 3", got)
		}
		begin = time.Now()
		l.want(zkproto.OK, zkproto.OpSync, zkproto.PathRequest{Path: "/"})
		if d := time.Since(begin); d != 0 {
			t.Errorf("sync of a replica that is up to date took %v", d)
		}
	})
}

func TestFrozenReplica(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		late := v.replica("late:1")
		c := v.dial().open(20 * time.Second)
		l := v.dialAt("late:1").open(20 * time.Second)
		late.Freeze(true)
		c.want(zkproto.OK, zkproto.OpCreate, create("/a"))
		time.Sleep(15 * time.Second)
		if got := l.get("/a"); got != "NoNode" {
			t.Errorf("get = %s, want NoNode", got)
		}
		// Who has seen more has to go elsewhere.
		seen := zkproto.ConnectRequest{TimeoutMS: 20000, LastZxidSeen: v.srv.Zxid()}
		d := v.dialAt("late:1")
		d.write(frame(seen))
		d.closed()
		// An old session comes back without the leader's history, a new one is part of it.
		d = v.dialAt("late:1")
		if s := d.handshake(resume(c.session)); s.SessionID != c.session.SessionID {
			t.Errorf("resumed as %+v", s)
		}
		n := v.dialAt("late:1")
		n.write(frame(zkproto.ConnectRequest{TimeoutMS: 20000}))
		n.nc.SetReadDeadline(time.Now().Add(time.Second))
		if p, err := n.tryNext(); err == nil {
			t.Errorf("new session at a frozen replica answered: %+v", p)
		}
		// A wrong password is told without any history.
		wrong := resume(l.session)
		wrong.Password = make([]byte, 16)
		if s := v.dialAt("late:1").handshake(wrong); !s.Refused() {
			t.Errorf("wrong password: %+v, want it refused", s)
		}
		// The session lives on: reads are signs of life for the leader.
		time.Sleep(12 * time.Second)
		if got := l.get("/a"); got != "NoNode" {
			t.Errorf("get = %s, want NoNode", got)
		}
		xid := l.send(zkproto.OpSync, zkproto.PathRequest{Path: "/"})
		l.silent()
		late.Freeze(false)
		if p := l.next(); p.Xid != xid || p.Err != zkproto.OK {
			t.Errorf("sync = %+v", p.ReplyHeader)
		}
		if got := l.get("/a"); got != "v" {
			t.Errorf("get after the thaw = %s, want v", got)
		}
	})
}

// TestSessionsMoveBetweenReplicas: the old connection works until it asks the leader.
func TestSessionsMoveBetweenReplicas(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		v.replica("one:1")
		v.replica("two:1")
		a := v.dialAt("one:1").open(20 * time.Second)
		b := v.dialAt("two:1")
		if s := b.handshake(resume(a.session)); s.SessionID != a.session.SessionID {
			t.Fatalf("moved as %+v", s)
		}
		a.want(zkproto.OK, zkproto.OpExists, zkproto.PathWatchRequest{Path: "/"})
		a.send(zkproto.OpSetData, set("/", "x"))
		a.closed()
		if got := b.get("/"); got != "" {
			t.Errorf("data %q: a moved session has written", got)
		}
		b.want(zkproto.OK, zkproto.OpSetData, set("/", "y"))
		if s := v.srv.Sessions(); len(s) != 1 || !s[0].Connected {
			t.Errorf("Sessions = %+v, want one, connected: the end of the old connection means nothing", s)
		}
		// On the same replica the old connection goes at once.
		c := v.dialAt("two:1")
		c.handshake(resume(a.session))
		b.closed()
		c.want(zkproto.OK, zkproto.OpSetData, set("/", "z"))
		c.nc.Close()
		synctest.Wait()
		if s := v.srv.Sessions(); len(s) != 1 || s[0].Connected {
			t.Errorf("Sessions = %+v, want one without a connection", s)
		}
		time.Sleep(30 * time.Second)
		if s := v.srv.Sessions(); len(s) != 0 {
			t.Errorf("Sessions = %+v, want it expired", s)
		}
	})
}

func TestSessionExpiresAtAReplica(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		one := v.replica("one:1")
		late := v.replica("late:1")
		a, l := v.dialAt("one:1").open(20*time.Second), v.dialAt("late:1").open(20*time.Second)
		late.Freeze(true)
		if !one.ExpireSession(a.session.SessionID) {
			t.Error("ExpireSession = false")
		}
		a.closed()
		if s := v.dialAt("one:1").handshake(resume(a.session)); !s.Refused() {
			t.Errorf("expired session resumed as %+v", s)
		}
		// Where the end has not arrived, the session can still read.
		v.srv.ExpireSession(l.session.SessionID)
		l.want(zkproto.OK, zkproto.OpExists, zkproto.PathWatchRequest{Path: "/"})
		late.Freeze(false)
		l.closed()
	})
}

func TestReplicaReadOnly(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		one := v.replica("one:1")
		c, a := v.dial().open(20*time.Second), v.dialAt("one:1").open(20*time.Second)
		one.ReadOnly(true)
		a.closed()
		r := v.dialAt("one:1")
		s := r.handshake(zkproto.ConnectRequest{TimeoutMS: 20000, ReadOnly: true, HasReadOnly: true})
		if !s.ReadOnly {
			t.Errorf("session %+v, want it read-only", s)
		}
		c.want(zkproto.OK, zkproto.OpCreate, create("/a"))
		if got := r.get("/a"); got != "NoNode" {
			t.Errorf("get = %s, want NoNode: it is cut off", got)
		}
		r.want(zkproto.ErrNotReadOnly, zkproto.OpCreate, create("/b"))
		one.ReadOnly(false)
		r.closed()
		b := v.dialAt("one:1")
		if s := b.handshake(resume(a.session)); s.SessionID != a.session.SessionID {
			t.Fatalf("resumed as %+v", s)
		}
		if got := b.get("/a"); got != "v" {
			t.Errorf("get = %s, want what happened meanwhile", got)
		}
		b.want(zkproto.OK, zkproto.OpCreate, create("/b"))
	})
}

func TestReplicaEnds(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		one := v.replica("one:1")
		a := v.dialAt("one:1").open(20 * time.Second)
		one.Freeze(true)
		a.send(zkproto.OpCreate, create("/a")) // executed, and never answered
		a.send(zkproto.OpPing, nil)
		synctest.Wait()
		one.Close()
		a.closed()
		if got := paths(v.srv.Nodes("/a")); len(got) != 1 {
			t.Errorf("Nodes = %q, want /a", got)
		}
		if s := v.srv.Sessions(); len(s) != 1 || s[0].Connected {
			t.Errorf("Sessions = %+v, want one without a connection", s)
		}
		must(t, v.srv.Put("/b", nil)) // nobody follows
		if _, err := zkserver.NewReplica(one); err == nil {
			t.Error("NewReplica of a replica succeeded")
		}
		v.replica("two:1")
		b := v.dialAt("two:1").open(20 * time.Second)
		v.srv.Close()
		b.send(zkproto.OpCreate, create("/c"))
		b.closed()
		if _, err := zkserver.NewReplica(v.srv); !errors.Is(err, zkserver.ErrClosed) {
			t.Errorf("NewReplica of a closed server = %v, want ErrClosed", err)
		}
	})
	virtual(t, func(t *testing.T, v *world) {
		if _, err := zkserver.NewReplica(v.srv); err == nil {
			t.Error("NewReplica of a server with a journal succeeded")
		}
	}, zkserver.WithJournal(&disk{}))
}
