package cache_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/internal/leak"
	"github.com/gazoo-zk/gazoo/recipes/cache"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/zktest"
)

// What happened while the cache was away comes as its net change: deletions too, and those that were made again.
func TestNetChangesAfterAReconnect(t *testing.T) {
	for name, expire := range map[string]bool{"same session": false, "new session": true} {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				for _, p := range []string{"/r/again/kid", "/r/gone/kid", "/r/same", "/r/written"} {
					must(t, srv.Put(p, "1"))
				}
				zk := recipetest.Client(t, srv)
				c := newCache(t, zk, "/r")
				synced(t, c)
				sub := c.Subscribe()
				next(t, sub, c.Len()+1)
				session := srv.Session(zk.SessionID())
				session.Refuse()
				must(t, srv.Remove("/r/gone"))
				must(t, srv.Remove("/r/again"))
				must(t, srv.Put("/r/again", "1"))
				must(t, srv.Put("/r/written", "2"))
				must(t, srv.Put("/r/written", "3"))
				must(t, srv.Put("/r/new/kid", "1"))
				must(t, srv.Put("/r/brief", "1"))
				must(t, srv.Remove("/r/brief"))
				wantEvents(t, sub, "suspended")
				if s := c.Synced(); !s.Stale || s.Generation != 1 {
					t.Errorf("while away: %+v, want it stale", s)
				}
				if expire {
					session.Expire()
				}
				session.Heal()
				var got []string
				for len(got) == 0 || !strings.HasPrefix(got[len(got)-1], "synced") {
					got = append(got, next(t, sub, 1)...)
				}
				log := strings.Join(got, "\n")
				for _, one := range []string{
					"removed /r/gone/kid 1>-", "removed /r/gone >-", "removed /r/again/kid 1>-", "removed /r/again >-", "added /r/again ->1",
					"changed /r/written 1>3", "added /r/new ->", "added /r/new/kid ->1", "reconnected", "synced 2",
				} {
					if strings.Count(log, one) != 1 {
						t.Errorf("%q comes %d times, want once", one, strings.Count(log, one))
					}
				}
				if strings.Contains(log, "same") || strings.Contains(log, "brief") {
					t.Errorf("events of what has not changed:\n%s", log)
				}
				if strings.Contains(log, "lost") != expire {
					t.Errorf("events with an expiry (%v):\n%s", expire, log)
				}
				if s := c.Synced(); s.Stale || s.Generation != 2 {
					t.Errorf("in the end: %+v", s)
				}
			})
		})
	}
}

// There is no server in the beginning, and then no root for an hour: one watch, no requests, and it fills in the end.
func TestStartsWithNothing(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		srv.Stop()
		zk, err := gazoo.New(srv.Addr(), gazoo.WithDialer(srv.Dial))
		must(t, err)
		defer zk.Close()
		c := newCache(t, zk, "/r/root")
		time.Sleep(time.Minute)
		if s := c.Synced(); !s.Stale || s.Generation != 0 {
			t.Errorf("without a server: %+v", s)
		}
		srv.Restart(zktest.KeepData)
		synced(t, c)
		synctest.Wait()
		before := len(srv.Log())
		goroutines := runtime.NumGoroutine()
		time.Sleep(time.Hour)
		if n := len(srv.Log()) - before; n != 0 {
			t.Errorf("%d requests in an hour without a root", n)
		}
		if n := len(srv.Watches()); n != 1 {
			t.Errorf("%d watches, want 1", n)
		}
		if n := runtime.NumGoroutine(); n > goroutines {
			t.Errorf("goroutines grew from %d to %d", goroutines, n)
		}
		must(t, srv.Put("/r/root/a", "1"))
		must(t, c.WaitFor(t.Context(), func() bool { return c.Len() == 2 }))
		must(t, srv.Remove("/r/root"))
		must(t, c.WaitFor(t.Context(), func() bool { return c.Len() == 0 }))
		must(t, srv.Put("/r/root/b", "1"))
		must(t, c.WaitFor(t.Context(), func() bool { return c.Len() == 2 }))
	})
}

// Servers without persistent watches: one-shot ones take their place.
func TestFallsBackWithoutPersistentWatches(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpAddWatch}, Do: zktest.Fail(gazoo.ErrUnimplemented)})
		must(t, srv.Put("/r/a/b", "1"))
		c := newCache(t, recipetest.Client(t, srv), "/r")
		synced(t, c)
		for i := range 5 {
			must(t, srv.Put(fmt.Sprintf("/r/a/b/c%d/d", i), "1"))
			must(t, srv.Put("/r/a/b", fmt.Sprint(i)))
		}
		must(t, c.WaitFor(t.Context(), func() bool { n, _, _ := c.Get("/r/a/b"); return n.Value == "4" && c.Len() == 13 }))
		must(t, srv.Remove("/r/a/b/c0"))
		must(t, c.WaitFor(t.Context(), func() bool { return c.Len() == 11 }))
		srv.Cut()
		must(t, c.WaitFor(t.Context(), func() bool { return c.Synced().Stale }))
		must(t, srv.Put("/r/a/new", "1"))
		synced(t, c)
		must(t, c.WaitFor(t.Context(), func() bool { return c.Len() == 12 }))
	})
}

