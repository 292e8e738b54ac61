package cache

import (
	"context"
	"time"
)

// WaitFor waits until a condition holds, which is looked at now and after each change of the cache. cond reads the cache;
// it must not wait.
//
// Errors: the context's, [ErrClosed], and what ended the cache.
func (c *Cache[T]) WaitFor(ctx context.Context, cond func() bool) error {
	for {
		c.mu.Lock()
		if c.changed == nil {
			c.changed = make(chan struct{})
		}
		changed, failed := c.changed, c.failed
		c.mu.Unlock()
		switch {
		case cond():
			return nil
		case failed != nil:
			return failed
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// WaitSynced waits until the cache is in order: filled, and compared with the server since the last lost connection.
func (c *Cache[T]) WaitSynced(ctx context.Context) error {
	return c.WaitFor(ctx, func() bool { return !c.Synced().Stale })
}

// WaitZxid waits until every change up to a zxid is in, such as one that was made by the caller (Stat.Mzxid of a Set):
// to read one's own writes. It takes a sync. What it relies on: a server sends the events of a change before any answer
// that is as new as the change, so behind an answer with that zxid the cache has heard of it.
//
// Errors: those of WaitFor, and of the sync.
func (c *Cache[T]) WaitZxid(ctx context.Context, zxid int64) error {
	for pause := time.Millisecond; ; pause = min(2*pause, time.Second) {
		reached, err := c.barrier(ctx, nil)
		if err != nil || reached >= zxid {
			return err
		}
		// The zxid is one that the server does not know yet.
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Snapshot is what a cache held at one moment, with what is known of that moment: every change up to the zxid Lowest is
// in it, and none after Highest. When they are equal it is the tree as it was at that zxid.
type Snapshot[T any] struct {
	Nodes           []Node[T] // parents before children, siblings by name
	Lowest, Highest int64
}

// Consistent reports whether all is of one moment.
func (s Snapshot[T]) Consistent() bool { return s.Lowest == s.Highest }

// Snapshot copies what the cache holds, behind a sync. It tries a few times to get it consistent.
//
// Errors: those of [Cache.WaitZxid].
func (c *Cache[T]) Snapshot(ctx context.Context) (Snapshot[T], error) {
	var s Snapshot[T]
	for range 5 {
		var highest int64
		var nodes []Node[T]
		lowest, err := c.barrier(ctx, func() {
			nodes, highest = c.copyOf(c.path), c.modified // this is the owner: nothing changes meanwhile
		})
		if err != nil {
			return s, err
		}
		// What was applied last is no later than highest; all up to lowest is in.
		if s = (Snapshot[T]{nodes, lowest, max(lowest, highest)}); s.Consistent() {
			break
		}
	}
	return s, nil
}

// barrier waits until everything has been applied that the server had heard of at some moment behind the call, runs
// then on the cache's goroutine, and returns the zxid of that moment.
func (c *Cache[T]) barrier(ctx context.Context, then func()) (zxid int64, err error) {
	for {
		err := c.zk.Sync(ctx, c.path)
		if err == nil {
			break
		}
		if ctx.Err() != nil || !passing(err) {
			return 0, err
		}
	}
	zxid = c.zk.LastZxid()
	dealt := make(chan struct{})
	a := ask[T]{func() {
		if then != nil {
			then()
		}
		close(dealt)
	}}
	select {
	case c.asks <- a:
	case <-c.done:
		return 0, c.Err()
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	select {
	case <-dealt:
		return zxid, nil
	case <-c.done:
		return 0, c.Err()
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}
