package gazoo_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/internal/leak"
)

// stormVariable is the environment variable with the storm's duration, such as "2m".
const stormVariable = "GAZOO_STORM"

const (
	stormClients  = 4
	stormCallers  = 64
	stormWatches  = 1000
	stormDeadline = 3 * time.Second       // of each call
	stormGrace    = time.Second           // how late a call may return on a busy machine
	stormPace     = 40 * time.Millisecond // between the calls of a caller: servers must find time to start
	stormOver     = "over"                // data of the last change to each watched znode
)

// storm is a load on an ensemble whose servers are killed, and the books about it.
type storm struct {
	t       *testing.T
	clients []*gazoo.Client
	sockets []*sockets
	stop    chan struct{} // closed when callers are to end

	calls, lost, late atomic.Int64 // done; connection losses; deadlines
	maxLate           atomic.Int64 // nanoseconds

	// One watch after the other for each watched znode.
	armed, events, closed atomic.Int64
	saw                   chan int // watchers that have seen the last change
}

// The ensemble loses its servers one after the other, the leader every other time, while
// everything a client can do goes on.
func TestEnsembleStorm(t *testing.T) {
	leak.Check(t)
	duration := 15 * time.Second
	if text := os.Getenv(stormVariable); text != "" {
		var err error
		duration, err = time.ParseDuration(text)
		must(t, err)
	}
	e := ensemble.StartT(t, ensemble.Config{Servers: 3, TickTime: 200 * time.Millisecond, MaxSessionTimeout: time.Minute})
	ctx := deadline(t, duration+2*time.Minute)
	s := &storm{t: t, stop: make(chan struct{}), saw: make(chan int, stormWatches)}
	accepted := make([]int, e.Len())
	for i, p := range proxies(cluster.Apache{Ensemble: e}) {
		accepted[i] = p.Accepted() + p.Refused()
	}
	var changes []*stormStates
	var sessions []int64
	for range stormClients {
		k, states := &sockets{}, &stormStates{}
		zk := connect(t, e.Proxied(), gazoo.WithSessionTimeout(30*time.Second), gazoo.WithDialer(k.dial), gazoo.WithHook(states))
		s.clients, s.sockets, changes, sessions = append(s.clients, zk), append(s.sockets, k), append(changes, states), append(sessions, zk.SessionID())
	}
	txn := s.clients[0].Txn().Create("/call", nil).Create("/watch", nil).Create("/eph", nil)
	for i := range stormCallers {
		txn.Create(fmt.Sprintf("/call/%d", i), nil)
	}
	for i := range stormWatches {
		txn.Create(fmt.Sprintf("/watch/%d", i), nil)
	}
	_, err := txn.Commit(ctx)
	must(t, err)
	for _, zk := range s.clients {
		must(t, zk.Sync(ctx, "/"))
	}

	var callers, watchers sync.WaitGroup
	for i := range stormCallers {
		callers.Go(func() { s.caller(ctx, s.clients[i%stormClients], i) })
	}
	for i := range stormWatches {
		watchers.Go(func() { s.watcher(ctx, s.clients[i%stormClients], i) })
	}
	begin := time.Now()
	kills := s.kill(ctx, e, duration)
	took := time.Since(begin)
	close(s.stop)
	callers.Wait()

	s.touchAll(ctx)
	for i, zk := range s.clients {
		if zk.SessionID() != sessions[i] || zk.State() != gazoo.StateConnected {
			t.Errorf("client %d: session 0x%x, state %v; want 0x%x, connected", i, zk.SessionID(), zk.State(), sessions[i])
		}
		settleCallbacks(t, zk)
		changes[i].check(t)
		must(t, zk.Close())
	}
	watchers.Wait()
	if armed, ended := s.armed.Load(), s.events.Load()+s.closed.Load(); armed != ended || s.closed.Load() != stormWatches {
		t.Errorf("%d watches armed, %d ended in an event and %d in Close; want every one, and %d in Close", armed, s.events.Load(), s.closed.Load(), stormWatches)
	}
	conns := s.checkSockets(e, accepted)

	maxLate := time.Duration(s.maxLate.Load())
	line := fmt.Sprintf("storm: kills=%d calls=%d events=%d errors=%d maxlate=%v conns=%d (%v; lost %d, deadline %d)", kills, s.calls.Load(), s.events.Load(),
		s.lost.Load()+s.late.Load(), maxLate.Round(time.Millisecond), conns, took.Round(time.Second), s.lost.Load(), s.late.Load())
	t.Log(line)
	fmt.Println(line)
	if want := max(1, int(duration/(6*time.Second))); kills < want {
		t.Errorf("%d kills in %v, want %d", kills, duration, want)
	}
	if want := int64(100_000 * duration.Seconds() / 120); s.calls.Load() < want {
		t.Errorf("%d calls done in %v, want %d", s.calls.Load(), duration, want)
	}
	if maxLate > stormGrace {
		t.Errorf("a call returned %v after its deadline, want at most %v", maxLate, stormGrace)
	}
	if s.lost.Load() == 0 || s.events.Load() < stormWatches {
		t.Errorf("%d calls lost, %d events: that was no storm", s.lost.Load(), s.events.Load())
	}
}

