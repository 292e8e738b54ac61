package gazoo_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/memnet"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// mute makes a tree that takes the operations and never answers them.
func mute(ops ...zkproto.OpCode) func(*fakeTree) {
	return func(t *fakeTree) {
		t.before = func(_ *peer.Conn, req peer.Request) bool { return slices.Contains(ops, req.Header.Op) }
	}
}

func TestDropFailsWhatWasSubmittedAndKeepsWhatComesLater(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		tree := w.plant("a:2181", mute(zkproto.OpSetData, zkproto.OpGetData))
		zk := w.connect("a")
		async := zk.Async()
		var order []int
		set, get, again := async.Set(ctx, "/", nil, 0), async.Get(ctx, "/"), async.Set(ctx, "/", nil, 1)
		set.Then(func(gazoo.Stat, error) { order = append(order, 1) })
		get.Then(func(gazoo.Node, error) { order = append(order, 2) })
		again.Then(func(gazoo.Stat, error) { order = append(order, 3) })
		synctest.Wait()
		tree.down.Store(true)
		tree.Conn(zk.SessionID()).Close()
		synctest.Wait()
		for i, err := range []error{second(set.Wait(ctx)), second(again.Wait(ctx))} {
			if !errors.Is(err, gazoo.ErrConnectionLoss) || !gazoo.MaybeApplied(err) || gazoo.WasNotSent(err) || gazoo.SessionLost(err) {
				t.Errorf("sent write %d: %v, want connection loss, maybe applied", i, err)
			}
		}
		if _, err := get.Wait(ctx); !errors.Is(err, gazoo.ErrConnectionLoss) || gazoo.MaybeApplied(err) || gazoo.WasNotSent(err) {
			t.Errorf("sent read: %v, want connection loss with unknown fate", err)
		}
		if !slices.Equal(order, []int{1, 2, 3}) {
			t.Errorf("they failed in the order %v", order)
		}
		later := async.Exists(ctx, "/")
		synctest.Wait()
		if later.Ready() {
			_, err := later.Wait(ctx)
			t.Errorf("a call made after the drop failed: %v", err)
		}
		tree.down.Store(false)
		if p, err := later.Wait(ctx); err != nil || !p.Exists {
			t.Errorf("a call made after the drop: %+v, %v", p, err)
		}
	})
}

func TestBytesThatNeverLeftAreNotSent(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.net.SetBuffer(1 << 10) // the first large write blocks, everything behind it stays in the client
		tree := w.plant("a:2181", func(t *fakeTree) {
			t.before = func(c *peer.Conn, req peer.Request) bool {
				if req.Header.Op != zkproto.OpSetData {
					return false
				}
				<-c.Done() // stop reading
				return true
			}
		})
		zk := w.connect("a")
		async := zk.Async()
		head := async.Set(ctx, "/", nil, 0)
		synctest.Wait()
		half := async.Set(ctx, "/", make([]byte, 100_000), 0)
		synctest.Wait()
		var unsent []gazoo.Future[gazoo.Stat]
		for range 3 {
			unsent = append(unsent, async.Set(ctx, "/", make([]byte, 100), 0))
		}
		synctest.Wait()
		tree.Conn(zk.SessionID()).Close()
		for name, f := range map[string]gazoo.Future[gazoo.Stat]{"read by the server": head, "half written": half} {
			if _, err := f.Wait(ctx); !gazoo.MaybeApplied(err) {
				t.Errorf("a write %s: %v, want maybe applied", name, err)
			}
		}
		for i, f := range unsent {
			if _, err := f.Wait(ctx); !gazoo.WasNotSent(err) || !errors.Is(err, gazoo.ErrConnectionLoss) {
				t.Errorf("write %d behind them: %v, want connection loss, not sent", i, err)
			}
		}
	})
}

func TestCallsMadeWithoutAConnectionGoOutInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		tree := w.plant("a:2181")
		tree.down.Store(true)
		zk := w.client("a")
		for i := range 50 {
			zk.Async().Create(ctx, fmt.Sprintf("/n%02d", i), nil)
		}
		last := zk.Async().Create(ctx, "/n00/last", nil)
		tree.down.Store(false)
		if _, err := last.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, req := range tree.sent(zkproto.OpCreate) {
			var m zkproto.CreateRequest
			must(t, req.Decode(&m))
			got = append(got, m.Path)
		}
		if !slices.IsSorted(got[:50]) || len(got) != 51 || got[50] != "/n00/last" {
			t.Errorf("order on the wire: %q", got)
		}
	})
}

