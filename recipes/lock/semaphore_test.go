package lock_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/lock"
	"github.com/gazoo-zk/gazoo/recipes/tenure"
	"github.com/gazoo-zk/gazoo/zktest"
)

const pool = "/pool"

var poolStyles = []lock.Style{lock.Kazoo, lock.Curator}

// dirs are where a semaphore keeps permits and guards.
func dirs(style lock.Style) (leases, guards string) {
	if style.Name == lock.Curator.Name {
		return pool + "/leases", pool + "/locks"
	}
	return pool, pool + "-__lock__"
}

func newSemaphore(t *testing.T, zk *gazoo.Client, path string, size int, opts ...lock.Option) *lock.Semaphore {
	t.Helper()
	s, err := lock.NewSemaphore(zk, path, size, opts...)
	if err != nil {
		t.Fatalf("NewSemaphore: %v", err)
	}
	return s
}

func mustAcquire(t *testing.T, s *lock.Semaphore) *lock.Held {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	held, err := s.Acquire(ctx)
	if err != nil {
		t.Fatalf("Acquire: %v", err)
	}
	return held
}

// goAcquire takes permits on another goroutine.
func goAcquire(ctx context.Context, s *lock.Semaphore, n int) <-chan outcome {
	ch := make(chan outcome, 1)
	go func() {
		held, err := s.AcquireN(ctx, n)
		ch <- outcome{held, err}
	}()
	return ch
}

type outcome struct {
	held *lock.Group
	err  error
}

func gotGroup(t *testing.T, ch <-chan outcome) *lock.Group {
	t.Helper()
	select {
	case r := <-ch:
		if r.err != nil {
			t.Fatalf("AcquireN: %v", r.err)
		}
		return r.held
	case <-time.After(time.Minute):
		t.Fatal("AcquireN: still waiting after a minute")
	}
	return nil
}

func stillWaiting(t *testing.T, ch <-chan outcome) {
	t.Helper()
	select {
	case r := <-ch:
		t.Fatalf("AcquireN returned %v, %v; want it to wait", r.held, r.err)
	default:
	}
}

// eachStyle runs f in a bubble for each style of semaphores.
func eachStyle(t *testing.T, f func(t *testing.T, srv *zktest.Server, style lock.Option, leases, guards string)) {
	t.Helper()
	for _, style := range poolStyles {
		t.Run(style.Name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				leases, guards := dirs(style)
				f(t, srv, lock.WithStyle(style), leases, guards)
			})
		})
	}
}

// nothingLeft asserts that in the end neither permits nor guards are there.
func nothingLeft(t *testing.T, srv *zktest.Server, leases, guards string) {
	t.Helper()
	zk := recipetest.Client(t, srv)
	time.Sleep(time.Minute)
	for _, dir := range []string{leases, guards} {
		if left := recipetest.Children(t, zk, dir); len(left) > 0 {
			t.Errorf("left behind in %s: %v", dir, left)
		}
	}
}

// Many programs and a few permits: never more holders than permits.
func TestSemaphoreBoundsItsHolders(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		for _, style := range poolStyles {
			dir := recipetest.Path(t)
			const size = 3
			var inside, most atomic.Int32
			var wg sync.WaitGroup
			for range 3 {
				s := newSemaphore(t, recipetest.Dial(t, c.Hosts()), dir, size, lock.WithStyle(style))
				for i := range 3 {
					wg.Go(func() {
						n := i%size + 1
						held, err := s.AcquireN(t.Context(), n)
						if err != nil {
							t.Errorf("style %s: AcquireN(%d): %v", style.Name, n, err)
							return
						}
						if now := inside.Add(int32(n)); now > size {
							t.Errorf("style %s: %d permits of %d are held", style.Name, now, size)
						} else {
							most.Store(max(most.Load(), now))
						}
						if err := held.Verify(t.Context()); err != nil {
							t.Errorf("style %s: Verify: %v", style.Name, err)
						}
						inside.Add(int32(-n))
						if err := held.Release(t.Context()); err != nil {
							t.Errorf("style %s: Release: %v", style.Name, err)
						}
					})
				}
			}
			wg.Wait()
			if most.Load() < 2 {
				t.Errorf("style %s: never more than %d permits held at a time", style.Name, most.Load())
			}
		}
	})
}

