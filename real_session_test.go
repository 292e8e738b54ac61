package gazoo_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/internal/ensemble"
)

func TestTimeoutIsNegotiatedByServers(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		for ask, want := range map[time.Duration]time.Duration{
			500 * time.Millisecond: time.Second, // two ticks
			5 * time.Second:        5 * time.Second,
			time.Hour:              time.Minute,
		} {
			zk := connect(t, c.Hosts(), gazoo.WithSessionTimeout(ask))
			if got := zk.SessionTimeout(); got != want || zk.Session().Timeout() != want {
				t.Errorf("asked for %v, SessionTimeout = %v, want %v", ask, got, want)
			}
		}
	})
}

func TestSessionIsTakenOver(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 40*time.Second)
		observer := fresh(t, connect(t, c.Hosts()))
		first := connect(t, c.Hosts()+observer.Root())
		_, err := first.Create(ctx, "/eph", nil, gazoo.Ephemeral())
		must(t, err)
		id := first.SessionID()
		saved, err := first.Detach(ctx)
		must(t, err)
		wantErr(t, "call after Detach", first.Sync(ctx, "/"), gazoo.ErrClosed)

		// Another process gets it as text.
		text, err := saved.MarshalText()
		must(t, err)
		var read gazoo.SavedSession
		must(t, read.UnmarshalText(text))
		second := connect(t, c.Hosts()+observer.Root(), gazoo.WithSession(read))
		if second.SessionID() != id {
			t.Errorf("session = 0x%x, want 0x%x taken over", second.SessionID(), id)
		}
		stat, found, err := second.Exists(ctx, "/eph")
		if err != nil || !found || stat.EphemeralOwner != id {
			t.Errorf("Exists of the ephemeral = %v, owner 0x%x, %v", found, stat.EphemeralOwner, err)
		}
		must(t, second.Close())
		must(t, observer.Sync(ctx, "/"))
		if _, found, err := observer.Exists(ctx, "/eph"); err != nil || found {
			t.Errorf("Exists of the ephemeral after Close = %v, %v", found, err)
		}
		// What was closed cannot be taken over again: that is an expiry.
		third := connect(t, c.Hosts(), gazoo.WithSession(read))
		if third.SessionID() == id || third.SessionID() == 0 {
			t.Errorf("session = 0x%x, want a new one", third.SessionID())
		}
	})
}

func TestWrongPasswordIsAnExpiry(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 30*time.Second)
		owner := fresh(t, connect(t, c.Hosts()))
		_, err := owner.Create(ctx, "/eph", nil, gazoo.Ephemeral())
		must(t, err)
		saved := owner.Session().Saved()
		saved.Password = slices.Clone(saved.Password)
		saved.Password[0] ^= 1
		sub := owner.SubscribeState()
		thief := connect(t, c.Hosts(), gazoo.WithSession(saved))
		if thief.SessionID() == saved.ID {
			t.Error("a wrong password opened the session")
		}
		if strings.Contains(fmt.Sprintf("%v %+v %#v", saved, saved, saved), string(saved.Password)) {
			t.Error("the password is printed")
		}
		// Apache's server closes the owner's connection for it, when it is the one that was asked.
		// Nobody ever ends the session.
		if _, apache := c.(cluster.Apache); apache && serverIndex(t, c, owner) == serverIndex(t, c, thief) {
			if ch := awaitState(t, sub, gazoo.StateConnected); !ch.Resumed {
				t.Errorf("the owner is back with %+v, want its session", ch)
			}
		}
		stat, found, err := owner.Exists(ctx, "/eph")
		if errors.Is(err, gazoo.ErrConnectionLoss) {
			stat, found, err = owner.Exists(ctx, "/eph")
		}
		if err != nil || !found || stat.EphemeralOwner != saved.ID || owner.SessionID() != saved.ID {
			t.Errorf("the owner's ephemeral: %v, %v", found, err)
		}
	})
}

