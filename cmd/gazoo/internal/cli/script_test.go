package cli_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/internal/faultproxy"
)

func TestMain(m *testing.M) {
	testscript.Main(ensemble.WithShared(m), map[string]func(){
		"gazoo": func() { os.Exit(cli.Main(os.Args[1:], env.System())) },
	})
}

// TestScripts runs testdata/script against a real standalone server. Each script has a chroot of
// its own, and $SERVER, $CHROOT and $GAZOO_SERVERS (both together) in its environment. $PROXY is
// another way to the server, which the command cut breaks. Nobody listens at $NOBODY; at $MUTE
// connections are accepted and nothing is ever said.
func TestScripts(t *testing.T) {
	server := ensemble.Shared(t, ensemble.Standalone).Server(0).Addr()
	zk := connect(t, server)
	nobody, mute := nobodyListens(t), muteServer(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		Cmds:                scriptCommands,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Deadline:            time.Now().Add(3 * time.Minute), // for a command that hangs
		Setup: func(e *testscript.Env) error {
			chroot, err := zk.Create(t.Context(), "/script-", nil, gazoo.Sequential())
			if err != nil {
				return err
			}
			e.Setenv("GORACE", "atexit_sleep_ms=0") // else each process sleeps a second at its end
			e.Setenv("SERVER", server)
			e.Setenv("CHROOT", chroot)
			e.Setenv("GAZOO_SERVERS", server+chroot)
			proxy, err := faultproxy.New(server)
			if err != nil {
				return err
			}
			e.Defer(func() { proxy.Close() })
			e.Values[proxyKey{}] = proxy
			e.Setenv("PROXY", proxy.Addr())
			e.Setenv("NOBODY", nobody)
			e.Setenv("MUTE", mute)
			e.Values[ackedKey{}] = &acked{}
			e.Values[runningKey{}] = map[string]*running{}
			return nil
		},
	})
}

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

// nobodyListens returns an address whose port is taken by a socket that does not listen, so that
// nobody else can.
func nobodyListens(t *testing.T) string {
	t.Helper()
	conn, err := net.Dial("tcp", muteServer(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.LocalAddr().String()
}

// muteServer returns the address of a server that accepts connections and says nothing.
func muteServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String() // the kernel accepts on its own
}

// patience bounds what a script waits for: longer than every --timeout, for busy machines.
const patience = 30 * time.Second

var scriptCommands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"exits":     cmdExits,
	"start":     cmdStart,
	"await":     cmdAwait,
	"interrupt": cmdInterrupt,
	"terminate": cmdTerminate,
	"printed":   cmdPrinted,
	"finish":    cmdFinish,
	"bytes":     cmdBytes,
	"flip":      cmdFlip,
	"fill":      cmdFill,
	"filled":    cmdFilled,
	"cut":       cmdCut,
}

// cmdExits runs a program to its end and checks its exit code: exits CODE PROGRAM ARG…
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG…")
	}
	begin := time.Now()
	err := ts.Exec(args[1], args[2:]...)
	if got := fmt.Sprint(exitCode(ts, err)); got != args[0] {
		ts.Fatalf("%q: exit code %s, want %s", args[1:], got, args[0])
	}
	if took := time.Since(begin); took > patience {
		ts.Fatalf("%q took %v", args[1:], took)
	}
}

type proxyKey struct{}

// cmdCut breaks the connections through $PROXY. New ones get through.
func cmdCut(ts *testscript.TestScript, neg bool, args []string) {
	ts.Value(proxyKey{}).(*faultproxy.Proxy).Cut()
}

// cmdBytes makes a file with bytes of every value in no simple order: bytes FILE COUNT.
func cmdBytes(ts *testscript.TestScript, neg bool, args []string) {
	var n int
	if _, err := fmt.Sscan(args[1], &n); err != nil || neg {
		ts.Fatalf("usage: bytes FILE COUNT")
	}
	data, x := make([]byte, n), uint32(1)
	for i := range data {
		x = x*1664525 + 1013904223
		data[i] = byte(x >> 24)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o666))
}
