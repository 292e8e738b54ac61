package gazoo_test

import (
	"context"
	"encoding/binary"
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
	"github.com/gazoo-zk/gazoo/internal/faultproxy"
)

// This file is about watches that survive what happens to connections, servers and sessions.

// watchLog is a hook that counts the events that came from servers, by path.
type watchLog struct {
	mu         sync.Mutex
	events     map[string][]gazoo.EventType
	registered int
}

func (l *watchLog) OnWatch(info gazoo.WatchInfo) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.events == nil {
		l.events = make(map[string][]gazoo.EventType)
	}
	if info.Registered > 0 {
		l.registered += info.Registered
		return
	}
	l.events[info.Event.Path] = append(l.events[info.Event.Path], info.Event.Type)
}

// settle waits until everything that was queued for callbacks has run.
func settleCallbacks(t *testing.T, zk *gazoo.Client) {
	t.Helper()
	ran := make(chan struct{})
	zk.Async().Exists(t.Context(), "/").Then(func(gazoo.Presence, error) { close(ran) })
	select {
	case <-ran:
	case <-deadline(t, 10*time.Second).Done():
		t.Fatal("callbacks are stuck")
	}
}

func (l *watchLog) of(path string) []gazoo.EventType {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.events[path])
}

// follow runs an iterator on a goroutine and returns what it yields; the channel is closed
// after its error. It ends with the test.
func follow[S any](t *testing.T, watch func(context.Context) iter.Seq2[S, error]) <-chan S {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out := make(chan S, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(out)
		for snap, err := range watch(ctx) {
			if err != nil {
				return
			}
			out <- snap
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return out
}

// awaitSnap waits until an iterator yields what ok accepts and returns how many it took.
func awaitSnap[S any](t *testing.T, ch <-chan S, what string, ok func(S) bool) int {
	t.Helper()
	limit := deadline(t, 20*time.Second)
	for n := 1; ; n++ {
		select {
		case snap, open := <-ch:
			if !open {
				t.Fatalf("%s: the watch ended", what)
			}
			if ok(snap) {
				return n
			}
		case <-limit.Done():
			t.Fatalf("%s: nothing came", what)
		}
	}
}

func TestSurvivingWatchesOnServers(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 60*time.Second)
		zk := fresh(t, connect(t, c.Proxied(), gazoo.WithSessionTimeout(20*time.Second)))
		data := follow(t, func(ctx context.Context) iter.Seq2[gazoo.DataSnapshot, error] { return zk.WatchData(ctx, "/n") })
		children := follow(t, func(ctx context.Context) iter.Seq2[gazoo.ChildrenSnapshot, error] { return zk.WatchChildren(ctx, "/n") })
		only := func(what string, n int) {
			t.Helper()
			if n != 1 {
				t.Errorf("%s: %d snapshots, want one", what, n)
			}
		}
		awaitSnap(t, data, "missing", func(s gazoo.DataSnapshot) bool { return !s.Exists })
		awaitSnap(t, children, "missing", func(s gazoo.ChildrenSnapshot) bool { return !s.Exists })
		_, err := zk.Create(ctx, "/n", []byte("0"))
		must(t, err)
		isData := func(want string) func(gazoo.DataSnapshot) bool {
			return func(s gazoo.DataSnapshot) bool { return s.Exists && string(s.Data) == want }
		}
		hasChildren := func(want ...string) func(gazoo.ChildrenSnapshot) bool {
			return func(s gazoo.ChildrenSnapshot) bool {
				slices.Sort(s.Children)
				return s.Exists && slices.Equal(s.Children, want)
			}
		}
		only("created", awaitSnap(t, data, "created", isData("0")))
		only("created", awaitSnap(t, children, "created", hasChildren()))
		write := func(i int) {
			t.Helper()
			_, err := zk.Set(ctx, "/n", fmt.Append(nil, i), gazoo.AnyVersion)
			must(t, err)
			_, err = zk.Create(ctx, fmt.Sprintf("/n/c%d", i), nil)
			must(t, err)
		}

		sub := zk.SubscribeState()
		must(t, c.Restart(serverIndex(t, c, zk)))
		if ch := awaitState(t, sub, gazoo.StateConnected); !ch.Resumed {
			t.Errorf("after the restart: %+v, want the session resumed", ch)
		}
		write(1)
		only("after a restart", awaitSnap(t, data, "after a restart", isData("1")))
		only("after a restart", awaitSnap(t, children, "after a restart", hasChildren("c1")))

		if ch := expire(t, c, zk); !ch.NewSession {
			t.Errorf("after the expiry: %+v, want a new session", ch)
		}
		write(2)
		only("after an expiry", awaitSnap(t, data, "after an expiry", isData("2")))
		only("after an expiry", awaitSnap(t, children, "after an expiry", hasChildren("c1", "c2")))

		// Changed behind the client's back, seen once.
		other := connect(t, c.Hosts()+zk.Root())
		away(t, c, zk, func() {
			_, err := other.Set(ctx, "/n", []byte("away"), gazoo.AnyVersion)
			must(t, err)
			_, err = other.Create(ctx, "/n/away", nil)
			must(t, err)
		})
		only("while away", awaitSnap(t, data, "while away", isData("away")))
		only("while away", awaitSnap(t, children, "while away", hasChildren("away", "c1", "c2")))
		must(t, zk.DeleteRecursive(ctx, "/n", nil))
		awaitSnap(t, data, "deleted", func(s gazoo.DataSnapshot) bool { return !s.Exists })
		awaitSnap(t, children, "deleted", func(s gazoo.ChildrenSnapshot) bool { return !s.Exists })
	})
}

