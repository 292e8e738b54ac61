package gazoo_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
)

// transitions is a hook that fails the test when a client's state changes in a way that is not
// promised, or when the record of a change contradicts itself.
type transitions struct {
	t    *testing.T
	last gazoo.StateChange
}

func (c *transitions) OnSession(ch gazoo.StateChange) {
	type step struct{ from, to gazoo.State }
	switch (step{ch.From, ch.To}) {
	case step{gazoo.StateLost, gazoo.StateConnected},
		step{gazoo.StateConnected, gazoo.StateSuspended},
		step{gazoo.StateConnected, gazoo.StateLost},
		step{gazoo.StateSuspended, gazoo.StateLost},
		step{gazoo.StateSuspended, gazoo.StateConnected}:
	default:
		c.t.Errorf("state went from %v to %v", ch.From, ch.To)
	}
	if ch.From == gazoo.StateConnected && ch.To == gazoo.StateLost && ch.Keeper != gazoo.KeeperClosed && ch.Keeper != gazoo.KeeperAuthFailed {
		c.t.Errorf("state went from connected to lost with keeper state %v: only Close and a refused credential may do that", ch.Keeper)
	}
	if ch.From != c.last.To || ch.Seq != c.last.Seq+1 || ch.Missed != 0 {
		c.t.Errorf("change %d from %v follows change %d to %v (missed %d)", ch.Seq, ch.From, c.last.Seq, c.last.To, ch.Missed)
	}
	if ch.To == gazoo.StateConnected {
		if ch.Err != nil || ch.NewSession == ch.Resumed || ch.Session == 0 || ch.Timeout <= 0 || ch.Server == "" {
			c.t.Errorf("inconsistent change to connected: %+v", ch)
		}
		if ch.First != (ch.Seq == 1) {
			c.t.Errorf("change %d to connected says First = %v", ch.Seq, ch.First)
		}
	} else if ch.Err == nil || ch.First || ch.NewSession || ch.Resumed || ch.HistoryLost {
		c.t.Errorf("inconsistent change to %v: %+v", ch.To, ch)
	}
	c.last = ch
}

// closed is a context that has ended, for waits that must not wait.
func closed(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// flap drops the connection n times and waits for its return each time.
func flap(w *world, srv *peer.Server, zk *gazoo.Client, n int) {
	w.t.Helper()
	for range n {
		srv.CloseConns()
		synctest.Wait()
		w.waitState(zk, gazoo.StateConnected, time.Second)
		synctest.Wait()
	}
}

func TestStatesOfAClientsLife(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		b := &peer.Basic{}
		nobody := w.client("nowhere")
		if nobody.State() != gazoo.StateLost || nobody.KeeperState() != gazoo.KeeperConnecting || nobody.Connected() {
			t.Errorf("before the first connection: %v, %v, want lost, connecting", nobody.State(), nobody.KeeperState())
		}
		srv := w.serve("a:2181", b.Handle)
		var r record
		zk := w.client("a", gazoo.WithSessionTimeout(7*time.Second), gazoo.WithHook(&r))
		w.waitState(zk, gazoo.StateConnected, time.Second)
		if zk.KeeperState() != gazoo.KeeperConnected || !zk.Connected() {
			t.Errorf("connected: %v", zk.KeeperState())
		}
		id := zk.SessionID()
		srv.Close()
		synctest.Wait()
		if zk.State() != gazoo.StateSuspended || zk.KeeperState() != gazoo.KeeperConnecting || zk.Connected() {
			t.Errorf("suspended: %v, %v", zk.State(), zk.KeeperState())
		}
		w.serve("a:2181", b.Handle)
		w.waitState(zk, gazoo.StateConnected, 7*time.Second)
		must(t, zk.Close())
		if zk.State() != gazoo.StateLost || zk.KeeperState() != gazoo.KeeperClosed {
			t.Errorf("closed: %v, %v", zk.State(), zk.KeeperState())
		}
		got := r.changes()
		if want := "connected+first+new suspended connected+resumed lost"; outline(got) != want {
			t.Fatalf("states %q, want %q", outline(got), want)
		}
		for i, ch := range got {
			if ch.Session != id && i < 3 || ch.Seq != uint64(i+1) {
				t.Errorf("change %d = %+v, want session %x", i, ch, id)
			}
		}
		if got[0].Server != "a:2181" || got[0].Timeout != 7*time.Second || got[1].Server != "a:2181" || !errors.Is(got[1].Err, gazoo.ErrConnectionLoss) {
			t.Errorf("connected: %+v\nsuspended: %+v, want server, time-out and reason", got[0], got[1])
		}
		if got[3].Keeper != gazoo.KeeperClosed || !errors.Is(got[3].Err, gazoo.ErrClosed) {
			t.Errorf("closed: %+v, want ErrClosed", got[3])
		}
	})
}

