package queue

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
)

// Errors of this package.
var (
	// ErrEmpty says that there is no item to be had at present.
	ErrEmpty = errors.New("queue is empty")
	// ErrInDoubt says that it is not known what a lost request did: see [DoubtError].
	ErrInDoubt = errors.New("in doubt")
)

// errRaced says that somebody else was faster.
var errRaced = errors.New("another consumer was faster")

// afterwards is how long an operation that must not be left half done goes on beyond its context's end.
const afterwards = time.Second

// DoubtError is about an item whose removal got no answer, and that has gone: this call has removed it, or another
// consumer has. It matches [ErrInDoubt], and [gazoo.MaybeApplied] is true of it.
type DoubtError struct {
	Path string
	Data []byte // the znode's
	Err  error  // how the answer was lost
}

// Error names the item.
func (e *DoubtError) Error() string {
	return fmt.Sprintf("the item at %s has gone, perhaps by this call: %v", e.Path, e.Err)
}

// Unwrap returns the cause.
func (e *DoubtError) Unwrap() []error { return []error{ErrInDoubt, e.Err} }

// Queue is a queue whose items are removed before they are processed: each is delivered at most once. What a consumer
// that fails has taken is gone, so use [Locking] for items that matter. Safe for concurrent use; it needs no close.
type Queue[T any] struct {
	*core[T]

	mu   sync.Mutex
	rest []T // items of a znode with several that was taken
}

// New makes a queue at a path. Nothing is sent; the path is made when something is put.
//
// Errors: [gazoo.ErrBadArguments], every problem at once.
func New[T any](zk *gazoo.Client, path string, codec Codec[T], opts ...Option) (*Queue[T], error) {
	c, err := newCore(zk, path, codec, opts, false)
	if err != nil {
		return nil, err
	}
	return &Queue[T]{core: c}, nil
}

// Get takes the first item. It does not wait for one.
//
// When ctx ends while an item is being removed, Get still waits for the answer, up to a second, since the item would be
// lost otherwise. When the connection is lost there, and the item has gone afterwards, nobody can tell who took it: the
// error is a [*DoubtError], which has the item. Whoever prefers a second delivery to a loss may use it.
//
// Errors: [ErrEmpty]; [*DoubtError]; [*DecodeError]; the context's; [gazoo.ErrNoAuth].
func (q *Queue[T]) Get(ctx context.Context) (T, error) { return q.get(ctx, "get from", false) }

// Take is Get that waits for an item.
func (q *Queue[T]) Take(ctx context.Context) (T, error) { return q.get(ctx, "take from", true) }

// Poll is Take that waits for a time at most: [ErrEmpty] says that no item came.
func (q *Queue[T]) Poll(ctx context.Context, d time.Duration) (T, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d, ErrEmpty)
	defer cancel()
	item, err := q.get(ctx, "poll", true)
	return item, pollError(ctx, err)
}

// pollError turns the end of a Poll's time into ErrEmpty.
func pollError(ctx context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && context.Cause(ctx) == ErrEmpty && !gazoo.MaybeApplied(err) {
		return ErrEmpty
	}
	return err
}

// Items iterates over Take: every item that it yields has been removed. An error ends it, and is its last element,
// except a [*DecodeError] and a [*DoubtError], which concern one item.
func (q *Queue[T]) Items(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			item, err := q.Take(ctx)
			if !yield(item, err) || err != nil && !single(err) {
				return
			}
		}
	}
}

// failed makes the error of a call. When its context has ended that is said too, whatever failed last, unless the error
// has an item.
func failed(ctx context.Context, what, path string, err error) error {
	if !single(err) {
		err = retry.Canceled(ctx, err)
	}
	return fmt.Errorf("%s %s: %w", what, path, err)
}

// single reports whether an error concerns one item alone.
func single(err error) bool {
	_, decode := errors.AsType[*DecodeError](err)
	_, doubt := errors.AsType[*DoubtError](err)
	return decode || doubt
}

func (q *Queue[T]) get(ctx context.Context, what string, wait bool) (T, error) {
	for {
		if item, ok := q.leftover(); ok {
			return item, nil
		}
		items, err := q.take(ctx, wait)
		if err != nil {
			var none T
			if err != ErrEmpty {
				err = failed(ctx, what, q.path, err)
			}
			return none, err
		}
		q.mu.Lock()
		q.rest = append(q.rest, items...)
		q.mu.Unlock()
	}
}

