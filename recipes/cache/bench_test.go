package cache_test

import (
	"fmt"
	"testing"

	"github.com/gazoo-zk/gazoo/recipes/cache"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/zktest"
)

// BenchmarkLoad fills a cache of 20,000 znodes.
func BenchmarkLoad(b *testing.B) {
	srv := zktest.Start(b, zktest.OnLoopback(), zktest.WithLogSize(0))
	for i := range 20_000 {
		path := fmt.Sprintf("/r/dir-%05d", i/100)
		if i%100 > 0 {
			path += fmt.Sprintf("/node-%02d", i%100)
		}
		must(b, srv.Put(path, "0123456789"))
	}
	zk := recipetest.Dial(b, srv.Addr())
	b.ReportAllocs()
	for b.Loop() {
		c, err := cache.New(zk, "/r", cache.Text())
		must(b, err)
		must(b, c.WaitSynced(b.Context()))
		must(b, c.Close())
	}
}
