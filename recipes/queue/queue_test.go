package queue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/queue"
	"github.com/gazoo-zk/gazoo/zktest"
)

func TestMain(m *testing.M) { recipetest.Main(m) }

const path = "/queue"

func newQueue(t testing.TB, zk *gazoo.Client, path string, opts ...queue.Option) *queue.Queue[string] {
	t.Helper()
	q, err := queue.New(zk, path, queue.Text(), opts...)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return q
}

type putter interface {
	Put(ctx context.Context, item string, opts ...queue.PutOption) error
}

func mustPut(t testing.TB, q putter, item string, opts ...queue.PutOption) {
	t.Helper()
	if err := q.Put(t.Context(), item, opts...); err != nil {
		t.Fatalf("Put(%q): %v", item, err)
	}
}

// drain gets until the queue is empty.
func drain(t testing.TB, q *queue.Queue[string]) (items []string) {
	t.Helper()
	for {
		item, err := q.Get(t.Context())
		if errors.Is(err, queue.ErrEmpty) {
			return items
		}
		if err != nil {
			t.Fatalf("Get: %v", err)
		}
		items = append(items, item)
	}
}

func requireItems(t testing.TB, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("items %q, want %q", got, want)
	}
}

// names returns the children of a path on a zktest server, in order.
func names(t testing.TB, srv *zktest.Server, path string) (names []string) {
	t.Helper()
	for line := range strings.Lines(srv.Dump(zktest.Below(path))) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if rest, ok := strings.CutPrefix(name, path+"/"); ok && !strings.Contains(rest, "/") {
			names = append(names, rest)
		}
	}
	return names
}

func TestFirstInFirstOut(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		path := recipetest.Path(t)
		zk, other := recipetest.Dial(t, c.Hosts()), recipetest.Dial(t, c.Hosts())
		for _, style := range []queue.Style{queue.Kazoo, queue.Simple, queue.Curator, queue.CuratorPriority} {
			path := path + "-" + strings.ReplaceAll(style.Name, " ", "-")
			producer, consumer := newQueue(t, zk, path, queue.WithStyle(style)), newQueue(t, other, path, queue.WithStyle(style))
			var want []string
			for i := range 12 {
				want = append(want, fmt.Sprint(i))
				mustPut(t, producer, want[i])
			}
			if err := other.Sync(t.Context(), path); err != nil {
				t.Fatal(err)
			}
			if n, err := consumer.Len(t.Context()); n != 12 || err != nil {
				t.Errorf("%s: Len = %d, %v, want 12", style.Name, n, err)
			}
			if first, err := consumer.Peek(t.Context()); first != "0" || err != nil {
				t.Errorf("%s: Peek = %q, %v, want the first", style.Name, first, err)
			}
			requireItems(t, drain(t, consumer), want...)
			if n, err := consumer.Len(t.Context()); n != 0 || err != nil {
				t.Errorf("%s: Len = %d, %v, want 0", style.Name, n, err)
			}
			if _, err := consumer.Peek(t.Context()); !errors.Is(err, queue.ErrEmpty) {
				t.Errorf("%s: Peek of an empty queue: %v, want ErrEmpty", style.Name, err)
			}
		}
	})
}

// What each style makes is what the other libraries make.
func TestNamesOnTheServer(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		for _, tt := range []struct {
			style queue.Style
			opts  []queue.PutOption
			want  string
			data  string
		}{
			{queue.Kazoo, nil, "entry-100-0000000000", "x"},
			{queue.Kazoo, []queue.PutOption{queue.Priority(7)}, "entry-007-0000000000", "x"},
			{queue.Simple, nil, "qn-0000000000", "x"},
			{queue.Curator, nil, "queue-0000000000", "\x00\x01\x00\x01\x01\x00\x00\x00\x01x\x02"},
			{queue.CuratorPriority, nil, "queue-1000000000000000000", "\x00\x01\x00\x01\x01\x00\x00\x00\x01x\x02"},
			{queue.CuratorPriority, []queue.PutOption{queue.Priority(-1)}, "queue-0FFFFFFFF0000000000", "\x00\x01\x00\x01\x01\x00\x00\x00\x01x\x02"},
			{queue.CuratorDelay, []queue.PutOption{queue.Due(time.UnixMilli(0xDC6A000000))}, "queue-|DC6A000000|0000000000", "\x00\x01\x00\x01\x01\x00\x00\x00\x01x\x02"},
			{queue.CuratorDelay, []queue.PutOption{queue.Due(time.UnixMilli(0xABC))}, "queue-|00000ABC|0000000000", "\x00\x01\x00\x01\x01\x00\x00\x00\x01x\x02"},
			{queue.CuratorID, []queue.PutOption{queue.ID("me")}, "queue-|me|0000000000", "\x00\x01\x00\x01\x01\x00\x00\x00\x01x\x02"},
		} {
			path := recipetest.Path(t)
			q := newQueue(t, zk, path, queue.WithStyle(tt.style))
			mustPut(t, q, "x", tt.opts...)
			requireItems(t, names(t, srv, path), tt.want)
			if data, _ := srv.Get(path + "/" + tt.want); data != tt.data {
				t.Errorf("%s: data %q, want %q", tt.style.Name, data, tt.data)
			}
			requireItems(t, drain(t, q), "x")
		}
	})
}

