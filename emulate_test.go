package gazoo_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// v35 is what ZooKeeper 3.5 does not know of watches.
var v35 = lacking(zkproto.OpAddWatch, zkproto.OpSetWatches2)

// calm lets the emulation come to rest after one change, so that none coalesce.
func calm(changes ...func()) {
	for _, change := range changes {
		change()
		time.Sleep(time.Second)
	}
}

func TestStreamOnAnOldServerIsFedFromOneShots(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181", v35)
		zk := w.connect("a")
		s := mustWatch(t, zk, "/a")
		calm(
			func() { tree.mustCreate("/a") },
			func() { tree.mustSet("/a", "1") },
			func() { tree.mustCreate("/a/b") },
			func() { tree.mustSet("/a/b", "1") },
			func() { tree.mustDelete("/a/b") },
			func() { tree.mustDelete("/a") },
		)
		wantEvents(t, s, "created /a", "data changed /a", "children changed /a", "children changed /a", "deleted /a")
		s.Close()
		synctest.Wait()
		if one, streams := zk.WatchCount(); one != 0 || streams != 0 {
			t.Errorf("after Close %d one-shots and %d streams are left", one, streams)
		}
	})
}

func TestRecursiveStreamOnAnOldServer(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181", v35)
		tree.mustCreate("/a", "/a/x", "/a/x/y")
		zk := w.connect("a")
		s := mustWatch(t, zk, "/a", gazoo.Recursive())
		calm(
			func() { tree.mustSet("/a/x/y", "1") },
			func() { tree.mustCreate("/a/b") },
			func() { tree.mustCreate("/a/b/c") },
			func() { tree.mustSet("/a/b/c", "1") },
			func() { tree.mustDelete("/a/b/c") },
			func() { tree.mustDelete("/a/b") },
			func() { tree.mustCreate("/a/b") },
		)
		wantEvents(t, s, "data changed /a/x/y", "created /a/b", "created /a/b/c", "data changed /a/b/c", "deleted /a/b/c", "deleted /a/b", "created /a/b")
		s.Close()
		synctest.Wait()
	})
}

func TestEmulatedStreamSeesWhatChangesAfterWatchReturned(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		tree := w.plant("a:2181", v35)
		tree.mustCreate("/a", "/a/x")
		zk := w.connect("a")
		s := mustWatch(t, zk, "/a", gazoo.Recursive())
		_, err := zk.Set(ctx, "/a/x", nil, gazoo.AnyVersion)
		must(t, err)
		wantEvents(t, s, "data changed /a/x")
	})
}

func TestStreamGoesOnWithAGapWhenAReconnectLandsOnAnOldServer(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181")
		tree.mustCreate("/a", "/a/b")
		zk := w.connect("a")
		s := mustWatch(t, zk, "/a")
		deep := mustWatch(t, zk, "/a", gazoo.Recursive())
		if s.Emulated() || deep.Emulated() {
			t.Error("streams say that they are emulated on a server that knows them")
		}
		tree.do(func() { old(tree) })
		tree.Conn(zk.SessionID()).Close()
		synctest.Wait()
		w.waitState(zk, gazoo.StateConnected, time.Minute)
		calm(func() {}, func() { tree.mustSet("/a", "1") }, func() { tree.mustCreate("/a/c") })
		wantEvents(t, s, "gap reconnect", "data changed /a", "children changed /a")
		wantEvents(t, deep, "gap reconnect", "data changed /a", "created /a/c")
		if !s.Emulated() || !deep.Emulated() {
			t.Error("streams do not say that they are emulated")
		}
		if _, streams := zk.WatchCount(); streams != 2 {
			t.Errorf("%d streams counted, want 2", streams)
		}
	})
}

func TestEmulatedStreamSurvivesANewSession(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181", old)
		tree.mustCreate("/a")
		zk := w.connect("a")
		s := mustWatch(t, zk, "/a")
		tree.expire(zk.SessionID())
		tree.mustSet("/a", "unseen")
		synctest.Wait()
		w.waitState(zk, gazoo.StateConnected, time.Minute)
		calm(func() {}, func() { tree.mustDelete("/a") })
		wantEvents(t, s, "gap new session", "data changed /a", "deleted /a")
	})
}

func TestEmulationDoesNotHammerAServerThatRefuses(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		refusals := 0
		tree := w.plant("a:2181", old, func(tr *fakeTree) {
			tr.before = func(c *peer.Conn, req peer.Request) bool {
				code := map[zkproto.OpCode]zkproto.Code{
					zkproto.OpGetChildren2: zkproto.ErrNoAuth,
					zkproto.OpExists:       zkproto.ErrThrottledOp,
				}[req.Header.Op]
				if code == 0 || code == zkproto.ErrThrottledOp && refusals >= 3 {
					return false
				}
				if refusals++; refusals > 100 {
					panic("the client repeats itself without a pause")
				}
				c.Reply(req.Header.Xid, 1, code, nil)
				return true
			}
		})
		tree.mustCreate("/a")
		zk := w.connect("a")
		s := mustWatch(t, zk, "/a")
		calm(func() { tree.mustSet("/a", "1") })
		wantEvents(t, s, "data changed /a")
	})
}

func TestEmulatedStreamsLeaveNothingBehind(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181", v35)
		tree.mustCreate("/a", "/a/b")
		zk := w.connect("a")
		s := mustWatch(t, zk, "/a", gazoo.Recursive())
		if held := tree.held(); !slices.Contains(held, "child /a/b 1") {
			t.Fatalf("server holds %q, want watches on the whole subtree", held)
		}
		s.Close()
		synctest.Wait()
		if held := tree.held(); len(held) > 0 {
			t.Errorf("server still holds %q", held)
		}
	})
}