// Cut off for longer than the time-out: the client says so before any server does, nobody
// waits for ever, and a new session follows.
func TestCutOffLongerThanTheTimeout(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 60*time.Second)
		const timeout = 3 * time.Second
		zk := fresh(t, connect(t, c.Proxied(), gazoo.WithSessionTimeout(timeout)))
		other := connect(t, c.Hosts()+zk.Root())
		_, err := zk.Create(ctx, "/eph", nil, gazoo.Ephemeral())
		must(t, err)
		must(t, other.Sync(ctx, "/"))
		_, _, gone, err := other.ExistsW(ctx, "/eph")
		must(t, err)
		_, _, w, err := zk.GetW(ctx, "/eph")
		must(t, err)
		session := zk.Session()
		var states []gazoo.StateChange
		var mu sync.Mutex
		zk.AddListener(func(ch gazoo.StateChange) bool {
			mu.Lock()
			states = append(states, ch)
			mu.Unlock()
			return false
		})
		ch := away(t, c, zk, func() {
			begin := time.Now()
			short, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
			_, _, err := zk.Get(short, "/eph")
			cancel()
			if took := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || !gazoo.WasNotSent(err) || took > 2*time.Second {
				t.Errorf("call with 500 ms = %v after %v, want its deadline and not sent", err, took)
			}
			_, _, err = zk.Get(ctx, "/eph")
			wantErr(t, "call that waits for the connection", err, gazoo.ErrSessionPresumed)
			if !gazoo.WasNotSent(err) || session.Tenancy().Err() == nil || session.Context().Err() != nil {
				t.Errorf("call = %v; tenancy %v, session %v; want the tenancy alone to be over", err, session.Tenancy().Err(), session.Context().Err())
			}
			// The servers have not expired it yet: presumption came first.
			pending(t, "on the ephemeral", gone)
			_, err = w.Wait(ctx)
			wantErr(t, "one-shot watch", err, gazoo.ErrSessionPresumed)
			awaitEvent(t, gone, gazoo.EventDeleted, "/eph")
		})
		if !ch.NewSession || ch.From != gazoo.StateLost || zk.SessionID() == session.ID() {
			t.Errorf("back with %+v, want a new session after Lost", ch)
		}
		wantErr(t, "cause of the session's end", context.Cause(session.Context()), gazoo.ErrSessionExpired)
		settleCallbacks(t, zk)
		mu.Lock()
		var names []string
		for _, ch := range states {
			names = append(names, ch.To.String())
		}
		mu.Unlock()
		if want := []string{"suspended", "lost", "connected"}; !slices.Equal(names, want) {
			t.Errorf("states = %q, want %q", names, want)
		}
	})
}

func TestSessionOutlivesTheServerItIsOn(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 80*time.Second)
		zk := fresh(t, connect(t, c.Hosts(), gazoo.WithSessionTimeout(30*time.Second)))
		_, err := zk.Create(ctx, "/eph", nil, gazoo.Ephemeral())
		must(t, err)
		id, sub := zk.SessionID(), zk.SubscribeState()
		for i := range 3 {
			zxid := zk.LastZxid()
			was := serverIndex(t, c, zk)
			must(t, c.Kill(was))
			if c.Len() == 1 {
				must(t, c.Start(was))
			}
			if ch := awaitState(t, sub, gazoo.StateConnected); !ch.Resumed || ch.Session != id {
				t.Fatalf("after kill %d: %+v, want session 0x%x resumed", i, ch, id)
			}
			if now := serverIndex(t, c, zk); c.Len() > 1 && now == was {
				t.Errorf("still on server %d, which is down", now)
			}
			stat, found, err := zk.Exists(ctx, "/eph")
			if err != nil || !found || stat.EphemeralOwner != id {
				t.Errorf("Exists of the ephemeral = %v, %v", found, err)
			}
			if zk.LastZxid() < zxid {
				t.Errorf("LastZxid went from 0x%x to 0x%x", zxid, zk.LastZxid())
			}
			if c.Len() > 1 {
				must(t, c.Start(was))
			}
		}
	})
}

// attempts is a hook that passes on every connect, failure and loss.
type attempts chan gazoo.ConnectInfo

func (a attempts) OnConnect(info gazoo.ConnectInfo) { a <- info }

