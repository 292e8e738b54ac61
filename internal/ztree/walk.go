package ztree

import (
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// Info is everything about a znode, for inspection.
type Info struct {
	Path      string // "/" for the root
	Data      []byte // belongs to the tree, which never changes it in place
	ACL       []zkproto.ACL
	Stat      zkproto.Stat
	Container bool
	TTL       time.Duration // 0 without one
}

// Walk visits a znode and what is below it, parents first and children by name, without any
// check. The tree must not change meanwhile.
func (t *Tree) Walk(path string) iter.Seq[Info] {
	return func(yield func(Info) bool) {
		if n := t.find(path); n != nil {
			t.walk(n, n.path(), yield)
		}
	}
}

func (t *Tree) walk(n *node, path string, yield func(Info) bool) bool {
	info := Info{Path: path, Data: n.data(), ACL: t.acls.list(n.acl), Stat: t.stat(n)}
	switch t.kind(n) {
	case kindContainer:
		info.Container = true
	case kindTTL:
		info.TTL = time.Duration(n.owner()&ttlMask) * time.Millisecond
	}
	if !yield(info) {
		return false
	}
	if path == "/" {
		path = ""
	}
	below := slices.SortedFunc(n.kids().all(), func(a, b *node) int { return strings.Compare(a.name(), b.name()) })
	for _, kid := range below {
		if !t.walk(kid, path+"/"+kid.name(), yield) {
			return false
		}
	}
	return true
}
