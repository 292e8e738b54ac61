package barrier_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/recipes/barrier"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/zktest"
)

func TestMain(m *testing.M) { recipetest.Main(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newBarrier(t *testing.T, zk *gazoo.Client, path string) *barrier.Barrier {
	t.Helper()
	b, err := barrier.New(zk, path)
	must(t, err)
	return b
}

func newDouble(t *testing.T, zk *gazoo.Client, path string, n int, opts ...barrier.DoubleOption) *barrier.Double {
	t.Helper()
	d, err := barrier.NewDouble(zk, path, n, opts...)
	must(t, err)
	return d
}

func TestBarrier(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		path := recipetest.Path(t) + "/a/b"
		b := newBarrier(t, recipetest.Dial(t, c.Hosts()), path)
		other := newBarrier(t, recipetest.Dial(t, c.Hosts()), path)
		must(t, other.Wait(t.Context())) // down
		for i, want := range []bool{true, false} {
			if created, err := b.Create(t.Context()); err != nil || created != want {
				t.Errorf("Create number %d: %v, %v, want %v", i+1, created, err, want)
			}
		}
		short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := other.Wait(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait while it is up: %v, want the deadline", err)
		}
		done := make(chan error, 1)
		go func() { done <- other.Wait(t.Context()) }()
		for i, want := range []bool{true, false} {
			if removed, err := b.Remove(t.Context()); err != nil || removed != want {
				t.Errorf("Remove number %d: %v, %v, want %v", i+1, removed, err, want)
			}
		}
		must(t, <-done)
	})
}

// The barrier is removed while a waiter has no connection, or no session.
func TestWaitSurvivesADropAndAnExpiry(t *testing.T) {
	for name, expire := range map[string]bool{"drop": false, "expiry": true} {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				zk := recipetest.Client(t, srv)
				must(t, srv.Put("/b", ""))
				done := make(chan error, 1)
				go func() { done <- newBarrier(t, zk, "/b").Wait(t.Context()) }()
				synctest.Wait()
				session := srv.Session(zk.SessionID())
				session.Refuse()
				must(t, srv.Remove("/b"))
				if expire {
					session.Expire()
				}
				time.Sleep(time.Second)
				session.Heal()
				must(t, <-done)
			})
		})
	}
}

// The barrier is up again before a waiter without a connection has seen it down: it was down all the same.
func TestWaitDoesNotSleepThroughARemoval(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		must(t, srv.Put("/b", ""))
		done := make(chan error, 1)
		go func() { done <- newBarrier(t, zk, "/b").Wait(t.Context()) }()
		synctest.Wait()
		session := srv.Session(zk.SessionID())
		session.Refuse()
		must(t, srv.Remove("/b"))
		must(t, srv.Put("/b", ""))
		time.Sleep(time.Second)
		session.Heal()
		time.Sleep(time.Minute)
		select {
		case err := <-done:
			must(t, err)
		default:
			t.Fatal("Wait slept through the removal")
		}
	})
}

// A server that has not heard of the barrier lets nobody pass.
func TestWaitBehindALaggingServer(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		srv.Endpoint(1).Lag(time.Second)
		admin := recipetest.Dial(t, srv.Endpoint(0).Addr(), gazoo.WithDialer(srv.Dial))
		zk := recipetest.Dial(t, srv.Endpoint(1).Addr(), gazoo.WithDialer(srv.Dial))
		_, err := newBarrier(t, admin, "/b").Create(t.Context())
		must(t, err)
		short, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := newBarrier(t, zk, "/b").Wait(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait while it is up: %v, want the deadline", err)
		}
	}, zktest.Endpoints(2))
}

// A write to the barrier is no removal.
func TestWaitIgnoresData(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		must(t, srv.Put("/b", ""))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		time.AfterFunc(time.Second, func() { srv.Put("/b", "x") })
		if err := newBarrier(t, recipetest.Client(t, srv), "/b").Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait: %v, want the deadline", err)
		}
	})
}

// An answer that is lost is resolved.
func TestRemoveWithALostReply(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		b := newBarrier(t, recipetest.Client(t, srv), "/b")
		srv.DropReply(zktest.OpCreate, "/b")
		if _, err := b.Create(t.Context()); err != nil {
			t.Errorf("Create: %v", err)
		}
		srv.DropReply(zktest.OpDelete, "/b")
		if removed, err := b.Remove(t.Context()); err != nil || !removed {
			t.Errorf("Remove: %v, %v, want true", removed, err)
		}
	})
}

