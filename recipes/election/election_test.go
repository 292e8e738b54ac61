package election_test

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
	"github.com/gazoo-zk/gazoo/recipes/election"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/tenure"
	"github.com/gazoo-zk/gazoo/zktest"
)

func TestMain(m *testing.M) { recipetest.Main(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func candidate(t *testing.T, zk *gazoo.Client, path, id string, opts ...election.Option) *election.Election {
	t.Helper()
	e, err := election.New(zk, path, append([]election.Option{election.WithIdentity(id)}, opts...)...)
	must(t, err)
	return e
}

type result struct {
	l   *election.Leadership
	err error
}

func campaign(ctx context.Context, e *election.Election) <-chan result {
	ch := make(chan result, 1)
	go func() {
		l, err := e.Campaign(ctx)
		ch <- result{l, err}
	}()
	return ch
}

func elected(t *testing.T, ch <-chan result) *election.Leadership {
	t.Helper()
	select {
	case r := <-ch:
		if r.err != nil {
			t.Fatalf("Campaign: %v", r.err)
		}
		return r.l
	case <-time.After(time.Minute):
		t.Fatal("Campaign: not elected after a minute")
	}
	return nil
}

func notElected(t *testing.T, ch <-chan result) {
	t.Helper()
	select {
	case r := <-ch:
		t.Fatalf("Campaign returned %v, %v; want it to wait", r.l, r.err)
	default:
	}
}

// identities are those of the candidates, in order.
func identities(t *testing.T, e *election.Election) (ids []string) {
	t.Helper()
	candidates, err := e.Candidates(t.Context())
	if err != nil {
		t.Fatalf("Candidates: %v", err)
	}
	for _, c := range candidates {
		ids = append(ids, c.Identity)
	}
	return ids
}

func wait(t *testing.T, e *election.Election, want ...string) {
	t.Helper()
	zktest.Eventually(t, fmt.Sprint("the candidates are ", want), func() bool { return slices.Equal(identities(t, e), want) })
}

// Each runs while it leads, one after another, with growing tokens; the candidates are known in their order.
func TestRunOneAfterAnother(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		path := recipetest.Path(t)
		var mu sync.Mutex
		var tokens []int64
		leading := 0
		var wg sync.WaitGroup
		for i := range 5 {
			e := candidate(t, recipetest.Dial(t, c.Hosts()), path, fmt.Sprint("c", i))
			wg.Go(func() {
				err := e.Run(t.Context(), func(ctx context.Context, l *election.Leadership) error {
					mu.Lock()
					leading++
					if leading != 1 {
						t.Errorf("%d lead at once", leading)
					}
					tokens = append(tokens, l.Token())
					mu.Unlock()
					first, found, err := e.Leader(ctx)
					if err != nil || !found || first.Path != l.Path() {
						t.Errorf("Leader: %+v, %v, %v, want the one that leads", first, found, err)
					}
					mu.Lock()
					leading--
					mu.Unlock()
					return nil
				})
				if err != nil {
					t.Errorf("Run: %v", err)
				}
			})
		}
		wg.Wait()
		if len(tokens) != 5 || !slices.IsSorted(tokens) {
			t.Errorf("tokens %v, want 5 that grow", tokens)
		}
		e := candidate(t, recipetest.Dial(t, c.Hosts()), path, "late")
		if ids := identities(t, e); len(ids) != 0 {
			t.Errorf("candidates left behind: %v", ids)
		}
		if _, found, err := e.Leader(t.Context()); found || err != nil {
			t.Errorf("Leader of an empty election: %v, %v", found, err)
		}
	})
}

