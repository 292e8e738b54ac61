package tree_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/tree"
	"github.com/gazoo-zk/gazoo/zktest"
)

// The list comes when nothing has changed for the whole time, and its next change is told.
func TestSettle(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		must(t, srv.Put("/d", ""))
		begin := time.Now()
		go func() {
			for _, name := range []string{"b", "a", "c"} {
				time.Sleep(4 * time.Second)
				must(t, srv.Put("/d/"+name, ""))
				must(t, srv.Put("/d/"+name+"/below", name)) // no matter
			}
		}()
		s, err := tree.Settle(t.Context(), zk, "/d", 5*time.Second)
		must(t, err)
		if took := time.Since(begin); took != 17*time.Second || !slices.Equal(s.Children, []string{"a", "b", "c"}) {
			t.Errorf("%v settled after %v, want a, b, c after 17s", s.Children, took)
		}
		changed := make(chan error, 1)
		go func() { changed <- s.Changed(t.Context()) }()
		time.Sleep(time.Hour)
		select {
		case err := <-changed:
			t.Fatalf("Changed without a change: %v", err)
		default:
		}
		must(t, srv.Remove("/d/b"))
		must(t, <-changed)
		must(t, s.Changed(t.Context())) // still another one than it was
	})
}

// Without a connection nothing is known to be quiet.
func TestNothingSettlesDuringADisconnect(t *testing.T) {
	for name, expire := range map[string]bool{"disconnect": false, "expiry": true} {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				zk := recipetest.Client(t, srv)
				must(t, srv.Put("/d/a", ""))
				got := make(chan *tree.Settled, 1)
				go func() {
					s, err := tree.Settle(t.Context(), zk, "/d", 3*time.Second)
					if err != nil {
						t.Error(err)
					}
					got <- s
				}()
				synctest.Wait()
				session := srv.Session(zk.SessionID())
				session.Refuse()
				must(t, srv.Put("/d/b", ""))
				if expire {
					session.Expire()
				}
				time.Sleep(5 * time.Second)
				select {
				case s := <-got:
					t.Fatalf("settled without a connection: %v", s.Children)
				default:
				}
				session.Heal()
				if s := <-got; !slices.Equal(s.Children, []string{"a", "b"}) {
					t.Errorf("settled: %v", s.Children)
				}
			})
		})
	}
}

func TestSettleEnds(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		if _, err := tree.Settle(t.Context(), zk, "/d", time.Second); !errors.Is(err, gazoo.ErrNoNode) {
			t.Errorf("Settle of nothing: %v, want ErrNoNode", err)
		}
		must(t, srv.Put("/d/a", ""))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := tree.Settle(ctx, zk, "/d", time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Settle: %v, want the deadline", err)
		}
		var lists [][]string
		for s, err := range tree.Settling(t.Context(), zk, "/d", time.Second) {
			if err != nil {
				if !errors.Is(err, gazoo.ErrNoNode) {
					t.Errorf("Settling ended with %v, want ErrNoNode", err)
				}
				break
			}
			lists = append(lists, s.Children)
			if len(lists) == 1 {
				go func() { srv.Put("/d/b", ""); srv.Put("/d/c", "") }()
			} else {
				go srv.Remove("/d")
			}
		}
		if len(lists) != 2 || !slices.Equal(lists[1], []string{"a", "b", "c"}) {
			t.Errorf("Settling showed %q", lists)
		}
		for _, op := range []func() error{
			func() error { _, err := tree.Settle(t.Context(), zk, "d", time.Second); return err },
			func() error { _, err := tree.Settle(t.Context(), zk, "/d", 0); return err },
			func() error { _, err := tree.Settle(t.Context(), nil, "/d", time.Second); return err },
		} {
			if err := op(); !errors.Is(err, gazoo.ErrBadArguments) {
				t.Errorf("Settle: %v, want ErrBadArguments", err)
			}
		}
		synctest.Wait()
	})
}

func TestSettleOnServers(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		path := recipetest.Path(t)
		zk, other := recipetest.Dial(t, c.Hosts()), recipetest.Dial(t, c.Hosts())
		plant(t, zk, path+"/a")
		s, err := tree.Settle(t.Context(), zk, path, 50*time.Millisecond)
		must(t, err)
		plant(t, other, path+"/b")
		must(t, s.Changed(t.Context()))
		s, err = tree.Settle(t.Context(), zk, path, 50*time.Millisecond)
		must(t, err)
		if !slices.Equal(s.Children, []string{"a", "b"}) {
			t.Errorf("settled: %v", s.Children)
		}
	})
}
