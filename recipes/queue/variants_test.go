package queue_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/queue"
	"github.com/gazoo-zk/gazoo/zktest"
)

func TestDelay(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		q := newQueue(t, zk, path, queue.WithStyle(queue.CuratorDelay))
		consumer := newQueue(t, recipetest.Client(t, srv), path, queue.WithStyle(queue.CuratorDelay))
		start := time.Now()
		for _, d := range []time.Duration{time.Hour, time.Minute, 90 * time.Second, 1500*time.Millisecond + 1} {
			mustPut(t, q, d.String(), queue.Due(start.Add(d)))
		}
		if item, err := consumer.Get(t.Context()); !errors.Is(err, queue.ErrEmpty) {
			t.Errorf("Get = %q, %v, want ErrEmpty before any is due", item, err)
		}
		mustPut(t, q, "now")
		// One that is put while a consumer waits for a later one comes first.
		time.AfterFunc(70*time.Second, func() { q.Put(context.Background(), "early", queue.Due(start.Add(75*time.Second))) })
		var got []string
		for range 6 {
			item, err := consumer.Take(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(item, " at ", time.Since(start)))
		}
		requireItems(t, got, "now at 0s", "1.500000001s at 1.501s", "1m0s at 1m0s", "early at 1m15s", "1m30s at 1m30s", "1h0m0s at 1h0m0s")
	})
}

// Locks and due times together: an item that failed and is put back keeps its due time.
func TestDelayWithLocks(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		q := newLocking(t, recipetest.Client(t, srv), path, queue.WithStyle(queue.CuratorDelay), queue.WithLockPath("/locks"))
		start := time.Now()
		mustPut(t, q, "x", queue.Due(start.Add(30*time.Second)))
		item := mustTake(t, q)
		if d := time.Since(start); d != 30*time.Second {
			t.Errorf("taken after %v, want 30s", d)
		}
		name := gazoo.BaseName(item.Path())
		if err := item.Requeue(t.Context()); err != nil {
			t.Fatal(err)
		}
		item = mustTake(t, q)
		if again := gazoo.BaseName(item.Path()); again == name || again[:18] != name[:18] {
			t.Errorf("requeued as %s, was %s", again, name)
		}
	})
}

func TestIDs(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		q := newQueue(t, zk, "/q", queue.WithStyle(queue.CuratorID))
		for i, id := range []string{"a", "b", "a", "c"} {
			mustPut(t, q, fmt.Sprint(id, i), queue.ID(id))
		}
		if n, err := q.CountID(t.Context(), "a"); n != 2 || err != nil {
			t.Errorf("CountID = %d, %v, want 2", n, err)
		}
		if n, err := q.RemoveID(t.Context(), "a"); n != 2 || err != nil {
			t.Errorf("RemoveID = %d, %v, want 2", n, err)
		}
		if n, err := q.RemoveID(t.Context(), "a"); n != 0 || err != nil {
			t.Errorf("RemoveID again = %d, %v, want 0", n, err)
		}
		requireItems(t, drain(t, q), "b1", "c3")

		locking := newLocking(t, zk, "/l", queue.WithStyle(queue.CuratorID), queue.WithLockPath("/locks"))
		for i, id := range []string{"a", "a", "b"} {
			mustPut(t, locking, fmt.Sprint(id, i), queue.ID(id))
		}
		item := mustTake(t, locking)
		if n, err := locking.RemoveID(t.Context(), "a"); n != 1 || err != nil {
			t.Errorf("RemoveID = %d, %v, want 1: the other one is taken", n, err)
		}
		if n, err := newLocking(t, zk, "/l", queue.WithStyle(queue.CuratorID), queue.WithLockPath("/locks")).RemoveID(t.Context(), "a"); n != 0 || err != nil {
			t.Errorf("RemoveID = %d, %v, want 0: it is taken", n, err)
		}
		mustConsume(t, item)
		if item := mustTake(t, locking); item.Value != "b2" {
			t.Errorf("took %q, want b2", item.Value)
		}
	})
}

