package barrier

import (
	"context"
	"errors"
	"fmt"

	"github.com/gazoo-zk/gazoo"
)

// Barrier is up as long as its znode exists. Safe for concurrent use; it needs no close.
type Barrier struct {
	zk   *gazoo.Client
	path string
}

// New makes the barrier of a path. Nothing is sent.
//
// Errors: [gazoo.ErrBadArguments].
func New(zk *gazoo.Client, path string) (*Barrier, error) {
	if err := validate(zk, path); err != nil {
		return nil, fmt.Errorf("new barrier: %w", err)
	}
	return &Barrier{zk, path}, nil
}

func validate(zk *gazoo.Client, path string) error {
	var noClient error
	if zk == nil {
		noClient = &gazoo.ArgumentError{Arg: "client", Reason: "is nil"}
	}
	return errors.Join(noClient, gazoo.ValidatePath(path))
}

// Create puts the barrier up, with its parents where they are missing, and reports whether it was down.
func (b *Barrier) Create(ctx context.Context) (created bool, err error) {
	err = b.zk.Retry(ctx, func(ctx context.Context) error {
		created, err = b.zk.EnsurePath(ctx, b.path)
		if gazoo.MaybeApplied(err) {
			return gazoo.ForceRetry(err) // to do it twice does no harm
		}
		return err
	})
	return created, err
}

// Remove takes the barrier down and reports whether it was up. A lost answer is resolved: false means that it was down
// before the call.
//
// Errors: [gazoo.ErrNotEmpty] when something else lives below the path.
func (b *Barrier) Remove(ctx context.Context) (removed bool, err error) {
	err = b.zk.DeleteIdempotent(ctx, b.path, gazoo.AnyVersion)
	if errors.Is(err, gazoo.ErrNoNode) {
		return false, nil
	}
	return err == nil, err
}

// Wait waits until the barrier is down, which it may be already. It looks behind a sync, so it does not pass one that had
// been put up before the call. One that was taken down and put up again while nobody could see it has been down.
//
// Errors: the context's, [gazoo.ErrClosed], [gazoo.ErrNoAuth].
func (b *Barrier) Wait(ctx context.Context) error {
	// A server that is behind may not have heard of the barrier.
	if err := b.zk.Retry(ctx, func(ctx context.Context) error { return b.zk.Sync(ctx, b.path) }); err != nil {
		return fmt.Errorf("wait for barrier: %w", err)
	}
	var up int64 // zxid of the create of the barrier that is waited for
	for snap, err := range b.zk.WatchData(ctx, b.path) {
		if err != nil {
			return fmt.Errorf("wait for barrier: %w", err)
		}
		if !snap.Exists || up != 0 && snap.Stat.Czxid != up {
			return nil
		}
		up = snap.Stat.Czxid
	}
	return ctx.Err()
}