func TestNeverAttachesToALaggingServer(t *testing.T) {
	e := ensemble.Shared(t, ensemble.Ensemble3)
	ctx := deadline(t, 60*time.Second)
	leader, err := e.WaitLeader(ctx)
	must(t, err)
	lag, healthy := e.Proxy((leader+1)%3), e.Proxy(leader)
	lag.Refuse(true)
	log := make(attempts, 1000)
	zk := fresh(t, connect(t, lag.Addr()+","+healthy.Addr(), gazoo.WithHostOrder(), gazoo.WithHook(log), gazoo.WithSessionTimeout(30*time.Second)))
	session := zk.SessionID()
	e.Blackout((leader + 1) % 3) // it does not notice at once, and goes on serving
	_, err = zk.Create(ctx, "/news", nil)
	must(t, err)
	settleCallbacks(t, zk)
	for len(log) > 0 {
		<-log
	}
	sub := zk.SubscribeState()
	healthy.Refuse(true)
	lag.Refuse(false)
	healthy.Cut()
	awaitState(t, sub, gazoo.StateSuspended)
	for refusals := 0; refusals < 2; {
		select {
		case info := <-log:
			switch {
			case info.Host.Addr() != lag.Addr():
			case info.Connected:
				t.Fatalf("attached to the lagging server: %+v", info)
			case strings.Contains(fmt.Sprint(info.Err), "behind our history"):
				refusals++
			}
		case <-ctx.Done():
			t.Fatal("the lagging server did not turn the client away")
		}
	}
	if mode, err := e.Server((leader + 1) % 3).Mode(); err != nil || mode != ensemble.ModeFollower {
		t.Errorf("mode of the lagging server = %q, %v; want that it serves, as a follower", mode, err)
	}
	healthy.Refuse(false)
	if ch := awaitState(t, sub, gazoo.StateConnected); !ch.Resumed || ch.Server != healthy.Addr() || ch.Session != session {
		t.Errorf("connected with %+v, want the session resumed on %s", ch, healthy.Addr())
	}
	if _, found, err := zk.Exists(ctx, "/news"); err != nil || !found {
		t.Errorf("Exists of what was written = %v, %v", found, err)
	}
}

func TestWipedServerGivesANewSession(t *testing.T) {
	e := ensemble.StartT(t, ensemble.Config{})
	ctx := deadline(t, 60*time.Second)
	const timeout = 3 * time.Second
	zk := connect(t, e.Hosts(), gazoo.WithSessionTimeout(timeout))
	for range 50 {
		_, err := zk.Create(ctx, "/n-", nil, gazoo.Sequential())
		must(t, err)
	}
	_, err := zk.Create(ctx, "/n", []byte("before"))
	must(t, err)
	data := follow(t, func(ctx context.Context) iter.Seq2[gazoo.DataSnapshot, error] { return zk.WatchData(ctx, "/n") })
	awaitSnap(t, data, "before", func(s gazoo.DataSnapshot) bool { return string(s.Data) == "before" })
	old, zxid := zk.Session(), zk.LastZxid()
	sub := zk.SubscribeState()
	must(t, e.Server(0).Kill())
	must(t, e.Server(0).Wipe())
	must(t, e.Server(0).Start())
	up := time.Now()
	ch := awaitState(t, sub, gazoo.StateConnected)
	if took := time.Since(up); took > 3*timeout {
		t.Errorf("connected %v after the server was up, want within %v", took, 3*timeout)
	}
	if !ch.NewSession || !ch.HistoryLost || ch.From != gazoo.StateLost {
		t.Errorf("connected with %+v, want a new session and the history lost", ch)
	}
	if !gazoo.SessionLost(context.Cause(old.Context())) {
		t.Errorf("cause of the old session's end = %v", context.Cause(old.Context()))
	}
	awaitSnap(t, data, "wiped", func(s gazoo.DataSnapshot) bool { return !s.Exists })
	_, err = zk.Create(ctx, "/n", []byte("after"))
	must(t, err)
	awaitSnap(t, data, "after", func(s gazoo.DataSnapshot) bool { return string(s.Data) == "after" })
	if zk.LastZxid() >= zxid {
		t.Errorf("LastZxid = 0x%x, was 0x%x before the history was lost", zk.LastZxid(), zxid)
	}
}

