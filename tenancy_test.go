package gazoo_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// A process that was stopped for most of the time-out, while its connection stayed up, must not
// go on as if nothing had been: what it held is presumed lost, and the session is asked for
// again.
func TestPausedProcessPresumesExpiryAndResumes(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		b := &peer.Basic{Answer: func(c *peer.Conn, req peer.Request) bool { return req.Header.Op == zkproto.OpSync }}
		w.serve("a:2181", b.Handle)
		zk := w.connect("a", gazoo.WithSessionTimeout(10*time.Second))
		held, id := zk.Session(), zk.SessionID()
		var states []gazoo.State
		zk.AddListener(func(ch gazoo.StateChange) bool {
			states = append(states, ch.To)
			return false
		})
		stuck := zk.Async().Sync(t.Context(), "/")
		synctest.Wait()
		zk.PauseManager(9500 * time.Millisecond)
		synctest.Wait()
		if want := []gazoo.State{gazoo.StateSuspended, gazoo.StateLost, gazoo.StateConnected}; !slices.Equal(states, want) {
			t.Errorf("states after the pause: %v, want %v", states, want)
		}
		if held.Tenancy().Err() == nil || held.Context().Err() != nil {
			t.Errorf("tenancy %v, context %v: want the tenancy ended and the session not", held.Tenancy().Err(), held.Context().Err())
		}
		if zk.SessionID() != id || zk.Session() == held {
			t.Errorf("session %x, want %x resumed under a new handle", zk.SessionID(), id)
		}
		if _, err := stuck.Wait(t.Context()); !errors.Is(err, gazoo.ErrConnectionLoss) {
			t.Errorf("call in flight during the pause: %v, want ErrConnectionLoss", err)
		}
		if _, _, err := zk.Get(t.Context(), "/"); err != nil {
			t.Errorf("Get after the pause: %v", err)
		}
	})
}

func TestThereIsNoSessionBeforeAndAfterOne(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		b := &peer.Basic{}
		zk := w.client("a")
		if s := zk.Session(); s != nil || zk.SessionID() != 0 || zk.SessionTimeout() != 0 {
			t.Errorf("before the first connection: %v", s)
		}
		if _, _, err := zk.InSession(zk.Session()).Get(t.Context(), "/"); !errors.Is(err, gazoo.ErrSessionOver) {
			t.Errorf("Get in no session: %v, want ErrSessionOver", err)
		}
		srv := w.serve("a:2181", b.Handle)
		w.waitState(zk, gazoo.StateConnected, time.Minute)
		first := zk.Session()
		srv.Close()
		b.Expire(first.ID())
		w.waitState(zk, gazoo.StateSuspended, time.Minute)
		if zk.Session() != first {
			t.Error("the session is forgotten at a lost connection")
		}
		w.serve("a:2181", (&peer.Basic{Connect: func(c *peer.Conn, req zkproto.ConnectRequest) bool {
			if req.SessionID != 0 {
				c.Refuse()
				return true
			}
			<-c.Done() // the new session has to wait
			return true
		}}).Handle)
		w.waitState(zk, gazoo.StateLost, time.Minute)
		if s := zk.Session(); s != nil || first.Context().Err() == nil {
			t.Errorf("after expiry: %v, context %v", s, first.Context().Err())
		}
		zk.CloseNow()
		if s := zk.Session(); s != nil {
			t.Errorf("after Close: %v", s)
		}
	})
}

func TestRetryInSessionRepeatsTheWholeInTheNextSession(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181")
		zk := w.connect("a")
		first := zk.SessionID()
		var seen []int64
		err := zk.RetryInSession(t.Context(), func(ctx context.Context, view *gazoo.Client) error {
			seen = append(seen, view.SessionID())
			if _, err := view.Create(ctx, "/mine", nil, gazoo.Ephemeral()); err != nil {
				return err
			}
			if len(seen) == 1 {
				tree.expire(first)
				w.waitState(zk, gazoo.StateLost, time.Minute)
				w.waitState(zk, gazoo.StateConnected, time.Minute)
			}
			_, _, err := view.Get(ctx, "/mine")
			return err
		})
		must(t, err)
		if len(seen) != 2 || seen[0] != first || seen[1] == first {
			t.Errorf("ran in sessions %x, want once in %x and once in the next", seen, first)
		}
		stat, _, err := zk.Exists(t.Context(), "/mine")
		must(t, err)
		if stat.EphemeralOwner != zk.SessionID() {
			t.Errorf("owner %x, want the present session %x", stat.EphemeralOwner, zk.SessionID())
		}
	})
}

// TestSessionIsUsableOnceItIsSeen makes a bound call at the first moment at which anybody can know of a new session: while
// the client still goes about making its connection the one in use, which is when it logs.
func TestSessionIsUsableOnceItIsSeen(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181")
		var zk *gazoo.Client
		var early gazoo.Future[gazoo.Created]
		seen := 0
		log := slog.New(onRecord(func(r slog.Record) {
			if r.Message == "connected" && zk != nil {
				seen++
				early = zk.InSession(zk.Session()).Async().Create(t.Context(), "/early", nil)
			}
		}))
		zk = w.connect("a", gazoo.WithLogger(log))
		tree.expire(zk.SessionID())
		synctest.Wait()
		w.waitState(zk, gazoo.StateConnected, time.Minute)
		if seen != 1 {
			t.Fatalf("%d connects were logged, want 1", seen)
		}
		if _, err := early.Wait(t.Context()); err != nil {
			t.Errorf("Create in the session just seen: %v", err)
		}
	})
}

// onRecord is a log handler that calls a function.
type onRecord func(slog.Record)

func (onRecord) Enabled(context.Context, slog.Level) bool        { return true }
func (f onRecord) Handle(_ context.Context, r slog.Record) error { f(r); return nil }
func (f onRecord) WithAttrs([]slog.Attr) slog.Handler            { return f }
func (f onRecord) WithGroup(string) slog.Handler                 { return f }

// A process that was stopped for longer than its session may be relied on asks for something in that session, before the
// client's own timer has run: it is not sent.
func TestBoundCallReadsTheClock(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181")
		zk := w.connect("a", gazoo.WithSessionTimeout(10*time.Second))
		held := zk.Session()
		go zk.PauseManager(9500 * time.Millisecond)
		time.Sleep(9200 * time.Millisecond)
		if held.Tenancy().Err() != nil || held.Err() == nil {
			t.Fatalf("tenancy %v, session %v: want the clock alone to know", held.Tenancy().Err(), held.Err())
		}
		before := len(tree.sentAll())
		_, err := zk.InSession(held).Create(t.Context(), "/late", nil)
		if !errors.Is(err, gazoo.ErrSessionOver) || !errors.Is(err, gazoo.ErrSessionPresumed) || !gazoo.WasNotSent(err) {
			t.Errorf("Create = %v, want ErrSessionOver for ErrSessionPresumed, not sent", err)
		}
		if n := len(tree.sentAll()) - before; n != 0 {
			t.Errorf("%d requests were sent", n)
		}
	})
}
