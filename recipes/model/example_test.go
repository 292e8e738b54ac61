package model_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/cache"
	"github.com/gazoo-zk/gazoo/recipes/model"
	"github.com/gazoo-zk/gazoo/zktest"
)

func Example() {
	srv, err := zktest.New()
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	ctx := context.Background()
	zk, err := gazoo.Connect(ctx, srv.Addr(), gazoo.WithDialer(srv.Dial))
	if err != nil {
		panic(err)
	}
	defer zk.Close()

	type limits struct{ Max, Min int }
	node, err := model.NewNode(zk, "/limits", model.JSON[limits]())
	if err != nil {
		panic(err)
	}
	v, err := node.Create(ctx, limits{Max: 10})
	fmt.Println(v.Value, v.Version(), err)

	// Somebody else is faster, so a write on the version that was kept is refused.
	node.Update(ctx, func(l limits) (limits, error) { l.Max *= 2; return l, nil })
	v.Value.Min = 1
	_, err = node.Set(ctx, v)
	fmt.Println(errors.Is(err, model.ErrConflict), err)
	v, err = node.Get(ctx)
	fmt.Println(v.Value, v.Version(), err)
	// Output:
	// {10 0} 0 <nil>
	// true set /limits: changed by others meanwhile
	// {20 0} 1 <nil>
}

func ExampleTemplate() {
	users := model.MustTemplate("/app/{tenant}/users/{user}")
	fmt.Println(users.Resolve("acme", "ann"))
	fmt.Println(users.Parse("/app/acme/users/ann"))
	acme, err := users.With("tenant", "acme") // one parameter is left
	fmt.Println(acme, acme.Parameters(), acme.Root(), err)
	_, err = users.Resolve("a/b", "")
	fmt.Println(err)
	// Output:
	// /app/acme/users/ann <nil>
	// [acme ann] <nil>
	// /app/acme/users/{user} [user] /app/acme/users <nil>
	// template /app/{tenant}/users/{user}: invalid parameter tenant: "a/b" holds a slash
	// template /app/{tenant}/users/{user}: invalid parameter user: is empty
}

func ExamplePaths() {
	type key struct {
		Tenant string
		ID     int64 `path:"user"`
	}
	users, err := model.NewPaths[key]("/app/{tenant}/users/user-{user}")
	if err != nil {
		panic(err)
	}
	fmt.Println(users.Path(key{"acme", 7}))
	k, err := users.Parse("/app/acme/users/user-7")
	fmt.Printf("%+v %v\n", k, err)
	_, err = users.Parse("/app/acme/users/user-seven")
	fmt.Println(errors.Is(err, model.ErrNoMatch))
	// Output:
	// /app/acme/users/user-7 <nil>
	// {Tenant:acme ID:7} <nil>
	// true
}

func ExampleView() {
	srv, err := zktest.New()
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	ctx := context.Background()
	zk, err := gazoo.Connect(ctx, srv.Addr(), gazoo.WithDialer(srv.Dial))
	if err != nil {
		panic(err)
	}
	defer zk.Close()

	hosts, err := model.New[string](zk, "/services/{name}/host", model.Text())
	if err != nil {
		panic(err)
	}
	view, err := hosts.Cached(model.WithReadThrough(model.WhenMissing))
	if err != nil {
		panic(err)
	}
	defer view.Close()

	db, err := hosts.At("db")
	if err != nil {
		panic(err)
	}
	db.Put(ctx, "db1")
	put, err := db.Put(ctx, "db2")
	fmt.Println(put.Path, put.Version(), err)
	view.WaitApplied(ctx, put) // to read one's own write from the cache
	now, err := view.Get(ctx, "db")
	fmt.Println(now.Value, now.Version(), err)
	for ev, err := range view.Events(ctx) {
		if err != nil || ev.Type == cache.Added {
			fmt.Println(ev.Type, ev.Key, ev.New.Value, err)
			break
		}
	}
	// Output:
	// /services/db/host 1 <nil>
	// db2 1 <nil>
	// added db db2 <nil>
}

func ExampleGuard() {
	srv, err := zktest.New()
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	ctx := context.Background()
	zk, err := gazoo.Connect(ctx, srv.Addr(), gazoo.WithDialer(srv.Dial))
	if err != nil {
		panic(err)
	}
	defer zk.Close()

	schemas, err := model.ReadSchemas(strings.NewReader(`[
		{"name": "config", "path": "/config", "ephemeral": "cannot", "schemaValidator": "json"},
		{"name": "workers", "path": "/workers/.*", "isRegex": true, "ephemeral": "must", "sequential": "must", "canBeDeleted": true}
	]`), map[string]model.Validator{"json": func(_ string, data []byte, _ []gazoo.ACL) error {
		if !json.Valid(data) {
			return errors.New("no JSON")
		}
		return nil
	}})
	if err != nil {
		panic(err)
	}
	g := model.NewGuard(zk, schemas)
	_, err = g.Create(ctx, "/config", []byte("{"), gazoo.Ephemeral())
	fmt.Println(errors.Is(err, model.ErrSchema), err)
	_, err = g.Create(ctx, "/workers/w-", nil)
	fmt.Println(err)
	_, err = g.Create(ctx, "/config", []byte("{}"))
	fmt.Println(err)
	fmt.Println(g.Delete(ctx, "/config", gazoo.AnyVersion))
	// Output:
	// true create /config: schema "config": cannot be ephemeral; not valid: no JSON
	// create /workers/w-: schema "workers": must be ephemeral; must be sequential
	// <nil>
	// delete /config: schema "config": cannot be deleted
}

func ExampleMigrator() {
	srv, err := zktest.New()
	if err != nil {
		panic(err)
	}
	defer srv.Close()
	ctx := context.Background()
	zk, err := gazoo.Connect(ctx, srv.Addr(), gazoo.WithDialer(srv.Dial))
	if err != nil {
		panic(err)
	}
	defer zk.Close()

	m, err := model.NewMigrator(zk, "/migrations/locks", "/migrations/meta")
	if err != nil {
		panic(err)
	}
	set := model.MigrationSet{ID: "app", Migrations: []model.Migration{
		{Name: "begin", Ops: []model.Op{model.CreateOp("/app", nil), model.CreateOp("/app/hosts", []byte("a,b"))}},
	}}
	fmt.Println(m.Apply(ctx, set))
	set.Migrations = append(set.Migrations, model.Migration{Name: "a znode for each host", Ops: []model.Op{
		model.CreateOp("/app/hosts/a", nil), model.CreateOp("/app/hosts/b", nil), model.SetOp("/app/hosts", nil, 0),
	}})
	fmt.Println(m.Apply(ctx, set)) // the new one alone
	fmt.Println(m.Apply(ctx, set)) // nothing is left
	set.Migrations[0].Ops[1] = model.CreateOp("/app/hosts", []byte("a,b,c"))
	_, err = m.Apply(ctx, set)
	fmt.Println(errors.Is(err, model.ErrMigrationMismatch))
	fmt.Print(srv.Dump(zktest.Below("/app")))
	// Output:
	// 1 <nil>
	// 1 <nil>
	// 0 <nil>
	// true
	// /app
	// /app/hosts
	// /app/hosts/a
	// /app/hosts/b
}