func TestPriorities(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		kazoo := newQueue(t, zk, "/kazoo")
		for i, p := range []int{500, 0, 999, 100, 0} {
			mustPut(t, kazoo, fmt.Sprint(p, "-", i), queue.Priority(p))
		}
		requireItems(t, drain(t, kazoo), "0-1", "0-4", "100-3", "500-0", "999-2")

		curator := newQueue(t, zk, "/curator", queue.WithStyle(queue.CuratorPriority))
		for _, p := range []int{5, -1, 1 << 30, -1 << 31, 1<<31 - 1, 0} {
			mustPut(t, curator, fmt.Sprint(p), queue.Priority(p))
		}
		requireItems(t, drain(t, curator), "-2147483648", "-1", "0", "5", "1073741824", "2147483647")

		// An urgent item overtakes those that a consumer has listed already: its own at once, others' before long.
		for i := range 5 {
			mustPut(t, kazoo, fmt.Sprint(i))
		}
		other := newQueue(t, recipetest.Client(t, srv), "/kazoo")
		if item, err := kazoo.Get(t.Context()); item != "0" || err != nil {
			t.Fatalf("Get = %q, %v", item, err)
		}
		mustPut(t, kazoo, "own", queue.Priority(1))
		if item, err := kazoo.Get(t.Context()); item != "own" || err != nil {
			t.Errorf("Get = %q, %v, want the urgent one of this handle", item, err)
		}
		mustPut(t, other, "other", queue.Priority(1))
		time.Sleep(time.Second)
		requireItems(t, drain(t, kazoo), "other", "1", "2", "3", "4")
	})
}

// The order is that of the counter, over its overflow, where text order puts later items first.
func TestOrderBeyondTheOverflow(t *testing.T) {
	for _, style := range []queue.Style{queue.Kazoo, queue.Simple, queue.Curator, queue.CuratorPriority} {
		t.Run(style.Name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				q := newQueue(t, recipetest.Client(t, srv), path, queue.WithStyle(style))
				for i := range 6 {
					mustPut(t, q, fmt.Sprint(i))
				}
				requireItems(t, drain(t, q), "0", "1", "2", "3", "4", "5")
			}, recipetest.Numbering(t, path, 2147483645))
		})
	}
}

func TestForeignChildrenAreIgnored(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		foreign := []string{"entry-", "entry-1-0000000001", "entry-abc-0000000001", "entry-100-1", "qn-x", "queue-", "queue-|x", "queue-|ZZ|x", "queue-2000000000000000000", "aaa", "zzz-0000000000"}
		for _, name := range foreign {
			srv.Put(path+"/"+name, "foreign")
		}
		zk := recipetest.Client(t, srv)
		for _, style := range []queue.Style{queue.Kazoo, queue.Simple, queue.Curator, queue.CuratorPriority, queue.CuratorDelay} {
			q := newQueue(t, zk, path, queue.WithStyle(style))
			mustPut(t, q, "mine")
			requireItems(t, drain(t, q), "mine")
		}
		if n := len(names(t, srv, path)); n != len(foreign) {
			t.Errorf("%d children are left, want the %d foreign ones", n, len(foreign))
		}
	})
}

func TestTakeWaits(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		path := recipetest.Path(t)
		consumer := newQueue(t, recipetest.Dial(t, c.Hosts()), path)
		producer := newQueue(t, recipetest.Dial(t, c.Hosts()), path)
		got := make(chan string, 4)
		for range 3 { // of one process, which share the wait
			go func() {
				item, err := consumer.Take(t.Context())
				got <- fmt.Sprint(item, err)
			}()
		}
		var items []string
		for _, item := range []string{"a", "b", "c"} {
			mustPut(t, producer, item)
			items = append(items, <-got)
		}
		requireItems(t, items, "a<nil>", "b<nil>", "c<nil>")
	})
}

