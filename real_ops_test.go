package gazoo_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/internal/ensemble"
)

func TestVersionsGuardWritesOnServers(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 20*time.Second)
		zk := fresh(t, connect(t, c.Hosts()))
		_, err := zk.Create(ctx, "/a", []byte("0"))
		must(t, err)
		stat, err := zk.Set(ctx, "/a", []byte("11"), 0)
		if err != nil || stat.Version != 1 || stat.DataLength != 2 || stat.Mzxid <= stat.Czxid {
			t.Errorf("Set = %+v, %v, want version 1, two bytes, mzxid after czxid", stat, err)
		}
		_, err = zk.Set(ctx, "/a", nil, 7)
		wantErr(t, "Set with another version", err, gazoo.ErrBadVersion)
		wantErr(t, "Delete with another version", zk.Delete(ctx, "/a", 0), gazoo.ErrBadVersion)
		_, err = zk.Create(ctx, "/a/child", nil)
		must(t, err)
		wantErr(t, "Delete of a parent", zk.Delete(ctx, "/a", 1), gazoo.ErrNotEmpty)
		must(t, zk.Delete(ctx, "/a/child", 0))
		must(t, zk.Delete(ctx, "/a", 1))
		wantErr(t, "Delete of nothing", zk.Delete(ctx, "/a", gazoo.AnyVersion), gazoo.ErrNoNode)
		must(t, zk.DeleteIfExists(ctx, "/a", gazoo.AnyVersion))
		_, err = zk.Set(ctx, "/a", nil, gazoo.AnyVersion)
		wantErr(t, "Set of nothing", err, gazoo.ErrNoNode)
		_, _, err = zk.Get(ctx, "/a")
		wantErr(t, "Get of nothing", err, gazoo.ErrNoNode)
		if _, found, err := zk.Exists(ctx, "/a"); found || err != nil {
			t.Errorf("Exists of nothing = %v, %v", found, err)
		}
		if e, ok := errors.AsType[*gazoo.OpError](err); !ok || e.Op != "get" || e.Path != "/a" || e.Outcome != gazoo.OutcomeRefused || e.Server != zk.Server() {
			t.Errorf("error of Get = %#v", err)
		}
	})
}

func TestIdempotentWritesOnServers(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 20*time.Second)
		zk := fresh(t, connect(t, c.Hosts()))
		_, err := zk.Create(ctx, "/a", nil)
		must(t, err)
		stat, err := zk.SetIdempotent(ctx, "/a", []byte("x"), 0)
		if err != nil || stat.Version != 1 {
			t.Errorf("SetIdempotent = version %d, %v", stat.Version, err)
		}
		_, err = zk.SetIdempotent(ctx, "/a", []byte("x"), 0)
		wantErr(t, "SetIdempotent with an old version", err, gazoo.ErrBadVersion)
		wantErr(t, "DeleteIdempotent with an old version", zk.DeleteIdempotent(ctx, "/a", 0), gazoo.ErrBadVersion)
		must(t, zk.DeleteIdempotent(ctx, "/a", 1))
		// Nothing was lost on the way, so a missing znode is what it says.
		wantErr(t, "DeleteIdempotent of nothing", zk.DeleteIdempotent(ctx, "/a", 1), gazoo.ErrNoNode)
	})
}

func TestNullAndEmptyDataOnServers(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 20*time.Second)
		zk := fresh(t, connect(t, c.Hosts()))
		for i, data := range [][]byte{nil, {}, {0}} {
			path := fmt.Sprintf("/n%d", i)
			_, err := zk.Create(ctx, path, data)
			must(t, err)
			got, _, err := zk.Get(ctx, path)
			if err != nil || !bytes.Equal(got, data) || (got == nil) != (data == nil) {
				t.Errorf("Get of %#v = %#v, %v", data, got, err)
			}
			// And back by a set, from something else.
			_, err = zk.Set(ctx, path, []byte("else"), gazoo.AnyVersion)
			must(t, err)
			_, err = zk.Set(ctx, path, data, gazoo.AnyVersion)
			must(t, err)
			got, _, err = zk.Get(ctx, path)
			if err != nil || !bytes.Equal(got, data) || (got == nil) != (data == nil) {
				t.Errorf("Get of %#v after Set = %#v, %v", data, got, err)
			}
		}
	})
}

