package counter_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/internal/zkdisk"
	"github.com/gazoo-zk/gazoo/internal/ztree"
	"github.com/gazoo-zk/gazoo/recipes/counter"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/lock"
	"github.com/gazoo-zk/gazoo/zkserver"
	"github.com/gazoo-zk/gazoo/zktest"
)

func TestValueOfAnyType(t *testing.T) {
	type limits struct{ Max, Min int }
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		path := recipetest.Path(t) + "/a/limits"
		v := must1(counter.NewValue(recipetest.Dial(t, c.Hosts()), path, counter.JSON[limits]()))
		other := must1(counter.NewValue(recipetest.Dial(t, c.Hosts()), path, counter.JSON[limits]()))
		if now, err := v.Get(t.Context()); err != nil || now.Exists() || now.Value != (limits{}) {
			t.Errorf("Get of nothing: %+v, %v", now, err)
		}
		for i, want := range []bool{true, false} {
			if made, err := v.Initialize(t.Context(), limits{Max: 3}); err != nil || made != want {
				t.Errorf("Initialize number %d: %v, %v, want %v", i+1, made, err, want)
			}
		}
		change, err := other.Update(t.Context(), func(l limits) (limits, error) { l.Min = 1; return l, nil })
		if err != nil || change.Pre != (limits{Max: 3}) || change.Post != (limits{3, 1}) || change.Version != 1 {
			t.Errorf("Update: %+v, %v", change, err)
		}
		for _, c := range []struct {
			old  limits
			want bool
		}{{limits{3, 0}, false}, {limits{3, 1}, true}, {limits{3, 1}, false}} {
			if swapped, err := v.CompareAndSet(t.Context(), c.old, limits{4, 1}); err != nil || swapped != c.want {
				t.Errorf("CompareAndSet(%v): %v, %v, want %v", c.old, swapped, err, c.want)
			}
		}
		for i, want := range []bool{true, false} {
			if next, set, err := other.TrySet(t.Context(), 2, limits{5, 5}); err != nil || set != want || set && next != 3 {
				t.Errorf("TrySet number %d: %d, %v, %v, want %v", i+1, next, set, err, want)
			}
		}
		if now, err := v.GetFresh(t.Context()); err != nil || now.Value != (limits{5, 5}) || now.Version != 3 || now.Stat.Version != 3 {
			t.Errorf("GetFresh: %+v, %v", now, err)
		}
	})
}

// The default stands for a znode that is missing.
func TestCompareAndSetOfNothing(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		v := newText(t, zk, "/a/v")
		if swapped, err := v.CompareAndSet(t.Context(), "x", "y"); err != nil || swapped {
			t.Errorf("CompareAndSet of another value: %v, %v", swapped, err)
		}
		if swapped, err := v.CompareAndSet(t.Context(), "", "y"); err != nil || !swapped {
			t.Errorf("CompareAndSet of the default: %v, %v", swapped, err)
		}
		wantStored(t, srv, "/a/v", "y")
		if _, set, err := v.TrySet(t.Context(), counter.Missing, "z"); err != nil || set {
			t.Errorf("TrySet of a missing one that is there: %v, %v", set, err)
		}
	})
}

// A server that is behind makes nobody believe that the value is another.
func TestCompareAndSetOnAServerThatIsBehind(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		must(t, srv.Put("/v", "old"))
		zk := must1(gazoo.Connect(t.Context(), srv.Endpoint(1).Addr(), gazoo.WithDialer(srv.Dial)))
		defer zk.Close()
		srv.Endpoint(1).Lag(time.Second)
		must(t, srv.Put("/v", "new"))
		if swapped, err := newText(t, zk, "/v").CompareAndSet(t.Context(), "new", "newer"); err != nil || !swapped {
			t.Errorf("CompareAndSet: %v, %v, want true", swapped, err)
		}
	}, zktest.Endpoints(2))
}

// Set and Initialize do not mind who made it so; an error of fn or the codec leaves the znode alone.
func TestSetWithALostAnswer(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		v := newText(t, recipetest.Client(t, srv), "/v")
		srv.DropReply(zktest.OpCreate, "/v")
		if made, err := v.Initialize(t.Context(), "a"); err != nil || !made {
			t.Errorf("Initialize: %v, %v", made, err)
		}
		srv.DropReply(zktest.OpSet, "/v")
		if _, err := v.Set(t.Context(), "b"); err != nil {
			t.Errorf("Set: %v", err)
		}
		srv.DropReply(zktest.OpSet, "/v")
		if _, err := v.CompareAndSet(t.Context(), "b", "c"); !gazoo.MaybeApplied(err) {
			t.Errorf("CompareAndSet: %v, want one that may have been applied", err)
		}
		wantStored(t, srv, "/v", "c")
		sorry := errors.New("sorry")
		if _, err := v.Update(t.Context(), func(string) (string, error) { return "d", sorry }); !errors.Is(err, sorry) {
			t.Errorf("Update: %v, want fn's error", err)
		}
		bad := must1(counter.NewValue(recipetest.Client(t, srv), "/v", counter.JSON[chan int]()))
		if _, err := bad.Set(t.Context(), nil); err == nil {
			t.Error("Set of what cannot be encoded: no error")
		} else if _, ok := errors.AsType[*counter.DataError](err); !ok {
			t.Errorf("Set of what cannot be encoded: %v, want a DataError", err)
		}
		wantStored(t, srv, "/v", "c")
	})
}

