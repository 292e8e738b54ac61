// Package load is a client program that uses as much of the client and the recipes as it can, for as long as it runs, and
// keeps nothing: what its process uses stays the same.
package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/cache"
	"github.com/gazoo-zk/gazoo/recipes/lock"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// How the clients behave.
const (
	clients = 16
	nodes   = 16                     // in the pool, and in the tree
	own     = 4                      // ephemerals of a client, at most
	call    = 3 * time.Second        // bounds one operation
	pause   = 80 * time.Millisecond  // at most, between two operations
	brief   = 200 * time.Millisecond // how long a watch is waited for, and a lock held, at most
)

// Program returns the program. It has no checker: what is judged is what it costs.
func Program() *program.Program {
	return &program.Program{
		Name: "load", Clients: clients, Setup: setup, Client: client,
		Check: func([]history.Op) []program.Violation { return nil },
	}
}

func setup(ctx context.Context, zk *gazoo.Client) error {
	for _, dir := range []string{"/pool", "/own"} {
		if _, err := zk.Create(ctx, dir, nil); err != nil {
			return err
		}
	}
	for i := range nodes {
		if _, err := zk.EnsurePath(ctx, fmt.Sprintf("/tree/%d/leaf", i)); err != nil {
			return err
		}
	}
	return nil
}

// user is one client.
type user struct {
	e  *program.Env
	zk *gazoo.Client
	mu *lock.Mutex
	c  *cache.Cache[[]byte]
}

func client(ctx context.Context, e *program.Env) error {
	zk, err := e.Open(ctx)
	if zk == nil {
		return err
	}
	defer zk.CloseNow()
	u := &user{e: e, zk: zk}
	if u.mu, err = lock.New(zk, "/lock"); err != nil {
		return err
	}
	if u.c, err = cache.New(zk, "/tree", cache.Bytes()); err != nil {
		return err
	}
	defer u.c.Close()
	var side sync.WaitGroup
	defer side.Wait()
	side.Go(func() {
		for ctx.Err() == nil {
			for range u.c.Events(ctx) {
			}
		}
	})
	side.Go(func() {
		for ctx.Err() == nil {
			for range zk.WatchChildren(ctx, "/pool") {
			}
		}
	})

	weights := 0
	for _, a := range acts {
		weights += a.weight
	}
	for e.Pause(ctx, pause) {
		a, dice := acts[0], e.Rand.IntN(weights)
		for _, a = range acts {
			if dice < a.weight {
				break
			}
			dice -= a.weight
		}
		op, cancel := context.WithTimeout(ctx, call)
		p := e.Begin(a.kind, "", nil)
		p.End(nil, a.do(op, u))
		cancel()
	}
	return nil
}

// act is something that a client does.
type act struct {
	kind   string
	weight int
	do     func(ctx context.Context, u *user) error
}

