package gazoo_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/internal/ensemble"
)

// createKinds are all kinds of znodes there are.
var createKinds = []struct {
	name                  string
	opts                  []gazoo.CreateOption
	ephemeral, sequential bool
}{
	{name: "persistent"},
	{name: "ephemeral", opts: []gazoo.CreateOption{gazoo.Ephemeral()}, ephemeral: true},
	{name: "persistent-sequential", opts: []gazoo.CreateOption{gazoo.Sequential()}, sequential: true},
	{name: "ephemeral-sequential", opts: []gazoo.CreateOption{gazoo.Ephemeral(), gazoo.Sequential()}, ephemeral: true, sequential: true},
	{name: "container", opts: []gazoo.CreateOption{gazoo.Container()}},
	{name: "ttl", opts: []gazoo.CreateOption{gazoo.TTL(time.Hour)}},
	{name: "ttl-sequential", opts: []gazoo.CreateOption{gazoo.TTL(time.Hour), gazoo.Sequential()}, sequential: true},
}

func TestCreateKindsOnServers(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 30*time.Second)
		zk := fresh(t, connect(t, c.Hosts()))
		owner, err := gazoo.Connect(ctx, c.Hosts()+zk.Root())
		must(t, err)
		defer owner.Close()
		session := owner.SessionID()
		made := make(map[string]bool) // path → ephemeral
		for _, kind := range createKinds {
			path, stat, err := owner.CreateStat(ctx, "/"+kind.name, []byte("data"), kind.opts...)
			if err != nil {
				t.Errorf("CreateStat %s: %v", kind.name, err)
				continue
			}
			made[path] = kind.ephemeral
			if prefix, _, ok := gazoo.SequenceOf(path); ok != kind.sequential || ok && prefix != "/"+kind.name {
				t.Errorf("%s: path = %q", kind.name, path)
			}
			if !kind.sequential && path != "/"+kind.name {
				t.Errorf("%s: path = %q", kind.name, path)
			}
			want := int64(0)
			if kind.ephemeral {
				want = session
			}
			if stat.EphemeralOwner != want || stat.Czxid == 0 || stat.DataLength != 4 {
				t.Errorf("%s: owner 0x%x czxid 0x%x length %d, want owner 0x%x and 4 bytes", kind.name, stat.EphemeralOwner, stat.Czxid, stat.DataLength, want)
			}
			got, found, err := owner.Exists(ctx, path)
			if err != nil || !found || got != stat {
				t.Errorf("%s: Exists = %+v, %v, %v; CreateStat said %+v", kind.name, got, found, err, stat)
			}
			// A second one: the same name is taken, a sequence goes on.
			again, err := owner.Create(ctx, "/"+kind.name, nil, kind.opts...)
			switch {
			case !kind.sequential:
				wantErr(t, "second create "+kind.name, err, gazoo.ErrNodeExists)
			case err != nil || again <= path:
				t.Errorf("second create %s = %q, %v; want a name after %q", kind.name, again, err, path)
			default:
				made[again] = kind.ephemeral
			}
			_, err = owner.Create(ctx, path+"/child", nil)
			if kind.ephemeral {
				wantErr(t, "child of "+kind.name, err, gazoo.ErrNoChildrenForEphemerals)
			} else if err != nil {
				t.Errorf("child of %s: %v", kind.name, err)
			}
		}
		// What the session owned goes with it, the rest stays.
		must(t, owner.Close())
		must(t, zk.Sync(ctx, "/"))
		for path, ephemeral := range made {
			if _, found, err := zk.Exists(ctx, path); err != nil || found == ephemeral {
				t.Errorf("after the owner's Close: Exists(%s) = %v, %v, want %v", path, found, err, !ephemeral)
			}
		}
	})
}

