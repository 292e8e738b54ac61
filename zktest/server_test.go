package zktest_test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/leak"
	"github.com/gazoo-zk/gazoo/zkserver"
	"github.com/gazoo-zk/gazoo/zktest"
)

func TestClientOfAServer(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, opts...)
		zk := connect(t, srv, gazoo.WithSessionTimeout(5*time.Second))
		create(t, zk, "/a")
		if data, _, err := zk.Get(soon(t), "/a"); string(data) != "v" || err != nil {
			t.Errorf("Get = %q, %v", data, err)
		}
		if d := zk.SessionTimeout(); d != 5*time.Second {
			t.Errorf("SessionTimeout = %v, want what was asked for", d)
		}
		if s := srv.Sessions(); len(s) != 1 || s[0].ID != zk.SessionID() || s[0].Timeout != 5*time.Second || s[0].Endpoint != srv.Endpoint(0) {
			t.Errorf("Sessions() = %+v, want that of the client", s)
		}
	})
}

// TestEverythingEnds: the server takes its goroutines with it, and the clients' too.
func TestEverythingEnds(t *testing.T) {
	for _, opts := range [][]zktest.Option{{zktest.Endpoints(3)}, {zktest.OnLoopback()}, {zktest.WithClock(zktest.NewClock())}} {
		t.Run("", func(t *testing.T) {
			leak.Check(t)
			srv := zktest.Start(t, opts...)
			zk := connect(t, srv)
			create(t, zk, "/a")
			srv.Session(zk.SessionID()).ExpireAfter(time.Hour)
		})
	}
	srv, err := zktest.New()
	must(t, err)
	must(t, srv.Close())
	must(t, srv.Close())
	srv.Restart(zktest.KeepData) // of a closed server is nothing
	if n := len(srv.Sessions()); n != 0 || srv.Dump() != "" {
		t.Errorf("a closed server still shows something")
	}
}

// TestManyServersAtOnce starts 200 servers on the loopback interface side by side. Each has a port
// of its own, is used, and leaves nothing.
func TestManyServersAtOnce(t *testing.T) {
	leak.Check(t)
	const servers = 200
	var wg sync.WaitGroup
	var mu sync.Mutex
	addrs := make(map[string]bool)
	for i := range servers {
		wg.Go(func() {
			srv, err := zktest.New(zktest.OnLoopback())
			if err != nil {
				t.Errorf("server %d: %v", i, err)
				return
			}
			defer srv.Close()
			mu.Lock()
			if addrs[srv.Addr()] {
				t.Errorf("server %d: %s is in use", i, srv.Addr())
			}
			addrs[srv.Addr()] = true
			mu.Unlock()
			// All at once can be slow on a small machine that does other things too; that is no reason to give up a session.
			zk, err := gazoo.Connect(soon(t), srv.Addr(), gazoo.WithSessionTimeout(40*time.Second))
			if err != nil {
				t.Errorf("server %d: %v", i, err)
				return
			}
			defer zk.Close()
			if _, err := zk.Create(soon(t), fmt.Sprintf("/%d", i), nil); err != nil {
				t.Errorf("server %d: %v", i, err)
			}
			if got, want := srv.Dump(), fmt.Sprintf("/%d\n", i); got != want {
				t.Errorf("server %d has %q, want %q", i, got, want)
			}
		})
	}
	wg.Wait()
}

func TestRestart(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		for _, n := range []int{0, 2} {
			all := opts
			if n > 0 {
				all = append(slices.Clone(opts), zktest.Endpoints(n))
			}
			srv := zktest.Start(t, all...)
			addr := srv.Addr()
			zk := connect(t, srv, gazoo.WithSessionTimeout(500*time.Millisecond))
			id := zk.SessionID()
			create(t, zk, "/e", gazoo.Ephemeral())
			back := reconnects(t, srv, zk)
			srv.Restart(zktest.KeepData)
			back()
			if zk.SessionID() != id || srv.Dump() != "/e \"v\" ephemeral\n" {
				t.Errorf("session %#x, tree %q after a restart, want all as it was", zk.SessionID(), srv.Dump())
			}

			srv.Stop()
			must(t, zk.WaitState(soon(t), gazoo.StateSuspended))
			srv.Stop()
			srv.Restart(zktest.KeepData)
			must(t, zk.WaitState(soon(t), gazoo.StateConnected))
			if zk.SessionID() != id {
				t.Errorf("session %#x after a stop, want %#x", zk.SessionID(), id)
			}

			back = reconnects(t, srv, zk)
			srv.Restart(zktest.LoseData)
			back()
			if zk.SessionID() == id || srv.Count() != 0 {
				t.Errorf("session %#x, tree %q after the data was lost, want another one and nothing", zk.SessionID(), srv.Dump())
			}
			if srv.Addr() != addr {
				t.Errorf("address %s, want %s", srv.Addr(), addr)
			}
			create(t, zk, "/again")
		}
	})
}

// TestOptionsReachTheServer has an option of each kind.
func TestOptionsReachTheServer(t *testing.T) {
	srv := zktest.Start(t, zktest.WithServer(zkserver.WithSessionTimeouts(time.Minute, time.Minute), zkserver.WithVersion39()))
	zk := connect(t, srv)
	if d := zk.SessionTimeout(); d != time.Minute {
		t.Errorf("SessionTimeout = %v, want what the server's option says", d)
	}
	for _, bad := range []zktest.Option{zktest.Endpoints(0), zktest.WithServer(zkserver.WithTickTime(0)), zktest.Seed(map[string]string{"x": ""})} {
		if srv, err := zktest.New(bad); err == nil {
			srv.Close()
			t.Error("New with a bad option succeeded")
		}
	}
}

// TestAddressesOfAnEnsemble: the connect string has all endpoints.
func TestAddressesOfAnEnsemble(t *testing.T) {
	srv := zktest.Start(t, zktest.Endpoints(3))
	if got := srv.Addr(); got != "zk1:2181,zk2:2181,zk3:2181" {
		t.Errorf("Addr() = %q", got)
	}
	tcp := zktest.Start(t, zktest.Endpoints(2), zktest.OnLoopback())
	hosts := strings.Split(tcp.Addr(), ",")
	for i, ep := range tcp.Endpoints() {
		if ep.Addr() != hosts[i] {
			t.Errorf("endpoint %d at %s, want %s", i, ep.Addr(), hosts[i])
		}
		nc, err := net.Dial("tcp", ep.Addr())
		must(t, err)
		nc.Close()
	}
}

// TestNoSessionIDTwice: also when no time passes between two servers, as in a bubble.
func TestNoSessionIDTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := zktest.Start(t)
		zk := connect(t, srv)
		id := zk.SessionID()
		must(t, zk.Close())
		srv.Restart(zktest.LoseData)
		if next := connect(t, srv).SessionID(); next == id {
			t.Errorf("session %#x again after the data was lost", id)
		}
	})
}

func BenchmarkStart(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		srv, err := zktest.New()
		if err != nil {
			b.Fatal(err)
		}
		srv.Close()
	}
}

func BenchmarkGet(b *testing.B) {
	srv := zktest.Start(b, zktest.Seed(map[string]string{"/a": "v"}))
	zk := connect(b, srv)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := zk.Get(b.Context(), "/a"); err != nil {
			b.Fatal(err)
		}
	}
}
