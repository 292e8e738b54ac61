package gazoo_test

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/memnet"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

func TestPingsKeepAnIdleSessionAlive(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		pings := 0
		b := &peer.Basic{Answer: func(c *peer.Conn, req peer.Request) bool {
			if req.Header.Op == zkproto.OpPing {
				pings++
			}
			return false
		}}
		w.serve("a:2181", b.Handle)
		zk := w.connect("a", gazoo.WithSessionTimeout(9*time.Second))
		id := zk.SessionID()
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if zk.State() != gazoo.StateConnected || zk.SessionID() != id {
			t.Errorf("after a day of idling: state %v, session %x, want connected in session %x", zk.State(), zk.SessionID(), id)
		}
		if want := int(24 * time.Hour / (3 * time.Second)); pings < want-1 || pings > want+1 {
			t.Errorf("%d pings in a day, want one per third of the time-out: %d", pings, want)
		}
	})
}

// heartbeats makes a Basic that records when pings arrive, counted from now.
func heartbeats(begin time.Time, b *peer.Basic) func() []time.Duration {
	ch := make(chan time.Duration, 10000)
	answer := b.Answer
	b.Answer = func(c *peer.Conn, req peer.Request) bool {
		if req.Header.Op == zkproto.OpPing {
			ch <- time.Since(begin)
		}
		return answer != nil && answer(c, req)
	}
	return func() []time.Duration {
		synctest.Wait()
		var all []time.Duration
		for len(ch) > 0 {
			all = append(all, <-ch)
		}
		return all
	}
}

func TestRequestsCountAsHeartbeats(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		b := &peer.Basic{}
		pings := heartbeats(time.Now(), b)
		w.serve("a:2181", b.Handle)
		zk := w.connect("a", gazoo.WithSessionTimeout(9*time.Second))
		time.Sleep(10 * time.Second)
		if got, want := pings(), []time.Duration{3 * time.Second, 6 * time.Second, 9 * time.Second}; !slices.Equal(got, want) {
			t.Errorf("idle: pings at %v, want %v", got, want)
		}
		for range 100 {
			_, _, err := zk.Get(t.Context(), "/")
			must(t, err)
			time.Sleep(2900 * time.Millisecond)
		}
		if got := pings(); len(got) > 0 {
			t.Errorf("a request every 2.9s: pings at %v, want none", got)
		}
	})
}

func TestUnansweredPingDropsTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		b := &peer.Basic{}
		w.serve("a:2181", b.Handle)
		w.serve("b:2181", b.Handle)
		zk := w.connect("a,b", gazoo.WithSessionTimeout(9*time.Second))
		changes, id := changesOf(zk), zk.SessionID()
		_, _, err := zk.Get(t.Context(), "/")
		must(t, err)
		w.net.Conns()[0].Stall(memnet.Both)
		time.Sleep(time.Second)
		zk.Async().Sync(t.Context(), "/") // so that no ping is due at the very moment
		time.Sleep(5*time.Second - 1)
		synctest.Wait()
		if zk.State() != gazoo.StateConnected || zk.Server() != "a:2181" {
			t.Errorf("before two thirds of the time-out: %v to %q, want connected to a:2181", zk.State(), zk.Server())
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		got := changes()
		if outline(got) != "suspended connected+resumed" || zk.Server() != "b:2181" || zk.SessionID() != id {
			t.Errorf("at two thirds: states %q, on %q in session %x, want it moved to b:2181 in %x", outline(got), zk.Server(), zk.SessionID(), id)
		}
		if len(got) > 0 && !strings.Contains(got[0].Err.Error(), "no answer for two thirds") {
			t.Errorf("suspended because of %v, want the silence named", got[0].Err)
		}
	})
}

func TestSessionIsPresumedExpiredAtNineTenths(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		b := &peer.Basic{Answer: func(_ *peer.Conn, req peer.Request) bool {
			time.Sleep(2 * time.Second) // answers come late, and the time counts from the request
			return false
		}}
		srv := w.serve("a:2181", b.Handle)
		zk := w.connect("a", gazoo.WithSessionTimeout(10*time.Second))
		session, changes := zk.Session(), changesOf(zk)
		time.Sleep(time.Second)
		sent := time.Now()
		_, _, err := zk.Get(t.Context(), "/")
		must(t, err)
		srv.Close()
		<-session.Tenancy().Done()
		if d := time.Since(sent); d != 9*time.Second {
			t.Errorf("tenancy ended %v after the last answered request was sent, want 9s", d)
		}
		if cause := context.Cause(session.Tenancy()); cause != gazoo.ErrSessionPresumed || session.Err() != cause {
			t.Errorf("tenancy ended with %v, Err() = %v, want ErrSessionPresumed", cause, session.Err())
		}
		if session.Context().Err() != nil || zk.Session() != session {
			t.Error("the session's context ended although no server has said so")
		}
		synctest.Wait()
		got := changes()
		if outline(got) != "suspended lost" || !errors.Is(got[1].Err, gazoo.ErrSessionPresumed) || got[1].Keeper != gazoo.KeeperConnecting {
			t.Errorf("states %q, last change %+v, want suspended, lost for ErrSessionPresumed", outline(got), got[len(got)-1])
		}
	})
}

