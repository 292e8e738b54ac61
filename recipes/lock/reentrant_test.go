package lock_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/lock"
	"github.com/gazoo-zk/gazoo/zktest"
)

// A holder takes the lock again without a request, by its context, through another Mutex of the path too; it is released
// with the last handle, in whatever order.
func TestHolderTakesTheLockAgain(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				zk := recipetest.Client(t, srv)
				mu := newLock(t, zk, path, lock.WithReentrance())
				type key struct{}
				held := []*lock.Held{mustLock(t, mu)}
				time.Sleep(time.Second)
				before := len(srv.Log())
				for _, mu := range []*lock.Mutex{mu, newLock(t, zk, path, lock.WithReentrance())} {
					ctx := context.WithValue(held[len(held)-1].Context(), key{}, len(held))
					h, err := mu.TryLock(ctx)
					if err != nil {
						t.Fatalf("TryLock again: %v", err)
					}
					if v := h.Context().Value(key{}); v != len(held) {
						t.Errorf("a value of the context is %v, want %d", v, len(held))
					}
					held = append(held, h)
				}
				if n := len(srv.Log()) - before; n != 0 {
					t.Errorf("to take it again sent %d requests", n)
				}
				other := goLock(t.Context(), newLock(t, recipetest.Client(t, srv), path))
				waitContenders(t, srv, path, 2)
				for n, i := range order {
					time.Sleep(time.Second)
					waiting(t, other)
					for range 2 { // the second one is none
						mustRelease(t, held[i])
					}
					if err := held[i].Err(); !errors.Is(err, lock.ErrReleased) || held[i].Context().Err() == nil {
						t.Errorf("Err of a released handle: %v, want ErrReleased", err)
					}
					if err := held[i].Verify(t.Context()); !errors.Is(err, lock.ErrReleased) {
						t.Errorf("Verify of a released handle: %v, want ErrReleased", err)
					}
					for _, j := range order[n+1:] {
						if err := held[j].Verify(t.Context()); err != nil {
							t.Errorf("Verify of handle %d: %v", j, err)
						}
						if held[j].Token() != held[0].Token() || held[j].Path() != held[0].Path() {
							t.Errorf("handle %d is %v, want that of the first", j, held[j])
						}
					}
				}
				mustRelease(t, got(t, other))
				waitContenders(t, srv, path, 0)
			})
		})
	}
}

// What ends the tenure ends all handles.
func TestAllHandlesAreLost(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		mu := newLock(t, zk, path, lock.WithReentrance())
		one := mustLock(t, mu)
		two, err := mu.Lock(one.Context())
		if err != nil {
			t.Fatalf("Lock again: %v", err)
		}
		three, err := mu.Lock(two.Context())
		if err != nil {
			t.Fatalf("Lock again: %v", err)
		}
		mustRelease(t, three)
		srv.ExpireSession(zk.SessionID())
		for _, h := range []*lock.Held{one, two} {
			<-h.Context().Done()
			wantLost(t, h, gazoo.ErrSessionExpired)
		}
		if err := three.Err(); !errors.Is(err, lock.ErrReleased) {
			t.Errorf("Err of the one released before: %v, want ErrReleased", err)
		}
		// A lost holder is none: whoever comes with its values queues like all others.
		ctx := context.WithoutCancel(one.Context())
		again, err := mu.Lock(ctx)
		if err != nil {
			t.Fatalf("Lock behind a loss: %v", err)
		}
		if again.Token() <= one.Token() {
			t.Errorf("token %d behind %d", again.Token(), one.Token())
		}
		for _, h := range []*lock.Held{one, two} {
			if err := h.Release(t.Context()); !errors.Is(err, lock.ErrLost) {
				t.Errorf("Release: %v, want ErrLost", err)
			}
		}
		mustRelease(t, again)
		waitContenders(t, srv, path, 0)
	})
}

// Behind the last release the context of a former holder stands for nothing.
func TestContextOfAFormerHolder(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		mu := newLock(t, recipetest.Client(t, srv), path, lock.WithReentrance())
		held := mustLock(t, mu)
		ctx := held.Context()
		mustRelease(t, held)
		if _, err := mu.Lock(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, lock.ErrReleased) {
			t.Errorf("Lock: %v, want that the context has ended", err)
		}
		other := mustLock(t, newLock(t, recipetest.Client(t, srv), path))
		if _, err := mu.TryLock(context.WithoutCancel(ctx)); !errors.Is(err, lock.ErrBusy) {
			t.Errorf("TryLock: %v, want ErrBusy", err)
		}
		mustRelease(t, other)
	})
}

