package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
)

// errFull says that there is no room at present.
var errFull = errors.New("queue is full")

// guard reads how full the queue is and adds to the transaction what makes it fail when another put was faster: the
// queue's own znode is written, with the version that was read together with the number of its children. Only takes
// can come between, which make room.
func (c *core[T]) guard(ctx context.Context, txn *gazoo.Txn, dir string, items int) error {
	if items > c.cfg.capacity {
		return &gazoo.ArgumentError{Arg: "items", Reason: fmt.Sprintf("%d at once, where the capacity is %d", items, c.cfg.capacity)}
	}
	data, stat, err := c.zk.Get(ctx, dir)
	if err != nil {
		return err
	}
	if int(stat.NumChildren)+items > c.cfg.capacity {
		return errFull
	}
	txn.Set(dir, data, stat.Version)
	return nil
}

// awaitRoom waits until the queue has room, or has gone. It costs one request for each item that others take.
func (c *core[T]) awaitRoom(ctx context.Context, dir string, items int) error {
	changes, err := c.zk.Watch(ctx, dir)
	if err != nil {
		if retry.Lost(err) && ctx.Err() == nil {
			return nil // the next try tells
		}
		return err
	}
	defer changes.Close()
	for {
		stat, err := exists(ctx, c.zk, dir)
		if err != nil || int(stat.NumChildren)+items <= c.cfg.capacity {
			return err
		}
		if _, err := changes.Next(ctx); err != nil {
			return err
		}
	}
}
