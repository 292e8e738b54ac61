package election_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/recipes/election"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/zktest"
)

// The leadership goes to the last in line, with a token that grows, and then on in the old order.
func TestHandOver(t *testing.T) {
	styles := map[string]election.Style{"kazoo": election.Kazoo, "curator": election.CuratorLatch}
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		for name, style := range styles {
			t.Run(name, func(t *testing.T) {
				path := recipetest.Path(t)
				watcher := candidate(t, recipetest.Dial(t, c.Hosts()), path, "")
				var waiting []<-chan result
				ids := []string{"a", "b", "c"}
				for i, id := range ids {
					waiting = append(waiting, campaign(t.Context(), candidate(t, recipetest.Dial(t, c.Hosts()), path, id, election.WithStyle(style))))
					wait(t, watcher, ids[:i+1]...)
				}
				a := elected(t, waiting[0])
				if err := a.HandOver(t.Context(), "nobody"); !errors.Is(err, election.ErrNoCandidate) {
					t.Errorf("HandOver to nobody: %v", err)
				}
				must(t, a.Err())
				must(t, a.HandOver(t.Context(), "c"))
				if err := a.Err(); !errors.Is(err, election.ErrLost) || !errors.Is(err, election.ErrHandedOver) {
					t.Errorf("the former leader: %v", err)
				}
				last := elected(t, waiting[2])
				notElected(t, waiting[1])
				if last.Token() <= a.Token() {
					t.Errorf("token %d behind %d", last.Token(), a.Token())
				}
				wait(t, watcher, "c", "b")
				if leader, _, err := watcher.Leader(t.Context()); err != nil || leader.Path != last.Path() || leader.Identity != "c" {
					t.Errorf("Leader: %+v, %v", leader, err)
				}
				must(t, last.Verify(t.Context()))
				if err := a.Resign(t.Context()); err != nil {
					t.Errorf("Resign behind the hand-over: %v", err)
				}
				must(t, last.HandOver(t.Context(), "b"))
				b := elected(t, waiting[1])
				if b.Token() <= last.Token() {
					t.Errorf("token %d behind %d", b.Token(), last.Token())
				}
				must(t, b.Resign(t.Context()))
				wait(t, watcher)
			})
		}
	})
}

// Faults on the way: the leadership arrives, or goes to the next in line; never two lead, and nobody is left behind.
func TestHandOverUnderFaults(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault func(srv *zktest.Server, leader, heir *gazoo.Client)
		taken bool
	}{
		{"lost answer of the offer", func(srv *zktest.Server, l, _ *gazoo.Client) { drop(srv, l, zktest.DropReply()) }, true},
		{"lost offer", func(srv *zktest.Server, l, _ *gazoo.Client) { drop(srv, l, zktest.DropRequest()) }, true},
		{"lost answer of the taking", func(srv *zktest.Server, _, h *gazoo.Client) { drop(srv, h, zktest.DropReply()) }, true},
		{"lost taking", func(srv *zktest.Server, _, h *gazoo.Client) { drop(srv, h, zktest.DropRequest()) }, true},
		{"heir cut off", func(srv *zktest.Server, _, h *gazoo.Client) { srv.Session(h.SessionID()).BlackHole() }, false},
		{"heir expired", func(srv *zktest.Server, _, h *gazoo.Client) {
			srv.Session(h.SessionID()).Refuse()
			srv.Session(h.SessionID()).Expire()
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				leader, heir := recipetest.Client(t, srv), recipetest.Client(t, srv)
				a := candidate(t, leader, "/e", "a")
				l := elected(t, campaign(t.Context(), a))
				next := campaign(t.Context(), candidate(t, recipetest.Client(t, srv), "/e", "b"))
				wait(t, a, "a", "b")
				last := campaign(t.Context(), candidate(t, heir, "/e", "c"))
				wait(t, a, "a", "b", "c")
				synctest.Wait()
				session := srv.Session(heir.SessionID())
				tt.fault(srv, leader, heir)
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				err := l.HandOver(ctx, "c")
				synctest.Wait()
				if !tt.taken {
					if !errors.Is(err, election.ErrNotTaken) && !errors.Is(err, election.ErrNoCandidate) {
						t.Errorf("HandOver: %v, want ErrNotTaken", err)
					}
					if errors.Is(err, election.ErrNoCandidate) {
						must(t, l.Resign(t.Context()))
					}
					must(t, elected(t, next).Resign(t.Context()))
					session.Heal()
					h := elected(t, last)
					must(t, h.Resign(t.Context()))
				} else {
					must(t, err)
					h := elected(t, last)
					notElected(t, next)
					if h.Token() <= l.Token() {
						t.Errorf("token %d behind %d", h.Token(), l.Token())
					}
					must(t, h.Resign(t.Context()))
					must(t, elected(t, next).Resign(t.Context()))
				}
				zktest.Eventually(t, "nobody is left", func() bool { return srv.Count() == 1 })
			})
		})
	}
}

func drop(srv *zktest.Server, zk *gazoo.Client, how zktest.Action) {
	srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti, Session: zk.SessionID()}, Do: how, Times: 1})
}

// A candidate that does not know of hand-overs, as those of other libraries: the leader has resigned.
func TestHandOverThatIsNotTaken(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		l := elected(t, campaign(t.Context(), candidate(t, recipetest.Client(t, srv), "/e", "a")))
		must(t, srv.Put("/e/_c_8f9a1b2c-0d1e-4f20-a1b2-c3d4e5f60718-latch-0000000001", "java"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.HandOver(ctx, "java"); !errors.Is(err, election.ErrNotTaken) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("HandOver: %v, want ErrNotTaken by the deadline", err)
		}
		if _, found := srv.Get(l.Path()); found {
			t.Error("the leader's znode is still there")
		}
	})
}