// The leader's function is told that its leadership is lost; Kazoo lets it run on.
func TestLeaderIsToldOfItsLoss(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		e := candidate(t, zk, "/e", "one")
		var cause error
		err := e.Run(t.Context(), func(ctx context.Context, l *election.Leadership) error {
			next := campaign(t.Context(), candidate(t, recipetest.Client(t, srv), "/e", "two"))
			wait(t, e, "one", "two")
			srv.Session(zk.SessionID()).BlackHole()
			<-ctx.Done()
			cause = context.Cause(ctx)
			notElected(t, next)
			elected(t, next).Resign(t.Context())
			return nil
		})
		if !errors.Is(cause, election.ErrLost) || !errors.Is(err, election.ErrLost) {
			t.Errorf("the function was told %v and Run returned %v, want ErrLost", cause, err)
		}
	})
}

func TestRunReturnsTheFunctionsError(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		e := candidate(t, recipetest.Client(t, srv), "/e", "one", election.WithRequeue())
		broken := errors.New("broken")
		runs := 0
		err := e.Run(t.Context(), func(context.Context, *election.Leadership) error {
			if runs++; runs == 3 {
				return broken
			}
			return nil
		})
		if err != broken || runs != 3 {
			t.Errorf("Run: %v behind %d runs, want the function's error behind 3", err, runs)
		}
		if ids := identities(t, e); len(ids) != 0 {
			t.Errorf("left behind: %v", ids)
		}
	})
}

// A candidate that is told to queue again does so behind a loss, never with two functions at once.
func TestRequeueAfterALoss(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		e := candidate(t, zk, "/e", "one", election.WithRequeue())
		ctx, cancel := context.WithCancel(t.Context())
		var running, runs int
		err := e.Run(ctx, func(ctx context.Context, l *election.Leadership) error {
			running++
			defer func() { running-- }()
			if running != 1 {
				t.Errorf("%d functions at once", running)
			}
			if runs++; runs == 4 {
				cancel()
			} else {
				srv.ExpireSession(zk.SessionID())
			}
			<-ctx.Done()
			time.Sleep(time.Minute) // winds up slowly
			return ctx.Err()
		})
		if !errors.Is(err, context.Canceled) || runs != 4 {
			t.Errorf("Run: %v behind %d runs", err, runs)
		}
	})
}

func TestCampaignCanBeCanceled(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		one := candidate(t, recipetest.Client(t, srv), "/e", "one")
		l := elected(t, campaign(t.Context(), one))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := candidate(t, recipetest.Client(t, srv), "/e", "two").Campaign(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Campaign: %v, want the deadline", err)
		}
		wait(t, one, "one")
		must(t, l.Resign(t.Context()))
		wait(t, one)
	})
}

// The candidate in the middle vanishes: the one behind it does not become leader.
func TestMiddleCandidateLeaves(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		one := candidate(t, recipetest.Client(t, srv), "/e", "one")
		l := elected(t, campaign(t.Context(), one))
		middle := recipetest.Client(t, srv)
		campaign(t.Context(), candidate(t, middle, "/e", "two"))
		wait(t, one, "one", "two")
		last := campaign(t.Context(), candidate(t, recipetest.Client(t, srv), "/e", "three"))
		wait(t, one, "one", "two", "three")
		must(t, middle.Close())
		wait(t, one, "one", "three")
		synctest.Wait()
		notElected(t, last)
		if err := l.Err(); err != nil {
			t.Errorf("the leader: %v", err)
		}
		must(t, l.Resign(t.Context()))
		must(t, elected(t, last).Resign(t.Context()))
	})
}

// The leader's session has expired and a new one is there, while the old znode is still listed: it does not lead
// before its own new znode is first.
func TestOldZnodeIsNotAdopted(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		e := candidate(t, zk, "/e", "one")
		old := elected(t, campaign(t.Context(), e))
		name := gazoo.BaseName(old.Path())
		srv.ExpireSession(zk.SessionID())
		<-old.Context().Done()
		must(t, srv.Put("/e/"+name, "one")) // as if it were still there
		next := campaign(t.Context(), e)
		wait(t, e, "one", "one")
		synctest.Wait()
		notElected(t, next)
		must(t, srv.Remove("/e/"+name))
		l := elected(t, next)
		if l.Path() == old.Path() || l.Token() <= old.Token() {
			t.Errorf("it leads by %s with token %d, behind %s with %d", l.Path(), l.Token(), old.Path(), old.Token())
		}
	})
}

