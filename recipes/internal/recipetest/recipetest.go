// Package recipetest is what the tests of recipes share: servers, clients, and waiting for what others do.
//
//	func TestMain(m *testing.M) { recipetest.Main(m) }
//
// Logic that depends on time runs in a bubble, on the embedded server and in virtual time:
//
//	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
//		zk := recipetest.Client(t, srv)
//		…
//		srv.ExpireSession(zk.SessionID())
//	})
//
// and what a recipe does with other clients on one path runs on each of the real targets:
//
//	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
//		path := recipetest.Path(t)
//		zk := recipetest.Dial(t, c.Hosts())
//		…
//	})
package recipetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/internal/leak"
	"github.com/gazoo-zk/gazoo/zktest"
)

// Main runs the tests of a package, closes what they shared, and fails when goroutines are left.
func Main(m *testing.M) { leak.Main(cluster.WithShared(m)) }

// SessionTimeout is what the clients of this package ask for.
const SessionTimeout = 6 * time.Second

// Bubble runs f in a bubble of testing/synctest with a server of its own.
func Bubble(t *testing.T, f func(t *testing.T, srv *zktest.Server), opts ...zktest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, zktest.Start(t, opts...)) })
}

// Client opens a client on a server of package zktest and closes it with the test.
func Client(t testing.TB, srv *zktest.Server, opts ...gazoo.Option) *gazoo.Client {
	t.Helper()
	return dial(t, srv.Addr(), append([]gazoo.Option{gazoo.WithDialer(srv.Dial)}, opts...))
}

// OnServers runs f as a subtest for each of the real targets: see [cluster.ForEach].
func OnServers(t *testing.T, f func(t *testing.T, c cluster.Cluster)) {
	t.Helper()
	cluster.ForEach(t, f)
}

// Dial opens a client by a connect string and closes it with the test.
func Dial(t testing.TB, hosts string, opts ...gazoo.Option) *gazoo.Client {
	t.Helper()
	return dial(t, hosts, opts)
}

func dial(t testing.TB, hosts string, opts []gazoo.Option) *gazoo.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	zk, err := gazoo.Connect(ctx, hosts, append([]gazoo.Option{gazoo.WithSessionTimeout(SessionTimeout)}, opts...)...)
	if err != nil {
		t.Fatalf("Connect(%q): %v", hosts, err)
	}
	// A test that ends while its client is cut off has nothing to close in order.
	t.Cleanup(func() { zk.CloseNow() })
	return zk
}

var paths atomic.Int64

// Path returns a path that no other test uses on the shared servers, and that does not exist.
func Path(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("/recipe-%d-%d", time.Now().UnixNano(), paths.Add(1))
}

// Children returns the names of a znode's children, sorted; none when it is missing.
func Children(t testing.TB, zk *gazoo.Client, path string) []string {
	t.Helper()
	names, err := zk.Children(t.Context(), path)
	if err != nil && !errors.Is(err, gazoo.ErrNoNode) {
		t.Fatalf("Children(%s): %v", path, err)
	}
	slices.Sort(names)
	return names
}

// WaitChildren waits until a znode has n children; a missing one has none.
func WaitChildren(t testing.TB, zk *gazoo.Client, path string, n int) {
	t.Helper()
	zktest.Eventually(t, fmt.Sprintf("%s has %d children", path, n), func() bool {
		names, err := zk.Children(t.Context(), path)
		return (err == nil || errors.Is(err, gazoo.ErrNoNode)) && len(names) == n
	})
}
