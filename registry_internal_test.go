package gazoo

import (
	"fmt"
	"slices"
	"testing"
	"unsafe"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// newRegistered makes a registry with a one-shot of each given kind on each path, all set.
func newRegistered(t *testing.T, paths []string, kinds ...watchKind) (*registry, []*Watch) {
	t.Helper()
	c := newCore(defaults()) // without a connection, or anything that looks for one
	c.users.start(c.calls.run)
	t.Cleanup(func() {
		c.calls.close()
		c.users.wait(nil, true)
	})
	r := c.watches
	var all []*Watch
	for _, path := range paths {
		for _, kind := range kinds {
			all = append(all, setWatch(r, path, kind))
		}
	}
	return r, all
}

func setWatch(r *registry, path string, kind watchKind) *Watch {
	w := &Watch{core: r.core, kind: kind}
	r.begin(w, path)
	w.settle(&call{})
	return w
}

func watchedPaths(n int) []string {
	paths := make([]string, n)
	for i := range paths {
		paths[i] = fmt.Sprintf("/watched/%07d", i)
	}
	return paths
}

// TestAWatchTakesLittleMemory guards what makes a million watches affordable.
func TestAWatchTakesLittleMemory(t *testing.T) {
	if n := unsafe.Sizeof(Watch{}); n > 96 {
		t.Errorf("a Watch takes %d bytes, want at most 96", n)
	}
	if n := unsafe.Sizeof(watchEntry{}); n > 64 {
		t.Errorf("a watched path takes %d bytes, want at most 64", n)
	}
	r, _ := newRegistered(t, watchedPaths(1), watchData)
	paths, i := watchedPaths(2000), 0
	n := testing.AllocsPerRun(len(paths)-1, func() {
		w := setWatch(r, paths[i], watchData)
		r.dispatch(zkproto.WatcherEvent{Type: EventDataChanged, Path: paths[i]}, 7)
		if ev, err := w.Result(); err != nil || ev != (Event{Type: EventDataChanged, Path: paths[i], Zxid: 7}) {
			t.Fatal(ev, err)
		}
		i++
	})
	// The Watch, its entry, and the call of this test.
	if n > 3 {
		t.Errorf("a watch that is set and fired allocates %.1f times, want 3", n)
	}
}

// TestWatchesAreSetAgainWithoutAListOfPaths guards what a reconnect costs.
func TestWatchesAreSetAgainWithoutAListOfPaths(t *testing.T) {
	const paths = 20000
	r, _ := newRegistered(t, watchedPaths(paths), watchData)
	total := 0
	n := testing.AllocsPerRun(5, func() {
		r.dropped()
		total = 0
		rn := r.renew(1, true, true, func(frame []byte) {
			if len(frame) > maxRenewal+100 {
				t.Fatalf("a request of %d bytes, want at most %d", len(frame), maxRenewal)
			}
			rd := zkproto.NewReader(frame[4+zkproto.RequestHeaderSize:])
			var m zkproto.SetWatchesRequest
			m.Decode(&rd)
			if err := rd.Done(); err != nil {
				t.Fatal(err)
			}
			total += len(m.Data)
		})
		if stale := r.renewed(rn, GapReconnect); len(stale) != 0 || total != paths || rn.watches != paths {
			t.Fatalf("%d paths sent, %d stale", total, len(stale))
		}
	})
	if n > 200 {
		t.Errorf("%d watches set again allocate %.0f times, want few", paths, n)
	}
}

func TestARegistrationThatWasRenewedForNobodyIsStale(t *testing.T) {
	r, all := newRegistered(t, []string{"/a", "/b", "/c"}, watchData, watchChild)
	r.dropped()
	rn := r.renew(1, true, true, func([]byte) {})
	all[0].Close() // the child watch stays
	all[2].Close() // nothing stays,
	all[3].Close()
	setWatch(r, "/b", watchData) // and something new comes
	var stale []string
	for _, e := range r.renewed(rn, GapReconnect) {
		stale = append(stale, e.path)
	}
	slices.Sort(stale)
	if !slices.Equal(stale, []string{"/a", "/b"}) {
		t.Errorf("stale are %v, want /a and /b", stale)
	}
	for _, e := range r.paths {
		if e.server != tableData|tableChild {
			t.Errorf("the server is believed to hold %b on %s, want %b", e.server, e.path, tableData|tableChild)
		}
	}
}

// TestWatchesOfOnePathKeepTheirOrder has watches leave the ring at its ends and in the middle.
func TestWatchesOfOnePathKeepTheirOrder(t *testing.T) {
	r, all := newRegistered(t, slices.Repeat([]string{"/a"}, 6), watchExist)
	var order []int
	for i, w := range all {
		w.Then(func(ev Event, err error) {
			if err == nil {
				order = append(order, i)
			}
		})
	}
	for _, i := range []int{0, 3, 5} {
		all[i].Close()
	}
	if n, _ := r.count(); n != 3 {
		t.Errorf("%d watches are left, want 3", n)
	}
	r.dispatch(zkproto.WatcherEvent{Type: EventCreated, Path: "/a"}, 0)
	done := make(chan struct{})
	r.core.calls.enqueue(func() { close(done) })
	<-done
	if !slices.Equal(order, []int{1, 2, 4}) || len(r.paths) != 0 {
		t.Errorf("fired in the order %v, want 1, 2, 4; %d paths are left", order, len(r.paths))
	}
	if n := len(slices.Collect((&watchRing{}).take())); n != 0 {
		t.Errorf("an empty ring yields %d watches", n)
	}
}
