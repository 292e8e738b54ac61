package ztree

import "github.com/gazoo-zk/gazoo/zkproto"

// Txn is one transaction, as logs keep it.
type Txn struct {
	Session int64 // who asked; 0 for the server itself
	Cxid    int32
	Zxid    int64
	Time    int64 // milliseconds since 1970
	Record  Record
	Digest  int64 // of the tree afterwards, when the tree keeps one
}

// Record is what a transaction changes. Type says which fields are used:
//
//	OpCreate, OpCreate2     Path, Data, ACL, Ephemeral, ParentCreates
//	OpCreateContainer       Path, Data, ACL, ParentCreates
//	OpCreateTTL             Path, Data, ACL, ParentCreates, TTL
//	OpDelete, OpDeleteContainer  Path
//	OpSetData, OpReconfig   Path, Data, Version
//	OpSetACL                Path, ACL, Version
//	OpCreateSession         Timeout
//	OpCloseSession          Paths
//	OpMulti                 Parts
//	OpError                 Code
type Record struct {
	Type          zkproto.OpCode
	Path          string // final: sequence number included
	Data          []byte
	ACL           []zkproto.ACL // final: auth expanded
	Ephemeral     bool
	ParentCreates int32 // the parent's counter afterwards
	TTL           int64 // milliseconds
	Version       int32 // new version
	Timeout       int32 // milliseconds
	Paths         []string
	Parts         []Record
	Code          zkproto.Code
}

// Outcome is what became of a write.
type Outcome struct {
	Code    zkproto.Code // OK, or why nothing was changed
	Path    string       // of a create
	Stat    zkproto.Stat // of a create, a set of data or of an ACL
	Results []zkproto.MultiResult
	Txn     Txn      // to be logged, also when the write failed: it has a zxid
	Changes []Change // in order, for watches
}

// begin numbers the next transaction.
func (t *Tree) begin(session int64, cxid int32, now int64) Txn {
	t.zxid++
	t.changes = nil
	return Txn{Session: session, Cxid: cxid, Zxid: t.zxid, Time: now}
}

// finish completes an outcome.
func (t *Tree) finish(txn Txn, out Outcome) Outcome {
	if out.Code != zkproto.OK && txn.Record.Type != zkproto.OpMulti {
		txn.Record = Record{Type: zkproto.OpError, Code: out.Code}
	}
	txn.Digest = t.Digest()
	out.Txn = txn
	out.Changes = t.changes
	t.changes = nil
	return out
}

// Fail uses up a zxid for a write that was refused before it reached the tree.
func (t *Tree) Fail(c *Caller, now int64, code zkproto.Code) Outcome {
	return t.finish(t.begin(c.Session, c.Cxid, now), Outcome{Code: code})
}
