package ztree

import (
	"fmt"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// Replay applies a logged transaction. A transaction that the tree has already, because the
// snapshot was written while it changed, does no harm: what exists or is missing already is
// passed over, and counters only grow. An error says that the record makes no sense.
func (t *Tree) Replay(txn Txn) error {
	if txn.Zxid < t.zxid {
		return fmt.Errorf("transaction 0x%x behind 0x%x", uint64(txn.Zxid), uint64(t.zxid))
	}
	err := t.replay(&txn, &txn.Record)
	t.zxid = txn.Zxid
	t.changes = nil
	return err
}

func (t *Tree) replay(txn *Txn, rec *Record) error {
	switch rec.Type {
	case zkproto.OpCreate, zkproto.OpCreate2, zkproto.OpCreateContainer, zkproto.OpCreateTTL:
		return t.replayCreate(txn, rec)
	case zkproto.OpDelete, zkproto.OpDeleteContainer:
		if n := t.find(rec.Path); n != nil && n != t.root {
			t.remove(rec.Path, n, txn.Zxid)
		}
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
		creates = parent.creates + 1 // very old logs
	}
	if creates-parent.creates < 0 { // the snapshot is ahead; a difference, for counters wrap
		creates = parent.creates
	}
	if parent.kids[name] == nil {
		t.applyCreate(txn, rec, parent, name)
		if parent.creates != creates {
			t.undigest(parent, above)
			parent.creates = creates
			t.redigest(parent, above)
		}
		return nil
	}
	t.undigest(parent, above)
	parent.creates, parent.pzxid = creates, max(parent.pzxid, txn.Zxid)
	t.redigest(parent, above)
	return nil
}