// What a Java program wrote, with several items in a znode, is read item by item.
func TestCuratorsFrames(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		// ItemSerializer of Curator 5.4.0 with "one", "", "three".
		frame, err := hex.DecodeString("00010001" + "0100000003" + "6f6e65" + "0100000000" + "0100000005" + "7468726565" + "02")
		if err != nil {
			t.Fatal(err)
		}
		srv.Put(path+"/queue-0000000000", string(frame))
		srv.Put(path+"/queue-0000000001", "\x00\x01\x00\x01\x02") // nothing in it
		srv.Put(path+"/queue-0000000002", string(frame))
		zk := recipetest.Client(t, srv)
		q := newQueue(t, zk, path, queue.WithStyle(queue.Curator))
		requireItems(t, drain(t, q), "one", "", "three", "one", "", "three")

		// And ours are as Curator writes them: all items of a PutAll in one znode.
		if err := q.PutAll(t.Context(), []string{"one", "", "three"}); err != nil {
			t.Fatal(err)
		}
		list := names(t, srv, path)
		if len(list) != 1 {
			t.Fatalf("znodes %v, want one", list)
		}
		if data, _ := srv.Get(path + "/" + list[0]); data != string(frame) {
			t.Errorf("data %x, want %x", data, frame)
		}
		item := mustTake(t, newLocking(t, zk, path, queue.WithStyle(queue.Curator), queue.WithLockPath("/locks")))
		requireItems(t, item.Values, "one", "", "three")
		mustConsume(t, item)
	})
}

// A failed item that Curator's delay and priority queues put back has a plain name; it is at the front.
func TestItemsThatCuratorRequeued(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		for _, style := range []queue.Style{queue.CuratorDelay, queue.CuratorPriority, queue.CuratorID} {
			path := recipetest.Path(t)
			srv.Put(path+"/queue-0000000000", "\x00\x01\x00\x01\x01\x00\x00\x00\x04back\x02")
			q := newQueue(t, zk, path, queue.WithStyle(style))
			var opts []queue.PutOption
			if style.Name == "curator id" {
				opts = append(opts, queue.ID("x"))
			}
			srv.Put(path+"/x", "") // the counter goes on
			mustPut(t, q, "other", opts...)
			time.Sleep(time.Millisecond)
			requireItems(t, drain(t, q), "back", "other")
		}
	})
}

func TestCapacity(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		path := recipetest.Path(t)
		zk := recipetest.Dial(t, c.Hosts())
		const capacity, producers, each = 5, 4, 12
		q := newQueue(t, zk, path, queue.WithCapacity(capacity))
		mustPut(t, q, "first")
		if _, err := zk.Set(t.Context(), path, []byte("mine"), gazoo.AnyVersion); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for p := range producers {
			q := newQueue(t, recipetest.Dial(t, c.Hosts()), path, queue.WithCapacity(capacity))
			wg.Go(func() {
				for i := range each {
					if err := q.Put(t.Context(), fmt.Sprint(p, "-", i)); err != nil {
						t.Errorf("Put: %v", err)
					}
				}
			})
		}
		zktest.Eventually(t, "the queue is full", func() bool {
			n, err := q.Len(t.Context())
			return err == nil && n == capacity
		})
		got := map[string]bool{}
		for len(got) < producers*each+1 {
			n, err := q.Len(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if n > capacity {
				t.Fatalf("%d items, where the capacity is %d", n, capacity)
			}
			item, err := q.Take(t.Context())
			if err != nil || got[item] {
				t.Fatalf("Take = %q, %v", item, err)
			}
			got[item] = true
		}
		wg.Wait()
		if data, _, err := zk.Get(t.Context(), path); string(data) != "mine" || err != nil {
			t.Errorf("the path's data is %q, %v, want it untouched", data, err)
		}
	})
}

// The moment at which two producers see the last place is no moment at which both get it.
func TestCapacityIsExact(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		var queues []*queue.Queue[string]
		for range 2 {
			queues = append(queues, newQueue(t, recipetest.Client(t, srv), path, queue.WithCapacity(1)))
		}
		srv.Put(path, "")
		// Both have counted before one of them puts.
		hold := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti}, Do: zktest.HoldRequest(), Times: 2})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var failed atomic.Int32
		var wg sync.WaitGroup
		for _, q := range queues {
			wg.Go(func() {
				if err := q.Put(ctx, "x"); errors.Is(err, context.DeadlineExceeded) {
					failed.Add(1)
				}
			})
		}
		synctest.Wait()
		if hold.Hits() != 2 {
			t.Fatalf("%d puts under way, want 2", hold.Hits())
		}
		hold.Release()
		wg.Wait()
		if n := len(names(t, srv, path)); n != 1 || failed.Load() != 1 {
			t.Errorf("%d items and %d refused, want 1 and 1", n, failed.Load())
		}
		err := queues[0].PutAll(t.Context(), []string{"a", "b"})
		if !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("PutAll of more than the capacity: %v", err)
		}
	})
}

