package model

import (
	"context"
	"errors"
	"iter"

	"github.com/gazoo-zk/gazoo"
)

// Guard is a client whose operations are held to schemas: one that breaks a rule fails with [ErrSchema] before anything
// is sent. It has the operations that a schema speaks of; for all others there is [Guard.Client]. Safe for concurrent
// use.
type Guard struct {
	zk  *gazoo.Client
	set *SchemaSet
}

// NewGuard makes a guarded view of a client.
func NewGuard(zk *gazoo.Client, set *SchemaSet) *Guard { return &Guard{zk, set} }

// Client returns the client, whose operations are not checked.
func (g *Guard) Client() *gazoo.Client { return g.zk }

// Schemas returns what the operations are held to.
func (g *Guard) Schemas() *SchemaSet { return g.set }

// Create is [gazoo.Client.Create].
func (g *Guard) Create(ctx context.Context, path string, data []byte, opts ...gazoo.CreateOption) (string, error) {
	if err := g.set.CheckCreate(path, data, opts...); err != nil {
		return "", err
	}
	return g.zk.Create(ctx, path, data, opts...)
}

// CreateStat is [gazoo.Client.CreateStat].
func (g *Guard) CreateStat(ctx context.Context, path string, data []byte, opts ...gazoo.CreateOption) (string, gazoo.Stat, error) {
	if err := g.set.CheckCreate(path, data, opts...); err != nil {
		return "", gazoo.Stat{}, err
	}
	return g.zk.CreateStat(ctx, path, data, opts...)
}

// Set is [gazoo.Client.Set].
func (g *Guard) Set(ctx context.Context, path string, data []byte, version int32) (gazoo.Stat, error) {
	if err := g.set.CheckSet(path, data); err != nil {
		return gazoo.Stat{}, err
	}
	return g.zk.Set(ctx, path, data, version)
}

// Delete is [gazoo.Client.Delete].
func (g *Guard) Delete(ctx context.Context, path string, version int32) error {
	if err := g.set.CheckDelete(path); err != nil {
		return err
	}
	return g.zk.Delete(ctx, path, version)
}

// Get is [gazoo.Client.Get].
func (g *Guard) Get(ctx context.Context, path string) ([]byte, gazoo.Stat, error) {
	if err := g.set.CheckRead(path, false); err != nil {
		return nil, gazoo.Stat{}, err
	}
	return g.zk.Get(ctx, path)
}

// Exists is [gazoo.Client.Exists].
func (g *Guard) Exists(ctx context.Context, path string) (gazoo.Stat, bool, error) {
	if err := g.set.CheckRead(path, false); err != nil {
		return gazoo.Stat{}, false, err
	}
	return g.zk.Exists(ctx, path)
}

// Children is [gazoo.Client.Children].
func (g *Guard) Children(ctx context.Context, path string) ([]string, error) {
	if err := g.set.CheckRead(path, false); err != nil {
		return nil, err
	}
	return g.zk.Children(ctx, path)
}

// GetW is [gazoo.Client.GetW].
func (g *Guard) GetW(ctx context.Context, path string) ([]byte, gazoo.Stat, *gazoo.Watch, error) {
	if err := g.set.CheckRead(path, true); err != nil {
		return nil, gazoo.Stat{}, nil, err
	}
	return g.zk.GetW(ctx, path)
}

// ExistsW is [gazoo.Client.ExistsW].
func (g *Guard) ExistsW(ctx context.Context, path string) (gazoo.Stat, bool, *gazoo.Watch, error) {
	if err := g.set.CheckRead(path, true); err != nil {
		return gazoo.Stat{}, false, nil, err
	}
	return g.zk.ExistsW(ctx, path)
}

// ChildrenW is [gazoo.Client.ChildrenW].
func (g *Guard) ChildrenW(ctx context.Context, path string) ([]string, gazoo.Stat, *gazoo.Watch, error) {
	if err := g.set.CheckRead(path, true); err != nil {
		return nil, gazoo.Stat{}, nil, err
	}
	return g.zk.ChildrenW(ctx, path)
}

// WatchData is [gazoo.Client.WatchData].
func (g *Guard) WatchData(ctx context.Context, path string, opts ...gazoo.SurvivingOption) iter.Seq2[gazoo.DataSnapshot, error] {
	if err := g.set.CheckRead(path, true); err != nil {
		return refused[gazoo.DataSnapshot](err)
	}
	return g.zk.WatchData(ctx, path, opts...)
}

// WatchChildren is [gazoo.Client.WatchChildren].
func (g *Guard) WatchChildren(ctx context.Context, path string, opts ...gazoo.SurvivingOption) iter.Seq2[gazoo.ChildrenSnapshot, error] {
	if err := g.set.CheckRead(path, true); err != nil {
		return refused[gazoo.ChildrenSnapshot](err)
	}
	return g.zk.WatchChildren(ctx, path, opts...)
}

// refused yields an error and nothing else.
func refused[T any](err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		yield(zero, err)
	}
}

// Watch is [gazoo.Client.Watch]. Only the znode itself is checked, not what is below it.
func (g *Guard) Watch(ctx context.Context, path string, opts ...gazoo.StreamOption) (*gazoo.Stream, error) {
	if err := g.set.CheckRead(path, true); err != nil {
		return nil, err
	}
	return g.zk.Watch(ctx, path, opts...)
}

// GuardTxn is a transaction whose operations are held to schemas. It is not safe for concurrent use.
type GuardTxn struct {
	txn      *gazoo.Txn
	set      *SchemaSet
	problems []error
}

// Txn begins a transaction.
func (g *Guard) Txn() *GuardTxn { return &GuardTxn{txn: g.zk.Txn(), set: g.set} }

func (t *GuardTxn) check(err error) {
	if err != nil {
		t.problems = append(t.problems, err)
	}
}

// Create is [gazoo.Txn.Create].
func (t *GuardTxn) Create(path string, data []byte, opts ...gazoo.CreateOption) *GuardTxn {
	t.check(t.set.CheckCreate(path, data, opts...))
	t.txn.Create(path, data, opts...)
	return t
}

// CreateStat is [gazoo.Txn.CreateStat].
func (t *GuardTxn) CreateStat(path string, data []byte, opts ...gazoo.CreateOption) *GuardTxn {
	t.check(t.set.CheckCreate(path, data, opts...))
	t.txn.CreateStat(path, data, opts...)
	return t
}

// Set is [gazoo.Txn.Set].
func (t *GuardTxn) Set(path string, data []byte, version int32) *GuardTxn {
	t.check(t.set.CheckSet(path, data))
	t.txn.Set(path, data, version)
	return t
}

// Delete is [gazoo.Txn.Delete].
func (t *GuardTxn) Delete(path string, version int32) *GuardTxn {
	t.check(t.set.CheckDelete(path))
	t.txn.Delete(path, version)
	return t
}

// Check is [gazoo.Txn.Check]. No schema speaks of it.
func (t *GuardTxn) Check(path string, version int32) *GuardTxn {
	t.txn.Check(path, version)
	return t
}

// Commit is [gazoo.Txn.Commit]. The violations of all operations come in one error.
func (t *GuardTxn) Commit(ctx context.Context) ([]gazoo.TxnResult, error) {
	if err := errors.Join(t.problems...); err != nil {
		return nil, err
	}
	return t.txn.Commit(ctx)
}