// Reads that are lost are repeated, and a session that ends is no matter.
func TestUpdateSurvivesDisconnectAndExpiry(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		n := newInt(t, zk, "/n")
		srv.DropReply(zktest.OpGet, "/n")
		srv.ExpireSession(zk.SessionID())
		if _, err := n.Increment(t.Context()); err != nil {
			t.Errorf("Increment: %v", err)
		}
		wantStored(t, srv, "/n", "1")
		srv.Refuse()
		srv.Cut()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := n.Increment(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Increment without a server: %v, want the deadline", err)
		}
		srv.Heal()
		wantStored(t, srv, "/n", "1")
	})
}

// The watch shows versions in order, through everything, and the last value in any case.
func TestWatchSurvives(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		n := must1(counter.NewInt(zk, "/n", 7))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var got []string
		steps := []func(){
			func() { must(t, srv.Put("/n", "8")) },
			func() { srv.Cut(); must(t, srv.Put("/n", "9")) },
			func() {
				session := srv.Session(zk.SessionID())
				session.Refuse()
				must(t, srv.Put("/n", "10"))
				session.Expire()
				session.Heal()
			},
			func() { must(t, srv.Remove("/n")) },
			func() { must(t, srv.Put("/n", "ten")) },
		}
		var bad *counter.DataError
		for now, err := range n.Watch(ctx) {
			if err != nil {
				bad, _ = errors.AsType[*counter.DataError](err)
				continue
			}
			got = append(got, fmt.Sprint(now.Value, " v", now.Version))
			go steps[len(got)-1]()
		}
		if want := []string{"7 v-1", "8 v0", "9 v1", "10 v2", "7 v-1"}; !reflect.DeepEqual(got, want) {
			t.Errorf("the watch showed %q, want %q", got, want)
		}
		if bad == nil || bad.Path != "/n" {
			t.Errorf("it ended with %v, want a DataError", bad)
		}
		synctest.Wait()
	})
}

// rival makes the value at /n change before each of the first times writes of others.
func rival(t *testing.T, srv *zktest.Server, times int) {
	var mu sync.Mutex
	left, value := times, 100
	srv.Add(zktest.Rule{
		Match: zktest.Match{Op: zktest.OpSet, Path: "/n", If: func(zktest.Request) bool {
			mu.Lock()
			defer mu.Unlock()
			if left > 0 {
				left, value = left-1, value+1
				if err := srv.Put("/n", fmt.Sprint(value)); err != nil {
					t.Error(err)
				}
			}
			return false
		}},
		Do: zktest.DropRequest(),
	})
}

func TestContentionIsPromotedToALock(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		mu := must1(lock.New(zk, "/locks/n"))
		must(t, srv.Put("/n", "1"))
		n := newInt(t, zk, "/n", counter.WithLock(mu), counter.WithTries(3))
		rival(t, srv, 5)
		held, err := mu.Lock(t.Context())
		must(t, err)
		begin := time.Now()
		time.AfterFunc(time.Minute, func() { held.Release(context.Background()) })
		change, err := n.Increment(t.Context())
		if err != nil || change.Post != 106 {
			t.Errorf("Increment: %+v, %v", change, err)
		}
		if took := time.Since(begin); took < time.Minute {
			t.Errorf("it did not wait for the lock: %v", took)
		}
		s := change.Stats
		if s.Changes != 1 || s.Tries != 3 || s.LockedTries != 3 || s.LockedTime < 59*time.Second || s.TriesTime > time.Second {
			t.Errorf("stats %+v, want 3 tries and 3 under the lock within a minute", s)
		}
		if _, err := n.Increment(t.Context()); err != nil {
			t.Errorf("Increment: %v", err)
		}
		if total := n.Stats(); total.Changes != 2 || total.Tries != 4 || total.LockedTries != 3 || total.LockedTime != s.LockedTime {
			t.Errorf("stats in all %+v", total)
		}
		if names := recipetest.Children(t, zk, "/locks/n"); len(names) != 0 {
			t.Errorf("the lock is still held: %v", names)
		}
	})
}

