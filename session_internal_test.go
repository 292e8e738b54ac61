package gazoo

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo/internal/memnet"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// Ages take whichever clock advanced more: a sleeping machine stops one, an operator may set
// the other back.
func TestAgesTakeTheClockThatAdvancedMore(t *testing.T) {
	const s = int64(time.Second)
	for _, tc := range []struct {
		name       string
		mono, wall int64 // what each advanced by
		want       time.Duration
	}{
		{"both alike", 5 * s, 5 * s, 5 * time.Second},
		{"machine slept", 1 * s, 3600 * s, time.Hour},
		{"wall clock set back", 5 * s, -3600 * s, 5 * time.Second},
		{"wall clock set forward", 5 * s, 86400 * s, 24 * time.Hour},
	} {
		begin := stamp{1000, 1e18}
		if got := (stamp{begin.mono + tc.mono, begin.wall + tc.wall}).since(begin); got != tc.want {
			t.Errorf("%s: age %v, want %v", tc.name, got, tc.want)
		}
	}
	c := clock{time.Now()}
	if a, b := c.now(), c.now(); b.mono < a.mono || b.wall == 0 || a.mono > s {
		t.Errorf("clock gives %+v, then %+v", a, b)
	}
}

// Whoever has seen the end of a session's context finds the reason in Err, although the tenancy,
// which hangs on it, ends a moment later.
func TestErrKnowsTheEndOfTheContext(t *testing.T) {
	over, end := context.WithCancelCause(t.Context())
	end(ErrSessionExpired)
	s := &Session{life: &sessionLife{ctx: over}, tenancy: t.Context()}
	if err := s.Err(); err != ErrSessionExpired {
		t.Errorf("Err() = %v, want %v", err, ErrSessionExpired)
	}
}

// bubbleClient runs f with a client on a scripted server in a bubble.
func bubbleClient(t *testing.T, b *peer.Basic, f func(t *testing.T, zk *Client, conn *memnet.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		ln, err := network.Listen("a:2181")
		if err != nil {
			t.Fatal(err)
		}
		srv := peer.Serve(ln, b.Handle)
		zk, err := Connect(t.Context(), "a", WithDialer(network.Dial), WithSessionTimeout(9*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		f(t, zk, network.Conns()[0])
		if err := zk.CloseNow(); err != nil {
			t.Errorf("CloseNow: %v", err)
		}
		srv.Close()
	})
}

// A process that was stopped finds its timers late and the answers in the socket.
func TestPausedProcessDoesNotTakeALateTimerForSilence(t *testing.T) {
	bubbleClient(t, &peer.Basic{Answer: func(*peer.Conn, peer.Request) bool { return false }}, func(t *testing.T, zk *Client, conn *memnet.Conn) {
		sub := zk.SubscribeState()
		conn.Stall(memnet.Both)
		got := zk.Async().Exists(t.Context(), "/")
		const pause = 7 * time.Second // more than two thirds of the time-out, less than nine tenths
		time.AfterFunc(pause+time.Millisecond, func() { conn.Resume(memnet.Both) })
		zk.core.manager.do(func() { time.Sleep(pause) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := got.Wait(ctx); err != nil {
			t.Errorf("Exists over the pause: %v", err)
		}
		if ch, err := sub.Next(ctx); err == nil {
			t.Errorf("state changed to %v for %v, want the live connection kept", ch.To, ch.Err)
		}
	})
}

func TestSilenceBehindAPauseStillEndsTheConnection(t *testing.T) {
	bubbleClient(t, &peer.Basic{}, func(t *testing.T, zk *Client, conn *memnet.Conn) {
		sub := zk.SubscribeState()
		conn.Stall(memnet.Both)
		begin := time.Now()
		zk.Async().Exists(t.Context(), "/")
		zk.core.manager.do(func() { time.Sleep(6500 * time.Millisecond) })
		ch, err := sub.Next(t.Context())
		if d := time.Since(begin); err != nil || ch.To != StateSuspended || d > 8100*time.Millisecond {
			t.Errorf("%v after %v, %v, want suspended within 8.1s, nine tenths of the time-out", ch.To, d, err)
		}
	})
}

// Err does not wait for the manager's timer, which may not have run yet after a pause.
func TestSessionErrReadsTheClock(t *testing.T) {
	b := &peer.Basic{}
	bubbleClient(t, b, func(t *testing.T, zk *Client, conn *memnet.Conn) {
		session := zk.Session()
		conn.Stall(memnet.Both)
		var early, late error
		var held bool
		zk.core.manager.do(func() {
			time.Sleep(8*time.Second + 99*time.Millisecond)
			early = session.Err()
			time.Sleep(time.Millisecond)
			late, held = session.Err(), session.Tenancy().Err() == nil
		})
		if early != nil || late != ErrSessionPresumed || !held {
			t.Errorf("Err() = %v before nine tenths of 9s, %v at it (timer has run: %v), want nil and ErrSessionPresumed", early, late, !held)
		}
		synctest.Wait()
		if session.Err() != ErrSessionPresumed {
			t.Errorf("Err() = %v after the timer ran, want ErrSessionPresumed", session.Err())
		}
	})
}

func TestRequestNumbersWrap(t *testing.T) {
	var seen []int32
	b := &peer.Basic{Answer: func(_ *peer.Conn, req peer.Request) bool {
		if req.Header.Op == zkproto.OpExists {
			seen = append(seen, req.Header.Xid)
		}
		return false
	}}
	bubbleClient(t, b, func(t *testing.T, zk *Client, _ *memnet.Conn) {
		zk.core.send.mu.Lock()
		zk.core.send.xid = 1<<31 - 3
		zk.core.send.mu.Unlock()
		for range 4 {
			if _, _, err := zk.Exists(t.Context(), "/"); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		want := [...]int32{1<<31 - 2, 1<<31 - 1, 1, 2}
		if len(seen) != 4 || [4]int32(seen) != want {
			t.Errorf("requests numbered %d, want %d", seen, want)
		}
	})
}