// Without the option a holder that would wait for itself is told so.
func TestLockThatWouldWaitForItself(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		mu := newLock(t, zk, path)
		held := mustLock(t, mu)
		if _, err := mu.Lock(held.Context()); !errors.Is(err, lock.ErrDeadlock) {
			t.Errorf("Lock: %v, want ErrDeadlock", err)
		}
		// Through another view of the client it is the same lock; at another path, and of another client, it is not.
		locks, err := zk.Chroot("/locks")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := newLock(t, locks, "/report").Lock(held.Context()); !errors.Is(err, lock.ErrDeadlock) {
			t.Errorf("Lock through a chroot: %v, want ErrDeadlock", err)
		}
		next, err := newLock(t, zk, path+"2").Lock(held.Context())
		if err != nil {
			t.Fatalf("Lock of another one: %v", err)
		}
		if _, err := mu.Lock(next.Context()); !errors.Is(err, lock.ErrDeadlock) {
			t.Errorf("Lock within another lock: %v, want ErrDeadlock", err)
		}
		mustRelease(t, next)
		ch := goLock(held.Context(), newLock(t, recipetest.Client(t, srv), path))
		waitContenders(t, srv, path, 3) // the other path counts
		mustRelease(t, held)
		if r := <-ch; !errors.Is(r.err, context.Canceled) && !errors.Is(r.err, lock.ErrReleased) {
			t.Errorf("Lock of another client: %v, want the end of its context", r.err)
		}
	})
}

// Readers may read again, writers do both; a reader is refused the write lock, whatever the option.
func TestReadWriteReentrance(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		rw := newRW(t, zk, path, lock.WithReentrance())
		r := mustLock(t, rw.Reader())
		w2 := goLock(t.Context(), newRW(t, recipetest.Client(t, srv), path).Writer())
		waitContenders(t, srv, path, 2)
		again, err := rw.RLock(r.Context()) // a contender of its own would wait behind the writer, for ever
		if err != nil {
			t.Fatalf("RLock again: %v", err)
		}
		for _, lockIt := range []func(context.Context) (*lock.Held, error){rw.Lock, rw.TryLock, newRW(t, zk, path).Lock} {
			if _, err := lockIt(again.Context()); !errors.Is(err, lock.ErrUpgrade) {
				t.Errorf("Lock of a reader: %v, want ErrUpgrade", err)
			}
		}
		mustRelease(t, r)
		mustRelease(t, again)
		mustRelease(t, got(t, w2))

		w := mustLock(t, rw.Writer())
		within, err := rw.RLock(w.Context())
		if err != nil {
			t.Fatalf("RLock of a writer: %v", err)
		}
		twice, err := rw.Lock(within.Context())
		if err != nil {
			t.Fatalf("Lock of a writer: %v", err)
		}
		if down, err := w.Downgrade(t.Context()); down != nil || !errors.Is(err, lock.ErrBusy) || w.Err() != nil {
			t.Errorf("Downgrade with other handles: %v, %v, want ErrBusy; Err %v", down, err, w.Err())
		}
		mustRelease(t, twice)
		mustRelease(t, w)
		if _, err := newRW(t, recipetest.Client(t, srv), path).TryRLock(t.Context()); !errors.Is(err, lock.ErrBusy) {
			t.Errorf("TryRLock beside a writer's last handle: %v, want ErrBusy", err)
		}
		down, err := within.Downgrade(t.Context())
		if err != nil {
			t.Fatalf("Downgrade of the last handle: %v", err)
		}
		if _, err := rw.Lock(down.Context()); !errors.Is(err, lock.ErrUpgrade) {
			t.Errorf("Lock of a former writer: %v, want ErrUpgrade", err)
		}
		more, err := rw.RLock(down.Context())
		if err != nil {
			t.Fatalf("RLock of a former writer: %v", err)
		}
		mustRelease(t, down)
		mustRelease(t, more)
		waitContenders(t, srv, path, 0)
	})
}

// Handles may come and go on many goroutines.
func TestHandlesAreSafeForConcurrentUse(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		mu := newLock(t, recipetest.Client(t, srv), path, lock.WithReentrance())
		held := mustLock(t, mu)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				h, err := mu.TryLock(held.Context())
				if err != nil {
					return // the others were faster, and the lock has gone
				}
				mustRelease(t, h)
			})
		}
		wg.Go(func() { mustRelease(t, held) })
		wg.Go(func() { mustRelease(t, held) })
		wg.Wait()
		waitContenders(t, srv, path, 0)
	})
}
