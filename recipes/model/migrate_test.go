package model_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/lock"
	"github.com/gazoo-zk/gazoo/recipes/model"
	"github.com/gazoo-zk/gazoo/zktest"
)

// layouts is a set of three migrations below a root.
func layouts(root string) model.MigrationSet {
	return model.MigrationSet{ID: "main", Migrations: []model.Migration{
		{Name: "begin", Ops: []model.Op{
			model.CreateOp(root+"/data", []byte("1")), model.CreateOp(root+"/data/old", []byte("x")),
		}},
		{Name: "rename", Ops: []model.Op{
			model.CheckOp(root+"/data/old", 0), model.CreateOp(root+"/data/new", []byte("x")), model.DeleteOp(root+"/data/old", gazoo.AnyVersion),
		}},
		{Name: "mark", Ops: []model.Op{model.SetOp(root+"/data", []byte("3"), gazoo.AnyVersion)}},
	}}
}

func newMigrator(t *testing.T, zk *gazoo.Client, root string) *model.Migrator {
	t.Helper()
	m, err := model.NewMigrator(zk, root+"/locks", root+"/meta")
	must(t, err)
	return m
}

// A set is applied in order, once; what is added later is applied alone; what was changed is found.
func TestMigrations(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		ctx := t.Context()
		zk := recipetest.Dial(t, c.Hosts())
		root := recipetest.Path(t)
		must1(zk.Create(ctx, root, nil))
		m, whole := newMigrator(t, zk, root), layouts(root)
		set := whole
		if records, err := m.Applied(ctx, "main"); len(records) != 0 || err != nil {
			t.Errorf("Applied before anything: %v, %v", records, err)
		}
		for _, step := range []struct{ have, want int }{{1, 1}, {1, 0}, {3, 2}, {3, 0}} {
			set.Migrations = whole.Migrations[:step.have]
			if n, err := m.Apply(ctx, set); n != step.want || err != nil {
				t.Errorf("Apply of %d: %d, %v, want %d", step.have, n, err, step.want)
			}
		}
		if data, _, err := zk.Get(ctx, root+"/data"); string(data) != "3" || err != nil {
			t.Errorf("data: %q, %v", data, err)
		}
		if names := recipetest.Children(t, zk, root+"/data"); fmt.Sprint(names) != "[new]" {
			t.Errorf("children: %v", names)
		}
		records, err := m.Applied(ctx, "main")
		must(t, err)
		for i, r := range records {
			want := fmt.Sprintf("%s/meta/main/meta-%010d", root, i)
			if r.Path != want || string(r.Hash) != string(whole.Migrations[i].Hash()) || r.Stat.Czxid == 0 {
				t.Errorf("record %d: %s, %x, want %s, %x", i, r.Path, r.Hash, want, whole.Migrations[i].Hash())
			}
		}
		// The number that Curator's next record would get is the next one.
		if next := must1(zk.Create(ctx, root+"/meta/main/meta-", nil, gazoo.Sequential())); !strings.HasSuffix(next, "0000000003") {
			t.Errorf("a sequential record is %s", next)
		}
	})
}

// What was applied is not the beginning of the set: which migration differs is told, and nothing is applied.
func TestMigrationMismatch(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, srv *zktest.Server, set *model.MigrationSet)
		index int // of the migration to blame, -1 for none
		says  []string
	}{
		{"an operation was changed", func(_ *testing.T, _ *zktest.Server, set *model.MigrationSet) {
			set.Migrations[1].Ops = set.Migrations[1].Ops[1:]
		}, 1, []string{"rename", "has hash"}},
		{"the order was changed", func(_ *testing.T, _ *zktest.Server, set *model.MigrationSet) {
			set.Migrations[0], set.Migrations[1] = set.Migrations[1], set.Migrations[0]
		}, 0, []string{"rename", "has hash"}},
		{"one was taken out", func(_ *testing.T, _ *zktest.Server, set *model.MigrationSet) {
			set.Migrations = set.Migrations[:1]
		}, 1, []string{"2 were applied, and the set has 1"}},
		{"there is something else", func(t *testing.T, srv *zktest.Server, _ *model.MigrationSet) {
			must(t, srv.Put("/meta/main/note", ""))
		}, -1, []string{"/meta/main/note is no record"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				m, set := newMigrator(t, recipetest.Client(t, srv), ""), layouts("")
				first := set
				first.Migrations = set.Migrations[:2]
				must1(m.Apply(t.Context(), first))
				c.spoil(t, srv, &set)
				n, err := m.Apply(t.Context(), set)
				if n != 0 || !errors.Is(err, model.ErrMigrationMismatch) {
					t.Errorf("Apply: %d, %v, want ErrMigrationMismatch", n, err)
				}
				if bad, ok := errors.AsType[*model.MigrationError](err); ok != (c.index >= 0) || ok && (bad.Index != c.index || bad.Set != "main") {
					t.Errorf("Apply: %v, want it to be about migration %d", err, c.index)
				}
				for _, part := range c.says {
					if err != nil && !strings.Contains(err.Error(), part) {
						t.Errorf("Apply: %v, want it to say %q", err, part)
					}
				}
				wantStored(t, srv, "/data", "1")
			})
		})
	}
}