// The path vanishes, or an operator deletes the leader's znode: the leadership ends and is contested again.
func TestPathVanishes(t *testing.T) {
	for _, what := range []string{"path", "znode"} {
		t.Run(what, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				one := candidate(t, recipetest.Client(t, srv), "/e", "one").Start()
				first, err := one.Await(t.Context())
				must(t, err)
				two := candidate(t, recipetest.Client(t, srv), "/e", "two").Start()
				synctest.Wait()
				if what == "path" {
					must(t, srv.Remove("/e"))
				} else {
					must(t, srv.Remove(first.Path()))
				}
				<-first.Context().Done()
				if err := first.Err(); !errors.Is(err, tenure.ErrDeleted) {
					t.Errorf("the first leadership: %v, want ErrDeleted", err)
				}
				zktest.Eventually(t, "one of them leads", func() bool { return one.Leadership() != nil || two.Leadership() != nil })
				synctest.Wait()
				if one.Leadership() != nil && two.Leadership() != nil {
					t.Error("both lead")
				}
				must(t, one.Close(t.Context()))
				must(t, two.Close(t.Context()))
				zktest.Eventually(t, "the path alone is left", func() bool { return srv.Count() == 1 })
			})
		})
	}
}

// The link is lost and comes back in the same session while the old znode's delete was failing: somebody leads.
func TestStaleZnodeOfTheSameSession(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		session := zk.SessionID()
		e := candidate(t, zk, "/e", "one")
		l := elected(t, campaign(t.Context(), e))
		srv.Session(session).Refuse()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		l.Resign(ctx)
		next := campaign(t.Context(), e)
		srv.Session(session).Heal()
		again := elected(t, next)
		if zk.SessionID() != session {
			t.Error("the session has changed, which shows nothing")
		}
		must(t, again.Resign(t.Context()))
	})
}

// A latch leads, loses, leads again; its subscribers learn of the last state, and of its end only if it is not silent.
func TestLatch(t *testing.T) {
	for name, silent := range map[string]bool{"telling": false, "silent": true} {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				zk := recipetest.Client(t, srv)
				latch := candidate(t, zk, "/e", "one").Start()
				var seen []bool
				var last error
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					for s, err := range latch.Changes(t.Context()) {
						if last = err; err == nil {
							seen = append(seen, s.Leader)
						}
					}
				}()
				first, err := latch.Await(t.Context())
				must(t, err)
				synctest.Wait()
				srv.ExpireSession(zk.SessionID())
				<-first.Context().Done()
				second, err := latch.Await(t.Context())
				must(t, err)
				if second.Token() <= first.Token() {
					t.Errorf("token %d behind %d", second.Token(), first.Token())
				}
				synctest.Wait()
				if silent {
					must(t, latch.CloseSilently(t.Context()))
				} else {
					must(t, latch.Close(t.Context()))
				}
				<-ended
				if !errors.Is(last, election.ErrLatchClosed) {
					t.Errorf("Changes ended with %v", last)
				}
				if final := seen[len(seen)-1]; final != silent {
					t.Errorf("changes %v: silent is %v", seen, silent)
				}
				if _, err := latch.Await(t.Context()); !errors.Is(err, election.ErrLatchClosed) {
					t.Errorf("Await of a closed latch: %v", err)
				}
				if latch.Leadership() != nil || !errors.Is(second.Err(), election.ErrLost) {
					t.Errorf("a closed latch leads: %v", second)
				}
			})
		})
	}
}

