package cache_test

import (
	"compress/gzip"
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
	"github.com/gazoo-zk/gazoo/recipes/cache"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/zktest"
)

func TestMain(m *testing.M) { recipetest.Main(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newCache(t testing.TB, zk *gazoo.Client, path string, opts ...cache.Option) *cache.Cache[string] {
	t.Helper()
	c, err := cache.New(zk, path, cache.Text(), opts...)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func synced(t testing.TB, c *cache.Cache[string]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.WaitSynced(ctx); err != nil {
		t.Fatalf("WaitSynced: %v", err)
	}
}

// content is what the cache holds, a line for each znode.
func content(c *cache.Cache[string]) string {
	var b strings.Builder
	for n := range c.All() {
		fmt.Fprintf(&b, "%s=%s ", n.Path, n.Value)
	}
	return strings.TrimSpace(b.String())
}

func want(t testing.TB, c *cache.Cache[string], content_ string) {
	t.Helper()
	if got := content(c); got != content_ {
		t.Errorf("the cache holds %q, want %q", got, content_)
	}
}

// text writes an event in short.
func text(ev cache.Event[string]) string {
	value := func(n *cache.Node[string]) string {
		if n == nil {
			return "-"
		}
		return n.Value
	}
	switch ev.Type {
	case cache.Synced:
		return fmt.Sprint("synced ", ev.Generation)
	case cache.Added, cache.Changed, cache.Removed:
		return fmt.Sprintf("%v %s %s>%s", ev.Type, ev.Path, value(ev.Old), value(ev.New))
	}
	return ev.Type.String()
}

// next reads so many events.
func next(t testing.TB, s *cache.Subscription[string], n int) (events []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range n {
		ev, err := s.Next(ctx)
		if err != nil {
			t.Fatalf("Next: %v behind %v", err, events)
		}
		events = append(events, text(ev))
	}
	return events
}

func wantEvents(t testing.TB, s *cache.Subscription[string], events ...string) {
	t.Helper()
	if got := next(t, s, len(events)); !slices.Equal(got, events) {
		t.Errorf("events %q, want %q", got, events)
	}
}

// A node, its children, a tree: by depth. Others change it, and the cache follows with old and new values.
func TestFollowsByDepth(t *testing.T) {
	for _, tt := range []struct {
		name   string
		opts   []cache.Option
		filled string
		events []string
		then   string
	}{
		{
			"node",
			[]cache.Option{cache.WithDepth(0)},
			"/=1",
			[]string{"changed / 1>2"},
			"/=2",
		},
		{
			"children",
			[]cache.Option{cache.WithDepth(1)},
			"/=1 /a=1 /b=1",
			[]string{"changed / 1>2", "changed /a 1>2", "added /c ->1", "removed /b 1>-"},
			"/=2 /a=2 /c=1",
		},
		{
			"tree", nil, "/=1 /a=1 /a/x=1 /a/x/y=1 /b=1",
			[]string{"changed / 1>2", "changed /a 1>2", "changed /a/x/y 1>2", "added /c ->1", "removed /b 1>-", "removed /a/x/y 2>-"},
			"/=2 /a=2 /a/x=1 /c=1",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			recipetest.OnServers(t, func(t *testing.T, servers cluster.Cluster) {
				path := recipetest.Path(t)
				other := recipetest.Dial(t, servers.Hosts())
				for _, p := range []string{"", "/a", "/a/x", "/a/x/y", "/b"} {
					_, err := other.Create(t.Context(), path+p, []byte("1"))
					must(t, err)
				}
				c := newCache(t, recipetest.Dial(t, servers.Hosts()), path, tt.opts...)
				synced(t, c)
				short := func(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, path+"/", "/"), path, "/") }
				if got := short(content(c)); got != tt.filled {
					t.Fatalf("filled with %q, want %q", got, tt.filled)
				}
				sub := c.Subscribe()
				defer sub.Close()
				next(t, sub, c.Len()+1)
				for _, p := range []string{"", "/a", "/a/x/y"} {
					_, err := other.Set(t.Context(), path+p, []byte("2"), gazoo.AnyVersion)
					must(t, err)
				}
				_, err := other.Create(t.Context(), path+"/c", []byte("1"))
				must(t, err)
				must(t, other.Delete(t.Context(), path+"/b", gazoo.AnyVersion))
				must(t, other.Delete(t.Context(), path+"/a/x/y", gazoo.AnyVersion))
				var got []string
				for _, ev := range next(t, sub, len(tt.events)) {
					got = append(got, short(ev))
				}
				slices.Sort(got)
				want := slices.Clone(tt.events)
				slices.Sort(want)
				// Of two quick changes of one znode the first may be left out.
				if !slices.Equal(got, want) {
					t.Errorf("events %q, want %q", got, want)
				}
				if got := short(content(c)); got != tt.then {
					t.Errorf("the cache holds %q, want %q", got, tt.then)
				}
			})
		})
	}
}