func TestFrozenServerIsLeft(t *testing.T) {
	e := ensemble.Shared(t, ensemble.Ensemble3)
	ctx := deadline(t, 60*time.Second)
	leader, err := e.WaitLeader(ctx)
	must(t, err)
	const timeout = 6 * time.Second
	frozen := (leader + 1) % 3
	others := e.Server(leader).Addr() + "," + e.Server((leader+2)%3).Addr()
	zk := connect(t, e.Server(frozen).Addr()+","+others, gazoo.WithHostOrder(), gazoo.WithSessionTimeout(timeout))
	zk = fresh(t, zk)
	session, sub := zk.SessionID(), zk.SubscribeState()
	must(t, e.Server(frozen).Pause())
	begin := time.Now()
	_, err = zk.Create(ctx, "/n", nil)
	wantErr(t, "Create on the frozen server", err, gazoo.ErrConnectionLoss)
	if !gazoo.MaybeApplied(err) {
		t.Errorf("Create = %v, want that it may have been applied", err)
	}
	ch := awaitState(t, sub, gazoo.StateConnected)
	took := time.Since(begin)
	if limit := 2*timeout/3 + time.Second; took > limit || !ch.Resumed || ch.Session != session {
		t.Errorf("moved after %v with %+v, want within %v and the session resumed", took, ch, limit)
	}
	if now := serverIndex(t, cluster.Apache{Ensemble: e}, zk); now == frozen {
		t.Errorf("on server %d, the frozen one", now)
	}
}

// Restart after restart under load: one socket at a time, none after Close.
func TestOneSocketPerClient(t *testing.T) {
	e := ensemble.Shared(t, ensemble.Standalone)
	ctx := deadline(t, 120*time.Second)
	proxy := e.Proxy(0)
	turned := func() int { return proxy.Accepted() + proxy.Refused() }
	before := turned()
	var s sockets
	zk := fresh(t, connect(t, e.Proxied(), gazoo.WithDialer(s.dial), gazoo.WithSessionTimeout(15*time.Second)))
	session := zk.SessionID()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	halt := sync.OnceFunc(func() { close(stop); wg.Wait() })
	t.Cleanup(halt)
	var done, lost atomic.Int64
	for i := range 100 {
		wg.Go(func() {
			path := fmt.Sprintf("/n%d", i)
			for {
				select {
				case <-stop:
					return
				default:
				}
				_, err := zk.Create(ctx, path, nil, gazoo.OrSet())
				switch {
				case err == nil:
					done.Add(1)
				case errors.Is(err, gazoo.ErrConnectionLoss):
					lost.Add(1)
				default:
					t.Errorf("Create: %v", err)
					return
				}
			}
		})
	}
	sub := zk.SubscribeState()
	for i := range 20 {
		must(t, e.Server(0).Kill())
		must(t, e.Server(0).Start())
		if ch := awaitState(t, sub, gazoo.StateConnected); !ch.Resumed {
			t.Errorf("after restart %d: %+v, want the session resumed", i, ch)
		}
		for range 10 { // let the callers in
			must(t, zk.Sync(ctx, "/"))
		}
	}
	halt()
	if zk.SessionID() != session {
		t.Error("the session was lost")
	}
	must(t, zk.Close())
	open, _ := s.counts()
	t.Logf("%d calls done, %d lost; %d dials", done.Load(), lost.Load(), s.dials.Load())
	if open.now != 0 || open.top != 1 {
		t.Errorf("%d sockets open after Close, %d at most; want 0 and 1", open.now, open.top)
	}
	// A dial that the proxy resets at once, because the server is down, may count as failed.
	if n := int64(turned() - before); n < s.dials.Load() || n > s.tries.Load() {
		t.Errorf("the proxy saw %d connections, the dialler made %d in %d tries", n, s.dials.Load(), s.tries.Load())
	}
	if done.Load() < 20*100 || lost.Load() == 0 {
		t.Errorf("%d calls done, %d lost: the restarts met no load", done.Load(), lost.Load())
	}
}

func TestCloseDrainsOnServers(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 30*time.Second)
		observer := fresh(t, connect(t, c.Hosts()))
		zk := connect(t, c.Hosts()+observer.Root())
		_, err := zk.Create(ctx, "/eph", nil, gazoo.Ephemeral())
		must(t, err)
		creates := make([]gazoo.Future[gazoo.Created], 100)
		for i := range creates {
			creates[i] = zk.Async().Create(ctx, fmt.Sprintf("/n%d", i), nil)
		}
		must(t, zk.Close())
		for _, f := range creates {
			get(t, ctx, "Create before Close", f)
		}
		_, err = zk.Create(ctx, "/late", nil)
		wantErr(t, "Create after Close", err, gazoo.ErrClosed)
		must(t, observer.Sync(ctx, "/"))
		names, err := observer.Children(ctx, "/")
		if err != nil || len(names) != len(creates) || slices.Contains(names, "eph") {
			t.Errorf("%d znodes left, %v, want the %d created and no ephemeral", len(names), err, len(creates))
		}
	})
}
