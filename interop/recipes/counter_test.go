package recipes

import (
	"fmt"
	"sync"
	"testing"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/interop/recipes/peer"
	"github.com/gazoo-zk/gazoo/recipes/counter"
	"github.com/gazoo-zk/gazoo/zktest"
)

// counterSide is a library's counter of values of a type.
type counterSide[T counter.Number] struct {
	name  string
	add   func(delta T) error
	value func() (T, error)
}

// theirCounter is one in another process.
func theirCounter[T counter.Number](t *testing.T, c *peer.Client, name, kind, path string) counterSide[T] {
	t.Helper()
	o := makes(t, c, kind, path, nil)
	ctx := t.Context()
	return counterSide[T]{
		name: name,
		add:  func(delta T) error { return o.o.Start("add", peer.Args{"delta": delta}).Wait(ctx, nil) },
		value: func() (v T, err error) {
			err = o.o.Start("value", nil).Wait(ctx, &v)
			return v, err
		},
	}
}

// ourCounter is gazoo's.
func ourCounter[T counter.Number](t *testing.T, s *site, path string, make func(*gazoo.Client, string, T, ...counter.Option) (*counter.Counter[T], error)) counterSide[T] {
	t.Helper()
	c, err := make(s.gazoo[0], path, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	return counterSide[T]{
		name: "gazoo",
		add: func(delta T) error {
			_, err := c.Add(ctx, delta)
			return err
		},
		value: func() (T, error) {
			v, err := c.Get(ctx)
			return v.Value, err
		},
	}
}

// TestCounter has each format of a counter changed by everybody who knows it: in turn, by amounts that are hard to write,
// and all at once.
func TestCounter(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		t.Run("int text", func(t *testing.T) {
			count(t, "int text", []int64{1, -5, 1 << 62, -1 << 62}, func(path string) []counterSide[int64] {
				return []counterSide[int64]{
					theirCounter[int64](t, s.kazoo[0], "Kazoo Counter", "Counter", path),
					ourCounter(t, s, path, counter.NewInt),
				}
			})
		})
		t.Run("float text", func(t *testing.T) {
			count(t, "float text", []float64{0.1, 0.2, -0.3, 1e-7, 1e22, -1e22, 1e15, 1.5e300}, func(path string) []counterSide[float64] {
				return []counterSide[float64]{
					theirCounter[float64](t, s.kazoo[0], "Kazoo Counter", "FloatCounter", path),
					ourCounter(t, s, path, counter.NewFloat),
				}
			})
		})
		t.Run("32 bits", func(t *testing.T) {
			count(t, "32 bits", []int32{1, -5, 1 << 30, -1 << 30}, func(path string) []counterSide[int32] {
				return []counterSide[int32]{
					theirCounter[int32](t, s.kazoo[0], "Kazoo Counter", "CuratorCounter", path),
					theirCounter[int32](t, s.curator[0], "DistributedAtomicInteger", "DistributedAtomicInteger", path),
					ourCounter(t, s, path, counter.NewShared),
				}
			})
		})
		t.Run("64 bits", func(t *testing.T) {
			count(t, "64 bits", []int64{1, -5, 1 << 62, -1 << 62}, func(path string) []counterSide[int64] {
				return []counterSide[int64]{
					theirCounter[int64](t, s.curator[0], "DistributedAtomicLong", "DistributedAtomicLong", path),
					ourCounter(t, s, path, counter.NewLong),
				}
			})
		})
	})
}

// count has every side begin a counter of its own, on which all then add in turn.
func count[T counter.Number](t *testing.T, format string, deltas []T, sides func(path string) []counterSide[T]) {
	t.Helper()
	n := len(sides(newPath()))
	for first := range n {
		all := sides(newPath())
		var sum T
		change := func(side counterSide[T], delta T) {
			t.Helper()
			if err := side.add(delta); err != nil {
				t.Fatalf("%s: add %v: %v", side.name, delta, err)
			}
			for _, reader := range all {
				if got, err := reader.value(); err != nil || got != sum+delta {
					t.Fatalf("%s has added %v to %v: %s reads %v, %v", side.name, delta, sum, reader.name, got, err)
				}
			}
			sum += delta
		}
		for _, delta := range deltas {
			for k := range n {
				// What one adds the next takes back, so that the sum stays in range.
				change(all[(first+k)%n], delta)
				change(all[(first+k+1)%n], -delta)
			}
		}
		for _, side := range all {
			if side.name != "gazoo" {
				found.format("counter: " + format + ", " + side.name + " and gazoo")
			}
		}
	}

	// All at once: nothing gets lost.
	all := sides(newPath())
	const each = 20
	var wg sync.WaitGroup
	errs := make([]error, len(all))
	for i, side := range all {
		wg.Go(func() {
			for range each {
				if err := side.add(1); err != nil {
					errs[i] = fmt.Errorf("%s: %w", side.name, err)
					return
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, side := range all {
		if got, err := side.value(); err != nil || got != T(each*len(all)) {
			t.Errorf("after %d additions of each, %s reads %v, %v; want %v", each, side.name, got, err, each*len(all))
		}
	}
}

// TestSharedCount has Curator's SharedCount, which keeps a copy and is told of changes.
func TestSharedCount(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		path := newPath()
		theirs := makes(t, s.curator[0], "SharedCount", path, peer.Args{"seed": 7})
		ours, err := counter.NewShared(s.gazoo[0], path, 0)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := ours.Get(t.Context()); err != nil || v.Value != 7 {
			t.Errorf("Get() = %v, %v; want Curator's seed of 7", v.Value, err)
		}
		if _, err := ours.Add(t.Context(), -10); err != nil {
			t.Fatal(err)
		}
		zktest.Eventually(t, "Curator reads -3", func() bool {
			var v int32
			theirs.do(&v, "value", nil)
			return v == -3
		})
		theirs.do(nil, "add", peer.Args{"delta": 5})
		if v, err := ours.Get(t.Context()); err != nil || v.Value != 2 {
			t.Errorf("Get() = %v, %v; want 2", v.Value, err)
		}
		theirs.do(nil, "close", nil)
		found.format("counter: 32 bits, SharedCount and gazoo")
	})
}

// TestSharedValue has Curator's SharedValue.
func TestSharedValue(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		path := newPath()
		theirs := makes(t, s.curator[0], "SharedValue", path, peer.Args{"seed": []byte("seed")})
		ours, err := counter.NewValue(s.gazoo[0], path, counter.String())
		if err != nil {
			t.Fatal(err)
		}
		swapped, err := ours.CompareAndSet(t.Context(), "seed", "ours")
		if err != nil || !swapped {
			t.Fatalf("CompareAndSet(seed) = %v, %v; want true", swapped, err)
		}
		zktest.Eventually(t, "Curator reads ours", func() bool {
			var v []byte
			theirs.do(&v, "value", nil)
			return string(v) == "ours"
		})
		var set bool
		theirs.do(&set, "set", peer.Args{"value": []byte("theirs")})
		if v, err := ours.Get(t.Context()); err != nil || !set || v.Value != "theirs" {
			t.Errorf("Get() = %q, %v; want theirs", v.Value, err)
		}
		theirs.do(nil, "close", nil)
		found.format("value: SharedValue and gazoo")
	})
}
