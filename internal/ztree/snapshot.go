package ztree

import (
	"iter"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// NodeRecord is a znode as snapshots keep it.
type NodeRecord struct {
	Path   string // "" for the root
	Data   []byte // belongs to the tree, which never changes it in place
	ACLKey int64  // of the snapshot's table, or OpenACLKey

	Czxid, Mzxid, Pzxid int64
	Ctime, Mtime        int64
	Owner               int64 // session, or the code of a container or a TTL
	Version, Aversion   int32
	Creates             int32 // children ever created, which Apache stores as cversion
}

func record(n *node, path string) NodeRecord {
	if path == "/" {
		path = ""
	}
	m := n.rest()
	return NodeRecord{
		Path: path, Data: n.data(), ACLKey: n.acl.key(),
		Czxid: n.czxid, Mzxid: m.mzxid, Pzxid: m.pzxid, Ctime: n.ctime, Mtime: m.mtime,
		Owner: m.owner, Version: m.version, Aversion: m.aversion, Creates: m.creates,
	}
}

// Snapshot is the tree as it was when [Tree.Snapshot] was called, taken piece by piece while the
// tree goes on: a znode that is about to change, and has not been taken yet, is taken first,
// with its parents. So it costs each write little, and nobody waits.
type Snapshot struct {
	Zxid     int64
	Digest   int64
	Sessions map[int64]int32         // id to time-out in milliseconds
	ACLs     map[int64][]zkproto.ACL // by key
	tree     *Tree
	gen      uint32
	early    []NodeRecord // taken before their turn
	next     func() (*node, bool)
	stop     func()
}

// Snapshot begins a snapshot. There is one at a time: an unfinished one must be stopped first.
func (t *Tree) Snapshot() *Snapshot {
	if t.snap != nil {
		panic("ztree: a snapshot is under way")
	}
	t.snapGen++
	s := &Snapshot{
		Zxid: t.zxid, Digest: t.Digest(), Sessions: t.Sessions(), ACLs: t.acls.entries(),
		tree: t, gen: t.snapGen,
	}
	s.next, s.stop = iter.Pull(s.walk())
	t.snap = s
	return s
}

// Next returns the next znode, parents before their children; false when all were returned,
// which ends the snapshot. It must be called by the owner of the tree.
func (s *Snapshot) Next() (NodeRecord, bool) {
	for {
		r, found, more := s.step()
		if found || !more {
			return r, found
		}
	}
}

// Take is [Snapshot.Next] for whoever must not work for long: it looks at no more than max znodes,
// of which it appends those that belong to the snapshot. It reports whether there may be more.
func (s *Snapshot) Take(to []NodeRecord, max int) (_ []NodeRecord, more bool) {
	for range max {
		r, found, more := s.step()
		if !more {
			return to, false
		}
		if found {
			to = append(to, r)
		}
	}
	return to, true
}

// step looks at one znode.
func (s *Snapshot) step() (r NodeRecord, found, more bool) {
	if len(s.early) > 0 {
		r = s.early[0]
		s.early = s.early[1:]
		return r, true, true
	}
	n, more := s.next()
	if !more {
		s.Stop()
		return r, false, false
	}
	if n.snap == s.gen {
		return r, false, true
	}
	n.snap = s.gen
	return record(n, n.path()), true, true
}

// Stop ends a snapshot early. It may be called again.
func (s *Snapshot) Stop() {
	s.stop()
	if s.tree.snap == s {
		s.tree.snap = nil
	}
}

// walk visits the tree, parents first. What is deleted behind its back was taken then, and what
// is created has the snapshot's mark already.
func (s *Snapshot) walk() iter.Seq[*node] {
	return func(yield func(*node) bool) {
		var visit func(n *node) bool
		visit = func(n *node) bool {
			if !yield(n) {
				return false
			}
			for kid := range n.kids().throughout() {
				if !visit(kid) {
					return false
				}
			}
			return true
		}
		visit(s.tree.root)
	}
}

// preserve takes a znode that is about to change into the snapshot under way.
func (t *Tree) preserve(n *node) {
	if t.snap == nil || n.snap == t.snapGen {
		return
	}
	if n.parent != nil {
		t.preserve(n.parent) // parents come before their children
	}
	n.snap = t.snapGen
	t.snap.early = append(t.snap.early, record(n, n.path()))
}
