package model_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/recipes/counter"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/model"
	"github.com/gazoo-zk/gazoo/zktest"
)

// The life of a typed znode, with versions that are kept and conditions that hold, on each target.
func TestNode(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		ctx := t.Context()
		n := newNode(t, recipetest.Dial(t, c.Hosts()), recipetest.Path(t)+"/users/ann")
		if _, err := n.Get(ctx); !errors.Is(err, gazoo.ErrNoNode) {
			t.Fatalf("Get of nothing: %v, want ErrNoNode", err)
		}
		if _, found, err := n.Exists(ctx); found || err != nil {
			t.Errorf("Exists of nothing: %v, %v", found, err)
		}
		made, err := n.Create(ctx, user{Name: "Ann"})
		if err != nil || made.Path != n.Path() || made.Stat.Czxid == 0 || made.Version() != 0 {
			t.Fatalf("Create: %+v, %v", made, err)
		}
		if _, err := n.Create(ctx, user{Name: "Bob"}); !errors.Is(err, gazoo.ErrNodeExists) {
			t.Errorf("Create again: %v, want ErrNodeExists", err)
		}
		first, err := n.GetFresh(ctx)
		if err != nil || first != made {
			t.Errorf("GetFresh: %+v, %v, want %+v", first, err, made)
		}
		made.Value.Logins = 1
		set, err := n.Set(ctx, made)
		if err != nil || set.Version() != 1 || set.Value.Logins != 1 || set.Stat.Mzxid <= made.Stat.Mzxid {
			t.Errorf("Set: %+v, %v", set, err)
		}
		if _, err := n.Set(ctx, first.With(user{})); !errors.Is(err, model.ErrConflict) {
			t.Errorf("Set on an old version: %v, want ErrConflict", err)
		}
		put, err := n.Put(ctx, user{Name: "Anna"})
		if err != nil || put.Version() != 2 {
			t.Errorf("Put: %+v, %v", put, err)
		}
		updated, err := n.Update(ctx, func(u user) (user, error) { u.Logins += 5; return u, nil })
		if want := (user{"Anna", 5}); err != nil || updated.Value != want || updated.Version() != 3 {
			t.Errorf("Update: %+v, %v, want %v", updated, err, want)
		}
		if got := must1(n.Get(ctx)); got != updated {
			t.Errorf("Get: %+v, want %+v", got, updated)
		}
		if err := n.Delete(ctx, 2); !errors.Is(err, model.ErrConflict) {
			t.Errorf("Delete of an old version: %v, want ErrConflict", err)
		}
		must(t, n.Delete(ctx, updated.Version()))
		if _, err := n.Update(ctx, func(u user) (user, error) { return u, nil }); !errors.Is(err, gazoo.ErrNoNode) {
			t.Errorf("Update of nothing: %v, want ErrNoNode", err)
		}
		again, err := n.Upsert(ctx, func(u user, exists bool) (user, error) {
			if exists || u != (user{}) {
				t.Errorf("Upsert got %v, %v", u, exists)
			}
			return user{Name: "Eve"}, nil
		})
		if err != nil || again.Version() != 0 || again.Stat.Czxid <= updated.Stat.Mzxid {
			t.Errorf("Upsert: %+v, %v", again, err)
		}
	})
}

// Children are typed too: those that can be decoded come, and the others are named.
func TestChildren(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		ctx := t.Context()
		zk := recipetest.Dial(t, c.Hosts())
		dir := newNode(t, zk, recipetest.Path(t))
		for i := range 3 {
			kid := must1(dir.Child(fmt.Sprint("u", 3-i)))
			must1(kid.Create(ctx, user{Logins: i}))
		}
		must1(zk.Create(ctx, dir.Path()+"/u0", []byte("nonsense")))
		values, err := dir.Children(ctx)
		bad, ok := errors.AsType[*model.DataError](err)
		if !ok || bad.Path != dir.Path()+"/u0" || string(bad.Data) != "nonsense" {
			t.Errorf("Children: %v, want a DataError of u0", err)
		}
		var got []string
		for _, v := range values {
			got = append(got, fmt.Sprint(gazoo.BaseName(v.Path), v.Value.Logins, v.Version()))
		}
		if want := []string{"u12 0", "u21 0", "u30 0"}; !slices.Equal(got, want) {
			t.Errorf("Children: %q, want %q", got, want)
		}
		if names := must1(dir.ChildNames(ctx)); !slices.Equal(names, []string{"u0", "u1", "u2", "u3"}) {
			t.Errorf("ChildNames: %q", names)
		}
		if _, err := dir.Child("a/b"); !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("Child(a/b): %v", err)
		}
	})
}

