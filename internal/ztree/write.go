package ztree

import (
	"fmt"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// Write checks and applies one request that changes the tree: the create family, delete, set
// of data, and set of an ACL, which uses op's ACL and Version. It always uses up a zxid.
func (t *Tree) Write(c *Caller, now int64, op zkproto.MultiOp) Outcome {
	txn := t.begin(c.Session, c.Cxid, now)
	out := t.one(c, &txn, op, false)
	return t.finish(txn, out)
}

// one is Write inside a transaction that has begun. It fills txn's record.
func (t *Tree) one(c *Caller, txn *Txn, op zkproto.MultiOp, inMulti bool) Outcome {
	if op.NullPath && (inMulti || op.Op == zkproto.OpDelete || op.Op == zkproto.OpCheck) {
		// Apache trips over it here. Creates look at their mode first.
		return Outcome{Code: zkproto.ErrMarshallingError}
	}
	switch op.Op {
	case zkproto.OpCreate, zkproto.OpCreate2, zkproto.OpCreateContainer, zkproto.OpCreateTTL:
		return t.create(c, txn, op, inMulti)
	case zkproto.OpDelete:
		return t.delete(c, txn, op)
	case zkproto.OpSetData:
		return t.setData(c, txn, op)
	case zkproto.OpSetACL:
		return t.setACL(c, txn, op)
	case zkproto.OpCheck:
		return t.check(c, txn, op)
	}
	return Outcome{Code: zkproto.ErrUnimplemented}
}

// create follows the order of checks of PrepRequestProcessor.pRequest2TxnCreate.
func (t *Tree) create(c *Caller, txn *Txn, op zkproto.MultiOp, inMulti bool) Outcome {
	if code := t.checkMode(op, inMulti); code != zkproto.OK {
		return Outcome{Code: code}
	}
	if op.NullPath || inMulti && op.Mode.TTL() && op.Op != zkproto.OpCreateTTL {
		return Outcome{Code: zkproto.ErrMarshallingError}
	}
	path := op.Path
	if !roughPath(path) {
		return Outcome{Code: zkproto.ErrBadArguments}
	}
	acl, code := t.fixACL(c, &op)
	if code != zkproto.OK {
		return Outcome{Code: code}
	}
	parentPath, _ := split(path)
	parent := t.find(parentPath)
	if parent == nil {
		return Outcome{Code: zkproto.ErrNoNode}
	}
	if !t.allowed(c, parent, zkproto.PermCreate) {
		return Outcome{Code: zkproto.ErrNoAuth}
	}
	if op.Mode.Sequential() {
		path += fmt.Sprintf("%010d", parent.creates())
	}
	if !validPath(path) {
		return Outcome{Code: zkproto.ErrBadArguments}
	}
	_, name := split(path)
	if path == "/" || parent.kid(name) != nil {
		return Outcome{Code: zkproto.ErrNodeExists}
	}
	if t.kind(parent) == kindEphemeral {
		return Outcome{Code: zkproto.ErrNoChildrenForEphemerals}
	}
	if t.quotaRefuses(path, int64(len(op.Data)), 1) {
		return Outcome{Code: zkproto.ErrQuotaExceeded}
	}
	rec := Record{Type: op.Op, Path: path, Data: op.Data, ACL: acl, ParentCreates: parent.creates() + 1}
	switch {
	case op.Op == zkproto.OpCreateTTL && op.Mode.TTL():
		rec.TTL = op.TTL
	case t.asContainer(op, inMulti):
		rec.Type = zkproto.OpCreateContainer
	case op.Op == zkproto.OpCreateTTL: // in a multi, where it is taken for a plain create
		rec.Type, rec.Ephemeral = zkproto.OpCreate, op.Mode.Ephemeral()
	default:
		// 3.8.0 and 3.8.1 cannot read a create2 inside a multi back.
		if rec.Type == zkproto.OpCreateContainer || inMulti {
			rec.Type = zkproto.OpCreate
		}
		rec.Ephemeral = op.Mode.Ephemeral()
	}
	txn.Record = rec
	n := t.applyCreate(txn, &rec, parent, name)
	return Outcome{Path: path, Stat: t.stat(n)}
}

// asContainer says which creates store containers: alone the opcode decides, inside a multi
// the mode does, and for 3.9 either.
func (t *Tree) asContainer(op zkproto.MultiOp, inMulti bool) bool {
	if !inMulti {
		return op.Op == zkproto.OpCreateContainer
	}
	return op.Mode.Container() || t.opt.Modern && op.Op == zkproto.OpCreateContainer
}

// checkMode refuses create modes that do not exist, or do not go with the opcode.
func (t *Tree) checkMode(op zkproto.MultiOp, inMulti bool) zkproto.Code {
	ttlOp := op.Op == zkproto.OpCreateTTL
	switch {
	case !op.Mode.Valid():
		return zkproto.ErrBadArguments
	case op.Mode.TTL() && !t.opt.ExtendedTypes:
		return zkproto.ErrUnimplemented
	case inMulti && op.Mode.TTL() && !ttlOp:
		return zkproto.OK // see create
	case op.Mode.TTL() && (!ttlOp || op.TTL <= 0 || op.TTL > zkproto.MaxTTL):
		return zkproto.ErrBadArguments
	case ttlOp && !op.Mode.TTL() && !inMulti:
		// Apache crashes here when the TTL is negative.
		return zkproto.ErrBadArguments
	}
	return zkproto.OK
}

func (t *Tree) applyCreate(txn *Txn, rec *Record, parent *node, name string) *node {
	n := newNode(name, rec.Data, txn.Zxid, txn.Time)
	n.acl = t.acls.intern(rec.ACL)
	rec.Data = n.data()
	switch {
	case rec.Type == zkproto.OpCreateContainer:
		n.change().owner = ownerContainer
	case rec.Type == zkproto.OpCreateTTL:
		n.change().owner = ownerTTL | rec.TTL
	case rec.Ephemeral:
		n.change().owner = txn.Session
	}
	t.insert(rec.Path, parent, n, rec.ParentCreates)
	return n
}

func (t *Tree) delete(c *Caller, txn *Txn, op zkproto.MultiOp) Outcome {
	path := op.Path
	if !roughPath(path) || deletable(path) != nil {
		return Outcome{Code: zkproto.ErrBadArguments}
	}
	parentPath, _ := split(path)
	parent := t.find(parentPath)
	if parent == nil {
		return Outcome{Code: zkproto.ErrNoNode}
	}
	if !t.allowed(c, parent, zkproto.PermDelete) {
		return Outcome{Code: zkproto.ErrNoAuth}
	}
	n := t.find(path)
	switch {
	case n == nil:
		return Outcome{Code: zkproto.ErrNoNode}
	case op.Version != -1 && op.Version != n.version():
		return Outcome{Code: zkproto.ErrBadVersion}
	case n.kidCount() > 0:
		return Outcome{Code: zkproto.ErrNotEmpty}
	}
	txn.Record = Record{Type: zkproto.OpDelete, Path: path}
	t.remove(path, n, txn.Zxid)
	return Outcome{}
}

// deletable returns an error for the znodes that every server needs.
func deletable(path string) error {
	switch path {
	case "/", systemPath, quotaPath, configPath:
		return zkproto.ErrBadArguments
	}
	return nil
}

func (t *Tree) setData(c *Caller, txn *Txn, op zkproto.MultiOp) Outcome {
	if !validPath(op.Path) {
		return Outcome{Code: zkproto.ErrBadArguments}
	}
	n := t.find(op.Path)
	switch {
	case n == nil:
		return Outcome{Code: zkproto.ErrNoNode}
	case !t.allowed(c, n, zkproto.PermWrite):
		return Outcome{Code: zkproto.ErrNoAuth}
	case t.quotaRefuses(op.Path, int64(len(op.Data)-n.size()), 0):
		return Outcome{Code: zkproto.ErrQuotaExceeded}
	case op.Version != -1 && op.Version != n.version():
		return Outcome{Code: zkproto.ErrBadVersion}
	}
	version := n.version() + 1
	t.write(op.Path, n, op.Data, version, txn.Zxid, txn.Time)
	txn.Record = Record{Type: zkproto.OpSetData, Path: op.Path, Data: n.data(), Version: version}
	return Outcome{Stat: t.stat(n)}
}

func (t *Tree) setACL(c *Caller, txn *Txn, op zkproto.MultiOp) Outcome {
	if !validPath(op.Path) {
		return Outcome{Code: zkproto.ErrBadArguments}
	}
	acl, code := t.fixACL(c, &op)
	if code != zkproto.OK {
		return Outcome{Code: code}
	}
	n := t.find(op.Path)
	switch {
	case n == nil:
		return Outcome{Code: zkproto.ErrNoNode}
	case !t.allowed(c, n, zkproto.PermAdmin):
		return Outcome{Code: zkproto.ErrNoAuth}
	case op.Version != -1 && op.Version != n.rest().aversion:
		return Outcome{Code: zkproto.ErrBadVersion}
	}
	version := n.rest().aversion + 1
	txn.Record = Record{Type: zkproto.OpSetACL, Path: op.Path, ACL: acl, Version: version}
	t.protect(op.Path, n, acl, version)
	return Outcome{Stat: t.stat(n)}
}

func (t *Tree) check(c *Caller, txn *Txn, op zkproto.MultiOp) Outcome {
	if !validPath(op.Path) {
		return Outcome{Code: zkproto.ErrBadArguments}
	}
	n := t.find(op.Path)
	switch {
	case n == nil:
		return Outcome{Code: zkproto.ErrNoNode}
	case !t.allowed(c, n, zkproto.PermRead):
		return Outcome{Code: zkproto.ErrNoAuth}
	case op.Version != -1 && op.Version != n.version():
		return Outcome{Code: zkproto.ErrBadVersion}
	}
	txn.Record = Record{Type: zkproto.OpCheck, Path: op.Path, Version: n.version()}
	return Outcome{}
}

// Reap deletes a container or a TTL znode for the server itself, without an ACL check. It
// does nothing, and uses no zxid, when the znode is not due (see [Tree.Due]) any more.
func (t *Tree) Reap(path string, now int64) (Outcome, bool) {
	n := t.find(path)
	if n == nil || !t.due(n, now) {
		return Outcome{}, false
	}
	txn := t.begin(0, 0, now)
	txn.Record = Record{Type: zkproto.OpDeleteContainer, Path: path}
	t.remove(path, n, txn.Zxid)
	return t.finish(txn, Outcome{}), true
}

// Due returns the containers and TTL znodes to be reaped at a time, in the order of their paths.
func (t *Tree) Due(now int64) []string {
	var paths []string
	for n := range t.reap {
		if t.due(n, now) {
			paths = append(paths, n.path())
		}
	}
	return sorted(paths)
}

func (t *Tree) due(n *node, now int64) bool {
	if n.kidCount() > 0 {
		return false
	}
	switch t.kind(n) {
	case kindContainer:
		return n.creates() > 0 // one that never had a child stays
	case kindTTL:
		return now-n.more.mtime > n.more.owner&ttlMask
	}
	return false
}
