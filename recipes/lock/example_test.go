package lock_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gazoo-zk/gazoo/recipes/lock"
)

// Readers hold together, a writer alone. The writer becomes a reader, and lets readers in and no other writer.
func ExampleRW() {
	srv, zk := demo()
	defer srv.Close()
	defer zk.Close()
	ctx := context.Background()

	rw, err := lock.NewRW(zk, "/locks/catalog")
	if err != nil {
		panic(err)
	}
	writer, err := rw.Lock(ctx)
	if err != nil {
		panic(err)
	}
	_, err = rw.TryRLock(ctx)
	fmt.Println("a reader beside the writer:", errors.Is(err, lock.ErrBusy))

	first, err := writer.Downgrade(ctx)
	if err != nil {
		panic(err)
	}
	defer first.Release(ctx)
	second, err := rw.RLock(ctx)
	if err != nil {
		panic(err)
	}
	defer second.Release(ctx)
	_, err = rw.TryLock(ctx)
	fmt.Println("two readers:", first.Err(), second.Err())
	fmt.Println("a writer beside them:", errors.Is(err, lock.ErrBusy))
	// Output:
	// a reader beside the writer: true
	// two readers: <nil> <nil>
	// a writer beside them: true
}

// Some permits, which several programs share; one call may take several.
func ExampleSemaphore() {
	srv, zk := demo()
	defer srv.Close()
	defer zk.Close()
	ctx := context.Background()

	s, err := lock.NewSemaphore(zk, "/pools/scanners", 3, lock.WithIdentity([]byte("host-1")))
	if err != nil {
		panic(err)
	}
	one, err := s.Acquire(ctx)
	if err != nil {
		panic(err)
	}
	two, err := s.AcquireN(ctx, 2)
	if err != nil {
		panic(err)
	}
	_, err = s.TryAcquire(ctx)
	holders, _ := s.Holders(ctx)
	fmt.Println(len(holders), "permits taken, one of", holders[0].Identity, "and no more:", errors.Is(err, lock.ErrBusy))
	fmt.Println(one.Release(ctx), two.Release(ctx))
	// Output:
	// 3 permits taken, one of host-1 and no more: true
	// <nil> <nil>
}

// The number of permits is in a znode, and changes while others wait.
func ExampleSemaphore_Resize() {
	srv, zk := demo()
	defer srv.Close()
	defer zk.Close()
	ctx := context.Background()

	s, err := lock.NewSemaphore(zk, "/pools/uploads", 0, lock.WithSharedSize(""))
	if err != nil {
		panic(err)
	}
	go func() {
		time.Sleep(10 * time.Millisecond)
		s.Resize(ctx, 1)
	}()
	permit, err := s.Acquire(ctx) // waits for the other
	if err != nil {
		panic(err)
	}
	fmt.Println(permit.Err(), permit.Release(ctx))
	// Output: <nil> <nil>
}

// Two locks as one, in whatever order they are named.
func ExampleMulti() {
	srv, zk := demo()
	defer srv.Close()
	defer zk.Close()
	ctx := context.Background()

	from, err := lock.New(zk, "/locks/account-7")
	if err != nil {
		panic(err)
	}
	to, err := lock.New(zk, "/locks/account-4")
	if err != nil {
		panic(err)
	}
	both, err := lock.NewMulti(from, to)
	if err != nil {
		panic(err)
	}
	err = both.Do(ctx, func(ctx context.Context, held *lock.Group) error {
		_, err := held.Txn().Create("/transfer", nil).Commit(ctx)
		return err
	})
	fmt.Println(err)
	// Output: <nil>
}

// A function that takes the lock may be called by one that holds it: the context tells.
func ExampleWithReentrance() {
	srv, zk := demo()
	defer srv.Close()
	defer zk.Close()

	mu, err := lock.New(zk, "/locks/report", lock.WithReentrance())
	if err != nil {
		panic(err)
	}
	save := func(ctx context.Context) error {
		return mu.Do(ctx, func(ctx context.Context, held *lock.Held) error {
			_, err := held.Txn().Create("/report", nil).Commit(ctx)
			return err
		})
	}
	err = mu.Do(context.Background(), func(ctx context.Context, held *lock.Held) error {
		return save(ctx)
	})
	fmt.Println(err)
	// Output: <nil>
}

// Somebody asks the holder for the lock, who winds up and releases.
func ExampleMutex_Revoke() {
	srv, zk := demo()
	defer srv.Close()
	defer zk.Close()
	ctx := context.Background()

	mu, err := lock.New(zk, "/locks/batch", lock.WithIdentity([]byte("nightly")), lock.WithRevocable(func(held *lock.Held) {
		held.Release(ctx)
	}))
	if err != nil {
		panic(err)
	}
	held, err := mu.Lock(ctx)
	if err != nil {
		panic(err)
	}
	contenders, err := mu.Contenders(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Println("held by", contenders[0].Identity)
	if err := mu.Revoke(ctx, contenders[0]); err != nil {
		panic(err)
	}
	<-held.Context().Done()
	fmt.Println(errors.Is(held.Err(), lock.ErrRevoked))
	next, err := mu.Lock(ctx)
	fmt.Println(err, next.Release(ctx))
	// Output:
	// held by nightly
	// true
	// <nil> <nil>
}

// To wait for a lock beside other work takes a goroutine, and a context to call it off.
func ExampleMutex_Lock_background() {
	srv, zk := demo()
	defer srv.Close()
	defer zk.Close()

	mu, err := lock.New(zk, "/locks/report")
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel() // calls it off
	locked := make(chan *lock.Held, 1)
	go func() {
		if held, err := mu.Lock(ctx); err == nil {
			locked <- held
		}
	}()
	fmt.Println("other work")
	held := <-locked
	fmt.Println(held.Release(ctx))
	// Output:
	// other work
	// <nil>
}
