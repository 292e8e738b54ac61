package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
)

// core is what all queues have in common: the producer's side, and the feed of the consumer's.
type core[T any] struct {
	zk     *gazoo.Client
	path   string
	codec  Codec[T]
	cfg    *config
	places []place
	feed   *feed
}

func newCore[T any](zk *gazoo.Client, path string, codec Codec[T], opts []Option, locking bool) (*core[T], error) {
	cfg, places, err := configure(zk, path, opts, locking)
	if codec.Encode == nil || codec.Decode == nil {
		err = errors.Join(err, &gazoo.ArgumentError{Arg: "codec", Reason: "incomplete"})
	}
	if err != nil {
		return nil, fmt.Errorf("new queue: %w", err)
	}
	return &core[T]{zk: zk, path: path, codec: codec, cfg: cfg, places: places, feed: newFeed(zk, cfg, places)}, nil
}

// Path returns the path of the queue.
func (c *core[T]) Path() string { return c.path }

// Put appends an item. With [WithCapacity] it waits for room.
//
// A lost connection is waited out as long as it is certain that the item was not put. Where that cannot be shown the
// error matches [gazoo.MaybeApplied], and the item may be there: the names of queues have no room for a mark by which
// it could be found. It is certain when nothing was sent, and when no child of the queue was made or deleted since.
//
// Errors: [gazoo.ErrBadArguments] for an option that the style does not have, those of the codec, [gazoo.ErrNoAuth],
// [gazoo.ErrRequestTooLarge].
func (c *core[T]) Put(ctx context.Context, item T, opts ...PutOption) error {
	return c.PutAll(ctx, []T{item}, opts...)
}

// PutAll appends several items with the same options, all or none: in one transaction, or, in Curator's styles, in one
// znode, which is taken as a whole. It never splits them: those that are too large together for one request are
// refused, and none is put. See [Queue.Put] for what is certain.
//
// Errors: those of Put.
func (c *core[T]) PutAll(ctx context.Context, items []T, opts ...PutOption) error {
	if len(items) == 0 {
		return nil
	}
	prefix, err := c.cfg.style.newPut(opts)
	if err == nil {
		var data [][]byte
		if data, err = c.encode(items); err == nil {
			err = c.write(ctx, c.shard(), prefix, data)
		}
	}
	if err != nil {
		return fmt.Errorf("put into %s: %w", c.path, err)
	}
	return nil
}

// Len returns the number of znodes in the queue, from one request for each shard: that is of items, but for those that
// share one in Curator's styles, and with foreign children. Items of a [Locking] count until they are consumed.
func (c *core[T]) Len(ctx context.Context) (int, error) {
	n := 0
	for _, p := range c.places {
		stat, err := exists(ctx, c.zk, p.entries)
		if err != nil {
			return 0, fmt.Errorf("length of %s: %w", c.path, err)
		}
		n += int(stat.NumChildren)
	}
	return n, nil
}

// shard chooses where an item goes.
func (c *core[T]) shard() int { return rand.IntN(len(c.places)) }

// noticed tells the feed of an entry that was put.
func (c *core[T]) noticed(shard int, path string) {
	if e, ok := c.cfg.style.parse(gazoo.BaseName(path)); ok {
		e.shard = shard
		c.feed.added(e)
	}
}

// write creates the znodes of one put, in the shard.
func (c *core[T]) write(ctx context.Context, shard int, prefix string, data [][]byte) error {
	dir := c.places[shard].entries
	for conflicts := 0; ; {
		before := c.zk.LastZxid()
		paths, err := c.try(ctx, dir, prefix, data)
		switch {
		case err == nil:
			for _, path := range paths {
				c.noticed(shard, path)
			}
			return nil
		case errors.Is(err, errFull):
			if err := c.awaitRoom(ctx, dir, len(data)); err != nil {
				return err
			}
		case errors.Is(err, gazoo.ErrBadVersion): // another put came between the count and this one
			conflicts = min(conflicts+1, 6)
			if err := retry.Sleep(ctx, rand.N(time.Millisecond<<conflicts)); err != nil {
				return err
			}
		case errors.Is(err, gazoo.ErrNoNode):
			if err := ensure(ctx, c.zk, dir, c.cfg.acl); err != nil {
				return err
			}
		case gazoo.MaybeApplied(err):
			if !c.untouched(ctx, dir, before) {
				return err
			}
		case !retry.Lost(err) || ctx.Err() != nil:
			return err
		}
	}
}

// try puts once: with one request, or two with a capacity.
func (c *core[T]) try(ctx context.Context, dir, prefix string, data [][]byte) ([]string, error) {
	opts := []gazoo.CreateOption{gazoo.Sequential()}
	if c.cfg.acl != nil {
		opts = append(opts, gazoo.WithACL(c.cfg.acl...))
	}
	path := gazoo.JoinPath(dir, prefix)
	if len(data) == 1 && c.cfg.capacity == 0 {
		created, err := c.zk.Create(ctx, path, data[0], opts...)
		return []string{created}, err
	}
	txn := c.zk.Txn()
	if c.cfg.capacity > 0 {
		if err := c.guard(ctx, txn, dir, len(data)); err != nil {
			return nil, err
		}
	}
	for _, d := range data {
		txn.Create(path, d, opts...)
	}
	results, err := txn.Commit(ctx)
	var created []string
	for _, r := range results {
		if r.Op == "create" {
			created = append(created, r.Path)
		}
	}
	return created, err
}

// untouched reports whether it is certain that no child of dir was made or deleted after the given zxid, so that a
// create without an answer was not applied. The new connection's session excludes that it still will be.
func (c *core[T]) untouched(ctx context.Context, dir string, before int64) bool {
	// A write, so that the server connected to has seen whatever the lost one did.
	if barrier(ctx, c.zk) != nil {
		return false
	}
	stat, err := exists(ctx, c.zk, dir)
	return err == nil && stat.Czxid != 0 && stat.Pzxid <= before
}

// barrier commits a transaction that changes nothing. What is read afterwards is no older, whichever server answers; a
// sync would not do, since a leader answers it like a read.
func barrier(ctx context.Context, zk *gazoo.Client) error {
	for {
		_, err := zk.Txn().Check("/", gazoo.AnyVersion).Commit(ctx)
		if _, refused := errors.AsType[*gazoo.TxnError](err); err == nil || refused {
			return nil // a refusal takes the same way through the ensemble
		}
		if !retry.Lost(err) || ctx.Err() != nil || errors.Is(err, gazoo.ErrSessionOver) {
			return err
		}
	}
}

// exists reads a stat over lost connections: zero when there is no znode. In a view bound to a session it ends with it.
func exists(ctx context.Context, zk *gazoo.Client, path string) (gazoo.Stat, error) {
	for {
		stat, _, err := zk.Exists(ctx, path)
		if err == nil || !retry.Lost(err) || ctx.Err() != nil || errors.Is(err, gazoo.ErrSessionOver) {
			return stat, err
		}
	}
}
