package ztree

import (
	"slices"

	"github.com/gazoo-zk/gazoo/zkproto"
)

func sorted(paths []string) []string {
	slices.Sort(paths)
	return paths
}

// Multi applies all operations of a transaction, or none. Its outcome has a result for each, as
// clients see them, and is OK even when they failed: the results tell.
func (t *Tree) Multi(c *Caller, now int64, ops []zkproto.MultiOp) Outcome {
	txn := t.begin(c.Session, c.Cxid, now)
	txn.Record = Record{Type: zkproto.OpMulti, Parts: make([]Record, 0, len(ops))}
	t.undo = []func(){}
	t.acls.hold()
	digest := t.digest
	results := make([]zkproto.MultiResult, 0, len(ops))
	failed, code := -1, zkproto.OK
	for i, op := range ops {
		part := txn
		part.Record = Record{}
		out := t.one(c, &part, op, true)
		if out.Code != zkproto.OK {
			failed, code = i, out.Code
			break
		}
		results = append(results, t.result(op, part.Record, out))
		txn.Record.Parts = append(txn.Record.Parts, part.Record)
	}
	undo := t.undo
	t.undo, t.before = nil, nil
	if failed >= 0 {
		for _, f := range slices.Backward(undo) {
			f()
		}
		t.digest, t.changes = digest, nil
		results = rolledBack(len(ops), failed, code)
		txn.Record.Parts = txn.Record.Parts[:0]
		for _, r := range results {
			txn.Record.Parts = append(txn.Record.Parts, Record{Type: zkproto.OpError, Code: r.Err})
		}
	}
	t.acls.settle()
	if code == zkproto.ErrMarshallingError {
		// An operation that makes no sense: nobody answers for the others.
		txn.Record = Record{Type: zkproto.OpError, Code: code}
		return t.finish(txn, Outcome{Code: code})
	}
	return t.finish(txn, Outcome{Results: results})
}

// rolledBack is what clients are told of a failed multi: 0 for operations before the one that
// failed, and ErrRuntimeInconsistency for those behind it.
func rolledBack(n, failed int, code zkproto.Code) []zkproto.MultiResult {
	results := make([]zkproto.MultiResult, n)
	for i := range results {
		results[i] = zkproto.MultiResult{Op: zkproto.OpError}
		switch {
		case i == failed:
			results[i].Err = code
		case i > failed:
			results[i].Err = zkproto.ErrRuntimeInconsistency
		}
	}
	return results
}

// result is a successful operation's. What kind of create is told with a stat depends on the
// server's version (ZOOKEEPER-4026).
func (t *Tree) result(op zkproto.MultiOp, rec Record, out Outcome) zkproto.MultiResult {
	r := zkproto.MultiResult{Op: op.Op, Path: out.Path, Stat: out.Stat}
	switch op.Op {
	case zkproto.OpCreate, zkproto.OpCreate2, zkproto.OpCreateContainer, zkproto.OpCreateTTL:
		r.Op = zkproto.OpCreate
		if rec.Type == zkproto.OpCreateContainer || rec.Type == zkproto.OpCreateTTL || t.opt.Modern && op.Op == zkproto.OpCreate2 {
			r.Op = zkproto.OpCreate2
		}
	}
	return r
}
