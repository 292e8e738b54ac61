package counter_test

import (
	"context"
	"fmt"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/counter"
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

	hits, err := counter.NewInt(zk, "/hits", 0)
	if err != nil {
		panic(err)
	}
	hits.Add(ctx, 40)
	change, err := hits.Add(ctx, 2)
	fmt.Println(change.Pre, change.Post, err)
	fmt.Print(srv.Dump())
	// Output:
	// 40 42 <nil>
	// /hits "42"
}

func ExampleValue() {
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
	v, err := counter.NewValue(zk, "/limits", counter.JSON[limits]())
	if err != nil {
		panic(err)
	}
	v.Initialize(ctx, limits{Max: 10})
	v.Update(ctx, func(l limits) (limits, error) {
		l.Min = l.Max / 2
		return l, nil
	})
	for now, err := range v.Watch(ctx) { // the present one at once, and then each change
		fmt.Println(now.Value, now.Version, err)
		break
	}
	// Output: {10 5} 1 <nil>
}

func ExampleIDs() {
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

	orders, err := counter.NewLong(zk, "/orders", 1000)
	if err != nil {
		panic(err)
	}
	ids, err := counter.NewIDs(orders, 50) // one request for 50 numbers
	if err != nil {
		panic(err)
	}
	for range 3 {
		fmt.Println(ids.Next(ctx))
	}
	// Output:
	// 1000 <nil>
	// 1001 <nil>
	// 1002 <nil>
}
