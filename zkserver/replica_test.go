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

	"github.com/gazoo-zk/gazoo/internal/rawzk"
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
func (v *world) dialAt(addr string) *rawzk.Conn {
	v.t.Helper()
	nc, err := v.net.Dial(context.Background(), "tcp", addr)
	must(v.t, err)
	r := rawzk.New(v.t, nc)
	nc.SetDeadline(time.Now().Add(time.Hour))
	return r
}

func get(r *rawzk.Conn, path string) string {
	r.TB.Helper()
	p := r.Call(zkproto.OpGetData, zkproto.PathWatchRequest{Path: path})
	if p.Err != zkproto.OK {
		return p.Err.Name()
	}
	var m zkproto.GetDataResponse
	rd := zkproto.NewReader(p.Body)
	m.Decode(&rd)
	return string(m.Data)
}

func set(path, data string) zkproto.SetDataRequest {
	return zkproto.SetDataRequest{Path: path, Data: []byte(data), Version: -1}
}

func TestReplicaFollowsItsLeader(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		c := v.dial().Open(20 * time.Second)
		c.Want(zkproto.OK, zkproto.OpCreate, create("/before"))
		for _, path := range []string{"/q", "/zookeeper/quota/q/zookeeper_limits", "/zookeeper/quota/q/zookeeper_stats"} {
			must(t, v.srv.Put(path, []byte("count=10,bytes=-1")))
		}
		one, two := v.replica("one:1"), v.replica("two:1")
		must(t, v.srv.Put("/q/counted", nil)) // also by the quotas of the replicas
		a, b := v.dialAt("one:1").Open(20*time.Second), v.dialAt("two:1").Open(20*time.Second)
		synctest.Wait()
		for _, r := range []*rawzk.Conn{a, b} {
			if got := get(r, "/before"); got != "v" {
				t.Errorf("get = %q, want what was there before the replica", got)
			}
		}
		b.Want(zkproto.ErrNoNode, zkproto.OpExists, zkproto.PathWatchRequest{Path: "/x", Watch: true})
		a.Want(zkproto.OK, zkproto.OpCreate, create("/x"))
		if ev := event(t, b.Next()); ev.Type != zkproto.EventCreated || ev.Path != "/x" {
			t.Errorf("event at the other replica = %+v, want /x created", ev)
		}
		a.Want(zkproto.OK, zkproto.OpMulti, zkproto.MultiRequest{Ops: []zkproto.MultiOp{
			{Op: zkproto.OpSetData, Path: "/x", Data: []byte("2"), Version: 0},
			{Op: zkproto.OpCreate, Path: "/x/y", ACL: open, Mode: zkproto.ModeEphemeral},
		}})
		a.Want(zkproto.ErrNodeExists, zkproto.OpCreate, create("/x"))
		synctest.Wait()
		if got := get(b, "/x"); got != "2" {
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
		if s := one.Sessions(); len(s) != 1 || s[0].ID != a.Session.SessionID {
			t.Errorf("Sessions of a replica = %+v, want those connected there", s)
		}
		if s := v.srv.Sessions(); len(s) != 3 || !s[1].Connected || !s[2].Connected {
			t.Errorf("Sessions of the leader = %+v, want all three, connected", s)
		}
		a.Want(zkproto.OK, zkproto.OpCloseSession, nil)
		a.Closed()
		synctest.Wait()
		if got := get(b, "/x/y"); got != "NoNode" {
			t.Errorf("ephemeral of a closed session: %s, want NoNode", got)
		}
		w := v.dialAt("one:1")
		w.Write([]byte("srvr"))
		buf := make([]byte, 4096)
		n, _ := w.Net.Read(buf)
		if text := string(buf[:n]); !strings.Contains(text, "Mode: follower\n") {
			t.Errorf("srvr = %q, want a follower", text)
		}
	}, zkserver.WithFourLetterWords("*"))
}