func TestReads(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		for p, data := range map[string]string{"/r": "0", "/r/a": "1", "/r/a/b": "2", "/rest": ""} {
			must(t, srv.Put(p, data))
		}
		c := newCache(t, recipetest.Client(t, srv), "/r")
		synced(t, c)
		if n, ok, err := c.Get("/r/a"); err != nil || !ok || n.Value != "1" || n.Stat.DataLength != 1 || n.Path != "/r/a" {
			t.Errorf("Get: %+v, %v, %v", n, ok, err)
		}
		if n, ok, err := c.Get("/r/none/x"); err != nil || ok {
			t.Errorf("Get of what is not there: %+v, %v, %v", n, ok, err)
		}
		for _, outside := range []string{"/rest", "/", "/x"} {
			if _, _, err := c.Get(outside); !errors.Is(err, cache.ErrOutside) {
				t.Errorf("Get(%s): %v, want ErrOutside", outside, err)
			}
			if _, _, err := c.Children(outside); !errors.Is(err, cache.ErrOutside) {
				t.Errorf("Children(%s): %v, want ErrOutside", outside, err)
			}
		}
		if names, ok, err := c.Children("/r"); err != nil || !ok || !slices.Equal(names, []string{"a"}) {
			t.Errorf("Children: %v, %v, %v", names, ok, err)
		}
		seq, err := c.Below("/r/a")
		must(t, err)
		var paths []string
		for n := range seq {
			paths = append(paths, n.Path)
		}
		if !slices.Equal(paths, []string{"/r/a", "/r/a/b"}) || c.Len() != 3 {
			t.Errorf("Below: %v, Len %d", paths, c.Len())
		}
		must(t, c.Close())
		want(t, c, "/r=0 /r/a=1 /r/a/b=2")
		if err := c.Err(); !errors.Is(err, cache.ErrClosed) {
			t.Errorf("Err of a closed cache: %v", err)
		}
	})
}

// What is filtered is not read, or not shown.
func TestFilters(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		for _, p := range []string{"/r/keep/x", "/r/skip/x", "/r/prune/x"} {
			must(t, srv.Put(p, "1"))
		}
		reads := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpRead, Under: "/r/prune"}, Do: zktest.DelayReply(0)})
		c := newCache(t, recipetest.Client(t, srv), "/r", cache.WithFilter(func(path string) cache.Choice {
			switch gazoo.BaseName(path) {
			case "skip":
				return cache.Skip
			case "prune":
				return cache.Prune
			}
			return cache.Keep
		}))
		synced(t, c)
		want(t, c, "/r= /r/keep= /r/keep/x=1 /r/skip/x=1")
		must(t, srv.Put("/r/prune/y", "1"))
		must(t, srv.Put("/r/skip", "2"))
		must(t, srv.Put("/r/skip/x", "2"))
		synctest.Wait()
		want(t, c, "/r= /r/keep= /r/keep/x=1 /r/skip/x=2")
		if reads.Hits() != 0 {
			t.Errorf("%d reads of what is pruned", reads.Hits())
		}
	})
}

func TestWithoutData(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		must(t, srv.Put("/r/a", "1"))
		gets := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpGet}, Do: zktest.DelayReply(0)})
		c, err := cache.New[string](recipetest.Client(t, srv), "/r", nil, cache.WithoutData())
		must(t, err)
		defer c.Close()
		synced(t, c)
		sub := c.Subscribe()
		next(t, sub, 3)
		must(t, srv.Put("/r/a", "22"))
		wantEvents(t, sub, "changed /r/a >")
		if n, _, _ := c.Get("/r/a"); n.Stat.DataLength != 2 || gets.Hits() != 0 {
			t.Errorf("data length %d with %d reads of data", n.Stat.DataLength, gets.Hits())
		}
	})
}

// When it is full, znodes are left out, and it says so; room that is made is used at the next comparison.
func TestBounds(t *testing.T) {
	for name, opt := range map[string]cache.Option{"nodes": cache.WithMaxNodes(3), "bytes": cache.WithMaxBytes(20)} {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				for _, p := range []string{"a", "b", "c", "d"} {
					must(t, srv.Put("/r/"+p, "0123456789"))
				}
				c := newCache(t, recipetest.Client(t, srv), "/r", opt)
				synced(t, c)
				if c.Len() != 3 || !errors.Is(c.Err(), cache.ErrOverflow) {
					t.Errorf("%d znodes, Err %v; want 3 and ErrOverflow", c.Len(), c.Err())
				}
				must(t, srv.Remove("/r/a"))
				must(t, srv.Remove("/r/b"))
				srv.Cut()
				zktest.Eventually(t, "the others are in", func() bool { return c.Err() == nil })
				want(t, c, "/r= /r/c=0123456789 /r/d=0123456789")
			})
		})
	}
}

