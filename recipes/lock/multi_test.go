package lock_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/lock"
	"github.com/gazoo-zk/gazoo/zktest"
)

// newMulti makes a multi-lock of plain locks.
func newMulti(t *testing.T, zk *gazoo.Client, paths ...string) *lock.Multi {
	t.Helper()
	var locks []*lock.Mutex
	for _, p := range paths {
		locks = append(locks, newLock(t, zk, p))
	}
	m, err := lock.NewMulti(locks...)
	if err != nil {
		t.Fatalf("NewMulti: %v", err)
	}
	return m
}

func goMulti(ctx context.Context, m *lock.Multi) <-chan outcome {
	ch := make(chan outcome, 1)
	go func() {
		held, err := m.Lock(ctx)
		ch <- outcome{held, err}
	}()
	return ch
}

// Overlapping sets, named in any order: nobody waits in a circle, and nobody is inside with somebody else.
func TestMultiLocksDoNotDeadlock(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		dir := recipetest.Path(t)
		a, b, d := dir+"-a", dir+"-b", dir+"-d"
		var mu sync.Mutex
		inside := map[string]int{}
		enter := func(by int, paths []string) {
			mu.Lock()
			defer mu.Unlock()
			for _, p := range paths {
				if inside[p] += by; inside[p] > 1 {
					t.Errorf("%d hold %s", inside[p], p)
				}
			}
		}
		var wg sync.WaitGroup
		for _, paths := range [][]string{{a, b, d}, {d, b, a}, {b, a}, {d, a}} {
			m := newMulti(t, recipetest.Dial(t, c.Hosts()), paths...)
			wg.Go(func() {
				for range 4 {
					err := m.Do(t.Context(), func(ctx context.Context, held *lock.Group) error {
						enter(1, paths)
						defer enter(-1, paths)
						return held.Verify(ctx)
					})
					if err != nil {
						t.Errorf("Do of %v: %v", paths, err)
					}
				}
			})
		}
		wg.Wait()
	})
}

// With one of them busy none is taken, and none is left.
func TestMultiIsAllOrNothing(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		m := newMulti(t, recipetest.Client(t, srv), "/b", "/a", "/c")
		single := newLock(t, recipetest.Client(t, srv), "/b")
		held := mustLock(t, single)
		if _, err := m.TryLock(t.Context()); !errors.Is(err, lock.ErrBusy) {
			t.Errorf("TryLock: %v, want ErrBusy", err)
		}
		waitForChildren(t, srv, "/a", 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := m.Lock(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Lock: %v, want the deadline", err)
		}
		waitForChildren(t, srv, "/a", 0)
		waitForChildren(t, srv, "/b", 1)
		mustRelease(t, held)
		g, err := m.TryLock(t.Context())
		if err != nil {
			t.Fatalf("TryLock: %v", err)
		}
		for i, want := range []string{"/a", "/b", "/c"} {
			if got := gazoo.ParentPath(g.Members()[i].Path()); got != want {
				t.Errorf("member %d is in %s, want %s", i, got, want)
			}
		}
		if _, err := single.TryLock(t.Context()); !errors.Is(err, lock.ErrBusy) {
			t.Errorf("TryLock of one: %v, want ErrBusy", err)
		}
		if _, err := g.Txn().Create("/x", nil).Commit(t.Context()); err != nil {
			t.Errorf("Txn: %v", err)
		}
		if err := g.Release(t.Context()); err != nil {
			t.Errorf("Release: %v", err)
		}
		if err := g.Err(); !errors.Is(err, lock.ErrReleased) {
			t.Errorf("Err: %v, want ErrReleased", err)
		}
		for _, dir := range []string{"/a", "/b", "/c"} {
			waitForChildren(t, srv, dir, 0)
		}
	})
}

// The group ends when any of its locks does: by an expiry, a delete, or a process that looks late.
func TestMultiEndsWithAnyOfItsLocks(t *testing.T) {
	for name, end := range map[string]func(srv *zktest.Server, g *lock.Group){
		"delete":     func(srv *zktest.Server, g *lock.Group) { srv.Remove(g.Members()[1].Path()) },
		"expiry":     func(srv *zktest.Server, g *lock.Group) { srv.ExpireSession(g.Members()[0].Session().ID()) },
		"black hole": func(srv *zktest.Server, g *lock.Group) { srv.Session(g.Members()[0].Session().ID()).BlackHole() },
		"member":     func(_ *zktest.Server, g *lock.Group) { g.Members()[1].Withdraw(lock.ErrRevoked) },
	} {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				m := newMulti(t, recipetest.Client(t, srv), "/b", "/a")
				g, err := m.Lock(t.Context())
				if err != nil {
					t.Fatalf("Lock: %v", err)
				}
				end(srv, g)
				<-g.Context().Done()
				if err := g.Err(); !errors.Is(err, lock.ErrLost) {
					t.Errorf("Err: %v, want ErrLost", err)
				}
				srv.Heal()
				g.Release(t.Context())
				for _, dir := range []string{"/a", "/b"} {
					waitForChildren(t, srv, dir, 0)
				}
			})
		})
	}
}

