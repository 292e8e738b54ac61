package queue_test

import (
	"context"
	"fmt"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/queue"
	"github.com/gazoo-zk/gazoo/zktest"
)

// example starts a server and a client for an example.
func example() (*gazoo.Client, func()) {
	srv, err := zktest.New()
	if err != nil {
		panic(err)
	}
	zk, err := gazoo.Connect(context.Background(), srv.Addr(), gazoo.WithDialer(srv.Dial))
	if err != nil {
		panic(err)
	}
	return zk, func() {
		zk.Close()
		srv.Close()
	}
}

func Example() {
	zk, stop := example()
	defer stop()
	ctx := context.Background()

	q, err := queue.NewLocking(zk, "/jobs", queue.Text())
	if err != nil {
		panic(err)
	}
	q.Put(ctx, "write the report")
	q.Put(ctx, "put out the fire", queue.Priority(1))

	for range 2 {
		item, err := q.Take(ctx)
		if err != nil {
			panic(err)
		}
		fmt.Println(item.Value, item.Err())
		fmt.Println(item.Consume(ctx))
	}
	// Output:
	// put out the fire <nil>
	// <nil>
	// write the report <nil>
	// <nil>
}

func ExampleQueue() {
	zk, stop := example()
	defer stop()
	ctx := context.Background()

	type event struct{ Name string }
	q, err := queue.New(zk, "/events", queue.JSON[event]())
	if err != nil {
		panic(err)
	}
	q.PutAll(ctx, []event{{"started"}, {"stopped"}})
	fmt.Println(q.Len(ctx))
	fmt.Println(q.Get(ctx))
	fmt.Println(q.Get(ctx))
	_, err = q.Get(ctx)
	fmt.Println(err)
	// Output:
	// 2 <nil>
	// {started} <nil>
	// {stopped} <nil>
	// queue is empty
}

func ExampleLocking_Items() {
	zk, stop := example()
	defer stop()
	ctx := context.Background()

	q, err := queue.NewLocking(zk, "/jobs", queue.Text())
	if err != nil {
		panic(err)
	}
	q.PutAll(ctx, []string{"a", "b"})
	for item, err := range q.Items(ctx) {
		if err != nil {
			panic(err)
		}
		fmt.Println(item.Value)
		if item.Value == "b" {
			break // hands it back
		}
		item.Consume(ctx)
	}
	fmt.Println(q.Len(ctx))
	// Output:
	// a
	// b
	// 1 <nil>
}

func ExampleLocking_Run() {
	zk, stop := example()
	defer stop()
	ctx, cancel := context.WithCancel(context.Background())

	q, err := queue.NewLocking(zk, "/jobs", queue.Text())
	if err != nil {
		panic(err)
	}
	q.Put(ctx, "a")
	err = q.Run(ctx, 4, func(ctx context.Context, item *queue.Item[string]) error {
		fmt.Println("working at", item.Value)
		cancel() // the last one
		return nil
	})
	fmt.Println(err)
	fmt.Println(q.Len(context.Background()))
	// Output:
	// working at a
	// context canceled
	// 0 <nil>
}

func ExampleDue() {
	zk, stop := example()
	defer stop()
	ctx := context.Background()

	q, err := queue.New(zk, "/reminders", queue.Text(), queue.WithStyle(queue.CuratorDelay))
	if err != nil {
		panic(err)
	}
	q.Put(ctx, "wake up", queue.Due(time.Now().Add(time.Hour)))
	_, err = q.Get(ctx)
	fmt.Println(err)
	// Output:
	// queue is empty
}
