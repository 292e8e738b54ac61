package election_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/election"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/zktest"
)

// A function that panics takes the leadership with it.
func TestPanicGivesTheLeadershipUp(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		e := candidate(t, recipetest.Client(t, srv), "/e", "one")
		var led *election.Leadership
		func() {
			defer func() {
				if p := recover(); p != "broken" {
					t.Errorf("Run let the panic %v through, want that of the function", p)
				}
			}()
			e.Run(t.Context(), func(_ context.Context, l *election.Leadership) error {
				led = l
				panic("broken")
			})
		}()
		if err := led.Err(); !errors.Is(err, election.ErrReleased) {
			t.Errorf("the leadership behind a panic: %v, want ErrReleased", err)
		}
		wait(t, e)
	})
}

// Run says what became of the leadership, and what the function said.
func TestErrorsOfRun(t *testing.T) {
	broken := errors.New("broken")
	expire := func(t *testing.T, srv *zktest.Server, l *election.Leadership) {
		srv.ExpireSession(l.Session().ID())
		<-l.Context().Done()
	}
	remove := func(t *testing.T, srv *zktest.Server, l *election.Leadership) {
		must(t, srv.Remove(l.Path()))
		<-l.Context().Done()
	}
	resign := func(t *testing.T, _ *zktest.Server, l *election.Leadership) { must(t, l.Resign(t.Context())) }
	handOver := func(t *testing.T, _ *zktest.Server, l *election.Leadership) { must(t, l.HandOver(t.Context(), "two")) }
	nothing := func(*testing.T, *zktest.Server, *election.Leadership) {}
	for _, tt := range []struct {
		name string
		do   func(*testing.T, *zktest.Server, *election.Leadership)
		fn   error   // what the function returns
		want []error // what Run's error matches; none is no error
	}{
		{"finished", nothing, nil, nil},
		{"failed", nothing, broken, []error{broken}},
		{"expired", expire, nil, []error{election.ErrLost, gazoo.ErrSessionExpired}},
		{"expired and failed", expire, broken, []error{election.ErrLost, gazoo.ErrSessionExpired, broken}},
		{"deleted", remove, nil, []error{election.ErrLost}},
		{"resigned", resign, nil, nil},
		{"resigned and failed", resign, broken, []error{broken}},
		{"handed over", handOver, nil, nil},
		{"handed over and failed", handOver, broken, []error{broken}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				e := candidate(t, recipetest.Client(t, srv), "/e", "one")
				err := e.Run(t.Context(), func(_ context.Context, l *election.Leadership) error {
					go candidate(t, recipetest.Client(t, srv), "/e", "two").Run(t.Context(), func(ctx context.Context, _ *election.Leadership) error {
						<-ctx.Done()
						return nil
					})
					wait(t, e, "one", "two")
					tt.do(t, srv, l)
					return tt.fn
				})
				if (err == nil) != (len(tt.want) == 0) {
					t.Errorf("Run: %v, want %v", err, tt.want)
				}
				for _, want := range tt.want {
					if !errors.Is(err, want) {
						t.Errorf("Run: %v, want also %v", err, want)
					}
				}
				if lost := errors.Is(err, election.ErrLost); lost != slices.Contains(tt.want, election.ErrLost) {
					t.Errorf("Run: %v: lost %v", err, lost)
				}
			})
		})
	}
}

// The program decides when to campaign again, and by what.
func TestRequeueIf(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		broken := errors.New("broken")
		var told []error
		e := candidate(t, recipetest.Client(t, srv), "/e", "one", election.WithRequeueIf(func(err error) bool {
			told = append(told, err)
			return len(told) < 3
		}))
		err := e.Run(t.Context(), func(context.Context, *election.Leadership) error { return broken })
		if err != broken || len(told) != 3 || told[0] != broken {
			t.Errorf("Run: %v, having asked about %v, want it to go on until told not to", err, told)
		}
	})
}

// A candidate that may wait in one session only campaigns in no other, neither by Run nor by a latch.
func TestOneSession(t *testing.T) {
	for _, leads := range []bool{true, false} {
		name := map[bool]string{true: "leading", false: "waiting"}[leads]
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				if !leads {
					elected(t, campaign(t.Context(), candidate(t, recipetest.Client(t, srv), "/e", "first")))
				}
				zk := recipetest.Client(t, srv)
				e := candidate(t, zk, "/e", "one", election.WithOneSession(), election.WithRequeue())
				ran := make(chan error, 1)
				go func() {
					ran <- e.Run(t.Context(), func(ctx context.Context, _ *election.Leadership) error {
						<-ctx.Done()
						return nil
					})
				}()
				synctest.Wait()
				latch := e.Start()
				synctest.Wait()
				srv.ExpireSession(zk.SessionID())
				if err := <-ran; !gazoo.SessionLost(err) && !errors.Is(err, gazoo.ErrSessionOver) {
					t.Errorf("Run: %v, want the end of the session", err)
				}
				if _, err := latch.Await(t.Context()); !gazoo.SessionLost(err) && !errors.Is(err, gazoo.ErrSessionOver) {
					t.Errorf("Await: %v, want the end of the session", err)
				}
				must(t, latch.Close(t.Context()))
			})
		})
	}
}

// A latch that leads in one session only ends with it.
func TestLatchOfOneSession(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		latch := candidate(t, zk, "/e", "one", election.WithOneSession()).Start()
		l, err := latch.Await(t.Context())
		must(t, err)
		srv.ExpireSession(zk.SessionID())
		<-l.Context().Done()
		if _, err := latch.Await(t.Context()); !gazoo.SessionLost(err) {
			t.Errorf("Await: %v, want the end of the session", err)
		}
		must(t, latch.Close(t.Context()))
	})
}

// The end of the context is the end of the function's, and the leadership is given up.
func TestRunIsCanceled(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		e := candidate(t, recipetest.Client(t, srv), "/e", "one", election.WithRequeue())
		stop := errors.New("stop")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(stop) })
		var cause error
		err := e.Run(ctx, func(ctx context.Context, _ *election.Leadership) error {
			<-ctx.Done()
			cause = context.Cause(ctx)
			return nil
		})
		if err != nil || cause != stop {
			t.Errorf("Run: %v, the function was told %v; want no error, and the cause", err, cause)
		}
		wait(t, e)
	})
}