func TestChildrenOnServers(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 20*time.Second)
		zk := fresh(t, connect(t, c.Hosts()))
		names, stat, err := zk.ChildrenStat(ctx, "/")
		if err != nil || len(names) != 0 || stat.NumChildren != 0 {
			t.Errorf("ChildrenStat of a leaf = %q, %+v, %v", names, stat, err)
		}
		want := []string{"a", "b", "c"}
		for _, name := range want {
			_, err := zk.Create(ctx, "/"+name, nil)
			must(t, err)
		}
		last, err := zk.Create(ctx, "/c/grandchild", nil)
		must(t, err)
		names, stat, err = zk.ChildrenStat(ctx, "/")
		slices.Sort(names)
		if err != nil || !slices.Equal(names, want) || stat.NumChildren != 3 || stat.Cversion != 3 {
			t.Errorf("ChildrenStat = %q, %d children, cversion %d, %v", names, stat.NumChildren, stat.Cversion, err)
		}
		_, err = zk.Children(ctx, last+"/none")
		wantErr(t, "Children of nothing", err, gazoo.ErrNoNode)
	})
}

func TestNonASCIINamesOnServers(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 20*time.Second)
		zk := fresh(t, connect(t, c.Hosts()))
		names := []string{"Größe", "日本語", "имя", "with space", "\u00a0nbsp", "\uffef", "...", ".a"}
		for _, name := range names {
			path, err := zk.Create(ctx, "/"+name, []byte(name))
			if err != nil || path != "/"+name {
				t.Errorf("Create(%q) = %q, %v", name, path, err)
			}
			if data, _, err := zk.Get(ctx, "/"+name); err != nil || string(data) != name {
				t.Errorf("Get(%q) = %q, %v", name, data, err)
			}
		}
		got, err := zk.Children(ctx, "/")
		must(t, err)
		slices.Sort(got)
		slices.Sort(names)
		if !slices.Equal(got, names) {
			t.Errorf("Children = %q, want %q", got, names)
		}
		_, err = zk.Create(ctx, "/😀", nil)
		wantErr(t, "Create outside the basic plane", err, gazoo.ErrBadArguments)
		if !gazoo.WasNotSent(err) {
			t.Errorf("error = %v, want it refused before sending", err)
		}
	})
}

func TestLargeValuesOnServers(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 30*time.Second)
		zk := fresh(t, connect(t, c.Hosts()))
		data := bytes.Repeat([]byte("0123456789abcdef"), 500<<10/16)
		for i := range 4 {
			_, err := zk.Create(ctx, fmt.Sprintf("/n%d", i), data)
			must(t, err)
		}
		buf := make([]byte, 0, len(data))
		for i := range 4 {
			path := fmt.Sprintf("/n%d", i)
			got, stat, err := zk.GetInto(ctx, path, buf)
			if err != nil || !bytes.Equal(got, data) || int(stat.DataLength) != len(data) {
				t.Fatalf("GetInto = %d bytes, %v, want the %d written", len(got), err, len(data))
			}
			if &got[0] != &buf[:1][0] {
				t.Error("GetInto did not use the buffer given")
			}
		}
		if got, _, err := zk.GetInto(ctx, "/n0", make([]byte, 10)); err != nil || !bytes.Equal(got, data) {
			t.Errorf("GetInto a small buffer = %d bytes, %v", len(got), err)
		}
		// The largest packet that a server takes, and one byte more.
		room := 1048575 - len(zk.Root()+"/n0") - 4 /* path */ - 4 /* data */ - 4 /* version */ - 8 /* header */
		_, err := zk.Set(ctx, "/n0", make([]byte, room), gazoo.AnyVersion)
		must(t, err)
		_, err = zk.Set(ctx, "/n0", make([]byte, room+1), gazoo.AnyVersion)
		wantErr(t, "Set beyond the servers' limit", err, gazoo.ErrRequestTooLarge)
		if !gazoo.WasNotSent(err) {
			t.Errorf("error = %v, want not sent", err)
		}
	})
}