var acts = []act{
	{"create", 10, func(ctx context.Context, u *user) error {
		_, err := u.zk.Create(ctx, u.pooled(), []byte("made"))
		return err
	}},
	{"delete", 10, func(ctx context.Context, u *user) error { return u.zk.Delete(ctx, u.pooled(), -1) }},
	{"set", 10, func(ctx context.Context, u *user) error {
		_, err := u.zk.Set(ctx, u.leaf(), []byte(time.Now().String()), -1)
		return err
	}},
	{"get", 10, func(ctx context.Context, u *user) error { _, _, err := u.zk.Get(ctx, u.leaf()); return err }},
	{"exists", 5, func(ctx context.Context, u *user) error { _, _, err := u.zk.Exists(ctx, u.pooled()); return err }},
	{"children", 5, func(ctx context.Context, u *user) error { _, err := u.zk.Children(ctx, "/pool"); return err }},
	{"sync", 5, func(ctx context.Context, u *user) error { return u.zk.Sync(ctx, "/") }},
	{"transaction", 5, func(ctx context.Context, u *user) error {
		path := u.pooled()
		_, err := u.zk.Txn().Create(path, nil).Set(path, []byte("twice"), 0).Delete(path, 1).Commit(ctx)
		return err
	}},
	{"multi-read", 5, func(ctx context.Context, u *user) error {
		_, err := u.zk.MultiRead(ctx, gazoo.ReadData(u.leaf()), gazoo.ReadChildren("/pool"))
		return err
	}},
	{"pipeline", 5, func(ctx context.Context, u *user) error {
		a, b := u.zk.Async().Get(ctx, u.leaf()), u.zk.Async().Set(ctx, u.leaf(), nil, -1)
		_, first := a.Wait(ctx)
		_, second := b.Wait(ctx)
		return errors.Join(first, second)
	}},
	{"ephemeral", 10, func(ctx context.Context, u *user) error {
		_, err := u.zk.Create(ctx, u.mine(), nil, gazoo.Ephemeral())
		return err
	}},
	{"delete ephemeral", 10, func(ctx context.Context, u *user) error { return u.zk.Delete(ctx, u.mine(), -1) }},
	{"delete for certain", 2, func(_ context.Context, u *user) error { return u.zk.DeleteLater(u.mine()) }},
	{"data watch", 10, func(ctx context.Context, u *user) error {
		_, _, w, err := u.zk.GetW(ctx, u.leaf())
		return u.await(ctx, w, err)
	}},
	{"existence watch", 10, func(ctx context.Context, u *user) error {
		_, _, w, err := u.zk.ExistsW(ctx, u.pooled())
		return u.await(ctx, w, err)
	}},
	{"child watch", 10, func(ctx context.Context, u *user) error {
		_, _, w, err := u.zk.ChildrenW(ctx, "/own")
		return u.await(ctx, w, err)
	}},
	{"stream", 5, func(ctx context.Context, u *user) error {
		s, err := u.zk.Watch(ctx, u.leaf())
		if err != nil {
			return err
		}
		defer s.Close()
		ctx, cancel := context.WithTimeout(ctx, brief)
		defer cancel()
		if _, err = s.Next(ctx); errors.Is(err, context.DeadlineExceeded) {
			return nil // nothing happened
		}
		return err
	}},
	{"lock", 10, func(ctx context.Context, u *user) error {
		return u.mu.Do(ctx, func(ctx context.Context, _ *lock.Held) error {
			u.e.Pause(ctx, brief/10)
			return nil
		})
	}},
	{"cache", 10, func(_ context.Context, u *user) error { _, _, err := u.c.Get(u.leaf()); return err }},
	{"cache of its own", 1, func(ctx context.Context, u *user) error {
		c, err := cache.New(u.zk, "/pool", cache.Bytes())
		if err != nil {
			return err
		}
		defer c.Close()
		return c.WaitSynced(ctx)
	}},
	{"client of its own", 1, func(ctx context.Context, u *user) error {
		zk, err := u.e.Connect(ctx)
		if err != nil {
			return err
		}
		defer zk.Close()
		_, err = zk.Children(ctx, "/own")
		return err
	}},
}

func (u *user) pooled() string { return fmt.Sprintf("/pool/%d", u.e.Rand.IntN(nodes)) }
func (u *user) leaf() string   { return fmt.Sprintf("/tree/%d/leaf", u.e.Rand.IntN(nodes)) }
func (u *user) mine() string   { return fmt.Sprintf("/own/%d-%d", u.e.Client, u.e.Rand.IntN(own)) }

// await waits for a watch for a moment.
func (u *user) await(ctx context.Context, w *gazoo.Watch, err error) error {
	if err != nil {
		return err
	}
	defer w.Close()
	ctx, cancel := context.WithTimeout(ctx, brief)
	defer cancel()
	if _, err = w.Wait(ctx); errors.Is(err, context.DeadlineExceeded) {
		return nil // nothing happened
	}
	return err
}
