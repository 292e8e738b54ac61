package zkserver

import (
	"math/bits"
	"strings"

	"github.com/gazoo-zk/gazoo/internal/ztree"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// watchBits are the watches that a connection has on a path: the low bits are of the table of
// data watches, the high ones of the table of child watches.
type watchBits uint8

const (
	standard   watchBits = 1 << iota // ends when it fires
	persistent                       // stays
	recursive                        // stays, for all descendants too

	modeBits = standard | persistent | recursive
	toChild  = 3 // shift from the data table to the child table

	dataTable  = modeBits
	childTable = modeBits << toChild
	bothTables = dataTable | childTable
)

// watchTable knows who watches a path; each connection knows how.
type watchTable struct {
	modern    bool
	paths     map[string]watchers
	count     int // watches of both tables
	recursive int // connections' paths with a recursive watch: without any, parents need no look
}

// watchers is who watches a path: mostly one or a few connections, so a slice; a map when many.
type watchers struct {
	few  []*conn
	many map[*conn]struct{}
}

const fewWatchers = 8

func (t *watchTable) init(modern bool) {
	t.modern = modern
	t.paths = make(map[string]watchers)
}

// add registers watches. In 3.8 a path has one mode for each connection and table, the last one.
func (t *watchTable) add(c *conn, path string, add watchBits) {
	have := c.watched[path]
	next := have | add
	if !t.modern {
		for _, table := range [...]watchBits{dataTable, childTable} {
			if add&table != 0 {
				next = next&^table | add&table
			}
		}
	}
	t.set(c, path, have, next)
}

// set changes a connection's watches on a path from have to next.
func (t *watchTable) set(c *conn, path string, have, next watchBits) {
	if have == next {
		return
	}
	t.count += bits.OnesCount8(uint8(next)) - bits.OnesCount8(uint8(have))
	t.recursive += recursives(next) - recursives(have)
	switch {
	case have == 0:
		if c.watched == nil {
			c.watched = make(map[string]watchBits)
		}
		w := t.paths[path]
		w.insert(c)
		t.paths[path] = w
	case next == 0:
		delete(c.watched, path)
		w := t.paths[path]
		if w.remove(c); w.len() == 0 {
			delete(t.paths, path)
		} else {
			t.paths[path] = w
		}
		return
	}
	c.watched[path] = next
}

func recursives(b watchBits) int {
	if b&(recursive|recursive<<toChild) != 0 {
		return 1
	}
	return 0
}

// forget removes all watches of a connection.
func (t *watchTable) forget(c *conn) {
	for path, have := range c.watched {
		t.set(c, path, have, 0)
	}
	c.watched = nil
}

func (w *watchers) len() int { return len(w.few) + len(w.many) }

func (w *watchers) insert(c *conn) {
	if w.many == nil && len(w.few) < fewWatchers {
		w.few = append(w.few, c)
		return
	}
	if w.many == nil {
		w.many = make(map[*conn]struct{}, 2*fewWatchers)
		for _, x := range w.few {
			w.many[x] = struct{}{}
		}
		w.few = nil
	}
	w.many[c] = struct{}{}
}

func (w *watchers) remove(c *conn) {
	delete(w.many, c)
	for i, x := range w.few {
		if x == c {
			// A copy: whoever goes through the old list must not see it change.
			w.few = append(append(make([]*conn, 0, len(w.few)), w.few[:i]...), w.few[i+1:]...)
			return
		}
	}
}

// each calls f for every connection; f may change the table.
func (w watchers) each(f func(*conn)) {
	for _, c := range w.few {
		f(c)
	}
	for c := range w.many {
		f(c)
	}
}

// fire collects the connections to be told of an event of a table: those that watch the path,
// and for all but changes of children those that watch an ancestor recursively. Standard watches
// end with it.
func (t *watchTable) fire(path string, table watchBits, typ zkproto.EventType, told map[*conn]struct{}) {
	std, pers, rec := standard&table|standard<<toChild&table, persistent&table|persistent<<toChild&table, recursive&table|recursive<<toChild&table
	if typ == zkproto.EventChildrenChanged {
		rec = 0
	}
	t.paths[path].each(func(c *conn) {
		have := c.watched[path]
		if have&(std|pers|rec) != 0 {
			told[c] = struct{}{}
		}
		t.set(c, path, have, have&^std)
	})
	if t.recursive == 0 || rec == 0 {
		return
	}
	for p := path; p != "/"; {
		if i := strings.LastIndexByte(p, '/'); i > 0 {
			p = p[:i]
		} else {
			p = "/"
		}
		t.paths[p].each(func(c *conn) {
			if c.watched[p]&rec != 0 {
				told[c] = struct{}{}
			}
		})
	}
}

// trigger tells the watches of a change: first the data watches of the znode, then its child
// watches, then the child watches of its parent.
func (e *engine) trigger(ch *ztree.Change, zxid int64) {
	t := &e.watches
	if len(t.paths) == 0 {
		return
	}
	told := make(map[*conn]struct{})
	t.fire(ch.Path, dataTable, ch.Type, told)
	e.tell(told, nil, ch.Type, ch.Path, ch.ACL, zxid)
	if ch.Type == zkproto.EventDataChanged {
		return
	}
	if ch.Type == zkproto.EventDeleted {
		// Whoever has just been told of it is not told again.
		again := make(map[*conn]struct{})
		t.fire(ch.Path, childTable, ch.Type, again)
		e.tell(again, told, ch.Type, ch.Path, ch.ACL, zxid)
	}
	parent := "/"
	if i := strings.LastIndexByte(ch.Path, '/'); i > 0 {
		parent = ch.Path[:i]
	}
	told = make(map[*conn]struct{})
	t.fire(parent, childTable, zkproto.EventChildrenChanged, told)
	e.tell(told, nil, zkproto.EventChildrenChanged, parent, ch.ParentACL, zxid)
}

// tell sends an event to connections that may read the znode, except some.
func (e *engine) tell(told, except map[*conn]struct{}, typ zkproto.EventType, path string, acl []zkproto.ACL, zxid int64) {
	sent := 0
	defer func() { e.metrics.told(typ, sent) }()
	for c := range told {
		if _, skip := except[c]; skip {
			continue
		}
		if e.srv.cfg.unfiltered || e.tree.Permits(acl, c.identities(), zkproto.PermRead) {
			e.event(c, typ, path, zxid)
			sent++
		}
	}
}

func (e *engine) event(c *conn, typ zkproto.EventType, path string, zxid int64) {
	put(e, c, zkproto.ReplyHeader{Xid: zkproto.XidNotification, Zxid: zxid},
		zkproto.WatcherEvent{Type: typ, State: zkproto.StateSyncConnected, Path: path})
}

// setWatches takes over the watches that a client had on another connection: what has changed
// since causes an event at once.
func (e *engine) setWatches(c *conn, req *zkproto.SetWatches2Request) {
	t := &e.watches
	for _, path := range req.Data {
		switch stat, ok := e.tree.Peek(path); {
		case !ok:
			e.event(c, zkproto.EventDeleted, path, -1)
		case stat.Mzxid > req.RelativeZxid:
			e.event(c, zkproto.EventDataChanged, path, -1)
		default:
			t.add(c, path, standard)
		}
	}
	for _, path := range req.Exist {
		if _, ok := e.tree.Peek(path); ok {
			e.event(c, zkproto.EventCreated, path, -1)
		} else {
			t.add(c, path, standard)
		}
	}
	for _, path := range req.Child {
		switch stat, ok := e.tree.Peek(path); {
		case !ok:
			e.event(c, zkproto.EventDeleted, path, -1)
		case stat.Pzxid > req.RelativeZxid:
			e.event(c, zkproto.EventChildrenChanged, path, -1)
		default:
			t.add(c, path, standard<<toChild)
		}
	}
	for _, path := range req.Persistent {
		t.add(c, path, persistent|persistent<<toChild)
	}
	for _, path := range req.PersistentRecursive {
		t.add(c, path, t.recursiveBits())
	}
}

// recursiveBits is a recursive watch: in 3.8 it is in both tables, in 3.9 among the data watches.
func (t *watchTable) recursiveBits() watchBits {
	if t.modern {
		return recursive
	}
	return recursive | recursive<<toChild
}

// meant returns the watches that a type of checkWatches and removeWatches stands for; ok is
// false for a type that there is not.
func (t *watchTable) meant(typ zkproto.WatcherType) (mask watchBits, ok bool) {
	switch typ {
	case zkproto.WatcherChildren:
		if t.modern {
			return standard << toChild, true
		}
		return childTable, true
	case zkproto.WatcherData:
		if t.modern {
			return standard, true
		}
		return dataTable, true
	case zkproto.WatcherAny:
		return bothTables, true
	case zkproto.WatcherPersistent:
		return persistent | persistent<<toChild, t.modern
	case zkproto.WatcherPersistentRecursive:
		return recursive | recursive<<toChild, t.modern
	}
	return 0, false
}
