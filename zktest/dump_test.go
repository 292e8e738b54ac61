package zktest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/zkserver"
	"github.com/gazoo-zk/gazoo/zktest"
)

// verdict is a test that only says whether it would have failed, and of what.
type verdict struct {
	testing.TB
	failed bool
	text   string
	log    string
	after  []func()
}

func (v *verdict) Helper() {}

func (v *verdict) Fatalf(format string, args ...any) {
	v.failed, v.text = true, fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (v *verdict) Logf(format string, args ...any) { v.log += fmt.Sprintf(format, args...) }
func (v *verdict) Failed() bool                    { return v.failed }
func (v *verdict) Cleanup(f func())                { v.after = append(v.after, f) }

// judge runs f as a test of its own.
func judge(t *testing.T, f func(t testing.TB)) *verdict {
	t.Helper()
	v := &verdict{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(v)
	}()
	<-done
	for _, f := range slices.Backward(v.after) {
		f()
	}
	return v
}

// full is a tree with one of everything.
func full(t *testing.T, opts ...zktest.Option) *zktest.Server {
	t.Helper()
	srv := zktest.Start(t, append(opts, zktest.Seed(map[string]string{"/app/key": "\x00\xff", "/app/text": "tab\tand \"quotes\"", "/empty": ""}))...)
	zk := connect(t, srv)
	create(t, zk, "/app/e", gazoo.Ephemeral())
	create(t, zk, "/app/s-", gazoo.Sequential())
	create(t, zk, "/c", gazoo.Container())
	create(t, zk, "/ttl", gazoo.TTL(1500*time.Millisecond))
	create(t, zk, "/acl", gazoo.WithACL(gazoo.DigestACL(gazoo.PermRead|gazoo.PermWrite, "a", "b"), gazoo.ReadACL()[0]))
	_, err := zk.Set(soon(t), "/empty", nil, 0)
	must(t, err)
	return srv
}

const fullTree = `
/acl "v" acl=digest:a:3OptnM09ILoVSfbZtd3mB0IViII=:rw,world:anyone:r
/app
/app/e "v" ephemeral
/app/key 0x00ff
/app/s-0000000003 "v"
/app/text "tab\tand \"quotes\""
/c "v" container
/empty
/ttl "v" ttl=1.5s
`

func TestDump(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := full(t, opts...)
		if got := "\n" + srv.Dump(); got != fullTree {
			t.Errorf("Dump() =%s\nwant%s", got, fullTree)
		}
		if got, want := srv.Dump(zktest.Below("/app"), zktest.Versions()), "/app versions=0,4,0\n"; !strings.HasPrefix(got, want) {
			t.Errorf("Dump of /app with versions = %q, want it to begin with %q", got, want)
		}
		if got := srv.Dump(zktest.System()); !strings.Contains(got, "\n/zookeeper/config acl=world:anyone:r\n") {
			t.Errorf("Dump with system znodes = %q", got)
		}
		if got := srv.Dump(zktest.Below("/zookeeper/quota")); got != "/zookeeper/quota\n" {
			t.Errorf("Dump of the quotas = %q", got)
		}
		if n := srv.Count(); n != 9 {
			t.Errorf("Count() = %d, want 9", n)
		}
		zxid := srv.Zxid()
		must(t, srv.Put("/", "root"))
		if got := srv.Zxid(); got != zxid+1 {
			t.Errorf("Zxid() = %#x after a set, want %#x", got, zxid+1)
		}
		if got := srv.Dump(); !strings.HasPrefix(got, "/ \"root\"\n/acl") {
			t.Errorf("Dump() = %q, want the root", got)
		}
	})
}

func TestRequireTree(t *testing.T) {
	srv := zktest.Start(t, zktest.Seed(map[string]string{"/a": "1", "/b/c": ""}))
	srv.RequireTree(t, `
		/a "1"

		/b
		/b/c
	`)
	v := judge(t, func(tb testing.TB) { srv.RequireTree(tb, "/a \"2\"\n/b\n/d\n/b/c") })
	if !v.failed || !strings.Contains(v.text, "- /a \"2\"\n+ /a \"1\"\n- /d\n") {
		t.Errorf("failed %v with %q, want the difference", v.failed, v.text)
	}
}

