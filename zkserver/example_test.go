package zkserver_test

import (
	"context"
	"fmt"
	"log"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/zkserver"
)

// A server and a client in one process.
func Example() {
	srv, err := zkserver.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()

	ctx := context.Background()
	zk, err := gazoo.Connect(ctx, srv.Addr())
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
	for _, s := range srv.Sessions() {
		fmt.Println(s.Ephemerals, s.ID == zk.SessionID())
	}
	// Output:
	// /workers/w-0000000000 = "hello", version 0
	// [/workers/w-0000000000] true
}
