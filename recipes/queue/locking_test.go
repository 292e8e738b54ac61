package queue_test

import (
	"context"
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

func newLocking(t testing.TB, zk *gazoo.Client, path string, opts ...queue.Option) *queue.Locking[string] {
	t.Helper()
	q, err := queue.NewLocking(zk, path, queue.Text(), opts...)
	if err != nil {
		t.Fatalf("NewLocking: %v", err)
	}
	return q
}

func mustTake(t testing.TB, q *queue.Locking[string]) *queue.Item[string] {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	item, err := q.Take(ctx)
	if err != nil {
		t.Fatalf("Take: %v", err)
	}
	return item
}

func mustConsume(t testing.TB, item *queue.Item[string]) {
	t.Helper()
	if err := item.Consume(t.Context()); err != nil {
		t.Fatalf("Consume: %v", err)
	}
}

func requireEmpty(t testing.TB, q *queue.Locking[string]) {
	t.Helper()
	if item, err := q.Get(t.Context()); !errors.Is(err, queue.ErrEmpty) {
		t.Fatalf("Get = %v, %v, want ErrEmpty", item, err)
	}
}

// lockings are the formats that a locking queue can have.
var lockings = map[string][]queue.Option{
	"kazoo":            nil,
	"simple":           {queue.WithStyle(queue.Simple), queue.WithLockPath("/locks")},
	"curator":          {queue.WithStyle(queue.Curator), queue.WithLockPath("/locks")},
	"curator priority": {queue.WithStyle(queue.CuratorPriority), queue.WithLockPath("/locks")},
}

func TestItemsAreLockedUntilConsumed(t *testing.T) {
	for name, opts := range lockings {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				zk := recipetest.Client(t, srv)
				one, two := newLocking(t, zk, path, opts...), newLocking(t, recipetest.Client(t, srv), path, opts...)
				for _, item := range []string{"a", "b", "c"} {
					mustPut(t, one, item)
				}
				a, b := mustTake(t, one), mustTake(t, two)
				c := mustTake(t, one)
				requireItems(t, []string{a.Value, b.Value, c.Value}, "a", "b", "c")
				requireEmpty(t, one)
				requireEmpty(t, two)
				if n, err := two.Len(t.Context()); n != 3 || err != nil {
					t.Errorf("Len = %d, %v, want 3 with the locked ones", n, err)
				}
				if a.Token() >= b.Token() {
					t.Errorf("tokens %d, %d, want them to grow", a.Token(), b.Token())
				}
				mustConsume(t, a)
				if err := a.Err(); !errors.Is(err, queue.ErrReleased) {
					t.Errorf("Err behind Consume: %v, want ErrReleased", err)
				}
				if err := a.Consume(t.Context()); !errors.Is(err, queue.ErrReleased) {
					t.Errorf("second Consume: %v, want ErrReleased", err)
				}
				if err := b.Release(t.Context()); err != nil {
					t.Errorf("Release: %v", err)
				}
				if err := b.Consume(t.Context()); !errors.Is(err, queue.ErrReleased) {
					t.Errorf("Consume behind Release: %v, want ErrReleased", err)
				}
				again := mustTake(t, one)
				if again.Value != "b" || again.Token() <= b.Token() {
					t.Errorf("took %q with token %d, want b with one above %d", again.Value, again.Token(), b.Token())
				}
				mustConsume(t, again)
				mustConsume(t, c)
				requireEmpty(t, two)
				if n, _ := two.Len(t.Context()); n != 0 {
					t.Errorf("Len = %d, want 0", n)
				}
			})
		})
	}
}

// What is on the server while Kazoo's LockingQueue would look: the lock is an ephemeral with the owner's id.
func TestKazooLayout(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		q := newLocking(t, zk, path, queue.WithOwner([]byte("0123456789abcdef0123456789abcdef")))
		mustPut(t, q, "x", queue.Priority(3))
		item := mustTake(t, q)
		srv.RequireTree(t, `
			/queue
			/queue/entries
			/queue/entries/entry-003-0000000000 "x"
			/queue/taken
			/queue/taken/entry-003-0000000000 "0123456789abcdef0123456789abcdef" ephemeral
		`)
		if item.Path() != "/queue/entries/entry-003-0000000000" {
			t.Errorf("Path = %s", item.Path())
		}
		mustConsume(t, item)
		srv.RequireTree(t, `
			/queue
			/queue/entries
			/queue/taken
		`)
		// Kazoo's id is a UUID in hexadecimal.
		mustPut(t, q, "y")
		mustTake(t, newLocking(t, zk, path))
		if id, _ := srv.Get("/queue/taken/entry-100-0000000001"); len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" {
			t.Errorf("owner %q, want 32 hex digits", id)
		}
	})
}