func TestContentionWithoutALock(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		must(t, srv.Put("/n", "1"))
		n := newInt(t, zk, "/n", counter.WithTries(4))
		rival(t, srv, 4)
		if _, err := n.Increment(t.Context()); !errors.Is(err, counter.ErrContended) || gazoo.MaybeApplied(err) {
			t.Errorf("Increment: %v, want ErrContended", err)
		}
		wantStored(t, srv, "/n", "104")
		if s := n.Stats(); s.Contended != 1 || s.Tries != 4 || s.Changes != 0 {
			t.Errorf("stats %+v", s)
		}
		if change, err := n.Increment(t.Context()); err != nil || change.Stats.Tries != 1 {
			t.Errorf("Increment: %+v, %v", change, err)
		}
	})
}

// Numbers are handed out once each, by however many programs, and few of them cost a round trip.
func TestIDsAreUnique(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		const clients, each, count, size = 3, 4, 25, 10
		var mu sync.Mutex
		seen := map[int64]bool{}
		var wg sync.WaitGroup
		lost := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpSet, Path: "/ids"}, Do: zktest.DropReply(), Skip: 3, Times: 2})
		for range clients {
			ids := must1(counter.NewIDs(must1(counter.NewLong(recipetest.Client(t, srv), "/ids", 0)), size))
			for range each {
				wg.Go(func() {
					for range count {
						id, err := ids.Next(t.Context())
						if err != nil {
							t.Errorf("Next: %v", err)
						}
						mu.Lock()
						if seen[id] {
							t.Errorf("%d was handed out twice", id)
						}
						seen[id] = true
						mu.Unlock()
					}
				})
			}
		}
		wg.Wait()
		if lost.Hits() != 2 {
			t.Errorf("%d answers were lost, want 2", lost.Hits())
		}
		now := must1(must1(counter.NewLong(recipetest.Client(t, srv), "/ids", 0)).Get(t.Context()))
		if used := int64(clients * each * count); now.Value < used || now.Value > used+2*size+clients*size || now.Version >= int32(used/size+5) {
			t.Errorf("%d numbers cost %d in %d changes", used, now.Value, now.Version+1)
		}
	})
}

func TestIDsEnd(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		ids := must1(counter.NewIDs(newInt(t, zk, "/ids"), 2))
		if id, err := ids.Next(t.Context()); err != nil || id != 0 {
			t.Errorf("Next: %d, %v", id, err)
		}
		srv.Stop()
		if id, err := ids.Next(t.Context()); err != nil || id != 1 {
			t.Errorf("Next without a server, from the range: %d, %v", id, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := ids.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Next without a server: %v, want the deadline", err)
		}
		zk.CloseNow()
		if _, err := ids.Next(t.Context()); !errors.Is(err, gazoo.ErrClosed) {
			t.Errorf("Next of a closed client: %v, want ErrClosed", err)
		}
	})
}

// versioned is a server whose znode /n has been written that often.
func versioned(t *testing.T, version int32) zktest.Option {
	t.Helper()
	tree := ztree.Load(ztree.Options{})
	for _, r := range []ztree.NodeRecord{
		{Path: "", ACLKey: ztree.OpenACLKey},
		{Path: "/n", Data: []byte("10"), ACLKey: ztree.OpenACLKey, Czxid: 1, Mzxid: 1, Pzxid: 1, Version: version},
	} {
		must(t, tree.AddNode(r))
	}
	dir := t.TempDir()
	d, _, err := zkdisk.Open(zkdisk.OS{}, dir, zkdisk.Options{Seed: tree.Finish(1)})
	must(t, err)
	must(t, d.Close())
	return zktest.WithServer(zkserver.WithDir(dir))
}

// A counter that is written often has versions that wrap. -1 would be no condition at all, and is stepped over.
func TestVersionsWrap(t *testing.T) {
	for name, opts := range map[string][]counter.Option{"plain": nil, "receipts": {counter.WithReceipts("/receipts")}} {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				zk := recipetest.Client(t, srv)
				n := newInt(t, zk, "/n", opts...)
				var versions []int32
				for range 4 {
					change, err := n.Increment(t.Context())
					must(t, err)
					versions = append(versions, change.Version)
				}
				if want := []int32{-3, -2, 0, 1}; !slices.Equal(versions, want) {
					t.Errorf("versions %d, want %d", versions, want)
				}
				if _, set, err := n.TrySet(t.Context(), -2, 99); err != nil || set {
					t.Errorf("TrySet of a version that is past: %v, %v", set, err)
				}
				wantStored(t, srv, "/n", "14")
			}, versioned(t, -4))
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				n := newInt(t, recipetest.Client(t, srv), "/n", opts...)
				if now, err := n.Get(t.Context()); err != nil || !now.Exists() {
					t.Errorf("Get: %+v, %v", now, err)
				}
				if change, err := n.Increment(t.Context()); err != nil || change.Version != 0 || change.Post != 11 {
					t.Errorf("Increment where others have left it: %+v, %v", change, err)
				}
			}, versioned(t, -1))
		})
	}
}
