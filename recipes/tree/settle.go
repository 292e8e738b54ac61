package tree

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
)

// Settled is a list of children that has not changed for some time.
type Settled struct {
	Children []string // sorted
	Stat     gazoo.Stat

	zk   *gazoo.Client
	path string
}

// Settle waits until no child of a znode has come or gone for a time, and returns the children (Kazoo:
// PatientChildrenWatch). It is for directories whose members come all at once, so that nobody acts on half of them.
// While there is no connection nothing settles: the quiet time is confirmed by a read at its end.
//
// Errors: [gazoo.ErrNoNode] when the znode is missing or goes meanwhile, [gazoo.ErrNoAuth], [gazoo.ErrClosed], the
// context's.
func Settle(ctx context.Context, zk *gazoo.Client, path string, quiet time.Duration) (*Settled, error) {
	c := config{}
	if quiet <= 0 {
		c.problem("quiet", "%v is not a time to wait", quiet)
	}
	if _, err := configure("settle", c, nil, "", place{zk, path, "path"}); err != nil {
		return nil, err
	}
	return settle(ctx, zk, path, quiet)
}

func settle(ctx context.Context, zk *gazoo.Client, path string, quiet time.Duration) (*Settled, error) {
	for lost := 0; ; {
		s, err := look(ctx, zk, path, quiet)
		switch {
		case err == nil && s != nil:
			return s, nil
		case err == nil:
			lost = 0
		case ctx.Err() != nil || !retry.Again(err):
			return nil, fmt.Errorf("settle %s: %w", path, err)
		default:
			if err := retry.Pause(ctx, lost); err != nil {
				return nil, fmt.Errorf("settle %s: %w", path, err)
			}
			lost++
		}
	}
}

// look returns the children if they keep still for the quiet time, and nil if they do not.
func look(ctx context.Context, zk *gazoo.Client, path string, quiet time.Duration) (*Settled, error) {
	names, stat, watch, err := zk.ChildrenW(ctx, path)
	if err != nil {
		return nil, err
	}
	defer watch.Close()
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-watch.Done():
		_, err := watch.Result()
		return nil, err
	case <-timer.C:
	}
	// The event of a change during a disconnect comes with the reconnect only.
	now, found, err := zk.Exists(ctx, path)
	if err != nil || !found || now.Pzxid != stat.Pzxid || now.Czxid != stat.Czxid {
		return nil, err
	}
	slices.Sort(names)
	return &Settled{Children: names, Stat: stat, zk: zk, path: path}, nil
}

// Changed waits until the children are others than those that settled; a change before the call counts too. It survives
// lost connections and sessions. A znode that is deleted has changed.
//
// Errors: [gazoo.ErrClosed], [gazoo.ErrNoAuth], the context's.
func (s *Settled) Changed(ctx context.Context) error {
	for now, err := range s.zk.WatchChildren(ctx, s.path) {
		if err != nil {
			return fmt.Errorf("wait for a change of %s: %w", s.path, err)
		}
		if !now.Exists || now.Stat.Czxid != s.Stat.Czxid || now.Stat.Pzxid != s.Stat.Pzxid {
			return nil
		}
	}
	return ctx.Err()
}

// Settling iterates over lists of children that have settled: the first one, and then, after each change, the next. Lists
// in between are not seen. The error that ends it is the last element: those of [Settle].
func Settling(ctx context.Context, zk *gazoo.Client, path string, quiet time.Duration) iter.Seq2[*Settled, error] {
	return func(yield func(*Settled, error) bool) {
		for {
			s, err := Settle(ctx, zk, path, quiet)
			if !yield(s, err) || err != nil {
				return
			}
			if err := s.Changed(ctx); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}
