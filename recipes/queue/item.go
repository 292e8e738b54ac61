package queue

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/plant"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
	"github.com/gazoo-zk/gazoo/recipes/tenure"
)

// Errors of held items, which are those of [tenure].
var (
	ErrLost     = tenure.ErrLost     // the lock on the item is lost, or that is in doubt: others may have the item
	ErrReleased = tenure.ErrReleased // the item was consumed or handed back
)

// Item is an item that is locked: see [tenure.Tenure] for what its context, its token and its guarded transactions
// promise. Whoever got it consumes it or releases it; the first of these calls ends it. Safe for concurrent use.
type Item[T any] struct {
	*tenure.Tenure
	Value  T   // the item; the first one of several in one znode
	Values []T // all items of the znode: one, except in Curator's styles

	q    *Locking[T]
	e    entry
	lock *locked
	data []byte
	done atomic.Bool // consumed, requeued or released by somebody
	left atomic.Bool // the feed knows
}

// begin starts the tenure of the lock.
func (i *Item[T]) begin(ctx context.Context) error {
	var again, replaced atomic.Bool
	var held atomic.Pointer[tenure.Tenure]
	opts := []tenure.Option{
		tenure.RemoveWith(func(ctx context.Context, zk *gazoo.Client) error {
			if again.Swap(true) {
				// A delete without an answer may have been applied, and somebody else may have the lock since.
				return i.lock.removeIf(ctx, zk, func(stat gazoo.Stat, _ []byte) bool { return stat.Czxid == i.lock.token })
			}
			return zk.DeleteIfExists(ctx, i.lock.taken, gazoo.AnyVersion)
		}),
		// The path is that of every lock on this item: one that was deleted and made again is not ours.
		tenure.OnChange(func(_ []byte, stat gazoo.Stat) {
			if stat.Czxid != i.lock.token {
				again.Store(true)
				replaced.Store(true)
				if t := held.Load(); t != nil {
					t.Withdraw(tenure.ErrDeleted)
				}
			}
		}),
	}
	if i.q.cfg.quorum {
		opts = append(opts, tenure.Quorum())
	}
	t, err := tenure.Begin(ctx, i.q.zk, i.lock.session, i.lock.taken, i.lock.token, opts...)
	if err != nil {
		return err
	}
	held.Store(t)
	i.Tenure = t
	if replaced.Load() {
		t.Withdraw(tenure.ErrDeleted)
	}
	context.AfterFunc(t.Context(), func() {
		if replaced.Load() {
			t.Release(context.Background()) // there is nothing to delete, and nobody has to call it
		}
		if !i.done.Load() {
			i.leave(0)
		}
	})
	return nil
}

// Path returns the znode of the item; [tenure.Tenure.Path] is that of the lock.
func (i *Item[T]) Path() string { return i.lock.entry }

// Consume removes the item for good, with its lock, in one transaction that the server refuses once the lock has gone.
// The item ends with it, whatever the result: unless it was removed, it goes back to the queue.
//
// A lost connection is waited out and the outcome found out, by ctx, and for a second when ctx has ended.
//
// Errors: [ErrLost], the item is or will be somebody else's; [ErrReleased]; [*DoubtError], the session ended over a
// lost answer and the item may have been removed or not; the context's.
func (i *Item[T]) Consume(ctx context.Context) error {
	return i.finish(ctx, "consume", func(txn *gazoo.Txn) {
		if !plant.QueueAcknowledgesEarly {
			txn.Delete(i.lock.entry, gazoo.AnyVersion)
		}
	})
}

// Requeue puts the item at the end of the queue, behind those of the same priority, due time or id, and releases it: a
// new znode with the same data takes the old one's place in one transaction. Errors are those of Consume.
func (i *Item[T]) Requeue(ctx context.Context) error {
	opts := []gazoo.CreateOption{gazoo.Sequential()}
	if i.q.cfg.acl != nil {
		opts = append(opts, gazoo.WithACL(i.q.cfg.acl...))
	}
	prefix := gazoo.JoinPath(i.q.places[i.e.shard].entries, i.e.prefix())
	return i.finish(ctx, "requeue", func(txn *gazoo.Txn) {
		txn.Delete(i.lock.entry, gazoo.AnyVersion).Create(prefix, i.data, opts...)
	})
}