// Await has a deadline, and leaves the campaign alone.
func TestAwaitWithADeadline(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		l := elected(t, campaign(t.Context(), candidate(t, recipetest.Client(t, srv), "/e", "one")))
		latch := candidate(t, recipetest.Client(t, srv), "/e", "two").Start()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := latch.Await(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Await: %v, want the deadline", err)
		}
		must(t, l.Resign(t.Context()))
		_, err := latch.Await(t.Context())
		must(t, err)
		must(t, latch.Close(t.Context()))
	})
}

// Who looks on sees every change of leader, and takes no part.
func TestObserve(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		path := recipetest.Path(t)
		watcher := candidate(t, recipetest.Dial(t, c.Hosts()), path, "nobody")
		seen := make(chan election.Candidate, 10)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			for leader, err := range watcher.Observe(ctx) {
				if err != nil {
					ended <- err
					return
				}
				seen <- leader
			}
		}()
		if first := <-seen; first.Path != "" {
			t.Errorf("leader of an empty election: %+v", first)
		}
		one := elected(t, campaign(t.Context(), candidate(t, recipetest.Dial(t, c.Hosts()), path, "one")))
		if got := <-seen; got.Identity != "one" || got.Path != one.Path() || got.Session != one.Session().ID() {
			t.Errorf("Observe: %+v, want the leader one", got)
		}
		two := campaign(t.Context(), candidate(t, recipetest.Dial(t, c.Hosts()), path, "two"))
		wait(t, watcher, "one", "two")
		must(t, one.Resign(t.Context()))
		l := elected(t, two)
		if got := <-seen; got.Identity != "two" {
			t.Errorf("Observe: %+v, want the leader two", got)
		}
		must(t, l.Resign(t.Context()))
		if got := <-seen; got.Path != "" {
			t.Errorf("Observe: %+v, want nobody", got)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Observe ended with %v", err)
		}
	})
}

// An observer that was away, and whose session has expired, learns of the leader of then.
func TestObserveSurvivesAnExpiry(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		one := elected(t, campaign(t.Context(), candidate(t, recipetest.Client(t, srv), "/e", "one")))
		var last election.Candidate
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			for leader := range candidate(t, zk, "/e", "").Observe(ctx) {
				last = leader
			}
		}()
		synctest.Wait()
		if last.Identity != "one" {
			t.Fatalf("Observe: %+v, want one", last)
		}
		session := srv.Session(zk.SessionID())
		session.Refuse()
		session.Expire()
		must(t, one.Resign(t.Context()))
		two := elected(t, campaign(t.Context(), candidate(t, recipetest.Client(t, srv), "/e", "two")))
		session.Heal()
		zktest.Eventually(t, "the observer sees two", func() bool { synctest.Wait(); return last.Path == two.Path() })
	})
}

func TestQuorumLeadership(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		l := elected(t, campaign(t.Context(), candidate(t, zk, "/e", "one", election.WithQuorum())))
		time.Sleep(time.Minute)
		must(t, l.Err())
		srv.Session(zk.SessionID()).Endpoint().Freeze()
		time.Sleep(recipetest.SessionTimeout / 2)
		if err := l.Err(); !errors.Is(err, tenure.ErrUnverified) {
			t.Errorf("Err: %v, want ErrUnverified", err)
		}
	}, zktest.Endpoints(3))
}

func TestBadArguments(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		for name, make := range map[string]func() error{
			"client":   func() error { _, err := election.New(nil, "/e"); return err },
			"path":     func() error { _, err := election.New(zk, "e"); return err },
			"style":    func() error { _, err := election.New(zk, "/e", election.WithStyle(election.Custom(""))); return err },
			"identity": func() error { _, err := election.New(zk, "/e", election.WithIdentity("__HANDOVER__/x")); return err },
			"marker":   func() error { _, err := election.New(zk, "/e", election.WithMarkers("")); return err },
		} {
			if err := make(); !errors.Is(err, gazoo.ErrBadArguments) {
				t.Errorf("%s: %v, want ErrBadArguments", name, err)
			}
		}
	})
}
