package gazoo_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
)

// get waits for a future that must succeed.
func get[T any](t *testing.T, ctx context.Context, what string, f gazoo.Future[T]) T {
	t.Helper()
	v, err := f.Wait(ctx)
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
	return v
}

// Every asynchronous form, submitted at once by one goroutine: the server does them in order.
func TestAsyncFormsOnServers(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 30*time.Second)
		zk := fresh(t, connect(t, c.Hosts()))
		a := zk.Async()
		buf := make([]byte, 0, 8)
		create := a.Create(ctx, "/a", []byte("1"))
		createStat := a.CreateStat(ctx, "/a/b-", nil, gazoo.Sequential(), gazoo.Ephemeral())
		set := a.Set(ctx, "/a", []byte("2"), 0)
		read := a.Get(ctx, "/a")
		into := a.GetInto(ctx, "/a", buf)
		exists := a.Exists(ctx, "/none")
		children := a.Children(ctx, "/a")
		childrenStat := a.ChildrenStat(ctx, "/a")
		setACL := a.SetACL(ctx, "/a", gazoo.OpenACL(), 0)
		getACL := a.GetACL(ctx, "/a")
		count := a.AllChildrenNumber(ctx, "/")
		ephemerals := a.Ephemerals(ctx, "")
		who := a.WhoAmI(ctx)
		getW := a.GetW(ctx, "/a")
		existsW := a.ExistsW(ctx, "/later")
		childrenW := a.ChildrenW(ctx, "/")
		multi := a.MultiRead(ctx, gazoo.ReadData("/a"), gazoo.ReadData("/none"))
		commit := a.Commit(ctx, zk.Txn().Check("/a", 1).Create("/later", nil).Set("/a", nil, 1))
		sync := a.Sync(ctx, "/")
		delete := a.Delete(ctx, "/later", 0)

		if got := get(t, ctx, "Create", create); got.Path != "/a" {
			t.Errorf("Create = %+v", got)
		}
		if got := get(t, ctx, "CreateStat", createStat); got.Path != "/a/b-0000000000" || got.Stat.EphemeralOwner != zk.SessionID() {
			t.Errorf("CreateStat = %+v", got)
		}
		if got := get(t, ctx, "Set", set); got.Version != 1 {
			t.Errorf("Set = %+v", got)
		}
		if got := get(t, ctx, "Get", read); string(got.Data) != "2" || got.Stat.Version != 1 {
			t.Errorf("Get = %+v", got)
		}
		if got := get(t, ctx, "GetInto", into); string(got.Data) != "2" || &got.Data[0] != &buf[:1][0] {
			t.Errorf("GetInto = %+v", got)
		}
		if got := get(t, ctx, "Exists", exists); got.Exists {
			t.Errorf("Exists = %+v", got)
		}
		if got := get(t, ctx, "Children", children); !slices.Equal(got.Children, []string{"b-0000000000"}) {
			t.Errorf("Children = %+v", got)
		}
		if got := get(t, ctx, "ChildrenStat", childrenStat); len(got.Children) != 1 || got.Stat.NumChildren != 1 {
			t.Errorf("ChildrenStat = %+v", got)
		}
		if got := get(t, ctx, "SetACL", setACL); got.Aversion != 1 {
			t.Errorf("SetACL = %+v", got)
		}
		if got := get(t, ctx, "GetACL", getACL); !slices.Equal(got.ACL, gazoo.OpenACL()) || got.Stat.Aversion != 1 {
			t.Errorf("GetACL = %+v", got)
		}
		if got := get(t, ctx, "AllChildrenNumber", count); got != 2 {
			t.Errorf("AllChildrenNumber = %d", got)
		}
		if got := get(t, ctx, "Ephemerals", ephemerals); !slices.Equal(got, []string{"/a/b-0000000000"}) {
			t.Errorf("Ephemerals = %q", got)
		}
		if got := get(t, ctx, "WhoAmI", who); len(got) != 1 {
			t.Errorf("WhoAmI = %v", got)
		}
		reads := get(t, ctx, "MultiRead", multi)
		if len(reads) != 2 || string(reads[0].Data) != "2" {
			t.Errorf("MultiRead = %+v", reads)
		} else {
			wantErr(t, "second read", reads[1].Err, gazoo.ErrNoNode)
		}
		if got := get(t, ctx, "Commit", commit); len(got) != 3 || got[2].Stat.Version != 2 {
			t.Errorf("Commit = %+v", got)
		}
		awaitEvent(t, get(t, ctx, "GetW", getW).Watch, gazoo.EventDataChanged, "/a")
		awaitEvent(t, get(t, ctx, "ExistsW", existsW).Watch, gazoo.EventCreated, "/later")
		awaitEvent(t, get(t, ctx, "ChildrenW", childrenW).Watch, gazoo.EventChildrenChanged, "/")
		get(t, ctx, "Sync", sync)
		get(t, ctx, "Delete", delete)

		// Made of several requests.
		if !get(t, ctx, "EnsurePath", a.EnsurePath(ctx, "/d/e/f")) {
			t.Error("EnsurePath = false")
		}
		if got := get(t, ctx, "protected Create", a.Create(ctx, "/p/n-", nil, gazoo.Protected(), gazoo.Parents())); !strings.HasPrefix(got.Path, "/p/_c_") {
			t.Errorf("protected Create = %+v", got)
		}
		get(t, ctx, "DeleteRecursive", a.DeleteRecursive(ctx, "/d"))
		get(t, ctx, "AddAuth", a.AddAuth(ctx, "digest", []byte("user:pw")))
		if got := get(t, ctx, "WhoAmI", a.WhoAmI(ctx)); len(got) != 2 {
			t.Errorf("WhoAmI after AddAuth = %v", got)
		}
	})
}

func TestAsyncKeepsOrderOnServers(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 30*time.Second)
		zk := fresh(t, connect(t, c.Hosts()))
		_, err := zk.Create(ctx, "/n", nil)
		must(t, err)
		// Each set names the version that the one before leaves: one out of order fails.
		const n = 2000
		sets := make([]gazoo.Future[gazoo.Stat], n)
		order := make(chan int, n)
		for i := range sets {
			sets[i] = zk.Async().Set(ctx, "/n", fmt.Append(nil, i), int32(i))
			sets[i].Then(func(gazoo.Stat, error) { order <- i })
		}
		data, stat, err := zk.Get(ctx, "/n")
		if err != nil || string(data) != fmt.Sprint(n-1) || stat.Version != n {
			t.Errorf("Get behind %d sets = %q, version %d, %v", n, data, stat.Version, err)
		}
		for i := range sets {
			get(t, ctx, "Set", sets[i])
			select {
			case got := <-order:
				if got != i {
					t.Fatalf("callback %d came as number %d", got, i)
				}
			case <-ctx.Done():
				t.Fatal("no callback")
			}
		}
	})
}