func TestDeleteRecursiveAmongRivals(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 40*time.Second)
		zk := fresh(t, connect(t, c.Hosts()))
		txn := zk.Txn().Create("/tree", nil)
		for i := range 20 {
			txn.Create(fmt.Sprintf("/tree/%d", i), nil)
			for j := range 30 {
				txn.Create(fmt.Sprintf("/tree/%d/%d", i, j), nil)
			}
		}
		_, err := txn.Commit(ctx)
		must(t, err)
		var wg sync.WaitGroup
		errs := make([]error, 5)
		deleted := make([]int, len(errs))
		for i := range errs {
			rival := connect(t, c.Hosts()+zk.Root())
			must(t, rival.Sync(ctx, "/tree"))
			wg.Go(func() {
				errs[i] = rival.DeleteRecursive(ctx, "/tree", func(n int) { deleted[i] = n })
			})
		}
		wg.Wait()
		total := 0
		for i, err := range errs {
			// One that came when all was gone has nothing to delete.
			if err != nil && !(errors.Is(err, gazoo.ErrNoNode) && deleted[i] == 0) {
				t.Errorf("DeleteRecursive = %v after %d deletes", err, deleted[i])
			}
			total += deleted[i]
		}
		if total != 1+20+600 {
			t.Errorf("%d znodes deleted in all, want each of 621 once", total)
		}
		wantErr(t, "DeleteRecursive of nothing", zk.DeleteRecursive(ctx, "/tree", nil), gazoo.ErrNoNode)
	})
}

func TestTreeQuestionsOnServers(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 20*time.Second)
		zk := fresh(t, connect(t, c.Hosts()))
		for _, path := range []string{"/a", "/a/b", "/a/b/c", "/ab"} {
			_, err := zk.Create(ctx, path, nil)
			must(t, err)
		}
		var mine []string
		for _, path := range []string{"/a/eph", "/ab/eph", "/ab/eph2"} {
			_, err := zk.Create(ctx, path, nil, gazoo.Ephemeral())
			must(t, err)
			mine = append(mine, path)
		}
		for path, want := range map[string]int{"/": 7, "/a": 3, "/ab": 2, "/a/b/c": 0} {
			if n, err := zk.AllChildrenNumber(ctx, path); err != nil || n != want {
				t.Errorf("AllChildrenNumber(%s) = %d, %v, want %d", path, n, err, want)
			}
		}
		_, err := zk.AllChildrenNumber(ctx, "/none")
		wantErr(t, "AllChildrenNumber of nothing", err, gazoo.ErrNoNode)
		for prefix, want := range map[string][]string{"": mine, "/": mine, "/a": mine, "/ab": mine[1:], "/ab/eph2": mine[2:], "/c": nil} {
			got, err := zk.Ephemerals(ctx, prefix)
			slices.Sort(got)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("Ephemerals(%q) = %q, %v, want %q", prefix, got, err, want)
			}
		}
		other := connect(t, c.Hosts()+zk.Root())
		if got, err := other.Ephemerals(ctx, ""); err != nil || len(got) != 0 {
			t.Errorf("Ephemerals of another session = %q, %v", got, err)
		}
		must(t, zk.Sync(ctx, "/a"))
		who, err := zk.WhoAmI(ctx)
		if err != nil || len(who) != 1 || who[0].Scheme != "ip" || !strings.HasPrefix(who[0].User, "127.") {
			t.Errorf("WhoAmI = %v, %v, want one address", who, err)
		}
	})
}

