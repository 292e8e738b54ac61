// Package cas writes a znode on the condition that nobody else has, and resolves lost answers without applying a write
// twice.
//
// A write whose answer was lost is sent again, with the same condition: that is the one question whose answer cannot be
// overtaken by the lost write itself, as a read could be, even one behind a sync (a leader answers a sync before what
// it has under way). When the server takes it, the lost one was not applied. When the server refuses it, somebody has
// written since: perhaps the lost write, perhaps another. A [Receipt] tells which, in every case; the data tells
// whenever the newest write is not the lost one; otherwise the error says that it may have been applied.
package cas

import (
	"bytes"
	"context"
	"errors"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
)

// ErrConflict says that the znode was not as the write wanted it, so that nothing was applied.
var ErrConflict = errors.New("changed by others meanwhile")

// Write is one conditional write.
type Write struct {
	Path    string
	Data    []byte
	Version int32                // required of the znode
	Missing bool                 // the znode is required not to exist; it is created with its parents
	Create  []gazoo.CreateOption // what kind of znode to create: WithACL, Container, TTL
	Parents []gazoo.CreateOption // what kind of parents: WithACL, Container
	// AnyAuthor takes a write of the same data by somebody else, on the same condition, for this one: it does not matter
	// who made it so.
	AnyAuthor bool
	Receipts  *Receipts // nil: lost answers are resolved by what the znode holds
}

// Do applies the write and returns the stat behind it. With receipts only its Version is certain to be set.
//
// Errors: [ErrConflict]; otherwise the server's or the context's. When [gazoo.MaybeApplied] holds for it, it could not be
// found out whether the write was applied.
func (w *Write) Do(ctx context.Context, zk *gazoo.Client) (stat gazoo.Stat, err error) {
	var r *receipt
	if w.Receipts != nil {
		if r, err = w.Receipts.take(ctx, zk); err != nil {
			return gazoo.Stat{}, err
		}
		defer func() {
			if r != nil {
				w.Receipts.put(zk, r, gazoo.MaybeApplied(err))
			}
		}()
	}
	var lost error // of a try that may have been applied
	for tries := 0; ; tries++ {
		stat, err = w.send(ctx, zk, r)
		switch {
		case err == nil:
			r.advance()
			return stat, nil
		case gazoo.MaybeApplied(err):
			lost = err
		case r.refused(err):
			if lost != nil && !errors.Is(err, gazoo.ErrNoNode) {
				r.advance() // nobody but the lost try can have written it
				return gazoo.Stat{Version: w.next()}, nil
			}
			r.spoilt = true // deleted by others, or by the end of its session
			if lost != nil {
				return gazoo.Stat{}, errors.Join(lost, err)
			}
			w.Receipts.put(zk, r, false)
			if r, err = w.Receipts.take(ctx, zk); err != nil {
				return gazoo.Stat{}, err
			}
			continue
		case errors.Is(err, gazoo.ErrBadVersion), errors.Is(err, gazoo.ErrNodeExists):
			if lost != nil && r == nil {
				return w.read(ctx, zk, lost)
			}
			return gazoo.Stat{}, ErrConflict
		case errors.Is(err, gazoo.ErrNoNode) && w.Missing:
			err = w.ensureParent(ctx, zk)
			if err == nil {
				continue
			}
		case errors.Is(err, gazoo.ErrNoNode):
			if r != nil {
				return gazoo.Stat{}, ErrConflict
			}
			return gazoo.Stat{}, doubt(lost, err, ErrConflict)
		}
		if ctx.Err() != nil || !retry.Again(err) {
			return gazoo.Stat{}, doubt(lost, err, err)
		}
		if err := retry.Pause(ctx, tries); err != nil {
			return gazoo.Stat{}, doubt(lost, err, err)
		}
	}
}

// doubt returns sure, unless a try before may have been applied: that one's error then, and what came behind it.
func doubt(lost, behind, sure error) error {
	if lost == nil || behind == lost {
		return sure
	}
	return errors.Join(lost, behind)
}

// next returns the version behind the write. Versions wrap, and -1 as a condition means any version: a write on top of -2
// therefore sets twice, and steps over it. Only other libraries leave a znode there, and then no write can be conditional.
func (w *Write) next() int32 {
	switch {
	case w.Missing, w.Version == beforeAny:
		return 0
	default:
		return w.Version + 1
	}
}

const beforeAny = gazoo.AnyVersion - 1

func (w *Write) send(ctx context.Context, zk *gazoo.Client, r *receipt) (gazoo.Stat, error) {
	switch {
	case r != nil || w.Version == beforeAny && !w.Missing:
		txn := zk.Txn()
		if r != nil {
			txn.Set(r.path, nil, r.version)
		}
		if w.Missing {
			txn.Create(w.Path, w.Data, w.Create...)
		} else {
			txn.Set(w.Path, w.Data, w.Version)
		}
		if w.Version == beforeAny && !w.Missing {
			txn.Set(w.Path, w.Data, gazoo.AnyVersion)
		}
		results, err := txn.Commit(ctx)
		if err != nil {
			return gazoo.Stat{}, err
		}
		stat := results[len(results)-1].Stat // of a set
		stat.Version = w.next()
		return stat, nil
	case w.Missing:
		_, stat, err := zk.CreateStat(ctx, w.Path, w.Data, w.Create...)
		return stat, err
	default:
		return zk.Set(ctx, w.Path, w.Data, w.Version)
	}
}

// read decides, without a receipt, whether a lost try was applied. A later try was refused, so the server now connected
// to has seen all that came before it.
func (w *Write) read(ctx context.Context, zk *gazoo.Client, lost error) (gazoo.Stat, error) {
	for tries := 0; ; tries++ {
		data, stat, err := zk.Get(ctx, w.Path)
		switch {
		case err == nil && stat.Version == w.next() && !bytes.Equal(data, w.Data):
			return gazoo.Stat{}, ErrConflict // the one write behind the condition is another's
		case err == nil && stat.Version == w.next() && w.AnyAuthor:
			return stat, nil
		case err == nil || errors.Is(err, gazoo.ErrNoNode):
			return gazoo.Stat{}, lost
		case ctx.Err() != nil || !retry.Again(err):
			return gazoo.Stat{}, errors.Join(lost, err)
		}
		if err := retry.Pause(ctx, tries); err != nil {
			return gazoo.Stat{}, errors.Join(lost, err)
		}
	}
}

func (w *Write) ensureParent(ctx context.Context, zk *gazoo.Client) error {
	_, err := zk.EnsurePath(ctx, gazoo.ParentPath(w.Path), w.Parents...)
	return settle(err)
}

// settle makes of a create of parents that may have been applied one that is simply made again.
func settle(err error) error {
	if gazoo.MaybeApplied(err) {
		return &again{err}
	}
	return err
}

// again is a lost answer that matters to nobody.
type again struct{ err error }

func (e *again) Error() string { return e.err.Error() }

// Is keeps the kind of the error, but not the doubt about the write.
func (e *again) Is(target error) bool { return errors.Is(e.err, target) }
