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
	"github.com/gazoo-zk/gazoo/recipes/election"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/zktest"
)

// observer notes who leads.
type observer struct {
	mu   sync.Mutex
	seen []string // identities, "-" for nobody
	last election.Candidate
	err  error
}

// now returns the latest, of this moment.
func (o *observer) now() (election.Candidate, error) {
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last, o.err
}

func (o *observer) note(leader election.Candidate, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case err != nil:
		o.err = err
	case leader.Exists():
		o.seen = append(o.seen, leader.Identity)
	default:
		o.seen = append(o.seen, "-")
	}
	o.last = leader
}

func observe(ctx context.Context, e *election.Election) *observer {
	o := &observer{}
	go func() {
		for leader, err := range e.Observe(ctx) {
			o.note(leader, err)
		}
	}()
	return o
}

func (o *observer) want(t *testing.T, ids ...string) {
	t.Helper()
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	if !slices.Equal(o.seen, ids) {
		t.Errorf("seen %v, want %v", o.seen, ids)
	}
}

// Candidates that come and go behind the leader do not wake observers, and a new leader costs each of them an event and two
// requests.
func TestObserversAreNoHerd(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		leader := elected(t, campaign(t.Context(), candidate(t, recipetest.Client(t, srv), "/e", "first")))
		const observers = 20
		watcher := recipetest.Client(t, srv)
		var all []*observer
		for range observers {
			zk := recipetest.Client(t, srv)
			all = append(all, observe(t.Context(), candidate(t, zk, "/e", "")))
		}
		synctest.Wait()
		if watches := len(srv.Watches()); watches != 1+observers { // the leader's own look at its znode is one
			t.Errorf("%d watches, want one for each observer and one of the leader", watches)
		}
		candidates := map[int64]bool{watcher.SessionID(): true, leader.Session().ID(): true}
		others := func(r zktest.Request) bool { return !candidates[r.Session] }
		requests := srv.Add(zktest.Rule{Match: zktest.Match{If: others}, Do: zktest.DelayRequest(0)})
		events := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpEvent, If: others}, Do: zktest.DelayReply(0)})
		e := candidate(t, watcher, "/e", "second")
		for range 10 {
			ctx, cancel := context.WithCancel(t.Context())
			next := campaign(ctx, e)
			wait(t, e, "first", "second")
			cancel()
			<-next
			wait(t, e, "first")
		}
		synctest.Wait()
		if r, ev := requests.Hits(), events.Hits(); r != 0 || ev != 0 {
			t.Errorf("candidates that came and went cost observers %d requests and %d events", r, ev)
		}
		next := campaign(t.Context(), e)
		wait(t, e, "first", "second")
		must(t, leader.Resign(t.Context()))
		elected(t, next)
		synctest.Wait()
		if r, ev := requests.Hits(), events.Hits(); r > 2*observers || ev > observers {
			t.Errorf("a new leader cost %d observers %d requests and %d events, want 2 and 1 each", observers, r, ev)
		}
		for _, o := range all {
			o.want(t, "first", "second")
		}
	})
}

// An observer may come before everything else, and the path may vanish and come again.
func TestObserveAPathThatComesAndGoes(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		o := observe(t.Context(), candidate(t, recipetest.Client(t, srv), "/e", ""))
		o.want(t, "-")
		must(t, srv.Put("/e/config", "none of its business"))
		o.want(t, "-")
		one := elected(t, campaign(t.Context(), candidate(t, recipetest.Client(t, srv), "/e", "one")))
		o.want(t, "-", "one")
		must(t, srv.Remove("/e"))
		<-one.Context().Done()
		o.want(t, "-", "one", "-")
		elected(t, campaign(t.Context(), candidate(t, recipetest.Client(t, srv), "/e", "two")))
		o.want(t, "-", "one", "-", "two")
	})
}

