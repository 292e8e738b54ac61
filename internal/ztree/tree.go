package ztree

import (
	"github.com/gazoo-zk/gazoo/zkproto"
)

// Options are what a server's configuration decides about the tree. They must not change while
// it lives, and a log must be replayed under the options it was written with.
type Options struct {
	ExtendedTypes bool // TTL znodes; off, their creates are Unimplemented (zookeeper.extendedTypesEnabled)
	EnforceQuota  bool // hard quotas refuse writes (enforceQuota)
	SkipACL       bool // no ACL is checked (zookeeper.skipACL)
	Digest        bool // keep the digest of the tree that Apache's logs and snapshots carry
	Modern        bool // where ZooKeeper 3.9 differs from 3.8, do as 3.9

	// Schemes are the authentication schemes beside world that ACLs may name; nil is
	// [DefaultSchemes].
	Schemes map[string]Scheme
}

// Tree is the state machine.
type Tree struct {
	opt  Options
	root *node
	zxid int64

	acls     aclTable
	sessions map[int64]*session
	reap     map[*node]struct{} // containers and TTL znodes
	quotas   map[string]quota   // by the path they limit
	before   map[string]quota   // those that the multi under way has changed, as they were

	unknown map[*node]struct{} // loaded with the key of an ACL that is in no table

	count  int   // znodes, the root included
	bytes  int64 // of paths and data, as Apache's approximate_data_size
	digest uint64

	undo    []func() // how to take back what a multi has done so far, newest last; nil outside of one
	changes []Change // of the write under way
	snap    *Snapshot
	snapGen uint32
}

// session is an entry of the session table.
type session struct {
	timeout    int32 // milliseconds
	ephemerals map[*node]struct{}
}

// Change is one change of a znode, which watches are told of.
type Change struct {
	Type      zkproto.EventType // created, deleted, data changed
	Path      string
	ACL       []zkproto.ACL // of the znode
	ParentACL []zkproto.ACL // of its parent, for creates and deletes
}

// Special paths. None of them can be deleted.
const (
	systemPath = "/zookeeper"
	quotaPath  = "/zookeeper/quota"
	configPath = "/zookeeper/config"
)

// New returns the tree of a server that starts for the first time, at zxid 0.
func New(opt Options) *Tree {
	t := empty(opt)
	t.install(quotaPath)
	config := t.install(configPath)
	config.change().aversion = -1 // as Apache's, which sets its ACL without counting
	config.acl = t.acls.intern([]zkproto.ACL{{Perms: zkproto.PermRead, Scheme: "world", ID: "anyone"}})
	t.digest = 0
	t.digestAll(t.root, "")
	return t
}

// empty has a root and nothing else.
func empty(opt Options) *Tree {
	if opt.Schemes == nil {
		opt.Schemes = DefaultSchemes()
	}
	return &Tree{
		opt: opt, root: newNode("", []byte{}, 0, 0), count: 1,
		acls: newACLTable(), sessions: make(map[int64]*session),
		reap: make(map[*node]struct{}), quotas: make(map[string]quota),
	}
}

// install makes one of the znodes that are there from the start, and its parents: without a
// create, so that no counter moves.
func (t *Tree) install(path string) *node {
	if n := t.find(path); n != nil {
		return n
	}
	above, name := split(path)
	n := newNode(name, []byte{}, 0, 0)
	n.attach(t.install(above))
	t.count++
	t.bytes += int64(len(path))
	return n
}

// Zxid returns the zxid of the newest transaction.
func (t *Tree) Zxid() int64 { return t.zxid }

// Options returns what the tree was made with.
func (t *Tree) Options() Options { return t.opt }

// Len returns the number of znodes, the root and those under /zookeeper included.
func (t *Tree) Len() int { return t.count }

// Bytes returns the size of all paths and data.
func (t *Tree) Bytes() int64 { return t.bytes }

// Digest returns the digest of the tree; 0 unless [Options] ask for it.
func (t *Tree) Digest() int64 { return int64(t.digest) }

// EphemeralCount returns the number of ephemeral znodes.
func (t *Tree) EphemeralCount() int {
	n := 0
	for _, s := range t.sessions {
		n += len(s.ephemerals)
	}
	return n
}

// undoable says whether changes may have to be taken back, so that closures which can do it are
// made only then.
func (t *Tree) undoable() bool { return t.undo != nil }

// later registers how to take a change back.
func (t *Tree) later(f func()) { t.undo = append(t.undo, f) }