// A migration that cannot be applied leaves those before it, and nothing of itself; the error is about its own operation.
func TestMigrationRefused(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		m, set := newMigrator(t, recipetest.Client(t, srv), ""), layouts("")
		set.Migrations[1].Ops = append(set.Migrations[1].Ops, model.DeleteOp("/missing", 0))
		n, err := m.Apply(t.Context(), set)
		bad, ok := errors.AsType[*model.MigrationError](err)
		if n != 1 || !ok || bad.Index != 1 || bad.Name != "rename" || errors.Is(err, model.ErrMigrationMismatch) {
			t.Errorf("Apply: %d, %v, want a failure of migration 1", n, err)
		}
		failed, ok := errors.AsType[*gazoo.TxnError](err)
		if !ok || failed.Index != 3 || failed.Path != "/missing" || failed.Code != gazoo.ErrNoNode || len(failed.Codes) != 4 || len(failed.Paths) != 4 {
			t.Errorf("Apply: %v, want a TxnError of operation 3", err)
		}
		if _, found := srv.Get("/data/new"); found {
			t.Error("a part of it was applied")
		}
		if records := must1(m.Applied(t.Context(), "main")); len(records) != 1 {
			t.Errorf("%d records", len(records))
		}
		set.Migrations[1].Ops = set.Migrations[1].Ops[:3]
		if n, err := m.Apply(t.Context(), set); n != 2 || err != nil {
			t.Errorf("Apply of what was mended: %d, %v", n, err)
		}
	})
}

// Bad arguments are found before anything is applied.
func TestMigrationArguments(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		m, set := newMigrator(t, recipetest.Client(t, srv), ""), layouts("")
		set.ID = "a/b"
		set.Migrations[2].Ops = []model.Op{
			model.SetOp("no/slash", nil, -1), model.CheckOp("/a", -7), model.CreateOp("/b", nil, gazoo.Parents()),
		}
		n, err := m.Apply(t.Context(), set)
		for _, part := range []string{"a/b", "migration 2 (mark)", "no/slash", "-7", "Parents"} {
			if n != 0 || !errors.Is(err, gazoo.ErrBadArguments) || !strings.Contains(err.Error(), part) {
				t.Errorf("Apply: %d, %v, want it to say %q", n, err, part)
			}
		}
		if srv.Count() != 0 {
			t.Errorf("something was made:\n%s", srv.Dump())
		}
		if _, err := m.Applied(t.Context(), ""); !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("Applied: %v", err)
		}
		_, err = model.NewMigrator(nil, "x", "/a/")
		for _, part := range []string{"client", "lock path", "metadata path"} {
			if !errors.Is(err, gazoo.ErrBadArguments) || !strings.Contains(err.Error(), part) {
				t.Errorf("NewMigrator: %v, want it to name the %s", err, part)
			}
		}
	})
}

// A lost answer, or a lost request, of any step is resolved: each migration is applied once.
func TestMigrationLostAnswer(t *testing.T) {
	for name, do := range map[string]zktest.Action{"applied": zktest.DropReply(), "not applied": zktest.DropRequest()} {
		for step := range 3 {
			t.Run(fmt.Sprintf("step %d %s", step, name), func(t *testing.T) {
				recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
					m := newMigrator(t, recipetest.Client(t, srv), "")
					record := fmt.Sprintf("/meta/main/meta-%010d", step)
					must(t, srv.Put("/meta/main", ""))
					lost := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti, Path: record}, Do: do, Times: 1})
					if n, err := m.Apply(t.Context(), layouts("")); n != 3 || err != nil {
						t.Errorf("Apply: %d, %v, want 3", n, err)
					}
					if lost.Hits() != 1 {
						t.Error("nothing was lost, which shows nothing")
					}
					wantStored(t, srv, "/data", "3")
					if stat, _, _ := recipetest.Client(t, srv).Exists(t.Context(), "/data"); stat.Version != 1 {
						t.Errorf("the data was written %d times", stat.Version)
					}
				})
			})
		}
	}
}

