package membership_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/membership"
	"github.com/gazoo-zk/gazoo/zktest"
)

func TestMain(m *testing.M) { recipetest.Main(m) }

// within returns a context for what must not take longer than d.
func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// soon returns a context for cleaning up, which ends within a second.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Second)
	t.Cleanup(cancel)
	return ctx
}

// newNode makes a node, waits for its znode, and closes it with the test.
func newNode(t testing.TB, zk *gazoo.Client, path, data string, opts ...membership.Option) *membership.PersistentNode {
	t.Helper()
	n := startNode(t, zk, path, data, opts...)
	if err := n.WaitCreated(within(t, 10*time.Second)); err != nil {
		t.Fatalf("WaitCreated(%s): %v", path, err)
	}
	return n
}

func startNode(t testing.TB, zk *gazoo.Client, path, data string, opts ...membership.Option) *membership.PersistentNode {
	t.Helper()
	n, err := membership.NewPersistentNode(zk, path, []byte(data), opts...)
	if err != nil {
		t.Fatalf("NewPersistentNode(%s): %v", path, err)
	}
	t.Cleanup(func() {
		if err := n.Close(soon(t)); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close(%s): %v", path, err)
		}
	})
	return n
}

// waitOwned waits until the znode holds data and belongs to a session.
func waitOwned(t testing.TB, srv *zktest.Server, path, data string, session int64) {
	t.Helper()
	zktest.Eventually(t, path+" is registered", func() bool {
		got, found := srv.Get(path)
		return found && got == data && owner(srv, path) == session
	})
}

// owner returns the session of an ephemeral, 0 when there is none.
func owner(srv *zktest.Server, path string) int64 {
	for _, s := range srv.Sessions() {
		for _, p := range s.Ephemerals {
			if p == path {
				return s.ID
			}
		}
	}
	return 0
}