// Release hands the item back to where it was in the queue: others can take it at once. It behaves like
// [tenure.Tenure.Release], and does nothing for an item that was consumed.
func (i *Item[T]) Release(ctx context.Context) error { return i.handBack(ctx, 0) }

// handBack releases the item and leaves it to others for a while.
func (i *Item[T]) handBack(ctx context.Context, d time.Duration) error {
	first := i.done.CompareAndSwap(false, true)
	err := i.Tenure.Release(ctx)
	if first {
		i.leave(d)
	}
	return err
}

// leave tells the feed that the item is back.
func (i *Item[T]) leave(d time.Duration) {
	switch {
	case !i.left.CompareAndSwap(false, true):
	case d > 0:
		i.q.feed.putOff(i.e, d)
	default:
		i.q.feed.giveBack(i.e)
	}
}

// Holds asks the ensemble whether the lock is still held, by a committed write and a read behind it. False comes with
// no error when it is certain that it is not.
func (i *Item[T]) Holds(ctx context.Context) (bool, error) {
	err := i.Verify(ctx)
	if err == nil {
		var stat gazoo.Stat
		if stat, err = exists(ctx, i.q.zk.InSession(i.Session()), i.lock.taken); err == nil {
			return stat.Czxid == i.lock.token, nil
		}
	}
	if errors.Is(err, ErrLost) || errors.Is(err, ErrReleased) || gazoo.SessionLost(err) {
		return false, nil
	}
	return false, err
}

// finish commits what ends the item: the change to the entry, and the delete of the lock.
func (i *Item[T]) finish(ctx context.Context, what string, change func(*gazoo.Txn)) error {
	fail := func(err error) error { return fmt.Errorf("%s %s: %w", what, i.lock.entry, err) }
	if err := i.Err(); err != nil {
		return fail(err)
	}
	if !i.done.CompareAndSwap(false, true) {
		return fail(ErrReleased)
	}
	err := i.commit(ctx, change)
	if err != nil {
		i.leave(0)
		return fail(err)
	}
	i.q.feed.forget(i.e)
	return nil
}

func (i *Item[T]) commit(ctx context.Context, change func(*gazoo.Txn)) error {
	// The delete of the lock must not look like the work of others, so the tenure ends first.
	i.Settle()
	ctx, cancel := beyond(ctx)
	defer cancel()
	var doubt error
	for {
		txn := i.Txn()
		change(txn)
		_, err := txn.Delete(i.lock.taken, gazoo.AnyVersion).Commit(ctx)
		if err == nil {
			return nil
		}
		_, refused := errors.AsType[*gazoo.TxnError](err)
		switch {
		case refused && errors.Is(err, gazoo.ErrNoNode):
			if doubt != nil && i.gone(ctx) {
				return nil // by the one whose answer was lost: nobody else could
			}
			i.lock.discard()
			return fmt.Errorf("%w: %w", ErrLost, err)
		case gazoo.SessionLost(err) && doubt == nil && !gazoo.MaybeApplied(err):
			i.lock.discard() // a session that was merely presumed expired may come back
			return fmt.Errorf("%w: %w", ErrLost, err)
		case gazoo.SessionLost(err):
			i.lock.discard()
			return &DoubtError{Path: i.lock.entry, Data: i.data, Err: firstOf(doubt, err)}
		case gazoo.MaybeApplied(err):
			doubt = err
		}
		if !retry.Passing(err) || ctx.Err() != nil {
			i.lock.discard()
			return firstOf(doubt, err)
		}
	}
}

// gone reports whether the entry that was locked does not exist any more. The refusal of a transaction came before.
func (i *Item[T]) gone(ctx context.Context) bool {
	stat, err := exists(ctx, i.q.zk.InSession(i.lock.session), i.lock.entry)
	return err == nil && stat.Czxid != i.lock.stat.Czxid
}
