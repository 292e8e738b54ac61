package counter_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/recipes/counter"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/zktest"
)

// Every change made by anybody counts exactly once.
func TestSumIsExact(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		const clients, each, rounds = 3, 3, 8
		path := recipetest.Path(t) + "/hits"
		var wg sync.WaitGroup
		seen := make(chan int64, clients*each*rounds)
		for range clients {
			hits := newInt(t, recipetest.Dial(t, c.Hosts()), path)
			for range each {
				wg.Go(func() {
					for range rounds {
						change, err := hits.Add(t.Context(), 3)
						if err != nil {
							t.Errorf("Add: %v", err)
							return
						}
						if change.Post != change.Pre+3 {
							t.Errorf("Add: %d, then %d", change.Pre, change.Post)
						}
						seen <- change.Post
					}
				})
			}
		}
		wg.Wait()
		close(seen)
		posts := map[int64]bool{}
		for post := range seen {
			posts[post] = true
		}
		if len(posts) != clients*each*rounds {
			t.Errorf("%d different results of %d changes", len(posts), clients*each*rounds)
		}
		now, err := newInt(t, recipetest.Dial(t, c.Hosts()), path).GetFresh(t.Context())
		if want := int64(clients * each * rounds * 3); err != nil || now.Value != want {
			t.Errorf("the counter is %d, %v, want %d", now.Value, err, want)
		}
	})
}

func TestPreAndPostValue(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		c := newInt(t, recipetest.Client(t, srv), "/n")
		for _, step := range []struct {
			op        func(context.Context) (counter.Change[int64], error)
			pre, post int64
		}{
			{c.Increment, 0, 1},
			{func(ctx context.Context) (counter.Change[int64], error) { return c.Add(ctx, 5) }, 1, 6},
			{c.Decrement, 6, 5},
			{func(ctx context.Context) (counter.Change[int64], error) { return c.Sub(ctx, 7) }, 5, -2},
			{func(ctx context.Context) (counter.Change[int64], error) { return c.Set(ctx, 40) }, -2, 40},
		} {
			change, err := step.op(t.Context())
			if err != nil || change.Pre != step.pre || change.Post != step.post {
				t.Errorf("%d became %d, %v, want %d to become %d", change.Pre, change.Post, err, step.pre, step.post)
			}
		}
	})
}

// What lies in the znode is what Kazoo and Curator write, and what they write is read.
func TestFormats(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		short := must1(counter.NewInt(zk, "/int", 5))
		float := must1(counter.NewFloat(zk, "/float", 1.5))
		shared := must1(counter.NewShared(zk, "/shared", 0))
		long := must1(counter.NewLong(zk, "/long", 0))
		for _, c := range []struct {
			path   string
			stored []string // by others, before
			want   string   // behind adding 2
			add    func() error
		}{
			{"/int", nil, "7", func() error { _, err := short.Add(t.Context(), 2); return err }},
			{"/int", []string{""}, "7", func() error { _, err := short.Add(t.Context(), 2); return err }},
			{"/int", []string{"-12", " -12\n"}, "-10", func() error { _, err := short.Add(t.Context(), 2); return err }},
			{"/float", nil, "3.5", func() error { _, err := float.Add(t.Context(), 2); return err }},
			{"/float", []string{"1.0", "1", "1e0"}, "3.0", func() error { _, err := float.Add(t.Context(), 2); return err }},
			{"/float", []string{"1e+22"}, "1e+22", func() error { _, err := float.Add(t.Context(), 2); return err }},
			{"/float", []string{"-1.99999"}, "1.0000000000065512e-05", func() error { _, err := float.Add(t.Context(), 2); return err }},
			{"/shared", nil, "\x00\x00\x00\x02", func() error { _, err := shared.Add(t.Context(), 2); return err }},
			{"/shared", []string{"\xff\xff\xff\xfd"}, "\xff\xff\xff\xff", func() error { _, err := shared.Add(t.Context(), 2); return err }},
			{"/long", nil, "\x00\x00\x00\x00\x00\x00\x00\x02", func() error { _, err := long.Add(t.Context(), 2); return err }},
			{"/long", []string{"\x00\x00\x00\x01\x00\x00\x00\x00"}, "\x00\x00\x00\x01\x00\x00\x00\x02", func() error { _, err := long.Add(t.Context(), 2); return err }},
		} {
			for i := range max(1, len(c.stored)) {
				if c.stored == nil {
					zk.DeleteIfExists(t.Context(), c.path, gazoo.AnyVersion)
				} else {
					must(t, srv.Put(c.path, c.stored[i]))
				}
				if err := c.add(); err != nil {
					t.Errorf("%s with %q: Add: %v", c.path, c.stored, err)
				}
				wantStored(t, srv, c.path, c.want)
			}
		}
	})
}

