package cas

import (
	"context"
	"errors"
	"sync"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/owned"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
)

// Receipts are znodes that are written together with others, in one transaction, by one client alone: whether a receipt
// has moved tells whether the transaction was applied. Each write under way has one to itself. Safe for concurrent use.
type Receipts struct {
	dir  string
	kind []gazoo.CreateOption

	mu     sync.Mutex
	free   []*receipt
	closed bool
}

// NewReceipts makes receipts below dir, of a kind of znodes: persistent ones by default, [gazoo.Ephemeral] and
// [gazoo.TTL] are possible.
func NewReceipts(dir string, kind ...gazoo.CreateOption) *Receipts {
	return &Receipts{dir: dir, kind: kind}
}

// receipt is one znode; its version is known as long as it is not spoilt.
type receipt struct {
	path    string
	version int32
	spoilt  bool
}

// take returns a receipt that nobody else uses. It is made where there is none.
func (rs *Receipts) take(ctx context.Context, zk *gazoo.Client) (*receipt, error) {
	rs.mu.Lock()
	if n := len(rs.free); n > 0 {
		r := rs.free[n-1]
		rs.free = rs.free[:n-1]
		rs.mu.Unlock()
		return r, nil
	}
	rs.mu.Unlock()
	r := &receipt{path: gazoo.JoinPath(rs.dir, owned.NewGUID().Hex())}
	sent := false
	for tries := 0; ; tries++ {
		_, err := zk.Create(ctx, r.path, nil, rs.kind...)
		switch {
		case err == nil, errors.Is(err, gazoo.ErrNodeExists): // nobody else has its name
			return r, nil
		case errors.Is(err, gazoo.ErrNoNode):
			if _, err = zk.EnsurePath(ctx, rs.dir); err == nil {
				continue
			}
		}
		sent = sent || gazoo.MaybeApplied(err)
		if ctx.Err() == nil && retry.Again(err) {
			err = retry.Pause(ctx, tries)
			if err == nil {
				continue
			}
		}
		if sent {
			r.forget(zk)
		}
		return nil, settle(err) // the write itself was not sent
	}
}

// put gives a receipt back. One that cannot be relied on is deleted, and so are all once it is closed.
func (rs *Receipts) put(zk *gazoo.Client, r *receipt, inDoubt bool) {
	rs.mu.Lock()
	keep := !inDoubt && !r.spoilt && !rs.closed && r.version < 1<<30 // long before versions wrap
	if keep {
		rs.free = append(rs.free, r)
	}
	rs.mu.Unlock()
	if !keep {
		r.forget(zk)
	}
}

// Close deletes the receipts in the background, those in use behind their write.
func (rs *Receipts) Close(zk *gazoo.Client) {
	rs.mu.Lock()
	free := rs.free
	rs.free, rs.closed = nil, true
	rs.mu.Unlock()
	for _, r := range free {
		r.forget(zk)
	}
}

func (r *receipt) forget(zk *gazoo.Client) { zk.DeleteLater(r.path) }

// advance notes that the receipt was written. It does nothing without one.
func (r *receipt) advance() {
	if r != nil {
		r.version++
	}
}

// refused reports whether a transaction failed because of the receipt, which comes first in it.
func (r *receipt) refused(err error) bool {
	e, ok := errors.AsType[*gazoo.TxnError](err)
	return r != nil && ok && e.Index == 0
}
