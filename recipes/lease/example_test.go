package lease_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/lease"
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

	for _, host := range []string{"a", "b", "a"} {
		l, err := lease.New(zk, "/leases/cleanup", 70*time.Minute, lease.WithHolder(host))
		if err != nil {
			panic(err)
		}
		_, err = l.Obtain(ctx)
		fmt.Println(host, errors.Is(err, lease.ErrTaken))
	}
	// Output:
	// a false
	// b true
	// a false
}

func ExampleTimed() {
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

	l, err := lease.NewTimed(zk, "/leases/report", time.Hour, lease.WithHolder("a"))
	if err != nil {
		panic(err)
	}
	grant, err := l.Obtain(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Holder(ctx))
	fmt.Println(grant.Renew(ctx), grant.Release(ctx))
	fmt.Println(l.Holder(ctx))
	// Output:
	// a true <nil>
	// <nil> <nil>
	//  false <nil>
}
