package zkserver

import (
	"github.com/gazoo-zk/gazoo/internal/ztree"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// validMulti reports whether operations can be together in a request: only writes and checks in
// a multi, only reads in a multiRead.
func validMulti(op zkproto.OpCode, ops []zkproto.MultiOp) bool {
	for i := range ops {
		o := &ops[i]
		read := o.Op == zkproto.OpGetData || o.Op == zkproto.OpGetChildren
		if read != (op == zkproto.OpMultiRead) || o.NullPath {
			return false
		}
	}
	return true
}

// multiRead executes reads of which each fails alone. They set no watches, whatever they ask.
func (e *engine) multiRead(caller *ztree.Caller, ops []zkproto.MultiOp) []zkproto.MultiResult {
	results := make([]zkproto.MultiResult, len(ops))
	for i := range ops {
		r := zkproto.MultiResult{Op: ops[i].Op}
		var code zkproto.Code
		if r.Op == zkproto.OpGetData {
			r.Data, r.Stat, code = e.tree.Get(caller, ops[i].Path)
		} else {
			r.Children, _, code = e.tree.Children(caller, ops[i].Path)
		}
		if code != zkproto.OK {
			r = zkproto.MultiResult{Op: zkproto.OpError, Err: code}
		}
		results[i] = r
	}
	return results
}
