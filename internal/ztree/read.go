package ztree

import (
	"strings"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// Exists answers an exists request. From 3.8.4 and 3.9.2 on a present znode needs Read.
func (t *Tree) Exists(c *Caller, path string) (zkproto.Stat, zkproto.Code) {
	if strings.Contains(path, "\x00") {
		return zkproto.Stat{}, zkproto.ErrBadArguments
	}
	n := t.find(path)
	if n == nil {
		return zkproto.Stat{}, zkproto.ErrNoNode
	}
	if t.opt.Modern && !t.allowed(c, n, zkproto.PermRead) {
		return zkproto.Stat{}, zkproto.ErrNoAuth
	}
	return t.stat(n), zkproto.OK
}

// Get answers a getData request. The data belongs to the tree, which never changes it in place.
func (t *Tree) Get(c *Caller, path string) ([]byte, zkproto.Stat, zkproto.Code) {
	n, code := t.readable(c, path)
	if code != zkproto.OK {
		return nil, zkproto.Stat{}, code
	}
	return n.data(), t.stat(n), zkproto.OK
}

// Children answers a getChildren request, in no order.
func (t *Tree) Children(c *Caller, path string) ([]string, zkproto.Stat, zkproto.Code) {
	n, code := t.readable(c, path)
	if code != zkproto.OK {
		return nil, zkproto.Stat{}, code
	}
	names := make([]string, 0, n.kidCount())
	for kid := range n.kids().all() {
		names = append(names, kid.name())
	}
	return names, t.stat(n), zkproto.OK
}

// Count answers a getAllChildrenNumber request.
func (t *Tree) Count(c *Caller, path string) (int32, zkproto.Code) {
	n, code := t.readable(c, path)
	if code != zkproto.OK {
		return 0, code
	}
	if n == t.root {
		return int32(t.count - 1), zkproto.OK
	}
	return int32(descendants(n)), zkproto.OK
}

func descendants(n *node) int {
	total := n.kidCount()
	for kid := range n.kids().all() {
		total += descendants(kid)
	}
	return total
}

// GetACL answers a getACL request: without Admin the hashes of digest identities are masked.
func (t *Tree) GetACL(c *Caller, path string) ([]zkproto.ACL, zkproto.Stat, zkproto.Code) {
	n := t.find(path)
	if n == nil {
		return nil, zkproto.Stat{}, zkproto.ErrNoNode
	}
	if !t.allowed(c, n, zkproto.PermRead|zkproto.PermAdmin) {
		return nil, zkproto.Stat{}, zkproto.ErrNoAuth
	}
	acl := t.acls.list(n.acl)
	if !t.allowed(c, n, zkproto.PermAdmin) {
		acl = masked(acl)
	}
	return acl, t.stat(n), zkproto.OK
}

// Ephemerals answers a getEphemerals request: a plain comparison of text.
func (t *Tree) Ephemerals(session int64, prefix string) []string {
	all := t.SessionEphemerals(session)
	// Java's trim takes controls away too, and no other space than U+0020.
	if p := strings.TrimFunc(prefix, func(r rune) bool { return r <= ' ' }); p == "" || p == "/" {
		return all
	}
	kept := all[:0]
	for _, path := range all {
		if strings.HasPrefix(path, prefix) {
			kept = append(kept, path)
		}
	}
	return kept
}

// ACLOf returns the ACL of a znode, for watches; ok is false when it is missing.
func (t *Tree) ACLOf(path string) (acl []zkproto.ACL, ok bool) {
	n := t.find(path)
	if n == nil {
		return nil, false
	}
	return t.acls.list(n.acl), true
}

// Peek returns a znode's stat without any check, for watches and inspection.
func (t *Tree) Peek(path string) (zkproto.Stat, bool) {
	n := t.find(path)
	if n == nil {
		return zkproto.Stat{}, false
	}
	return t.stat(n), true
}

func (t *Tree) readable(c *Caller, path string) (*node, zkproto.Code) {
	n := t.find(path)
	if n == nil {
		return nil, zkproto.ErrNoNode
	}
	if !t.allowed(c, n, zkproto.PermRead) {
		return nil, zkproto.ErrNoAuth
	}
	return n, zkproto.OK
}