func TestEventsMissedWhileAwayComeOnce(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 40*time.Second)
		var log watchLog
		zk := fresh(t, connect(t, c.Proxied(), gazoo.WithHook(&log)))
		other := connect(t, c.Hosts()+zk.Root())
		for _, path := range []string{"/set", "/deleted", "/recreated", "/parent", "/still", "/parent/old"} {
			_, err := zk.Create(ctx, path, nil)
			must(t, err)
		}
		must(t, other.Sync(ctx, "/"))
		watches := make(map[string]*gazoo.Watch)
		add := func(kind, path string) {
			t.Helper()
			var w *gazoo.Watch
			var err error
			switch kind {
			case "get":
				_, _, w, err = zk.GetW(ctx, path)
			case "exists":
				_, _, w, err = zk.ExistsW(ctx, path)
			case "children":
				_, _, w, err = zk.ChildrenW(ctx, path)
			}
			must(t, err)
			watches[kind+" "+path] = w
		}
		for _, path := range []string{"/set", "/deleted", "/recreated", "/still"} {
			add("get", path)
			add("exists", path)
		}
		add("exists", "/created")
		add("exists", "/none")
		add("children", "/parent")
		add("children", "/deleted")
		add("children", "/still")
		ch := away(t, c, zk, func() {
			_, err := other.Txn().Set("/set", nil, 0).Set("/set", nil, 1).Delete("/deleted", 0).Delete("/recreated", 0).Create("/recreated", nil).
				Create("/parent/new", nil).Create("/created", nil).Commit(ctx)
			must(t, err)
		})
		if !ch.Resumed {
			t.Errorf("back with %+v, want the same session", ch)
		}
		want := map[string]gazoo.EventType{
			"get /set": gazoo.EventDataChanged, "exists /set": gazoo.EventDataChanged,
			"get /deleted": gazoo.EventDeleted, "exists /deleted": gazoo.EventDeleted, "children /deleted": gazoo.EventDeleted,
			"get /recreated": gazoo.EventDataChanged, "exists /recreated": gazoo.EventDataChanged,
			"exists /created": gazoo.EventCreated, "children /parent": gazoo.EventChildrenChanged,
		}
		for name, w := range watches {
			_, path, _ := strings.Cut(name, " ")
			if ev, fires := want[name]; fires {
				awaitEvent(t, w, ev, path)
			} else {
				pending(t, name, w)
			}
		}
		// Those that had nothing to tell are alive.
		_, err := other.Txn().Create("/none", nil).Set("/still", nil, 0).Create("/still/c", nil).Commit(ctx)
		must(t, err)
		awaitEvent(t, watches["exists /none"], gazoo.EventCreated, "/none")
		awaitEvent(t, watches["get /still"], gazoo.EventDataChanged, "/still")
		awaitEvent(t, watches["exists /still"], gazoo.EventDataChanged, "/still")
		awaitEvent(t, watches["children /still"], gazoo.EventChildrenChanged, "/still")
	})
}