func must1[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestOverflowIsRefused(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		short := must1(counter.NewShared(zk, "/n", math.MaxInt32-1))
		long := must1(counter.NewLong(zk, "/n", math.MinInt64+1))
		float := must1(counter.NewFloat(zk, "/n", math.MaxFloat64))
		for name, op := range map[string]func() error{
			"add 32 bits":      func() error { _, err := short.Add(t.Context(), 2); return err },
			"subtract 32 bits": func() error { _, err := short.Sub(t.Context(), -2); return err },
			"add 64 bits":      func() error { _, err := long.Add(t.Context(), -2); return err },
			"subtract lowest":  func() error { _, err := short.Sub(t.Context(), math.MinInt32); return err },
			"add a float":      func() error { _, err := float.Add(t.Context(), math.MaxFloat64); return err },
		} {
			if err := op(); !errors.Is(err, counter.ErrOverflow) || !strings.Contains(err.Error(), "/n") {
				t.Errorf("%s: %v, want ErrOverflow with the path", name, err)
			}
		}
		if _, found := srv.Get("/n"); found {
			t.Error("something was written")
		}
		if _, err := float.Add(t.Context(), math.NaN()); !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("Add(NaN): %v, want ErrBadArguments", err)
		}
		if change, err := short.Add(t.Context(), 1); err != nil || change.Post != math.MaxInt32 {
			t.Errorf("Add up to the limit: %d, %v", change.Post, err)
		}
	})
}

func TestBadData(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		short := must1(counter.NewInt(zk, "/n", 0))
		float := must1(counter.NewFloat(zk, "/n", 0))
		shared := must1(counter.NewShared(zk, "/n", 0))
		long := must1(counter.NewLong(zk, "/n", 0))
		for stored, c := range map[string]struct {
			op   func() error
			want string
		}{
			"ten":                   {func() error { _, err := short.Increment(t.Context()); return err }, `bad data "ten": not a number`},
			"9223372036854775808":   {func() error { _, err := short.Get(t.Context()); return err }, "out of range"},
			"1.5.2":                 {func() error { _, err := float.Increment(t.Context()); return err }, "not a number"},
			"12345":                 {func() error { _, err := shared.Increment(t.Context()); return err }, "5 bytes, want 4"},
			"\x00\x00\x00\x01":      {func() error { _, err := long.Increment(t.Context()); return err }, "4 bytes, want 8"},
			strings.Repeat("x", 99): {func() error { _, err := short.Increment(t.Context()); return err }, `xx"…: not a number`},
		} {
			must(t, srv.Put("/n", stored))
			err := c.op()
			bad, ok := errors.AsType[*counter.DataError](err)
			if !ok || bad.Path != "/n" || string(bad.Data) != stored || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "/n") {
				t.Errorf("with %q: %v, want a DataError that says %s", stored, err, c.want)
			}
			wantStored(t, srv, "/n", stored)
		}
	})
}

func TestBadArguments(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		good := newInt(t, zk, "/n")
		for name, op := range map[string]func() error{
			"client":   func() error { _, err := counter.NewInt(nil, "/n", 0); return err },
			"path":     func() error { _, err := counter.NewInt(zk, "n", 0); return err },
			"codec":    func() error { _, err := counter.NewValue[int](zk, "/n", nil); return err },
			"tries":    func() error { _, err := counter.NewInt(zk, "/n", 0, counter.WithTries(0)); return err },
			"lock":     func() error { _, err := counter.NewInt(zk, "/n", 0, counter.WithLock(nil)); return err },
			"receipts": func() error { _, err := counter.NewInt(zk, "/n", 0, counter.WithReceipts("r/")); return err },
			"ids":      func() error { _, err := counter.NewIDs(nil, 5); return err },
			"size":     func() error { _, err := counter.NewIDs(good, 0); return err },
		} {
			if err := op(); !errors.Is(err, gazoo.ErrBadArguments) {
				t.Errorf("%s: %v, want ErrBadArguments", name, err)
			}
		}
		if n := srv.Count(); n != 0 {
			t.Errorf("%d znodes were made", n)
		}
	})
}
