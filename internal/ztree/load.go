package ztree

import (
	"fmt"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// Loader builds a tree from a snapshot.
type Loader struct {
	t    *Tree
	keys map[int64]aclRef
}

// Load begins to build a tree.
func Load(opt Options) *Loader {
	l := &Loader{t: empty(opt), keys: map[int64]aclRef{OpenACLKey: 0}}
	l.t.unknown = make(map[*node]struct{})
	return l
}

// AddSession enters a session with its time-out in milliseconds.
func (l *Loader) AddSession(id int64, timeout int32) { l.t.openSession(id, timeout) }

// AddACL enters an ACL under its key. All must come before the znodes.
func (l *Loader) AddACL(key int64, acl []zkproto.ACL) {
	ref := l.t.acls.intern(acl)
	l.keys[key] = ref
	l.t.acls.use(ref, 1) // until Finish
}

// AddNode enters a znode; its parent must be there. An ACL key that is in no table is legal in
// a snapshot that was written while the tree changed, as Apache's are: the log, replayed onto
// it, brings the ACL.
func (l *Loader) AddNode(r NodeRecord) error {
	t := l.t
	n := t.root
	if r.Path == "" {
		n.setText("", r.Data)
		n.czxid, n.ctime = r.Czxid, r.Ctime
	}
	if r.Path != "" {
		if !validPath(r.Path) {
			return fmt.Errorf("invalid path %q", r.Path)
		}
		above, name := split(r.Path)
		parent := t.find(above)
		if parent == nil {
			return fmt.Errorf("%q comes before its parent", r.Path)
		}
		if parent.kid(name) != nil {
			return fmt.Errorf("%q comes twice", r.Path)
		}
		n = newNode(name, r.Data, r.Czxid, r.Ctime)
		n.attach(parent)
		t.count++
		t.bytes += int64(len(r.Path))
	}
	ref, known := l.keys[r.ACLKey]
	if !known {
		t.unknown[n] = struct{}{}
	}
	n.acl = ref
	m := n.rest()
	m.mzxid, m.pzxid, m.mtime, m.owner = r.Mzxid, r.Pzxid, r.Mtime, r.Owner
	m.version, m.aversion, m.creates = r.Version, r.Aversion, r.Creates
	if m != n.rest() {
		*n.change() = m
	}
	t.acls.use(ref, 1)
	t.bytes += int64(n.size())
	return nil
}

// Finish returns the tree as of zxid, ready for [Tree.Replay].
func (l *Loader) Finish(zxid int64) *Tree {
	t := l.t
	t.zxid = zxid
	for key, ref := range l.keys {
		if key != OpenACLKey {
			t.acls.use(ref, -1)
		}
	}
	for _, path := range []string{quotaPath, configPath} {
		if t.find(path) == nil { // a directory from before there was such a znode
			t.install(path)
		}
	}
	t.indexAll(t.root)
	t.digest = 0
	t.digestAll(t.root, "")
	return t
}

func (t *Tree) indexAll(n *node) {
	t.index(n)
	for kid := range n.kids().all() {
		t.indexAll(kid)
	}
}

// Settle is called when the log has been replayed: ephemerals of sessions that do not exist
// are dropped, as Apache does, and quotas are counted anew. It returns the paths it dropped.
func (t *Tree) Settle() (dropped []string) {
	for id, s := range t.sessions {
		if s.timeout != 0 {
			continue
		}
		for _, path := range t.SessionEphemerals(id) {
			t.remove(path, t.find(path), t.zxid)
			dropped = append(dropped, path)
		}
		delete(t.sessions, id)
	}
	t.changes = nil
	t.rebuildQuotas()
	return sorted(dropped)
}

// MissingACLs returns the znodes whose ACL neither the snapshot's table nor the log replayed
// since has told: nobody knows who may do what to them.
func (t *Tree) MissingACLs() []string {
	var paths []string
	for n := range t.unknown {
		paths = append(paths, n.path())
	}
	return sorted(paths)
}