// A znode that is made, deleted and made again quickly, in a storm: events are coherent, and the end is right.
func TestStormOfOneZnode(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		must(t, srv.Put("/r", ""))
		c := newCache(t, recipetest.Client(t, srv), "/r")
		synced(t, c)
		sub := c.Subscribe()
		next(t, sub, 2)
		reads := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpRead}, Do: zktest.DelayReply(time.Millisecond)})
		for i := range 1000 {
			must(t, srv.Put("/r/x", fmt.Sprint(i)))
			if i%3 == 0 {
				must(t, srv.Remove("/r/x"))
			}
			if i%100 == 0 {
				synctest.Wait()
			}
		}
		must(t, srv.Put("/r/x", "end"))
		must(t, c.WaitFor(t.Context(), func() bool { n, _, _ := c.Get("/r/x"); return n.Value == "end" }))
		replay(t, sub, c, map[string]string{"/r": ""})
		if n := reads.Hits(); n > 600 {
			t.Errorf("%d reads for %d changes: they are not joined", n, 1000)
		}
	})
}

// replay applies the events that have come to a map and compares it with the cache. Each event must fit what is there.
func replay(t *testing.T, sub *cache.Subscription[string], c *cache.Cache[string], state map[string]string) {
	t.Helper()
	synctest.Wait()
	done, cancel := context.WithCancel(context.Background())
	cancel()
	for {
		ev, err := sub.Next(done)
		if errors.Is(err, context.Canceled) {
			break
		}
		must(t, err)
		value, there := state[ev.Path]
		switch ev.Type {
		case cache.Added:
			parent := gazoo.ParentPath(ev.Path)
			if _, ok := state[parent]; there || !ok && ev.Path != c.Path() {
				t.Fatalf("%s: there is %q, and its parent is there: %v", text(ev), value, ok)
			}
			state[ev.Path] = ev.New.Value
		case cache.Changed:
			if !there || ev.Old.Value != value {
				t.Fatalf("%s: there is %q, %v", text(ev), value, there)
			}
			state[ev.Path] = ev.New.Value
		case cache.Removed:
			if !there || ev.Old.Value != value {
				t.Fatalf("%s: there is %q, %v", text(ev), value, there)
			}
			for p := range state {
				if strings.HasPrefix(p, ev.Path+"/") {
					t.Fatalf("%s: %s is still there", text(ev), p)
				}
			}
			delete(state, ev.Path)
		}
	}
	for n := range c.All() {
		if v, ok := state[n.Path]; !ok || v != n.Value {
			t.Errorf("%s: the events give %q, %v; the cache holds %q", n.Path, v, ok, n.Value)
		}
	}
	if len(state) != c.Len() {
		t.Errorf("the events give %d znodes, the cache holds %d", len(state), c.Len())
	}
}

// Random changes under random faults: the cache ends as the tree, and the events, of a quick and of a slow subscriber,
// give the same, with values in memory and in a storage.
func TestEndsAsTheTree(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				r := rand.New(rand.NewPCG(seed, 9))
				if seed%3 == 2 {
					srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpAddWatch}, Do: zktest.Fail(gazoo.ErrUnimplemented)})
				}
				must(t, srv.Put("/r", ""))
				zk := recipetest.Client(t, srv)
				opts := []cache.Option{cache.WithQueue(20)}
				storage := newShelf()
				if seed%2 == 1 {
					opts = append(opts, cache.WithStorage(storage))
				}
				c := newCache(t, zk, "/r", opts...)
				quick, slow := c.Subscribe(), c.Subscribe()
				state := map[string]string{}
				names := []string{"a", "b", "c"}
				for range 60 {
					for range r.IntN(20) {
						path := "/r"
						for range r.IntN(4) {
							path += "/" + names[r.IntN(len(names))]
						}
						if r.IntN(4) == 0 {
							srv.Remove(path) // which may not be there
						} else {
							must(t, srv.Put(path, fmt.Sprint(r.IntN(1000))))
						}
					}
					switch session := srv.Session(zk.SessionID()); r.IntN(8) {
					case 0:
						srv.Cut()
					case 1:
						session.Expire()
					case 2:
						session.Delay(zktest.BothWays, time.Duration(r.IntN(500))*time.Millisecond)
					case 3:
						srv.DropReply(zktest.OpRead, "")
					case 4:
						replay(t, quick, c, state)
					}
					time.Sleep(time.Duration(r.IntN(2000)) * time.Millisecond)
					srv.Heal()
				}
				tree := func() string {
					var b strings.Builder
					for line := range strings.Lines(srv.Dump(zktest.Below("/r"))) {
						path, data, _ := strings.Cut(strings.TrimSpace(line), " ")
						fmt.Fprintf(&b, "%s=%s ", path, strings.Trim(data, `"`))
					}
					return strings.TrimSpace(b.String())
				}
				zktest.Eventually(t, "the cache is as the tree", func() bool { return !c.Synced().Stale && content(c) == tree() })
				replay(t, quick, c, state)
				replay(t, slow, c, map[string]string{})
				if seed%2 == 1 && strings.Join(storage.holds(), " ") != tree() {
					t.Errorf("the storage has %q, want %q", storage.holds(), tree())
				}
				if slow.Joined() == 0 {
					t.Error("the slow subscriber's events were not joined")
				}
			})
		})
	}
}

