package real

import (
	"strings"
	"testing"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// server starts a server that stands alone, with the same znodes each time.
func server(t *testing.T) (addr string, zk *gazoo.Client) {
	t.Helper()
	srv, err := zkserver.Start(zkserver.WithAddr("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	zk, err = gazoo.Connect(t.Context(), srv.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { zk.Close() })
	for _, path := range []string{"/run", "/run/a", "/run/b", "/elsewhere"} {
		if _, err := zk.Create(t.Context(), path, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	return srv.Addr(), zk
}

// Three servers that did not hear of the same changes stand for replicas that have diverged.
func TestDivergence(t *testing.T) {
	ctx := t.Context()
	var addrs []string
	var clients []*gazoo.Client
	for range 3 {
		addr, zk := server(t)
		addrs, clients = append(addrs, addr), append(clients, zk)
	}
	look := func() string {
		t.Helper()
		lines, err := divergence(ctx, addrs, "/run", func() {})
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(lines, "\n")
	}

	if got := look(); got != "" {
		t.Errorf("divergence of equal servers: %s", got)
	}
	if _, err := clients[1].Set(ctx, "/elsewhere", nil, gazoo.AnyVersion); err != nil {
		t.Fatal(err)
	}
	if got := look(); got != "" {
		t.Errorf("divergence outside of the run: %s", got)
	}
	if _, err := clients[2].Set(ctx, "/run/a", []byte("x"), gazoo.AnyVersion); err != nil {
		t.Fatal(err)
	}
	if got := look(); !strings.HasPrefix(got, "/run/a: ") || !strings.Contains(got, "version 0") || !strings.Contains(got, "version 1") || strings.Contains(got, "/run/b") {
		t.Errorf("divergence after one server's set: %q, want both versions of /run/a", got)
	}
	if err := clients[0].Delete(ctx, "/run/b", gazoo.AnyVersion); err != nil {
		t.Fatal(err)
	}
	if got := look(); !strings.Contains(got, "\n/run/b: nothing | created") {
		t.Errorf("divergence after one server's delete: %q, want /run/b too", got)
	}
}

// What is different once and the same a moment later is a change on its way.
func TestDivergenceThatPasses(t *testing.T) {
	ctx := t.Context()
	one, behind := server(t)
	other, zk := server(t)
	for _, path := range []string{"/run/a", "/run/b"} {
		if err := zk.Delete(ctx, path, gazoo.AnyVersion); err != nil {
			t.Fatal(err)
		}
	}
	lines, err := divergence(ctx, []string{one, other}, "/run", func() {
		if err := behind.Delete(ctx, "/run/b", gazoo.AnyVersion); err != nil {
			t.Error(err)
		}
	})
	if err != nil || len(lines) != 1 || !strings.HasPrefix(lines[0], "/run/a: ") {
		t.Errorf("divergence = %q, %v; want /run/a alone", lines, err)
	}
}
