package zktest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/zktest"
)

func TestFailover(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, append(opts, zktest.Endpoints(3))...)
		zk := connect(t, srv)
		id := zk.SessionID()
		create(t, zk, "/e", gazoo.Ephemeral())
		_, _, changed, err := zk.GetW(soon(t), "/e")
		must(t, err)
		for range 3 {
			here := srv.Session(id).Endpoint()
			back := reconnects(t, srv, zk)
			here.Stop()
			back()
			if now := srv.Session(id).Endpoint(); now == here || now == nil {
				t.Errorf("session is at %v, want it away from %v", now, here.Name())
			}
			here.Start()
			here.Start()
		}
		if zk.SessionID() != id {
			t.Errorf("session %#x, want %#x", zk.SessionID(), id)
		}
		must(t, srv.Put("/e", "new"))
		if ev, err := changed.Wait(soon(t)); err != nil || ev.Type != gazoo.EventDataChanged {
			t.Errorf("watch = %+v, %v, want it to have moved along", ev, err)
		}
		must(t, zk.Close())
		if n := srv.Count(); n != 0 {
			t.Errorf("%d znodes left of a closed session", n)
		}
	})
}

// TestLag: a slow server shows the past, in order.
func TestLag(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		const lag = 200 * time.Millisecond
		srv := zktest.Start(t, append(opts, zktest.Endpoints(2))...)
		fast, slow := connectTo(t, srv, 0), connectTo(t, srv, 1)
		stream, err := slow.Watch(soon(t), "/", gazoo.Recursive())
		must(t, err)
		defer stream.Close()
		srv.Endpoint(1).Lag(lag)
		begin := time.Now()
		create(t, fast, "/a")
		if _, found, err := slow.Exists(soon(t), "/a"); found || err != nil {
			t.Errorf("Exists = %v, %v, want the past", found, err)
		}
		if srv.Endpoint(1).Zxid() >= srv.Endpoint(0).Zxid() || srv.Endpoint(1).Dump() != "" || srv.Dump() == "" {
			t.Errorf("zxids %#x and %#x, dump %q", srv.Endpoint(0).Zxid(), srv.Endpoint(1).Zxid(), srv.Endpoint(1).Dump())
		}
		if ev, err := stream.Next(soon(t)); err != nil || ev.Path != "/a" || time.Since(begin) < lag {
			t.Errorf("event %+v, %v after %v, want it after %v", ev, err, time.Since(begin), lag)
		}
		begin = time.Now()
		create(t, slow, "/b")
		if d := time.Since(begin); d < lag {
			t.Errorf("write through a slow server answered after %v, want %v", d, lag)
		}
		create(t, fast, "/c")
		must(t, slow.Sync(soon(t), "/"))
		if _, found, err := slow.Exists(soon(t), "/c"); !found || err != nil {
			t.Errorf("Exists behind a sync = %v, %v", found, err)
		}
		srv.Endpoint(1).Lag(0)
		create(t, fast, "/d")
		zktest.Eventually(t, "no lag", func() bool { return srv.Endpoint(1).Zxid() == srv.Endpoint(0).Zxid() })
	})
}

// TestClientDoesNotGoBack: who has seen more than a server knows is not let in there.
func TestClientDoesNotGoBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := zktest.Start(t, zktest.Endpoints(2))
		zk := connectTo(t, srv, 0)
		id := zk.SessionID()
		srv.Endpoint(1).Freeze()
		create(t, zk, "/a")
		must(t, zk.SetServers(srv.Endpoint(1).Addr()))
		srv.Endpoint(0).Stop()
		time.Sleep(5 * time.Second)
		if st := zk.State(); st != gazoo.StateSuspended {
			t.Errorf("state %v at a server that is behind, want it kept out", st)
		}
		srv.Endpoint(1).Thaw()
		must(t, zk.WaitState(soon(t), gazoo.StateConnected))
		if _, found, err := zk.Exists(soon(t), "/a"); !found || err != nil || zk.SessionID() != id {
			t.Errorf("Exists = %v, %v in session %#x, want it found in %#x", found, err, zk.SessionID(), id)
		}
	})
}

func TestFreezeOutlastsAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := zktest.Start(t, zktest.Endpoints(2))
		ep := srv.Endpoint(1)
		ep.Freeze()
		must(t, srv.Put("/a", ""))
		ep.Stop()
		ep.Start() // it has synchronised with the leader
		if got := ep.Dump(); got != "/a\n" {
			t.Errorf("tree %q, want what the leader has", got)
		}
		must(t, srv.Put("/b", ""))
		if got := ep.Dump(); got != "/a\n" {
			t.Errorf("tree %q, want it frozen", got)
		}
		ep.Thaw()
		if got := ep.Dump(); got != "/a\n/b\n" {
			t.Errorf("tree %q, want all of it", got)
		}
		ep.Stop()
		ep.Lag(time.Hour) // of a stopped one it begins with the next start
		ep.Freeze()
		ep.Thaw()
		ep.Start()
		must(t, srv.Put("/c", ""))
		if got := ep.Dump(); got != "/a\n/b\n" {
			t.Errorf("tree %q, want it to lag", got)
		}
	})
}

// TestEndpointReadOnly: one server without a quorum, beside others that have it.
func TestEndpointReadOnly(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, append(opts, zktest.Endpoints(2))...)
		zk := connect(t, srv)
		id := zk.SessionID()
		here := srv.Session(id).Endpoint()
		back := reconnects(t, srv, zk)
		here.ReadOnly(true)
		back()
		if now := srv.Session(id).Endpoint(); now == here || zk.SessionID() != id {
			t.Errorf("session %#x is at %s", zk.SessionID(), now.Name())
		}
		here.ReadOnly(false)
	})
}

func TestOnlyReplicasLag(t *testing.T) {
	srv := zktest.Start(t)
	for name, f := range map[string]func(){
		"Lag":    func() { srv.Endpoint(0).Lag(time.Second) },
		"Freeze": srv.Endpoint(0).Freeze,
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s of the only server did not panic", name)
				}
			}()
			f()
		}()
	}
	// Stop and Start of the only endpoint are those of the server.
	must(t, srv.Put("/a", ""))
	srv.Endpoint(0).Stop()
	srv.Endpoint(0).Start()
	srv.RequireTree(t, "/a")
}
