package gazoo_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// often makes so many calls with a context that it is watched once for all of them.
func often(t *testing.T, ctx context.Context, zk *gazoo.Client) {
	t.Helper()
	for range 50 {
		if _, _, err := zk.Exists(ctx, "/"); err != nil {
			t.Fatal(err)
		}
	}
	if !zk.WatchesContext(ctx) {
		t.Fatal("the context is not watched after 50 calls with it")
	}
}

// callers has n callers set a znode under ctx, and returns where their errors arrive.
func callers(ctx context.Context, zk *gazoo.Client, n int) <-chan error {
	errs := make(chan error, n)
	for range n {
		go func() {
			_, err := zk.Set(ctx, "/a", nil, gazoo.AnyVersion)
			errs <- err
		}()
	}
	synctest.Wait()
	return errs
}

// left checks that all callers have returned with the end of their context.
func left(t *testing.T, errs <-chan error, reason error, sent bool) {
	t.Helper()
	synctest.Wait()
	if len(errs) != cap(errs) {
		t.Fatalf("%d of %d callers have returned", len(errs), cap(errs))
	}
	for range cap(errs) {
		err := <-errs
		if !errors.Is(err, context.Canceled) || !errors.Is(err, reason) || gazoo.MaybeApplied(err) != sent || gazoo.WasNotSent(err) == sent {
			t.Errorf("a caller got %v, want Canceled with its cause, sent: %v", err, sent)
		}
	}
}

func TestEndOfASharedContext(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181", slow(200*time.Millisecond, zkproto.OpSetData))
		tree.mustCreate("/a")
		zk := w.connect("a")
		ctx, cancel := context.WithCancelCause(t.Context())
		reason := errors.New("shutting down")
		often(t, ctx, zk)
		errs := callers(ctx, zk, 5)
		others := callers(t.Context(), zk, 5)
		cancel(reason)
		left(t, errs, reason, true)
		time.Sleep(time.Minute)
		if len(others) != 5 {
			t.Errorf("%d of 5 callers with another context have returned after a minute", len(others))
		}
		for range 5 {
			if err := <-others; err != nil {
				t.Errorf("a caller with another context: %v", err)
			}
		}
		if _, err := zk.Set(ctx, "/a", nil, gazoo.AnyVersion); !errors.Is(err, reason) || !gazoo.WasNotSent(err) {
			t.Errorf("Set after the end: %v", err)
		}
	})
}

func TestEndOfASharedContextWithoutConnection(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181")
		zk := w.connect("a")
		ctx, cancel := context.WithCancelCause(t.Context())
		reason := errors.New("shutting down")
		often(t, ctx, zk)
		w.drop(zk, tree, func() {
			errs := callers(ctx, zk, 5)
			cancel(reason)
			left(t, errs, reason, false)
			if calls, bytes := zk.InFlight(); calls != 0 || bytes != 0 {
				t.Errorf("InFlight = %d, %d", calls, bytes)
			}
		})
	})
}

// When another context takes the place of the one that is watched, those who relied on that look
// after it themselves.
func TestContextIsWatchedNoMore(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181")
		zk := w.connect("a")
		first, cancelFirst := context.WithCancelCause(t.Context())
		second, cancelSecond := context.WithCancelCause(t.Context())
		reason := errors.New("shutting down")
		often(t, first, zk)
		w.drop(zk, tree, func() {
			early := callers(first, zk, 5)
			late := callers(second, zk, 50)
			if zk.WatchesContext(first) || !zk.WatchesContext(second) {
				t.Fatal("the second context has not taken the first one's place")
			}
			cancelFirst(reason)
			left(t, early, reason, false)
			if len(late) != 0 {
				t.Fatalf("%d callers with the second context have returned", len(late))
			}
			cancelSecond(reason)
			left(t, late, reason, false)
		})
	})
}
