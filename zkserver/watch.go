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

	turn uint64  // of the events that a connection is to get once: see conn.told
	told []*conn // empty, for the list of those who are to be told
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
// end with it. Whoever was told in the same turn already is left out.
func (t *watchTable) fire(path string, table watchBits, typ zkproto.EventType, told []*conn) []*conn {
	std, pers, rec := standard&table|standard<<toChild&table, persistent&table|persistent<<toChild&table, recursive&table|recursive<<toChild&table
	if typ == zkproto.EventChildrenChanged {
		rec = 0
	}
	tell := func(c *conn) {
		if c.told != t.turn {
			c.told = t.turn
			told = append(told, c)
		}
	}
	if w, ok := t.paths[path]; ok {
		w.each(func(c *conn) {
			have := c.watched[path]
			if have&(std|pers|rec) != 0 {
				tell(c)
			}
			switch next := have &^ std; next {
			case have:
			case 0: // as set does it, but for many at once
				t.count -= bits.OnesCount8(uint8(have))
				delete(c.watched, path)
				w.remove(c)
			default:
				t.set(c, path, have, next)
			}
		})
		if w.len() == 0 {
			delete(t.paths, path)
		} else {
			t.paths[path] = w
		}
	}
	if t.recursive == 0 || rec == 0 {
		return told
	}
	for p := path; p != "/"; {
		if i := strings.LastIndexByte(p, '/'); i > 0 {
			p = p[:i]
		} else {
			p = "/"
		}
		t.paths[p].each(func(c *conn) {
			if c.watched[p]&rec != 0 {
				tell(c)
			}
		})
	}
	return told
}

// trigger tells the watches of a change: first the data watches of the znode, then its child
// watches, then the child watches of its parent.
func (e *engine) trigger(ch *ztree.Change, zxid int64) {
	t := &e.watches
	if len(t.paths) == 0 {
		return
	}
	t.turn++
	told := t.fire(ch.Path, dataTable, ch.Type, t.told)
	e.tell(told, ch.Type, ch.Path, ch.ACL, zxid)
	if ch.Type == zkproto.EventDataChanged {
		return
	}
	if ch.Type == zkproto.EventDeleted {
		// Whoever has just been told of it is not told again.
		told = t.fire(ch.Path, childTable, ch.Type, t.told)
		e.tell(told, ch.Type, ch.Path, ch.ACL, zxid)
	}
	parent := "/"
	if i := strings.LastIndexByte(ch.Path, '/'); i > 0 {
		parent = ch.Path[:i]
	}
	t.turn++
	told = t.fire(parent, childTable, zkproto.EventChildrenChanged, t.told)
	e.tell(told, zkproto.EventChildrenChanged, parent, ch.ParentACL, zxid)
}

// tell sends an event to those of the connections that may read the znode, and keeps the list for the next one.
func (e *engine) tell(told []*conn, typ zkproto.EventType, path string, acl []zkproto.ACL, zxid int64) {
	if len(told) == 0 {
		return
	}
	event := eventFrame(typ, path, zxid)
	sent := 0
	for _, c := range told {
		if e.srv.cfg.unfiltered || e.tree.Permits(acl, c.identities(), zkproto.PermRead) {
			e.putFrame(c, event)
			sent++
		}
	}
	e.metrics.told(typ, sent)
	clear(told)
	e.watches.told = told[:0]
}

// event tells one connection.
func (e *engine) event(c *conn, typ zkproto.EventType, path string, zxid int64) {
	e.putFrame(c, eventFrame(typ, path, zxid))
}

// eventFrame encodes an event, which is the same for all that are told of it.
func eventFrame(typ zkproto.EventType, path string, zxid int64) []byte {
	b, m := zkproto.BeginFrame(make([]byte, 0, 64+len(path)))
	b = zkproto.ReplyHeader{Xid: zkproto.XidNotification, Zxid: zxid}.AppendTo(b)
	b = zkproto.WatcherEvent{Type: typ, State: zkproto.StateSyncConnected, Path: path}.AppendTo(b)
	return zkproto.EndFrame(b, m)
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
