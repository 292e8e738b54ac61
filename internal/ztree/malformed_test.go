package ztree

import (
	"testing"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// TestMalformedOperations holds what Apache makes of requests that no client library sends.
func TestMalformedOperations(t *testing.T) {
	create := func(op zkproto.OpCode, path string, mode zkproto.CreateMode) zkproto.MultiOp {
		return zkproto.MultiOp{Op: op, Path: path, ACL: open, Mode: mode, NullPath: path == ""}
	}
	tree := New(Options{ExtendedTypes: true})
	caller := &Caller{Session: 1}

	for _, c := range []struct {
		op   zkproto.MultiOp
		want zkproto.Code
	}{
		{create(zkproto.OpCreate, "", 0), zkproto.ErrMarshallingError},
		{create(zkproto.OpCreate, "", 7), zkproto.ErrBadArguments}, // the mode comes first
		{zkproto.MultiOp{Op: zkproto.OpDelete, NullPath: true}, zkproto.ErrMarshallingError},
		{zkproto.MultiOp{Op: zkproto.OpSetData, NullPath: true}, zkproto.ErrBadArguments},
		{zkproto.MultiOp{Op: zkproto.OpSetACL, NullPath: true}, zkproto.ErrBadArguments},
	} {
		if out := tree.Write(caller, 0, c.op); out.Code != c.want {
			t.Errorf("Write(%+v) = %v, want %v", c.op, out.Code, c.want)
		}
	}

	// A TTL operation without a TTL mode is a plain create inside a multi, and a TTL mode in
	// another create spoils the whole.
	out := tree.Multi(caller, 0, []zkproto.MultiOp{create(zkproto.OpCreateTTL, "/plain", zkproto.ModeEphemeral)})
	if out.Code != zkproto.OK || out.Results[0].Op != zkproto.OpCreate {
		t.Errorf("createTTL with another mode in a multi = %v %+v, want a create", out.Code, out.Results)
	}
	for _, bad := range []zkproto.MultiOp{
		create(zkproto.OpCreate, "/b", zkproto.ModePersistentTTL), create(zkproto.OpCreate, "", 0),
		{Op: zkproto.OpSetData, NullPath: true},
	} {
		out = tree.Multi(caller, 0, []zkproto.MultiOp{create(zkproto.OpCreate, "/a", 0), bad})
		if out.Code != zkproto.ErrMarshallingError || out.Results != nil || out.Txn.Record.Type != zkproto.OpError {
			t.Errorf("Multi with %+v = %v %+v, want it refused as a whole", bad, out.Code, out.Results)
		}
		if _, ok := tree.Peek("/a"); ok {
			t.Error("a refused multi left a znode")
		}
	}
	// An operation before it that fails ends the multi as usual.
	out = tree.Multi(caller, 0, []zkproto.MultiOp{{Op: zkproto.OpDelete, Path: "/missing"}, create(zkproto.OpCreate, "/b", zkproto.ModePersistentTTL)})
	if out.Code != zkproto.OK || out.Results[0].Err != zkproto.ErrNoNode {
		t.Errorf("Multi = %v %+v, want NoNode in its first result", out.Code, out.Results)
	}
}
