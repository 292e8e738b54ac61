package ztree

import (
	"strings"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// node is a znode. There can be millions: fields are chosen for size.
type node struct {
	name   string
	parent *node // nil for the root, and once deleted
	data   []byte
	kids   map[string]*node // nil without children

	czxid, mzxid, pzxid int64
	ctime, mtime        int64 // milliseconds since 1970
	owner               int64 // session of an ephemeral, or one of the codes below
	version, aversion   int32
	creates             int32 // children ever created: names sequential ones, makes cversion
	acl                 aclRef
	snap                uint32 // newest snapshot that has it, or does not want it
}

// Owners that are no sessions. A TTL owner carries the TTL in its low 40 bits.
const (
	ownerContainer = int64(-1) << 63
	ownerTTL       = int64(-1) << 56
	ttlMask        = int64(1)<<40 - 1
)

// kind is what the owner field says a znode is.
type kind uint8

const (
	kindPersistent kind = iota
	kindEphemeral
	kindContainer
	kindTTL
)

// kindOf reads an owner. Without extended types 0xff… is an ordinary session id, as on
// servers that have them off.
func kindOf(owner int64, extended bool) kind {
	switch {
	case owner == 0:
		return kindPersistent
	case owner == ownerContainer:
		return kindContainer
	case extended && owner&ownerTTL == ownerTTL:
		return kindTTL
	}
	return kindEphemeral
}

func (t *Tree) kind(n *node) kind { return kindOf(n.owner, t.opt.ExtendedTypes) }

// stat makes the stat that clients see.
func (t *Tree) stat(n *node) zkproto.Stat {
	s := zkproto.Stat{
		Czxid: n.czxid, Mzxid: n.mzxid, Pzxid: n.pzxid, Ctime: n.ctime, Mtime: n.mtime,
		Version: n.version, Aversion: n.aversion,
		Cversion:   2*n.creates - int32(len(n.kids)),
		DataLength: int32(len(n.data)), NumChildren: int32(len(n.kids)),
	}
	if t.kind(n) == kindEphemeral {
		s.EphemeralOwner = n.owner
	}
	return s
}

// path returns the absolute path of a node of the tree.
func (n *node) path() string {
	if n.parent == nil {
		return "/"
	}
	size := 0
	for x := n; x.parent != nil; x = x.parent {
		size += 1 + len(x.name)
	}
	b := make([]byte, size)
	for x := n; x.parent != nil; x = x.parent {
		size -= len(x.name)
		copy(b[size:], x.name)
		size--
		b[size] = '/'
	}
	return string(b)
}

// find looks a path up, by its text alone: "" is the root, as on Apache servers, and a
// malformed path is a znode that does not exist.
func (t *Tree) find(path string) *node {
	if path == "" || path == "/" {
		return t.root
	}
	if path[0] != '/' {
		return nil
	}
	n := t.root
	for rest := path[1:]; ; {
		name, below, more := strings.Cut(rest, "/")
		// An empty name is no child of anybody: names are validated before they are stored.
		if n = n.kids[name]; n == nil || !more {
			return n
		}
		rest = below
	}
}

// split cuts a path at its last slash: the parent is "" for children of the root.
func split(path string) (parent, name string) {
	i := strings.LastIndexByte(path, '/')
	return path[:i], path[i+1:]
}

// attach makes n a child of parent.
func (n *node) attach(parent *node) {
	if parent.kids == nil {
		parent.kids = make(map[string]*node)
	}
	parent.kids[n.name] = n
	n.parent = parent
}

// detach takes n away from its parent.
func (n *node) detach() {
	delete(n.parent.kids, n.name)
	if len(n.parent.kids) == 0 {
		n.parent.kids = nil
	}
	n.parent = nil
}
