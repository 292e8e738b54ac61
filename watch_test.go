package gazoo_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// setWatch sets a one-shot of a kind: data, exist or child.
func setWatch(t *testing.T, zk *gazoo.Client, kind, path string) *gazoo.Watch {
	t.Helper()
	var w *gazoo.Watch
	var err error
	switch kind {
	case "data":
		_, _, w, err = zk.GetW(t.Context(), path)
	case "exist":
		_, _, w, err = zk.ExistsW(t.Context(), path)
	case "child":
		_, _, w, err = zk.ChildrenW(t.Context(), path)
	}
	if err != nil {
		t.Fatalf("%s watch on %s: %v", kind, path, err)
	}
	return w
}

var watchKinds = []string{"data", "exist", "child"}

func ended(w *gazoo.Watch) bool {
	select {
	case <-w.Done():
		return true
	default:
		return false
	}
}

func TestWhatFiresAOneShot(t *testing.T) {
	created := func(tree *fakeTree) { tree.mustCreate("/a") }
	set := func(tree *fakeTree) { tree.mustSet("/a", "x") }
	deleted := func(tree *fakeTree) { tree.mustDelete("/a") }
	child := func(tree *fakeTree) { tree.mustCreate("/a/b") }
	for _, c := range []struct {
		kind    string
		missing bool // at registration
		change  func(*fakeTree)
		want    gazoo.EventType // EventNone: nothing
	}{
		{"data", false, set, gazoo.EventDataChanged},
		{"data", false, deleted, gazoo.EventDeleted},
		{"data", false, child, gazoo.EventNone},
		{"exist", false, set, gazoo.EventDataChanged},
		{"exist", false, deleted, gazoo.EventDeleted},
		{"exist", true, created, gazoo.EventCreated},
		{"child", false, child, gazoo.EventChildrenChanged},
		{"child", false, deleted, gazoo.EventDeleted},
		{"child", false, set, gazoo.EventNone},
	} {
		bothServers(t, func(t *testing.T, w *world, tree *fakeTree) {
			if !c.missing {
				tree.mustCreate("/a")
			}
			zk := w.connect("a")
			watch := setWatch(t, zk, c.kind, "/a")
			fired := 0
			watch.Then(func(gazoo.Event, error) { fired++ })
			c.change(tree)
			synctest.Wait()
			if ended(watch) != (c.want != gazoo.EventNone) {
				t.Fatalf("%s watch, %v: ended %v", c.kind, c.want, ended(watch))
			}
			if ev, err := watch.Result(); c.want != gazoo.EventNone && (err != nil || ev.Type != c.want || ev.Path != "/a" || fired != 1) {
				t.Errorf("%s watch: %+v, %v, callback %d times, want %v once", c.kind, ev, err, fired, c.want)
			}
			watch.Close() // after the end it changes nothing
			if _, err := watch.Result(); c.want != gazoo.EventNone && err != nil {
				t.Errorf("Result after Close of a watch that fired: %v", err)
			}
			if one, _ := zk.WatchCount(); one != 0 {
				t.Errorf("%d watches are left", one)
			}
			synctest.Wait()
			if held := tree.held(); len(held) != 0 {
				t.Errorf("server still holds %q", held)
			}
		})
	}
}

func TestFailedReadLeavesNoWatch(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181")
		zk := w.connect("a")
		_, _, data, err := zk.GetW(t.Context(), "/none")
		if !errors.Is(err, gazoo.ErrNoNode) || data != nil {
			t.Errorf("GetW = %v, %v, want ErrNoNode and no watch", data, err)
		}
		if _, _, child, err := zk.ChildrenW(t.Context(), "/none"); !errors.Is(err, gazoo.ErrNoNode) || child != nil {
			t.Errorf("ChildrenW = %v, %v, want ErrNoNode and no watch", child, err)
		}
		if one, _ := zk.WatchCount(); one != 0 || len(tree.held()) != 0 {
			t.Errorf("%d watches, server holds %q", one, tree.held())
		}
	})
}

