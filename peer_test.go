package gazoo_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/memnet"
	"github.com/gazoo-zk/gazoo/internal/peer"
)

// world is a network in memory with scripted servers on it. It is made inside a
// synctest bubble, where time is virtual and only goes on when everybody waits.
type world struct {
	t   *testing.T
	net *memnet.Network
}

func newWorld(t *testing.T) *world { return &world{t: t, net: memnet.New()} }

// bubble runs f in a bubble of its own, with a new world. A goroutine or a
// connection that outlives f and its cleanups fails the test.
func bubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		t.Cleanup(func() {
			synctest.Wait()
			if n := w.net.OpenConns(); n != 0 {
				t.Errorf("%d connections left open", n)
			}
		})
		f(t, w)
	})
}

// serve starts a server on an address such as "a:2181". It is closed with the test.
func (w *world) serve(addr string, h peer.Handler) *peer.Server {
	w.t.Helper()
	ln, err := w.net.Listen(addr)
	if err != nil {
		w.t.Fatal(err)
	}
	srv := peer.Serve(ln, h)
	w.t.Cleanup(srv.Close)
	return srv
}

// client makes a client in this world without waiting for its connection, and closes it with
// the test. The hosts keep their order.
func (w *world) client(hosts string, opts ...gazoo.Option) *gazoo.Client {
	w.t.Helper()
	return w.shuffled(hosts, append([]gazoo.Option{gazoo.WithHostOrder()}, opts...)...)
}

// shuffled is client without a fixed order of hosts. Whatever else a test looks at, its
// clients' states only change in the ways that are promised.
func (w *world) shuffled(hosts string, opts ...gazoo.Option) *gazoo.Client {
	w.t.Helper()
	all := append([]gazoo.Option{gazoo.WithDialer(w.net.Dial), gazoo.WithHook(&transitions{t: w.t})}, opts...)
	zk, err := gazoo.New(hosts, all...)
	if err != nil {
		w.t.Fatalf("New(%q): %v", hosts, err)
	}
	w.t.Cleanup(func() {
		if err := zk.CloseNow(); err != nil {
			w.t.Errorf("CloseNow: %v", err)
		}
		<-zk.Done()
	})
	return zk
}

// connect is client and a wait for the first session.
func (w *world) connect(hosts string, opts ...gazoo.Option) *gazoo.Client {
	w.t.Helper()
	zk := w.client(hosts, opts...)
	w.waitState(zk, gazoo.StateConnected, time.Minute)
	return zk
}

// waitState fails the test when the state does not come within d.
func (w *world) waitState(zk *gazoo.Client, s gazoo.State, d time.Duration) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), d)
	defer cancel()
	if err := zk.WaitState(ctx, s); err != nil {
		w.t.Fatalf("%v (connect errors: %v)", err, zk.ConnectErrors())
	}
}
