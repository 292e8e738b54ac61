package zkserver_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/memnet"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// client connects a gazoo client to a world's server and closes it with the test.
func (v *world) client(opts ...gazoo.Option) *gazoo.Client {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), time.Minute)
	defer cancel()
	zk, err := gazoo.Connect(ctx, memAddr, append([]gazoo.Option{gazoo.WithDialer(v.net.Dial)}, opts...)...)
	if err != nil {
		v.t.Fatalf("Connect: %v", err)
	}
	v.t.Cleanup(func() { zk.CloseNow(); <-zk.Done() })
	return zk
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

func TestEveryOperationOfAClient(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		ctx, zk := t.Context(), v.client()
		for _, c := range []struct {
			path string
			opts []gazoo.CreateOption
			want string
		}{
			{"/a", nil, "/a"},
			{"/deep/er/e", []gazoo.CreateOption{gazoo.Parents(), gazoo.Ephemeral()}, "/deep/er/e"},
			{"/a/s-", []gazoo.CreateOption{gazoo.Sequential()}, "/a/s-0000000000"},
			{"/a/s-", []gazoo.CreateOption{gazoo.Sequential(), gazoo.Ephemeral()}, "/a/s-0000000001"},
			{"/c", []gazoo.CreateOption{gazoo.Container()}, "/c"},
			{"/t", []gazoo.CreateOption{gazoo.TTL(time.Hour)}, "/t"},
		} {
			path, stat, err := zk.CreateStat(ctx, c.path, []byte("data"), c.opts...)
			if err != nil || path != c.want || stat.DataLength != 4 {
				t.Errorf("CreateStat(%s) = %s, %+v, %v, want %s", c.path, path, stat, err, c.want)
			}
		}
		_, err := zk.Create(ctx, "/a", nil)
		wantErr(t, "second Create", err, gazoo.ErrNodeExists)
		_, err = zk.Create(ctx, "/deep/er/e/f", nil)
		wantErr(t, "Create below an ephemeral", err, gazoo.ErrNoChildrenForEphemerals)
		stat, err := zk.Set(ctx, "/a", []byte("new"), 0)
		if err != nil || stat.Version != 1 || stat.NumChildren != 2 || stat.Cversion != 2 {
			t.Errorf("Set = %+v, %v", stat, err)
		}
		_, err = zk.Set(ctx, "/a", nil, 0)
		wantErr(t, "Set of an old version", err, gazoo.ErrBadVersion)
		data, got, err := zk.Get(ctx, "/a")
		if err != nil || string(data) != "new" || got != stat {
			t.Errorf("Get = %q, %+v, %v, want the stat of the set", data, got, err)
		}
		if got, found, err := zk.Exists(ctx, "/a"); err != nil || !found || got != stat {
			t.Errorf("Exists = %+v, %v, %v", got, found, err)
		}
		names, err := zk.Children(ctx, "/")
		slices.Sort(names)
		if want := []string{"a", "c", "deep", "t", "zookeeper"}; err != nil || !slices.Equal(names, want) {
			t.Errorf("Children = %q, %v, want %q", names, err, want)
		}
		wantErr(t, "Delete of a parent", zk.Delete(ctx, "/a", gazoo.AnyVersion), gazoo.ErrNotEmpty)
		if n, err := zk.AllChildrenNumber(ctx, "/a"); n != 2 || err != nil {
			t.Errorf("AllChildrenNumber = %d, %v", n, err)
		}
		paths, err := zk.Ephemerals(ctx, "/")
		slices.Sort(paths)
		if want := []string{"/a/s-0000000001", "/deep/er/e"}; err != nil || !slices.Equal(paths, want) {
			t.Errorf("Ephemerals = %q, %v, want %q", paths, err, want)
		}
		must(t, zk.Sync(ctx, "/a"))
		must(t, zk.AddAuth(ctx, "digest", []byte("bob:pw")))
		who, err := zk.WhoAmI(ctx)
		if err != nil || len(who) != 2 || who[1].Scheme != "digest" || who[1].User != "bob" {
			t.Errorf("WhoAmI = %+v, %v", who, err)
		}
		_, err = zk.SetACL(ctx, "/t", []gazoo.ACL{{Perms: 31, Scheme: "auth"}}, 0)
		must(t, err)
		acl, stat, err := zk.GetACL(ctx, "/t")
		if err != nil || len(acl) != 1 || acl[0].ID != "bob:ikIaKsbtGweaHnb/jKn7OHqbunM=" || stat.Aversion != 1 {
			t.Errorf("GetACL = %v, %+v, %v", acl, stat, err)
		}
		reads, err := zk.MultiRead(ctx, gazoo.ReadData("/a"), gazoo.ReadChildren("/none"))
		if err != nil || string(reads[0].Data) != "new" || !errors.Is(reads[1].Err, gazoo.ErrNoNode) {
			t.Errorf("MultiRead = %+v, %v", reads, err)
		}
		_, _, err = zk.EnsembleConfig(ctx)
		must(t, err)
		if version, err := zk.ServerVersion(ctx); err != nil || fmt.Sprint(version) != "3.8.0" {
			t.Errorf("ServerVersion = %v, %v", version, err)
		}
		must(t, zk.DeleteRecursive(ctx, "/a", nil))
		_, _, err = zk.Get(ctx, "/a")
		wantErr(t, "Get of a deleted znode", err, gazoo.ErrNoNode)
	}, zkserver.WithExtendedTypes())
}