func TestSeveralWatchesOnOnePathFireTogether(t *testing.T) {
	bothServers(t, func(t *testing.T, w *world, tree *fakeTree) {
		tree.mustCreate("/a")
		zk := w.connect("a")
		view, err := zk.Chroot("/a")
		must(t, err)
		all := []*gazoo.Watch{setWatch(t, zk, "data", "/a"), setWatch(t, zk, "data", "/a"), setWatch(t, zk, "exist", "/a"), setWatch(t, zk, "child", "/a")}
		rooted := setWatch(t, view, "data", "/")
		tree.mustDelete("/a")
		for i, watch := range all {
			if ev, err := watch.Wait(deadline(t, time.Second)); err != nil || ev.Type != gazoo.EventDeleted || ev.Path != "/a" {
				t.Errorf("watch %d: %+v, %v", i, ev, err)
			}
		}
		if ev, err := rooted.Wait(deadline(t, time.Second)); err != nil || ev.Path != "/" {
			t.Errorf("watch of a view: %+v, %v, want path /", ev, err)
		}
	})
}

func TestCloseTakesTheWatchOffOnlyWhenNobodyElseUsesIt(t *testing.T) {
	bothServers(t, func(t *testing.T, w *world, tree *fakeTree) {
		tree.mustCreate("/a")
		zk := w.connect("a")
		first, second, child := setWatch(t, zk, "data", "/a"), setWatch(t, zk, "exist", "/a"), setWatch(t, zk, "child", "/a")
		first.Close()
		synctest.Wait()
		if n := len(tree.sent(zkproto.OpRemoveWatches)); n != 0 {
			t.Errorf("%d removals while another watch uses the entry", n)
		}
		if _, err := first.Wait(t.Context()); !errors.Is(err, gazoo.ErrWatchCanceled) {
			t.Errorf("closed watch: %v, want ErrWatchCanceled", err)
		}
		child.Close()
		synctest.Wait()
		if held := tree.held(); !slices.Equal(held, []string{"data /a 1"}) {
			t.Errorf("server holds %q, want the data watch alone", held)
		}
		second.Close()
		second.Close()
		synctest.Wait()
		if n, held := len(tree.sent(zkproto.OpRemoveWatches)), tree.held(); n != 2 || len(held) != 0 {
			t.Errorf("%d removals, server holds %q, want 2, nothing", n, held)
		}
	})
}

func TestRemovalThatCrossesTheEventIsNoTrouble(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181", slow(time.Second, zkproto.OpRemoveWatches))
		tree.mustCreate("/a")
		zk := w.connect("a")
		setWatch(t, zk, "data", "/a").Close()
		synctest.Wait()
		tree.mustSet("/a", "x") // the server's entry is gone before the removal gets there: NoWatcher
		again := setWatch(t, zk, "data", "/a")
		synctest.Wait()
		tree.mustSet("/a", "y")
		if ev, err := again.Wait(deadline(t, time.Minute)); err != nil || ev.Type != gazoo.EventDataChanged {
			t.Errorf("a watch set behind the removal: %+v, %v", ev, err)
		}
		if zk.State() != gazoo.StateConnected {
			t.Error("the connection was lost")
		}
	})
}

func TestCloseWithoutAConnectionIsLocal(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181")
		tree.mustCreate("/a")
		zk := w.connect("a")
		watch, kept := setWatch(t, zk, "data", "/a"), setWatch(t, zk, "child", "/a")
		tree.down.Store(true)
		tree.Conn(zk.SessionID()).Close()
		synctest.Wait()
		watch.Close()
		if _, err := watch.Wait(t.Context()); !errors.Is(err, gazoo.ErrWatchCanceled) {
			t.Errorf("Wait: %v", err)
		}
		tree.down.Store(false)
		w.waitState(zk, gazoo.StateConnected, time.Minute)
		synctest.Wait()
		if held := tree.held(); !slices.Equal(held, []string{"child /a 1"}) || ended(kept) {
			t.Errorf("server holds %q, want only what is still wanted", held)
		}
	})
}