// A producer that waits for room survives faults, and wakes when there is room.
func TestWaitForRoomSurvives(t *testing.T) {
	for name, fault := range map[string]func(*zktest.Server, int64){
		"cut":     func(srv *zktest.Server, id int64) { srv.Session(id).Cut() },
		"expired": func(srv *zktest.Server, id int64) { srv.ExpireSession(id) },
		"away":    func(srv *zktest.Server, id int64) { srv.Stop(); srv.Restart(zktest.KeepData) },
	} {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				zk := recipetest.Client(t, srv)
				q := newLocking(t, zk, path, queue.WithCapacity(1))
				mustPut(t, q, "a")
				done := make(chan error, 1)
				go func() { done <- q.Put(t.Context(), "b") }()
				synctest.Wait()
				fault(srv, zk.SessionID())
				consumer := newLocking(t, recipetest.Client(t, srv), path)
				time.Sleep(time.Minute)
				select {
				case err := <-done:
					t.Fatalf("Put came back without room: %v", err)
				default:
				}
				item := mustTake(t, consumer)
				time.Sleep(time.Minute)
				if n := len(names(t, srv, path+"/entries")); n != 1 {
					t.Errorf("%d items while one is being processed, want 1", n)
				}
				mustConsume(t, item)
				if err := <-done; err != nil {
					t.Errorf("Put: %v", err)
				}
			})
		})
	}
}

func TestBackground(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		q := newQueue(t, zk, path)
		b, err := q.Background(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Flush(t.Context()); err != nil {
			t.Errorf("Flush of nothing: %v", err)
		}
		// A hundred puts take the time of one.
		srv.Delay(zktest.BothWays, time.Second)
		start := time.Now()
		var want []string
		var told atomic.Int32
		var last queue.Pending
		for i := range 100 {
			want = append(want, fmt.Sprint(i))
			if last, err = b.Put(t.Context(), want[i]); err != nil {
				t.Fatal(err)
			}
			last.Then(func(err error) {
				if err == nil {
					told.Add(1)
				}
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Flush with a deadline: %v", err)
		}
		if err := b.Flush(t.Context()); err != nil {
			t.Errorf("Flush: %v", err)
		}
		if err := last.Wait(t.Context()); err != nil {
			t.Errorf("Wait: %v", err)
		}
		if d := time.Since(start); d > 3*time.Second {
			t.Errorf("it took %v", d)
		}
		srv.Heal()
		requireItems(t, drain(t, q), want...)
		if told.Load() != 100 {
			t.Errorf("%d listeners were told, want 100", told.Load())
		}
		// What fails is told by Flush, once. The delay has all three on their way before the second breaks the connection.
		srv.Delay(zktest.ToServer, time.Second)
		srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpCreate}, Skip: 1, Do: zktest.DropReply(), Times: 1})
		for range 3 {
			if _, err := b.Put(t.Context(), "x"); err != nil {
				t.Fatal(err)
			}
		}
		err = b.Flush(t.Context())
		if failed, ok := errors.AsType[*queue.FlushError](err); !ok || failed.Failed != 2 || !gazoo.MaybeApplied(err) {
			t.Errorf("Flush = %v, want two that may have been applied", err)
		}
		if err := b.Flush(t.Context()); err != nil {
			t.Errorf("second Flush: %v", err)
		}
		if _, err := newQueue(t, zk, path, queue.WithCapacity(1)).Background(t.Context()); !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("Background with a capacity: %v", err)
		}
		if _, err := b.Put(t.Context(), "x", queue.Priority(-1)); !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("Put: %v", err)
		}
	})
}

func TestShards(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		shards := queue.WithShards("/b", "/c")
		q, locking := newQueue(t, zk, "/a", shards), newLocking(t, zk, "/a/locking", queue.WithShards("/b/locking"))
		const n = 300
		for i := range n {
			mustPut(t, q, fmt.Sprint(i))
		}
		mustPut(t, q, "urgent", queue.Priority(0))
		for _, p := range []string{"/a", "/b", "/c"} {
			if got := len(names(t, srv, p)); got < n/6 || got > n/2 {
				t.Errorf("%d items in %s, want about a third of %d", got, p, n)
			}
		}
		consumer := newQueue(t, recipetest.Client(t, srv), "/a", shards)
		if got, err := consumer.Len(t.Context()); got != n+1 || err != nil {
			t.Errorf("Len = %d, %v", got, err)
		}
		if item, err := consumer.Take(t.Context()); item != "urgent" || err != nil {
			t.Errorf("Take = %q, %v, want the urgent one, wherever it is", item, err)
		}
		// Takes go round.
		for range n / 2 {
			if _, err := consumer.Take(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range []string{"/a", "/b", "/c"} {
			if got := len(names(t, srv, p)); got > n/3 {
				t.Errorf("%d items are left in %s", got, p)
			}
		}
		if got := len(drain(t, consumer)); got != n/2 {
			t.Errorf("%d items left, want %d", got, n/2)
		}
		// A waiting consumer wakes wherever an item arrives.
		for range 10 {
			got := make(chan string, 1)
			go func() {
				item, err := locking.Take(t.Context())
				if err == nil {
					err = item.Consume(t.Context())
				}
				got <- fmt.Sprint(item.Value, err)
			}()
			synctest.Wait()
			mustPut(t, newLocking(t, zk, "/a/locking", queue.WithShards("/b/locking")), "x")
			requireItems(t, []string{<-got}, "x<nil>")
		}
	})
}