func TestServerReapsContainersAndTTLs(t *testing.T) {
	e := ensemble.StartT(t, ensemble.Config{SystemProperties: map[string]string{"znode.container.checkIntervalMs": "100"}})
	ctx := deadline(t, 30*time.Second)
	zk := connect(t, e.Hosts())
	var gone []*gazoo.Watch
	var paths []string
	watch := func(path string) {
		_, found, w, err := zk.ExistsW(ctx, path)
		must(t, err)
		if !found {
			t.Errorf("%s is gone too early", path)
		}
		gone, paths = append(gone, w), append(paths, path)
	}
	create := func(path string, opts ...gazoo.CreateOption) string {
		path, err := zk.Create(ctx, path, nil, opts...)
		must(t, err)
		return path
	}
	// These must outlive a few scans.
	create("/persistent")
	create("/unused", gazoo.Container())
	create("/full/child", gazoo.ContainerParents())
	create("/long", gazoo.TTL(time.Hour))
	create("/parent", gazoo.TTL(300*time.Millisecond)) // long enough for its child to come
	create("/parent/child")

	watch(create("/ttl", gazoo.TTL(700*time.Millisecond)))
	watch(create("/ttl-", gazoo.TTL(700*time.Millisecond), gazoo.Sequential()))
	create("/container", gazoo.Container())
	create("/container/child")
	watch("/container")
	create("/c1/c2/child", gazoo.ContainerParents())
	watch("/c1/c2")
	watch("/c1")
	create("/e1/e2/child", gazoo.Parents())
	must(t, zk.Delete(ctx, "/e1/e2/child", gazoo.AnyVersion))
	created, err := zk.EnsurePath(ctx, "/d1/d2", gazoo.Container())
	must(t, err)
	if !created {
		t.Error("EnsurePath = false, want true")
	}
	watch("/d1")
	must(t, zk.Delete(ctx, "/container/child", gazoo.AnyVersion))
	must(t, zk.Delete(ctx, "/c1/c2/child", gazoo.AnyVersion))
	must(t, zk.Delete(ctx, "/d1/d2", gazoo.AnyVersion))
	for i, w := range gone {
		awaitEvent(t, w, gazoo.EventDeleted, paths[i])
	}
	for _, path := range []string{"/persistent", "/unused", "/full", "/long", "/parent", "/e1/e2"} {
		if _, found, err := zk.Exists(ctx, path); err != nil || !found {
			t.Errorf("Exists(%s) = %v, %v: reaped", path, found, err)
		}
	}
}

func TestTTLWithoutExtendedTypes(t *testing.T) {
	e := ensemble.StartT(t, ensemble.Config{NoExtendedTypes: true})
	ctx := deadline(t, 20*time.Second)
	zk := connect(t, e.Hosts())
	sub := zk.SubscribeState()
	for _, opts := range [][]gazoo.CreateOption{{gazoo.TTL(time.Minute)}, {gazoo.TTL(time.Minute), gazoo.Sequential()}} {
		_, err := zk.Create(ctx, "/ttl", nil, opts...)
		wantErr(t, "Create with TTL", err, gazoo.ErrUnimplemented)
		if err == nil || !strings.Contains(err.Error(), "zookeeper.extendedTypesEnabled=true") {
			t.Errorf("error %q does not say what the server needs", err)
		}
	}
	// Everything else works, on the same connection.
	_, err := zk.Create(ctx, "/container", nil, gazoo.Container())
	must(t, err)
	if ch, err := sub.Next(deadline(t, time.Millisecond)); err == nil {
		t.Errorf("state changed to %v", ch.To)
	}
}

