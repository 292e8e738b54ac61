package partition_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/partition"
	"github.com/gazoo-zk/gazoo/zktest"
)

// A worker consumes the queues that are its own, until the set is divided anew.
func ExampleRun() {
	ctx := context.Background()
	srv, err := zktest.New()
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	zk, err := gazoo.Connect(ctx, srv.Addr(), gazoo.WithDialer(srv.Dial))
	if err != nil {
		log.Fatal(err)
	}
	defer zk.Close()

	queues := []string{"queue-1", "queue-2", "queue-3"}
	err = partition.Run(ctx, zk, "/workers", queues, func(ctx context.Context, mine []string) error {
		fmt.Println(mine)
		return nil // done for good: otherwise work until ctx ends
	}, partition.WithTimeBoundary(10*time.Millisecond))
	fmt.Println(err)
	// Output:
	// [queue-1 queue-2 queue-3]
	// <nil>
}