func TestRequireGolden(t *testing.T) {
	srv := zktest.Start(t, zktest.Seed(map[string]string{"/a": "1"}))
	file := filepath.Join(t.TempDir(), "testdata", "tree.golden")
	if v := judge(t, func(tb testing.TB) { srv.RequireGolden(tb, file) }); !v.failed || !strings.Contains(v.text, "ZKTEST_UPDATE=1") {
		t.Errorf("without a file: failed %v with %q, want how to write it", v.failed, v.text)
	}
	t.Setenv(zktest.UpdateEnv, "1")
	srv.RequireGolden(t, file)
	if b, err := os.ReadFile(file); err != nil || string(b) != "/a \"1\"\n" {
		t.Errorf("file %q, %v", b, err)
	}
	t.Setenv(zktest.UpdateEnv, "")
	srv.RequireGolden(t, file)
	must(t, srv.Put("/a", "2"))
	if v := judge(t, func(tb testing.TB) { srv.RequireGolden(tb, file) }); !v.failed || !strings.Contains(v.text, "- /a \"1\"\n+ /a \"2\"") {
		t.Errorf("another tree: failed %v with %q, want the difference", v.failed, v.text)
	}
}

func TestPutGetRemove(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, append(opts, zktest.Endpoints(2))...)
		zk := connect(t, srv)
		_, _, born, err := zk.ExistsW(soon(t), "/a/b")
		must(t, err)
		must(t, srv.Put("/a/b", "x"))
		if ev, err := born.Wait(soon(t)); err != nil || ev.Type != gazoo.EventCreated {
			t.Errorf("watch = %+v, %v", ev, err)
		}
		if data, found := srv.Get("/a/b"); data != "x" || !found {
			t.Errorf("Get = %q, %v", data, found)
		}
		must(t, srv.Remove("/a"))
		if data, found := srv.Get("/a"); data != "" || found {
			t.Errorf("Get of a removed znode = %q, %v", data, found)
		}
		wantErr(t, "Remove", srv.Remove("/a"), gazoo.ErrNoNode)
		wantErr(t, "Put", srv.Put("a", ""), gazoo.ErrBadArguments)
	})
}

func TestSeedRandom(t *testing.T) {
	a := zktest.Start(t, zktest.SeedRandom("/r", 1, 1000, 20))
	b := zktest.Start(t, zktest.SeedRandom("/r", 1, 1000, 20))
	c := zktest.Start(t, zktest.SeedRandom("/r", 2, 1000, 20))
	if n := a.Count(); n != 1001 {
		t.Errorf("%d znodes, want 1000 and their parent", n)
	}
	if a.Dump() != b.Dump() || a.Dump() == c.Dump() {
		t.Error("the seed does not decide about the tree")
	}
	if !strings.Contains(a.Dump(), "/r/n0/") {
		t.Error("the tree has no depth")
	}
}

func TestWatches(t *testing.T) {
	inBoth(t, func(t *testing.T, opts ...zktest.Option) {
		srv := zktest.Start(t, append(opts, zktest.Endpoints(2))...)
		zk, other := connectTo(t, srv, 0), connectTo(t, srv, 1)
		_, _, _, err := zk.ExistsW(soon(t), "/x")
		must(t, err)
		stream, err := other.Watch(soon(t), "/", gazoo.Recursive())
		must(t, err)
		defer stream.Close()
		want := []zktest.WatchInfo{
			{zkserver.WatchInfo{Session: other.SessionID(), Path: "/", Kind: zkserver.WatchRecursive}, srv.Endpoint(1)},
			{zkserver.WatchInfo{Session: zk.SessionID(), Path: "/x", Kind: zkserver.WatchData}, srv.Endpoint(0)},
		}
		if got := srv.Watches(); !slices.Equal(got, want) {
			t.Errorf("Watches() = %+v, want %+v", got, want)
		}
	})
}