// The znodes are those of Kazoo and Curator.
func TestZnodesOfASemaphore(t *testing.T) {
	eachStyle(t, func(t *testing.T, srv *zktest.Server, style lock.Option, leases, guards string) {
		s := newSemaphore(t, recipetest.Client(t, srv), pool, 2, style, lock.WithIdentity([]byte("me")))
		held, err := s.AcquireN(t.Context(), 2)
		if err != nil {
			t.Fatalf("AcquireN: %v", err)
		}
		ch := goAcquire(t.Context(), s, 1)
		waitForChildren(t, srv, guards, 1)
		uuid := `[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`
		lease, guard, size := `^[0-9a-f]{32}$`, `^[0-9a-f]{32}__lock__\d{10}$`, "2"
		if leases != pool {
			lease, guard, size = `^_c_`+uuid+`-lease-\d{10}$`, `^_c_`+uuid+`-lock-\d{10}$`, ""
		}
		for _, h := range held.Members() {
			if parent, name := gazoo.SplitPath(h.Path()); parent != leases || !matches(lease, name) {
				t.Errorf("permit %s, want it like %s/%s", h.Path(), leases, lease)
			}
			if data, _ := srv.Get(h.Path()); data != "me" {
				t.Errorf("data of the permit: %q", data)
			}
		}
		if list, err := s.Waiters(t.Context()); err != nil || len(list) != 1 || !matches(guard, gazoo.BaseName(list[0].Path)) || list[0].Identity != "me" {
			t.Errorf("Waiters: %+v, %v, want one like %s", list, err, guard)
		}
		if data, _ := srv.Get(pool); data != size {
			t.Errorf("data of the path: %q, want %q", data, size)
		}
		list, err := s.Holders(t.Context())
		if err != nil || len(list) != 2 || list[0].Identity != "me" || list[0].Session != held.Members()[0].Session().ID() {
			t.Errorf("Holders: %+v, %v", list, err)
		}
		if err := held.Release(t.Context()); err != nil {
			t.Errorf("Release: %v", err)
		}
		gotGroup(t, ch).Release(t.Context())
		nothingLeft(t, srv, leases, guards)
	})
}

// Nobody in the way: guard, its list, size, count, the transaction, a look at the permit, delete.
func TestUncontendedPermit(t *testing.T) {
	eachStyle(t, func(t *testing.T, srv *zktest.Server, style lock.Option, leases, _ string) {
		s := newSemaphore(t, recipetest.Client(t, srv), pool, 2, style)
		mustRelease(t, mustAcquire(t, s))
		synctest.Wait()
		before := len(srv.Log())
		held := mustAcquire(t, s)
		synctest.Wait()
		mustRelease(t, held)
		want := 7
		if leases != pool {
			want = 6
		}
		var ops []string
		for _, e := range srv.Log()[before:] {
			if e.Request.Op != zktest.OpEvent {
				ops = append(ops, e.Request.Op.String())
			}
		}
		if len(ops) != want {
			t.Errorf("requests: %v, want %d", ops, want)
		}
	})
}