// Create options reach the server, and those that have another meaning here are refused.
func TestCreateOptions(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		ctx := t.Context()
		zk := recipetest.Client(t, srv)
		jobs := newNode(t, zk, "/jobs/job-", model.WithParents(gazoo.Container()))
		for i := range 2 {
			v, err := jobs.Create(ctx, user{}, gazoo.Ephemeral(), gazoo.Sequential(), gazoo.Protected())
			if _, seq, _ := gazoo.SequenceOf(v.Path); err != nil || int(seq) != i || v.Stat.EphemeralOwner != zk.SessionID() {
				t.Errorf("Create: %+v, %v", v, err)
			}
		}
		if _, err := newNode(t, zk, "/x", model.WithReceipts("/receipts")).Create(ctx, user{}, gazoo.Parents()); err != nil {
			t.Errorf("Create with Parents: %v", err)
		}
		acl := gazoo.WithACL(gazoo.ReadACL()...)
		n := newNode(t, zk, "/kept/locked", model.WithKind(gazoo.Container(), acl))
		must1(n.Put(ctx, user{}))
		if got, _ := must2(zk.GetACL(ctx, n.Path())); !slices.Equal(got, gazoo.ReadACL()) {
			t.Errorf("the ACL is %v", got)
		}
		if _, err := n.Create(ctx, user{}, gazoo.OrSet()); !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("Create with OrSet: %v", err)
		}
		for _, kind := range []gazoo.CreateOption{gazoo.Ephemeral(), gazoo.Sequential(), gazoo.Parents(), gazoo.OrSet()} {
			if _, err := model.NewNode(zk, "/x", model.Text(), model.WithKind(kind)); !errors.Is(err, gazoo.ErrBadArguments) {
				t.Errorf("WithKind: %v, want ErrBadArguments", err)
			}
		}
	})
}

func must2[A, B any](a A, b B, err error) (A, B) {
	if err != nil {
		panic(err)
	}
	return a, b
}

// Every bad argument is named at once.
func TestBadArguments(t *testing.T) {
	_, err := model.NewNode[string](nil, "no/slash", nil, model.WithReceipts("bad"))
	for _, what := range []string{"client", "codec", "no/slash", "WithReceipts"} {
		if !errors.Is(err, gazoo.ErrBadArguments) || !strings.Contains(err.Error(), what) {
			t.Errorf("NewNode: %v, want it to name %s", err, what)
		}
	}
	if _, err := model.New[userKey](nil, "/{x", model.Text()); !errors.Is(err, gazoo.ErrBadArguments) {
		t.Errorf("New: %v", err)
	}
}

// Data that is no user is told with its path and its bytes, by reads, updates and watches; nothing is overwritten.
func TestDataError(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		must(t, srv.Put("/n", `{"Name":`))
		n := newNode(t, recipetest.Client(t, srv), "/n")
		want := func(what string, err error) {
			t.Helper()
			bad, ok := errors.AsType[*model.DataError](err)
			_, cause := errors.AsType[*json.SyntaxError](err)
			if !ok || bad.Path != "/n" || string(bad.Data) != `{"Name":` || !cause || !strings.Contains(err.Error(), "/n") {
				t.Errorf("%s: %v, want a DataError of /n", what, err)
			}
		}
		v, err := n.Get(ctx)
		want("Get", err)
		if v.Version() != 0 || v.Stat.Czxid == 0 {
			t.Errorf("Get: %+v, want the stat of the znode", v)
		}
		_, err = n.Update(ctx, func(user) (user, error) { t.Error("the function was called"); return user{}, nil })
		want("Update", err)
		wantStored(t, srv, "/n", `{"Name":`)
		var shown []string
		for now, err := range n.Watch(ctx) {
			if len(shown) == 0 {
				want("Watch", err)
				must(t, srv.Put("/n", `{"Name":"Ann"}`))
				err = nil
			}
			if shown = append(shown, fmt.Sprint(now.Value.Name, now.Version(), now.Exists, err)); len(shown) == 2 {
				break
			}
		}
		if shown[1] != "Ann1 true <nil>" {
			t.Errorf("Watch behind bad data: %q", shown)
		}
		broken := must1(model.NewNode(recipetest.Client(t, srv), "/f", model.JSON[func()]()))
		_, err = broken.Put(ctx, func() {})
		if bad, ok := errors.AsType[*model.DataError](err); !ok || bad.Data != nil || bad.Path != "/f" {
			t.Errorf("Put of what has no JSON: %v", err)
		}
	})
}

// A codec of package counter is one of this package.
var _ model.Codec[int64] = counter.IntText()

