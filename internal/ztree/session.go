package ztree

import "github.com/gazoo-zk/gazoo/zkproto"

// CreateSession enters a session with its time-out in milliseconds.
func (t *Tree) CreateSession(id int64, timeout int32, now int64) Outcome {
	txn := t.begin(id, 0, now)
	txn.Record = Record{Type: zkproto.OpCreateSession, Timeout: timeout}
	t.openSession(id, timeout)
	return t.finish(txn, Outcome{})
}

func (t *Tree) openSession(id int64, timeout int32) {
	if s := t.sessions[id]; s != nil {
		s.timeout = timeout
		return
	}
	t.sessions[id] = &session{timeout: timeout}
}

// CloseSession ends a session and deletes its ephemerals, all in one transaction, in the order
// of their paths.
func (t *Tree) CloseSession(id int64, cxid int32, now int64) Outcome {
	txn := t.begin(id, cxid, now)
	paths := t.SessionEphemerals(id)
	txn.Record = Record{Type: zkproto.OpCloseSession, Paths: paths}
	t.closeSession(id, paths, txn.Zxid)
	return t.finish(txn, Outcome{})
}

func (t *Tree) closeSession(id int64, paths []string, zxid int64) {
	for _, path := range paths {
		if n := t.find(path); n != nil && n.owner() == id {
			t.remove(path, n, zxid)
		}
	}
	delete(t.sessions, id)
}

// SessionEphemerals returns the paths of a session's ephemerals, sorted.
func (t *Tree) SessionEphemerals(id int64) []string {
	s := t.sessions[id]
	if s == nil {
		return nil
	}
	paths := make([]string, 0, len(s.ephemerals))
	for n := range s.ephemerals {
		paths = append(paths, n.path())
	}
	return sorted(paths)
}

// Session returns a session's time-out in milliseconds, and whether there is such a session.
func (t *Tree) Session(id int64) (timeout int32, ok bool) {
	s := t.sessions[id]
	if s == nil {
		return 0, false
	}
	return s.timeout, true
}

// Sessions returns the session table: id to time-out in milliseconds.
func (t *Tree) Sessions() map[int64]int32 {
	all := make(map[int64]int32, len(t.sessions))
	for id, s := range t.sessions {
		all[id] = s.timeout
	}
	return all
}