// Nobody enters before all have come, and nobody leaves before all have gone.
func TestDoubleBarrier(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		const n, rounds = 4, 3
		path := recipetest.Path(t)
		var mu sync.Mutex
		came, inside, left := map[int]int{}, map[int]int{}, map[int]int{}
		note := func(m map[int]int, round int) int {
			mu.Lock()
			defer mu.Unlock()
			m[round]++
			return came[round]*10000 + inside[round]*100 + left[round]
		}
		var wg sync.WaitGroup
		for i := range n {
			zk := recipetest.Dial(t, c.Hosts())
			wg.Go(func() {
				for round := range rounds {
					d := newDouble(t, zk, fmt.Sprintf("%s/%d", path, round), n, barrier.WithIdentifier(fmt.Sprint("m", i)))
					note(came, round)
					m, err := d.Enter(t.Context())
					if err != nil {
						t.Errorf("Enter: %v", err)
						return
					}
					if got := note(inside, round); got/10000 != n {
						t.Errorf("inside when %d of %d had come", got/10000, n)
					}
					if err := m.Leave(t.Context()); err != nil {
						t.Errorf("Leave: %v", err)
					}
					if got := note(left, round); got/100%100 != n {
						t.Errorf("out when %d of %d had been inside", got/100%100, n)
					}
				}
			})
		}
		wg.Wait()
		for round := range rounds {
			if names := recipetest.Children(t, recipetest.Dial(t, c.Hosts()), fmt.Sprintf("%s/%d", path, round)); len(names) != 0 {
				t.Errorf("left behind: %v", names)
			}
		}
	})
}

// Members who lose their connection, their answers or their session while they wait to enter come in all the same.
func TestEnterUnderFaults(t *testing.T) {
	for name, fault := range map[string]func(srv *zktest.Server, zk *gazoo.Client){
		"cut":        func(srv *zktest.Server, zk *gazoo.Client) { srv.Cut() },
		"expiry":     func(srv *zktest.Server, zk *gazoo.Client) { srv.ExpireSession(zk.SessionID()) },
		"deleted":    func(srv *zktest.Server, zk *gazoo.Client) { srv.Remove("/d") },
		"lost reply": func(srv *zktest.Server, zk *gazoo.Client) { srv.DropReply(zktest.OpCreate, "") },
		"parent":     func(srv *zktest.Server, zk *gazoo.Client) { srv.DropReply(zktest.OpCreate, "/d/ready") },
	} {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				first, second := recipetest.Client(t, srv), recipetest.Client(t, srv)
				results := make(chan error, 2)
				enter := func(zk *gazoo.Client) {
					m, err := newDouble(t, zk, "/d", 2).Enter(t.Context())
					if err == nil {
						err = m.Leave(t.Context())
					}
					results <- err
				}
				go enter(first)
				synctest.Wait()
				fault(srv, first)
				go enter(second)
				for range 2 {
					if err := <-results; err != nil {
						t.Errorf("Enter and Leave: %v", err)
					}
				}
			})
		})
	}
}

// Who gives up is not counted.
func TestEnterCanBeCanceled(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		d := newDouble(t, zk, "/d", 2)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := d.Enter(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Enter: %v, want the deadline", err)
		}
		zktest.Eventually(t, "the member has gone", func() bool { return len(recipetest.Children(t, zk, "/d")) == 0 })
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := d.Enter(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Enter behind one that gave up: %v, want the deadline", err)
		}
	})
}

// A member that dies inside has left: the others are not held up, and it is told.
func TestLeaveAfterALoss(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		var members []*barrier.Member
		got := make(chan *barrier.Member, 3)
		for range 3 {
			zk := recipetest.Client(t, srv)
			go func() {
				m, err := newDouble(t, zk, "/d", 3).Enter(t.Context())
				if err != nil {
					t.Errorf("Enter: %v", err)
				}
				got <- m
			}()
		}
		for range 3 {
			members = append(members, <-got)
		}
		slices.SortFunc(members, func(a, b *barrier.Member) int { return int(a.Token() - b.Token()) })
		dead := members[0]
		srv.ExpireSession(dead.Session().ID())
		<-dead.Context().Done()
		errs := make(chan error, 2)
		for _, m := range members[1:] {
			go func() { errs <- m.Leave(t.Context()) }()
		}
		must(t, <-errs)
		must(t, <-errs)
		if err := dead.Leave(t.Context()); !errors.Is(err, barrier.ErrLost) {
			t.Errorf("Leave of the one that died: %v, want ErrLost", err)
		}
	})
}

