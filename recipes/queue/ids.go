package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/gazoo-zk/gazoo"
)

// RemoveID removes the items with an id that are in the queue, in the style [CuratorID], and returns how many those
// were. Items of a [Locking] that somebody is at are left alone. A lost connection is waited out; what went in the
// meantime counts as removed.
func (q *Queue[T]) RemoveID(ctx context.Context, id string) (int, error) {
	return q.removeID(ctx, id, func(e entry) (bool, error) {
		path := q.entryPath(e)
		err := q.zk.DeleteIdempotent(ctx, path, gazoo.AnyVersion)
		if errors.Is(err, gazoo.ErrNoNode) {
			return false, nil
		}
		return err == nil, err
	})
}

// RemoveID is [Queue.RemoveID]. Each item is locked before it is removed.
func (q *Locking[T]) RemoveID(ctx context.Context, id string) (int, error) {
	return q.removeID(ctx, id, func(e entry) (bool, error) {
		if !q.feed.reserve(e) {
			return false, nil // somebody in this process has it
		}
		item, err := q.lock(ctx, e, func(string, []byte) ([]T, error) { return nil, nil })
		if err == errRaced {
			return false, nil
		}
		if err == nil {
			err = item.Consume(ctx)
		}
		return err == nil, err
	})
}

func (c *core[T]) removeID(ctx context.Context, id string, remove func(entry) (bool, error)) (n int, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("remove %q from %s: %w", id, c.path, err)
		}
	}()
	if !c.cfg.style.ids {
		return 0, &gazoo.ArgumentError{Arg: "style", Reason: "the style " + c.cfg.style.Name + " has no ids"}
	}
	if err := checkID(id); err != nil {
		return 0, err
	}
	l, _, err := c.feed.list(ctx, false)
	if err != nil {
		return 0, err
	}
	for _, e := range l.entries {
		if e.id != id {
			continue
		}
		removed, err := remove(e)
		if err != nil {
			return n, err
		}
		if removed {
			n++
		}
	}
	return n, nil
}

// CountID returns how many items with an id are in the queue, in the style [CuratorID], from one listing.
func (c *core[T]) CountID(ctx context.Context, id string) (int, error) {
	return c.removeID(ctx, id, func(entry) (bool, error) { return true, nil })
}