func TestStateNames(t *testing.T) {
	for v, want := range map[fmt.Stringer]string{
		gazoo.StateLost: "lost", gazoo.StateConnected: "connected", gazoo.StateSuspended: "suspended", gazoo.State(9): "State(9)",
		gazoo.KeeperConnecting: "connecting", gazoo.KeeperConnected: "connected", gazoo.KeeperConnectedReadOnly: "connected read-only",
		gazoo.KeeperAuthFailed: "auth failed", gazoo.KeeperExpired: "expired", gazoo.KeeperClosed: "closed", gazoo.KeeperState(9): "KeeperState(9)",
	} {
		if v.String() != want {
			t.Errorf("%T %d = %q, want %q", v, v, v, want)
		}
	}
}

func TestListenersComeAndGo(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		srv := w.serve("a:2181", (&peer.Basic{}).Handle)
		zk := w.connect("a")
		var heard []string
		hear := func(name string, gone func(n int) bool) func(gazoo.StateChange) bool {
			n := 0
			return func(ch gazoo.StateChange) bool {
				n++
				heard = append(heard, fmt.Sprintf("%s %d", name, ch.Seq))
				return gone(n)
			}
		}
		stay := func(int) bool { return false }
		var removeNext func()
		zk.AddListener(func(gazoo.StateChange) bool { removeNext(); return true })
		removeNext = zk.AddListener(hear("removed before its turn", stay))
		removeFirst := zk.AddListener(hear("first", stay))
		zk.AddListener(hear("once", func(int) bool { return true }))
		view, err := zk.Chroot("/view")
		must(t, err)
		view.AddListener(hear("twice", func(n int) bool { return n == 2 }))
		zk.AddListener(func(gazoo.StateChange) bool { // removes another one, and calls the server
			removeFirst()
			if _, _, err := zk.Get(t.Context(), "/"); err != nil {
				t.Errorf("Get in a listener: %v", err)
			}
			return true
		})
		flap(w, srv, zk, 2)
		want := []string{"first 2", "once 2", "twice 2", "twice 3"}
		if !slices.Equal(heard, want) {
			t.Errorf("listeners heard %q, want %q", heard, want)
		}
		removeFirst() // again is fine
	})
}

func TestSlowSubscriberLearnsTheLatest(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		srv := w.serve("a:2181", (&peer.Basic{}).Handle)
		zk := w.connect("a")
		slow, quick := zk.SubscribeState(), zk.SubscribeState()
		for range 25 {
			srv.CloseConns()
			synctest.Wait()
			w.waitState(zk, gazoo.StateConnected, time.Second)
			if ch, err := quick.Next(t.Context()); err != nil || ch.To == gazoo.StateConnected && ch.Missed > 1 {
				t.Errorf("quick subscriber: %+v, %v", ch, err)
			}
		}
		synctest.Wait()
		ch, err := slow.Next(t.Context())
		if err != nil || ch.To != gazoo.StateConnected || ch.To != zk.State() || ch.Missed != 49 || ch.Seq != 51 {
			t.Errorf("after 50 changes: %+v, %v, want the last one and 49 missed", ch, err)
		}
		if _, err := slow.Next(closed(t)); !errors.Is(err, context.Canceled) {
			t.Errorf("nothing new: %v, want the context's error", err)
		}
		must(t, zk.Close())
		if ch, err := slow.Next(t.Context()); err != nil || ch.To != gazoo.StateLost || ch.Missed != 0 {
			t.Errorf("the last change: %+v, %v, want lost", ch, err)
		}
		if _, err := slow.Next(t.Context()); !errors.Is(err, gazoo.ErrClosed) {
			t.Errorf("behind the last change: %v, want ErrClosed", err)
		}
	})
}

