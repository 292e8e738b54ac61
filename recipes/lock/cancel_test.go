package lock_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/lock"
	"github.com/gazoo-zk/gazoo/zktest"
)

// A cancel is about one Lock: whether it came before, while it waited, or when the lock was held already, the next Lock of
// the same object is not touched. Kazoo keeps a flag, which makes the next one fail.
func TestCancelDoesNotPoisonTheNextLock(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		mu := newLock(t, recipetest.Client(t, srv), path)
		ctx, cancel := context.WithCancel(t.Context())
		held, err := mu.Lock(ctx)
		if err != nil {
			t.Fatalf("Lock: %v", err)
		}
		cancel() // while it is held
		if err := held.Err(); err != nil {
			t.Errorf("Err: %v", err)
		}
		mustRelease(t, held)
		if _, err := mu.Lock(ctx); !errors.Is(err, context.Canceled) { // before it began
			t.Errorf("Lock: %v, want canceled", err)
		}
		held = mustLock(t, mu)
		ctx, cancel = context.WithCancel(t.Context())
		ch := goLock(ctx, mu)
		waitContenders(t, srv, path, 2)
		cancel() // while it waits
		if r := <-ch; !errors.Is(r.err, context.Canceled) {
			t.Errorf("Lock: %v, want canceled", r.err)
		}
		mustRelease(t, held)
		mustRelease(t, mustLock(t, mu))
		waitContenders(t, srv, path, 0)
	})
}

// A wait can go on beside other work, and be joined or called off: what asynchronous interfaces are for elsewhere.
func TestLockInTheBackground(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		first := mustLock(t, newLock(t, recipetest.Client(t, srv), path))
		mu := newLock(t, recipetest.Client(t, srv), path)
		ctx, cancel := context.WithCancel(t.Context())
		wanted, given := goLock(t.Context(), mu), goLock(ctx, mu)
		waitContenders(t, srv, path, 3)
		cancel()
		if r := <-given; !errors.Is(r.err, context.Canceled) {
			t.Errorf("the one called off: %v, want canceled", r.err)
		}
		time.Sleep(time.Hour)
		waiting(t, wanted)
		mustRelease(t, first)
		mustRelease(t, got(t, wanted))
		waitContenders(t, srv, path, 0)
	})
}

// A canceled Lock of every form leaves nothing behind, also when the link is down meanwhile.
func TestCanceledFormsLeaveNothing(t *testing.T) {
	for name, wait := range map[string]func(t *testing.T, srv *zktest.Server, ctx context.Context) (session int64, err <-chan error){
		"reader": func(t *testing.T, srv *zktest.Server, ctx context.Context) (int64, <-chan error) {
			zk := recipetest.Client(t, srv)
			return zk.SessionID(), errOf(func() error { _, err := newRW(t, zk, path).RLock(ctx); return err })
		},
		"writer": func(t *testing.T, srv *zktest.Server, ctx context.Context) (int64, <-chan error) {
			zk := recipetest.Client(t, srv)
			return zk.SessionID(), errOf(func() error { _, err := newRW(t, zk, path).Lock(ctx); return err })
		},
		"multi": func(t *testing.T, srv *zktest.Server, ctx context.Context) (int64, <-chan error) {
			zk := recipetest.Client(t, srv)
			m := newMulti(t, zk, path, "/a")
			return zk.SessionID(), errOf(func() error { _, err := m.Lock(ctx); return err })
		},
		"semaphore": func(t *testing.T, srv *zktest.Server, ctx context.Context) (int64, <-chan error) {
			zk := recipetest.Client(t, srv)
			held := mustAcquire(t, newSemaphore(t, recipetest.Client(t, srv), pool, 1))
			t.Cleanup(func() { held.Release(context.Background()) })
			return zk.SessionID(), errOf(func() error { _, err := newSemaphore(t, zk, pool, 1).Acquire(ctx); return err })
		},
	} {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				held := mustLock(t, newLock(t, recipetest.Client(t, srv), path))
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				session, err := wait(t, srv, ctx)
				time.Sleep(time.Second)
				srv.Session(session).Refuse()
				start := time.Now()
				if err := <-err; !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 3*time.Second {
					t.Errorf("%v after %v, want the deadline after a second", err, time.Since(start))
				}
				srv.Session(session).Heal()
				want := 1
				zktest.Eventually(t, "its znodes have gone", func() bool {
					return countChildren(srv, path) == want && countChildren(srv, "/a") == 0 && countChildren(srv, pool+"-__lock__") == 0
				})
				if s := srv.Session(session); s.Conn() == nil {
					t.Error("the session is not back, so it shows nothing")
				}
				mustRelease(t, held)
			})
		})
	}
}

func errOf(f func() error) <-chan error {
	ch := make(chan error, 1)
	go func() { ch <- f() }()
	return ch
}

// Every form can be held by quorum: it is lost when writes are not committed any more.
func TestQuorumOfEveryForm(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		quorum := lock.WithQuorum()
		rw := newRW(t, zk, path, quorum)
		m, err := lock.NewMulti(rw.Writer(), newLock(t, zk, "/a", quorum))
		if err != nil {
			t.Fatal(err)
		}
		locks, err := m.Lock(t.Context())
		if err != nil {
			t.Fatalf("Lock: %v", err)
		}
		permits, err := newSemaphore(t, zk, pool, 2, quorum).AcquireN(t.Context(), 2)
		if err != nil {
			t.Fatalf("AcquireN: %v", err)
		}
		time.Sleep(time.Minute)
		for _, g := range []*lock.Group{locks, permits} {
			if err := g.Err(); err != nil {
				t.Errorf("Err after a minute: %v", err)
			}
		}
		// Reads are answered, so the session lives; but nothing is committed any more.
		stuck := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti}, Do: zktest.HoldRequest()})
		start := time.Now()
		for _, g := range []*lock.Group{locks, permits} {
			<-g.Context().Done()
			if err := g.Err(); !errors.Is(err, lock.ErrLost) || time.Since(start) > recipetest.SessionTimeout/2 {
				t.Errorf("Err: %v after %v, want ErrLost within half the time-out", err, time.Since(start))
			}
		}
		stuck.Release()
		locks.Release(t.Context())
		permits.Release(t.Context())
	})
}
