package gazoo_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
)

func TestParseHosts(t *testing.T) {
	host := func(name string, port int) gazoo.Host { return gazoo.Host{Name: name, Port: port} }
	for _, tc := range []struct {
		in     string
		hosts  []gazoo.Host
		chroot string
	}{
		{"", []gazoo.Host{host("127.0.0.1", 2181)}, ""},
		{"zk1", []gazoo.Host{host("zk1", 2181)}, ""},
		{"zk1:2281", []gazoo.Host{host("zk1", 2281)}, ""},
		{" zk1 , zk2:1 ,\tzk3:65535\n", []gazoo.Host{host("zk1", 2181), host("zk2", 1), host("zk3", 65535)}, ""},
		{"10.0.0.1,10.0.0.2:2182", []gazoo.Host{host("10.0.0.1", 2181), host("10.0.0.2", 2182)}, ""},
		{"[::1]:2281,[fe80::1]", []gazoo.Host{host("::1", 2281), host("fe80::1", 2181)}, ""},
		{"::1,fe80::1%eth0,[fe80::2%eth1]:99", []gazoo.Host{host("::1", 2181), host("fe80::1%eth0", 2181), host("fe80::2%eth1", 99)}, ""},
		{"zk1,zk2/app", []gazoo.Host{host("zk1", 2181), host("zk2", 2181)}, "/app"},
		{"zk1:2181/app/deeper ", []gazoo.Host{host("zk1", 2181)}, "/app/deeper"},
		{"zk1/", []gazoo.Host{host("zk1", 2181)}, ""},
		{"/app", []gazoo.Host{host("127.0.0.1", 2181)}, "/app"},
		{"[::1]:2181/app", []gazoo.Host{host("::1", 2181)}, "/app"},
		{"tls://zk1:2281,tcp://zk2,zk3/app", []gazoo.Host{
			{Name: "zk1", Port: 2281, TLS: gazoo.TLSRequired},
			{Name: "zk2", Port: 2181, TLS: gazoo.TLSOff},
			host("zk3", 2181),
		}, "/app"},
		{"tls://[::1]:1", []gazoo.Host{{Name: "::1", Port: 1, TLS: gazoo.TLSRequired}}, ""},
	} {
		hosts, chroot, err := gazoo.ParseHosts(tc.in)
		if err != nil || !slices.Equal(hosts, tc.hosts) || chroot != tc.chroot {
			t.Errorf("ParseHosts(%q) = %v, %q, %v, want %v, %q", tc.in, hosts, chroot, err, tc.hosts, tc.chroot)
		}
	}
}

// argumentErrors returns all *ArgumentError in the tree of err, in order.
func argumentErrors(err error) []*gazoo.ArgumentError {
	switch e := err.(type) {
	case nil:
		return nil
	case *gazoo.ArgumentError:
		return []*gazoo.ArgumentError{e}
	case interface{ Unwrap() []error }:
		var all []*gazoo.ArgumentError
		for _, sub := range e.Unwrap() {
			all = append(all, argumentErrors(sub)...)
		}
		return all
	}
	return argumentErrors(errors.Unwrap(err))
}

func TestParseHostsNamesEveryProblem(t *testing.T) {
	for in, want := range map[string]int{
		",":                              2,
		"a,,b":                           1,
		",a":                             1,
		"a,":                             1,
		":2181":                          1,
		"a:":                             1,
		"a:0":                            1,
		"a:65536":                        1,
		"a:-1":                           1,
		"a:+1":                           1,
		"a:port":                         1,
		"a: 2181":                        1,
		"a b":                            1,
		"a%b":                            1,
		"a b%c":                          1,
		"user@a":                         1,
		"a?x=y":                          1,
		"a\\b":                           1,
		"1.2.3.4.5:6:7":                  1,
		"[::1":                           1,
		"[]":                             1,
		"[::1]2181":                      1,
		"[::1]:":                         1,
		"[1.2.3.4]:2181":                 1,
		"[zk1]:2181":                     1,
		"http://a":                       1,
		"tls://":                         1,
		"tls://tcp://a":                  1,
		"a//b":                           1,
		"a/b/":                           1,
		"a/../b":                         1,
		"a:0,b b,[::1,c,d:99999/chroot/": 5,
	} {
		hosts, chroot, err := gazoo.ParseHosts(in)
		problems := argumentErrors(err)
		if len(problems) != want || hosts != nil || chroot != "" {
			t.Errorf("ParseHosts(%q) = %v, %q, %v, want %d problems", in, hosts, chroot, err, want)
		}
		for _, p := range problems {
			if p.Arg != "hosts" || p.Reason == "" {
				t.Errorf("ParseHosts(%q): problem %+v, want one that names hosts", in, p)
			}
		}
		if err != nil && !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("ParseHosts(%q): %v does not match ErrBadArguments", in, err)
		}
	}
}

