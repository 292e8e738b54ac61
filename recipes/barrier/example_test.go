package barrier_test

import (
	"context"
	"fmt"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/barrier"
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

	b, err := barrier.New(zk, "/migration")
	if err != nil {
		panic(err)
	}
	b.Create(ctx)
	done := make(chan error)
	go func() { done <- b.Wait(ctx) }()
	fmt.Println(b.Remove(ctx))
	fmt.Println(<-done)
	// Output:
	// true <nil>
	// <nil>
}

func ExampleDouble() {
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

	round, err := barrier.NewDouble(zk, "/round", 2)
	if err != nil {
		panic(err)
	}
	done := make(chan error)
	for range 2 {
		go func() {
			m, err := round.Enter(ctx) // both are there
			if err == nil {
				err = m.Leave(ctx) // both have gone
			}
			done <- err
		}()
	}
	fmt.Println(<-done, <-done)
	// Output: <nil> <nil>
}
