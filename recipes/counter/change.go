package counter

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/cas"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
	"github.com/gazoo-zk/gazoo/recipes/lock"
)

// Stats says what changes have cost (Curator: AtomicStats).
type Stats struct {
	Changes        int           // that were made
	Tries          int           // without the lock, those that failed included
	LockedTries    int           // under the lock
	TriesTime      time.Duration // without the lock
	LockedTime     time.Duration // from queueing at the lock to its release
	Contended, Bad int           // changes that failed: as ErrContended, and for another reason
}

// totals sums up stats.
type totals struct {
	changes, tries, lockedTries, triesTime, lockedTime, contended, bad atomic.Int64
}

func (t *totals) add(s Stats) {
	t.changes.Add(int64(s.Changes))
	t.tries.Add(int64(s.Tries))
	t.lockedTries.Add(int64(s.LockedTries))
	t.triesTime.Add(int64(s.TriesTime))
	t.lockedTime.Add(int64(s.LockedTime))
	t.contended.Add(int64(s.Contended))
	t.bad.Add(int64(s.Bad))
}

// Stats returns the sums over all changes of this value in this program (Update, Set, CompareAndSet and Add).
func (v *Value[T]) Stats() Stats {
	t := &v.stats
	return Stats{
		Changes: int(t.changes.Load()), Tries: int(t.tries.Load()), LockedTries: int(t.lockedTries.Load()),
		TriesTime: time.Duration(t.triesTime.Load()), LockedTime: time.Duration(t.lockedTime.Load()),
		Contended: int(t.contended.Load()), Bad: int(t.bad.Load()),
	}
}

// change makes one change: without the lock first, and then under it where there is one.
func (v *Value[T]) change(ctx context.Context, anyAuthor bool, step func(Versioned[T]) (T, error)) (Change[T], error) {
	c := &attempt[T]{v: v, anyAuthor: anyAuthor, step: step}
	begin := time.Now()
	err := c.run(ctx, v.cfg.after, &c.out.Stats.Tries)
	c.out.Stats.TriesTime = time.Since(begin)
	if errors.Is(err, ErrContended) && v.cfg.mutex != nil {
		begin = time.Now()
		err = c.promoted(ctx, v.cfg.mutex)
		c.out.Stats.LockedTime = time.Since(begin)
	}
	switch {
	case err == nil:
		c.out.Stats.Changes = 1
	case errors.Is(err, ErrContended):
		c.out.Stats.Contended = 1
	case !errors.Is(err, errDiffers):
		c.out.Stats.Bad = 1
	}
	v.stats.add(c.out.Stats)
	return c.out, err
}

// attempt is a change in the making.
type attempt[T any] struct {
	v         *Value[T]
	anyAuthor bool
	step      func(Versioned[T]) (T, error)
	behind    bool // the last read has turned out old
	out       Change[T]
}

// promoted goes on under the lock. Others may still write without it, so that there are tries here too.
func (c *attempt[T]) promoted(ctx context.Context, mu *lock.Mutex) error {
	held, err := mu.Lock(ctx)
	if err != nil {
		return fmt.Errorf("change %s: lock: %w", c.v.path, err)
	}
	// A lock that is lost meanwhile does no harm: the writes keep to their condition.
	defer held.Release(ctx)
	return c.run(ctx, 0, &c.out.Stats.LockedTries)
}

// run tries so often, or until ctx ends when it is 0.
func (c *attempt[T]) run(ctx context.Context, limit int, tries *int) error {
	for lost := 0; ; {
		*tries++
		err := c.once(ctx)
		switch {
		case errors.Is(err, cas.ErrConflict):
			if limit > 0 && *tries >= limit {
				return fmt.Errorf("change %s: %w: %d tries", c.v.path, ErrContended, *tries)
			}
			if err := pause(ctx, *tries); err != nil {
				return fmt.Errorf("change %s: %w", c.v.path, err)
			}
		case err == nil || gazoo.MaybeApplied(err) || !retry.Again(err) || ctx.Err() != nil:
			return err
		default: // the read was lost
			*tries--
			if err := retry.Pause(ctx, lost); err != nil {
				return fmt.Errorf("change %s: %w", c.v.path, err)
			}
			lost++
		}
	}
}

// once reads and writes.
func (c *attempt[T]) once(ctx context.Context) error {
	get := c.v.Get
	if c.behind {
		get = c.v.GetFresh
	}
	now, err := get(ctx)
	if err != nil {
		return err
	}
	next, err := c.step(now)
	if errors.Is(err, errDiffers) && !c.behind {
		// Perhaps only this server is behind.
		c.behind = true
		return c.once(ctx)
	}
	if err != nil {
		return err
	}
	data, err := c.v.encode(next)
	if err != nil {
		return err
	}
	stat, err := c.v.write(now.Version, now.found, data, c.anyAuthor).Do(ctx, c.v.zk)
	if errors.Is(err, cas.ErrConflict) {
		c.behind = true
		return err
	}
	if err != nil {
		return c.v.wrap("change", err)
	}
	c.out.Pre, c.out.Post, c.out.Version = now.Value, next, stat.Version
	return nil
}

// pause lets losers of a race come back one after the other: a random time of up to a few milliseconds, growing to some
// tens.
func pause(ctx context.Context, tries int) error {
	return retry.Sleep(ctx, rand.N(time.Millisecond<<min(tries, 6)))
}