// The session ends while it waits for the second: it begins anew with the first, and holds both in one session.
func TestMultiBeginsAnewWhenOneIsLost(t *testing.T) {
	for name, lose := range map[string]func(srv *zktest.Server, zk *gazoo.Client){
		"expiry": func(srv *zktest.Server, zk *gazoo.Client) { srv.ExpireSession(zk.SessionID()) },
		"delete": func(srv *zktest.Server, zk *gazoo.Client) {
			names, _ := zk.Children(context.Background(), "/a")
			srv.Remove("/a/" + names[0])
		},
		"cut": func(srv *zktest.Server, _ *gazoo.Client) { srv.Cut() },
	} {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				zk := recipetest.Client(t, srv)
				held := mustLock(t, newLock(t, recipetest.Client(t, srv), "/b"))
				ch := goMulti(t.Context(), newMulti(t, zk, "/a", "/b"))
				waitForChildren(t, srv, "/b", 2)
				synctest.Wait()
				lose(srv, zk)
				time.Sleep(time.Second)
				stillWaiting(t, ch)
				waitForChildren(t, srv, "/a", 1) // it does not wait for the second with nothing in its hands
				mustRelease(t, held)
				g := gotGroup(t, ch)
				if err := g.Verify(t.Context()); err != nil {
					t.Errorf("Verify: %v", err)
				}
				if s := []*gazoo.Session{g.Members()[0].Session(), g.Members()[1].Session()}; s[0] != s[1] {
					t.Errorf("the members are of the sessions %v", s)
				}
				g.Release(t.Context())
				for _, dir := range []string{"/a", "/b"} {
					waitForChildren(t, srv, dir, 0)
				}
			})
		})
	}
}

// Readers and writers go together, and the context of the group is that of a holder of each.
func TestMultiOfReadersAndWriters(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		one, two := newRW(t, zk, "/one", lock.WithReentrance()), newRW(t, zk, "/two", lock.WithReentrance())
		m, err := lock.NewMulti(two.Writer(), one.Reader())
		if err != nil {
			t.Fatalf("NewMulti: %v", err)
		}
		reader := mustLock(t, newRW(t, recipetest.Client(t, srv), "/one").Reader())
		g, err := m.TryLock(t.Context())
		if err != nil {
			t.Fatalf("TryLock beside a reader: %v", err)
		}
		again, err := m.Lock(g.Context())
		if err != nil {
			t.Fatalf("Lock again: %v", err)
		}
		if _, err := one.Lock(g.Context()); !errors.Is(err, lock.ErrUpgrade) {
			t.Errorf("Lock of a reader's: %v, want ErrUpgrade", err)
		}
		g.Release(t.Context())
		if err := again.Verify(t.Context()); err != nil {
			t.Errorf("Verify of the second: %v", err)
		}
		waitForChildren(t, srv, "/two", 1)
		again.Release(t.Context())
		mustRelease(t, reader)
		waitForChildren(t, srv, "/one", 0)
		waitForChildren(t, srv, "/two", 0)
	})
}

func TestBadArgumentsOfAMulti(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		app, err := zk.Chroot("/app")
		if err != nil {
			t.Fatal(err)
		}
		a := newLock(t, zk, "/a")
		for name, locks := range map[string][]*lock.Mutex{
			"none": nil, "nil": {a, nil}, "twice": {a, newLock(t, zk, "/b"), newLock(t, zk, "/a")},
			"client": {a, newLock(t, recipetest.Client(t, srv), "/b")}, "chroot": {a, newLock(t, app, "/b")},
		} {
			if m, err := lock.NewMulti(locks...); m != nil || !errors.Is(err, gazoo.ErrBadArguments) {
				t.Errorf("%s: %v, %v, want ErrBadArguments", name, m, err)
			}
		}
		locks := []*lock.Mutex{newLock(t, zk, "/b"), a}
		before := slices.Clone(locks)
		if _, err := lock.NewMulti(locks...); err != nil || !slices.Equal(locks, before) {
			t.Errorf("NewMulti: %v, and the slice of the caller is %v", err, locks)
		}
	})
}
