package gazoo_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
)

func TestTransactionOfEverything(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 20*time.Second)
		zk := fresh(t, connect(t, c.Hosts()))
		txn := zk.Txn()
		for _, kind := range createKinds {
			txn.Create("/"+kind.name, []byte("x"), kind.opts...)
		}
		// Each operation sees what those before it did.
		txn.Check("/persistent", 0).Set("/persistent", []byte("new"), 0).Check("/persistent", 1)
		txn.Create("/gone", nil).Delete("/gone", 0)
		if txn.Len() != len(createKinds)+5 {
			t.Errorf("Len = %d", txn.Len())
		}
		results, err := txn.Commit(ctx)
		must(t, err)
		var zxid int64
		for i, kind := range createKinds {
			r := results[i]
			if _, _, seq := gazoo.SequenceOf(r.Path); r.Op != "create" || seq != kind.sequential {
				t.Errorf("result %d = %+v", i, r)
			}
			stat, found, err := zk.Exists(ctx, r.Path)
			if err != nil || !found || (stat.EphemeralOwner == zk.SessionID()) != kind.ephemeral {
				t.Errorf("Exists(%s) = %+v, %v, %v", r.Path, stat, found, err)
			}
			if zxid != 0 && stat.Czxid != zxid {
				t.Errorf("%s has czxid 0x%x, want 0x%x like the others", r.Path, stat.Czxid, zxid)
			}
			zxid = stat.Czxid
		}
		rest := results[len(createKinds):]
		if rest[0].Op != "check" || rest[1].Op != "setData" || !rest[1].HasStat || rest[1].Stat.Version != 1 || rest[4].Op != "delete" || rest[4].Path != "/gone" {
			t.Errorf("results = %+v", rest)
		}
		if r, ok := gazoo.FindResult(results, "setData", "/persistent"); !ok || r.Stat.Mzxid != zxid {
			t.Errorf("FindResult = %+v, %v", r, ok)
		}
		_, err = txn.Commit(ctx)
		wantErr(t, "second Commit", err, gazoo.ErrTxnDone)
	})
}

func TestTransactionCreateStatOnOldServers(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 20*time.Second)
		zk := fresh(t, connect(t, c.Hosts()))
		results, err := zk.Txn().CreateStat("/a", nil).CreateStat("/s-", nil, gazoo.Sequential()).Create("/c", nil, gazoo.Container()).Commit(ctx)
		must(t, err)
		if results[0].Path != "/a" || results[1].Path != "/s-0000000001" {
			t.Errorf("paths = %q, %q", results[0].Path, results[1].Path)
		}
		version, err := zk.ServerVersion(ctx)
		must(t, err)
		// ZOOKEEPER-4026: before 3.8.2 the stat of a create2 in a multi is not sent, that of a
		// container is.
		sends := version.AtLeast(3, 9) || version.AtLeast(3, 8) && version.Patch >= 2
		if results[0].HasStat != sends || results[1].HasStat != sends {
			t.Errorf("HasStat on %v = %v, %v, want %v", version, results[0].HasStat, results[1].HasStat, sends)
		}
		stat, _, err := zk.Exists(ctx, "/c")
		if err != nil || !results[2].HasStat || results[2].Stat != stat {
			t.Errorf("container: stat %+v (%v), Exists says %+v, %v", results[2].Stat, results[2].HasStat, stat, err)
		}
	})
}

