package cache_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/cache"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/zktest"
)

// shelf is a storage that needs no lock. What is read from it has its mark.
type shelf struct {
	values map[string]string
	mark   string
	puts   int

	failPut, failGet, failDelete error
	block                        chan struct{} // Put waits for it, when it is not nil
}

func newShelf() *shelf { return &shelf{values: map[string]string{}} }

func (s *shelf) Put(n cache.Node[string]) error {
	if s.block != nil {
		<-s.block
	}
	s.puts++
	if s.failPut != nil {
		return s.failPut
	}
	s.values[n.Path] = n.Value
	return nil
}

func (s *shelf) Get(path string) (string, error) {
	if s.failGet != nil {
		return "", s.failGet
	}
	v, ok := s.values[path]
	if !ok {
		return "", errors.New("was never put")
	}
	return s.mark + v, nil
}

func (s *shelf) Delete(path string) error {
	if _, ok := s.values[path]; !ok && s.failPut == nil {
		return errors.New("was never put")
	}
	delete(s.values, path)
	return s.failDelete
}

// holds is what a shelf has, by path.
func (s *shelf) holds() (all []string) {
	for _, path := range slices.Sorted(maps.Keys(s.values)) {
		all = append(all, path+"="+s.values[path])
	}
	return all
}

// waitFor waits for the cache, as long as a test may take.
func waitFor(t testing.TB, c *cache.Cache[string], cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.WaitFor(ctx, cond); err != nil {
		t.Fatalf("WaitFor: %v; the cache holds %s", err, content(c))
	}
}

// What is read, and the old values of events, come from the storage; it is told of every change, net ones too.
func TestStorage(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		for _, p := range []string{"a", "a/x", "b", "c"} {
			must(t, srv.Put("/r/"+p, "1"))
		}
		s := newShelf()
		s.mark = "shelf:"
		c := newCache(t, recipetest.Client(t, srv), "/r", cache.WithStorage(s))
		synced(t, c)
		want(t, c, "/r=shelf: /r/a=shelf:1 /r/a/x=shelf:1 /r/b=shelf:1 /r/c=shelf:1")
		if n, ok, err := c.Get("/r/b"); !ok || err != nil || n.Value != "shelf:1" || n.Stat.DataLength != 1 {
			t.Errorf("Get = %+v, %v, %v", n, ok, err)
		}
		snap, err := c.Snapshot(t.Context())
		must(t, err)
		if len(snap.Nodes) != 5 || snap.Nodes[4].Value != "shelf:1" {
			t.Errorf("Snapshot has %+v", snap.Nodes)
		}
		sub := c.Subscribe()
		wantEvents(t, sub, "added /r ->shelf:", "added /r/a ->shelf:1", "added /r/a/x ->shelf:1", "added /r/b ->shelf:1", "added /r/c ->shelf:1", "synced 1")
		must(t, srv.Put("/r/b", "2"))
		must(t, srv.Remove("/r/c"))
		wantEvents(t, sub, "changed /r/b shelf:1>2", "removed /r/c shelf:1>-")

		srv.Refuse()
		srv.Cut()
		must(t, srv.Remove("/r/a/x"))
		must(t, srv.Remove("/r/a"))
		must(t, srv.Put("/r/a", "3"))
		srv.Heal()
		waitFor(t, c, func() bool { return c.Synced().Generation == 2 })
		var changes []string
		for _, ev := range next(t, sub, 6) {
			if strings.Contains(ev, "/r") {
				changes = append(changes, ev)
			}
		}
		if !slices.Equal(changes, []string{"removed /r/a/x shelf:1>-", "removed /r/a shelf:1>-", "added /r/a ->3"}) {
			t.Errorf("events behind the reconnect: %q", changes)
		}
		must(t, c.Close())
		want(t, c, "/r=shelf: /r/a=shelf:3 /r/b=shelf:2")
		if got := s.holds(); !slices.Equal(got, []string{"/r=", "/r/a=3", "/r/b=2"}) {
			t.Errorf("the storage has %q", got)
		}
		if s.puts != 7 {
			t.Errorf("%d puts, want one for each of 5 znodes, a write and one made again", s.puts)
		}
	})
}