func TestNoDuplicateEventsAfterRestarts(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 90*time.Second)
		var log watchLog
		zk := fresh(t, connect(t, c.Hosts(), gazoo.WithHook(&log), gazoo.WithSessionTimeout(30*time.Second)))
		_, err := zk.Txn().Create("/one", nil).Create("/stream", nil).Create("/func", nil).Commit(ctx)
		must(t, err)
		_, _, w, err := zk.GetW(ctx, "/one")
		must(t, err)
		s, err := zk.Watch(ctx, "/stream")
		must(t, err)
		defer s.Close()
		var calls atomic.Int32
		called := make(chan int32, 100)
		watching, err := zk.WatchDataFunc(ctx, "/func", func(gazoo.DataSnapshot) bool { called <- calls.Add(1); return true })
		must(t, err)
		defer watching.Stop()
		<-called
		sub := zk.SubscribeState()
		for range 5 {
			must(t, c.Restart(serverIndex(t, c, zk)))
			if ch := awaitState(t, sub, gazoo.StateConnected); !ch.Resumed {
				t.Fatalf("after a restart: %+v, want the session resumed", ch)
			}
		}
		for _, path := range []string{"/one", "/stream", "/func"} {
			_, err = zk.Set(ctx, path, nil, 0)
			must(t, err)
		}
		awaitEvent(t, w, gazoo.EventDataChanged, "/one")
		wantStreamEvents(t, s, "gap(reconnect) /stream", "data changed /stream")
		select {
		case <-called:
		case <-ctx.Done():
			t.Fatal("the watch function was not called")
		}
		// One more change ends the wait for a duplicate that does not come.
		_, err = zk.Create(ctx, "/stream/end", nil)
		must(t, err)
		wantStreamEvents(t, s, "children changed /stream")
		settleCallbacks(t, zk)
		for _, path := range []string{"/one", "/func"} {
			if got := log.of(zk.Root() + path); !slices.Equal(got, []gazoo.EventType{gazoo.EventDataChanged}) {
				t.Errorf("events of %s = %v, want one change", path, got)
			}
		}
		if n := calls.Load(); n != 2 {
			t.Errorf("watch function called %d times, want at first and for one change", n)
		}
	})
}

// isSetWatches tells a proxy's filter which frames are registrations and their answers.
func isSetWatches(frame []byte) bool {
	return len(frame) >= 4 && int32(binary.BigEndian.Uint32(frame)) == -8
}