// A deadline ends the wait for the others, and the member has left.
func TestLeaveWithADeadline(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		must(t, srv.Put("/d/00000000000000000000000000000000", "")) // never leaves
		m, err := newDouble(t, zk, "/d", 2).Enter(t.Context())
		must(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := m.Leave(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Leave: %v, want the deadline", err)
		}
		if names := recipetest.Children(t, zk, "/d"); slices.Contains(names, gazoo.BaseName(m.Path())) {
			t.Errorf("the member is still there: %v", names)
		}
	})
}

// A ready that the dead have left behind does not let the first of the next round in.
func TestReadyOfTheDeadIsRemoved(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		must(t, srv.Put("/d/ready", ""))
		first := make(chan error, 1)
		go func() {
			_, err := newDouble(t, recipetest.Client(t, srv), "/d", 2).Enter(t.Context())
			first <- err
		}()
		time.Sleep(time.Second)
		select {
		case err := <-first:
			t.Fatalf("Enter returned %v with one member of two", err)
		default:
		}
		_, err := newDouble(t, recipetest.Client(t, srv), "/d", 2).Enter(t.Context())
		must(t, err)
		must(t, <-first)
	})
}

// Nor does it let the second in, who finds it before the first has removed it.
func TestReadyOfTheDeadLetsNobodyIn(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		must(t, srv.Put("/d/ready", ""))
		slow := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpDelete, Path: "/d/ready"}, Do: zktest.HoldRequest(), Times: 1})
		inside := make(chan error, 3)
		enter := func() {
			_, err := newDouble(t, recipetest.Client(t, srv), "/d", 3).Enter(t.Context())
			inside <- err
		}
		go enter()
		must(t, slow.Wait(t.Context()))
		go enter()
		time.Sleep(time.Second)
		if len(inside) != 0 {
			t.Fatalf("Enter returned %v with two members of three", <-inside)
		}
		go enter()
		time.Sleep(time.Second)
		slow.Release()
		for range 3 {
			must(t, <-inside)
		}
	})
}

// Errors are told: Kazoo's barrier hides them.
func TestEnterReportsFailure(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpCreate}, Do: zktest.Fail(gazoo.ErrNoAuth)})
		if _, err := newDouble(t, recipetest.Client(t, srv), "/d", 2).Enter(t.Context()); !errors.Is(err, gazoo.ErrNoAuth) {
			t.Errorf("Enter: %v, want ErrNoAuth", err)
		}
	})
}

func TestBadArguments(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		for name, make := range map[string]func() error{
			"client":  func() error { _, err := barrier.New(nil, "/b"); return err },
			"path":    func() error { _, err := barrier.New(zk, "b"); return err },
			"members": func() error { _, err := barrier.NewDouble(zk, "/b", 0); return err },
		} {
			if err := make(); !errors.Is(err, gazoo.ErrBadArguments) {
				t.Errorf("%s: %v, want ErrBadArguments", name, err)
			}
		}
	})
}

// A member whose server has not heard of another one waits for it all the same.
func TestLeaveBehindALaggingServer(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		near := recipetest.Dial(t, srv.Endpoint(0).Addr(), gazoo.WithDialer(srv.Dial))
		far := recipetest.Dial(t, srv.Endpoint(1).Addr(), gazoo.WithDialer(srv.Dial))
		first, err := newDouble(t, far, "/d", 1).Enter(t.Context())
		must(t, err)
		srv.Endpoint(1).Lag(time.Second)
		second, err := newDouble(t, near, "/d", 1).Enter(t.Context())
		must(t, err)
		left := make(chan error, 1)
		go func() { left <- first.Leave(t.Context()) }()
		time.Sleep(10 * time.Second)
		select {
		case err := <-left:
			t.Fatalf("Leave while another one is inside: %v", err)
		default:
		}
		must(t, second.Leave(t.Context()))
		must(t, <-left)
	}, zktest.Endpoints(2))
}