// A holder's session ends: its permit is back, whoever waits gets it, with a higher token, and the holder is told before.
func TestExpiryReturnsThePermit(t *testing.T) {
	eachStyle(t, func(t *testing.T, srv *zktest.Server, style lock.Option, leases, guards string) {
		zk := recipetest.Client(t, srv)
		held := mustAcquire(t, newSemaphore(t, zk, pool, 1, style))
		ch := goAcquire(t.Context(), newSemaphore(t, recipetest.Client(t, srv), pool, 1, style), 1)
		waitForChildren(t, srv, guards, 1)
		synctest.Wait()
		stillWaiting(t, ch)
		srv.Session(zk.SessionID()).BlackHole()
		start := time.Now()
		<-held.Context().Done()
		ended := time.Since(start)
		next := gotGroup(t, ch)
		if free := time.Since(start); ended >= free {
			t.Errorf("the holder's context ended after %v, and the next one got the permit after %v", ended, free)
		}
		wantLost(t, held, gazoo.ErrSessionPresumed)
		if next.Members()[0].Token() <= held.Token() {
			t.Errorf("token %d behind %d", next.Members()[0].Token(), held.Token())
		}
		if _, err := held.Txn().Create("/x", nil).Commit(t.Context()); !held.Lost(err) && t.Context().Err() == nil {
			t.Errorf("a guarded transaction of a lost permit: %v", err)
		}
		next.Release(t.Context())
		srv.Heal()
		nothingLeft(t, srv, leases, guards)
	})
}

// More permits wake who waits; fewer take none away, and give none out until enough are back.
func TestResizeUnderWaiters(t *testing.T) {
	for name, at := range map[string]string{"own znode": "", "shared count": "/count"} {
		t.Run(name, func(t *testing.T) {
			eachStyle(t, func(t *testing.T, srv *zktest.Server, style lock.Option, leases, guards string) {
				shared := lock.WithSharedSize(at)
				s := newSemaphore(t, recipetest.Client(t, srv), pool, 1, style, shared)
				other := newSemaphore(t, recipetest.Client(t, srv), pool, 99, style, shared)
				first := mustAcquire(t, s)
				ch := goAcquire(t.Context(), other, 2)
				waitForChildren(t, srv, guards, 1)
				synctest.Wait()
				stillWaiting(t, ch)
				resize(t, s, 2)
				synctest.Wait()
				stillWaiting(t, ch)
				resize(t, s, 3)
				second := gotGroup(t, ch)

				resize(t, s, 1)
				for _, h := range append(second.Members(), first) {
					if err := h.Verify(t.Context()); err != nil {
						t.Errorf("Verify behind a smaller size: %v", err)
					}
				}
				if n, err := other.Size(t.Context()); n != 1 || err != nil {
					t.Errorf("Size: %d, %v, want 1", n, err)
				}
				ch = goAcquire(t.Context(), s, 1)
				waitForChildren(t, srv, guards, 1)
				mustRelease(t, first)
				mustRelease(t, second.Members()[0])
				synctest.Wait()
				stillWaiting(t, ch)
				mustRelease(t, second.Members()[1])
				third := gotGroup(t, ch)
				if err := third.Release(t.Context()); err != nil {
					t.Errorf("Release: %v", err)
				}
				resize(t, s, 0) // closed
				if _, err := other.TryAcquire(t.Context()); !errors.Is(err, lock.ErrBusy) {
					t.Errorf("TryAcquire of none: %v, want ErrBusy", err)
				}
				second.Release(t.Context())
				if want, data := map[string]string{"": "0", "/count": "\x00\x00\x00\x00"}[at], sizeData(srv, at); data != want {
					t.Errorf("the size is stored as %q, want %q", data, want)
				}
			})
		})
	}
}

func resize(t *testing.T, s *lock.Semaphore, n int) {
	t.Helper()
	if err := s.Resize(t.Context(), n); err != nil {
		t.Fatalf("Resize(%d): %v", n, err)
	}
}

func sizeData(srv *zktest.Server, at string) string {
	if at == "" {
		at = pool
	}
	data, _ := srv.Get(at)
	return data
}