// A hand-over is a change of leader, and so is a leader that says something else of itself.
func TestObserveAHandOver(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		l, a := newLine(t, srv, "a", "b", "c")
		o := observe(t.Context(), l.all[1])
		synctest.Wait()
		must(t, a.HandOver(t.Context(), "c"))
		o.want(t, "a", "c")
		last, _ := o.now()
		if c := elected(t, l.waiting[2]); last.Path != c.Path() || last.Session != c.Session().ID() || last.Czxid != c.Token() {
			t.Errorf("observed %+v, want %v with token %d", last, c, c.Token())
		}
		must(t, srv.Put(last.Path, "C"))
		o.want(t, "a", "c", "C")
	})
}

// A leader of another library is observed like any other.
func TestObserveOtherLibraries(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		for i, name := range []string{
			"0123456789abcdef0123456789abcdef__lock__0000000000", "_c_8f9a1b2c-0d1e-4f20-a1b2-c3d4e5f60718-latch-0000000001",
			"_c_8f9a1b2c-0d1e-4f20-a1b2-c3d4e5f60718-lock-0000000002", "n_0000000003", "latch-host-0000000004",
		} {
			must(t, srv.Put("/e/"+name, fmt.Sprint(i)))
		}
		o := observe(t.Context(), candidate(t, recipetest.Client(t, srv), "/e", ""))
		for last, _ := o.now(); last.Exists(); last, _ = o.now() {
			must(t, srv.Remove(last.Path))
		}
		o.want(t, "0", "1", "2", "3", "4", "-")
	})
}

// Whatever happens to its connections and sessions, an observer ends up with the present leader, and never with an error.
func TestObserveUnderFaults(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		o := observe(t.Context(), candidate(t, zk, "/e", ""))
		for i, fault := range []func(*zktest.Session){
			(*zktest.Session).Cut, (*zktest.Session).HalfOpen,
			func(s *zktest.Session) { s.BlackHole(); time.AfterFunc(7*time.Second, s.Heal) },
			func(s *zktest.Session) { s.Refuse(); time.AfterFunc(3*time.Second, s.Heal) },
			func(s *zktest.Session) { s.Refuse(); time.AfterFunc(7*time.Second, s.Heal) },
			func(s *zktest.Session) { s.Expire() },
			func(s *zktest.Session) { srv.DropReply(zktest.OpGet, ""); srv.DropReply(zktest.OpChildren, "") },
			func(s *zktest.Session) {
				srv.Add(zktest.Rule{
					Match: zktest.Match{Op: zktest.OpGet, Session: s.ID()}, Do: zktest.Fail(gazoo.ErrThrottledOp), Times: 2,
				})
			},
		} {
			id := fmt.Sprint(i)
			fault(srv.Session(zk.SessionID()))
			l := elected(t, campaign(t.Context(), candidate(t, recipetest.Client(t, srv), "/e", id)))
			zktest.Eventually(t, "the observer sees "+id, func() bool { last, _ := o.now(); return last.Identity == id })
			must(t, l.Resign(t.Context()))
			zktest.Eventually(t, "the observer sees nobody", func() bool { last, _ := o.now(); return !last.Exists() })
		}
		if _, err := o.now(); err != nil {
			t.Errorf("Observe: %v", err)
		}
	})
}

// An observer ends with what ended it.
func TestEndsOfObserve(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(*zktest.Server, *gazoo.Client, context.CancelFunc)
		want error
	}{
		"canceled": {func(_ *zktest.Server, _ *gazoo.Client, cancel context.CancelFunc) { cancel() }, context.Canceled},
		"closed":   {func(_ *zktest.Server, zk *gazoo.Client, _ context.CancelFunc) { zk.Close() }, gazoo.ErrClosed},
		"refused": {func(srv *zktest.Server, _ *gazoo.Client, _ context.CancelFunc) {
			srv.Fail(zktest.OpChildren, "/e", gazoo.ErrNoAuth)
			srv.Put("/e/n_0000000001", "")
		}, gazoo.ErrNoAuth},
	} {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				zk := recipetest.Client(t, srv)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				o := observe(ctx, candidate(t, zk, "/e", ""))
				must(t, srv.Put("/e", ""))
				synctest.Wait()
				tt.end(srv, zk, cancel)
				if _, err := o.now(); !errors.Is(err, tt.want) {
					t.Errorf("Observe ended with %v, want %v", err, tt.want)
				}
			})
		})
	}
}
