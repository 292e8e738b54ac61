package queue

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/plant"
	"github.com/gazoo-zk/gazoo/recipes/internal/owned"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
	"github.com/gazoo-zk/gazoo/recipes/tenure"
)

// Locking is a queue whose items are locked while they are processed, and removed when that is done: each is delivered
// at least once. The lock is an ephemeral znode, so what a consumer that dies was at goes back. Safe for concurrent use;
// it needs no close.
type Locking[T any] struct {
	*core[T]
	owner []byte
}

// NewLocking makes a locking queue at a path. Nothing is sent; the znodes below the path are made when they are needed.
//
// Errors: [gazoo.ErrBadArguments], every problem at once.
func NewLocking[T any](zk *gazoo.Client, path string, codec Codec[T], opts ...Option) (*Locking[T], error) {
	c, err := newCore(zk, path, codec, opts, true)
	if err != nil {
		return nil, err
	}
	owner := c.cfg.owner
	if owner == nil {
		owner = []byte(owned.NewGUID().Hex())
	}
	return &Locking[T]{core: c, owner: owner}, nil
}

// Get locks the first item that nobody has locked. It does not wait for one.
//
// Errors: [ErrEmpty]; [*DecodeError]; the context's, and nothing is locked then (a lock in doubt is deleted in the
// background); [gazoo.ErrNoAuth].
func (q *Locking[T]) Get(ctx context.Context) (*Item[T], error) { return q.get(ctx, "get from", false) }

// Take is Get that waits for an item.
func (q *Locking[T]) Take(ctx context.Context) (*Item[T], error) {
	return q.get(ctx, "take from", true)
}

// Poll is Take that waits for a time at most: [ErrEmpty] says that no item came.
func (q *Locking[T]) Poll(ctx context.Context, d time.Duration) (*Item[T], error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d, ErrEmpty)
	defer cancel()
	item, err := q.get(ctx, "poll", true)
	return item, pollError(ctx, err)
}

func (q *Locking[T]) get(ctx context.Context, what string, wait bool) (*Item[T], error) {
	for {
		e, err := q.feed.next(ctx, wait)
		if err == nil {
			var item *Item[T]
			if item, err = q.lock(ctx, e, q.decode); err == nil {
				return item, nil
			}
		}
		switch {
		case err == ErrEmpty:
			return nil, err
		case err == errRaced, err == errAgain:
		default:
			return nil, failed(ctx, what, q.path, err)
		}
	}
}

// errAgain says that the session went while an item was being locked.
var errAgain = errors.New("another session")

// lock locks an entry and reads it. What becomes of the entry is settled with the feed.
func (q *Locking[T]) lock(ctx context.Context, e entry, decode func(string, []byte) ([]T, error)) (*Item[T], error) {
	session, err := owned.Session(ctx, q.zk)
	if err != nil {
		q.feed.giveBack(e)
		return nil, err
	}
	l := &locked{
		zk: q.zk, session: session, owner: q.owner, acl: q.cfg.acl,
		entry: gazoo.JoinPath(q.places[e.shard].entries, e.name), taken: gazoo.JoinPath(q.places[e.shard].taken, e.name),
	}
	data, err := l.acquire(ctx)
	switch {
	case err == errRaced:
		q.feed.lost(e)
		return nil, err
	case err != nil:
		q.feed.giveBack(e)
		if gazoo.SessionLost(err) && ctx.Err() == nil {
			return nil, errAgain
		}
		return nil, err
	}
	values, err := decode(l.entry, data)
	if err != nil {
		l.discard()
		q.feed.setAside(e)
		return nil, err
	}
	item := &Item[T]{q: q, e: e, lock: l, data: data, Values: values}
	if len(values) > 0 {
		item.Value = values[0]
	}
	if err = item.begin(ctx); err == nil {
		if err = item.Err(); err != nil { // lost before anybody had it
			item.done.Store(true)
			item.Release(ctx)
		}
	}
	if err != nil {
		l.discard()
		q.feed.giveBack(e)
		if errors.Is(err, tenure.ErrLost) && ctx.Err() == nil {
			return nil, errAgain
		}
		return nil, err
	}
	if plant.QueueAcknowledgesEarly {
		q.zk.Delete(ctx, l.entry, gazoo.AnyVersion)
	}
	q.feed.kept()
	return item, nil
}

// locked is the lock on an entry.
type locked struct {
	zk      *gazoo.Client
	session *gazoo.Session
	entry   string
	taken   string
	owner   []byte
	acl     []gazoo.ACL
	token   int64      // zxid of the lock znode's creation, by which it is told from one that others made at its place
	stat    gazoo.Stat // of the entry
}