func TestEveryProblemIsReportedAtOnce(t *testing.T) {
	_, err := gazoo.New("a:0,b b", gazoo.WithSessionTimeout(-1), gazoo.WithDialer(nil), gazoo.WithWindow(0, 1), nil)
	var args []string
	for _, p := range argumentErrors(err) {
		args = append(args, p.Arg)
	}
	slices.Sort(args)
	if want := []string{"WithDialer", "WithSessionTimeout", "WithWindow", "hosts", "hosts", "option"}; !slices.Equal(args, want) {
		t.Errorf("New: %v: problems with %q, want %q", err, args, want)
	}
	if !gazoo.WasNotSent(err) {
		t.Errorf("New: %v is not marked as not sent", err)
	}
}

func TestHostListMayEndWithItsChroot(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		for _, tc := range []struct {
			list []string
			want string
			root string
		}{
			{nil, "[127.0.0.1:2181]", "/"},
			{[]string{"a"}, "[a:2181]", "/"},
			{[]string{"a:1", "b", "/app"}, "[a:1 b:2181]", "/app"},
			{[]string{"a:1", "b/app"}, "[a:1 b:2181]", "/app"},
			{[]string{"tls://a", "tcp://[::1]:5"}, "[tls://a:2181 tcp://[::1]:5]", "/"},
		} {
			zk, err := gazoo.NewList(tc.list, gazoo.WithDialer(w.net.Dial), gazoo.WithHostOrder())
			must(t, err)
			if got := fmt.Sprint(zk.Hosts()); got != tc.want || zk.Root() != tc.root {
				t.Errorf("NewList(%q): hosts %v, root %q, want %v, %q", tc.list, got, zk.Root(), tc.want, tc.root)
			}
			must(t, zk.Close())
			if got := fmt.Sprint(zk.Hosts()); got != tc.want {
				t.Errorf("NewList(%q): hosts after Close %v, want %v", tc.list, got, tc.want)
			}
		}
	})
}

// dialled makes the network record what is dialled.
func (w *world) dialled() func() []string {
	var mu sync.Mutex
	var addrs []string
	w.net.SetDialHook(func(_ context.Context, addr string) error {
		mu.Lock()
		defer mu.Unlock()
		addrs = append(addrs, addr)
		return nil
	})
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		all := addrs
		addrs = nil
		return all
	}
}

func TestHostsAreShuffledUnlessTheirOrderCounts(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		const hosts = "a,b,c,d,e"
		inOrder := []string{"a:2181", "b:2181", "c:2181", "d:2181", "e:2181"}
		dialled := w.dialled()
		firsts := map[string]bool{}
		for range 20 {
			w.client(hosts, gazoo.WithFailFast())
			time.Sleep(time.Second)
			if got := dialled(); !slices.Equal(got, inOrder) {
				t.Fatalf("with WithHostOrder dialled %q, want %q", got, inOrder)
			}
			w.shuffled(hosts, gazoo.WithFailFast())
			time.Sleep(time.Second)
			got := dialled()
			firsts[got[0]] = true
			if slices.Sort(got); !slices.Equal(got, inOrder) {
				t.Fatalf("dialled %q, want each of %q once", got, inOrder)
			}
		}
		if len(firsts) < 2 { // all alike by chance: once in 5^19
			t.Errorf("20 clients all began with %v", firsts)
		}
	})
}

// names is a resolver whose answers the test changes.
type names struct {
	mu    sync.Mutex
	table map[string]string // name to addresses, separated by blanks
}

func (n *names) set(name, addrs string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.table == nil {
		n.table = map[string]string{}
	}
	n.table[name] = addrs
}

