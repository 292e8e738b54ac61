package gazoo_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// over is a context that has ended: Next with it returns what is queued and never waits.
func over() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// wantEvents lets everything settle, and compares what a stream holds with texts such as
// "created /a" and "gap reconnect".
func wantEvents(t *testing.T, s *gazoo.Stream, want ...string) {
	t.Helper()
	synctest.Wait()
	var got []string
	for {
		ev, err := s.Next(over())
		if err != nil {
			break
		}
		if ev.Gap != gazoo.GapNone {
			got = append(got, fmt.Sprint("gap ", ev.Gap))
			continue
		}
		got = append(got, fmt.Sprint(ev.Type, " ", ev.Path))
	}
	if !slices.Equal(got, want) {
		t.Errorf("stream yields %q, want %q", got, want)
	}
}

func mustWatch(t *testing.T, zk *gazoo.Client, path string, opts ...gazoo.StreamOption) *gazoo.Stream {
	t.Helper()
	s, err := zk.Watch(t.Context(), path, opts...)
	if err != nil {
		t.Fatalf("Watch(%q): %v", path, err)
	}
	return s
}

// bothVersions runs f against the embedded server as 3.8 and as 3.9.
func bothVersions(t *testing.T, f func(t *testing.T, w *world, tree *realTree)) {
	for name, opts := range map[string][]zkserver.Option{"3.8": nil, "3.9": {zkserver.WithVersion39()}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) { f(t, w, w.embed(opts...)) })
		})
	}
}

// bothServers runs f against a fake tree with the watch rules of 3.8 and of 3.9.
func bothServers(t *testing.T, f func(t *testing.T, w *world, tree *fakeTree)) {
	for name, change := range map[string]func(*fakeTree){"3.8": func(*fakeTree) {}, "3.9": modernTree} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) { f(t, w, w.plant("a:2181", change)) })
		})
	}
}

func TestStreamYieldsEveryEventInOrder(t *testing.T) {
	bothVersions(t, func(t *testing.T, w *world, tree *realTree) {
		zk := w.connect("zk1", tree.dialer())
		s := mustWatch(t, zk, "/a")
		deep := mustWatch(t, zk, "/a", gazoo.Recursive())
		tree.mustCreate("/a", "/a/b", "/a/b/c")
		tree.mustSet("/a", "1")
		tree.mustSet("/a", "2")
		tree.mustDelete("/a/b/c")
		tree.mustDelete("/a/b")
		tree.mustDelete("/a")
		wantEvents(t, s, "created /a", "children changed /a", "data changed /a", "data changed /a", "children changed /a", "deleted /a")
		wantEvents(t, deep, "created /a", "created /a/b", "created /a/b/c", "data changed /a", "data changed /a", "deleted /a/b/c", "deleted /a/b", "deleted /a")
	})
}

func TestEventCarriesTheZxidOfTheChange(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.embed(zkserver.WithVersion39())
		zk := w.connect("zk1", tree.dialer())
		s := mustWatch(t, zk, "/a")
		_, _, one, err := zk.ExistsW(t.Context(), "/b")
		must(t, err)
		tree.mustCreate("/a")
		zxid := tree.Zxid()
		tree.mustCreate("/b")
		ev, err := s.Next(t.Context())
		must(t, err)
		if ev.Zxid != zxid {
			t.Errorf("stream event has zxid %d, want %d", ev.Zxid, zxid)
		}
		if ev, err = one.Wait(t.Context()); err != nil || ev.Zxid != zxid+1 {
			t.Errorf("one-shot event has zxid %d (%v), want %d", ev.Zxid, err, zxid+1)
		}
	})
}

func TestChildrenChangedOutlivesTheRecursiveStreamBesideIt(t *testing.T) {
	bothVersions(t, func(t *testing.T, w *world, tree *realTree) {
		tree.mustCreate("/a")
		zk := w.connect("zk1", tree.dialer())
		deep := mustWatch(t, zk, "/a", gazoo.Recursive())
		s := mustWatch(t, zk, "/a")
		_, _, child, err := zk.ChildrenW(t.Context(), "/a")
		must(t, err)
		deep.Close()
		tree.mustCreate("/a/b")
		wantEvents(t, s, "children changed /a")
		if ev, err := child.Wait(deadline(t, time.Second)); err != nil || ev.Type != gazoo.EventChildrenChanged {
			t.Errorf("one-shot served by the stream: %+v, %v, want children changed", ev, err)
		}
	})
}

func TestStreamMissesNothingAfterOneShotsOutlivedTheLastOne(t *testing.T) {
	bothVersions(t, func(t *testing.T, w *world, tree *realTree) {
		tree.mustCreate("/a")
		zk := w.connect("zk1", tree.dialer())
		first := mustWatch(t, zk, "/a")
		_, _, child, err := zk.ChildrenW(t.Context(), "/a")
		must(t, err)
		first.Close()
		_, _, data, err := zk.GetW(t.Context(), "/a")
		must(t, err)
		second := mustWatch(t, zk, "/a")
		tree.mustSet("/a", "1")
		tree.mustSet("/a", "2")
		wantEvents(t, second, "data changed /a", "data changed /a")
		if _, err := data.Wait(deadline(t, time.Second)); err != nil {
			t.Error(err)
		}
		child.Close()
	})
}

