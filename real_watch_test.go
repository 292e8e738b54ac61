package gazoo_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
)

func TestOneShotWatchesOnServers(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 30*time.Second)
		zk := fresh(t, connect(t, c.Hosts()))
		other := connect(t, c.Hosts()+zk.Root())
		// Missing znode: only exists sets a watch.
		_, _, w, err := zk.GetW(ctx, "/n")
		wantErr(t, "GetW of nothing", err, gazoo.ErrNoNode)
		if w != nil {
			t.Error("GetW of nothing returned a watch")
		}
		_, found, exist, err := zk.ExistsW(ctx, "/n")
		must(t, err)
		if found {
			t.Error("ExistsW = true")
		}
		_, _, parent, err := zk.ChildrenW(ctx, "/")
		must(t, err)
		_, err = other.Create(ctx, "/n", nil)
		must(t, err)
		awaitEvent(t, exist, gazoo.EventCreated, "/n")
		awaitEvent(t, parent, gazoo.EventChildrenChanged, "/")

		_, _, data, err := zk.GetW(ctx, "/n")
		must(t, err)
		_, _, exist, err = zk.ExistsW(ctx, "/n")
		must(t, err)
		_, _, child, err := zk.ChildrenW(ctx, "/n")
		must(t, err)
		_, err = other.SetACL(ctx, "/n", gazoo.OpenACL(), gazoo.AnyVersion) // fires nothing
		must(t, err)
		_, err = other.Set(ctx, "/n", nil, gazoo.AnyVersion)
		must(t, err)
		awaitEvent(t, data, gazoo.EventDataChanged, "/n")
		awaitEvent(t, exist, gazoo.EventDataChanged, "/n")
		pending(t, "children", child)
		_, err = other.Create(ctx, "/n/child", nil)
		must(t, err)
		awaitEvent(t, child, gazoo.EventChildrenChanged, "/n")

		must(t, other.Delete(ctx, "/n/child", gazoo.AnyVersion))
		must(t, zk.Sync(ctx, "/n")) // or this server might show the child's delete as a change yet to come
		_, _, data, err = zk.GetW(ctx, "/n")
		must(t, err)
		_, _, exist, err = zk.ExistsW(ctx, "/n")
		must(t, err)
		_, _, child, err = zk.ChildrenW(ctx, "/n")
		must(t, err)
		_, _, parent, err = zk.ChildrenW(ctx, "/")
		must(t, err)
		must(t, other.Delete(ctx, "/n", gazoo.AnyVersion))
		for _, w := range []*gazoo.Watch{data, exist, child} {
			awaitEvent(t, w, gazoo.EventDeleted, "/n")
		}
		awaitEvent(t, parent, gazoo.EventChildrenChanged, "/")
		if oneShots, _ := zk.WatchCount(); oneShots != 0 {
			t.Errorf("WatchCount = %d after all fired", oneShots)
		}
	})
}

// A client never reads new data before it was told of the change.
func TestEventsComeBeforeReplies(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 30*time.Second)
		zk := fresh(t, connect(t, c.Hosts()))
		other := connect(t, c.Hosts()+zk.Root())
		_, err := zk.Create(ctx, "/n", nil)
		must(t, err)
		must(t, other.Sync(ctx, "/n"))
		for i := range 100 {
			_, stat, w, err := zk.GetW(ctx, "/n")
			must(t, err)
			set := other.Async().Set(ctx, "/n", nil, int32(i))
			for {
				_, now, err := zk.Get(ctx, "/n")
				must(t, err)
				if now.Version == stat.Version {
					continue
				}
				select {
				case <-w.Done():
				default:
					t.Fatalf("version %d was read before the event", now.Version)
				}
				break
			}
			get(t, ctx, "Set", set)
		}
	})
}

// nextEvents reads n events of a stream.
func nextEvents(t *testing.T, s *gazoo.Stream, n int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	var got []string
	for range n {
		ev, err := s.Next(ctx)
		if err != nil {
			t.Fatalf("Next after %q: %v", got, err)
		}
		if ev.Type == gazoo.EventNone {
			got = append(got, fmt.Sprintf("gap(%v) %s", ev.Gap, ev.Path))
			continue
		}
		got = append(got, fmt.Sprintf("%v %s", ev.Type, ev.Path))
	}
	return got
}

func wantStreamEvents(t *testing.T, s *gazoo.Stream, want ...string) {
	t.Helper()
	if got := nextEvents(t, s, len(want)); !slices.Equal(got, want) {
		t.Errorf("events:\n%q\nwant:\n%q", got, want)
	}
}

// change makes one of each kind of change at and below a path.
func change(t *testing.T, zk *gazoo.Client, path string) {
	t.Helper()
	ctx := deadline(t, 10*time.Second)
	_, err := zk.Create(ctx, path, nil)
	must(t, err)
	_, err = zk.Set(ctx, path, nil, gazoo.AnyVersion)
	must(t, err)
	_, err = zk.Create(ctx, path+"/c", nil)
	must(t, err)
	_, err = zk.Set(ctx, path+"/c", nil, gazoo.AnyVersion)
	must(t, err)
	_, err = zk.Create(ctx, path+"/c/d", nil)
	must(t, err)
	must(t, zk.DeleteRecursive(ctx, path, nil))
}

var (
	persistentEvents = []string{
		"created /n", "data changed /n", "children changed /n", "children changed /n", "deleted /n",
	}
	recursiveEvents = []string{
		"created /n", "data changed /n", "created /n/c", "data changed /n/c", "created /n/c/d",
		"deleted /n/c/d", "deleted /n/c", "deleted /n",
	}
)