// acquire reads the entry and makes the lock znode. The read comes first, so that an entry that has gone costs no write;
// another one behind the lock shows that it had not gone before there was the lock.
func (l *locked) acquire(ctx context.Context) ([]byte, error) {
	zk := l.zk.InSession(l.session)
	data, err := l.read(ctx, zk)
	if err != nil {
		return nil, err
	}
	opts := []gazoo.CreateOption{gazoo.Ephemeral()}
	if l.acl != nil {
		opts = append(opts, gazoo.WithACL(l.acl...))
	}
	before := l.zk.LastZxid()
	for doubt := false; ; {
		create := zk.Async().CreateStat(ctx, l.taken, l.owner, opts...)
		check := zk.Async().Exists(ctx, l.entry)
		created, err := create.Wait(ctx)
		switch {
		case err == nil:
			l.token = created.Stat.Czxid
			there, err := check.Wait(ctx)
			return l.confirm(ctx, zk, data, there.Stat, err)
		case errors.Is(err, gazoo.ErrNodeExists) && doubt:
			// The answer came behind whatever the lost create did, so a read tells whose znode it is.
			mine, err := l.find(ctx, zk, before)
			if err != nil {
				l.forget(before)
				return nil, err
			}
			if !mine {
				return nil, errRaced
			}
			stat, err := exists(ctx, zk, l.entry)
			return l.confirm(ctx, zk, data, stat, err)
		case errors.Is(err, gazoo.ErrNodeExists):
			return nil, errRaced
		case errors.Is(err, gazoo.ErrNoNode):
			err = ensure(ctx, l.zk, gazoo.ParentPath(l.taken), l.acl)
			if err == nil {
				continue
			}
		case gazoo.MaybeApplied(err):
			doubt = true
		}
		if !retry.Passing(err) || ctx.Err() != nil || l.session.Err() != nil {
			if doubt {
				l.forget(before)
			}
			return nil, err
		}
	}
}

// read reads the entry.
func (l *locked) read(ctx context.Context, zk *gazoo.Client) ([]byte, error) {
	for {
		data, stat, err := zk.Get(ctx, l.entry)
		switch {
		case err == nil:
			l.stat = stat
			return data, nil
		case errors.Is(err, gazoo.ErrNoNode):
			return nil, errRaced
		case !retry.Passing(err) || ctx.Err() != nil:
			return nil, err
		}
	}
}

// confirm looks, behind the lock, at what the read before it has shown.
func (l *locked) confirm(ctx context.Context, zk *gazoo.Client, data []byte, stat gazoo.Stat, err error) ([]byte, error) {
	if retry.Passing(err) && ctx.Err() == nil {
		stat, err = exists(ctx, zk, l.entry)
	}
	if err == nil && stat.Mzxid != l.stat.Mzxid {
		data, err = l.read(ctx, zk)
	}
	if err != nil {
		l.discard()
		return nil, err
	}
	return data, nil
}

// find tells whether the lock znode was made by this very call.
func (l *locked) find(ctx context.Context, zk *gazoo.Client, before int64) (bool, error) {
	for {
		data, stat, err := zk.Get(ctx, l.taken)
		switch {
		case err == nil:
			l.token = stat.Czxid
			return stat.EphemeralOwner == l.session.ID() && stat.Czxid > before && bytes.Equal(data, l.owner), nil
		case errors.Is(err, gazoo.ErrNoNode):
			return false, nil
		case !retry.Passing(err) || ctx.Err() != nil:
			return false, err
		}
	}
}

// discard deletes the lock znode in the background.
func (l *locked) discard() {
	l.zk.Cleanup(l.session, func(ctx context.Context, zk *gazoo.Client) error {
		return l.removeIf(ctx, zk, func(stat gazoo.Stat, _ []byte) bool { return stat.Czxid == l.token })
	})
}

// forget deletes, in the background, a lock znode that a create in doubt may have made.
func (l *locked) forget(before int64) {
	l.zk.Cleanup(l.session, func(ctx context.Context, zk *gazoo.Client) error {
		return l.removeIf(ctx, zk, func(stat gazoo.Stat, data []byte) bool {
			return stat.EphemeralOwner == l.session.ID() && stat.Czxid > before && bytes.Equal(data, l.owner)
		})
	})
}

// removeIf deletes the lock znode if it is ours. Another consumer may have made one at the same path after ours went;
// the barrier excludes that an old view hides it. While the znode is ours nobody else makes one, so the delete hits it.
func (l *locked) removeIf(ctx context.Context, zk *gazoo.Client, ours func(gazoo.Stat, []byte) bool) error {
	if err := barrier(ctx, zk); err != nil {
		return err
	}
	data, stat, err := zk.Get(ctx, l.taken)
	if err != nil || !ours(stat, data) {
		if errors.Is(err, gazoo.ErrNoNode) {
			return nil
		}
		return err
	}
	return zk.DeleteIfExists(ctx, l.taken, gazoo.AnyVersion)
}