// A context that ends while it is open what became of a migration says so; another Apply finds out.
func TestMigrationDoubt(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		m := newMigrator(t, recipetest.Client(t, srv), "")
		srv.Add(zktest.Rule{
			Match: zktest.Match{Op: zktest.OpMulti, Path: "/data", If: func(zktest.Request) bool { srv.Refuse(); return true }},
			Do:    zktest.DropReply(), Skip: 1, Times: 1, // the first one finds no directory for its record
		})
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if n, err := m.Apply(ctx, layouts("")); n != 0 || !gazoo.MaybeApplied(err) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Apply: %d, %v, want doubt and the deadline", n, err)
		}
		srv.Heal()
		if n, err := m.Apply(t.Context(), layouts("")); n != 2 || err != nil {
			t.Errorf("Apply again: %d, %v, want 2", n, err)
		}
	})
}

// The session ends between two steps, and with it the lock: it is taken anew, and the rest is applied.
func TestMigrationOutlivesItsSession(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		m := newMigrator(t, zk, "")
		held := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti, Path: "/meta/main/meta-0000000001"}, Do: zktest.HoldRequest(), Times: 1})
		type result struct {
			n   int
			err error
		}
		done := make(chan result, 1)
		go func() {
			n, err := m.Apply(t.Context(), layouts(""))
			done <- result{n, err}
		}()
		synctest.Wait()
		old := zk.SessionID()
		srv.ExpireSession(old)
		r := <-done
		if r.n != 3 || r.err != nil {
			t.Errorf("Apply: %d, %v, want 3", r.n, r.err)
		}
		if held.Hits() != 1 || zk.SessionID() == old {
			t.Error("no session ended, which shows nothing")
		}
		wantStored(t, srv, "/data", "3")
	})
}

// Many programs apply the same set at the same time: each migration is applied by one of them.
func TestMigrationsTogether(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		set := model.MigrationSet{ID: "many"}
		must(t, srv.Put("/n", "0"))
		for i := range 20 {
			set.Migrations = append(set.Migrations, model.Migration{Ops: []model.Op{model.SetOp("/n", []byte(fmt.Sprint(i+1)), int32(i))}})
		}
		var applied, multis atomic.Int64
		srv.Add(zktest.Rule{
			Match: zktest.Match{Op: zktest.OpMulti, If: func(zktest.Request) bool { return multis.Add(1)%5 == 0 }}, Do: zktest.DropReply(),
		})
		var wg sync.WaitGroup
		for i := range 5 {
			m := newMigrator(t, recipetest.Client(t, srv), "")
			wg.Go(func() {
				part := set
				part.Migrations = set.Migrations[:10+10*(i%2)]
				n, err := m.Apply(t.Context(), part)
				if err != nil && !errors.Is(err, model.ErrMigrationMismatch) {
					t.Errorf("Apply: %v", err)
				}
				applied.Add(int64(n))
			})
		}
		wg.Wait()
		if applied.Load() != 20 {
			t.Errorf("%d migrations were applied, want 20", applied.Load())
		}
		wantStored(t, srv, "/n", "20")
	})
}