func TestStreamsOnServers(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 30*time.Second)
		zk := fresh(t, connect(t, c.Hosts()))
		persistent, err := zk.Watch(ctx, "/n")
		must(t, err)
		recursive, err := zk.Watch(ctx, "/", gazoo.Recursive())
		must(t, err)
		for range 2 { // they stay
			change(t, zk, "/n")
			wantStreamEvents(t, persistent, persistentEvents...)
			wantStreamEvents(t, recursive, recursiveEvents...)
		}
		persistent.Close()
		recursive.Close()
		_, err = recursive.Next(ctx)
		wantErr(t, "Next of a closed stream", err, gazoo.ErrWatchCanceled)
	})
}

// On ZooKeeper 3.8 a path has one watch mode per table: what is set last replaces what was
// there. All kinds on one path must work all the same, in whatever order they are set.
func TestAllKindsOfWatchesOnOnePath(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 40*time.Second)
		zk := fresh(t, connect(t, c.Hosts()))
		kinds := []string{"persistent", "recursive", "one-shot"}
		for _, order := range permutations(kinds) {
			var persistent, recursive *gazoo.Stream
			var exist, child *gazoo.Watch
			_, err := zk.Create(ctx, "/n", nil)
			must(t, err)
			for _, kind := range order {
				switch kind {
				case "persistent":
					persistent, err = zk.Watch(ctx, "/n")
				case "recursive":
					recursive, err = zk.Watch(ctx, "/n", gazoo.Recursive())
				default:
					_, _, exist, err = zk.ExistsW(ctx, "/n")
					must(t, err)
					_, _, child, err = zk.ChildrenW(ctx, "/n")
				}
				must(t, err)
			}
			_, err = zk.Create(ctx, "/n/c", nil)
			must(t, err)
			awaitEvent(t, child, gazoo.EventChildrenChanged, "/n")
			pending(t, "exists", exist)
			_, err = zk.Set(ctx, "/n", nil, gazoo.AnyVersion)
			must(t, err)
			awaitEvent(t, exist, gazoo.EventDataChanged, "/n")
			_, _, again, err := zk.GetW(ctx, "/n")
			must(t, err)
			_, err = zk.Set(ctx, "/n", nil, gazoo.AnyVersion)
			must(t, err)
			awaitEvent(t, again, gazoo.EventDataChanged, "/n")
			// The one-shots that came and went took nothing from the streams.
			must(t, zk.DeleteRecursive(ctx, "/n", nil))
			wantStreamEvents(t, persistent, "children changed /n", "data changed /n", "data changed /n", "children changed /n", "deleted /n")
			wantStreamEvents(t, recursive, "created /n/c", "data changed /n", "data changed /n", "deleted /n/c", "deleted /n")
			if t.Failed() {
				t.Fatalf("order: %q", order)
			}
			// Closing one stream leaves the other.
			first, second := persistent, recursive
			want := recursiveEvents
			if order[0] == "recursive" {
				first, second, want = recursive, persistent, persistentEvents
			}
			first.Close()
			change(t, zk, "/n")
			wantStreamEvents(t, second, want...)
			second.Close()
		}
	})
}

func permutations(s []string) [][]string {
	if len(s) <= 1 {
		return [][]string{slices.Clone(s)}
	}
	var all [][]string
	for i := range s {
		rest := slices.Delete(slices.Clone(s), i, i+1)
		for _, p := range permutations(rest) {
			all = append(all, append([]string{s[i]}, p...))
		}
	}
	return all
}

// serverWatches returns how many watches the server holds in its data table, for everybody.
func serverWatches(t *testing.T, zk *gazoo.Client) string {
	t.Helper()
	text, err := zk.FourLetterWord(deadline(t, 10*time.Second), "wchs")
	must(t, err)
	_, watching, _ := strings.Cut(text, " watching ") // "1 connections watching 2 paths\nTotal watches:2\n"
	return watching
}

func TestClosedWatchesLeaveTheServer(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 30*time.Second)
		zk := fresh(t, connect(t, c.Addr(0)))
		_, err := zk.Create(ctx, "/n", nil)
		must(t, err)
		before := serverWatches(t, zk)
		_, _, w1, err := zk.GetW(ctx, "/n")
		must(t, err)
		_, _, w2, err := zk.ExistsW(ctx, "/n")
		must(t, err)
		_, _, w3, err := zk.ExistsW(ctx, "/none")
		must(t, err)
		_, _, w4, err := zk.ChildrenW(ctx, "/n")
		must(t, err)
		s1, err := zk.Watch(ctx, "/s")
		must(t, err)
		s2, err := zk.Watch(ctx, "/r", gazoo.Recursive())
		must(t, err)
		if during := serverWatches(t, zk); during == before {
			t.Errorf("wchs = %q with watches and without", during)
		}
		w1.Close()
		_, err = w1.Wait(ctx)
		wantErr(t, "Wait of a closed watch", err, gazoo.ErrWatchCanceled)
		// The other watch on the path goes on.
		_, err = zk.Set(ctx, "/n", nil, gazoo.AnyVersion)
		must(t, err)
		awaitEvent(t, w2, gazoo.EventDataChanged, "/n")
		w3.Close()
		w4.Close()
		s1.Close()
		s2.Close()
		_, _, err = zk.Get(ctx, "/n") // behind the removals
		must(t, err)
		if after := serverWatches(t, zk); after != before {
			t.Errorf("wchs = %q before, %q after all watches were closed", before, after)
		}
	})
}
