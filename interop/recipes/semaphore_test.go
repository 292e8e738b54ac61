package recipes

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/interop/recipes/peer"
	"github.com/gazoo-zk/gazoo/recipes/counter"
	"github.com/gazoo-zk/gazoo/recipes/lock"
	"github.com/gazoo-zk/gazoo/zktest"
)

// permit makes gazoo's semaphore a party.
func permit(name string, size int, opts ...lock.Option) party {
	return ours(name, func(zk *gazoo.Client, path string) (taker, error) {
		s, err := lock.NewSemaphore(zk, path, size, opts...)
		return func(ctx context.Context) (holding, error) { return s.Acquire(ctx) }, err
	})
}

// family is programs whose semaphores can share a path.
type family struct {
	name    string
	size    int
	leases  string // where they are, behind the path
	guard   string // where the one that waits first has a lock
	parties []party
}

var families = []family{
	{"Kazoo Semaphore", 2, "", "-__lock__", []party{
		theirs("Kazoo", kazoos, "Semaphore", peer.Args{"leases": 2}, nil),
		permit("gazoo", 2),
	}},
	{"Curator InterProcessSemaphoreV2", 2, "/leases", "/locks", []party{
		theirs("Curator", curators, "InterProcessSemaphoreV2", peer.Args{"leases": 2}, nil),
		permit("gazoo", 2, lock.WithStyle(lock.Curator)),
	}},
	{"Curator InterProcessSemaphoreMutex", 1, "/leases", "/locks", []party{
		theirs("Curator", curators, "InterProcessSemaphoreMutex", nil, nil),
		permit("gazoo", 1, lock.WithStyle(lock.Curator)),
	}},
}

// TestSemaphore has every mixture of holders fill a semaphore before one more comes, which waits until a permit is given
// back; who comes behind it waits for its turn.
func TestSemaphore(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		for _, f := range families {
			for mixture := range 1 << (f.size + 2) {
				var cast []party
				name := ""
				for i := range f.size + 2 {
					p := f.parties[mixture>>i&1]
					cast = append(cast, p)
					name += p.name[:1]
				}
				t.Run(f.name+"/"+name, func(t *testing.T) { fill(t, s, f, cast) })
			}
			found.format("semaphore: " + f.name + " and gazoo")
		}
	})
}

// fill gives the permits to the first of the cast, and lets the last two wait.
func fill(t *testing.T, s *site, f family, cast []party) {
	t.Helper()
	path := newPath()
	var holders []*contender
	for i := range f.size {
		c := cast[i].contend(t, s, i%2, path)
		c.acquires(t, cast[i].name)
		holders = append(holders, c)
	}
	first := cast[f.size].contend(t, s, 0, path)
	zktest.Eventually(t, "the first waits for a permit, or has one", func() bool {
		select {
		case <-first.done:
			return true
		default:
			return len(s.children(t, path+f.guard)) == 1
		}
	})
	// The second waits for the first only if that has to wait for a permit.
	second := cast[f.size+1].contend(t, s, 1, path)
	if !s.waiting(t, second.session, path, second.done) {
		t.Fatalf("%s does not wait for its turn", cast[f.size+1].name)
	}
	select {
	case <-first.done:
		t.Fatalf("%s walks in on a full semaphore", cast[f.size].name)
	default:
	}

	holders[0].release(t)
	first.acquires(t, cast[f.size].name)
	select {
	case <-second.done:
		t.Errorf("%s has a permit more than there are", cast[f.size+1].name)
	default:
	}
	first.release(t)
	second.acquires(t, cast[f.size+1].name)
	second.release(t)
	for _, h := range holders[1:] {
		h.release(t)
	}
	s.empties(t, path+f.leases)
}