// A write whose answer was lost is never applied twice, and receipts tell in each case what became of it.
func TestLostAnswer(t *testing.T) {
	ops := map[string]func(ctx context.Context, n *model.Node[user]) (model.Versioned[user], error){
		"create": func(ctx context.Context, n *model.Node[user]) (model.Versioned[user], error) {
			return n.Create(ctx, user{Logins: 1})
		},
		"set": func(ctx context.Context, n *model.Node[user]) (model.Versioned[user], error) {
			return n.Set(ctx, model.Versioned[user]{Value: user{Logins: 1}})
		},
		"update": func(ctx context.Context, n *model.Node[user]) (model.Versioned[user], error) {
			return n.Update(ctx, func(u user) (user, error) { u.Logins++; return u, nil })
		},
		"put": func(ctx context.Context, n *model.Node[user]) (model.Versioned[user], error) {
			return n.Put(ctx, user{Logins: 1})
		},
	}
	for name, op := range ops {
		for _, receipts := range []bool{false, true} {
			for _, applied := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, applied %v, receipts %v", name, applied, receipts), func(t *testing.T) {
					recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
						var opts []model.Option
						if receipts {
							opts = append(opts, model.WithReceipts("/receipts"))
						}
						n := newNode(t, recipetest.Client(t, srv), "/n", opts...)
						version := int32(0)
						if name != "create" {
							must(t, srv.Put("/n", `{"Name":"","Logins":0}`))
							version = 1
						}
						do := zktest.DropRequest()
						if applied {
							do = zktest.DropReply()
						}
						lost := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpWrite, Path: "/n"}, Do: do, Times: 1})
						v, err := op(t.Context(), n)
						if inDoubt := applied && !receipts && name != "put"; inDoubt != gazoo.MaybeApplied(err) || !inDoubt && err != nil {
							t.Errorf("%s: %v, want doubt: %v", name, err, inDoubt)
						}
						if err == nil && (v.Version() != version || v.Stat.Mzxid == 0) {
							t.Errorf("%s: %+v, want version %d and the stat", name, v, version)
						}
						if lost.Hits() != 1 {
							t.Error("nothing was lost, which shows nothing")
						}
						wantStored(t, srv, "/n", `{"Name":"","Logins":1}`)
						n.Close()
					})
				})
			}
		}
	}
}

// Many update one znode while answers and requests are lost: the sum is exact.
func TestConcurrentUpdates(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		const clients, rounds = 4, 40
		var writes atomic.Int64
		every := func(n int64) func(zktest.Request) bool {
			return func(zktest.Request) bool { return writes.Add(1)%n == 0 }
		}
		lost := []*zktest.Handle{
			srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti, If: every(13)}, Do: zktest.DropReply()}),
			srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpMulti, If: every(17)}, Do: zktest.DropRequest()}),
		}
		var wg sync.WaitGroup
		for range clients {
			n := newNode(t, recipetest.Client(t, srv), "/n", model.WithReceipts("/receipts"))
			wg.Go(func() {
				defer n.Close()
				for range rounds {
					_, err := n.Upsert(t.Context(), func(u user, _ bool) (user, error) { u.Logins++; return u, nil })
					if err != nil {
						t.Errorf("Upsert: %v", err)
					}
				}
			})
		}
		wg.Wait()
		wantStored(t, srv, "/n", fmt.Sprintf(`{"Name":"","Logins":%d}`, clients*rounds))
		if lost[0].Hits() == 0 || lost[1].Hits() == 0 {
			t.Error("nothing was lost, which shows nothing")
		}
	})
}

// An error of the function comes back as it is, and nothing is written.
func TestUpdateRefused(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		must(t, srv.Put("/n", `{"Name":"Ann","Logins":7}`))
		n := newNode(t, recipetest.Client(t, srv), "/n")
		refusal := errors.New("no")
		v, err := n.Update(t.Context(), func(user) (user, error) { return user{}, refusal })
		if err != refusal || v.Value.Name != "Ann" {
			t.Errorf("Update: %+v, %v, want the old value and the function's error", v, err)
		}
		wantStored(t, srv, "/n", `{"Name":"Ann","Logins":7}`)
	})
}

// Operations of several models in one transaction, all or none.
func TestTransaction(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		ctx := t.Context()
		zk := recipetest.Dial(t, c.Hosts())
		root := recipetest.Path(t)
		from, to := newNode(t, zk, root+"/from"), newNode(t, zk, root+"/to")
		count := must1(model.NewNode(zk, root+"/count", counter.IntText()))
		a, n := must1(from.Create(ctx, user{Name: "Ann"})), must1(count.Create(ctx, 1))
		move := func(n model.Versioned[int64]) ([]gazoo.TxnResult, error) {
			txn := zk.Txn()
			from.TxnCheck(txn, a.Version())
			must(t, from.TxnDelete(txn, a.Version()))
			must(t, to.TxnCreate(txn, a.Value))
			must(t, count.TxnSet(txn, n.With(n.Value+1)))
			return txn.Commit(ctx)
		}
		if _, err := move(model.Versioned[int64]{Stat: gazoo.Stat{Version: 7}}); !errors.Is(err, gazoo.ErrBadVersion) {
			t.Errorf("Commit on a wrong version: %v, want ErrBadVersion", err)
		}
		if _, found, err := to.Exists(ctx); found || err != nil {
			t.Errorf("behind a transaction that failed: %v, %v", found, err)
		}
		results, err := move(n)
		must(t, err)
		if set, ok := gazoo.FindResult(results, "setData", count.Path()); !ok || set.Stat.Version != 1 {
			t.Errorf("results: %+v", results)
		}
		if got, n := must1(to.Get(ctx)), must1(count.Get(ctx)); got.Value != a.Value || n.Value != 2 {
			t.Errorf("behind the transaction: %+v, %+v", got, n)
		}
	})
}
