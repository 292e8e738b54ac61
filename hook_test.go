package gazoo_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// spy is a hook of every kind but that of connections.
type spy struct {
	requests []gazoo.RequestInfo
	watches  []gazoo.WatchInfo
	states   []gazoo.StateChange
}

func (s *spy) OnRequest(i gazoo.RequestInfo) { s.requests = append(s.requests, i) }
func (s *spy) OnWatch(i gazoo.WatchInfo)     { s.watches = append(s.watches, i) }
func (s *spy) OnSession(c gazoo.StateChange) { s.states = append(s.states, c) }

func TestRequestHookIsToldOfEveryRequest(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		h := &spy{}
		tree := w.plant("a:2181", slow(time.Second, zkproto.OpSetData))
		tree.mustCreate("/x", "/x/a")
		zk := w.connect("a/x", gazoo.WithHook(h))
		begin := time.Now()
		if _, err := zk.Set(ctx, "/a", []byte("data"), -1); err != nil {
			t.Fatal(err)
		}
		zxid := tree.Zxid()
		zk.Get(ctx, "/none")
		zk.Get(ctx, "bad")
		tree.down.Store(true)
		lost := zk.Async().Set(ctx, "/a", nil, -1)
		synctest.Wait()
		tree.Conn(zk.SessionID()).Close()
		lost.Wait(ctx)
		synctest.Wait()
		if len(h.requests) != 3 {
			t.Fatalf("told of %d requests, want 3: %+v", len(h.requests), h.requests)
		}
		want := gazoo.RequestInfo{Op: "set", Path: "/x/a", Server: "a:2181", Start: begin, Duration: time.Second, Zxid: zxid, Bytes: 4 + 8 + (4 + 4) + (4 + 4) + 4}
		if h.requests[0] != want {
			t.Errorf("told of %+v, want %+v", h.requests[0], want)
		}
		if r := h.requests[1]; r.Op != "get" || r.Path != "/x/none" || r.Err != gazoo.ErrNoNode {
			t.Errorf("a refused request: %+v", r)
		}
		if r := h.requests[2]; r.Op != "set" || !errors.Is(r.Err, gazoo.ErrConnectionLoss) {
			t.Errorf("a lost request: %+v", r)
		}
	})
}

func TestWatchHookIsToldOfEveryEventOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		h := &spy{}
		tree := w.plant("a:2181", modernTree)
		tree.mustCreate("/x")
		zk := w.connect("a/x", gazoo.WithHook(h))
		setWatch(t, zk, "data", "/")
		setWatch(t, zk, "exist", "/")
		setWatch(t, zk, "exist", "/a")
		mustWatch(t, zk, "/", gazoo.Recursive())
		tree.mustSet("/x", "1")
		zxid := tree.Zxid()
		tree.mustCreate("/x/a")
		synctest.Wait()
		tree.Conn(zk.SessionID()).Event(gazoo.EventDeleted, "/nobody", -1)
		w.drop(zk, tree, nil)
		var got []string
		for _, i := range h.watches {
			got = append(got, fmt.Sprint(i.Event.Type, " ", i.Event.Path, " ", i.Receivers, " ", i.Registered))
		}
		want := []string{"data changed /x 3 0", "created /x/a 2 0", "deleted /nobody 0 0", "event 0  0 1"}
		if len(got) == 4 {
			got[3], want[3] = fmt.Sprint(h.watches[3].Registered), "1"
		}
		if !slices.Equal(got, want) || h.watches[0].Event.Zxid != zxid {
			t.Errorf("told of %q, want %q", got, want)
		}
	})
}

func TestHookMayBlockWithoutHoldingTheConnectionUp(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		release := make(chan struct{})
		w.plant("a:2181").mustCreate("/a")
		zk := w.connect("a", gazoo.WithHook(blockingHook{release}))
		for range 100 {
			if _, _, err := zk.Get(ctx, "/a"); err != nil {
				t.Fatal(err)
			}
		}
		close(release)
	})
	if _, err := gazoo.New("a", gazoo.WithHook(struct{}{})); !errors.Is(err, gazoo.ErrBadArguments) {
		t.Errorf("WithHook of no hook: %v, want an argument error", err)
	}
}

type blockingHook struct{ release chan struct{} }

func (h blockingHook) OnRequest(gazoo.RequestInfo) { <-h.release }
