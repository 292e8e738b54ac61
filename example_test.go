package gazoo_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/zktest"
)

// inMemory is the option that leads the examples to a server in this process. Programs leave it
// out and name their servers.
func inMemory() gazoo.Option {
	srv, err := zktest.New()
	if err != nil {
		panic(err)
	}
	exampleServers = append(exampleServers, srv)
	return gazoo.WithDialer(srv.Dial)
}

// exampleServers are closed by TestMain.
var exampleServers []*zktest.Server

func Example() {
	ctx := context.Background()
	zk, err := gazoo.Connect(ctx, "zk1:2181/app", inMemory())
	if err != nil {
		log.Fatal(err)
	}
	defer zk.Close()
	path, err := zk.Create(ctx, "/workers/w-", []byte("hello"), gazoo.Parents(), gazoo.Ephemeral(), gazoo.Sequential())
	if err != nil {
		log.Fatal(err)
	}
	data, stat, err := zk.Get(ctx, path)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s = %q, version %d\n", path, data, stat.Version)
	fmt.Println("mine:", stat.EphemeralOwner == zk.SessionID())
	_, err = zk.Set(ctx, path, []byte("again"), 7)
	fmt.Println(errors.Is(err, gazoo.ErrBadVersion), gazoo.MaybeApplied(err))
	// Output:
	// /workers/w-0000000000 = "hello", version 0
	// mine: true
	// true false
}

func ExampleClient_WatchData() {
	ctx := context.Background()
	zk, err := gazoo.Connect(ctx, "zk1", inMemory())
	if err != nil {
		log.Fatal(err)
	}
	defer zk.Close()
	// The present state first, then the newest after changes, until the loop breaks.
	for snap, err := range zk.WatchData(ctx, "/config") {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("exists %v, data %q\n", snap.Exists, snap.Data)
		switch string(snap.Data) {
		case "":
			_, err = zk.Create(ctx, "/config", []byte("v1"))
		case "v1":
			_, err = zk.Set(ctx, "/config", []byte("v2"), snap.Stat.Version)
		case "v2":
			return
		}
		if err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// exists false, data ""
	// exists true, data "v1"
	// exists true, data "v2"
}

func ExampleClient_Watch() {
	ctx := context.Background()
	zk, err := gazoo.Connect(ctx, "zk1", inMemory())
	if err != nil {
		log.Fatal(err)
	}
	defer zk.Close()
	stream, err := zk.Watch(ctx, "/services", gazoo.Recursive())
	if err != nil {
		log.Fatal(err)
	}
	defer stream.Close()
	if _, err := zk.Create(ctx, "/services/db/primary", nil, gazoo.Parents()); err != nil {
		log.Fatal(err)
	}
	for range 3 {
		ev, err := stream.Next(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(ev.Type, ev.Path)
	}
	// Output:
	// created /services
	// created /services/db
	// created /services/db/primary
}

func ExampleClient_Async() {
	ctx := context.Background()
	zk, err := gazoo.Connect(ctx, "zk1", inMemory())
	if err != nil {
		log.Fatal(err)
	}
	defer zk.Close()
	async := zk.Async()
	var creates []gazoo.Future[gazoo.Created]
	for i := range 3 {
		creates = append(creates, async.Create(ctx, fmt.Sprintf("/n%d", i), nil)) // all on their way at once
	}
	for _, f := range creates {
		created, err := f.Wait(ctx)
		fmt.Println(created.Path, err)
	}
	// Output:
	// /n0 <nil>
	// /n1 <nil>
	// /n2 <nil>
}

func ExampleClient_Retry() {
	ctx := context.Background()
	zk, err := gazoo.Connect(ctx, "zk1", inMemory())
	if err != nil {
		log.Fatal(err)
	}
	defer zk.Close()
	// A whole function is repeated while it fails with a lost connection or an expired session.
	err = zk.Retry(ctx, func(ctx context.Context) error {
		_, err := zk.EnsurePath(ctx, "/app/locks")
		return err
	})
	_, found, _ := zk.Exists(ctx, "/app/locks")
	fmt.Println(err, found)
	// Output: <nil> true
}

func ExampleClient_AddListener() {
	ctx := context.Background()
	zk, err := gazoo.Connect(ctx, "zk1", inMemory())
	if err != nil {
		log.Fatal(err)
	}
	zk.AddListener(func(ch gazoo.StateChange) bool {
		fmt.Println(ch.From, "->", ch.To, "because", ch.Err)
		return false // true would remove the listener
	})
	zk.Close()
	<-zk.Done() // callbacks have ended too
	// Output: connected -> lost because client closed
}
