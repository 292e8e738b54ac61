package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo"
)

// load is what the clients of a round do.
type load struct {
	name     string
	conns    int
	inFlight int // requests on each connection
	op       func(ctx context.Context, a gazoo.Async, conn, i int) waiter
}

// waiter is a future of any type.
type waiter func(context.Context) error

var data100 = make([]byte, 100)

// getLoad reads one znode, 100 bytes.
func getLoad() load {
	return load{name: "get", conns: 8, inFlight: 32, op: func(ctx context.Context, a gazoo.Async, _, _ int) waiter {
		return awaited(a.Get(ctx, "/measure"))
	}}
}

// createLoad makes znodes of 100 bytes, each connection its own.
func createLoad(round int) load {
	return load{name: "create", conns: 8, inFlight: 32, op: func(ctx context.Context, a gazoo.Async, conn, i int) waiter {
		return awaited(a.Create(ctx, fmt.Sprintf("/measure/%d-%d/%d", round, conn, i), data100))
	}}
}

func awaited[T any](f gazoo.Future[T]) waiter {
	return func(ctx context.Context) error {
		_, err := f.Wait(ctx)
		f.Release()
		return err
	}
}

// result is what a round has shown.
type result struct {
	perSecond int
	p50, p99  time.Duration
}

func (r result) String() string {
	return fmt.Sprintf("%d/s, p50 %v, p99 %v", r.perSecond, r.p50.Round(time.Microsecond), r.p99.Round(time.Microsecond))
}

// run puts a load on a server for a while. Replies come in the order of the requests, so that each connection waits
// for its oldest request, and issues the next when it is answered.
func (l load) run(ctx context.Context, servers string, round int, length time.Duration) (result, error) {
	clients := make([]*gazoo.Client, l.conns)
	for i := range clients {
		zk, err := gazoo.Connect(ctx, servers)
		if err != nil {
			return result{}, err
		}
		defer zk.Close()
		clients[i] = zk
		if _, err := zk.EnsurePath(ctx, fmt.Sprintf("/measure/%d-%d", round, i)); err != nil {
			return result{}, err
		}
	}
	taken := make([][]time.Duration, l.conns)
	errs := make([]error, l.conns)
	begin := time.Now()
	var wg sync.WaitGroup
	for i, zk := range clients {
		wg.Go(func() { taken[i], errs[i] = l.drive(ctx, zk.Async(), i, begin.Add(length)) })
	}
	wg.Wait()
	elapsed := time.Since(begin)
	for _, err := range errs {
		if err != nil {
			return result{}, err
		}
	}
	all := slices.Concat(taken...)
	if len(all) == 0 {
		return result{}, fmt.Errorf("no %s was answered by %s", l.name, servers)
	}
	slices.Sort(all)
	return result{
		perSecond: int(float64(len(all)) / elapsed.Seconds()),
		p50:       all[len(all)/2], p99: all[len(all)*99/100],
	}, nil
}

// drive is the load of one connection.
func (l load) drive(ctx context.Context, a gazoo.Async, conn int, until time.Time) ([]time.Duration, error) {
	type request struct {
		since time.Time
		wait  waiter
	}
	flight := make([]request, l.inFlight)
	taken := make([]time.Duration, 0, 1<<16)
	for i := 0; ; i++ {
		r := &flight[i%len(flight)]
		now := time.Now()
		if r.wait != nil {
			if err := r.wait(ctx); err != nil {
				return nil, err
			}
			now = time.Now()
			taken = append(taken, now.Sub(r.since))
			r.wait = nil
		}
		if now.After(until) {
			break
		}
		*r = request{now, l.op(ctx, a, conn, i)}
	}
	for _, r := range flight {
		if r.wait != nil {
			if err := r.wait(ctx); err != nil {
				return nil, err
			}
		}
	}
	return taken, nil
}
