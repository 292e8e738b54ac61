package lock

import (
	"context"
	"errors"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
)

// once is a transaction that deletes a znode of one's own, so that it is applied at most once however often
// it is sent, and a lost answer can be resolved.
type once struct {
	zk    *gazoo.Client // bound to the session that owns what is made
	own   string        // the znode that it deletes, and that its first operation is about
	build func() *gazoo.Txn
	// made reports whether what it makes is there, and this one's.
	made func(ctx context.Context) (bool, error)
}

// errOwnGone says that the znode to be deleted has gone, and the transaction was not applied.
var errOwnGone = errors.New("own znode has gone")

// commit sends the transaction until its outcome is known, ctx ends, or the session does. maybe says that an error leaves
// it open whether it was applied.
func (o once) commit(ctx context.Context) (results []gazoo.TxnResult, maybe bool, err error) {
	for {
		results, err := o.build().Commit(ctx)
		if err == nil {
			return results, false, nil
		}
		maybe = maybe || gazoo.MaybeApplied(err)
		if failed, ok := errors.AsType[*gazoo.TxnError](err); ok {
			if failed.Index > 0 || failed.Code != gazoo.ErrNoNode {
				return nil, false, err
			}
			if !maybe {
				return nil, false, errOwnGone
			}
			made, ferr := o.resolve(ctx)
			switch {
			case ferr != nil:
				return nil, true, ferr
			case made:
				return nil, false, nil
			default:
				return nil, false, errOwnGone
			}
		}
		if ctx.Err() != nil || !retry.Passing(err) {
			return nil, maybe, err
		}
	}
}

// resolve looks until there is an answer.
func (o once) resolve(ctx context.Context) (bool, error) {
	for {
		err := o.zk.Sync(ctx, o.own)
		if err == nil {
			var made bool
			if made, err = o.made(ctx); err == nil {
				return made, nil
			}
		}
		if ctx.Err() != nil || !retry.Passing(err) {
			return false, err
		}
	}
}