// A follower that has answered a sync shows everything that was acknowledged before. A leader
// does not promise as much: Apache 3.8 answers it like a read there, which may overtake a commit
// that a follower has told of already.
func TestSyncShowsOthersWrites(t *testing.T) {
	e := ensemble.Shared(t, ensemble.Ensemble3)
	ctx := deadline(t, 30*time.Second)
	leader, err := e.WaitLeader(ctx)
	must(t, err)
	follower, other := (leader+1)%3, (leader+2)%3
	writer := fresh(t, connect(t, e.Server(other).Addr()))
	_, err = writer.Create(ctx, "/n", nil)
	must(t, err)
	reader := connect(t, e.Server(follower).Addr()+writer.Root())
	for i := range 200 {
		want, err := writer.Set(ctx, "/n", nil, int32(i))
		must(t, err)
		must(t, reader.Sync(ctx, "/n"))
		got, _, err := reader.Exists(ctx, "/n")
		must(t, err)
		if got.Version < want.Version {
			t.Fatalf("version after Sync = %d, want %d", got.Version, want.Version)
		}
	}
}

func TestChrootOnServers(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 30*time.Second)
		base := fresh(t, connect(t, c.Hosts()))
		root := base.Root() + "/x/y"
		zk := connect(t, c.Hosts()+root)
		// The root is missing: said plainly, and made on request.
		_, err := zk.Create(ctx, "/a", nil)
		wantErr(t, "Create in a missing root", err, gazoo.ErrNoNode)
		_, _, err = zk.Get(ctx, "/")
		wantErr(t, "Get of a missing root", err, gazoo.ErrNoNode)
		created, err := zk.EnsurePath(ctx, "/")
		if err != nil || !created {
			t.Fatalf("EnsurePath(/) = %v, %v", created, err)
		}
		if zk.Root() != root {
			t.Errorf("Root = %q, want %q", zk.Root(), root)
		}
		// A path inside that is spelled like the root.
		inner := root + "/n-"
		path, err := zk.Create(ctx, inner, nil, gazoo.Parents(), gazoo.Sequential())
		if err != nil || path != inner+"0000000000" {
			t.Errorf("Create(%s) = %q, %v", inner, path, err)
		}
		results, err := zk.Txn().Create("/t", nil).Create("/s-", nil, gazoo.Sequential()).Set("/t", []byte("v"), 0).Commit(ctx)
		must(t, err)
		// "/test-…", where the inner path begins, took number 0, "/t" number 1.
		if results[0].Path != "/t" || results[1].Path != "/s-0000000002" || results[2].Path != "/t" {
			t.Errorf("transaction paths = %+v", results)
		}
		reads, err := zk.MultiRead(ctx, gazoo.ReadData("/t"), gazoo.ReadChildren(root))
		must(t, err)
		if reads[0].Path != "/t" || string(reads[0].Data) != "v" || !slices.Equal(reads[1].Children, []string{"n-0000000000"}) {
			t.Errorf("MultiRead = %+v", reads)
		}
		_, _, w, err := zk.GetW(ctx, path)
		must(t, err)
		s, err := zk.Watch(ctx, "/", gazoo.Recursive())
		must(t, err)
		defer s.Close()
		_, err = base.Set(ctx, "/x/y"+path, nil, gazoo.AnyVersion)
		must(t, err)
		awaitEvent(t, w, gazoo.EventDataChanged, path)
		if ev, err := s.Next(ctx); err != nil || ev.Type != gazoo.EventDataChanged || ev.Path != path {
			t.Errorf("stream = %+v, %v, want data changed on %s", ev, err, path)
		}
		if _, err := zk.Create(ctx, "/eph", nil, gazoo.Ephemeral()); err != nil {
			t.Error(err)
		}
		if got, err := zk.Ephemerals(ctx, "/e"); err != nil || !slices.Equal(got, []string{"/eph"}) {
			t.Errorf("Ephemerals = %q, %v", got, err)
		}
		_, err = zk.Create(ctx, "/t", nil)
		if e, ok := errors.AsType[*gazoo.OpError](err); !ok || e.Path != "/t" {
			t.Errorf("error = %v, want it to name the relative path", err)
		}
		view, err := base.Chroot("/x")
		must(t, err)
		if _, found, err := view.Exists(ctx, "/y/t"); err != nil || !found {
			t.Errorf("Exists through another view = %v, %v", found, err)
		}
		if got := zk.Unchroot(root + "/t"); got != "/t" {
			t.Errorf("Unchroot = %q", got)
		}
	})
}
