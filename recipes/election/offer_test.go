package election_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/election"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/zktest"
)

// line is candidates that came one after another: the first leads.
type line struct {
	clients []*gazoo.Client
	all     []*election.Election
	waiting []<-chan result
}

func newLine(t *testing.T, srv *zktest.Server, ids ...string) (*line, *election.Leadership) {
	t.Helper()
	l := &line{}
	for i, id := range ids {
		l.clients = append(l.clients, recipetest.Client(t, srv))
		l.all = append(l.all, candidate(t, l.clients[i], "/e", id))
		l.waiting = append(l.waiting, campaign(t.Context(), l.all[i]))
		wait(t, l.all[0], ids[:i+1]...)
	}
	synctest.Wait()
	return l, elected(t, l.waiting[0])
}

func (l *line) session(srv *zktest.Server, i int) *zktest.Session {
	return srv.Session(l.clients[i].SessionID())
}

// Whoever stood in line before a hand-over, and leads behind it, has the higher token.
func TestTokensGrowBehindAHandOver(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		l, a := newLine(t, srv, "a", "b", "c")
		must(t, a.HandOver(t.Context(), "c"))
		c := elected(t, l.waiting[2])
		must(t, c.Resign(t.Context()))
		b := elected(t, l.waiting[1])
		if c.Token() <= a.Token() || b.Token() <= c.Token() {
			t.Errorf("tokens %d, %d, %d: want them to grow", a.Token(), c.Token(), b.Token())
		}
		must(t, b.Resign(t.Context()))
	})
}

// A candidate that never answers keeps nobody from leading for longer than a dead leader would.
func TestHandOverWithoutADeadlineIsBounded(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		l, a := newLine(t, srv, "a", "b")
		must(t, srv.Put("/e/0123456789abcdef0123456789abcdef__lock__0000000007", "python"))
		begin := time.Now()
		err := a.HandOver(t.Context(), "python")
		if took := time.Since(begin); !errors.Is(err, election.ErrNotTaken) || took > recipetest.SessionTimeout {
			t.Errorf("HandOver: %v after %v, want ErrNotTaken within the session time-out", err, took)
		}
		must(t, elected(t, l.waiting[1]).Resign(t.Context()))
	})
}

// The candidate goes away with the offer: the leader does not wait for its time to pass.
func TestHandOverToOneThatLeaves(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		l, a := newLine(t, srv, "a", "b", "c")
		heir := l.session(srv, 2)
		heir.Refuse()
		time.AfterFunc(time.Second, func() { heir.Expire() })
		begin := time.Now()
		err := a.HandOver(t.Context(), "c")
		if took := time.Since(begin); !errors.Is(err, election.ErrNotTaken) || took != time.Second {
			t.Errorf("HandOver: %v after %v, want ErrNotTaken when the candidate is gone", err, took)
		}
		must(t, elected(t, l.waiting[1]).Resign(t.Context()))
	})
}

// A resignation in the middle of a hand-over waits for it, by whichever name, and as long as its context lasts.
func TestResignInAHandOver(t *testing.T) {
	for name, resign := range map[string]func(*election.Leadership, context.Context) error{
		"Resign": (*election.Leadership).Resign, "Release": (*election.Leadership).Release,
	} {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				l, a := newLine(t, srv, "a", "b", "c")
				l.session(srv, 2).Delay(zktest.BothWays, 200*time.Millisecond)
				handed := make(chan error, 1)
				go func() { handed <- a.HandOver(t.Context(), "c") }()
				<-a.Context().Done()
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				if err := resign(a, ctx); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s: %v, want the deadline", name, err)
				}
				must(t, resign(a, t.Context()))
				must(t, <-handed)
				must(t, elected(t, l.waiting[2]).Resign(t.Context()))
				must(t, elected(t, l.waiting[1]).Resign(t.Context()))
			})
		})
	}
}

