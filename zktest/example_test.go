package zktest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/zktest"
)

// start is zktest.Start with a client: examples have no t.
func start(opts ...zktest.Option) (srv *zktest.Server, zk *gazoo.Client, stop func()) {
	srv, err := zktest.New(opts...)
	if err != nil {
		log.Fatal(err)
	}
	zk, err = gazoo.Connect(context.Background(), srv.Addr(), gazoo.WithDialer(srv.Dial))
	if err != nil {
		log.Fatal(err)
	}
	return srv, zk, func() {
		zk.CloseNow()
		<-zk.Done()
		srv.Close()
	}
}

// A server without a test. In one, zktest.Start(t) closes it.
func Example() {
	srv, err := zktest.New()
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()

	ctx := context.Background()
	zk, err := gazoo.Connect(ctx, srv.Addr(), gazoo.WithDialer(srv.Dial))
	if err != nil {
		log.Fatal(err)
	}
	defer zk.Close()
	if _, err := zk.Create(ctx, "/app/leader", []byte("host-1"), gazoo.Parents(), gazoo.Ephemeral()); err != nil {
		log.Fatal(err)
	}
	fmt.Print(srv.Dump())
	// Output:
	// /app
	// /app/leader "host-1" ephemeral
}

// The reply is lost, the write is not: the client cannot know, and says so.
func ExampleServer_DropReply() {
	srv, zk, stop := start()
	defer stop()

	srv.DropReply(zktest.OpCreate, "/a")
	_, err := zk.Create(context.Background(), "/a", []byte("hello"))
	fmt.Println(errors.Is(err, gazoo.ErrConnectionLoss), gazoo.MaybeApplied(err))
	fmt.Println(srv.Get("/a"))
	// Output:
	// true true
	// hello true
}

// A server that is too busy for the second and third write of a client.
func ExampleServer_Add() {
	srv, zk, stop := start(zktest.Seed(map[string]string{"/a": ""}))
	defer stop()

	busy := srv.Add(zktest.Rule{
		Match: zktest.Match{Op: zktest.OpWrite, Under: "/a"},
		Do:    zktest.Fail(gazoo.ErrThrottledOp),
		Skip:  1,
		Times: 2,
	})
	for range 4 {
		_, err := zk.Set(context.Background(), "/a", nil, gazoo.AnyVersion)
		fmt.Println(err)
	}
	fmt.Println(busy.Hits(), "hits of", busy)
	// Output:
	// <nil>
	// set /a: request throttled by the server (server zk1:2181)
	// set /a: request throttled by the server (server zk1:2181)
	// <nil>
	// 2 hits of rule create|delete|set|setACL|multi|reconfig under /a: fail ThrottledOp
}

// An expired session takes its ephemerals with it.
func ExampleServer_ExpireSession() {
	srv, zk, stop := start()
	defer stop()

	ctx := context.Background()
	if _, err := zk.Create(ctx, "/me", nil, gazoo.Ephemeral()); err != nil {
		log.Fatal(err)
	}
	session := zk.Session()
	srv.ExpireSession(session.ID())
	fmt.Print(srv.Dump()) // nothing is left at once

	<-session.Context().Done() // the client has heard of it
	fmt.Println(context.Cause(session.Context()))
	// Output: session expired
}

// A client that has written through one server need not see it at the next.
func ExampleEndpoint_Freeze() {
	srv, err := zktest.New(zktest.Endpoints(2))
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	ctx := context.Background()

	writer, err := gazoo.Connect(ctx, srv.Endpoint(0).Addr(), gazoo.WithDialer(srv.Dial))
	if err != nil {
		log.Fatal(err)
	}
	defer writer.Close()
	reader, err := gazoo.Connect(ctx, srv.Endpoint(1).Addr(), gazoo.WithDialer(srv.Dial))
	if err != nil {
		log.Fatal(err)
	}
	defer reader.Close()

	srv.Endpoint(1).Freeze()
	if _, err := writer.Create(ctx, "/news", nil); err != nil {
		log.Fatal(err)
	}
	_, found, _ := reader.Exists(ctx, "/news")
	fmt.Println("without sync:", found)

	srv.Endpoint(1).Thaw()
	reader.Sync(ctx, "/")
	_, found, _ = reader.Exists(ctx, "/news")
	fmt.Println("with sync:", found)
	// Output:
	// without sync: false
	// with sync: true
}

// Time that the test moves, for programs on real sockets.
func ExampleClock() {
	clock := zktest.NewClock()
	srv, zk, stop := start(zktest.OnLoopback(), zktest.WithClock(clock))
	defer stop()

	ctx := context.Background()
	if _, err := zk.Create(ctx, "/token", nil, gazoo.TTL(time.Hour)); err != nil {
		log.Fatal(err)
	}
	clock.Advance(59 * time.Minute)
	fmt.Print(srv.Dump())
	clock.Advance(2 * time.Minute)
	fmt.Println(srv.Count(), "znodes")
	// Output:
	// /token ttl=1h0m0s
	// 0 znodes
}