func TestCutsDuringRegistration(t *testing.T) {
	for _, dir := range []faultproxy.Dir{faultproxy.Upstream, faultproxy.Downstream} {
		t.Run(dir.String(), func(t *testing.T) {
			cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
				ctx := deadline(t, 40*time.Second)
				var log watchLog
				zk := fresh(t, connect(t, c.Proxied(), gazoo.WithHook(&log)))
				other := connect(t, c.Hosts()+zk.Root())
				_, err := zk.Txn().Create("/changed", nil).Create("/quiet", nil).Commit(ctx)
				must(t, err)
				must(t, other.Sync(ctx, "/"))
				_, _, changed, err := zk.GetW(ctx, "/changed")
				must(t, err)
				_, _, quiet, err := zk.GetW(ctx, "/quiet")
				must(t, err)
				s, err := zk.Watch(ctx, "/stream", gazoo.Recursive())
				must(t, err)
				defer s.Close()
				var cuts atomic.Int32
				for _, p := range proxies(c) {
					p.SetFilter(func(d faultproxy.Dir, _ int, frame []byte) faultproxy.Verdict {
						if d == dir && isSetWatches(frame) && cuts.Add(1) <= 3 {
							return faultproxy.Cut
						}
						return faultproxy.Forward
					})
				}
				ch := away(t, c, zk, func() {
					_, err := other.Set(ctx, "/changed", nil, 0)
					must(t, err)
				})
				if n := cuts.Load(); n != 4 || !ch.Resumed {
					t.Errorf("connected after %d registrations with %+v, want the fourth to work in the same session", n, ch)
				}
				awaitEvent(t, changed, gazoo.EventDataChanged, "/changed")
				pending(t, "/quiet", quiet)
				_, err = other.Set(ctx, "/quiet", nil, 0)
				must(t, err)
				awaitEvent(t, quiet, gazoo.EventDataChanged, "/quiet")
				_, err = other.Create(ctx, "/stream", nil)
				must(t, err)
				wantStreamEvents(t, s, "gap(reconnect) /stream", "created /stream")
				settleCallbacks(t, zk)
				if got := log.of(zk.Root() + "/changed"); len(got) != 1 {
					t.Errorf("events of /changed = %v, want one", got)
				}
			})
		})
	}
}

func TestExpiryEndsWhatTheSessionHeld(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 40*time.Second)
		zk := fresh(t, connect(t, c.Proxied()))
		_, err := zk.Create(ctx, "/n", nil)
		must(t, err)
		_, err = zk.Create(ctx, "/eph", nil, gazoo.Ephemeral())
		must(t, err)
		_, _, w, err := zk.GetW(ctx, "/n")
		must(t, err)
		s, err := zk.Watch(ctx, "/n")
		must(t, err)
		defer s.Close()
		bound := make(chan error, 1)
		go func() {
			for _, err := range zk.WatchData(ctx, "/n", gazoo.UntilSessionLost()) {
				if err != nil {
					bound <- err
				}
			}
		}()
		old := zk.Session()
		view := zk.InSession(old)
		ch := expire(t, c, zk)
		if !ch.NewSession || ch.Resumed || ch.Session == old.ID() || zk.SessionID() != ch.Session {
			t.Errorf("after the expiry: %+v, session 0x%x", ch, zk.SessionID())
		}
		wantErr(t, "cause of the session's end", context.Cause(old.Context()), gazoo.ErrSessionExpired)
		wantErr(t, "cause of the tenancy's end", context.Cause(old.Tenancy()), gazoo.ErrSessionExpired)
		_, err = w.Wait(ctx)
		wantErr(t, "one-shot watch", err, gazoo.ErrSessionExpired)
		select {
		case err := <-bound:
			if !gazoo.SessionLost(err) {
				t.Errorf("WatchData until the session is lost ended with %v", err)
			}
		case <-ctx.Done():
			t.Error("WatchData until the session is lost goes on")
		}
		_, err = view.Create(ctx, "/late", nil)
		wantErr(t, "create in the old session", err, gazoo.ErrSessionOver)
		if _, found, err := zk.Exists(ctx, "/eph"); err != nil || found {
			t.Errorf("Exists of the ephemeral = %v, %v", found, err)
		}
		_, err = zk.Set(ctx, "/n", nil, 0)
		must(t, err)
		wantStreamEvents(t, s, "gap(new session) /n", "data changed /n")
		must(t, zk.Close())
		if session := zk.Session(); session != nil || zk.SessionID() != 0 || zk.SessionTimeout() != 0 {
			t.Errorf("Session after Close = %v, id 0x%x", session, zk.SessionID())
		}
	})
}
