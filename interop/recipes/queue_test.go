package recipes

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/interop/recipes/peer"
	"github.com/gazoo-zk/gazoo/recipes/queue"
)

// value is the argument of operations that put something.
func value(text string) peer.Args { return peer.Args{"value": []byte(text)} }

// newQueue makes one of ours, of texts.
func newQueue(t *testing.T, s *site, path string, style queue.Style) *queue.Queue[string] {
	t.Helper()
	q, err := queue.New(s.gazoo[0], path, queue.Text(), queue.WithStyle(style))
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// newLocking makes one of ours, of texts.
func newLocking(t *testing.T, s *site, path string, opts ...queue.Option) *queue.Locking[string] {
	t.Helper()
	q, err := queue.NewLocking(s.gazoo[0], path, queue.Text(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func put(t *testing.T, q interface {
	Put(ctx context.Context, item string, opts ...queue.PutOption) error
}, item string, opts ...queue.PutOption,
) {
	t.Helper()
	if err := q.Put(within(t), item, opts...); err != nil {
		t.Fatalf("Put(%s): %v", item, err)
	}
}

// take wants items in an order.
func take(t *testing.T, q *queue.Queue[string], want ...string) {
	t.Helper()
	for _, want := range want {
		if got, err := q.Take(within(t)); err != nil || got != want {
			t.Fatalf("Take() = %q, %v; want %q", got, err, want)
		}
	}
}

// get wants items of theirs in an order.
func (o object) get(want ...string) {
	o.t.Helper()
	for _, want := range want {
		var got []byte
		o.do(&got, "get", timeout)
		if string(got) != want {
			o.t.Fatalf("theirs gets %q, want %q", got, want)
		}
	}
}

// TestQueue has items put by each and taken by the other, in the order of the format.
func TestQueue(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		t.Run("Kazoo", func(t *testing.T) {
			path := newPath()
			theirs, ours := makes(t, s.kazoo[0], "Queue", path, nil), newQueue(t, s, path, queue.Kazoo)
			for who, put := range []func(item string, priority int){
				func(item string, priority int) {
					theirs.do(nil, "put", peer.Args{"value": []byte(item), "priority": priority})
				},
				func(item string, priority int) { put(t, ours, item, queue.Priority(priority)) },
			} {
				for i, priority := range []int{100, 5, 999, 0, 100} {
					put(fmt.Sprintf("%d-%d", priority, i), priority)
				}
				var n int
				theirs.do(&n, "len", nil)
				if m, err := ours.Len(t.Context()); n != 5 || m != 5 || err != nil {
					t.Errorf("Kazoo counts %d, gazoo counts %d, %v; want 5", n, m, err)
				}
				want := []string{"0-3", "5-1", "100-0", "100-4", "999-2"}
				if who == 0 {
					take(t, ours, want...)
				} else {
					theirs.get(want...)
				}
			}
			theirs.do(nil, "put", value("default"))
			put(t, ours, "default of ours")
			put(t, ours, "first", queue.Priority(99))
			take(t, ours, "first", "default")
			theirs.get("default of ours")
			var none []byte
			theirs.do(&none, "get", nil)
			if _, err := ours.Get(t.Context()); none != nil || !errors.Is(err, queue.ErrEmpty) {
				t.Errorf("an empty queue: Kazoo gets %q, gazoo %v", none, err)
			}
			found.format("queue: Kazoo Queue, both ways")
		})
		for _, theirs := range []string{"SimpleDistributedQueue", "ZooKeeperQueue"} {
			t.Run(theirs, func(t *testing.T) {
				path := newPath()
				theirs, kind := makes(t, s.curator[0], theirs, path, nil), theirs
				ours := newQueue(t, s, path, queue.Simple)
				for i := range 3 {
					theirs.do(nil, "put", value(fmt.Sprint("theirs ", i)))
					put(t, ours, fmt.Sprint("ours ", i))
				}
				take(t, ours, "theirs 0", "ours 0", "theirs 1")
				theirs.get("ours 1", "theirs 2", "ours 2")

				watches := s.watches(t)
				call := theirs.o.Start("get", timeout)
				if !s.blocked(t, watches, call.Done()) {
					t.Errorf("%s does not wait", kind)
				}
				put(t, ours, "late")
				var got []byte
				if theirs.must(call, &got); string(got) != "late" {
					t.Errorf("%s waited for %q, want late", kind, got)
				}
				watches = s.watches(t)
				waiting := in(t, func(ctx context.Context) error {
					item, err := ours.Take(ctx)
					if err == nil && item != "later" {
						return fmt.Errorf("item is %q", item)
					}
					return err
				})
				s.blocked(t, watches, waiting.done)
				theirs.do(nil, "put", value("later"))
				waiting.must(t, "Take")
				found.format("queue: " + kind + ", both ways")
			})
		}
	})
}

// TestLockingQueue has Kazoo and gazoo respect each other's locks, and give items back and forth.
func TestLockingQueue(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		path := newPath()
		theirs, ours := makes(t, s.kazoo[0], "LockingQueue", path, nil), newLocking(t, s, path)
		theirs.do(nil, "put_all", peer.Args{"values": [][]byte{[]byte("a"), []byte("b")}, "priority": 50})
		put(t, ours, "c", queue.Priority(60))
		var n int
		if theirs.do(&n, "len", nil); n != 3 {
			t.Errorf("Kazoo counts %d items, want 3", n)
		}

		theirs.get("a")
		item, err := ours.Take(within(t))
		if err != nil || item.Value != "b" {
			t.Fatalf("Take() = %v, %v; want b, since Kazoo has locked a", item, err)
		}
		var ok bool
		if theirs.do(&ok, "consume", nil); !ok {
			t.Error("Kazoo could not consume a")
		}
		theirs.get("c") // b is ours
		if theirs.do(&ok, "release", nil); !ok {
			t.Error("Kazoo could not release c")
		}
		if err := item.Release(within(t)); err != nil {
			t.Fatal(err)
		}
		theirs.get("b") // which we have released
		if theirs.do(&ok, "holds_lock", nil); !ok {
			t.Error("Kazoo does not hold b")
		}
		item, err = ours.Take(within(t))
		if err != nil || item.Value != "c" {
			t.Fatalf("Take() = %v, %v; want c, which Kazoo has released, and nothing else is left", item, err)
		}
		if err := item.Consume(within(t)); err != nil {
			t.Errorf("Consume: %v", err)
		}
		if theirs.do(&ok, "consume", nil); !ok {
			t.Error("Kazoo could not consume b")
		}
		if err := ours.PutAll(within(t), []string{"d"}, queue.Priority(60)); err != nil {
			t.Fatal(err)
		}
		theirs.get("d")
		if _, err := ours.Get(t.Context()); !errors.Is(err, queue.ErrEmpty) {
			t.Errorf("Get() = %v while Kazoo has the last item, want ErrEmpty", err)
		}

		// A waiter is woken by the other's release.
		watches := s.watches(t)
		waiting := in(t, func(ctx context.Context) error {
			item, err := ours.Take(ctx)
			if err == nil {
				err = item.Consume(ctx)
			}
			return err
		})
		s.blocked(t, watches, waiting.done)
		theirs.do(nil, "release", nil)
		waiting.must(t, "Take and Consume")
		if theirs.do(&n, "len", nil); n != 0 {
			t.Errorf("Kazoo counts %d items, want none", n)
		}
		found.format("queue: Kazoo LockingQueue, both ways")
	})
}