// Kazoo's own: a lock that it holds is respected, and its items are consumed.
func TestLocksOfOthersAreRespected(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		srv.Put("/queue/entries/entry-100-0000000000", "held")
		srv.Put("/queue/entries/entry-100-0000000001", "free")
		srv.Put("/queue/taken/entry-100-0000000000", "cafe")
		q := newLocking(t, recipetest.Client(t, srv), path)
		if item := mustTake(t, q); item.Value != "free" {
			t.Errorf("took %q, want the free one", item.Value)
		} else {
			mustConsume(t, item)
		}
		requireEmpty(t, q)
		time.AfterFunc(time.Second, func() { srv.Remove("/queue/taken/entry-100-0000000000") })
		if item := mustTake(t, q); item.Value != "held" {
			t.Errorf("took %q, want the one that was handed back", item.Value)
		}
	})
}

// A session ends while it holds an item: its context ends before another consumer has the item, and what the former
// holder does is refused.
func TestExpiryHandsTheItemBack(t *testing.T) {
	for name, fault := range map[string]func(*zktest.Server, int64){
		"expired":    func(srv *zktest.Server, id int64) { srv.ExpireSession(id) },
		"black hole": func(srv *zktest.Server, id int64) { srv.Session(id).BlackHole() },
	} {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				zk := recipetest.Client(t, srv)
				one, two := newLocking(t, zk, path), newLocking(t, recipetest.Client(t, srv), path)
				mustPut(t, one, "x")
				item := mustTake(t, one)
				var ended atomic.Int64
				context.AfterFunc(item.Context(), func() { ended.Store(time.Now().UnixNano()) })
				fault(srv, zk.SessionID())
				second := mustTake(t, two)
				at := time.Now()
				if second.Value != "x" || second.Token() <= item.Token() {
					t.Errorf("took %q with token %d, want x with one above %d", second.Value, second.Token(), item.Token())
				}
				if name == "black hole" && (ended.Load() == 0 || ended.Load() > at.UnixNano()) {
					t.Errorf("the context was still alive when another had the item")
				}
				srv.Heal()
				<-item.Context().Done()
				if err := item.Err(); !errors.Is(err, queue.ErrLost) {
					t.Errorf("Err = %v, want ErrLost", err)
				}
				if err := item.Consume(t.Context()); !errors.Is(err, queue.ErrLost) {
					t.Errorf("Consume = %v, want ErrLost", err)
				}
				if held, err := item.Holds(t.Context()); held || err != nil {
					t.Errorf("Holds = %v, %v, want false", held, err)
				}
				if held, err := second.Holds(t.Context()); !held || err != nil {
					t.Errorf("Holds = %v, %v, want true", held, err)
				}
				item.Release(t.Context())
				time.Sleep(time.Minute) // for what goes on in the background
				if err := second.Err(); err != nil {
					t.Fatalf("the second holder lost the item: %v", err)
				}
				mustConsume(t, second)
				requireEmpty(t, one)
			})
		})
	}
}

// Even when the former holder does not know yet, the server refuses what it does.
func TestStaleConsumeIsRefused(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		one, two := newLocking(t, zk, path), newLocking(t, recipetest.Client(t, srv), path)
		mustPut(t, one, "x")
		item := mustTake(t, one)
		commit := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti, Session: zk.SessionID()}, Do: zktest.HoldRequest(), Times: 1})
		result := make(chan error)
		go func() { result <- item.Consume(t.Context()) }()
		commit.Wait(t.Context())
		srv.ExpireSession(zk.SessionID())
		second := mustTake(t, two)
		commit.Release()
		if err := <-result; err == nil {
			t.Error("Consume succeeded after the item went to another")
		}
		if _, found := srv.Get("/queue/entries/entry-100-0000000000"); !found {
			t.Error("the item has gone")
		}
		mustConsume(t, second)
	})
}