func TestReplicaLags(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		late := v.replica("late:1")
		c, l := v.dial().Open(40*time.Second), v.dialAt("late:1").Open(40*time.Second)
		l.Want(zkproto.OK, zkproto.OpAddWatch, zkproto.AddWatchRequest{Path: "/", Mode: zkproto.WatchPersistentRecursive})
		late.Lag(3 * time.Second)
		begin := time.Now()
		c.Want(zkproto.OK, zkproto.OpCreate, create("/a"))
		time.Sleep(time.Second)
		if got := get(l, "/a"); got != "NoNode" {
			t.Errorf("get at a replica that lags = %s, want NoNode", got)
		}
		if ev := event(t, l.Next()); ev.Path != "/a" || time.Since(begin) != 3*time.Second {
			t.Errorf("event %+v after %v, want it after 3s", ev, time.Since(begin))
		}

		// A write through it, and what is behind it, is answered when it has arrived here.
		begin = time.Now()
		setXid := l.Send(zkproto.OpSetData, set("/a", "2"))
		getXid := l.Send(zkproto.OpGetData, zkproto.PathWatchRequest{Path: "/a"})
		l.Send(zkproto.OpPing, nil)
		time.Sleep(time.Second)
		if got := get(c, "/a"); got != "2" {
			t.Errorf("get at the leader = %q, want 2: the write happens at once", got)
		}
		if ev := event(t, l.Next()); ev.Type != zkproto.EventDataChanged {
			t.Errorf("event %+v, want the change before the reply", ev)
		}
		reply, read, ping := l.Next(), l.Next(), l.Next()
		if d := time.Since(begin); d != 3*time.Second || reply.Xid != setXid || read.Xid != getXid || ping.Xid != zkproto.XidPing {
			t.Errorf("replies %d %d %d after %v, want %d %d -2 after 3s", reply.Xid, read.Xid, ping.Xid, d, setXid, getXid)
		}
		if !strings.Contains(string(read.Body), "2") || read.Zxid < reply.Zxid {
			t.Errorf("read behind the write = %q at %#x, want it to see the write at %#x", read.Body, read.Zxid, reply.Zxid)
		}

		// A sync waits for what was there before it.
		c.Want(zkproto.OK, zkproto.OpSetData, set("/a", "3"))
		begin = time.Now()
		time.Sleep(time.Second)
		xid := l.Send(zkproto.OpSync, zkproto.PathRequest{Path: "/"})
		event(t, l.Next())
		if p := l.Next(); p.Xid != xid || time.Since(begin) != 3*time.Second {
			t.Errorf("sync answered with %d after %v, want %d after 3s", p.Xid, time.Since(begin), xid)
		}
		if got := get(l, "/a"); got != "3" {
			t.Errorf("get behind a sync = %q, want 3", got)
		}
		begin = time.Now()
		l.Want(zkproto.OK, zkproto.OpSync, zkproto.PathRequest{Path: "/"})
		if d := time.Since(begin); d != 0 {
			t.Errorf("sync of a replica that is up to date took %v", d)
		}
	})
}

func TestFrozenReplica(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		late := v.replica("late:1")
		c := v.dial().Open(20 * time.Second)
		l := v.dialAt("late:1").Open(20 * time.Second)
		late.Freeze(true)
		c.Want(zkproto.OK, zkproto.OpCreate, create("/a"))
		time.Sleep(15 * time.Second)
		if got := get(l, "/a"); got != "NoNode" {
			t.Errorf("get = %s, want NoNode", got)
		}
		// Who has seen more has to go elsewhere.
		seen := zkproto.ConnectRequest{TimeoutMS: 20000, LastZxidSeen: v.srv.Zxid()}
		d := v.dialAt("late:1")
		d.Write(rawzk.Frame(seen))
		d.Closed()
		// An old session comes back without the leader's history, a new one is part of it.
		d = v.dialAt("late:1")
		if s := d.Handshake(rawzk.Resume(c.Session)); s.SessionID != c.Session.SessionID {
			t.Errorf("resumed as %+v", s)
		}
		n := v.dialAt("late:1")
		n.Write(rawzk.Frame(zkproto.ConnectRequest{TimeoutMS: 20000}))
		n.Net.SetReadDeadline(time.Now().Add(time.Second))
		if p, err := n.TryNext(); err == nil {
			t.Errorf("new session at a frozen replica answered: %+v", p)
		}
		// A wrong password is told without any history.
		wrong := rawzk.Resume(l.Session)
		wrong.Password = make([]byte, 16)
		if s := v.dialAt("late:1").Handshake(wrong); !s.Refused() {
			t.Errorf("wrong password: %+v, want it refused", s)
		}
		// The session lives on: reads are signs of life for the leader.
		time.Sleep(12 * time.Second)
		if got := get(l, "/a"); got != "NoNode" {
			t.Errorf("get = %s, want NoNode", got)
		}
		xid := l.Send(zkproto.OpSync, zkproto.PathRequest{Path: "/"})
		silent(l)
		late.Freeze(false)
		if p := l.Next(); p.Xid != xid || p.Err != zkproto.OK {
			t.Errorf("sync = %+v", p.ReplyHeader)
		}
		if got := get(l, "/a"); got != "v" {
			t.Errorf("get after the thaw = %s, want v", got)
		}
	})
}