// TestCuratorQueues has items of Curator's queues with a consumer put by each and taken by the other.
func TestCuratorQueues(t *testing.T) {
	priority := func(n int) (peer.Args, []queue.PutOption) {
		return peer.Args{"priority": n}, []queue.PutOption{queue.Priority(n)}
	}
	id := func(id string) (peer.Args, []queue.PutOption) {
		return peer.Args{"identifier": id}, []queue.PutOption{queue.ID(id)}
	}
	due := func(d time.Duration) (peer.Args, []queue.PutOption) {
		return peer.Args{"delay_ms": d.Milliseconds()}, []queue.PutOption{queue.Due(time.Now().Add(d))}
	}
	type item struct {
		text string
		args peer.Args
		opts []queue.PutOption
	}
	with := func(text string, args peer.Args, opts []queue.PutOption) item { return item{text, args, opts} }
	plain := func(text string) item { return item{text: text} }
	and := func(text string) func(peer.Args, []queue.PutOption) item {
		return func(args peer.Args, opts []queue.PutOption) item { return with(text, args, opts) }
	}
	cases := []struct {
		kind  string
		style queue.Style
		items func() []item // in the order in which they are put
		want  []string      // in the order in which they are taken
	}{
		{"DistributedQueue", queue.Curator, func() []item { return []item{plain("a"), plain(""), plain("\x00\xff")} }, []string{"a", "", "\x00\xff"}},
		{"DistributedPriorityQueue", queue.CuratorPriority, func() []item {
			return []item{
				and("high")(priority(7)), and("low")(priority(-3)), and("lowest")(priority(-1 << 31)),
				and("highest")(priority(1<<31 - 1)), and("zero")(priority(0)), and("minus one")(priority(-1)),
			}
		}, []string{"lowest", "low", "minus one", "zero", "high", "highest"}},
		{"DistributedDelayQueue", queue.CuratorDelay, func() []item {
			return []item{and("late")(due(400 * time.Millisecond)), and("soon")(due(200 * time.Millisecond)), and("at once")(due(0))}
		}, []string{"at once", "soon", "late"}},
		{"DistributedIdQueue", queue.CuratorID, func() []item {
			return []item{and("a")(id("x")), and("b")(id("y-1")), and("c")(id("x"))}
		}, []string{"a", "b", "c"}},
	}
	onEach(t, func(t *testing.T, s *site) {
		for _, c := range cases {
			t.Run(c.kind, func(t *testing.T) {
				path := newPath()
				producer := makes(t, s.curator[0], c.kind, path, nil)
				ours := newQueue(t, s, path, c.style)
				for _, item := range c.items() {
					args := value(item.text)
					for k, v := range item.args {
						args[k] = v
					}
					producer.do(nil, "put", args)
				}
				take(t, ours, c.want...)
				producer.do(nil, "close", nil)

				for _, item := range c.items() {
					put(t, ours, item.text, item.opts...)
				}
				consumer := makes(t, s.curator[1], c.kind, path, peer.Args{"consume": true})
				consumer.get(c.want...)
				consumer.do(nil, "close", nil)
				s.empties(t, path)
				found.format("queue: " + c.kind + ", both ways")
			})
		}
		t.Run("several items in one znode", func(t *testing.T) {
			path := newPath()
			producer := makes(t, s.curator[0], "DistributedQueue", path, nil)
			ours := newQueue(t, s, path, queue.Curator)
			producer.do(nil, "put_all", peer.Args{"values": [][]byte{[]byte("a"), []byte("b"), []byte("c")}})
			if n := len(s.children(t, path)); n != 1 {
				t.Errorf("%d znodes, want one", n)
			}
			take(t, ours, "a", "b", "c")
			if err := ours.PutAll(within(t), []string{"d", "e"}); err != nil {
				t.Fatal(err)
			}
			consumer := makes(t, s.curator[1], "DistributedQueue", path, peer.Args{"consume": true})
			consumer.get("d", "e")
			consumer.do(nil, "close", nil)
			producer.do(nil, "close", nil)
			found.format("queue: DistributedQueue with several items, both ways")
		})
		t.Run("removed by id", func(t *testing.T) {
			path := newPath()
			theirs := makes(t, s.curator[0], "DistributedIdQueue", path, nil)
			ours := newQueue(t, s, path, queue.CuratorID)
			for _, id := range []string{"x", "y", "x"} {
				put(t, ours, "ours "+id, queue.ID(id))
				theirs.do(nil, "put", peer.Args{"value": []byte("theirs " + id), "identifier": id})
			}
			var n int
			if theirs.do(&n, "remove", peer.Args{"identifier": "x"}); n != 4 {
				t.Errorf("Curator has removed %d items, want 4", n)
			}
			if n, err := ours.RemoveID(within(t), "y"); n != 2 || err != nil {
				t.Errorf("RemoveID(y) = %d, %v; want 2", n, err)
			}
			theirs.do(nil, "close", nil)
			s.empties(t, path)
		})
	})
}

// TestCuratorLockPath has a consumer of Curator's pass by what is locked by ours, and the other way round.
func TestCuratorLockPath(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		path, locks := newPath(), newPath()
		ours := newLocking(t, s, path, queue.WithStyle(queue.Curator), queue.WithLockPath(locks))
		for _, item := range []string{"a", "b", "c"} {
			put(t, ours, item)
		}
		first, err := ours.Take(within(t))
		if err != nil || first.Value != "a" {
			t.Fatalf("Take() = %v, %v; want a", first, err)
		}
		theirs := makes(t, s.curator[0], "DistributedQueue", path, peer.Args{"consume": true, "lock_path": locks})
		theirs.get("b", "c")
		s.waitChildren(t, path, 1) // it deletes what its consumer has had
		if err := first.Release(within(t)); err != nil {
			t.Fatal(err)
		}
		put(t, ours, "d") // Curator looks at a change of the children, and not of the locks
		theirs.get("a", "d")
		theirs.do(nil, "close", nil)
		s.empties(t, path)
		s.empties(t, locks)
		found.format("queue: DistributedQueue with lock path, both ways")
	})
}
