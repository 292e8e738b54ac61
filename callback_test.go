package gazoo_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
)

// A callback that blocks delays the callbacks behind it and nothing else: pings go on, calls are
// answered, the session lives.
func TestBlockedCallbackStallsNeitherPingsNorCalls(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		tree := w.plant("a:2181")
		tree.mustCreate("/n")
		zk := w.connect("a", gazoo.WithSessionTimeout(9*time.Second))
		_, _, watch, err := zk.GetW(t.Context(), "/n")
		must(t, err)
		release := make(chan struct{})
		var told []string
		watch.Then(func(gazoo.Event, error) {
			<-release
			told = append(told, "watch")
		})
		zk.AddListener(func(ch gazoo.StateChange) bool {
			told = append(told, ch.To.String())
			return false
		})
		tree.mustSet("/n", "v")
		synctest.Wait()
		session := zk.SessionID()
		time.Sleep(10 * time.Minute)
		if _, _, err := zk.Get(t.Context(), "/n"); err != nil || zk.SessionID() != session || zk.State() != gazoo.StateConnected {
			t.Errorf("Get beside a blocked callback: %v, state %v, session %x, want %x", err, zk.State(), zk.SessionID(), session)
		}
		w.net.Conns()[0].Cut()
		w.waitState(zk, gazoo.StateSuspended, time.Second)
		w.waitState(zk, gazoo.StateConnected, time.Minute)
		if len(told) != 0 {
			t.Errorf("%q were told while the first callback was blocked", told)
		}
		close(release)
		synctest.Wait()
		// In the order in which things happened: the event came first.
		if want := []string{"watch", "suspended", "connected"}; !slices.Equal(told, want) {
			t.Errorf("callbacks ran as %q, want %q", told, want)
		}
	})
}

func TestCallbackMayCallAndSetTheNextWatch(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 30*time.Second)
		zk := fresh(t, connect(t, c.Hosts()))
		_, err := zk.Create(ctx, "/n", []byte("0"))
		must(t, err)
		seen := make(chan string, 10)
		var again func(gazoo.Event, error)
		again = func(_ gazoo.Event, err error) {
			if err != nil {
				return
			}
			data, _, watch, err := zk.GetW(ctx, "/n") // blocking, in a callback
			if err != nil {
				t.Errorf("GetW in a callback: %v", err)
				return
			}
			watch.Then(again)
			seen <- string(data)
		}
		again(gazoo.Event{}, nil)
		for i, want := range []string{"0", "1", "2", "3"} {
			if got := <-seen; got != want {
				t.Fatalf("look %d = %q, want %q", i, got, want)
			}
			_, err := zk.Set(ctx, "/n", []byte{want[0] + 1}, gazoo.AnyVersion)
			must(t, err)
		}
		<-seen // the callback of the last change has ended its calls
	})
}

// Several changes of one path in one transaction: a one-shot tells of the first, a stream of
// each.
func TestTransactionChangesOnePathTwice(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 30*time.Second)
		zk := fresh(t, connect(t, c.Hosts()))
		for _, p := range []string{"/streamed", "/watched"} {
			_, err := zk.Create(ctx, p, nil)
			must(t, err)
		}
		stream := mustWatch(t, zk, "/streamed")
		_, _, watch, err := zk.GetW(ctx, "/watched")
		must(t, err)
		_, err = zk.Txn().Set("/streamed", nil, 0).Set("/streamed", nil, 1).Set("/watched", nil, 0).Delete("/watched", 1).Delete("/streamed", 2).Commit(ctx)
		must(t, err)
		for i, want := range []gazoo.EventType{gazoo.EventDataChanged, gazoo.EventDataChanged, gazoo.EventDeleted} {
			ev, err := stream.Next(ctx)
			must(t, err)
			if ev.Type != want || ev.Path != "/streamed" {
				t.Errorf("event %d of the stream: %+v, want %v", i, ev, want)
			}
		}
		if ev, err := watch.Wait(ctx); err != nil || ev.Type != gazoo.EventDataChanged {
			t.Errorf("one-shot: %+v, %v, want the first change", ev, err)
		}
	})
}
