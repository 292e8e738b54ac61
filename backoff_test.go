package gazoo_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
)

// dialTimes makes the network record when it is dialled, as time since now.
func (w *world) dialTimes() func() []time.Duration {
	var mu sync.Mutex
	var times []time.Duration
	begin := time.Now()
	w.net.SetDialHook(func(context.Context, string) error {
		mu.Lock()
		defer mu.Unlock()
		times = append(times, time.Since(begin))
		return nil
	})
	return func() []time.Duration {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(times)
	}
}

func TestFirstFailureTriesTheNextHostAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		b := &peer.Basic{}
		a := w.serve("a:2181", b.Handle)
		zk := w.connect("a,b,c")
		w.serve("c:2181", b.Handle)
		times := w.dialTimes()
		a.Close()
		synctest.Wait()
		if got := times(); !slices.Equal(got, []time.Duration{0, 0}) || zk.Server() != "c:2181" {
			t.Errorf("dialled at %v, on %q, want b and c tried without a pause", got, zk.Server())
		}
	})
}

func TestDialRateWhileRefused(t *testing.T) {
	for _, tc := range []struct {
		name      string
		connected bool // before
		hosts     string
		most      int // dials in a minute
	}{
		{"one host", false, "a", 35},
		{"three hosts", false, "a,b,c", 3 * 35},
		{"one host, with a session to save", true, "a", 60},
		{"three hosts, with a session to save", true, "a,b,c", 3 * 60},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				var srv *peer.Server
				if tc.connected {
					srv = w.serve("a:2181", (&peer.Basic{}).Handle)
				}
				var times func() []time.Duration
				if tc.connected {
					w.connect(tc.hosts)
					times = w.dialTimes()
					srv.Close()
				} else {
					times = w.dialTimes()
					w.client(tc.hosts)
				}
				time.Sleep(time.Minute)
				got := times()
				if len(got) > tc.most || len(got) < 15 {
					t.Errorf("%d dials in a minute, want between 15 and %d: %v", len(got), tc.most, got)
				}
				// Late rounds are as far apart as the policy says.
				last := got[len(got)-1]
				if idle := time.Minute - last; idle > 3*time.Second {
					t.Errorf("last dial at %v, want none of the pauses above 3s", last)
				}
			})
		})
	}
}

// A fleet that lost its servers together does not come back in step.
func TestBackoffHasJitter(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		second := map[time.Duration]bool{}
		for range 10 {
			times := w.dialTimes()
			zk := w.client("a")
			time.Sleep(time.Second)
			got := times()
			if len(got) < 2 || got[1] < 50*time.Millisecond || got[1] > 150*time.Millisecond {
				t.Fatalf("dials at %v, want the second after 50 to 150ms", got)
			}
			second[got[1]] = true
			must(t, zk.Close())
		}
		if len(second) < 2 {
			t.Errorf("ten clients all dialled again after %v", second)
		}
	})
}

func TestConnectRetryPolicyRules(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		times := w.dialTimes()
		w.client("a,b", gazoo.WithConnectRetry(gazoo.RetryForever(7*time.Second)))
		time.Sleep(20 * time.Second)
		if got, want := times(), []time.Duration{0, 0, 7 * time.Second, 7 * time.Second, 14 * time.Second, 14 * time.Second}; !slices.Equal(got, want) {
			t.Errorf("dialled at %v, want %v", got, want)
		}
	})
}

func TestExhaustedConnectRetryEndsTheClient(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		b := &peer.Basic{}
		srv := w.serve("a:2181", b.Handle)
		zk := w.connect("a", gazoo.WithSessionTimeout(time.Hour), gazoo.WithConnectRetry(gazoo.RetryNTimes(2, time.Second)))
		session, changes := zk.Session(), changesOf(zk)
		_, _, watch, err := zk.GetW(t.Context(), "/w")
		must(t, err)
		// Each loss begins the count anew.
		for range 3 {
			srv.Close()
			synctest.Wait()
			time.Sleep(1500 * time.Millisecond)
			srv = w.serve("a:2181", b.Handle)
			w.waitState(zk, gazoo.StateConnected, time.Second)
		}
		times := w.dialTimes()
		srv.Close()
		synctest.Wait()
		begin := time.Now()
		_, _, err = zk.Get(t.Context(), "/")
		var retry *gazoo.RetryError
		if !errors.As(err, &retry) || retry.Tries != 3 || retry.Elapsed != 2*time.Second || !errors.Is(err, gazoo.ErrClosed) || !gazoo.WasNotSent(err) {
			t.Errorf("a waiting call: %v, want a *RetryError of 3 tries that matches ErrClosed, not sent", err)
		}
		if d := time.Since(begin); d != 2*time.Second || len(times()) != 3 {
			t.Errorf("ended after %v and %d dials, want 3 in 2s", d, len(times()))
		}
		synctest.Wait()
		got := changes()
		if want := "suspended connected+resumed suspended connected+resumed suspended connected+resumed suspended lost"; outline(got) != want || got[len(got)-1].Keeper != gazoo.KeeperClosed {
			t.Errorf("states %q, want %q and closed", outline(got), want)
		}
		if _, err := watch.Wait(t.Context()); !errors.Is(err, gazoo.ErrClosed) {
			t.Errorf("watch ended with %v, want ErrClosed", err)
		}
		if !errors.As(session.Err(), &retry) || !errors.As(context.Cause(zk.Context()), &retry) {
			t.Errorf("session ended with %v, client with %v, want the *RetryError", session.Err(), context.Cause(zk.Context()))
		}
		time.Sleep(time.Hour)
		if n := len(times()); n != 3 {
			t.Errorf("%d dials, want none after the end", n)
		}
		must(t, zk.Close())
	})
}

func TestConnectionIsFoundSoonerThanTheSessionEnds(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		b := &peer.Basic{}
		srv := w.serve("a:2181", b.Handle)
		// The policy's pauses alone would sleep the session away.
		zk := w.connect("a", gazoo.WithSessionTimeout(10*time.Second), gazoo.WithConnectRetry(gazoo.RetryForever(time.Hour)))
		id := zk.SessionID()
		srv.Close()
		time.Sleep(6 * time.Second)
		w.serve("a:2181", b.Handle)
		w.waitState(zk, gazoo.StateConnected, time.Second)
		if zk.SessionID() != id {
			t.Errorf("session %x, want %x kept", zk.SessionID(), id)
		}
	})
}
