package gazoo_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// drop cuts the connection, runs f while the server is down, and waits for the next one.
func (w *world) drop(zk *gazoo.Client, tree *fakeTree, f func()) {
	w.t.Helper()
	tree.down.Store(true)
	tree.Conn(zk.SessionID()).Close()
	synctest.Wait()
	if f != nil {
		f()
	}
	tree.down.Store(false)
	w.waitState(zk, gazoo.StateConnected, time.Minute)
	synctest.Wait()
}

func TestChangesDuringADropFireEachWatchOnce(t *testing.T) {
	bothServers(t, func(t *testing.T, w *world, tree *fakeTree) {
		tree.mustCreate("/set", "/gone", "/again", "/kids", "/kids/x", "/quiet")
		zk := w.connect("a")
		watches := map[string]*gazoo.Watch{
			"data /set data changed":        setWatch(t, zk, "data", "/set"),
			"exist /set data changed":       setWatch(t, zk, "exist", "/set"),
			"data /gone deleted":            setWatch(t, zk, "data", "/gone"),
			"child /gone deleted":           setWatch(t, zk, "child", "/gone"),
			"data /again data changed":      setWatch(t, zk, "data", "/again"),
			"child /again children changed": setWatch(t, zk, "child", "/again"),
			"child /kids children changed":  setWatch(t, zk, "child", "/kids"),
			"exist /new created":            setWatch(t, zk, "exist", "/new"),
			"data /quiet nothing":           setWatch(t, zk, "data", "/quiet"),
			"child /quiet nothing":          setWatch(t, zk, "child", "/quiet"),
			"exist /never nothing":          setWatch(t, zk, "exist", "/never"),
		}
		fired := make(map[string]int)
		for name, watch := range watches {
			watch.Then(func(gazoo.Event, error) { fired[name]++ })
		}
		w.drop(zk, tree, func() {
			tree.mustSet("/set", "x")
			tree.mustDelete("/gone")
			tree.mustDelete("/again")
			tree.mustCreate("/again", "/new")
			tree.mustDelete("/kids/x")
		})
		for name, watch := range watches {
			ev, err := watch.Result()
			_, rest, _ := strings.Cut(name, " ")
			path, want, _ := strings.Cut(rest, " ")
			got := "nothing"
			if ended(watch) {
				got = ev.Type.String()
			}
			if err != nil || got != want || got != "nothing" && (ev.Path != path || fired[name] != 1) {
				t.Errorf("%s: %+v, %v, fired %d times", name, ev, err, fired[name])
			}
		}
		tree.mustSet("/quiet", "x")
		tree.mustCreate("/quiet/x", "/never")
		synctest.Wait()
		for name, watch := range watches {
			if !ended(watch) || fired[name] != 1 {
				t.Errorf("%s: ended %v, fired %d times after a further change", name, ended(watch), fired[name])
			}
		}
	})
}

func TestFiveRestartsAndOneChangeFireOnce(t *testing.T) {
	bothServers(t, func(t *testing.T, w *world, tree *fakeTree) {
		tree.mustCreate("/a")
		zk := w.connect("a")
		fired := 0
		for _, kind := range watchKinds {
			setWatch(t, zk, kind, "/a").Then(func(gazoo.Event, error) { fired++ })
		}
		s := mustWatch(t, zk, "/s")
		for range 5 {
			w.drop(zk, tree, nil)
		}
		tree.mustDelete("/a")
		tree.mustCreate("/s")
		synctest.Wait()
		if fired != 3 {
			t.Errorf("three watches fired %d times", fired)
		}
		wantEvents(t, s, "gap reconnect", "created /s")
	})
}

func TestSixtyThousandWatchesAreSetAgainInSmallRequests(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		tree := w.plant("a:2181", func(t *fakeTree) { t.forget = true })
		zk := w.connect("a")
		path := func(i int) string { return fmt.Sprintf("/%0199d", i) }
		tree.do(func() { // without events, which would be many
			for i := range 60_000 {
				tree.nodes[path(i)] = &fakeNode{}
			}
		})
		var data []gazoo.Future[gazoo.WatchedNode]
		var exist []gazoo.Future[gazoo.WatchedPresence]
		var child []gazoo.Future[gazoo.WatchedDirectory]
		change := make([]func(), 0, 60_000)
		for i := range 60_000 {
			p := path(i)
			switch i % 4 {
			case 0:
				data = append(data, zk.Async().GetW(ctx, p))
				change = append(change, func() { tree.set(p, nil, -1) })
			case 1:
				exist = append(exist, zk.Async().ExistsW(ctx, p))
				change = append(change, func() { tree.remove(p, -1) })
			case 2:
				exist = append(exist, zk.Async().ExistsW(ctx, p+"x"))
				change = append(change, func() { tree.create(p+"x", nil, 0, 0) })
			case 3:
				child = append(child, zk.Async().ChildrenW(ctx, p))
				change = append(change, func() { tree.create(p+"/k", nil, 0, 0) })
			}
		}
		var watches []*gazoo.Watch
		for i := range data {
			watches = append(watches, must1(t, data[i]).Watch, must1(t, child[i]).Watch)
		}
		for _, f := range exist {
			watches = append(watches, must1(t, f).Watch)
		}
		mustWatch(t, zk, "/s")
		mustWatch(t, zk, "/r", gazoo.Recursive())
		zxid := zk.LastZxid()
		w.drop(zk, tree, func() { tree.NextZxid() })
		zxids := map[int64]bool{}
		seen, streams := 0, 0
		for _, req := range slices.Concat(tree.sent(zkproto.OpSetWatches), tree.sent(zkproto.OpSetWatches2)) {
			if n := len(req.Body) + 8; n >= 128<<10 {
				t.Errorf("a request of %d bytes", n)
			}
			var m zkproto.SetWatchesRequest
			if req.Header.Op == zkproto.OpSetWatches2 {
				var m2 zkproto.SetWatches2Request
				must(t, req.Decode(&m2))
				m = zkproto.SetWatchesRequest{RelativeZxid: m2.RelativeZxid, Data: m2.Data, Exist: m2.Exist, Child: m2.Child}
				streams += len(m2.Persistent) + len(m2.PersistentRecursive)
			} else {
				must(t, req.Decode(&m))
			}
			zxids[m.RelativeZxid] = true
			seen += len(m.Data) + len(m.Exist) + len(m.Child)
		}
		if seen != 60_000 || streams != 2 {
			t.Errorf("%d one-shots and %d streams were set again, want 60000 and 2", seen, streams)
		}
		if len(zxids) != 1 || !zxids[zxid] {
			t.Errorf("relative zxids %v, want %d, that of the drop, in all", slices.Collect(maps.Keys(zxids)), zxid)
		}
		tree.do(func() {
			for _, f := range change {
				f()
			}
		})
		synctest.Wait()
		for i, watch := range watches {
			if !ended(watch) {
				t.Fatalf("watch %d of %d did not fire", i, len(watches))
			}
		}
	})
}