// kill kills and restarts servers until the time is over.
func (s *storm) kill(ctx context.Context, e *ensemble.Ensemble, duration time.Duration) int {
	over := time.After(duration)
	for kills := 0; ; {
		select {
		case <-over:
			return kills
		default:
		}
		victim, err := e.WaitLeader(ctx)
		must(s.t, err)
		if kills%2 == 1 {
			victim = (victim + 1 + rand.IntN(e.Len()-1)) % e.Len()
		}
		begin := time.Now()
		must(s.t, e.Server(victim).Kill())
		kills++
		must(s.t, e.Server(victim).Start())
		must(s.t, e.WaitReady(ctx))
		s.t.Logf("kill %d, of server %d: all serve after %v", kills, victim, time.Since(begin).Round(time.Millisecond))
	}
}

// try makes a call with a deadline and keeps the books. It reports whether the call was done;
// an error that has no place in a storm fails the test.
func (s *storm) try(ctx context.Context, what string, f func(context.Context) error) bool {
	limit := time.Now().Add(stormDeadline)
	ctx, cancel := context.WithDeadline(ctx, limit)
	defer cancel()
	err := f(ctx)
	late := int64(time.Since(limit))
	for {
		most := s.maxLate.Load()
		if late <= most || s.maxLate.CompareAndSwap(most, late) {
			break
		}
	}
	oe, _ := errors.AsType[*gazoo.OpError](err)
	switch {
	case err == nil:
		s.calls.Add(1)
		return true
	case oe == nil || oe.Outcome != gazoo.OutcomeNotSent && oe.Outcome != gazoo.OutcomeUnknown:
		s.t.Errorf("%s: %v", what, err)
	case errors.Is(err, gazoo.ErrConnectionLoss):
		s.lost.Add(1)
	case errors.Is(err, context.DeadlineExceeded):
		s.late.Add(1)
	default:
		s.t.Errorf("%s: %v", what, err)
	}
	return false
}

// caller is one of the goroutines that load the ensemble. It alone writes its znode, so it
// knows which versions that may have.
func (s *storm) caller(ctx context.Context, zk *gazoo.Client, id int) {
	own := fmt.Sprintf("/call/%d", id)
	low, high := int32(0), int32(0) // versions that the znode may have
	pace := time.NewTicker(stormPace)
	defer pace.Stop()
	for n := 0; ; n++ {
		select {
		case <-s.stop:
			return
		case <-pace.C:
		}
		switch n % 16 { // mostly reads, as in life
		case 0:
			s.try(ctx, "set", func(ctx context.Context) error {
				stat, err := zk.Set(ctx, own, fmt.Append(nil, n), gazoo.AnyVersion)
				switch {
				case err == nil:
					if stat.Version <= low || stat.Version > high+1 {
						s.t.Errorf("%s has version %d, want %d to %d", own, stat.Version, low+1, high+1)
					}
					low, high = stat.Version, stat.Version
				case gazoo.MaybeApplied(err):
					high++
				}
				return err
			})
		case 1:
			s.try(ctx, "set of a watched znode", func(ctx context.Context) error {
				_, err := zk.Set(ctx, fmt.Sprintf("/watch/%d", rand.IntN(stormWatches)), nil, gazoo.AnyVersion)
				return err
			})
		case 2:
			var path string
			created := s.try(ctx, "create", func(ctx context.Context) (err error) {
				path, err = zk.Create(ctx, "/eph/n-", nil, gazoo.Ephemeral(), gazoo.Sequential())
				return err
			})
			if created {
				s.try(ctx, "delete", func(ctx context.Context) error { return zk.DeleteIfExists(ctx, path, gazoo.AnyVersion) })
			}
		case 3:
			s.try(ctx, "commit", func(ctx context.Context) error {
				_, err := zk.Txn().Check("/call", 0).Set(own, nil, gazoo.AnyVersion).Commit(ctx)
				switch {
				case err == nil:
					low, high = low+1, high+1
				case gazoo.MaybeApplied(err):
					high++
				}
				return err
			})
		case 4:
			s.try(ctx, "sync", func(ctx context.Context) error { return zk.Sync(ctx, own) })
		default:
			s.try(ctx, "get", func(ctx context.Context) error {
				_, stat, err := zk.Get(ctx, own)
				// A write that was given up may still be under way, and one's own session never goes back.
				if err == nil && (stat.Version < low || stat.Version > high) {
					s.t.Errorf("%s has version %d, want %d to %d", own, stat.Version, low, high)
				}
				return err
			})
		}
	}
}

