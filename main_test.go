package gazoo_test

import (
	"context"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(closingExamples{cluster.WithShared(m)}) }

// closingExamples closes the embedded servers of examples behind them.
type closingExamples struct{ leak.Runner }

func (c closingExamples) Run() int {
	defer func() {
		for _, srv := range exampleServers {
			srv.Close()
		}
	}()
	return c.Runner.Run()
}

// connect opens a client on real servers and closes it with the test.
func connect(t *testing.T, hosts string, opts ...gazoo.Option) *gazoo.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	zk, err := gazoo.Connect(ctx, hosts, opts...)
	if err != nil {
		t.Fatalf("Connect(%q): %v", hosts, err)
	}
	t.Cleanup(func() {
		if err := zk.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return zk
}

// fresh makes a znode for this test alone and returns a view rooted there.
func fresh(t *testing.T, zk *gazoo.Client) *gazoo.Client {
	t.Helper()
	path, err := zk.Create(t.Context(), "/test-", nil, gazoo.Sequential())
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	view, err := zk.Chroot(path)
	if err != nil {
		t.Fatal(err)
	}
	return view
}

// must fails the test when err is not nil.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// deadline is a context for calls that must not take long.
func deadline(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