func TestStateChangesIterates(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		srv := w.serve("a:2181", (&peer.Basic{}).Handle)
		zk := w.connect("a")
		iterate := func(ctx context.Context, n int) <-chan []string {
			seq := zk.StateChanges(ctx) // subscribes here
			ch := make(chan []string, 1)
			go func() {
				var all []string
				for change, err := range seq {
					if err != nil {
						all = append(all, err.Error())
					} else {
						all = append(all, change.To.String())
					}
					if len(all) == n {
						break
					}
				}
				ch <- all
			}()
			return ch
		}
		ctx, cancel := context.WithCancel(t.Context())
		two, canceled, whole := iterate(t.Context(), 2), iterate(ctx, -1), iterate(t.Context(), -1)
		srv.Close()
		synctest.Wait()
		time.Sleep(time.Minute)
		cancel()
		synctest.Wait()
		must(t, zk.Close())
		for _, tc := range []struct {
			name string
			got  []string
			want []string
		}{
			{"left by break", <-two, []string{"suspended", "lost"}},
			{"context ended", <-canceled, []string{"suspended", "lost", "context canceled"}},
			{"client closed", <-whole, []string{"suspended", "lost", "client closed"}},
		} {
			if !slices.Equal(tc.got, tc.want) {
				t.Errorf("%s: %q, want %q", tc.name, tc.got, tc.want)
			}
		}
	})
}

func TestWaitState(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		srv := w.serve("a:2181", (&peer.Basic{}).Handle)
		zk := w.connect("a")
		must(t, zk.WaitState(closed(t), gazoo.StateConnected)) // it is already
		err := zk.WaitState(deadline(t, time.Second), gazoo.StateSuspended)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "suspended") {
			t.Errorf("WaitState: %v, want the deadline", err)
		}
		time.AfterFunc(time.Second, srv.Close)
		must(t, zk.WaitState(t.Context(), gazoo.StateSuspended))
		must(t, zk.WaitState(t.Context(), gazoo.StateLost))
		time.AfterFunc(time.Second, func() { zk.Close() })
		if err := zk.WaitState(t.Context(), gazoo.StateConnected); !errors.Is(err, gazoo.ErrClosed) {
			t.Errorf("WaitState on a client that is closed: %v, want ErrClosed", err)
		}
		must(t, zk.WaitState(t.Context(), gazoo.StateLost))
	})
}

func TestHooksAreCalledInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		b := &peer.Basic{}
		w.serve("b:2181", b.Handle)
		h := &diary{}
		zk := w.connect("a,b", gazoo.WithHook(h))
		old := zk.SessionID()
		zk.AddListener(func(ch gazoo.StateChange) bool {
			h.lines = append(h.lines, "listener "+ch.To.String())
			return false
		})
		b.Expire(old)
		synctest.Wait()
		w.waitState(zk, gazoo.StateConnected, time.Second)
		must(t, zk.Close())
		want := []string{
			"a:2181 failed", "b:2181 connected", "state connected",
			"b:2181 lost", "state suspended", "listener suspended",
			"a:2181 failed", "b:2181 failed", "state lost", "listener lost",
			"b:2181 connected", "state connected", "listener connected",
			"state lost", "listener lost",
		}
		if !slices.Equal(h.lines, want) {
			t.Errorf("hooks were called\n%q, want\n%q", h.lines, want)
		}
	})
}

// diary writes down what a client's hooks tell.
type diary struct{ lines []string }

func (d *diary) OnConnect(info gazoo.ConnectInfo) {
	word := "failed"
	switch {
	case info.Connected:
		word = "connected"
	case info.Lost:
		word = "lost"
	}
	if info.Connected == (info.Err != nil) || info.Connected != (info.Session != 0) {
		word += fmt.Sprintf(" (inconsistent: %+v)", info)
	}
	d.lines = append(d.lines, info.Host.Addr()+" "+word)
}

func (d *diary) OnSession(ch gazoo.StateChange) { d.lines = append(d.lines, "state "+ch.To.String()) }