func TestPollWaitsForATime(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		q := newQueue(t, recipetest.Client(t, srv), path)
		start := time.Now()
		if item, err := q.Poll(t.Context(), 3*time.Second); !errors.Is(err, queue.ErrEmpty) {
			t.Errorf("Poll = %q, %v, want ErrEmpty", item, err)
		}
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("Poll waited for %v, want 3s", d)
		}
		time.AfterFunc(time.Second, func() { q.Put(context.Background(), "x") })
		if item, err := q.Poll(t.Context(), 3*time.Second); item != "x" || err != nil {
			t.Errorf("Poll = %q, %v, want x", item, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := q.Take(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Take with a deadline: %v", err)
		}
		// Who waits does not hold up who only looks.
		go q.Take(t.Context())
		synctest.Wait()
		if _, err := q.Get(t.Context()); !errors.Is(err, queue.ErrEmpty) {
			t.Errorf("Get beside a Take: %v, want ErrEmpty", err)
		}
	})
}

func TestItems(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		q := newQueue(t, recipetest.Client(t, srv), path)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		time.AfterFunc(time.Second, func() {
			for i := range 3 {
				q.Put(context.Background(), fmt.Sprint(i))
			}
		})
		var got []string
		var last error
		for item, err := range q.Items(ctx) {
			if last = err; err == nil {
				got = append(got, item)
			}
		}
		requireItems(t, got, "0", "1", "2")
		if !errors.Is(last, context.DeadlineExceeded) {
			t.Errorf("the iteration ended with %v, want the deadline", last)
		}
	})
}

// Ten thousand items take a few listings, not as many.
func TestListingsArePerListNotPerItem(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		const n = 2000
		q := newQueue(t, recipetest.Client(t, srv), path)
		b, err := q.Background(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if _, err := b.Put(t.Context(), fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		listings := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpChildren, Path: path}, Do: zktest.Call(func(zktest.Request) {})})
		for i := range n {
			if item, err := q.Take(t.Context()); item != fmt.Sprint(i) || err != nil {
				t.Fatalf("Take = %q, %v, want %d", item, err, i)
			}
		}
		if hits := listings.Hits(); hits > 5 {
			t.Errorf("%d listings for %d items", hits, n)
		}
	})
}

func TestArguments(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		refused := func(what string, err error, words ...string) {
			t.Helper()
			if !errors.Is(err, gazoo.ErrBadArguments) {
				t.Errorf("%s: %v, want a bad argument", what, err)
				return
			}
			for _, word := range words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%s: %q does not mention %s", what, err, word)
				}
			}
		}
		_, err := queue.New(nil, "no/path", queue.Codec[string]{}, queue.WithCapacity(0), queue.WithStyle(queue.Style{}))
		refused("New", err, "zk", "no/path", "codec", "WithCapacity", "WithStyle")
		_, err = queue.New(zk, path, queue.Text(), queue.WithLockPath("/l"))
		refused("New with a lock path", err)
		_, err = queue.NewLocking(zk, path, queue.Text(), queue.WithLockPath("/l"))
		refused("NewLocking with a lock path", err, "WithLockPath")
		_, err = queue.NewLocking(zk, path, queue.Text(), queue.WithStyle(queue.Curator))
		refused("NewLocking without a lock path", err, "WithLockPath")
		_, err = queue.New(zk, path, queue.Text(), queue.WithShards("/a", path), queue.WithCapacity(3))
		refused("New with shards", err, "twice", "WithCapacity")

		kazoo := newQueue(t, zk, path)
		refused("Put", kazoo.Put(t.Context(), "", queue.Priority(1000)), "Priority")
		refused("Put", kazoo.Put(t.Context(), "", queue.Due(time.Now())), "Due")
		refused("Put", kazoo.Put(t.Context(), "", queue.ID("x")), "ID")
		ids := newQueue(t, zk, path, queue.WithStyle(queue.CuratorID))
		refused("Put", ids.Put(t.Context(), ""), "ID")
		refused("Put", ids.Put(t.Context(), "", queue.ID("a/b")), "ID")
		refused("Put", ids.Put(t.Context(), "", queue.ID("a|b")), "ID")
		refused("Put", newQueue(t, zk, path, queue.WithStyle(queue.Simple)).Put(t.Context(), "", queue.Priority(1)), "Priority")
		_, err = kazoo.RemoveID(t.Context(), "x")
		refused("RemoveID", err)
		if n := srv.Count(); n != 0 {
			t.Errorf("%d znodes were made", n)
		}
	})
}