// Data that cannot be decoded is a fault of that znode alone.
func TestDecodeFaults(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		must(t, srv.Put("/r/a", "{"))
		must(t, srv.Put("/r/b", `{"N":1}`))
		c, err := cache.New(recipetest.Client(t, srv), "/r", cache.JSON[struct{ N int }]())
		must(t, err)
		defer c.Close()
		must(t, c.WaitSynced(t.Context()))
		a, ok, _ := c.Get("/r/a")
		b, _, _ := c.Get("/r/b")
		if !ok || a.Err == nil || !strings.Contains(a.Err.Error(), "/r/a") || b.Value.N != 1 || b.Err != nil {
			t.Errorf("a: %+v, b: %+v", a, b)
		}
		must(t, srv.Put("/r/a", `{"N":2}`))
		must(t, c.WaitFor(t.Context(), func() bool { a, _, _ := c.Get("/r/a"); return a.Err == nil && a.Value.N == 2 }))
	})
}

// A znode that must not be read is a fault, and the rest goes on.
func TestNoAuthFault(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		must(t, srv.Put("/r/secret", "1"))
		must(t, srv.Put("/r/open", "1"))
		zk := recipetest.Client(t, srv)
		_, err := zk.SetACL(t.Context(), "/r/secret", []gazoo.ACL{gazoo.DigestACL(gazoo.PermAll, "a", "b")}, gazoo.AnyVersion)
		must(t, err)
		c := newCache(t, zk, "/r")
		sub := c.Subscribe()
		var fault cache.Event[string]
		for fault.Type != cache.Fault {
			fault, err = sub.Next(t.Context())
			must(t, err)
		}
		if fault.Path != "/r/secret" || !errors.Is(fault.Err, gazoo.ErrNoAuth) {
			t.Errorf("fault %+v", fault)
		}
		synced(t, c)
		want(t, c, "/r= /r/open=1")
	})
}

func TestBadArguments(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		for name, make := range map[string]func() error{
			"client": func() error { _, err := cache.New(nil, "/r", cache.Text()); return err },
			"path":   func() error { _, err := cache.New(zk, "r", cache.Text()); return err },
			"codec":  func() error { _, err := cache.New[int](zk, "/r", nil); return err },
			"depth":  func() error { _, err := cache.New(zk, "/r", cache.Text(), cache.WithDepth(-1)); return err },
			"nodes":  func() error { _, err := cache.New(zk, "/r", cache.Text(), cache.WithMaxNodes(0)); return err },
			"bytes":  func() error { _, err := cache.New(zk, "/r", cache.Text(), cache.WithMaxBytes(0)); return err },
			"storage": func() error {
				_, err := cache.New(zk, "/r", cache.Text(), cache.WithStorage(cache.Discard[int]()))
				return err
			},
			"storage without data": func() error {
				_, err := cache.New(zk, "/r", cache.Text(), cache.WithStorage(cache.Discard[string]()), cache.WithoutData())
				return err
			},
			"no storage": func() error {
				_, err := cache.New(zk, "/r", cache.Text(), cache.WithStorage[string](nil))
				return err
			},
			"queue": func() error { _, err := cache.New(zk, "/r", cache.Text(), cache.WithQueue(0)); return err },
		} {
			if err := make(); !errors.Is(err, gazoo.ErrBadArguments) {
				t.Errorf("%s: %v, want ErrBadArguments", name, err)
			}
		}
	})
}

// Data that Curator has compressed is read, and a bomb is refused.
func TestGzip(t *testing.T) {
	var b strings.Builder
	w := gzip.NewWriter(&b)
	fmt.Fprint(w, strings.Repeat("x", 1000))
	w.Close()
	if v, err := cache.Gzip(cache.Text(), 1000)([]byte(b.String())); err != nil || len(v) != 1000 {
		t.Errorf("%d bytes, %v", len(v), err)
	}
	if _, err := cache.Gzip(cache.Text(), 999)([]byte(b.String())); err == nil {
		t.Error("more than the limit: no error")
	}
	if _, err := cache.Gzip(cache.Text(), 999)([]byte("plain")); err == nil {
		t.Error("data that is not compressed: no error")
	}
}

func Example() {
	srv, err := zktest.New(zktest.Seed(map[string]string{"/config/web": "8080"}))
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	ctx := context.Background()
	zk, err := gazoo.Connect(ctx, srv.Addr(), gazoo.WithDialer(srv.Dial))
	if err != nil {
		panic(err)
	}
	defer zk.Close()

	c, err := cache.New(zk, "/config", cache.Text())
	if err != nil {
		panic(err)
	}
	defer c.Close()
	if err := c.WaitSynced(ctx); err != nil {
		panic(err)
	}
	stat, err := zk.Set(ctx, "/config/web", []byte("9090"), gazoo.AnyVersion)
	if err != nil {
		panic(err)
	}
	c.WaitZxid(ctx, stat.Mzxid) // to read one's own write
	node, _, _ := c.Get("/config/web")
	fmt.Println(node.Path, node.Value)
	// Output: /config/web 9090
}