// watcher keeps a one-shot watch on a znode until the client is closed.
func (s *storm) watcher(ctx context.Context, zk *gazoo.Client, id int) {
	path := fmt.Sprintf("/watch/%d", id)
	for {
		var w *gazoo.Watch
		var data []byte
		var closed bool
		armed := s.try(ctx, "get and watch", func(ctx context.Context) (err error) {
			data, _, w, err = zk.GetW(ctx, path)
			closed = errors.Is(err, gazoo.ErrClosed)
			return err
		})
		if closed || ctx.Err() != nil || s.t.Failed() {
			return
		}
		if !armed {
			continue
		}
		s.armed.Add(1)
		if string(data) == stormOver {
			s.saw <- id
		}
		ev, err := w.Wait(ctx)
		switch {
		case err == nil && ev.Type == gazoo.EventDataChanged && ev.Path == path:
			s.events.Add(1)
		case errors.Is(err, gazoo.ErrClosed):
			s.closed.Add(1)
			return
		default:
			s.t.Errorf("watch on %s ended with %+v, %v", path, ev, err)
			return
		}
	}
}

// touchAll proves that every watch is alive when the storm is over: it sets each watched znode
// once, and every watcher has to see that.
func (s *storm) touchAll(ctx context.Context) {
	for _, zk := range s.clients {
		must(s.t, zk.Sync(ctx, "/")) // writes that nobody waited for any more are over
	}
	sets := make([]gazoo.Future[gazoo.Stat], stormWatches)
	for i := range sets {
		sets[i] = s.clients[0].Async().Set(ctx, fmt.Sprintf("/watch/%d", i), []byte(stormOver), gazoo.AnyVersion)
	}
	for i, f := range sets {
		get(s.t, ctx, fmt.Sprintf("set of /watch/%d", i), f)
	}
	limit := time.After(30 * time.Second)
	for n := range stormWatches {
		select {
		case <-s.saw:
		case <-limit:
			s.t.Errorf("%d of %d watchers saw the last change", n, stormWatches)
			return
		}
	}
}

// stormStates is a hook that collects what a storm must not do to a session.
type stormStates struct {
	mu   sync.Mutex
	seen []gazoo.StateChange
}

func (h *stormStates) OnSession(ch gazoo.StateChange) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen = append(h.seen, ch)
}

func (h *stormStates) check(t *testing.T) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ch := range h.seen {
		if ch.To == gazoo.StateLost || ch.NewSession && !ch.First {
			t.Errorf("the session was lost: %+v", ch)
		}
	}
}

// checkSockets returns how many connections were made.
func (s *storm) checkSockets(e *ensemble.Ensemble, before []int) int64 {
	var dials, tries, seen int64
	for i, k := range s.sockets {
		open, answered := k.counts()
		if open.top > 2 || answered.top > 1 || open.now != 0 {
			s.t.Errorf("client %d had up to %d sockets, %d of them with a session, and %d after Close; want 2, 1 and 0", i, open.top, answered.top, open.now)
		}
		dials += k.dials.Load()
		tries += k.tries.Load()
	}
	for i, p := range proxies(cluster.Apache{Ensemble: e}) {
		seen += int64(p.Accepted() + p.Refused() - before[i])
	}
	if seen < dials || seen > tries {
		s.t.Errorf("the proxies saw %d connections, the diallers made %d in %d tries", seen, dials, tries)
	}
	return dials
}
