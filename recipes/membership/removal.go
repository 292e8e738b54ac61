package membership

import (
	"context"
	"errors"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
)

// removalWork is the deletion of a znode whose upkeep has ended. Its fields are read once done is closed.
type removalWork struct {
	done    chan struct{}
	deleted bool
	err     error
}

// startRemoval begins to delete what the upkeep has left, in the background. A create whose answer was lost counts.
func (n *PersistentNode) startRemoval() *removalWork {
	r := &removalWork{done: make(chan struct{})}
	if !n.tried || n.opts.keep {
		close(r.done)
		return r
	}
	session, over := n.tenancy, n.zk.Context()
	if n.opts.ephemeral() {
		over = session.Context()
	} else {
		session = nil
	}
	finished := make(chan struct{})
	lost := false // a delete may have been applied
	deleted := false
	var final error
	n.zk.Cleanup(session, func(ctx context.Context, zk *gazoo.Client) error {
		err := n.deleteOwn(ctx, zk, &deleted, &lost)
		if err == nil || !passing(err) && ctx.Err() == nil {
			if final = err; err != nil {
				final = n.wrap("close", err)
			}
			close(finished)
			return nil // reported by Close, which the log need not repeat
		}
		return err
	})
	go func() {
		defer close(r.done)
		select {
		case <-finished:
			r.deleted, r.err = deleted, final
		case <-over.Done():
			// With the session, or the client's, the znode goes or is out of reach.
		}
	}()
	return r
}

// passing reports whether a removal is worth another try.
func passing(err error) bool {
	return gazoo.WasNotSent(err) || gazoo.MaybeApplied(err) || retry.Lost(err) || errors.Is(err, gazoo.ErrThrottledOp)
}

// deleteOwn deletes what is this node's, and returns nil when nothing of it is left.
func (n *PersistentNode) deleteOwn(ctx context.Context, zk *gazoo.Client, deleted, lost *bool) error {
	paths := []string{n.path}
	if n.path == "" || n.opts.sequential {
		// A create that was lost and found too late may have a sibling.
		found, err := n.find(ctx, zk, n.tenancy.ID())
		if err != nil {
			return err
		}
		paths = found
	}
	for _, path := range paths {
		if err := n.deleteOne(ctx, zk, path, deleted, lost); err != nil {
			return err
		}
	}
	return nil
}

func (n *PersistentNode) deleteOne(ctx context.Context, zk *gazoo.Client, path string, deleted, lost *bool) error {
	for {
		stat, exists, err := zk.Exists(ctx, path)
		if err != nil {
			return err
		}
		if !exists {
			// A server that lags may not know of it yet: only a write is a sure barrier.
			_, err := zk.Txn().Check(path, gazoo.AnyVersion).Commit(ctx)
			if err == nil {
				continue
			}
			if errors.Is(err, gazoo.ErrNoNode) {
				*deleted = *deleted || *lost
				return nil
			}
			return err
		}
		if !n.ours(stat, n.tenancy.ID()) {
			return nil
		}
		switch err := zk.Delete(ctx, path, stat.Version); {
		case err == nil:
			*deleted = true
			return nil
		case errors.Is(err, gazoo.ErrNoNode), errors.Is(err, gazoo.ErrBadVersion):
		default:
			*lost = *lost || gazoo.MaybeApplied(err)
			return err
		}
	}
}
