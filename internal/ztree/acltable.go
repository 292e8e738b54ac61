package ztree

import (
	"maps"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// aclRef names an ACL of the table. 0 is world:anyone all, which is not counted.
type aclRef uint32

// OpenACLKey is the key that snapshots give world:anyone all, which is in no table.
const OpenACLKey int64 = -1

// aclTable stores each distinct ACL once, since millions of znodes share a few. Keys are the
// numbers that snapshots use; they only grow.
type aclTable struct {
	lists map[aclRef]*aclEntry
	refs  map[string]aclRef // by wire form
	next  aclRef
	held  []aclRef // lost their last user inside a multi, which may be taken back; nil outside of one
}

type aclEntry struct {
	acl   []zkproto.ACL
	wire  string
	users int
}

func newACLTable() aclTable {
	t := aclTable{lists: make(map[aclRef]*aclEntry), refs: make(map[string]aclRef), next: 1}
	open := []zkproto.ACL{{Perms: zkproto.PermAll, Scheme: "world", ID: "anyone"}}
	t.lists[0] = &aclEntry{acl: open, wire: wireACL(open), users: 1}
	t.refs[t.lists[0].wire] = 0
	return t
}

func wireACL(acl []zkproto.ACL) string {
	var b []byte
	for _, a := range acl {
		b = a.AppendTo(b)
	}
	return string(b)
}

// intern returns the reference of an ACL, which it keeps and nobody may change.
func (t *aclTable) intern(acl []zkproto.ACL) aclRef {
	wire := wireACL(acl)
	if ref, known := t.refs[wire]; known {
		return ref
	}
	ref := t.next
	t.next++
	t.lists[ref] = &aclEntry{acl: acl, wire: wire}
	t.refs[wire] = ref
	return ref
}

func (t *aclTable) list(ref aclRef) []zkproto.ACL {
	if e := t.lists[ref]; e != nil {
		return e.acl
	}
	return nil
}

// use counts a znode in or out; an ACL that nobody uses is forgotten.
func (t *aclTable) use(ref aclRef, n int) {
	e := t.lists[ref]
	if ref == 0 || e == nil {
		return
	}
	if e.users += n; e.users > 0 {
		return
	}
	if t.held != nil {
		t.held = append(t.held, ref)
		return
	}
	delete(t.lists, ref)
	delete(t.refs, e.wire)
}

// hold keeps ACLs without users until settle, which forgets those that found none again.
func (t *aclTable) hold() { t.held = []aclRef{} }

func (t *aclTable) settle() {
	held := t.held
	t.held = nil
	for _, ref := range held {
		t.use(ref, 0)
	}
}

// entries returns the table by key, without the open ACL.
func (t *aclTable) entries() map[int64][]zkproto.ACL {
	out := make(map[int64][]zkproto.ACL, len(t.lists))
	for ref, e := range maps.All(t.lists) {
		if ref != 0 {
			out[int64(ref)] = e.acl
		}
	}
	return out
}

func (ref aclRef) key() int64 {
	if ref == 0 {
		return OpenACLKey
	}
	return int64(ref)
}
