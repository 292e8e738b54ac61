package ztree

import (
	"fmt"
	"testing"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// fuzzy loads a snapshot taken as Apache takes it: the sessions and ACLs of one moment, then each
// znode as it is when its turn comes, while the tree goes on.
func fuzzy(t *testing.T, a *actor) (*Tree, int64) {
	t.Helper()
	zxid := a.tree.Zxid()
	l := Load(a.tree.Options())
	for id, timeout := range a.tree.Sessions() {
		l.AddSession(id, timeout)
	}
	for key, acl := range a.tree.acls.entries() {
		l.AddACL(key, acl)
	}
	var visit func(path string)
	visit = func(path string) {
		n := a.tree.find(path)
		if n == nil {
			return
		}
		if err := l.AddNode(record(n, n.path())); err != nil {
			t.Fatal(err)
		}
		var kids []string
		for kid := range n.kids().all() {
			kids = append(kids, kid.name())
		}
		for range a.rnd.IntN(4) {
			a.step()
		}
		for _, name := range sorted(kids) {
			visit(path + "/" + name)
		}
	}
	visit("")
	return l.Finish(zxid), zxid
}

// The log makes up for a snapshot that was taken while the tree changed.
func TestReplayOntoAFuzzySnapshot(t *testing.T) {
	for seed := range uint64(300) {
		a := newActor(seed, Options{})
		for range 150 {
			a.step()
		}
		copied, zxid := fuzzy(t, a)
		for range 20 {
			a.step()
		}
		for _, txn := range a.log {
			if txn.Zxid <= zxid {
				continue
			}
			if err := copied.Replay(txn); err != nil {
				t.Fatal(err)
			}
		}
		if missing := copied.MissingACLs(); len(missing) > 0 {
			t.Errorf("seed %d: no ACL for %v", seed, missing)
		}
		if dropped := copied.Settle(); len(dropped) > 0 {
			t.Errorf("seed %d: ephemerals without a session: %v", seed, dropped)
		}
		sameTree(t, fmt.Sprintf("seed %d", seed), copied, a.tree)
	}
}

// A znode whose ACL nobody knows is not open to everybody: whoever loads it is told.
func TestMissingACLsAreTold(t *testing.T) {
	l := Load(Options{})
	for _, r := range []NodeRecord{{ACLKey: OpenACLKey}, {Path: "/secret", ACLKey: 7}} {
		if err := l.AddNode(r); err != nil {
			t.Fatal(err)
		}
	}
	tree := l.Finish(5)
	if got := tree.MissingACLs(); len(got) != 1 || got[0] != "/secret" {
		t.Fatalf("MissingACLs() = %v, want /secret", got)
	}
	mine := []zkproto.ACL{{Perms: zkproto.PermAll, Scheme: "digest", ID: "me:x"}}
	create := Record{Type: zkproto.OpCreate, Path: "/secret", ACL: mine, ParentCreates: 1}
	if err := tree.Replay(Txn{Zxid: 6, Record: create}); err != nil {
		t.Fatal(err)
	}
	if acl, _ := tree.ACLOf("/secret"); len(acl) != 1 || acl[0] != mine[0] {
		t.Errorf("ACL after its create was replayed = %v, want %v", acl, mine)
	}
	if got := tree.MissingACLs(); len(got) != 0 {
		t.Errorf("MissingACLs() = %v, want none", got)
	}
}

// A create2 inside a multi is logged as a create, the only form that 3.8.0 reads back.
func TestMultiLogsPlainCreates(t *testing.T) {
	tree := New(Options{Modern: true})
	out := tree.Multi(&Caller{}, 1, []zkproto.MultiOp{{Op: zkproto.OpCreate2, Path: "/a", ACL: open}})
	if parts := out.Txn.Record.Parts; len(parts) != 1 || parts[0].Type != zkproto.OpCreate {
		t.Errorf("record %+v, want a create", parts)
	}
	if out.Results[0].Op != zkproto.OpCreate2 {
		t.Errorf("result %+v, want that of a create2", out.Results[0])
	}
}