func TestCreateParentsOnServers(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 30*time.Second)
		zk := fresh(t, connect(t, c.Hosts()))
		_, err := zk.Create(ctx, "/a/b/c", nil)
		wantErr(t, "Create without a parent", err, gazoo.ErrNoNode)
		acl := []gazoo.ACL{{Perms: gazoo.PermAll &^ gazoo.PermAdmin, Scheme: "world", ID: "anyone"}}
		path, err := zk.Create(ctx, "/a/b/c", []byte("x"), gazoo.Parents(), gazoo.WithACL(acl...))
		must(t, err)
		if path != "/a/b/c" {
			t.Errorf("Create = %q", path)
		}
		for _, path := range []string{"/a", "/a/b", "/a/b/c"} {
			got, _, err := zk.GetACL(ctx, path)
			if err != nil || !slices.Equal(got, acl) {
				t.Errorf("GetACL(%s) = %v, %v, want %v", path, got, err, acl)
			}
		}
		if data, _, err := zk.Get(ctx, "/a/b"); err != nil || data != nil {
			t.Errorf("Get of a parent = %q, %v, want null data", data, err)
		}
		_, stat, err := zk.CreateStat(ctx, "/a/b/c", []byte("second"), gazoo.OrSet())
		if err != nil || stat.Version != 1 || stat.DataLength != 6 {
			t.Errorf("CreateStat with OrSet = version %d, length %d, %v", stat.Version, stat.DataLength, err)
		}
		created, err := zk.EnsurePath(ctx, "/a/b/c/d")
		if err != nil || !created {
			t.Errorf("EnsurePath of a missing path = %v, %v", created, err)
		}
		created, err = zk.EnsurePath(ctx, "/a/b/c/d")
		if err != nil || created {
			t.Errorf("EnsurePath of a path that exists = %v, %v", created, err)
		}
	})
}

func TestManyClientsEnsureOnePath(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 40*time.Second)
		zk := fresh(t, connect(t, c.Hosts()))
		const clients = 50
		begin := make(chan struct{})
		var wg sync.WaitGroup
		errs := make([]error, clients)
		var mu sync.Mutex
		racing := 0
		for i := range clients {
			racer := connect(t, c.Hosts()+zk.Root())
			wg.Go(func() {
				<-begin
				_, errs[i] = racer.EnsurePath(ctx, "/one/two/three/four/five")
				if _, err := racer.Create(ctx, "/one/two/three/four/five/n-", nil, gazoo.Parents(), gazoo.Sequential()); err == nil {
					mu.Lock()
					racing++
					mu.Unlock()
				}
			})
		}
		close(begin)
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Errorf("EnsurePath: %v", err)
		}
		must(t, zk.Sync(ctx, "/"))
		n, err := zk.AllChildrenNumber(ctx, "/")
		must(t, err)
		if racing != clients || n != 5+clients {
			t.Errorf("%d creates succeeded and %d znodes exist, want %d and %d", racing, n, clients, 5+clients)
		}
	})
}

var protectedPattern = regexp.MustCompile(`^/_c_[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}-n-(\d{10})?$`)

func TestProtectedCreateOnServers(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 30*time.Second)
		zk := fresh(t, connect(t, c.Hosts()))
		for _, kind := range createKinds {
			opts := append([]gazoo.CreateOption{gazoo.Protected()}, kind.opts...)
			path, err := zk.Create(ctx, "/n-", nil, opts...)
			if err != nil || !protectedPattern.MatchString(path) {
				t.Errorf("protected %s create = %q, %v", kind.name, path, err)
				continue
			}
			if _, _, ok := gazoo.SequenceOf(path); ok != kind.sequential {
				t.Errorf("protected %s create = %q", kind.name, path)
			}
		}
		names, err := zk.Children(ctx, "/")
		must(t, err)
		if len(names) != len(createKinds) {
			t.Errorf("%d znodes for %d creates: %q", len(names), len(createKinds), names)
		}
	})
}

func TestSequenceSpansKindsAndNames(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 20*time.Second)
		zk := fresh(t, connect(t, c.Hosts()))
		for i, path := range []string{"/a-", "/b-", "/"} {
			got, err := zk.Create(ctx, path, nil, gazoo.Sequential())
			if want := fmt.Sprintf("%s%010d", path, i); err != nil || got != want {
				t.Errorf("Create(%s) = %q, %v, want %q", path, got, err, want)
			}
			if prefix, seq, ok := gazoo.SequenceOf(got); prefix != path || seq != int32(i) || !ok {
				t.Errorf("SequenceOf(%s) = %q, %d, %v", got, prefix, seq, ok)
			}
		}
	})
}