// The hashes are those of Curator 5.4.0 with ZooKeeper 3.8.0 for the same operations.
func TestMigrationHash(t *testing.T) {
	x := []byte("x")
	for _, c := range []struct {
		name string
		ops  []model.Op
		want string
	}{
		{"nothing", nil, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"create", []model.Op{model.CreateOp("/a", x)}, "1262ea518057cdc372d2880d7e89a8382211b2af2f1e95b15fcb8c07c13c9861"},
		{"empty", []model.Op{model.CreateOp("/a", []byte{})}, "b11964ba95e4e9ce2933c8d7d66221bda1437ca0b954f7eb1be439db490f89b4"},
		{"null", []model.Op{model.CreateOp("/a", nil)}, "b11964ba95e4e9ce2933c8d7d66221bda1437ca0b954f7eb1be439db490f89b4"},
		{"odd characters", []model.Op{model.CreateOp("/ä b'%}#,;", []byte{0, 1, 0xff, '\'', '}', ' '})}, "40fdb1bfaa6bef1fc1d1db9952ed0c03b7a96f49a0118b0013ed052f7f790c13"},
		{"sequential", []model.Op{model.CreateOp("/a", x, gazoo.Sequential())}, "c197113830702b2f96a757646a21d4190ca000a3139e4c6b74041b89f5fbeea4"},
		{"ephemeral", []model.Op{model.CreateOp("/a", x, gazoo.Ephemeral())}, "769e7295b3717dd447111b8f93a3b2ce1240974c0716de8543601f0849a221f9"},
		{"ephemeral sequential", []model.Op{model.CreateOp("/a", x, gazoo.Ephemeral(), gazoo.Sequential())}, "17555e9f6bc4948d432e2bbdf9296cd8abbc029c06fe3074f716a89ace28c5ec"},
		{"container", []model.Op{model.CreateOp("/a", x, gazoo.Container())}, "35277be643b6a6844d45099133cc5c6003ead99ae8b7275a0d47c3dd0a5f6c17"},
		{"TTL", []model.Op{model.CreateOp("/a", x, gazoo.TTL(5*time.Second))}, "9673128e23b075633046ee73ebf19d4382a0bc7456c88fe222357d38a29f6c44"},
		{"TTL sequential", []model.Op{model.CreateOp("/a", x, gazoo.TTL(5*time.Second), gazoo.Sequential())}, "8b716d93acdd14f15b0d05ce59c85c88a8131da29deedd0c0e5e833549a9e49d"},
		{"ACL", []model.Op{model.CreateOp("/a", x, gazoo.WithACL(
			gazoo.ACL{Perms: gazoo.PermAll, Scheme: "auth"}, gazoo.ACL{Perms: gazoo.PermRead, Scheme: "digest", ID: "u:p'}"},
		))}, "bc303d974575004bdbcd78c9692405335e5c056b1055cbf6e00d87e10c84fdf7"},
		{"set", []model.Op{model.SetOp("/a", []byte("y"), gazoo.AnyVersion)}, "e0c04db41b6a9e1c2e304668fdc7e4620bd6101c3bf77e786c0653cc22b15fd5"},
		{"set version 7", []model.Op{model.SetOp("/a", []byte("y"), 7)}, "97e4ceb9b01aea3321210ffb1e3efce68239f674a688d8a49c1c7523b0fe51c0"},
		{"delete", []model.Op{model.DeleteOp("/a", gazoo.AnyVersion)}, "2457b119097fccc0e8e13e4f11a48bc78f2901197202eae7a8d89c797795381d"},
		{"delete version 3", []model.Op{model.DeleteOp("/a", 3)}, "0c142dfa3120ffb999c832c8767feda0671014722c07907b1a7f11450983999a"},
		{"check", []model.Op{model.CheckOp("/a", gazoo.AnyVersion)}, "c712635ef3bec9de2e9cb379014622c0340da16db308d55535449777032c0ab8"},
		{"check version 9", []model.Op{model.CheckOp("/a", 9)}, "701a98183c90ab1a3a9cab9bf56b877b9f1dda95ffc4996a30bea6afdd4085d1"},
		{
			"several",
			[]model.Op{model.CreateOp("/a", x), model.SetOp("/a", []byte("y"), -1), model.DeleteOp("/b", -1)},
			"7bfa7fc2c8fc891549fcb99005297d8a30a5aa3f364e5546625c2f011a3165ca",
		},
	} {
		if got := hex.EncodeToString(model.Migration{Name: c.name, Ops: c.ops}.Hash()); got != c.want {
			t.Errorf("%s: hash %s, want %s", c.name, got, c.want)
		}
	}
}

// The lock is that of Curator's MigrationManager: nothing is applied while somebody else has it, whoever that is.
func TestMigrationWaitsForTheLock(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		other := must1(lock.NewSemaphore(recipetest.Client(t, srv), "/locks/main", 1, lock.WithStyle(lock.Curator)))
		held := must1(other.Acquire(t.Context()))
		m := newMigrator(t, recipetest.Client(t, srv), "")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if n, err := m.Apply(ctx, layouts("")); n != 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Apply while the lock is held: %d, %v, want the deadline", n, err)
		}
		if _, found := srv.Get("/data"); found {
			t.Error("something was applied")
		}
		must(t, held.Release(t.Context()))
		if n, err := m.Apply(t.Context(), layouts("")); n != 3 || err != nil {
			t.Errorf("Apply: %d, %v, want 3", n, err)
		}
	})
}