func TestWaitingCallsFailWhenTheSessionIsPresumedExpired(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		tree := w.plant("a:2181")
		tree.mustCreate("/a")
		zk := w.connect("a", gazoo.WithSessionTimeout(10*time.Second))
		tree.down.Store(true)
		tree.Conn(zk.SessionID()).Close()
		synctest.Wait()
		begin := time.Now()
		_, err := zk.Set(ctx, "/a", nil, -1)
		if !errors.Is(err, gazoo.ErrSessionPresumed) || !gazoo.WasNotSent(err) || !gazoo.SessionLost(err) || errors.Is(err, gazoo.ErrConnectionLoss) {
			t.Errorf("Set: %v, want ErrSessionPresumed, not sent", err)
		}
		if d := time.Since(begin); d > 10*time.Second {
			t.Errorf("it took %v, more than the session time-out", d)
		}
		// Made after the end of the tenancy: belongs to the next one.
		next := zk.Async().Set(ctx, "/a", []byte("next"), -1)
		tree.down.Store(false)
		if _, err := next.Wait(ctx); err != nil {
			t.Errorf("Set made afterwards: %v", err)
		}
	})
}

func TestCallsOfASessionNeverReachTheNextOne(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		tree := w.plant("a:2181")
		zk := w.connect("a")
		tree.down.Store(true)
		tree.expire(zk.SessionID())
		synctest.Wait()
		stale := zk.Async().Create(ctx, "/stale", nil, gazoo.Ephemeral())
		tree.down.Store(false)
		_, err := stale.Wait(ctx)
		if !errors.Is(err, gazoo.ErrSessionExpired) || !gazoo.WasNotSent(err) {
			t.Errorf("Create made in the expired session: %v, want ErrSessionExpired, not sent", err)
		}
		w.waitState(zk, gazoo.StateConnected, time.Minute)
		if n := len(tree.sent(zkproto.OpCreate)); n != 0 {
			t.Errorf("it was sent in the next session")
		}
	})
}

func TestReplyOutOfOrderEndsTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.plant("a:2181", func(tr *fakeTree) {
			tr.before = func(c *peer.Conn, req peer.Request) bool {
				if req.Header.Op == zkproto.OpGetData {
					c.Reply(req.Header.Xid+1, 5, 0, zkproto.GetDataResponse{Data: []byte("another's")})
					return true
				}
				return false
			}
		})
		zk := w.connect("a")
		if data, _, err := zk.Get(ctx, "/"); !errors.Is(err, gazoo.ErrConnectionLoss) {
			t.Errorf("Get = %q, %v, want connection loss", data, err)
		}
		if _, _, err := zk.Exists(ctx, "/"); err != nil {
			t.Errorf("on the next connection: %v", err)
		}
	})
}

func TestReplyThatIsTooLargeFailsItsCallAlone(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		names := make([]string, 312_763)
		for i := range names {
			names[i] = fmt.Sprintf("this-is-a-long-name-%010d", i)
		}
		w.can("a:2181", map[zkproto.OpCode]peer.Body{
			zkproto.OpGetChildren: zkproto.ChildrenResponse{Children: names},
		}, nil)
		zk := w.connect("a")
		before := zk.Async().Exists(ctx, "/")
		list := zk.Async().Children(ctx, "/")
		after := zk.Async().Exists(ctx, "/")
		_, err := list.Wait(ctx)
		size, ok := errors.AsType[*gazoo.SizeError](err)
		if !ok || !errors.Is(err, gazoo.ErrReplyTooLarge) || size.Limit != 4<<20 || size.Size < 10<<20 {
			t.Errorf("Children: %v, want a *SizeError with both sizes", err)
		}
		must(t, second(before.Wait(ctx)))
		must(t, second(after.Wait(ctx)))
		if zk.State() != gazoo.StateConnected {
			t.Error("the connection was lost")
		}
		large := w.connect("a", gazoo.WithMaxReply(32<<20))
		if got, err := large.Children(ctx, "/"); err != nil || len(got) != len(names) {
			t.Errorf("with a higher ceiling: %d names, %v", len(got), err)
		}
	})
}

func TestStalledConnectionIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.plant("a:2181")
		zk := w.connect("a", gazoo.WithSessionTimeout(9*time.Second))
		w.net.Conns()[0].Stall(memnet.Both)
		begin := time.Now()
		_, err := zk.Set(t.Context(), "/", nil, -1)
		if !errors.Is(err, gazoo.ErrConnectionLoss) || !gazoo.MaybeApplied(err) || time.Since(begin) > 9*time.Second {
			t.Errorf("Set after %v: %v, want connection loss within the session time-out, maybe applied", time.Since(begin), err)
		}
	})
}
