package cache_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/cache"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/zktest"
)

// What WaitZxid and snapshots promise holds where one-shots feed the cache, too.
func TestOldServerKeepsThePromises(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpAddWatch}, Do: zktest.Fail(gazoo.ErrUnimplemented)})
		must(t, srv.Put("/app", ""))
		zk, other := recipetest.Client(t, srv), recipetest.Client(t, srv)
		c, err := cache.New(zk, "/app", cache.Text())
		must(t, err)
		defer c.Close()
		must(t, c.WaitSynced(t.Context()))
		srv.Session(zk.SessionID()).Delay(zktest.ToClient, 3*time.Millisecond)
		for i := range 50 {
			path := fmt.Sprintf("/app/%d", i)
			_, stat, err := other.CreateStat(t.Context(), path, []byte("x"))
			must(t, err)
			if i%2 == 0 {
				s, err := c.Snapshot(t.Context())
				must(t, err)
				if s.Consistent() && s.Lowest >= stat.Czxid && len(s.Nodes) != i+2 {
					t.Errorf("snapshot at zxid %x has %d nodes, the subtree had %d", s.Lowest, len(s.Nodes), i+2)
				}
				continue
			}
			must(t, c.WaitZxid(t.Context(), stat.Czxid))
			if _, found, _ := c.Get(path); !found {
				t.Errorf("WaitZxid(%x) returned without %s, created at that zxid", stat.Czxid, path)
			}
		}
	})
}