// A lock that was deleted by hand, and made by somebody else since, is not taken for ours.
func TestDeletedLockIsLost(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		const lock = "/queue/taken/entry-100-0000000000"
		q := newLocking(t, recipetest.Client(t, srv), path)
		mustPut(t, q, "x")
		item := mustTake(t, q)
		srv.Remove(lock)
		<-item.Context().Done()
		if err := item.Err(); !errors.Is(err, queue.ErrLost) {
			t.Errorf("Err = %v, want ErrLost", err)
		}
		item = mustTake(t, q)
		// The watch's event is on its way while both happen.
		hold := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpEvent, Path: lock}, Do: zktest.HoldReply()})
		srv.Remove(lock)
		srv.Put(lock, "somebody else")
		hold.Release()
		<-item.Context().Done()
		if held, err := item.Holds(t.Context()); held || err != nil {
			t.Errorf("Holds = %v, %v, want false", held, err)
		}
		time.Sleep(time.Minute)
		if data, _ := srv.Get(lock); data != "somebody else" {
			t.Errorf("the lock says %q, want it untouched", data)
		}
	})
}

func TestPutAllIsOneTransaction(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		zk, path := recipetest.Dial(t, c.Hosts()), recipetest.Path(t)
		q := newLocking(t, zk, path)
		if err := q.PutAll(t.Context(), []string{"a", "b", "c"}, queue.Priority(9)); err != nil {
			t.Fatal(err)
		}
		stats := map[int64]bool{}
		for _, name := range recipetest.Children(t, zk, path+"/entries") {
			stat, _, _ := zk.Exists(t.Context(), path+"/entries/"+name)
			stats[stat.Czxid] = true
		}
		if len(stats) != 1 {
			t.Errorf("the items were made by %d transactions, want 1", len(stats))
		}
		// What does not fit into one request is refused as a whole.
		big := strings.Repeat("x", 600_000)
		if err := q.PutAll(t.Context(), []string{big, big}); !errors.Is(err, gazoo.ErrRequestTooLarge) {
			t.Errorf("PutAll of more than a request: %v, want ErrRequestTooLarge", err)
		}
		var got []string
		for range 3 {
			item := mustTake(t, q)
			got = append(got, item.Value)
			mustConsume(t, item)
		}
		requireItems(t, got, "a", "b", "c")
		requireEmpty(t, q)
	})
}

func TestItemsOfALocking(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		q := newLocking(t, zk, path, queue.WithRetryDelay(10*time.Second))
		for _, item := range []string{"good", "bad", "fine"} {
			mustPut(t, q, item)
		}
		// What the body does not consume is handed back, and left to others for a while.
		start := time.Now()
		var got []string
		for item, err := range q.Items(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, item.Value)
			if item.Value == "bad" && len(got) < 4 {
				continue
			}
			mustConsume(t, item)
			if item.Value == "bad" {
				break
			}
		}
		requireItems(t, got, "good", "bad", "fine", "bad")
		if d := time.Since(start); d != 10*time.Second {
			t.Errorf("the item came again after %v, want 10s", d)
		}
		// Also by break, return and panic.
		mustPut(t, q, "x")
		for item := range q.Items(t.Context()) {
			if item.Value != "x" {
				t.Fatalf("took %q", item.Value)
			}
			break
		}
		func() {
			defer func() { recover() }()
			for range newLocking(t, zk, path).Items(t.Context()) {
				panic("in the body")
			}
		}()
		if item := mustTake(t, newLocking(t, zk, path)); item.Value != "x" {
			t.Errorf("took %q, want x", item.Value)
		}
	})
}

func TestRun(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		q := newLocking(t, recipetest.Client(t, srv), path)
		for i := range 20 {
			mustPut(t, q, fmt.Sprint(i))
		}
		var mu sync.Mutex
		seen := map[string]int{}
		ctx, cancel := context.WithCancel(t.Context())
		running, most := 0, 0
		err := q.Run(ctx, 3, func(ctx context.Context, item *queue.Item[string]) error {
			mu.Lock()
			running++
			most = max(most, running)
			seen[item.Value]++
			n := seen[item.Value]
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			running--
			last := len(seen) == 20 && seen["5"] >= 3
			mu.Unlock()
			if last {
				cancel()
			}
			if item.Value == "5" && n < 3 {
				return errors.New("again")
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v, want the context's error", err)
		}
		if most != 3 {
			t.Errorf("%d ran at once, want 3", most)
		}
		for i := range 20 {
			want := 1
			if i == 5 {
				want = 3
			}
			if n := seen[fmt.Sprint(i)]; n != want {
				t.Errorf("item %d was processed %d times, want %d", i, n, want)
			}
		}
		if left := names(t, srv, path+"/taken"); len(left) != 0 {
			t.Errorf("locks are left: %v", left)
		}
	})
}

