package zkserver_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// events reads what came in front of the reply to a ping.
func events(r *rawzk.Conn) []string {
	r.TB.Helper()
	r.Write(rawzk.Request(1, zkproto.OpPing, nil))
	all := []string{}
	for {
		p := r.Next()
		if p.Xid == zkproto.XidPing {
			return all
		}
		ev := event(r.TB, p)
		all = append(all, fmt.Sprintf("%d %s", ev.Type, ev.Path))
	}
}

func wantEvents(r *rawzk.Conn, what string, want ...string) {
	r.TB.Helper()
	if got := events(r); !slices.Equal(got, want) {
		r.TB.Errorf("%s: events %q, want %q", what, got, want)
	}
}

// TestMixedWatches holds where 3.8 and 3.9 differ: one mode for each path and table, or all.
func TestMixedWatches(t *testing.T) {
	for _, modern := range []bool{false, true} {
		opts := []zkserver.Option{}
		if modern {
			opts = append(opts, zkserver.WithVersion39())
		}
		virtual(t, func(t *testing.T, v *world) {
			w, c := v.dial().Open(40*time.Second), v.dial().Open(40*time.Second)
			set := func() {
				t.Helper()
				c.Want(zkproto.OK, zkproto.OpSetData, zkproto.SetDataRequest{Path: "/a", Version: -1})
			}
			c.Want(zkproto.OK, zkproto.OpCreate, create("/a"))
			w.Want(zkproto.OK, zkproto.OpAddWatch, zkproto.AddWatchRequest{Path: "/a"})
			w.Want(zkproto.OK, zkproto.OpGetData, zkproto.PathWatchRequest{Path: "/a", Watch: true})
			set()
			wantEvents(w, "first change", "3 /a")
			set()
			if modern {
				wantEvents(w, "second change", "3 /a")
			} else {
				wantEvents(w, "second change")
			}
			c.Want(zkproto.OK, zkproto.OpCreate, create("/a/b"))
			wantEvents(w, "child half of the persistent watch", "4 /a")

			w.Want(zkproto.OK, zkproto.OpAddWatch, zkproto.AddWatchRequest{Path: "/a", Mode: zkproto.WatchPersistentRecursive})
			c.Want(zkproto.OK, zkproto.OpDelete, zkproto.DeleteRequest{Path: "/a/b", Version: -1})
			if modern {
				wantEvents(w, "persistent and recursive", "2 /a/b", "4 /a")
			} else {
				wantEvents(w, "recursive", "2 /a/b")
			}

			removed := zkproto.ErrMarshallingError
			if modern {
				removed = zkproto.OK
			}
			w.Want(removed, zkproto.OpRemoveWatches, zkproto.CheckWatchesRequest{Path: "/a", Type: zkproto.WatcherPersistentRecursive})
			w.Want(zkproto.OK, zkproto.OpRemoveWatches, zkproto.CheckWatchesRequest{Path: "/a", Type: zkproto.WatcherAny})
			w.Want(zkproto.ErrNoWatcher, zkproto.OpRemoveWatches, zkproto.CheckWatchesRequest{Path: "/a", Type: zkproto.WatcherAny})
			set()
			wantEvents(w, "nothing watched")
			if n := v.srv.WatchCount(); n != 0 {
				t.Errorf("WatchCount() = %d, want 0", n)
			}

			w.Want(zkproto.OK, zkproto.OpExists, zkproto.PathWatchRequest{Path: "/a", Watch: true})
			p := c.Want(zkproto.OK, zkproto.OpSetData, zkproto.SetDataRequest{Path: "/a", Version: -1})
			zxid := int64(-1)
			if modern {
				zxid = p.Zxid
			}
			if ev := w.Next(); ev.Zxid != zxid {
				t.Errorf("event has zxid %d, want %d", ev.Zxid, zxid)
			}
		}, opts...)
	}
}

func TestOrderOfEvents(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		c := v.dial().Open(40 * time.Second)
		c.Want(zkproto.OK, zkproto.OpCreate, create("/p"))
		watchAll := func() {
			t.Helper()
			c.Call(zkproto.OpExists, zkproto.PathWatchRequest{Path: "/p/c", Watch: true})
			c.Call(zkproto.OpGetChildren, zkproto.PathWatchRequest{Path: "/p/c", Watch: true})
			c.Call(zkproto.OpGetChildren2, zkproto.PathWatchRequest{Path: "/p", Watch: true})
		}
		watchAll()
		xid := c.Send(zkproto.OpCreate, create("/p/c"))
		for _, want := range []string{"1 /p/c", "4 /p"} {
			ev := event(t, c.Next())
			if got := fmt.Sprintf("%d %s", ev.Type, ev.Path); got != want {
				t.Errorf("event %q, want %q before the reply", got, want)
			}
		}
		if p := c.Next(); p.Xid != xid {
			t.Errorf("reply to %d, want %d", p.Xid, xid)
		}
		watchAll()
		d := v.dial().Open(40 * time.Second)
		d.Want(zkproto.OK, zkproto.OpDelete, zkproto.DeleteRequest{Path: "/p/c", Version: -1})
		wantEvents(c, "delete", "2 /p/c", "4 /p")
		c.Call(zkproto.OpGetData, zkproto.PathWatchRequest{Path: "", Watch: true}) // an alias that never fires
		d.Want(zkproto.OK, zkproto.OpSetData, zkproto.SetDataRequest{Path: "/", Version: -1})
		wantEvents(c, "watch on the empty path")
	})
}

func TestEventsAreFiltered(t *testing.T) {
	for _, unfiltered := range []bool{false, true} {
		opts := []zkserver.Option{}
		if unfiltered {
			opts = append(opts, zkserver.WithUnfilteredEvents())
		}
		virtual(t, func(t *testing.T, v *world) {
			w, c := v.dial().Open(40*time.Second), v.dial().Open(40*time.Second)
			c.Want(zkproto.OK, zkproto.OpAuth, zkproto.AuthRequest{Scheme: "digest", Auth: []byte("a:b")})
			w.Want(zkproto.OK, zkproto.OpAddWatch, zkproto.AddWatchRequest{Path: "/", Mode: zkproto.WatchPersistentRecursive})
			secret := create("/secret")
			secret.ACL = []zkproto.ACL{{Perms: zkproto.PermAll, Scheme: "auth"}}
			c.Want(zkproto.OK, zkproto.OpCreate, secret)
			if unfiltered {
				wantEvents(w, "secret", "1 /secret")
			} else {
				wantEvents(w, "secret")
			}
		}, opts...)
	}
}

// TestManyWatchers goes through the growth of what is kept for one path.
func TestManyWatchers(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		c := v.dial().Open(40 * time.Second)
		c.Want(zkproto.OK, zkproto.OpCreate, create("/a"))
		var all []*rawzk.Conn
		for range 40 {
			w := v.dial().Open(40 * time.Second)
			w.Want(zkproto.OK, zkproto.OpGetData, zkproto.PathWatchRequest{Path: "/a", Watch: true})
			all = append(all, w)
		}
		all[3].Net.Close()
		all[30].Net.Close()
		time.Sleep(time.Second)
		if n := v.srv.WatchCount(); n != 38 {
			t.Errorf("WatchCount() = %d, want 38", n)
		}
		c.Want(zkproto.OK, zkproto.OpSetData, zkproto.SetDataRequest{Path: "/a", Version: -1})
		for i, w := range all {
			if i != 3 && i != 30 {
				wantEvents(w, "change", "3 /a")
			}
		}
		if n := v.srv.WatchCount(); n != 0 {
			t.Errorf("WatchCount() = %d, want 0", n)
		}
	})
}