// A leaderless ensemble expires nobody: whoever gave its sessions up would deregister a fleet.
func TestOutageDoesNotCostTheSession(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var leaderless atomic.Bool
		b := &peer.Basic{Connect: func(*peer.Conn, zkproto.ConnectRequest) bool { return leaderless.Load() }}
		a := w.serve("a:2181", b.Handle)
		w.serve("b:2181", b.Handle)
		zk := w.connect("a,b", gazoo.WithSessionTimeout(10*time.Second))
		b.SetZxid(0x500)
		_, _, watch, err := zk.GetW(t.Context(), "/w")
		must(t, err)
		old, changes := zk.Session(), changesOf(zk)
		view := zk.InSession(old)
		leaderless.Store(true)
		a.CloseConns()
		synctest.Wait()
		failed := make(chan error, 1)
		go func() {
			_, _, err := zk.Get(context.Background(), "/")
			failed <- err
		}()
		if err := <-failed; !errors.Is(err, gazoo.ErrSessionPresumed) || !gazoo.WasNotSent(err) || !gazoo.SessionLost(err) {
			t.Errorf("a call that waited: %v, want ErrSessionPresumed, not sent", err)
		}
		if _, err := watch.Wait(t.Context()); !errors.Is(err, gazoo.ErrSessionPresumed) {
			t.Errorf("one-shot watch ended with %v, want ErrSessionPresumed", err)
		}
		time.Sleep(time.Hour)
		leaderless.Store(false)
		w.waitState(zk, gazoo.StateConnected, 10*time.Second)
		synctest.Wait()
		got := changes()
		if want := "suspended lost connected+resumed"; outline(got) != want {
			t.Errorf("states %q, want %q", outline(got), want)
		}
		if zk.SessionID() != old.ID() || old.Context().Err() != nil {
			t.Errorf("session %x, old context %v, want %x to go on", zk.SessionID(), old.Context().Err(), old.ID())
		}
		if zk.Session() == old || zk.Session().Err() != nil || old.Err() != gazoo.ErrSessionPresumed {
			t.Errorf("new handle's Err() = %v, old one's %v, want a new tenancy and the old one ended", zk.Session().Err(), old.Err())
		}
		if zk.LastZxid() != 0x500 {
			t.Errorf("LastZxid() = %#x, want 0x500: the history is as it was", zk.LastZxid())
		}
		if _, _, err := view.Get(t.Context(), "/"); !errors.Is(err, gazoo.ErrSessionOver) {
			t.Errorf("a call bound to the ended tenancy: %v, want ErrSessionOver", err)
		}
	})
}

