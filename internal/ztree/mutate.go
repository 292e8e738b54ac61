package ztree

import "github.com/gazoo-zk/gazoo/zkproto"

// This file holds the changes that the tree is made of. They check nothing. Each keeps the
// digest, the indexes and a snapshot under way true, and says how to take it back.

// insert makes a znode. parentCreates is what the parent's counter becomes.
func (t *Tree) insert(path string, parent *node, n *node, parentCreates int32) {
	parentPath, _ := split(path)
	t.preserve(parent)
	t.undigest(parent, parentPath)
	was := parent.rest()
	n.attach(parent)
	n.snap = t.snapGen
	m := parent.change()
	m.creates, m.pzxid = parentCreates, max(m.pzxid, n.czxid)
	t.redigest(parent, parentPath)
	t.redigest(n, path)
	t.index(n)
	t.count++
	t.bytes += int64(len(path) + n.size())
	t.acls.use(n.acl, 1)
	if t.undoable() {
		t.later(func() {
			t.unindex(n)
			n.detach()
			m.creates, m.pzxid = was.creates, was.pzxid
			t.count--
			t.bytes -= int64(len(path) + n.size())
			t.acls.use(n.acl, -1)
		})
	}
	t.quotaInserted(path, n)
	t.changes = append(t.changes, Change{zkproto.EventCreated, path, t.acls.list(n.acl), t.acls.list(parent.acl)})
}

// remove takes a znode away in the transaction zxid.
func (t *Tree) remove(path string, n *node, zxid int64) {
	parent := n.parent
	parentPath, _ := split(path)
	t.preserve(n)
	t.preserve(parent)
	t.undigest(n, path)
	t.undigest(parent, parentPath)
	t.unindex(n)
	delete(t.unknown, n)
	n.detach()
	m := parent.more
	pzxid := m.pzxid
	m.pzxid = max(pzxid, zxid)
	t.redigest(parent, parentPath)
	t.count--
	t.bytes -= int64(len(path) + n.size())
	t.changes = append(t.changes, Change{zkproto.EventDeleted, path, t.acls.list(n.acl), t.acls.list(parent.acl)})
	t.acls.use(n.acl, -1)
	if t.undoable() {
		t.later(func() {
			t.acls.use(n.acl, 1)
			n.attach(parent)
			m.pzxid = pzxid
			t.index(n)
			t.count++
			t.bytes += int64(len(path) + n.size())
		})
	}
	t.quotaRemoved(path, n)
}

// write replaces a znode's data.
func (t *Tree) write(path string, n *node, data []byte, version int32, zxid, now int64) {
	t.preserve(n)
	t.undigest(n, path)
	m := n.change()
	text, null, was := n.text, n.null, *m
	more := int64(len(data) - n.size())
	n.setText(n.name(), data)
	m.version, m.mzxid, m.mtime = version, zxid, now
	t.redigest(n, path)
	t.bytes += more
	if t.undoable() {
		t.later(func() {
			n.text, n.null = text, null
			m.version, m.mzxid, m.mtime = was.version, was.mzxid, was.mtime
			t.bytes -= more
		})
	}
	t.quotaWritten(path, n, more)
	t.changes = append(t.changes, Change{zkproto.EventDataChanged, path, t.acls.list(n.acl), nil})
}

// protect replaces a znode's ACL, of which no watch is told.
func (t *Tree) protect(path string, n *node, acl []zkproto.ACL, aversion int32) {
	t.preserve(n)
	t.undigest(n, path)
	ref := t.acls.intern(acl)
	t.acls.use(ref, 1)
	t.acls.use(n.acl, -1)
	delete(t.unknown, n)
	n.acl = ref
	n.change().aversion = aversion
	t.redigest(n, path)
}

// index enters a znode where its owner says.
func (t *Tree) index(n *node) {
	switch t.kind(n) {
	case kindEphemeral:
		s := t.sessions[n.owner()]
		if s == nil {
			// The session's end is still to come in the log, or its start lies before a
			// fuzzy snapshot: see Loader.Finish.
			s = &session{}
			t.sessions[n.owner()] = s
		}
		if s.ephemerals == nil {
			s.ephemerals = make(map[*node]struct{})
		}
		s.ephemerals[n] = struct{}{}
	case kindContainer, kindTTL:
		t.reap[n] = struct{}{}
	}
}

func (t *Tree) unindex(n *node) {
	switch t.kind(n) {
	case kindEphemeral:
		if s := t.sessions[n.owner()]; s != nil {
			delete(s.ephemerals, n)
		}
	case kindContainer, kindTTL:
		delete(t.reap, n)
	}
}
