package ztree

import (
	"fmt"
	"slices"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// Replay applies a logged transaction. A transaction that the tree has already, because the
// snapshot was written while it changed, does no harm: what exists or is missing already is
// passed over, and counters only grow. An error says that the record makes no sense.
func (t *Tree) Replay(txn Txn) error {
	if txn.Zxid < t.zxid {
		return fmt.Errorf("transaction 0x%x behind 0x%x", uint64(txn.Zxid), uint64(t.zxid))
	}
	_, err := t.Follow(txn)
	return err
}

// Follow is [Tree.Replay] for a tree that has all transactions before this one, and no others: it
// returns the changes, in order, as the outcome of the write had them. The transaction is not
// changed.
func (t *Tree) Follow(txn Txn) ([]Change, error) {
	t.changes = nil
	err := t.replay(&txn, &txn.Record)
	t.zxid = txn.Zxid
	changes := t.changes
	t.changes = nil
	return changes, err
}

func (t *Tree) replay(txn *Txn, rec *Record) error {
	switch rec.Type {
	case zkproto.OpCreate, zkproto.OpCreate2, zkproto.OpCreateContainer, zkproto.OpCreateTTL:
		return t.replayCreate(txn, rec)
	case zkproto.OpDelete, zkproto.OpDeleteContainer:
		t.replayDelete(rec.Path, txn.Zxid)
	case zkproto.OpSetData, zkproto.OpReconfig:
		if n := t.find(rec.Path); n != nil {
			t.write(rec.Path, n, rec.Data, rec.Version, txn.Zxid, txn.Time)
		}
	case zkproto.OpSetACL:
		if n := t.find(rec.Path); n != nil {
			t.protect(rec.Path, n, rec.ACL, rec.Version)
		}
	case zkproto.OpCreateSession:
		t.openSession(txn.Session, rec.Timeout)
	case zkproto.OpCloseSession:
		// Older logs do not list the paths; the index knows them as well.
		for _, path := range rec.Paths {
			t.replayDelete(path, txn.Zxid)
		}
		t.closeSession(txn.Session, t.SessionEphemerals(txn.Session), txn.Zxid)
	case zkproto.OpMulti:
		for i := range rec.Parts {
			if rec.Parts[i].Type == zkproto.OpError {
				return nil // it was rolled back as a whole
			}
		}
		for i := range rec.Parts {
			if err := t.replay(txn, &rec.Parts[i]); err != nil {
				return err
			}
		}
	case zkproto.OpError, zkproto.OpCheck:
	default:
		return fmt.Errorf("transaction of type %v", rec.Type)
	}
	return nil
}

// replayDelete deletes a znode, or what a later transaction, which the snapshot has seen, made in
// its place: that will come again. When there is none, its parent may still be from before.
func (t *Tree) replayDelete(path string, zxid int64) {
	if !validPath(path) || path == "/" {
		return
	}
	if n := t.find(path); n != nil {
		t.removeAll(path, n, zxid)
		return
	}
	above, _ := split(path)
	if parent := t.find(above); parent != nil && parent.rest().pzxid < zxid {
		t.undigest(parent, above)
		parent.change().pzxid = zxid
		t.redigest(parent, above)
	}
}

func (t *Tree) removeAll(path string, n *node, zxid int64) {
	for _, kid := range slices.Collect(n.kids().all()) {
		t.removeAll(path+"/"+kid.name(), kid, zxid)
	}
	t.remove(path, n, zxid)
}

func (t *Tree) replayCreate(txn *Txn, rec *Record) error {
	if !validPath(rec.Path) || rec.Path == "/" {
		return fmt.Errorf("create of %q", rec.Path)
	}
	above, name := split(rec.Path)
	parent := t.find(above)
	if parent == nil {
		return nil // deleted later, as the snapshot knows already
	}
	creates := rec.ParentCreates
	if creates == -1 {
		creates = parent.creates() + 1 // very old logs
	}
	if creates-parent.creates() < 0 { // the snapshot is ahead; a difference, for counters wrap
		creates = parent.creates()
	}
	n := parent.kid(name)
	if n == nil {
		own := *rec // several trees may follow one log
		t.applyCreate(txn, &own, parent, name)
		if parent.creates() != creates {
			t.undigest(parent, above)
			parent.change().creates = creates
			t.redigest(parent, above)
		}
		return nil
	}
	if _, unknown := t.unknown[n]; unknown {
		t.protect(rec.Path, n, rec.ACL, n.rest().aversion)
	}
	t.undigest(parent, above)
	m := parent.change()
	m.creates, m.pzxid = creates, max(m.pzxid, txn.Zxid)
	t.redigest(parent, above)
	return nil
}
