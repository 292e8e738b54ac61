package queue

import (
	"context"
	"errors"
	"iter"
	"sync"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/owned"
)

// Items iterates over Take. An item that the loop's body has neither consumed, requeued nor released is handed back when
// the body ends, also by break, return or panic, and left to other consumers for the retry delay
// ([WithRetryDelay]). An error ends the iteration, and is its last element, except a [*DecodeError], which concerns
// one item.
func (q *Locking[T]) Items(ctx context.Context) iter.Seq2[*Item[T], error] {
	return func(yield func(*Item[T], error) bool) {
		for {
			item, err := q.Take(ctx)
			if err != nil {
				if !yield(nil, err) || !single(err) {
					return
				}
				continue
			}
			if !q.offer(ctx, item, yield) {
				return
			}
		}
	}
}

func (q *Locking[T]) offer(ctx context.Context, item *Item[T], yield func(*Item[T], error) bool) bool {
	defer item.handBack(ctx, q.cfg.retry)
	return yield(item, nil)
}

// Run consumes items with so many goroutines until ctx ends: each takes an item, calls fn, and consumes the item when
// fn returns nil. When fn fails the item is handed back, or put at the end with [WithRequeue]; see [WithErrors]. The
// context of fn ends when the lock on the item is lost or ctx ends; fn may end the item itself.
//
// It returns when all goroutines have, with the context's error, or with the first one that keeps items from being
// taken, such as [gazoo.ErrNoAuth] or [gazoo.ErrClosed].
func (q *Locking[T]) Run(ctx context.Context, workers int, fn func(ctx context.Context, item *Item[T]) error) error {
	if workers < 1 {
		return &gazoo.ArgumentError{Arg: "workers", Reason: "less than one"}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			if err := q.work(ctx, fn); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// work is one goroutine of Run.
func (q *Locking[T]) work(ctx context.Context, fn func(context.Context, *Item[T]) error) error {
	report := q.cfg.onError
	for {
		item, err := q.Take(ctx)
		if err != nil {
			if report == nil || !single(err) {
				return err
			}
			report(err)
			continue
		}
		if err := q.process(ctx, item, fn); err != nil && report != nil {
			report(err)
		}
	}
}

// process calls the function with one item, and ends the item.
func (q *Locking[T]) process(ctx context.Context, item *Item[T], fn func(context.Context, *Item[T]) error) error {
	work, done := owned.While(item.Context(), ctx)
	defer done()
	defer item.handBack(ctx, q.cfg.retry)
	err := fn(work, item)
	switch {
	case item.done.Load():
	case err == nil:
		err = item.Consume(ctx)
	case q.cfg.requeue && item.Err() == nil:
		err = errors.Join(err, item.Requeue(ctx))
	}
	return err
}
