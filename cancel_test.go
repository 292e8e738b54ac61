package gazoo_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// slow makes a tree that answers the operations after d.
func slow(d time.Duration, ops ...zkproto.OpCode) func(*fakeTree) {
	return func(t *fakeTree) {
		t.before = func(c *peer.Conn, req peer.Request) bool {
			for _, op := range ops {
				if req.Header.Op == op {
					time.Sleep(d)
				}
			}
			return false
		}
	}
}

func TestCallWithACancelledContextIsNotSent(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181")
		zk := w.connect("a")
		reason := errors.New("shutting down")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(reason)
		for name, err := range map[string]error{
			"Set":        second(zk.Set(ctx, "/", nil, -1)),
			"Async":      second(zk.Async().Set(ctx, "/", nil, -1).Wait(t.Context())),
			"GetW":       func() error { _, _, _, err := zk.GetW(ctx, "/"); return err }(),
			"Watch":      second(zk.Watch(ctx, "/")),
			"EnsurePath": second(zk.EnsurePath(ctx, "/a")),
		} {
			if !errors.Is(err, context.Canceled) || !errors.Is(err, reason) || !gazoo.WasNotSent(err) || gazoo.MaybeApplied(err) {
				t.Errorf("%s: %v, want Canceled with its cause, not sent", name, err)
			}
		}
		if n := len(tree.sentAll()); n != 0 {
			t.Errorf("%d requests were sent", n)
		}
		if one, streams := zk.WatchCount(); one+streams != 0 {
			t.Errorf("WatchCount = %d, %d", one, streams)
		}
	})
}

func TestCancelledWaitReturnsAtOnceAndTheConnectionKeepsStep(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181", slow(2*time.Second, zkproto.OpSetData, zkproto.OpGetData))
		tree.mustCreate("/a")
		zk := w.connect("a")
		begin := time.Now()
		_, err := zk.Set(deadline(t, time.Second), "/a", []byte("late"), -1)
		if !errors.Is(err, context.DeadlineExceeded) || !gazoo.MaybeApplied(err) || time.Since(begin) != time.Second {
			t.Errorf("Set after %v: %v, want its deadline, maybe applied", time.Since(begin), err)
		}
		_, _, err = zk.Get(deadline(t, time.Second), "/a")
		if !errors.Is(err, context.DeadlineExceeded) || gazoo.MaybeApplied(err) || gazoo.WasNotSent(err) {
			t.Errorf("Get: %v, want its deadline; a read is never applied, and this one was sent", err)
		}
		if _, found, err := zk.Exists(t.Context(), "/a"); err != nil || !found {
			t.Errorf("the call after the late answers: %v, %v", found, err)
		}
		if data, _, err := zk.Get(t.Context(), "/a"); err != nil || string(data) != "late" {
			t.Errorf("Get = %q, %v, want what the abandoned Set wrote", data, err)
		}
		if calls, bytes := zk.InFlight(); calls != 0 || bytes != 0 {
			t.Errorf("InFlight = %d, %d after all answers", calls, bytes)
		}
	})
}

func TestCallWaitingForAConnectionIsTakenBack(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181")
		tree.down.Store(true)
		zk := w.client("a")
		_, err := zk.Create(deadline(t, time.Second), "/a", nil)
		if !errors.Is(err, context.DeadlineExceeded) || !gazoo.WasNotSent(err) {
			t.Errorf("Create: %v, want its deadline, not sent", err)
		}
		if calls, bytes := zk.InFlight(); calls != 0 || bytes != 0 {
			t.Errorf("InFlight = %d, %d", calls, bytes)
		}
		tree.down.Store(false)
		w.waitState(zk, gazoo.StateConnected, time.Minute)
		synctest.Wait()
		if n := len(tree.sentAll()); n != 0 {
			t.Errorf("%d requests were sent after all", n)
		}
	})
}

func TestWatchOfACancelledReadIsTakenOffTheServer(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181", slow(2*time.Second, zkproto.OpGetData, zkproto.OpGetChildren2))
		tree.mustCreate("/a")
		zk := w.connect("a")
		if _, _, _, err := zk.GetW(deadline(t, time.Second), "/a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("GetW: %v", err)
		}
		if _, _, _, err := zk.ChildrenW(deadline(t, time.Second), "/a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("ChildrenW: %v", err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if held := tree.held(); len(held) != 0 {
			t.Errorf("server still holds %q", held)
		}
	})
}

func TestWaitForAWatchKeepsTheContextsCause(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.plant("a:2181").mustCreate("/a")
		zk := w.connect("a")
		_, _, watch, err := zk.GetW(t.Context(), "/a")
		must(t, err)
		reason := errors.New("changed my mind")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(reason)
		if _, err := watch.Wait(ctx); !errors.Is(err, reason) || !errors.Is(err, context.Canceled) {
			t.Errorf("Wait: %v, want Canceled with its cause", err)
		}
		if _, err := mustWatch(t, zk, "/a").Next(ctx); !errors.Is(err, reason) {
			t.Errorf("Next: %v, want the cause", err)
		}
		if one, _ := zk.WatchCount(); one != 1 {
			t.Error("a wait that ended took the watch with it")
		}
	})
}