func must1[T any](t *testing.T, f gazoo.Future[T]) T {
	t.Helper()
	v, err := f.Wait(t.Context())
	must(t, err)
	return v
}

func TestCutWhileWatchesAreSetAgainIsRepeated(t *testing.T) {
	bothServers(t, func(t *testing.T, w *world, tree *fakeTree) {
		tree.mustCreate("/a", "/b")
		zk := w.connect("a")
		watch, quiet, s := setWatch(t, zk, "data", "/a"), setWatch(t, zk, "child", "/b"), mustWatch(t, zk, "/c")
		cuts := 0
		tree.do(func() {
			tree.before = func(c *peer.Conn, req peer.Request) bool {
				if op := req.Header.Op; op != zkproto.OpSetWatches && op != zkproto.OpSetWatches2 || cuts == 3 {
					return false
				}
				if cuts++; cuts == 2 {
					c.Event(gazoo.EventDataChanged, "/a", -1) // answered in part
				}
				c.Close()
				return true
			}
		})
		w.drop(zk, tree, func() { tree.mustSet("/a", "x") })
		if cuts != 3 {
			t.Fatalf("%d cuts", cuts)
		}
		if ev, err := watch.Wait(deadline(t, time.Minute)); err != nil || ev.Type != gazoo.EventDataChanged {
			t.Errorf("watch on what had changed: %+v, %v", ev, err)
		}
		tree.mustCreate("/b/x", "/c")
		if ev, err := quiet.Wait(deadline(t, time.Minute)); err != nil || ev.Type != gazoo.EventChildrenChanged {
			t.Errorf("watch on what changed later: %+v, %v", ev, err)
		}
		wantEvents(t, s, "gap reconnect", "created /c")
	})
}

func TestWatchClosedWhileItWasSetAgainIsTakenOff(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181", slow(2*time.Second, zkproto.OpSetWatches, zkproto.OpSetWatches2))
		tree.mustCreate("/a", "/b")
		zk := w.connect("a")
		whole, half, kept := setWatch(t, zk, "data", "/a"), setWatch(t, zk, "data", "/b"), setWatch(t, zk, "child", "/b")
		time.AfterFunc(time.Second, func() { whole.Close(); half.Close() })
		w.drop(zk, tree, nil)
		synctest.Wait()
		if held := tree.held(); !slices.Equal(held, []string{"child /b 1"}) {
			t.Errorf("server holds %q, want what is still wanted", held)
		}
		kept.Close()
	})
}

func TestEventsOfTheHandshakeComeBeforeWaitingCalls(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181")
		tree.mustCreate("/a")
		zk := w.connect("a")
		watch := setWatch(t, zk, "data", "/a")
		w.drop(zk, tree, func() {
			tree.mustSet("/a", "new")
			go func() {
				data, _, err := zk.Get(t.Context(), "/a")
				if err != nil || string(data) != "new" || !ended(watch) {
					t.Errorf("Get = %q, %v while the watch had ended: %v", data, err, ended(watch))
				}
			}()
			synctest.Wait()
		})
		synctest.Wait()
	})
}

func TestOneShotsAreNotCarriedIntoANewSession(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181")
		tree.mustCreate("/a")
		zk := w.connect("a")
		watch := setWatch(t, zk, "data", "/a")
		tree.expire(zk.SessionID())
		synctest.Wait()
		w.waitState(zk, gazoo.StateConnected, time.Minute)
		if _, err := watch.Wait(deadline(t, time.Second)); !errors.Is(err, gazoo.ErrSessionExpired) || !gazoo.SessionLost(err) {
			t.Errorf("watch: %v, want ErrSessionExpired", err)
		}
		if held, n := tree.held(), len(tree.sent(zkproto.OpSetWatches)); len(held) != 0 || n != 0 {
			t.Errorf("%d setWatches in the new session, server holds %q", n, held)
		}
	})
}
