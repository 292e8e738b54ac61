package tree_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/tree"
	"github.com/gazoo-zk/gazoo/zktest"
)

func Example() {
	srv, err := zktest.New(zktest.Seed(map[string]string{"/app/db/host": "db1"}))
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

	res, err := tree.Copy(ctx, zk, "/app", zk, "/backup/app", tree.WithProgress(func(s tree.Step) {
		fmt.Println(s.Action, s.Path, s.Done, "of", s.Total)
	}))
	fmt.Println(res.Created, err)
	res, err = tree.Move(ctx, zk, "/app/db", zk, "/app/database", tree.Atomic())
	fmt.Println(res.Created, res.Deleted, err)
	res, err = tree.Delete(ctx, zk, "/backup", tree.DryRun())
	fmt.Println(res.Deleted, err)
	// Output:
	// created /backup/app 1 of 3
	// created /backup/app/db 2 of 3
	// created /backup/app/db/host 3 of 3
	// 3 <nil>
	// 2 2 <nil>
	// 4 <nil>
}

func ExampleSnapshot() {
	srv, err := zktest.New(zktest.Seed(map[string]string{"/app/a": "1", "/app/b": "2"}))
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

	snap, err := tree.Snapshot(ctx, zk, "/app")
	if err != nil {
		panic(err)
	}
	text, err := json.Marshal(snap) // for a file
	if err != nil {
		panic(err)
	}
	var saved tree.Snap
	if err := json.Unmarshal(text, &saved); err != nil {
		panic(err)
	}
	if _, err := tree.Restore(ctx, &saved, zk, "/restored"); err != nil {
		panic(err)
	}
	fmt.Print(srv.Dump(zktest.Below("/restored")))
	// Output:
	// /restored
	// /restored/a "1"
	// /restored/b "2"
}

func ExampleSettle() {
	srv, err := zktest.New(zktest.Seed(map[string]string{"/members/a": "", "/members/b": ""}))
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

	members, err := tree.Settle(ctx, zk, "/members", 50*time.Millisecond)
	if err != nil {
		panic(err)
	}
	fmt.Println(members.Children)
	go zk.Create(ctx, "/members/c", nil)
	fmt.Println(members.Changed(ctx))
	// Output:
	// [a b]
	// <nil>
}