func TestEndlessConnecting(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		const timeout = 4 * time.Second
		b := &peer.Basic{}
		w.serve("a:2181", b.Handle)
		zk := w.connect("a", gazoo.WithSessionTimeout(timeout))
		old, changes := zk.Session(), changesOf(zk)
		var reachable atomic.Bool
		w.net.SetDialHook(func(ctx context.Context, _ string) error {
			if !reachable.Load() {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		begin := time.Now()
		w.net.Conns()[0].Cut()
		synctest.Wait()
		if zk.State() != gazoo.StateSuspended {
			t.Errorf("state %v at once, want suspended", zk.State())
		}
		for time.Since(begin) < 3*timeout {
			called := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, _, err := zk.Get(ctx, "/")
			cancel()
			if d := time.Since(called); d > time.Second || err == nil || !gazoo.WasNotSent(err) {
				t.Fatalf("Get with a deadline of 1s returned after %v: %v", d, err)
			}
		}
		b.Expire(old.ID())
		reachable.Store(true)
		w.waitState(zk, gazoo.StateConnected, 2*timeout)
		synctest.Wait()
		if got := changes(); outline(got) != "suspended lost connected+new" {
			t.Errorf("states %q, want suspended, lost once, a new session", outline(got))
		}
		if cause := context.Cause(old.Context()); cause != gazoo.ErrSessionExpired {
			t.Errorf("old session ended with %v, want ErrSessionExpired", cause)
		}
	})
}

// behind closes without a word on clients that have seen more than the server.
func behind(b *peer.Basic, seen *[]int64) func(*peer.Conn, zkproto.ConnectRequest) bool {
	return func(_ *peer.Conn, req zkproto.ConnectRequest) bool {
		*seen = append(*seen, req.LastZxidSeen)
		return req.LastZxidSeen > b.Zxid()
	}
}

func TestWipedServer(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		const timeout = 10 * time.Second
		full := &peer.Basic{}
		srv := w.serve("a:2181", full.Handle)
		zk := w.connect("a", gazoo.WithSessionTimeout(timeout))
		full.SetZxid(0x900)
		_, _, err := zk.Get(t.Context(), "/")
		must(t, err)
		old, changes := zk.Session(), changesOf(zk)
		srv.Close()
		synctest.Wait()
		var seen []int64
		empty := &peer.Basic{}
		empty.Connect = behind(empty, &seen)
		w.serve("a:2181", empty.Handle)
		begin := time.Now()
		w.waitState(zk, gazoo.StateConnected, time.Minute)
		synctest.Wait()
		if d := time.Since(begin); d > 3*timeout {
			t.Errorf("a new session after %v, want it within %v", d, 3*timeout)
		}
		if got := changes(); outline(got) != "suspended lost connected+new+history lost" {
			t.Errorf("states %q, want the lost history announced", outline(got))
		}
		if context.Cause(old.Context()) != gazoo.ErrSessionExpired {
			t.Errorf("old session ended with %v, want ErrSessionExpired", context.Cause(old.Context()))
		}
		if got, want := zk.LastZxid(), empty.Zxid(); got != want {
			t.Errorf("LastZxid() = %#x, want %#x, the new history's", got, want)
		}
		if n := len(seen); n > 40 || seen[n-2] != 0 || seen[n-1] != 0 {
			t.Errorf("zxids offered: %#x, want a bounded number, 0 to the refused session and the new one", seen)
		}
		for i, z := range seen[:len(seen)-2] {
			if z != 0x900 {
				t.Errorf("zxid %#x offered at try %d, want 0x900", z, i)
			}
		}
	})
}

func TestRestoredServer(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		b := &peer.Basic{}
		srv := w.serve("a:2181", b.Handle)
		zk := w.connect("a", gazoo.WithSessionTimeout(10*time.Second))
		b.SetZxid(0x900)
		_, _, err := zk.Get(t.Context(), "/")
		must(t, err)
		id, changes := zk.SessionID(), changesOf(zk)
		var seen []int64
		b.SetZxid(0x100) // a backup that knows the session
		srv.Close()
		synctest.Wait()
		b.Connect = behind(b, &seen)
		w.serve("a:2181", b.Handle)
		w.waitState(zk, gazoo.StateConnected, time.Minute)
		synctest.Wait()
		if got := changes(); outline(got) != "suspended lost connected+resumed+history lost" || zk.SessionID() != id {
			t.Errorf("states %q, session %x, want %x resumed and the lost history announced", outline(got), zk.SessionID(), id)
		}
		if zk.LastZxid() != 0x100 {
			t.Errorf("LastZxid() = %#x, want 0x100", zk.LastZxid())
		}
	})
}

// The server sends watch events but answers nothing any more: bytes come in, and no proof that
// the session lives.
func TestEventsAreNoProofOfLife(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var mute atomic.Bool
		b := &peer.Basic{Answer: func(c *peer.Conn, req peer.Request) bool { return mute.Load() }}
		srv := w.serve("a:2181", b.Handle)
		zk := w.connect("a", gazoo.WithSessionTimeout(10*time.Second))
		session, changes := zk.Session(), changesOf(zk)
		mute.Store(true)
		sent := time.Now()
		go func() {
			c := srv.Conns()[0]
			for range 15 {
				c.Event(zkproto.EventDataChanged, "/w", -1)
				time.Sleep(time.Second)
			}
		}()
		_, err := zk.Set(t.Context(), "/", nil, gazoo.AnyVersion)
		if !errors.Is(err, gazoo.ErrConnectionLoss) || !errors.Is(err, gazoo.ErrSessionPresumed) || !gazoo.MaybeApplied(err) {
			t.Errorf("a call in flight: %v, want a connection loss, may have been applied", err)
		}
		if d := time.Since(sent); d != 9*time.Second || session.Err() != gazoo.ErrSessionPresumed {
			t.Errorf("after %v: Err() = %v, want ErrSessionPresumed after 9s", d, session.Err())
		}
		mute.Store(false)
		_, _, err = zk.Get(t.Context(), "/")
		must(t, err)
		synctest.Wait()
		if got, want := outline(changes()), "suspended lost connected+resumed"; got != want {
			t.Errorf("states %q, want %q", got, want)
		}
		time.Sleep(10 * time.Second) // until the events have ended
	})
}

func TestExpiryInAnAnswerDropsTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		b := &peer.Basic{}
		b.Connect = func(c *peer.Conn, req zkproto.ConnectRequest) bool {
			if req.SessionID != 0 {
				c.Refuse()
			}
			return req.SessionID != 0
		}
		b.Answer = func(c *peer.Conn, req peer.Request) bool {
			if req.Header.Op != zkproto.OpSync {
				return false
			}
			c.Reply(req.Header.Xid, 5, zkproto.ErrSessionExpired, nil)
			return true
		}
		w.serve("a:2181", b.Handle)
		zk := w.connect("a")
		old := zk.Session()
		if err := zk.Sync(t.Context(), "/"); !errors.Is(err, gazoo.ErrSessionExpired) {
			t.Errorf("Sync: %v, want ErrSessionExpired", err)
		}
		synctest.Wait()
		_, _, err := zk.Get(t.Context(), "/")
		must(t, err)
		if zk.SessionID() == old.ID() || context.Cause(old.Context()) != gazoo.ErrSessionExpired {
			t.Errorf("session %x goes on after the server's word that it expired", zk.SessionID())
		}
	})
}

func TestClosePresumed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		b := &peer.Basic{}
		slow := make(chan struct{})
		b.Connect = func(_ *peer.Conn, req zkproto.ConnectRequest) bool {
			if req.SessionID != 0 {
				<-slow // the session is taken up again when it was given up already
			}
			return false
		}
		srv := w.serve("a:2181", b.Handle)
		zk := w.connect("a", gazoo.WithSessionTimeout(10*time.Second), gazoo.WithClosePresumed())
		old, changes := zk.Session(), changesOf(zk)
		srv.Close()
		time.Sleep(8500 * time.Millisecond)
		w.serve("a:2181", b.Handle) // so that an attempt runs when the time is over
		<-old.Context().Done()
		if cause := context.Cause(old.Context()); cause != gazoo.ErrSessionPresumed || zk.Session() != nil {
			t.Errorf("context ended with %v, Session() = %v, want ErrSessionPresumed and none", cause, zk.Session())
		}
		close(slow)
		w.waitState(zk, gazoo.StateConnected, time.Minute)
		synctest.Wait()
		if got, want := outline(changes()), "suspended lost connected+new"; got != want || zk.SessionID() == old.ID() {
			t.Errorf("states %q, session %x, want %q and another one than %x", got, zk.SessionID(), want, old.ID())
		}
	})
}

func TestServerMayGrantAnotherTimeoutAtAResume(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := &peer.Basic{Timeout: 4 * time.Second}
		srv := w.serve("a:2181", a.Handle)
		zk := w.connect("a", gazoo.WithSessionTimeout(time.Hour))
		session := zk.Session()
		if session.Timeout() != 4*time.Second || zk.SessionTimeout() != 4*time.Second {
			t.Errorf("time-out %v, want the 4s granted", session.Timeout())
		}
		var readers sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		readers.Go(func() {
			for ctx.Err() == nil {
				session.Timeout()
				time.Sleep(time.Millisecond)
			}
		})
		srv.Close()
		synctest.Wait()
		a.Timeout = 6 * time.Second
		w.serve("a:2181", a.Handle)
		w.waitState(zk, gazoo.StateConnected, 4*time.Second)
		time.Sleep(time.Second)
		cancel()
		readers.Wait()
		if session.Timeout() != 6*time.Second || session.Err() != nil {
			t.Errorf("after the resume: time-out %v, Err %v, want 6s", session.Timeout(), session.Err())
		}
	})
}