func TestTransactionsOfAClient(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		ctx, zk := t.Context(), v.client()
		res, err := zk.Txn().Create("/a", nil).Set("/a", []byte("x"), 0).Check("/a", 1).Create("/a/s-", nil, gazoo.Sequential()).Commit(ctx)
		if err != nil || len(res) != 4 || res[3].Path != "/a/s-0000000000" || res[1].Stat.Version != 1 {
			t.Errorf("Commit = %+v, %v", res, err)
		}
		_, err = zk.Txn().Create("/b", nil).Check("/a", 7).Delete("/a", -1).Commit(ctx)
		wantErr(t, "Commit with an old version", err, gazoo.ErrBadVersion)
		if _, found, err := zk.Exists(ctx, "/b"); found || err != nil {
			t.Errorf("Exists = %v, %v: a failed transaction left something", found, err)
		}
	})
}

func TestWatchesOfAClient(t *testing.T) {
	for _, modern := range []bool{false, true} {
		opts := []zkserver.Option{}
		if modern {
			opts = append(opts, zkserver.WithVersion39())
		}
		virtual(t, func(t *testing.T, v *world) {
			ctx, zk, other := t.Context(), v.client(), v.client()
			_, _, appears, err := zk.ExistsW(ctx, "/a")
			must(t, err)
			_, _, kids, err := zk.ChildrenW(ctx, "/")
			must(t, err)
			stream, err := zk.Watch(ctx, "/", gazoo.Recursive())
			must(t, err)
			_, err = other.Create(ctx, "/a", nil)
			must(t, err)
			_, _, data, err := zk.GetW(ctx, "/a")
			must(t, err)
			_, err = other.Set(ctx, "/a", nil, 0)
			must(t, err)
			must(t, other.Delete(ctx, "/a", 1))
			for _, c := range []struct {
				w    *gazoo.Watch
				typ  gazoo.EventType
				path string
			}{{appears, gazoo.EventCreated, "/a"}, {kids, gazoo.EventChildrenChanged, "/"}, {data, gazoo.EventDataChanged, "/a"}} {
				if ev, err := c.w.Wait(ctx); err != nil || ev.Type != c.typ || ev.Path != c.path {
					t.Errorf("watch = %+v, %v, want %v of %s", ev, err, c.typ, c.path)
				}
			}
			for _, want := range []gazoo.EventType{gazoo.EventCreated, gazoo.EventDataChanged, gazoo.EventDeleted} {
				if ev, err := stream.Next(ctx); err != nil || ev.Type != want || ev.Path != "/a" {
					t.Errorf("stream = %+v, %v, want %v of /a", ev, err, want)
				}
			}
			stream.Close()
			synctest.Wait()
			time.Sleep(time.Second)
			if n := v.srv.WatchCount(); n != 0 {
				t.Errorf("WatchCount() = %d after all ended, want 0", n)
			}
		}, opts...)
	}
}