// TestSemaphoreSize has Kazoo and gazoo refuse each other's size when it is another one, and see each other's holders.
func TestSemaphoreSize(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		theirFirst, ourFirst := newPath(), newPath()
		theirs := makes(t, s.kazoo[0], "Semaphore", theirFirst, peer.Args{"leases": 2, "identifier": "kazoo-1"})
		theirs.do(nil, "acquire", timeout)
		ours, err := lock.NewSemaphore(s.gazoo[0], theirFirst, 3)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ours.Acquire(within(t)); !errors.Is(err, lock.ErrSizeMismatch) {
			t.Errorf("Acquire() = %v on a semaphore of another size, want ErrSizeMismatch", err)
		}
		holders, err := ours.Holders(t.Context())
		if err != nil || len(holders) != 1 || holders[0].Identity != "kazoo-1" {
			t.Errorf("Holders() = %v, %v; want kazoo-1", holders, err)
		}
		theirs.do(nil, "release", nil)

		ours, err = lock.NewSemaphore(s.gazoo[0], ourFirst, 3, lock.WithIdentity([]byte("gazoo-1")))
		if err != nil {
			t.Fatal(err)
		}
		held, err := ours.Acquire(within(t))
		if err != nil {
			t.Fatal(err)
		}
		theirs = makes(t, s.kazoo[0], "Semaphore", ourFirst, peer.Args{"leases": 2})
		if err := theirs.o.Start("acquire", timeout).Wait(within(t), nil); err == nil {
			t.Error("Kazoo takes a permit of a semaphore of another size")
		}
		var seen []string
		if theirs.do(&seen, "holders", nil); !slices.Equal(seen, []string{"gazoo-1"}) {
			t.Errorf("Kazoo sees the holders %q, want gazoo-1", seen)
		}
		if err := held.Release(within(t)); err != nil {
			t.Fatal(err)
		}
		found.format("semaphore: size and holders of Kazoo's")
	})
}

// TestSharedSize has a SharedCount say how many permits Curator and gazoo may give, and either of them raise it under a
// waiter of the other.
func TestSharedSize(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		path, sizePath := newPath(), newPath()
		theirs := func(who int) *contender {
			p := theirs("Curator", curators, "InterProcessSemaphoreV2", peer.Args{"leases": 1, "size_path": sizePath}, nil)
			return p.contend(t, s, who, path)
		}
		mine := permit("gazoo", 1, lock.WithStyle(lock.Curator), lock.WithSharedSize(sizePath))
		first := mine.contend(t, s, 0, path)
		first.acquires(t, "gazoo")

		second := theirs(0)
		s.waitChildren(t, path+"/leases", 2) // Curator makes its own, and then waits for the number
		select {
		case <-second.done:
			t.Fatal("Curator walks in on a full semaphore")
		default:
		}
		sem, err := lock.NewSemaphore(s.gazoo[1], path, 1, lock.WithStyle(lock.Curator), lock.WithSharedSize(sizePath))
		if err != nil {
			t.Fatal(err)
		}
		if err := sem.Resize(within(t), 2); err != nil {
			t.Fatal(err)
		}
		second.acquires(t, "Curator after the resize")

		third := mine.contend(t, s, 1, path)
		zktest.Eventually(t, "the third waits", func() bool {
			waiters, err := sem.Waiters(t.Context())
			return err == nil && len(waiters) == 1
		})
		count := makes(t, s.curator[1], "SharedCount", sizePath, nil)
		count.do(nil, "set", peer.Args{"value": 3})
		third.acquires(t, "gazoo after the resize")
		count.do(nil, "close", nil)
		size, err := counter.NewShared(s.zk, sizePath, 0)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := size.Get(t.Context()); err != nil || v.Value != 3 {
			t.Errorf("size is %v, %v; want 3", v.Value, err)
		}
		for _, c := range []*contender{first, second, third} {
			c.release(t)
		}
		s.empties(t, path+"/leases")
		found.format("semaphore: SharedCount as the size of InterProcessSemaphoreV2")
	})
}