func (n *names) resolve(_ context.Context, name string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var addrs []netip.Addr
	for a := range strings.FieldsSeq(n.table[name]) {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	if len(addrs) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return addrs, nil
}

func TestEveryAddressOfANameIsTried(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var n names
		n.set("zk", "10.0.0.1 2001:db8::1 10.0.0.3")
		for _, addr := range []string{"10.0.0.1:2181", "[2001:db8::1]:2181", "10.0.0.3:2181"} {
			srv := w.serve(addr, (&peer.Basic{}).Handle)
			dialled := w.dialled()
			begin := time.Now()
			zk := w.connect("zk", gazoo.WithResolver(n.resolve))
			if zk.Server() != addr {
				t.Errorf("connected to %q, want %q (dialled %q)", zk.Server(), addr, dialled())
			}
			if d := time.Since(begin); d > 0 {
				t.Errorf("refused addresses cost %v, want no pause between the addresses of a name", d)
			}
			must(t, zk.Close())
			srv.Close()
		}
	})
}

func TestNamesAreResolvedAtEveryAttempt(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var n names
		n.set("zk", "10.0.0.1")
		b := &peer.Basic{}
		first := w.serve("10.0.0.1:2181", b.Handle)
		zk := w.connect("zk", gazoo.WithResolver(n.resolve))
		id := zk.SessionID()
		w.serve("10.0.0.2:2181", b.Handle)
		n.set("zk", "10.0.0.2")
		dialled := w.dialled()
		first.Close()
		time.Sleep(time.Second)
		if zk.State() != gazoo.StateConnected || zk.Server() != "10.0.0.2:2181" || zk.SessionID() != id {
			t.Errorf("after the address changed: %v to %q in session %x, want 10.0.0.2:2181 in %x", zk.State(), zk.Server(), zk.SessionID(), id)
		}
		if got := dialled(); len(got) > 2 {
			t.Errorf("took %q, want two attempts at most", got)
		}
	})
}

func TestNameThatDoesNotResolveIsSkippedUntilItDoes(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var n names // at first there is no network at all
		b := &peer.Basic{}
		good := w.serve("10.0.0.1:2181", b.Handle)
		zk := w.client("good,bad", gazoo.WithResolver(n.resolve), gazoo.WithSessionTimeout(10*time.Second))
		time.Sleep(time.Minute)
		problems := zk.ConnectErrors()
		if len(problems) != 2 {
			t.Fatalf("ConnectErrors() = %v, want one per host", problems)
		}
		for i, name := range []string{"good", "bad"} {
			var dns *net.DNSError
			if !errors.As(problems[i], &dns) || dns.Name != name {
				t.Errorf("ConnectErrors()[%d] = %v, want the resolver's error about %s", i, problems[i], name)
			}
		}
		n.set("good", "10.0.0.1")
		w.waitState(zk, gazoo.StateConnected, 10*time.Second)
		if left := zk.ConnectErrors(); len(left) != 0 {
			t.Errorf("ConnectErrors() of a connected client = %v, want none", left)
		}
		id := zk.SessionID()
		w.serve("10.0.0.2:2181", b.Handle)
		n.set("bad", "10.0.0.2")
		good.Close()
		time.Sleep(time.Second)
		if zk.Server() != "10.0.0.2:2181" || zk.SessionID() != id {
			t.Errorf("connected to %q in session %x, want 10.0.0.2:2181, which resolves by now, in %x", zk.Server(), zk.SessionID(), id)
		}
	})
}

func TestDialerGetsNamesAsConfigured(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.serve("proxy:1080", (&peer.Basic{}).Handle)
		var asked []string
		proxy := func(ctx context.Context, network, addr string) (net.Conn, error) {
			asked = append(asked, network+" "+addr)
			return w.net.Dial(ctx, network, "proxy:1080")
		}
		w.connect("zk.example.org:2281", gazoo.WithDialer(proxy))
		if want := []string{"tcp zk.example.org:2281"}; !slices.Equal(asked, want) {
			t.Errorf("the dialler was asked for %q, want %q", asked, want)
		}
	})
}

func TestDialerMayGoThroughAUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "zk.sock")
	ln, err := net.Listen("unix", path)
	must(t, err)
	srv := peer.Serve(ln, (&peer.Basic{Data: []byte("x")}).Handle)
	defer srv.Close()
	zk := connect(t, "socket", gazoo.WithDialer(func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}))
	if data, _, err := zk.Get(deadline(t, 30*time.Second), "/"); err != nil || string(data) != "x" {
		t.Errorf("Get through a Unix socket = %q, %v", data, err)
	}
}

func TestDialTimeoutBoundsOneDial(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.net.SetDialHook(func(ctx context.Context, addr string) error {
			if addr == "silent:2181" {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		w.serve("b:2181", (&peer.Basic{}).Handle)
		begin := time.Now()
		w.connect("silent,b", gazoo.WithSessionTimeout(time.Minute), gazoo.WithDialTimeout(300*time.Millisecond))
		if d := time.Since(begin); d != 300*time.Millisecond {
			t.Errorf("connected after %v, want 300ms, the dial time-out", d)
		}
	})
}

func TestConnectErrorNamesEveryHostsReason(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var n names
		n.set("down", "10.0.0.1")
		n.set("mute", "10.0.0.2")
		n.set("curt", "10.0.0.3")
		w.serve("10.0.0.2:2181", func(c *peer.Conn) { <-c.Done() })
		w.serve("10.0.0.3:2181", func(c *peer.Conn) { c.ReadConnect() })
		for name, opts := range map[string][]gazoo.Option{
			"deadline":  {gazoo.WithResolver(n.resolve)},
			"fail fast": {gazoo.WithResolver(n.resolve), gazoo.WithFailFast()},
		} {
			opts = append(opts, gazoo.WithDialer(w.net.Dial), gazoo.WithHostOrder())
			begin := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			zk, err := gazoo.Connect(ctx, "down,gone,mute,curt", opts...)
			cancel()
			if zk != nil || err == nil {
				t.Fatalf("%s: Connect = %v, %v", name, zk, err)
			}
			var dns *net.DNSError
			if !errors.Is(err, syscall.ECONNREFUSED) || !errors.As(err, &dns) {
				t.Errorf("%s: Connect: %v: does not unwrap to the refusal and the resolver's error", name, err)
			}
			for _, want := range []string{"down", "10.0.0.1:2181", "gone", "mute", "no answer in", "curt", "closed without an answer"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s: Connect: %v\ndoes not say %q", name, err, want)
				}
			}
			if n := strings.Count(err.Error(), "no such host"); n != 1 {
				t.Errorf("%s: Connect: %v\nnames a host's reason %d times, want once", name, err, n)
			}
			if fast := name == "fail fast"; fast != errors.Is(err, gazoo.ErrNoServer) || fast == errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: Connect: %v: wrong cause", name, err)
			}
			if d := time.Since(begin); name == "fail fast" && d > 10*time.Second || name == "deadline" && d != 20*time.Second {
				t.Errorf("%s: Connect took %v", name, d)
			}
		}
	})
}

func TestFailFastConcernsOnlyTheFirstConnection(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		b := &peer.Basic{}
		srv := w.serve("b:2181", b.Handle)
		zk := w.connect("a,b", gazoo.WithFailFast())
		srv.Close()
		time.Sleep(time.Hour)
		w.serve("b:2181", b.Handle)
		w.waitState(zk, gazoo.StateConnected, time.Minute)
	})
}

func TestFailFastEndsTheClient(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		zk := w.client("a,b", gazoo.WithFailFast())
		_, _, err := zk.Get(t.Context(), "/")
		if !errors.Is(err, gazoo.ErrNoServer) || !errors.Is(err, gazoo.ErrClosed) || !gazoo.WasNotSent(err) {
			t.Errorf("a call that waited: %v, want ErrNoServer and ErrClosed, not sent", err)
		}
		if zk.State() != gazoo.StateLost || zk.KeeperState() != gazoo.KeeperClosed {
			t.Errorf("state %v, %v, want lost, closed", zk.State(), zk.KeeperState())
		}
		if err := zk.WaitState(t.Context(), gazoo.StateConnected); !errors.Is(err, gazoo.ErrNoServer) {
			t.Errorf("WaitState: %v, want ErrNoServer", err)
		}
		if cause := context.Cause(zk.Context()); !errors.Is(cause, gazoo.ErrNoServer) {
			t.Errorf("cause of the client's context: %v, want ErrNoServer", cause)
		}
	})
}