func TestClientReattachesWithItsWatches(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		ctx, zk, other := t.Context(), v.client(), v.client()
		id := zk.SessionID()
		_, err := zk.Create(ctx, "/e", nil, gazoo.Ephemeral())
		must(t, err)
		_, _, missed, err := zk.ExistsW(ctx, "/new")
		must(t, err)
		_, _, kept, err := zk.GetW(ctx, "/e")
		must(t, err)
		sub := zk.SubscribeState()
		v.net.Conns()[0].Cut()
		_, err = other.Create(ctx, "/new", nil)
		must(t, err)
		for {
			ch, err := sub.Next(ctx)
			must(t, err)
			if ch.To == gazoo.StateConnected {
				break
			}
		}
		if ev, err := missed.Wait(ctx); err != nil || ev.Type != gazoo.EventCreated {
			t.Errorf("watch = %+v, %v, want what was missed", ev, err)
		}
		if zk.SessionID() != id {
			t.Errorf("session %#x, want %#x again", zk.SessionID(), id)
		}
		_, err = other.Set(ctx, "/e", nil, 0)
		must(t, err)
		if ev, err := kept.Wait(ctx); err != nil || ev.Type != gazoo.EventDataChanged {
			t.Errorf("watch = %+v, %v, want it set again", ev, err)
		}
	})
}

func TestSessionOfAClientExpires(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		ctx, zk, other := t.Context(), v.client(gazoo.WithSessionTimeout(6*time.Second)), v.client()
		_, err := zk.Create(ctx, "/e", nil, gazoo.Ephemeral())
		must(t, err)
		id := zk.SessionID()
		time.Sleep(time.Hour)
		if zk.SessionID() != id || zk.State() != gazoo.StateConnected {
			t.Fatalf("an idle client is %v in session %#x", zk.State(), zk.SessionID())
		}
		_, _, gone, err := other.GetW(ctx, "/e")
		must(t, err)
		v.net.Conns()[0].Stall(memnet.Both)
		v.net.SetDialHook(func(context.Context, string) error { return syscall.ECONNREFUSED })
		begin := time.Now()
		if ev, err := gone.Wait(ctx); err != nil || ev.Type != gazoo.EventDeleted {
			t.Errorf("watch = %+v, %v, want the ephemeral deleted", ev, err)
		}
		if d := time.Since(begin); d > 9*time.Second {
			t.Errorf("session of 6s ended after %v", d)
		}
		v.net.SetDialHook(nil)
		time.Sleep(time.Minute)
		must(t, zk.WaitState(ctx, gazoo.StateConnected))
		if zk.SessionID() == id {
			t.Errorf("session %#x still there", id)
		}
		_, err = zk.Create(ctx, "/e", nil, gazoo.Ephemeral())
		must(t, err)
	})
}

func TestClosingClientTakesItsEphemerals(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		ctx, zk, other := t.Context(), v.client(), v.client()
		_, err := zk.Create(ctx, "/e", nil, gazoo.Ephemeral())
		must(t, err)
		must(t, zk.Close())
		if _, found, err := other.Exists(ctx, "/e"); found || err != nil {
			t.Errorf("Exists = %v, %v, want the ephemeral gone", found, err)
		}
		if s := v.srv.Sessions(); len(s) != 1 {
			t.Errorf("Sessions() = %+v, want one", s)
		}
	})
}

// TestSeveralListeners serves TCP and memory at once, and ends all of it with Close.
func TestSeveralListeners(t *testing.T) {
	srv := start(t)
	ln, err := memnet.New().Listen("x:1")
	must(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	zk, err := gazoo.Connect(ctx, srv.Addr())
	must(t, err)
	defer zk.CloseNow()
	_, err = zk.Create(ctx, "/a", nil)
	must(t, err)
	must(t, srv.Close())
	must(t, srv.Close())
	if err := <-served; !errors.Is(err, zkserver.ErrClosed) {
		t.Errorf("Serve = %v, want ErrClosed", err)
	}
	wantErr(t, "Serve of a closed server", srv.Serve(ln), zkserver.ErrClosed)
	if n := srv.ConnCount(); n != 0 {
		t.Errorf("ConnCount() = %d", n)
	}
}