// The size is lowered between the count and the grant: the permit is not given.
func TestResizeRacesWithAGrant(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		s := newSemaphore(t, recipetest.Client(t, srv), pool, 1, lock.WithSharedSize(""))
		mustRelease(t, mustAcquire(t, s))
		race := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti}, Times: 1, Do: zktest.Call(func(zktest.Request) { srv.Put(pool, "0") })})
		if _, err := s.TryAcquire(t.Context()); !errors.Is(err, lock.ErrBusy) || race.Hits() != 1 {
			t.Errorf("TryAcquire: %v with %d races, want ErrBusy", err, race.Hits())
		}
	})
}

// A fixed size is written by the first, and another one is an error for the others; data that is no number is not.
func TestSizeMismatch(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		dir := recipetest.Path(t)
		zk := recipetest.Dial(t, c.Hosts())
		held := mustAcquire(t, newSemaphore(t, zk, dir, 2))
		if _, err := newSemaphore(t, zk, dir, 3).Acquire(t.Context()); !errors.Is(err, lock.ErrSizeMismatch) {
			t.Errorf("Acquire: %v, want ErrSizeMismatch", err)
		}
		if _, err := newSemaphore(t, zk, dir, 3).Size(t.Context()); !errors.Is(err, lock.ErrSizeMismatch) {
			t.Errorf("Size: %v, want ErrSizeMismatch", err)
		}
		if _, err := zk.Set(t.Context(), dir, []byte("of others"), gazoo.AnyVersion); err != nil {
			t.Fatal(err)
		}
		other := mustAcquire(t, newSemaphore(t, zk, dir, 3))
		mustRelease(t, held)
		mustRelease(t, other)
		if _, err := zk.Create(t.Context(), dir+"-count", []byte("three")); err != nil {
			t.Fatal(err)
		}
		if _, err := newSemaphore(t, zk, dir, 3, lock.WithSharedSize(dir+"-count")).Acquire(t.Context()); !errors.Is(err, lock.ErrSizeMismatch) {
			t.Errorf("Acquire with a count that is none: %v, want ErrSizeMismatch", err)
		}
		recipetest.WaitChildren(t, zk, dir+"-__lock__", 0)
	})
}

// One that wants many is not overtaken for ever by those that want few, and two that want many do not block each other.
func TestBigRequestsNeitherStarveNorDeadlock(t *testing.T) {
	eachStyle(t, func(t *testing.T, srv *zktest.Server, style lock.Option, leases, guards string) {
		s := newSemaphore(t, recipetest.Client(t, srv), pool, 3, style)
		first := mustAcquire(t, s)
		big := goAcquire(t.Context(), s, 3)
		waitForChildren(t, srv, guards, 1)
		bigger := goAcquire(t.Context(), newSemaphore(t, recipetest.Client(t, srv), pool, 3, style), 3)
		waitForChildren(t, srv, guards, 2)
		small := goAcquire(t.Context(), s, 1)
		waitForChildren(t, srv, guards, 3)
		synctest.Wait()
		stillWaiting(t, big)
		stillWaiting(t, small) // there are two free ones
		mustRelease(t, first)
		held := gotGroup(t, big)
		stillWaiting(t, bigger)
		held.Release(t.Context())
		held = gotGroup(t, bigger)
		stillWaiting(t, small)
		held.Release(t.Context())
		gotGroup(t, small).Release(t.Context())
		nothingLeft(t, srv, leases, guards)
	})
}