func TestSavedSessionIsTakenOver(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		b := &peer.Basic{}
		w.serve("a:2181", b.Handle)
		first := w.connect("a", gazoo.WithSessionTimeout(7*time.Second))
		b.SetZxid(0x77)
		_, _, err := first.Get(t.Context(), "/")
		must(t, err)
		session := first.Session()
		saved, err := first.Detach(t.Context())
		must(t, err)
		<-first.Done()
		if !b.Alive(saved.ID) || context.Cause(session.Context()) != gazoo.ErrDetached {
			t.Errorf("after Detach: session alive %v, ended here with %v, want alive and ErrDetached", b.Alive(saved.ID), context.Cause(session.Context()))
		}
		if saved.ID != session.ID() || saved.Timeout != 7*time.Second || saved.LastZxid != 0x77 || len(saved.Password) != 16 {
			t.Errorf("saved %v of %v", saved, session)
		}
		text, err := saved.MarshalText()
		must(t, err)
		var copied gazoo.SavedSession
		must(t, copied.UnmarshalText(text))
		time.Sleep(5 * time.Second)
		var r record
		second := w.client("a", gazoo.WithSession(copied), gazoo.WithHook(&r))
		w.waitState(second, gazoo.StateConnected, time.Second)
		synctest.Wait()
		if second.SessionID() != saved.ID || outline(r.changes()) != "connected+first+resumed" || second.LastZxid() != 0x77 {
			t.Errorf("taken over: session %x, %q, zxid %#x, want %x resumed", second.SessionID(), outline(r.changes()), second.LastZxid(), saved.ID)
		}
		if _, err := first.Detach(t.Context()); err == nil {
			t.Error("second Detach succeeded")
		}
	})
}

func TestRefusedTakeoverIsAnExpiry(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.serve("a:2181", (&peer.Basic{}).Handle)
		var r record
		zk := w.client("a", gazoo.WithSession(gazoo.SavedSession{ID: 0x1234, Password: []byte("0123456789abcdef")}), gazoo.WithHook(&r))
		w.waitState(zk, gazoo.StateConnected, time.Second)
		synctest.Wait()
		if outline(r.changes()) != "connected+first+new" || zk.SessionID() == 0x1234 {
			t.Errorf("states %q in session %x, want a new session", outline(r.changes()), zk.SessionID())
		}
	})
}

func TestDetachNeedsASession(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		zk := w.client("nowhere")
		if saved, err := zk.Detach(t.Context()); err == nil {
			t.Errorf("Detach without a session = %v", saved)
		}
		if zk.Session() != nil || zk.SessionID() != 0 || zk.SessionTimeout() != 0 {
			t.Errorf("before the first connection: %v, %x, %v", zk.Session(), zk.SessionID(), zk.SessionTimeout())
		}
		if _, _, err := zk.InSession(zk.Session()).Get(t.Context(), "/"); !errors.Is(err, gazoo.ErrSessionOver) {
			t.Errorf("a call bound to no session: %v, want ErrSessionOver", err)
		}
	})
}

func TestSavedSessionText(t *testing.T) {
	var _ encoding.TextMarshaler = gazoo.SavedSession{}
	want := gazoo.SavedSession{ID: -0x7edcba9876543210, Password: []byte("s3cret s3cret 16"), Timeout: 12345 * time.Millisecond, LastZxid: 0x100000002}
	text, err := want.MarshalText()
	must(t, err)
	var got gazoo.SavedSession
	if err := got.UnmarshalText(text); err != nil || got.ID != want.ID || string(got.Password) != string(want.Password) || got.Timeout != want.Timeout || got.LastZxid != want.LastZxid {
		t.Errorf("UnmarshalText(%q) = %+v, %v, want %v", text, got, err, want)
	}
	hexed := fmt.Sprintf("%x", want.Password)
	for _, bad := range []string{
		"", "v1", "v2 1 " + hexed + " 5 6", "v1 x " + hexed + " 5 6", "v1 1 " + hexed[1:] + " 5 6",
		"v1 1 " + hexed + " -5 6", "v1 1 " + hexed + " 5", "v1 1 " + hexed + " 5 6 7", "v1 1 " + hexed + " 5 g", "v1 10000000000000000 " + hexed + " 5 6",
	} {
		err := got.UnmarshalText([]byte(bad))
		if len(argumentErrors(err)) != 1 || strings.Contains(err.Error(), hexed[1:]) {
			t.Errorf("UnmarshalText(%q): %v, want an *ArgumentError without the password", bad, err)
		}
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("saved", "session", want)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("saved", "session", want)
	shown := fmt.Sprintf("%v %+v %#v %s %q %v", want, want, want, want, want, &want) + log.String()
	for _, secret := range []string{"s3cret", hexed, strings.ToUpper(hexed), fmt.Sprint(want.Password)} {
		if strings.Contains(shown, secret) {
			t.Errorf("the password shows as %q in:\n%s", secret, shown)
		}
	}
	if n := strings.Count(shown, "0x81234567"); n < 6 {
		t.Errorf("the id is missing in:\n%s", shown)
	}
}
