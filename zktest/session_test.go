package zktest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/zktest"
)

func TestExpireSession(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, opts...)
		zk, other := connect(t, srv), connect(t, srv)
		create(t, zk, "/e", gazoo.Ephemeral())
		_, _, gone, err := other.GetW(soon(t), "/e")
		must(t, err)
		session := zk.Session()
		if !srv.ExpireSession(session.ID()) {
			t.Error("ExpireSession = false")
		}
		if ev, err := gone.Wait(soon(t)); err != nil || ev.Type != gazoo.EventDeleted {
			t.Errorf("watch = %+v, %v, want the ephemeral deleted", ev, err)
		}
		<-session.Context().Done()
		if err := context.Cause(session.Context()); !errors.Is(err, gazoo.ErrSessionExpired) {
			t.Errorf("session ended by %v, want that it has expired", err)
		}
		if srv.ExpireSession(session.ID()) || srv.ExpireSession(1) {
			t.Error("ExpireSession of one that is gone = true")
		}
		must(t, zk.WaitState(soon(t), gazoo.StateConnected))

		next := zk.Session()
		srv.Session(next.ID()).ExpireAfter(50 * time.Millisecond)
		begin := time.Now()
		<-next.Context().Done()
		if d := time.Since(begin); d < 50*time.Millisecond {
			t.Errorf("session expired after %v, want 50ms", d)
		}
	})
}

// TestSessionsExpireInVirtualTime: who is silent for the time-out is gone, to the tick.
func TestSessionsExpireInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := zktest.Start(t)
		zk, other := connect(t, srv, gazoo.WithSessionTimeout(10*time.Second)), connect(t, srv)
		create(t, zk, "/e", gazoo.Ephemeral())
		time.Sleep(time.Hour) // pings keep it alive
		_, _, gone, err := other.GetW(soon(t), "/e")
		must(t, err)
		must(t, zk.Sync(soon(t), "/"))
		begin := time.Now()
		srv.Session(zk.SessionID()).BlackHole()
		ev, err := gone.Wait(soon(t))
		if d := time.Since(begin); err != nil || ev.Type != gazoo.EventDeleted || d < 10*time.Second || d > 10*time.Second+20*time.Millisecond {
			t.Errorf("watch = %+v, %v after %v, want the ephemeral deleted after 10s", ev, err, d)
		}
	})
}

func TestContainersAndTTLsInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := zktest.Start(t)
		zk := connect(t, srv)
		create(t, zk, "/c", gazoo.Container())
		create(t, zk, "/c/x")
		create(t, zk, "/ttl", gazoo.TTL(time.Minute))
		time.Sleep(50 * time.Second)
		srv.RequireTree(t, `
			/c "v" container
			/c/x "v"
			/ttl "v" ttl=1m0s
		`)
		must(t, zk.Delete(soon(t), "/c/x", gazoo.AnyVersion))
		time.Sleep(30 * time.Second)
		srv.RequireTree(t, "")
	})
}

// TestMoveSession: the connection of a session that was taken over ends, and its client comes
// back in the same session.
func TestMoveSession(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, opts...)
		zk := connect(t, srv, gazoo.WithSessionTimeout(7*time.Second))
		id := zk.SessionID()
		back := reconnects(t, srv, zk)
		must(t, srv.Session(id).Move(nil))
		back()
		if zk.SessionID() != id || srv.Sessions()[0].Timeout != 7*time.Second {
			t.Errorf("session %#x of %v, want %#x as it was", zk.SessionID(), srv.Sessions()[0].Timeout, id)
		}
		wantErr(t, "Move of a session that is not there", srv.Session(1).Move(nil), gazoo.ErrSessionExpired)
		srv.Stop()
		if err := srv.Session(id).Move(nil); err == nil {
			t.Error("Move at a stopped server succeeded")
		}
	})
}

// TestMoveSessionElsewhere: a server that does not know yet goes on, until it has to ask.
func TestMoveSessionElsewhere(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, append(opts, zktest.Endpoints(2))...)
		zk := connect(t, srv)
		id := zk.SessionID()
		here := srv.Session(id).Endpoint()
		there := srv.Endpoint(1)
		if here == there {
			there = srv.Endpoint(0)
		}
		conn := srv.Session(id).Conn()
		must(t, srv.Session(id).Move(there))
		if d := srv.Sessions()[0].Timeout; d != zk.SessionTimeout() {
			t.Errorf("time-out of %v after the move, want %v", d, zk.SessionTimeout())
		}
		if _, _, err := zk.Exists(soon(t), "/"); err != nil {
			t.Errorf("read on the old connection: %v", err)
		}
		_, err := zk.Create(soon(t), "/a", nil)
		wantErr(t, "write on the old connection", err, gazoo.ErrConnectionLoss)
		<-conn.Closed()
		must(t, zk.Sync(soon(t), "/"))
		if _, found := srv.Get("/a"); found || zk.SessionID() != id {
			t.Errorf("found %v, session %#x; want nothing written, and %#x", found, zk.SessionID(), id)
		}
	})
}

func TestReadOnly(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		for _, n := range []int{1, 2} {
			srv := zktest.Start(t, append(opts[:len(opts):len(opts)], zktest.Endpoints(n), zktest.Seed(map[string]string{"/a": "x"}))...)
			short := gazoo.WithSessionTimeout(time.Second)
			zk, opted := connect(t, srv), connect(t, srv, short, gazoo.WithReadOnly())
			id := zk.SessionID()
			await := states(t, zk)
			srv.ReadOnly(true)
			await(gazoo.StateSuspended)
			zktest.Eventually(t, "a client that accepts it gets in", func() bool { return opted.KeeperState() == gazoo.KeeperConnectedReadOnly })
			if data, _, err := opted.Get(soon(t), "/a"); err != nil || string(data) != "x" {
				t.Errorf("Get = %q, %v", data, err)
			}
			_, err := opted.Set(soon(t), "/a", nil, gazoo.AnyVersion)
			wantErr(t, "Set", err, gazoo.ErrNotReadOnly)
			srv.ReadOnly(false)
			await(gazoo.StateConnected)
			if zk.SessionID() != id {
				t.Errorf("session %#x, want %#x again", zk.SessionID(), id)
			}
		}
	})
}

// TestReadOnlySessionsDoNotAge: without a quorum nobody can end a session.
func TestReadOnlySessionsDoNotAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := zktest.Start(t, zktest.Endpoints(2))
		zk := connect(t, srv)
		id := zk.SessionID()
		srv.ReadOnly(true)
		time.Sleep(time.Minute)
		srv.ReadOnly(false)
		must(t, zk.WaitState(soon(t), gazoo.StateConnected))
		if zk.SessionID() != id {
			t.Errorf("session %#x, want %#x again", zk.SessionID(), id)
		}
	})
}