// A cancel ends the wait at once, whatever one waits for: the guard or a permit. Kazoo's has no effect behind the guard.
func TestSemaphoreCancelInEveryPhase(t *testing.T) {
	eachStyle(t, func(t *testing.T, srv *zktest.Server, style lock.Option, leases, guards string) {
		s := newSemaphore(t, recipetest.Client(t, srv), pool, 1, style)
		held := mustAcquire(t, s)
		ctxs := make([]context.Context, 3)
		cancels := make([]context.CancelFunc, 3)
		waits := make([]<-chan outcome, 3)
		for i := range waits {
			ctxs[i], cancels[i] = context.WithCancel(t.Context())
			waits[i] = goAcquire(ctxs[i], s, 1)
			waitForChildren(t, srv, guards, i+1)
		}
		synctest.Wait()
		for i, left := range map[int]int{1: 2, 0: 1} { // one behind the guard, and its holder
			start := time.Now()
			cancels[i]()
			r := <-waits[i]
			if !errors.Is(r.err, context.Canceled) || time.Since(start) > 0 {
				t.Errorf("AcquireN of waiter %d: %v after %v, want canceled at once", i, r.err, time.Since(start))
			}
			_ = left
		}
		waitForChildren(t, srv, guards, 1)
		mustRelease(t, held)
		gotGroup(t, waits[2]).Release(t.Context())
		cancels[2]()
		nothingLeft(t, srv, leases, guards)
	})
}

// The answer to the transaction that gives the permits is lost, or the request: there are as many as were asked for.
func TestSemaphoreResolvesALostAnswer(t *testing.T) {
	for name, do := range map[string]zktest.Action{"applied": zktest.DropReply(), "not applied": zktest.DropRequest()} {
		for _, op := range []zktest.Op{zktest.OpMulti, zktest.OpCreate} {
			t.Run(fmt.Sprint(name, " ", op), func(t *testing.T) {
				eachStyle(t, func(t *testing.T, srv *zktest.Server, style lock.Option, leases, guards string) {
					s := newSemaphore(t, recipetest.Client(t, srv), pool, 3, style)
					lost := srv.Add(zktest.Rule{Match: zktest.Match{Op: op}, Do: do, Times: 2})
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					held, err := s.AcquireN(ctx, 2)
					if err != nil || lost.Hits() != 2 && op == zktest.OpCreate || lost.Hits() == 0 {
						t.Fatalf("AcquireN: %v, with %d answers lost", err, lost.Hits())
					}
					lost.Remove()
					if n := countChildren(srv, leases); n != 2 {
						t.Errorf("%d permits, want 2", n)
					}
					if err := held.Verify(t.Context()); err != nil {
						t.Errorf("Verify: %v", err)
					}
					if err := held.Release(t.Context()); err != nil {
						t.Errorf("Release: %v", err)
					}
					nothingLeft(t, srv, leases, guards)
				})
			})
		}
	}
}

// The context ends while it is in doubt whether permits were given: those that were go, in the same session.
func TestDeadlineWhilePermitsAreInDoubt(t *testing.T) {
	for name, do := range map[string]func(srv *zktest.Server, session int64){
		"applied": func(srv *zktest.Server, session int64) {
			srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti, Session: session}, Do: zktest.DelayReply(3 * time.Second), Times: 1})
		},
		"not applied": func(srv *zktest.Server, session int64) {
			srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti, Session: session}, Do: zktest.DelayRequest(3 * time.Second), Times: 1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachStyle(t, func(t *testing.T, srv *zktest.Server, style lock.Option, leases, guards string) {
				zk := recipetest.Client(t, srv)
				session := zk.SessionID()
				do(srv, session)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if _, err := newSemaphore(t, zk, pool, 2, style).AcquireN(ctx, 2); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("AcquireN: %v, want the deadline", err)
				}
				nothingLeft(t, srv, leases, guards)
				if zk.SessionID() != session {
					t.Error("the permits went with their session, which shows nothing")
				}
			})
		})
	}
}