// The answer to the taking is lost, and so is the session, or so it seems: it comes back, with what was made in it.
func TestTakingInDoubtLeavesNothingBehind(t *testing.T) {
	for _, again := range []bool{false, true} {
		t.Run(fmt.Sprintf("tried again %v", again), func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				l, a := newLine(t, srv, "a", "b", "c")
				heir, id := l.session(srv, 2), l.clients[2].SessionID()
				// It does not get as far as to look again, or the look fails and it would have to take again.
				next := zktest.OpConnect
				if again {
					next = zktest.OpExists
				}
				srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti, Session: id}, Do: zktest.DropReply(), Times: 1})
				look := srv.Add(zktest.Rule{Match: zktest.Match{Op: next, Session: id}, Do: zktest.HoldRequest(), Times: 1})
				must(t, a.HandOver(t.Context(), "c"))
				must(t, look.Wait(t.Context()))
				heir.Refuse()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				must(t, l.clients[2].WaitState(ctx, gazoo.StateLost))
				heir.Heal()
				must(t, l.clients[2].WaitState(ctx, gazoo.StateConnected))
				if now := l.clients[2].SessionID(); now != id {
					t.Fatalf("session %#x behind %#x: it did not come back, which shows nothing", now, id)
				}
				b := elected(t, l.waiting[1])
				wait(t, l.all[0], "b", "c")
				must(t, b.Resign(t.Context()))
				must(t, elected(t, l.waiting[2]).Resign(t.Context()))
			})
		})
	}
}

// An offer that comes while the candidate takes leave of an older one is not lost.
func TestNewerOfferIsNotOverwritten(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		l, a := newLine(t, srv, "a", "b", "c")
		heir := l.session(srv, 2)
		heir.Delay(zktest.ToClient, 200*time.Millisecond) // it hears of the first offer when that has ended
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		taking := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti, Session: heir.ID()}, Do: zktest.HoldReply(), Times: 1})
		if err := a.HandOver(ctx, "c"); !errors.Is(err, election.ErrNotTaken) {
			t.Fatalf("HandOver: %v, want ErrNotTaken", err)
		}
		b := elected(t, l.waiting[1])
		must(t, taking.Wait(t.Context())) // and is refused
		heir.Delay(zktest.ToClient, 0)
		handed := make(chan error, 1)
		go func() { handed <- b.HandOver(t.Context(), "c") }()
		synctest.Wait()
		taking.Release()
		must(t, <-handed)
		must(t, elected(t, l.waiting[2]).Resign(t.Context()))
	})
}

// Whoever is to lead next may be chosen by what the candidates say of themselves.
func TestHandOverByPriority(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		l, a := newLine(t, srv, "1", "5", "9", "7")
		candidates, err := l.all[0].Candidates(t.Context())
		must(t, err)
		best := candidates[0]
		for _, c := range candidates {
			if c.Identity > best.Identity {
				best = c
			}
		}
		must(t, a.HandOverTo(t.Context(), best))
		high := elected(t, l.waiting[2])
		wait(t, l.all[0], "9", "5", "7")

		// One that has left, the leader itself and one of another election are no candidates: the leadership goes on.
		elsewhere := best
		elsewhere.Path = strings.Replace(elsewhere.Path, "/e/", "/other/", 1)
		self, _, err := l.all[0].Leader(t.Context())
		must(t, err)
		for _, c := range []election.Candidate{best, elsewhere, self, {}} {
			if err := high.HandOverTo(t.Context(), c); !errors.Is(err, election.ErrNoCandidate) {
				t.Errorf("HandOverTo(%+v): %v, want ErrNoCandidate", c, err)
			}
		}
		must(t, high.Err())
		must(t, high.Resign(t.Context()))
		if err := high.HandOver(t.Context(), "5"); !errors.Is(err, election.ErrReleased) {
			t.Errorf("HandOver behind the resignation: %v, want ErrReleased", err)
		}
	})
}

// A program that was restarted stands in line twice until its old session has expired: the living one leads.
func TestHandOverToTheNewestOfOneIdentity(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		l, a := newLine(t, srv, "a", "b", "b")
		l.session(srv, 1).BlackHole()
		must(t, a.HandOver(t.Context(), "b"))
		must(t, elected(t, l.waiting[2]).Resign(t.Context()))
	})
}