// Consumers that share a list do not race for every item.
func TestConsumersDoNotRaceForEveryItem(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		const n, consumers = 1000, 8
		zk := recipetest.Client(t, srv)
		b, err := newQueue(t, zk, path).Background(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			b.Put(t.Context(), fmt.Sprint(i))
		}
		if err := b.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		reads := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpGet | zktest.OpDelete, Under: path}, Do: zktest.DelayReply(time.Millisecond)})
		var mu sync.Mutex
		seen := map[string]int{}
		var wg sync.WaitGroup
		for range consumers {
			q := newQueue(t, recipetest.Client(t, srv), path)
			wg.Go(func() {
				for {
					item, err := q.Get(t.Context())
					if err != nil {
						return
					}
					mu.Lock()
					seen[item]++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		for item, times := range seen {
			if times != 1 {
				t.Errorf("%s was delivered %d times", item, times)
			}
		}
		if len(seen) != n {
			t.Errorf("%d items delivered, want %d", len(seen), n)
		}
		if hits := reads.Hits(); hits > 2*n*2 {
			t.Errorf("%d requests for %d items of %d consumers", hits, n, consumers)
		}
	})
}

func TestCodecs(t *testing.T) {
	type job struct {
		Name string
		N    int
	}
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		jobs, err := queue.New(zk, "/jobs", queue.JSON[job]())
		if err != nil {
			t.Fatal(err)
		}
		if err := jobs.Put(t.Context(), job{"x", 3}); err != nil {
			t.Fatal(err)
		}
		if data, _ := srv.Get("/jobs/entry-100-0000000000"); data != `{"Name":"x","N":3}` {
			t.Errorf("data %s", data)
		}
		if got, err := jobs.Get(t.Context()); got != (job{"x", 3}) || err != nil {
			t.Errorf("Get = %v, %v", got, err)
		}
		raw, err := queue.New(zk, "/raw", queue.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if err := raw.Put(t.Context(), []byte{0, 1, 2}); err != nil {
			t.Fatal(err)
		}
		if got, err := raw.Get(t.Context()); !bytes.Equal(got, []byte{0, 1, 2}) || err != nil {
			t.Errorf("Get = %v, %v", got, err)
		}
		bad := queue.JSON[func()]()
		funcs, err := queue.New(zk, "/funcs", bad)
		if err != nil {
			t.Fatal(err)
		}
		if err := funcs.Put(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "encode") {
			t.Errorf("Put of what JSON cannot write: %v", err)
		}
	})
}

// Producers and consumers in several clients, on a real server: everything arrives once.
func TestManyProducersAndConsumers(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		const producers, consumers, each = 3, 3, 30
		path := recipetest.Path(t)
		var mu sync.Mutex
		var got []string
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		for range consumers {
			q := newLocking(t, recipetest.Dial(t, c.Hosts()), path)
			wg.Go(func() {
				q.Run(ctx, 2, func(_ context.Context, item *queue.Item[string]) error {
					if err := item.Consume(ctx); err != nil {
						return err
					}
					mu.Lock()
					defer mu.Unlock()
					if got = append(got, item.Value); len(got) == producers*each {
						cancel()
					}
					return nil
				})
			})
		}
		for p := range producers {
			q := newLocking(t, recipetest.Dial(t, c.Hosts()), path)
			wg.Go(func() {
				for i := range each {
					if err := q.Put(ctx, fmt.Sprint(p, "-", i)); err != nil {
						t.Errorf("Put: %v", err)
						return
					}
				}
			})
		}
		wg.Wait()
		slices.Sort(got)
		if all := len(got); all != producers*each || len(slices.Compact(got)) != all {
			t.Errorf("%d items consumed, want %d once each", all, producers*each)
		}
	})
}