// TestLog has what a test reads when it has failed.
func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := zktest.Start(t)
		zk := connect(t, srv)
		create(t, zk, "/a")
		srv.Delay(zktest.ToClient, time.Second)
		zk.Get(soon(t), "/b")
		srv.Heal()
		srv.DropReply(zktest.OpSet, "")
		zk.Set(soon(t), "/a", nil, gazoo.AnyVersion)
		reconnected(t, zk)
		_, _, changed, err := zk.GetW(soon(t), "/a")
		must(t, err)
		must(t, srv.Put("/a", ""))
		changed.Wait(soon(t))
		zk.Txn().Check("/a", 7).Delete("/a", -1).Commit(soon(t))
		time.Sleep(time.Minute) // pings are left out
		var got string
		for _, e := range srv.Log() {
			line := e.String()
			line = strings.ReplaceAll(line, fmt.Sprintf("%#x", uint64(zk.SessionID())), "SESSION")
			got += line + "\n"
		}
		want := `00:00:00.000000 zk1 SESSION connect
00:00:00.000000 zk1 SESSION create /a Ok zxid 0x2 0s
00:00:00.000000 zk1 delay to client 1s
00:00:00.000000 zk1 SESSION getData /b NoNode zxid 0x2 1s
00:00:01.000000 zk1 heal
00:00:01.000000 zk1 SESSION setData /a no reply [rule: drop reply]
00:00:01.000000 zk1 SESSION connect
00:00:01.000000 zk1 SESSION sync / Ok zxid 0x3 0s
00:00:01.000000 zk1 SESSION getData /a Ok zxid 0x3 0s
00:00:01.000000 zk1 SESSION event /a [data changed]
00:00:01.000000 zk1 SESSION multi /a /a Ok zxid 0x5 0s
`
		if got != want {
			t.Errorf("log\n%s\nwant\n%s", got, want)
		}
	})
}

func TestLogSize(t *testing.T) {
	for size, want := range map[int]string{0: "", 3: "/3/4/5", 100: "/0/1/2/3/4/5"} {
		srv := zktest.Start(t, zktest.WithLogSize(size))
		zk := connect(t, srv)
		for i := range 6 {
			zk.Get(soon(t), fmt.Sprintf("/%d", i))
		}
		var got string
		for _, e := range srv.Log() {
			got += e.Request.Path
		}
		if got != want {
			t.Errorf("log of size %d has %q, want %q", size, got, want)
		}
	}
}

// TestFailedTestsHaveTheLog: and others do not.
func TestFailedTestsHaveTheLog(t *testing.T) {
	for _, fails := range []bool{true, false} {
		v := judge(t, func(tb testing.TB) {
			srv := zktest.Start(tb)
			must(t, srv.Put("/a", ""))
			zk, err := gazoo.Connect(t.Context(), srv.Addr(), gazoo.WithDialer(srv.Dial))
			must(t, err)
			defer zk.CloseNow()
			zk.Get(t.Context(), "/a")
			if fails {
				srv.RequireTree(tb, "/b")
			}
		})
		if v.failed != fails || strings.Contains(v.log, "getData /a Ok") != fails {
			t.Errorf("failed %v with log %q", v.failed, v.log)
		}
	}
}

// TestStartFails with the test that has asked for it.
func TestStartFails(t *testing.T) {
	v := judge(t, func(tb testing.TB) { zktest.Start(fatal{tb}, zktest.Endpoints(-1)) })
	if !v.failed {
		t.Error("Start with a bad option did not end the test")
	}
}

// fatal has Fatal by way of Fatalf.
type fatal struct{ testing.TB }

func (f fatal) Fatal(args ...any) { f.Fatalf("%s", fmt.Sprint(args...)) }