func TestTransactionFailureNamesTheCulprit(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 20*time.Second)
		zk := fresh(t, connect(t, c.Hosts()))
		_, err := zk.Create(ctx, "/old", nil)
		must(t, err)
		ok := func(txn *gazoo.Txn, i int) { txn.Create(fmt.Sprintf("/new%d", i), nil) }
		bad := []struct {
			op, path string
			code     gazoo.Code
			add      func(*gazoo.Txn)
		}{
			{"create", "/old", gazoo.ErrNodeExists, func(txn *gazoo.Txn) { txn.Create("/old", nil) }},
			{"create", "/none/x", gazoo.ErrNoNode, func(txn *gazoo.Txn) { txn.Create("/none/x", nil, gazoo.Ephemeral()) }},
			{"setData", "/old", gazoo.ErrBadVersion, func(txn *gazoo.Txn) { txn.Set("/old", nil, 5) }},
			{"check", "/old", gazoo.ErrBadVersion, func(txn *gazoo.Txn) { txn.Check("/old", 5) }},
			{"delete", "/none", gazoo.ErrNoNode, func(txn *gazoo.Txn) { txn.Delete("/none", gazoo.AnyVersion) }},
		}
		for _, b := range bad {
			for _, at := range []int{0, 2, 4} {
				txn := zk.Txn()
				for i := range 5 {
					if i == at {
						b.add(txn)
					} else {
						ok(txn, i)
					}
				}
				results, err := txn.Commit(ctx)
				wantErr(t, "Commit", err, b.code)
				te, is := errors.AsType[*gazoo.TxnError](err)
				if !is || results != nil {
					t.Errorf("Commit = %v, %v, want a *TxnError", results, err)
					continue
				}
				if te.Index != at || te.Op != b.op || te.Path != b.path || te.Code != b.code || len(te.Codes) != 5 {
					t.Errorf("error = %+v, want index %d, %s %s, %v", te, at, b.op, b.path, b.code)
				}
				for i, code := range te.Codes {
					want := gazoo.Code(0)
					if i == at {
						want = b.code
					} else if i > at {
						want = gazoo.ErrRuntimeInconsistency
					}
					if code != want {
						t.Errorf("code %d = %v, want %v", i, code, want)
					}
				}
				if gazoo.MaybeApplied(err) || !strings.Contains(err.Error(), b.path) {
					t.Errorf("error reads %q", err)
				}
			}
		}
		if names, err := zk.Children(ctx, "/"); err != nil || !slices.Equal(names, []string{"old"}) {
			t.Errorf("Children = %q, %v: something was applied", names, err)
		}
	})
}

func TestMultiReadOnServers(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 20*time.Second)
		zk := fresh(t, connect(t, c.Hosts()))
		_, err := zk.Txn().Create("/a", []byte("data")).Create("/a/b", nil).Create("/a/c", []byte{}).Commit(ctx)
		must(t, err)
		results, err := zk.MultiRead(ctx, gazoo.ReadData("/a"), gazoo.ReadChildren("/a"), gazoo.ReadData("/none"),
			gazoo.ReadChildren("/none"), gazoo.ReadData("/a/b"), gazoo.ReadData("/a/c"), gazoo.ReadChildren("/"))
		must(t, err)
		if len(results) != 7 {
			t.Fatalf("%d results for 7 reads", len(results))
		}
		if r := results[0]; r.Err != nil || string(r.Data) != "data" || r.Stat.NumChildren != 2 || r.Path != "/a" {
			t.Errorf("data of /a = %+v", r)
		}
		slices.Sort(results[1].Children)
		if r := results[1]; r.Err != nil || !slices.Equal(r.Children, []string{"b", "c"}) {
			t.Errorf("children of /a = %+v", r)
		}
		for _, r := range results[2:4] {
			wantErr(t, "read of nothing", r.Err, gazoo.ErrNoNode)
		}
		if results[4].Data != nil || results[5].Data == nil {
			t.Errorf("null and empty data = %#v, %#v", results[4].Data, results[5].Data)
		}
		if r := results[6]; r.Err != nil || !slices.Equal(r.Children, []string{"a"}) {
			t.Errorf("children of / = %+v", r)
		}
	})
}

func TestTransactionOfThousands(t *testing.T) {
	cluster.ForEach(t, func(t *testing.T, c cluster.Cluster) {
		ctx := deadline(t, 30*time.Second)
		zk := fresh(t, connect(t, c.Hosts()))
		txn := zk.Txn()
		for i := range 5000 {
			txn.Create(fmt.Sprintf("/n%d", i), nil)
		}
		results, err := txn.Commit(ctx)
		if err != nil || len(results) != 5000 {
			t.Fatalf("Commit = %d results, %v", len(results), err)
		}
		if n, err := zk.AllChildrenNumber(ctx, "/"); err != nil || n != 5000 {
			t.Errorf("AllChildrenNumber = %d, %v", n, err)
		}
		big := zk.Txn()
		for i := range 3 {
			big.Set(fmt.Sprintf("/n%d", i), make([]byte, 400<<10), 0)
		}
		_, err = big.Commit(ctx)
		wantErr(t, "Commit beyond the servers' limit", err, gazoo.ErrRequestTooLarge)
		if stat, _, err := zk.Exists(ctx, "/n0"); err != nil || stat.Version != 0 {
			t.Errorf("Exists = version %d, %v", stat.Version, err)
		}
	})
}