// A storage that fails takes nothing but values: the error is at the node and in an event, and the next comparison tries
// again.
func TestStorageFails(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		must(t, srv.Put("/r/a", "1"))
		s := newShelf()
		c := newCache(t, recipetest.Client(t, srv), "/r", cache.WithStorage(s))
		synced(t, c)
		sub := c.Subscribe()
		next(t, sub, 3)
		fault := func(cause error) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for {
				ev, err := sub.Next(ctx)
				must(t, err)
				if ev.Type != cache.Fault {
					continue
				}
				if ev.Path != "/r/a" || !errors.Is(ev.Err, cause) || !errors.Is(ev.Err, cache.ErrStorage) {
					t.Errorf("fault at %s: %v, want ErrStorage and %v at /r/a", ev.Path, ev.Err, cause)
				}
				return
			}
		}
		full := errors.New("disk is full")
		s.failPut = full
		must(t, srv.Put("/r/a", "2"))
		fault(full)
		if n, ok, _ := c.Get("/r/a"); !ok || !errors.Is(n.Err, full) || n.Value != "" || n.Stat.Version != 1 {
			t.Errorf("Get when the storage is full = %+v, %v", n, ok)
		}
		s.failPut = nil
		srv.Cut()
		waitFor(t, c, func() bool { n, _, _ := c.Get("/r/a"); return n.Err == nil && n.Value == "2" })
		wantEvents(t, sub, "suspended", "reconnected", "changed /r/a >2", "synced 2")

		broken := errors.New("disk is broken")
		s.failGet, s.failDelete = broken, broken
		if n, ok, _ := c.Get("/r/a"); !ok || !errors.Is(n.Err, broken) || !errors.Is(n.Err, cache.ErrStorage) {
			t.Errorf("Get from a broken storage = %+v, %v", n, ok)
		}
		must(t, srv.Remove("/r/a"))
		wantEvents(t, sub, "removed /r/a >-")
		fault(broken)
		if _, ok, _ := c.Get("/r/a"); ok {
			t.Error("the cache has a znode that is gone, because the storage would not forget it")
		}
	})
}

// While a storage works, readers of values wait for it, and nobody else does.
func TestSlowStorageHoldsUpValuesAlone(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		must(t, srv.Put("/r/a", "1"))
		s := newShelf()
		c := newCache(t, recipetest.Client(t, srv), "/r", cache.WithStorage(s))
		synced(t, c)
		s.block = make(chan struct{})
		must(t, srv.Put("/r/a", "2"))
		must(t, srv.Put("/r/b", "1"))
		synctest.Wait() // in Put
		if names, _, err := c.Children("/r"); c.Len() != 2 || c.Err() != nil || c.Synced().Stale || err != nil || len(names) != 1 {
			t.Errorf("%d znodes, %v, %v", c.Len(), c.Err(), names)
		}
		read := make(chan string)
		go func() {
			n, _, _ := c.Get("/r/a")
			read <- n.Value
		}()
		close(s.block)
		if got := <-read; got != "2" {
			t.Errorf("Get beside a Put = %q, want what is put", got)
		}
		waitFor(t, c, func() bool { return c.Len() == 3 })
	})
}

// Nothing is kept, and the events tell everything once.
func TestDiscard(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		c := newCache(t, recipetest.Client(t, srv), "/r", cache.WithStorage(cache.Discard[string]()))
		synced(t, c)
		sub := c.Subscribe()
		next(t, sub, 1)
		must(t, srv.Put("/r", "1"))
		synctest.Wait()
		must(t, srv.Put("/r", "2"))
		wantEvents(t, sub, "added /r ->1", "changed /r >2")
		if n, ok, _ := c.Get("/r"); !ok || n.Value != "" || !errors.Is(n.Err, cache.ErrNotKept) || n.Stat.Version != 1 {
			t.Errorf("Get = %+v, %v; want the stat and ErrNotKept", n, ok)
		}
	})
}

// files is a storage of compressed files.
type files struct{ dir string }

func (f files) name(path string) string {
	return filepath.Join(f.dir, strings.ReplaceAll(strings.ReplaceAll(path, "_", "__"), "/", "_-"))
}

func (f files) Put(n cache.Node[[]byte]) error {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(n.Value)
	w.Close()
	return os.WriteFile(f.name(n.Path), b.Bytes(), 0o600)
}

func (f files) Get(path string) ([]byte, error) {
	packed, err := os.ReadFile(f.name(path))
	if err != nil {
		return nil, err
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func (f files) Delete(path string) error { return os.Remove(f.name(path)) }

// Values in compressed files: the cache itself holds names and stats.
func ExampleWithStorage() {
	srv, err := zktest.New(zktest.Seed(map[string]string{"/docs/long": strings.Repeat("all work and no play ", 1000)}))
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
	dir, err := os.MkdirTemp("", "docs")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	c, err := cache.New(zk, "/docs", cache.Bytes(), cache.WithStorage(files{dir}))
	if err != nil {
		panic(err)
	}
	defer c.Close()
	if err := c.WaitSynced(ctx); err != nil {
		panic(err)
	}
	node, _, _ := c.Get("/docs/long")
	file, err := os.Stat(files{dir}.name("/docs/long"))
	if err != nil {
		panic(err)
	}
	fmt.Println(len(node.Value), "bytes from a file of less than 200:", file.Size() < 200)
	// Output: 21000 bytes from a file of less than 200: true
}