// TestSessionsMoveBetweenReplicas: the old connection works until it asks the leader.
func TestSessionsMoveBetweenReplicas(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		v.replica("one:1")
		v.replica("two:1")
		a := v.dialAt("one:1").Open(20 * time.Second)
		b := v.dialAt("two:1")
		if s := b.Handshake(rawzk.Resume(a.Session)); s.SessionID != a.Session.SessionID {
			t.Fatalf("moved as %+v", s)
		}
		a.Want(zkproto.OK, zkproto.OpExists, zkproto.PathWatchRequest{Path: "/"})
		a.Send(zkproto.OpSetData, set("/", "x"))
		a.Closed()
		if got := get(b, "/"); got != "" {
			t.Errorf("data %q: a moved session has written", got)
		}
		b.Want(zkproto.OK, zkproto.OpSetData, set("/", "y"))
		if s := v.srv.Sessions(); len(s) != 1 || !s[0].Connected {
			t.Errorf("Sessions = %+v, want one, connected: the end of the old connection means nothing", s)
		}
		// On the same replica the old connection goes at once.
		c := v.dialAt("two:1")
		c.Handshake(rawzk.Resume(a.Session))
		b.Closed()
		c.Want(zkproto.OK, zkproto.OpSetData, set("/", "z"))
		c.Net.Close()
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
		a, l := v.dialAt("one:1").Open(20*time.Second), v.dialAt("late:1").Open(20*time.Second)
		late.Freeze(true)
		if !one.ExpireSession(a.Session.SessionID) {
			t.Error("ExpireSession = false")
		}
		a.Closed()
		if s := v.dialAt("one:1").Handshake(rawzk.Resume(a.Session)); !s.Refused() {
			t.Errorf("expired session resumed as %+v", s)
		}
		// Where the end has not arrived, the session can still read.
		v.srv.ExpireSession(l.Session.SessionID)
		l.Want(zkproto.OK, zkproto.OpExists, zkproto.PathWatchRequest{Path: "/"})
		late.Freeze(false)
		l.Closed()
	})
}

func TestReplicaReadOnly(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		one := v.replica("one:1")
		c, a := v.dial().Open(20*time.Second), v.dialAt("one:1").Open(20*time.Second)
		one.ReadOnly(true)
		a.Closed()
		r := v.dialAt("one:1")
		s := r.Handshake(zkproto.ConnectRequest{TimeoutMS: 20000, ReadOnly: true, HasReadOnly: true})
		if !s.ReadOnly {
			t.Errorf("session %+v, want it read-only", s)
		}
		c.Want(zkproto.OK, zkproto.OpCreate, create("/a"))
		if got := get(r, "/a"); got != "NoNode" {
			t.Errorf("get = %s, want NoNode: it is cut off", got)
		}
		r.Want(zkproto.ErrNotReadOnly, zkproto.OpCreate, create("/b"))
		one.ReadOnly(false)
		r.Closed()
		b := v.dialAt("one:1")
		if s := b.Handshake(rawzk.Resume(a.Session)); s.SessionID != a.Session.SessionID {
			t.Fatalf("resumed as %+v", s)
		}
		if got := get(b, "/a"); got != "v" {
			t.Errorf("get = %s, want what happened meanwhile", got)
		}
		b.Want(zkproto.OK, zkproto.OpCreate, create("/b"))
	})
}

func TestReplicaEnds(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		one := v.replica("one:1")
		a := v.dialAt("one:1").Open(20 * time.Second)
		one.Freeze(true)
		a.Send(zkproto.OpCreate, create("/a")) // executed, and never answered
		a.Send(zkproto.OpPing, nil)
		synctest.Wait()
		one.Close()
		a.Closed()
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
		b := v.dialAt("two:1").Open(20 * time.Second)
		v.srv.Close()
		b.Send(zkproto.OpCreate, create("/c"))
		b.Closed()
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