func TestOneShotBesideAStreamIsServedLocally(t *testing.T) {
	bothServers(t, func(t *testing.T, w *world, tree *fakeTree) {
		tree.mustCreate("/a")
		zk := w.connect("a")
		s := mustWatch(t, zk, "/a")
		_, _, data, err := zk.GetW(t.Context(), "/a")
		must(t, err)
		for _, req := range tree.sent(zkproto.OpGetData) {
			var m zkproto.PathWatchRequest
			must(t, req.Decode(&m))
			if m.Watch {
				t.Error("the read was sent with the watch flag: 3.8 would replace the stream's registration")
			}
		}
		tree.mustSet("/a", "1")
		tree.mustSet("/a", "2")
		wantEvents(t, s, "data changed /a", "data changed /a")
		if ev, err := data.Wait(deadline(t, time.Second)); err != nil || ev.Type != gazoo.EventDataChanged {
			t.Errorf("one-shot: %+v, %v, want data changed", ev, err)
		}
	})
}

func TestStreamSurvivesReconnectsAndSessionsWithAGap(t *testing.T) {
	bothVersions(t, func(t *testing.T, w *world, tree *realTree) {
		tree.mustCreate("/a")
		zk := w.connect("zk1", tree.dialer())
		s := mustWatch(t, zk, "/a")
		deep := mustWatch(t, zk, "/a", gazoo.Recursive())
		tree.Session(zk.SessionID()).Cut()
		synctest.Wait()
		w.waitState(zk, gazoo.StateConnected, time.Minute)
		tree.mustSet("/a", "1")
		wantEvents(t, s, "gap reconnect", "data changed /a")
		wantEvents(t, deep, "gap reconnect", "data changed /a")
		tree.ExpireSession(zk.SessionID())
		synctest.Wait()
		w.waitState(zk, gazoo.StateConnected, time.Minute)
		tree.mustCreate("/a/b")
		wantEvents(t, s, "gap new session", "children changed /a")
		wantEvents(t, deep, "gap new session", "created /a/b")
	})
}

func TestSlowReaderGetsOneOverflowInsteadOfAFullQueue(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.embed()
		tree.mustCreate("/a")
		zk := w.connect("zk1", tree.dialer())
		s := mustWatch(t, zk, "/a", gazoo.StreamBuffer(3))
		for range 3 {
			tree.mustSet("/a", "")
		}
		wantEvents(t, s, "data changed /a", "data changed /a", "data changed /a")
		for range 4 {
			tree.mustSet("/a", "")
		}
		tree.mustDelete("/a")
		wantEvents(t, s, "gap overflow", "deleted /a")
	})
}

func TestStreamsOnOnePathShareARegistrationAndOneRemoval(t *testing.T) {
	bothServers(t, func(t *testing.T, w *world, tree *fakeTree) {
		zk := w.connect("a")
		streams := []*gazoo.Stream{mustWatch(t, zk, "/a"), mustWatch(t, zk, "/a"), mustWatch(t, zk, "/a")}
		if n := len(tree.sent(zkproto.OpAddWatch)); n != 1 {
			t.Errorf("%d addWatch requests for three streams on one path, want 1", n)
		}
		tree.mustCreate("/a")
		for i, s := range streams {
			if n := len(tree.sent(zkproto.OpRemoveWatches)); n != 0 {
				t.Errorf("%d removals with %d streams open", n, 3-i)
			}
			wantEvents(t, s, "created /a")
			s.Close()
			s.Close()
		}
		synctest.Wait()
		if n, held := len(tree.sent(zkproto.OpRemoveWatches)), tree.held(); n != 1 || len(held) > 0 {
			t.Errorf("%d removals after the last Close, server holds %q; want 1, nothing", n, held)
		}
		if _, err := streams[0].Next(t.Context()); !errors.Is(err, gazoo.ErrWatchCanceled) {
			t.Errorf("Next on a closed stream: %v, want ErrWatchCanceled", err)
		}
	})
}

func TestStreamOfACancelledCallIsTakenOffTheServer(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181", func(t *fakeTree) {
			t.before = func(c *peer.Conn, req peer.Request) bool {
				if req.Header.Op == zkproto.OpAddWatch {
					time.Sleep(2 * time.Second)
				}
				return false
			}
		})
		zk := w.connect("a")
		if _, err := zk.Watch(deadline(t, time.Second), "/a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Watch: %v, want its deadline", err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if held := tree.held(); len(held) > 0 {
			t.Errorf("server still holds %q", held)
		}
		if _, n := zk.WatchCount(); n != 0 {
			t.Errorf("%d streams counted, want 0", n)
		}
	})
}

func TestStreamEndsWithTheClient(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.embed()
		zk := w.connect("zk1", tree.dialer())
		s := mustWatch(t, zk, "/a")
		tree.mustCreate("/a")
		synctest.Wait()
		must(t, zk.Close())
		var got []string
		var last error
		for ev, err := range s.Events(t.Context()) {
			if last = err; err == nil {
				got = append(got, ev.Path)
			}
		}
		if len(got) != 1 || !errors.Is(last, gazoo.ErrClosed) {
			t.Errorf("after Close the stream yields %q and ends with %v, want what was queued and ErrClosed", got, last)
		}
	})
}

func TestStreamPathsAreRelativeToItsView(t *testing.T) {
	bothVersions(t, func(t *testing.T, w *world, tree *realTree) {
		tree.mustCreate("/x", "/x/x", "/xy")
		view, err := w.connect("zk1", tree.dialer()).Chroot("/x")
		must(t, err)
		root := mustWatch(t, view, "/", gazoo.Recursive())
		s := mustWatch(t, view, "/x")
		tree.mustCreate("/x/x/x")
		tree.mustSet("/xy", "")
		tree.mustSet("/x", "")
		wantEvents(t, root, "created /x/x", "data changed /")
		wantEvents(t, s, "children changed /x")
	})
}
