package ztree

import (
	"strings"
	"unsafe"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// node is a znode. There can be millions, most of them never changed since they were made: what
// these need is here, in 64 bytes, and the rest in more.
type node struct {
	text   string // the name, and the data behind it
	parent *node  // nil for the root, and once deleted
	more   *more  // nil while all of it is as it was at first

	czxid, ctime int64 // milliseconds since 1970
	acl          aclRef
	snap         uint32 // newest snapshot that has it, or does not want it
	nameLen      uint32
	null         bool // the data is the null buffer
}

// more is what changes about a znode, and what only some have.
type more struct {
	mzxid, pzxid, mtime int64
	owner               int64 // session of an ephemeral, or one of the codes below
	kids                *kids // nil without children
	version, aversion   int32
	creates             int32 // children ever created: names sequential ones, makes cversion
}

// newNode makes a znode that nothing has happened to since.
func newNode(name string, data []byte, zxid, time int64) *node {
	n := &node{czxid: zxid, ctime: time, nameLen: uint32(len(name))}
	n.setText(name, data)
	return n
}

// rest returns what may be in more.
func (n *node) rest() more {
	if n.more != nil {
		return *n.more
	}
	return more{mzxid: n.czxid, pzxid: n.czxid, mtime: n.ctime}
}

// change returns the place of what is about to be changed.
func (n *node) change() *more {
	if n.more == nil {
		m := n.rest()
		n.more = &m
	}
	return n.more
}

func (n *node) name() string { return n.text[:n.nameLen] }

// data returns the data, which nobody may change: readers and logs hold on to it.
func (n *node) data() []byte {
	if n.null {
		return nil
	}
	if n.size() == 0 {
		return []byte{}
	}
	return unsafe.Slice(unsafe.StringData(n.text[n.nameLen:]), n.size())
}

func (n *node) size() int { return len(n.text) - int(n.nameLen) }

// setText stores the name and a copy of the data.
func (n *node) setText(name string, data []byte) {
	b := make([]byte, len(name)+len(data))
	copy(b[copy(b, name):], data)
	n.text, n.null = unsafe.String(unsafe.SliceData(b), len(b)), data == nil
}

func (n *node) owner() int64 {
	if n.more == nil {
		return 0
	}
	return n.more.owner
}

func (n *node) version() int32 {
	if n.more == nil {
		return 0
	}
	return n.more.version
}

// creates returns how many children were ever created.
func (n *node) creates() int32 {
	if n.more == nil {
		return 0
	}
	return n.more.creates
}

func (n *node) kids() *kids {
	if n.more == nil {
		return nil
	}
	return n.more.kids
}

// kid returns a child, or nil.
func (n *node) kid(name string) *node { return n.kids().get(name) }

// kidCount returns the number of children.
func (n *node) kidCount() int {
	if k := n.kids(); k != nil {
		return k.count
	}
	return 0
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

func (t *Tree) kind(n *node) kind { return kindOf(n.owner(), t.opt.ExtendedTypes) }

// stat makes the stat that clients see.
func (t *Tree) stat(n *node) zkproto.Stat {
	m := n.rest()
	s := zkproto.Stat{
		Czxid: n.czxid, Mzxid: m.mzxid, Pzxid: m.pzxid, Ctime: n.ctime, Mtime: m.mtime,
		Version: m.version, Aversion: m.aversion,
		Cversion:   2*m.creates - int32(n.kidCount()),
		DataLength: int32(n.size()), NumChildren: int32(n.kidCount()),
	}
	if t.kind(n) == kindEphemeral {
		s.EphemeralOwner = m.owner
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
		size += 1 + int(x.nameLen)
	}
	b := make([]byte, size)
	for x := n; x.parent != nil; x = x.parent {
		size -= int(x.nameLen)
		copy(b[size:], x.name())
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
		if n = n.kid(name); n == nil || !more {
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
	m := parent.change()
	if m.kids == nil {
		m.kids = &kids{}
	}
	m.kids.add(n)
	n.parent = parent
}

// detach takes n away from its parent.
func (n *node) detach() {
	m := n.parent.more
	if m.kids.remove(n); m.kids.count == 0 {
		m.kids = nil
	}
	n.parent = nil
}