// Faults between the guard and the permits: no orphan, and the wait goes on where it can.
func TestSemaphoreUnderFaults(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(srv *zktest.Server, session int64, leases, guards string)
		want error // of a wait of 5 s; nil when it goes on and succeeds
	}{
		{"cut", func(srv *zktest.Server, _ int64, _, _ string) { srv.Cut() }, nil},
		{"expiry", func(srv *zktest.Server, session int64, _, _ string) { srv.ExpireSession(session) }, nil},
		{"guard deleted", func(srv *zktest.Server, _ int64, _, guards string) { srv.Remove(guards) }, nil},
		{"all deleted", func(srv *zktest.Server, _ int64, _, guards string) { srv.Remove(guards); srv.Remove(pool) }, nil},
		{"black hole", func(srv *zktest.Server, session int64, _, _ string) { srv.Session(session).BlackHole() }, context.DeadlineExceeded},
		{"refused", func(srv *zktest.Server, session int64, _, _ string) { srv.Session(session).Refuse() }, context.DeadlineExceeded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachStyle(t, func(t *testing.T, srv *zktest.Server, style lock.Option, leases, guards string) {
				zk := recipetest.Client(t, srv)
				held := mustAcquire(t, newSemaphore(t, recipetest.Client(t, srv), pool, 1, style))
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				ch := goAcquire(ctx, newSemaphore(t, zk, pool, 1, style), 1)
				waitForChildren(t, srv, guards, 1)
				synctest.Wait()
				tt.do(srv, zk.SessionID(), leases, guards)
				time.Sleep(time.Second)
				held.Release(t.Context()) // or lost, when all was deleted
				r := <-ch
				if !errors.Is(r.err, tt.want) {
					t.Errorf("AcquireN: %v, want %v", r.err, tt.want)
				}
				if r.held != nil {
					if err := r.held.Verify(t.Context()); err != nil {
						t.Errorf("Verify: %v", err)
					}
					r.held.Release(t.Context())
				}
				srv.Heal()
				nothingLeft(t, srv, leases, guards)
			})
		})
	}
}

// A program that was paused with the guard in its hand, and lost it, adds no permit when it goes on.
func TestLateGrantIsRefused(t *testing.T) {
	eachStyle(t, func(t *testing.T, srv *zktest.Server, style lock.Option, leases, guards string) {
		zk := recipetest.Client(t, srv)
		mustRelease(t, mustAcquire(t, newSemaphore(t, zk, pool, 1, style)))
		pause := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti, Session: zk.SessionID()}, Do: zktest.HoldRequest(), Times: 1})
		late := goAcquire(t.Context(), newSemaphore(t, zk, pool, 1, style), 1)
		if err := pause.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := srv.Remove(guards); err != nil { // an operator
			t.Fatal(err)
		}
		other := mustAcquire(t, newSemaphore(t, recipetest.Client(t, srv), pool, 1, style))
		pause.Release()
		time.Sleep(time.Second)
		stillWaiting(t, late)
		if n := countChildren(srv, leases); n != 1 {
			t.Errorf("%d permits of 1 are held", n)
		}
		mustRelease(t, other)
		gotGroup(t, late).Release(t.Context())
		nothingLeft(t, srv, leases, guards)
	})
}

// With one of several permits gone, the group has ended; the others stay until the release.
func TestGroupEndsWithItsFirst(t *testing.T) {
	eachStyle(t, func(t *testing.T, srv *zktest.Server, style lock.Option, leases, guards string) {
		s := newSemaphore(t, recipetest.Client(t, srv), pool, 3, style)
		held, err := s.AcquireN(t.Context(), 3)
		if err != nil {
			t.Fatalf("AcquireN: %v", err)
		}
		if _, err := held.Txn().Create("/a", nil).Commit(t.Context()); err != nil {
			t.Errorf("Txn: %v", err)
		}
		srv.Remove(held.Members()[1].Path())
		<-held.Context().Done()
		if err := held.Err(); !errors.Is(err, lock.ErrLost) || !errors.Is(err, tenure.ErrDeleted) {
			t.Errorf("Err: %v, want ErrLost for ErrDeleted", err)
		}
		if _, err := held.Txn().Create("/b", nil).Commit(t.Context()); !held.Lost(err) {
			t.Errorf("Txn behind the loss: %v, want it refused", err)
		}
		if n := countChildren(srv, leases); n != 2 {
			t.Errorf("%d permits are left, want 2", n)
		}
		for range 2 {
			if err := held.Release(t.Context()); !errors.Is(err, lock.ErrLost) {
				t.Errorf("Release: %v, want ErrLost", err)
			}
		}
		nothingLeft(t, srv, leases, guards)
	})
}

