package zkserver_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/zkproto"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// events reads what came in front of the reply to a ping.
func (r *raw) events() []string {
	r.t.Helper()
	r.sendXid(1, zkproto.OpPing, nil)
	all := []string{}
	for {
		p := r.next()
		if p.Xid == zkproto.XidPing {
			return all
		}
		ev := p.event(r.t)
		all = append(all, fmt.Sprintf("%d %s", ev.Type, ev.Path))
	}
}

func (r *raw) wantEvents(what string, want ...string) {
	r.t.Helper()
	if got := r.events(); !slices.Equal(got, want) {
		r.t.Errorf("%s: events %q, want %q", what, got, want)
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
			w, c := v.dial().open(40*time.Second), v.dial().open(40*time.Second)
			set := func() {
				t.Helper()
				c.want(zkproto.OK, zkproto.OpSetData, zkproto.SetDataRequest{Path: "/a", Version: -1})
			}
			c.want(zkproto.OK, zkproto.OpCreate, create("/a"))
			w.want(zkproto.OK, zkproto.OpAddWatch, zkproto.AddWatchRequest{Path: "/a"})
			w.want(zkproto.OK, zkproto.OpGetData, zkproto.PathWatchRequest{Path: "/a", Watch: true})
			set()
			w.wantEvents("first change", "3 /a")
			set()
			if modern {
				w.wantEvents("second change", "3 /a")
			} else {
				w.wantEvents("second change")
			}
			c.want(zkproto.OK, zkproto.OpCreate, create("/a/b"))
			w.wantEvents("child half of the persistent watch", "4 /a")

			w.want(zkproto.OK, zkproto.OpAddWatch, zkproto.AddWatchRequest{Path: "/a", Mode: zkproto.WatchPersistentRecursive})
			c.want(zkproto.OK, zkproto.OpDelete, zkproto.DeleteRequest{Path: "/a/b", Version: -1})
			if modern {
				w.wantEvents("persistent and recursive", "2 /a/b", "4 /a")
			} else {
				w.wantEvents("recursive", "2 /a/b")
			}

			removed := zkproto.ErrMarshallingError
			if modern {
				removed = zkproto.OK
			}
			w.want(removed, zkproto.OpRemoveWatches, zkproto.CheckWatchesRequest{Path: "/a", Type: zkproto.WatcherPersistentRecursive})
			w.want(zkproto.OK, zkproto.OpRemoveWatches, zkproto.CheckWatchesRequest{Path: "/a", Type: zkproto.WatcherAny})
			w.want(zkproto.ErrNoWatcher, zkproto.OpRemoveWatches, zkproto.CheckWatchesRequest{Path: "/a", Type: zkproto.WatcherAny})
			set()
			w.wantEvents("nothing watched")
			if n := v.srv.WatchCount(); n != 0 {
				t.Errorf("WatchCount() = %d, want 0", n)
			}

			w.want(zkproto.OK, zkproto.OpExists, zkproto.PathWatchRequest{Path: "/a", Watch: true})
			p := c.want(zkproto.OK, zkproto.OpSetData, zkproto.SetDataRequest{Path: "/a", Version: -1})
			zxid := int64(-1)
			if modern {
				zxid = p.Zxid
			}
			if ev := w.next(); ev.Zxid != zxid {
				t.Errorf("event has zxid %d, want %d", ev.Zxid, zxid)
			}
		}, opts...)
	}
}

func TestOrderOfEvents(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		c := v.dial().open(40 * time.Second)
		c.want(zkproto.OK, zkproto.OpCreate, create("/p"))
		watchAll := func() {
			t.Helper()
			c.call(zkproto.OpExists, zkproto.PathWatchRequest{Path: "/p/c", Watch: true})
			c.call(zkproto.OpGetChildren, zkproto.PathWatchRequest{Path: "/p/c", Watch: true})
			c.call(zkproto.OpGetChildren2, zkproto.PathWatchRequest{Path: "/p", Watch: true})
		}
		watchAll()
		xid := c.send(zkproto.OpCreate, create("/p/c"))
		for _, want := range []string{"1 /p/c", "4 /p"} {
			ev := c.next().event(t)
			if got := fmt.Sprintf("%d %s", ev.Type, ev.Path); got != want {
				t.Errorf("event %q, want %q before the reply", got, want)
			}
		}
		if p := c.next(); p.Xid != xid {
			t.Errorf("reply to %d, want %d", p.Xid, xid)
		}
		watchAll()
		d := v.dial().open(40 * time.Second)
		d.want(zkproto.OK, zkproto.OpDelete, zkproto.DeleteRequest{Path: "/p/c", Version: -1})
		c.wantEvents("delete", "2 /p/c", "4 /p")
		c.call(zkproto.OpGetData, zkproto.PathWatchRequest{Path: "", Watch: true}) // an alias that never fires
		d.want(zkproto.OK, zkproto.OpSetData, zkproto.SetDataRequest{Path: "/", Version: -1})
		c.wantEvents("watch on the empty path")
	})
}

func TestEventsAreFiltered(t *testing.T) {
	for _, unfiltered := range []bool{false, true} {
		opts := []zkserver.Option{}
		if unfiltered {
			opts = append(opts, zkserver.WithUnfilteredEvents())
		}
		virtual(t, func(t *testing.T, v *world) {
			w, c := v.dial().open(40*time.Second), v.dial().open(40*time.Second)
			c.want(zkproto.OK, zkproto.OpAuth, zkproto.AuthRequest{Scheme: "digest", Auth: []byte("a:b")})
			w.want(zkproto.OK, zkproto.OpAddWatch, zkproto.AddWatchRequest{Path: "/", Mode: zkproto.WatchPersistentRecursive})
			secret := create("/secret")
			secret.ACL = []zkproto.ACL{{Perms: zkproto.PermAll, Scheme: "auth"}}
			c.want(zkproto.OK, zkproto.OpCreate, secret)
			if unfiltered {
				w.wantEvents("secret", "1 /secret")
			} else {
				w.wantEvents("secret")
			}
		}, opts...)
	}
}

// TestManyWatchers goes through the growth of what is kept for one path.
func TestManyWatchers(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		c := v.dial().open(40 * time.Second)
		c.want(zkproto.OK, zkproto.OpCreate, create("/a"))
		var all []*raw
		for range 40 {
			w := v.dial().open(40 * time.Second)
			w.want(zkproto.OK, zkproto.OpGetData, zkproto.PathWatchRequest{Path: "/a", Watch: true})
			all = append(all, w)
		}
		all[3].nc.Close()
		all[30].nc.Close()
		time.Sleep(time.Second)
		if n := v.srv.WatchCount(); n != 38 {
			t.Errorf("WatchCount() = %d, want 38", n)
		}
		c.want(zkproto.OK, zkproto.OpSetData, zkproto.SetDataRequest{Path: "/a", Version: -1})
		for i, w := range all {
			if i != 3 && i != 30 {
				w.wantEvents("change", "3 /a")
			}
		}
		if n := v.srv.WatchCount(); n != 0 {
			t.Errorf("WatchCount() = %d, want 0", n)
		}
	})
}