// One's own writes are read behind WaitZxid, also through a server that lags behind.
func TestWaitZxid(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		srv.Endpoint(1).Lag(3 * time.Second)
		writer := recipetest.Client(t, srv, gazoo.WithHostOrder())
		must(t, srv.Put("/r/a", "0"))
		reader, err := gazoo.Connect(t.Context(), srv.Endpoint(1).Addr(), gazoo.WithDialer(srv.Dial))
		must(t, err)
		defer reader.Close()
		c := newCache(t, reader, "/r")
		synced(t, c)
		for i := range 5 {
			stat, err := writer.Set(t.Context(), "/r/a", fmt.Append(nil, i), gazoo.AnyVersion)
			must(t, err)
			must(t, c.WaitZxid(t.Context(), stat.Mzxid))
			if n, _, _ := c.Get("/r/a"); n.Value != fmt.Sprint(i) || n.Stat.Mzxid != stat.Mzxid {
				t.Errorf("behind WaitZxid(%d): %+v, want %d", stat.Mzxid, n, i)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := c.WaitZxid(ctx, 1<<40); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("WaitZxid of the future: %v, want the deadline", err)
		}
	}, zktest.Endpoints(3))
}

// A snapshot of a tree whose two halves always change together never shows them apart when it says it is consistent.
func TestSnapshot(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, servers cluster.Cluster) {
		path := recipetest.Path(t)
		writer := recipetest.Dial(t, servers.Hosts())
		for _, p := range []string{"", "/a", "/b"} {
			_, err := writer.Create(t.Context(), path+p, []byte("0"))
			must(t, err)
		}
		c := newCache(t, recipetest.Dial(t, servers.Hosts()), path)
		synced(t, c)
		consistent := 0
		for i := range 100 {
			results, err := writer.Txn().Set(path+"/a", fmt.Append(nil, i), gazoo.AnyVersion).
				Set(path+"/b", fmt.Append(nil, i), gazoo.AnyVersion).Commit(t.Context())
			must(t, err)
			s, err := c.Snapshot(t.Context())
			must(t, err)
			if s.Lowest < results[0].Stat.Mzxid {
				t.Fatalf("snapshot of %d to %d behind a write at %d", s.Lowest, s.Highest, results[0].Stat.Mzxid)
			}
			if s.Consistent() {
				consistent++
				if s.Nodes[1].Value != s.Nodes[2].Value || s.Nodes[1].Value != fmt.Sprint(i) {
					t.Fatalf("consistent at %d: %+v, want both %d", s.Lowest, s.Nodes, i)
				}
			}
		}
		if consistent < 90 {
			t.Errorf("%d of 100 snapshots of a quiet tree are consistent", consistent)
		}
	})
}

// Caches that come and go, over a tree that churns, leave nothing behind.
func TestReloadsLeaveNothing(t *testing.T) {
	srv := zktest.Start(t, zktest.OnLoopback(), zktest.WithLogSize(0))
	zk := recipetest.Dial(t, srv.Addr())
	must(t, srv.Put("/r", ""))
	base := leak.Count()
	for reload := range 50 {
		c := newCache(t, zk, "/r")
		synced(t, c)
		for i := range 200 {
			must(t, srv.Put(fmt.Sprintf("/r/n%d", i), "1"))
			must(t, srv.Remove(fmt.Sprintf("/r/n%d", i)))
		}
		sub := c.Subscribe()
		must(t, c.Close())
		for {
			if _, err := sub.Next(t.Context()); err != nil {
				break
			}
		}
		if reload%10 == 9 {
			// One more may be the writer of the client's connection, which exists from its first use on.
			zktest.Eventually(t, "goroutines are back to base", func() bool { return leak.Count() <= base+1 })
		}
	}
	zktest.Eventually(t, "no watch is left", func() bool { return len(srv.Watches()) == 0 })
	if n := len(srv.Conns()); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}