func TestTryAcquire(t *testing.T) {
	eachStyle(t, func(t *testing.T, srv *zktest.Server, style lock.Option, leases, guards string) {
		s := newSemaphore(t, recipetest.Client(t, srv), pool, 2, style)
		held, err := s.TryAcquire(t.Context())
		if err != nil {
			t.Fatalf("TryAcquire: %v", err)
		}
		if _, err := s.TryAcquireN(t.Context(), 2); !errors.Is(err, lock.ErrBusy) {
			t.Errorf("TryAcquireN of 2 with 1 left: %v, want ErrBusy", err)
		}
		other, err := s.TryAcquire(t.Context()) // the try before does not stand in its own way
		if err != nil {
			t.Fatalf("TryAcquire: %v", err)
		}
		if _, err := s.TryAcquire(t.Context()); !errors.Is(err, lock.ErrBusy) {
			t.Errorf("TryAcquire with none left: %v, want ErrBusy", err)
		}
		mustRelease(t, held)
		mustRelease(t, other)
		if err := s.Do(t.Context(), func(ctx context.Context, permit *lock.Held) error { return permit.Verify(ctx) }); err != nil {
			t.Errorf("Do: %v", err)
		}
		nothingLeft(t, srv, leases, guards)
	})
}

func TestBadArgumentsOfASemaphore(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		before := len(srv.Log())
		for name, opts := range map[string]struct {
			path string
			size int
			opts []lock.Option
		}{
			"path": {"pool", 1, nil}, "root": {"/", 1, nil}, "size": {"/p", 0, nil}, "huge": {"/p", 1 << 40, nil},
			"style": {"/p", 1, []lock.Option{lock.WithStyle(lock.ZKRecipe)}}, "lasting": {"/p", 1, []lock.Option{lock.WithLasting()}},
			"re-entrance": {"/p", 1, []lock.Option{lock.WithReentrance()}}, "count": {"/p", 1, []lock.Option{lock.WithSharedSize("c/")}},
		} {
			if s, err := lock.NewSemaphore(zk, opts.path, opts.size, opts.opts...); s != nil || !errors.Is(err, gazoo.ErrBadArguments) {
				t.Errorf("%s: %v, %v, want ErrBadArguments", name, s, err)
			}
		}
		if _, err := lock.New(zk, "/l", lock.WithSharedSize("")); !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("New with a shared size: %v, want ErrBadArguments", err)
		}
		s := newSemaphore(t, zk, "/p", 2)
		for _, n := range []int{-1, 0, 3} {
			if _, err := s.AcquireN(t.Context(), n); !errors.Is(err, gazoo.ErrBadArguments) {
				t.Errorf("AcquireN(%d): %v, want ErrBadArguments", n, err)
			}
		}
		if err := s.Resize(t.Context(), 3); !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("Resize of a fixed size: %v, want ErrBadArguments", err)
		}
		if n := len(srv.Log()); n != before {
			t.Errorf("%d requests were sent", n-before)
		}
	})
}

// countChildren counts the children of a directory, without a client.
func countChildren(srv *zktest.Server, dir string) (n int) {
	for line := range strings.SplitSeq(srv.Dump(zktest.Below(dir)), "\n") {
		rest, ok := strings.CutPrefix(line, dir+"/")
		if ok && !strings.Contains(strings.Fields(rest)[0], "/") {
			n++
		}
	}
	return n
}

func waitForChildren(t *testing.T, srv *zktest.Server, dir string, n int) {
	t.Helper()
	zktest.Eventually(t, fmt.Sprintf("%s has %d children", dir, n), func() bool { return countChildren(srv, dir) == n })
}