// leftover returns an item of a znode that was taken before.
func (q *Queue[T]) leftover() (item T, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.rest) == 0 {
		return item, false
	}
	item, q.rest = q.rest[0], q.rest[1:]
	return item, true
}

// take removes the next znode and returns its items.
func (q *Queue[T]) take(ctx context.Context, wait bool) ([]T, error) {
	for {
		e, err := q.feed.next(ctx, wait)
		if err != nil {
			return nil, err
		}
		items, err := q.remove(ctx, e)
		_, undecoded := errors.AsType[*DecodeError](err)
		_, doubt := errors.AsType[*DoubtError](err)
		switch {
		case err == nil:
			q.feed.won(e)
			return items, nil
		case err == errRaced:
			q.feed.lost(e)
			continue
		case undecoded:
			q.feed.setAside(e)
		case doubt:
			q.feed.forget(e)
		default:
			q.feed.giveBack(e)
		}
		return nil, err
	}
}

func (q *Queue[T]) entryPath(e entry) string {
	return gazoo.JoinPath(q.places[e.shard].entries, e.name)
}

// remove reads an item and deletes it, in the version that was read.
func (q *Queue[T]) remove(ctx context.Context, e entry) ([]T, error) {
	path := q.entryPath(e)
	for {
		data, stat, err := q.zk.Get(ctx, path)
		switch {
		case errors.Is(err, gazoo.ErrNoNode):
			return nil, errRaced
		case err != nil && retry.Lost(err) && ctx.Err() == nil:
			continue
		case err != nil:
			return nil, err
		}
		items, err := q.decode(path, data)
		if err != nil {
			return nil, err
		}
		switch err := q.delete(ctx, path, data, stat); {
		case err == nil:
			return items, nil
		case errors.Is(err, gazoo.ErrBadVersion): // written since: read it again
		default:
			return nil, err
		}
	}
}

// delete removes an item. Once that is sent, leaving would lose the item, so it goes on for a while after ctx.
func (q *Queue[T]) delete(ctx context.Context, path string, data []byte, stat gazoo.Stat) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	ctx, cancel := beyond(ctx)
	defer cancel()
	var doubt error
	for {
		err := q.zk.Delete(ctx, path, stat.Version)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, gazoo.ErrNoNode) && doubt == nil:
			return errRaced
		case errors.Is(err, gazoo.ErrNoNode), ctx.Err() != nil && gazoo.MaybeApplied(errors.Join(doubt, err)):
			return &DoubtError{Path: path, Data: data, Err: firstOf(doubt, err)}
		case gazoo.MaybeApplied(err):
			// If it is still there, it was not applied: the next delete tells, which comes behind the lost one.
			doubt = err
		case !retry.Lost(err) || ctx.Err() != nil:
			return err
		}
	}
}

// firstOf returns the first error that is not nil.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// beyond returns a context that ends a while after ctx.
func beyond(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(afterwards, func() { cancel(context.Cause(ctx)) })
		context.AfterFunc(longer, func() { timer.Stop() })
	})
	return longer, func() {
		stop()
		cancel(nil)
	}
}

// Peek returns the first item and leaves it where it is. It is nobody's: another consumer may take it at once.
//
// Errors: [ErrEmpty], [*DecodeError], the context's.
func (c *core[T]) Peek(ctx context.Context) (T, error) {
	item, err := c.peek(ctx)
	if err != nil && err != ErrEmpty {
		err = fmt.Errorf("peek into %s: %w", c.path, err)
	}
	return item, err
}

func (c *core[T]) peek(ctx context.Context) (item T, err error) {
	for {
		e, err := c.feed.look(ctx)
		if err != nil {
			return item, err
		}
		path := gazoo.JoinPath(c.places[e.shard].entries, e.name)
		data, _, err := c.zk.Get(ctx, path)
		switch {
		case errors.Is(err, gazoo.ErrNoNode):
			c.feed.lost(e)
			continue
		case err != nil:
			c.feed.giveBack(e)
			if retry.Lost(err) && ctx.Err() == nil {
				continue
			}
			return item, err
		}
		items, err := c.decode(path, data)
		if err != nil {
			c.feed.setAside(e)
			return item, err
		}
		c.feed.giveBack(e)
		if len(items) > 0 {
			return items[0], nil
		}
		c.feed.setAside(e)
	}
}
