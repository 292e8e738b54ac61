package zkserver_test

import (
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
	"github.com/gazoo-zk/gazoo/zkserver"
)

func TestSessionExpires(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		watcher := v.dial().Open(40 * time.Second)
		watcher.Want(zkproto.OK, zkproto.OpAddWatch, zkproto.AddWatchRequest{Path: "/", Mode: zkproto.WatchPersistentRecursive})
		time.Sleep(500 * time.Millisecond)
		c := v.dial().Open(4 * time.Second)
		for _, path := range []string{"/b", "/a"} {
			req := create(path)
			req.Mode = zkproto.ModeEphemeral
			c.Want(zkproto.OK, zkproto.OpCreate, req)
			if ev := event(t, watcher.Next()); ev.Type != zkproto.EventCreated || ev.Path != path {
				t.Errorf("event = %+v", ev)
			}
		}
		time.Sleep(3 * time.Second)
		c.Want(zkproto.OK, zkproto.OpPing, nil) // starts the time anew
		touched := time.Now()
		c.Closed() // without a word
		if d := time.Since(touched); d != 4500*time.Millisecond {
			t.Errorf("session of 4s expired after %v, want at the next tick", d)
		}
		for _, path := range []string{"/a", "/b"} {
			if ev := event(t, watcher.Next()); ev.Type != zkproto.EventDeleted || ev.Path != path {
				t.Errorf("event = %+v, want %s deleted", ev, path)
			}
		}
		if s := v.dial().Handshake(rawzk.Resume(c.Session)); !s.Refused() {
			t.Errorf("expired session resumed: %+v", s)
		}
		if s := v.srv.Sessions(); len(s) != 1 || s[0].ID != watcher.Session.SessionID || !s[0].Connected || s[0].Timeout != 40*time.Second {
			t.Errorf("Sessions() = %+v, want the watcher's alone", s)
		}
	}, zkserver.WithTickTime(2*time.Second))
}

func TestExpireSession(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		c := v.dial().Open(10 * time.Second)
		if v.srv.ExpireSession(1) {
			t.Error("ExpireSession of an unknown id = true")
		}
		if !v.srv.ExpireSession(c.Session.SessionID) {
			t.Error("ExpireSession = false")
		}
		c.Closed()
		if s := v.dial().Handshake(rawzk.Resume(c.Session)); !s.Refused() {
			t.Errorf("resumed: %+v", s)
		}
		v.srv.Close()
		if v.srv.ExpireSession(2) || v.srv.Sessions() != nil || v.srv.WatchCount() != 0 {
			t.Error("a closed server still knows something")
		}
	})
}

func TestSessionSurvivesItsConnection(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		c := v.dial().Open(10 * time.Second)
		req := create("/e")
		req.Mode = zkproto.ModeEphemeral
		c.Want(zkproto.OK, zkproto.OpCreate, req)
		c.Want(zkproto.OK, zkproto.OpGetData, zkproto.PathWatchRequest{Path: "/e", Watch: true})
		if n := v.srv.WatchCount(); n != 1 {
			t.Errorf("WatchCount() = %d, want 1", n)
		}
		c.Net.Close()
		time.Sleep(9 * time.Second)
		if n := v.srv.WatchCount(); n != 0 {
			t.Errorf("WatchCount() = %d after the connection, want 0", n)
		}
		d := v.dial()
		d.Handshake(rawzk.Resume(c.Session))
		time.Sleep(9 * time.Second)
		d.Want(zkproto.OK, zkproto.OpExists, zkproto.PathWatchRequest{Path: "/e"})
	})
}

func TestReaper(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		c := v.dial().Open(40 * time.Second)
		req := create("/c")
		c.Want(zkproto.OK, zkproto.OpCreateContainer, req)
		c.Want(zkproto.OK, zkproto.OpCreateContainer, create("/unused"))
		c.Want(zkproto.OK, zkproto.OpCreate, create("/c/a"))
		c.Want(zkproto.OK, zkproto.OpCreateTTL, zkproto.CreateTTLRequest{Path: "/ttl", ACL: open, Mode: zkproto.ModePersistentTTL, TTL: 15000})
		c.Want(zkproto.OK, zkproto.OpExists, zkproto.PathWatchRequest{Path: "/ttl", Watch: true})
		time.Sleep(12 * time.Second)
		c.Want(zkproto.OK, zkproto.OpExists, zkproto.PathWatchRequest{Path: "/c"})
		c.Want(zkproto.OK, zkproto.OpExists, zkproto.PathWatchRequest{Path: "/ttl"})
		c.Want(zkproto.OK, zkproto.OpDelete, zkproto.DeleteRequest{Path: "/c/a", Version: -1})
		if ev := event(t, c.Next()); ev.Type != zkproto.EventDeleted || ev.Path != "/ttl" {
			t.Errorf("event = %+v, want /ttl deleted", ev)
		}
		time.Sleep(time.Second)
		c.Want(zkproto.ErrNoNode, zkproto.OpExists, zkproto.PathWatchRequest{Path: "/c"})
		c.Want(zkproto.OK, zkproto.OpExists, zkproto.PathWatchRequest{Path: "/unused"})
	}, zkserver.WithReapInterval(10*time.Second), zkserver.WithExtendedTypes())
}
