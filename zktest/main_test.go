package zktest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/leak"
	"github.com/gazoo-zk/gazoo/zktest"
)

func TestMain(m *testing.M) { leak.Main(m) }

// inBoth runs a test in a bubble with a network in memory, and outside on the loopback interface.
func inBoth(t *testing.T, f func(t *testing.T, opts ...zktest.Option)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { f(t) })
	})
	t.Run("loopback", func(t *testing.T) { f(t, zktest.OnLoopback()) })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s = %v, want %v", what, err, want)
	}
}

// soon is a context for what must not take long.
func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// connect opens a client on all endpoints and closes it with the test.
func connect(t testing.TB, srv *zktest.Server, opts ...gazoo.Option) *gazoo.Client {
	t.Helper()
	return open(t, srv, srv.Addr(), opts)
}

// connectTo is connect on one endpoint alone.
func connectTo(t *testing.T, srv *zktest.Server, endpoint int, opts ...gazoo.Option) *gazoo.Client {
	t.Helper()
	return open(t, srv, srv.Endpoint(endpoint).Addr(), opts)
}

func open(t testing.TB, srv *zktest.Server, hosts string, opts []gazoo.Option) *gazoo.Client {
	t.Helper()
	own := []gazoo.Option{gazoo.WithDialer(srv.Dial)}
	if cfg := srv.TLSConfig(); cfg != nil {
		own = append(own, gazoo.WithTLS(cfg))
	}
	zk, err := gazoo.Connect(soon(t), hosts, append(own, opts...)...)
	if err != nil {
		t.Fatalf("Connect(%q): %v", hosts, err)
	}
	t.Cleanup(func() {
		zk.CloseNow()
		<-zk.Done()
	})
	return zk
}

// create makes a znode.
func create(t *testing.T, zk *gazoo.Client, path string, opts ...gazoo.CreateOption) {
	t.Helper()
	if _, err := zk.Create(soon(t), path, []byte("v"), opts...); err != nil {
		t.Fatalf("Create(%s) = %v", path, err)
	}
}

// reconnects notes a client's connection. What it returns waits until the client is connected on
// another one. Subscribers of states need not see what lasted for a moment only.
func reconnects(t *testing.T, srv *zktest.Server, zk *gazoo.Client) func() {
	t.Helper()
	old := srv.Session(zk.SessionID()).Conn()
	return func() {
		t.Helper()
		zktest.Eventually(t, "the client reconnects", func() bool {
			now := srv.Session(zk.SessionID()).Conn()
			return now != nil && now != old && zk.State() == gazoo.StateConnected
		})
	}
}

// reconnected waits until a client has a connection after it had lost one.
func reconnected(t *testing.T, zk *gazoo.Client) {
	t.Helper()
	must(t, zk.Sync(soon(t), "/"))
}
