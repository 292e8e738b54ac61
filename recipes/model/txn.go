package model

import "github.com/gazoo-zk/gazoo"

// This file adds operations of nodes to transactions. A transaction belongs to a view of the client ([gazoo.Client.Txn]);
// it must be a view with the same root as the node's. Nothing is added when there is an error.

// TxnCreate adds a create of the znode, whose parent must exist, to a transaction. opts come behind those of [WithKind].
//
// Errors: [*DataError], [ErrSchema].
func (n *Node[T]) TxnCreate(t *gazoo.Txn, value T, opts ...gazoo.CreateOption) error {
	opts = append(n.cfg.create[:len(n.cfg.create):len(n.cfg.create)], opts...)
	data, err := n.encode(value)
	if err == nil {
		err = n.cfg.schemas.CheckCreate(n.path, data, opts...)
	}
	if err == nil {
		t.CreateStat(n.path, data, opts...)
	}
	return err
}

// TxnSet adds a write of v.Value to a transaction, on the condition that the znode has the version that v was read with.
// The version behind it is one more; the result of the operation has the stat.
//
// Errors: [*DataError], [ErrSchema].
func (n *Node[T]) TxnSet(t *gazoo.Txn, v Versioned[T]) error {
	data, err := n.encode(v.Value)
	if err == nil {
		err = n.cfg.schemas.CheckSet(n.path, data)
	}
	if err == nil {
		t.Set(n.path, data, v.Stat.Version)
	}
	return err
}

// TxnCheck adds the condition that the znode has a version to a transaction.
func (n *Node[T]) TxnCheck(t *gazoo.Txn, version int32) { t.Check(n.path, version) }

// TxnDelete adds a delete to a transaction.
//
// Errors: [ErrSchema].
func (n *Node[T]) TxnDelete(t *gazoo.Txn, version int32) error {
	if err := n.cfg.schemas.CheckDelete(n.path); err != nil {
		return err
	}
	t.Delete(n.path, version)
	return nil
}