// The context of the function ends when the lock is lost, and the item comes to somebody again.
func TestRunEndsTheFunctionOfALostItem(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		problems := make(chan error, 10)
		q := newLocking(t, zk, path, queue.WithErrors(func(err error) { problems <- err }))
		mustPut(t, q, "x")
		ctx, cancel := context.WithCancel(t.Context())
		tries := 0
		q.Run(ctx, 1, func(ctx context.Context, item *queue.Item[string]) error {
			if tries++; tries == 1 {
				srv.ExpireSession(zk.SessionID())
				<-ctx.Done()
				if cause := context.Cause(ctx); !errors.Is(cause, queue.ErrLost) {
					t.Errorf("the function's context ended with %v, want ErrLost", cause)
				}
				return nil
			}
			cancel()
			return nil
		})
		if err := <-problems; !errors.Is(err, queue.ErrLost) {
			t.Errorf("told of %v, want ErrLost", err)
		}
		if tries != 2 || len(names(t, srv, path+"/entries")) != 0 {
			t.Errorf("%d tries, %v left", tries, names(t, srv, path+"/entries"))
		}
	})
}

// Curator's ErrorMode.REQUEUE: a failed item goes to the end, with its priority.
func TestRequeue(t *testing.T) {
	for name, opts := range lockings {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				q := newLocking(t, recipetest.Client(t, srv), path, append(slices.Clone(opts), queue.WithRequeue())...)
				var put []queue.PutOption
				if strings.Contains("kazoo curator priority", name) && name != "curator" {
					put = append(put, queue.Priority(3))
				}
				for _, item := range []string{"bad", "a", "b"} {
					mustPut(t, q, item, put...)
				}
				var got, paths []string
				ctx, cancel := context.WithCancel(t.Context())
				q.Run(ctx, 1, func(_ context.Context, item *queue.Item[string]) error {
					paths = append(paths, item.Path())
					if got = append(got, item.Value); len(got) == 1 {
						return errors.New("try me later")
					}
					if len(got) == 4 {
						cancel()
					}
					return nil
				})
				requireItems(t, got, "bad", "a", "b", "bad")
				if !slices.IsSorted(paths) || paths[3] == paths[0] {
					t.Errorf("znodes %v, want the failed item in a new one at the end", paths)
				}
				if n, _ := q.Len(t.Context()); n != 0 {
					t.Errorf("%d items are left", n)
				}
			})
		})
	}
}

func TestGuardedWritesOfAnItem(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		zk, path := recipetest.Dial(t, c.Hosts()), recipetest.Path(t)
		q := newLocking(t, zk, path)
		mustPut(t, q, "x")
		item := mustTake(t, q)
		if _, err := item.Txn().Create(path+"/done", nil).Commit(t.Context()); err != nil {
			t.Errorf("guarded write: %v", err)
		}
		if held, err := item.Holds(t.Context()); !held || err != nil {
			t.Errorf("Holds = %v, %v, want true", held, err)
		}
		mustConsume(t, item)
		if held, err := item.Holds(t.Context()); held || err != nil {
			t.Errorf("Holds behind Consume = %v, %v, want false", held, err)
		}
		if _, err := item.Txn().Create(path+"/late", nil).Commit(t.Context()); !item.Lost(err) {
			t.Errorf("guarded write behind Consume: %v, want it refused", err)
		}
	})
}

// An item put into an empty queue wakes one listing in each process, whatever the number of goroutines that wait.
func TestOneOfAProcessWaits(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		q := newLocking(t, zk, path)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				for item := range q.Items(ctx) {
					if item != nil {
						item.Consume(ctx)
					}
				}
			})
		}
		synctest.Wait()
		listings := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpChildren, Session: zk.SessionID()}, Do: zktest.Call(func(zktest.Request) {})})
		producer := newLocking(t, recipetest.Client(t, srv), path)
		mustPut(t, producer, "x")
		synctest.Wait()
		// Of entries and taken: for the item, and for the changes when it is taken and when it is consumed.
		if hits := listings.Hits(); hits == 0 || hits > 8 {
			t.Errorf("%d listings for one item", hits)
		}
		cancel()
		wg.Wait()
	})
}

func TestQuorumItem(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		q := newLocking(t, zk, path, queue.WithQuorum())
		mustPut(t, q, "x")
		item := mustTake(t, q)
		time.Sleep(time.Minute)
		if err := item.Err(); err != nil {
			t.Fatalf("Err = %v after a minute", err)
		}
		// Reads are answered, writes are not: half a session time-out later it is over.
		srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti, Session: zk.SessionID()}, Do: zktest.HoldRequest()})
		start := time.Now()
		<-item.Context().Done()
		if d := time.Since(start); d > recipetest.SessionTimeout/2 {
			t.Errorf("it ended after %v, want half a session time-out at most", d)
		}
	})
}