func TestOneShotsEndWithAReason(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(w *world, zk *gazoo.Client, tree *fakeTree)
		opts []gazoo.Option
		want error
	}{
		"session expired": {func(_ *world, zk *gazoo.Client, tree *fakeTree) { tree.expire(zk.SessionID()) }, nil, gazoo.ErrSessionExpired},
		"session presumed": {func(_ *world, zk *gazoo.Client, tree *fakeTree) {
			tree.down.Store(true)
			tree.Conn(zk.SessionID()).Close()
		}, nil, gazoo.ErrSessionPresumed},
		"client closed":  {func(_ *world, zk *gazoo.Client, _ *fakeTree) { zk.Close() }, nil, gazoo.ErrClosed},
		"closed at once": {func(_ *world, zk *gazoo.Client, _ *fakeTree) { zk.CloseNow() }, nil, gazoo.ErrClosed},
		"without watch reset": {
			func(_ *world, zk *gazoo.Client, tree *fakeTree) { tree.Conn(zk.SessionID()).Close() },
			[]gazoo.Option{gazoo.WithoutWatchReset()},
			gazoo.ErrConnectionLoss,
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				tree := w.plant("a:2181")
				tree.mustCreate("/a")
				zk := w.connect("a", c.opts...)
				for _, kind := range watchKinds {
					fired := 0
					watch := setWatch(t, zk, kind, "/a")
					watch.Then(func(_ gazoo.Event, err error) {
						if fired++; !errors.Is(err, c.want) {
							t.Errorf("callback of the %s watch: %v, want %v", kind, err, c.want)
						}
					})
					defer func() {
						if _, err := watch.Wait(deadline(t, time.Minute)); !errors.Is(err, c.want) {
							t.Errorf("%s watch: %v, want %v", kind, err, c.want)
						}
						synctest.Wait()
						if fired != 1 {
							t.Errorf("callback of the %s watch ran %d times", kind, fired)
						}
					}()
				}
				c.end(w, zk, tree)
			})
		})
	}
}

func TestWatchCallbackMayMakeCalls(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181")
		tree.mustCreate("/a")
		zk := w.connect("a")
		done := make(chan error, 1)
		setWatch(t, zk, "data", "/a").Then(func(gazoo.Event, error) {
			_, _, err := zk.Get(context.Background(), "/a")
			done <- errors.Join(err, zk.Close())
		})
		tree.mustSet("/a", "x")
		must(t, <-done)
	})
}

func TestEventComesBeforeAReplyThatShowsTheChange(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		tree := w.plant("a:2181")
		tree.mustCreate("/a")
		zk := w.connect("a")
		for range 100 {
			watch := setWatch(t, zk, "data", "/a")
			if _, err := zk.Set(ctx, "/a", nil, gazoo.AnyVersion); err != nil || !ended(watch) {
				t.Fatalf("Set returned (%v) before the watch had fired", err)
			}
		}
	})
}

func TestAsyncWatchWhoseReadFailsIsNotLeftBehind(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var cut atomic.Bool
		tree := w.plant("a:2181", func(tr *fakeTree) {
			tr.before = func(c *peer.Conn, req peer.Request) bool {
				if req.Header.Op == zkproto.OpGetData && cut.CompareAndSwap(false, true) {
					c.Close()
					return true
				}
				return false
			}
		})
		tree.mustCreate("/a")
		zk := w.connect("a")
		if _, err := zk.Async().GetW(t.Context(), "/a").Wait(t.Context()); !errors.Is(err, gazoo.ErrConnectionLoss) {
			t.Fatalf("GetW: %v", err)
		}
		w.waitState(zk, gazoo.StateConnected, time.Minute)
		if one, _ := zk.WatchCount(); one != 0 {
			t.Errorf("%d watches", one)
		}
	})
}
