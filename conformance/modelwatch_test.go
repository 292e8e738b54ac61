package conformance

import (
	"maps"
	"slices"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// watchMode is how a client watches a path in one of the two tables: as 3.8 has it, the last way only.
type watchMode int

const (
	once watchMode = iota + 1
	forever
	below // for ever, and for all descendants
)

// settle tells the watches of what has changed.
func (m *model) settle() {
	for _, ch := range m.changes {
		for i := range m.clients {
			m.tell(i, ch)
		}
	}
	m.changes = nil
}

// tell fires a client's watches for one change: the znode's data watches, its child watches, and those of the parent.
func (m *model) tell(client int, ch change) {
	c := m.clients[client]
	told := fires(c.data, ch.path, ch.typ)
	if told {
		m.send(client, ch.typ, ch.path, ch.acl)
	}
	if ch.typ == zkproto.EventDataChanged {
		return
	}
	if ch.typ == zkproto.EventDeleted && fires(c.child, ch.path, ch.typ) && !told {
		m.send(client, ch.typ, ch.path, ch.acl)
	}
	if parent := parentOf(ch.path); fires(c.child, parent, zkproto.EventChildrenChanged) {
		m.send(client, zkproto.EventChildrenChanged, parent, ch.parentACL)
	}
}

// fires reports whether a table has a watch for an event, and uses it up if it is for once.
func fires(table map[string]watchMode, path string, typ zkproto.EventType) bool {
	recursive := typ != zkproto.EventChildrenChanged
	fired := false
	switch table[path] {
	case once:
		delete(table, path)
		fired = true
	case forever:
		fired = true
	case below:
		fired = recursive
	}
	for p := path; p != ""; {
		p = parentOf(p)
		fired = fired || recursive && table[p] == below
	}
	return fired
}

// send delivers an event to a client that may read the znode.
func (m *model) send(client int, typ zkproto.EventType, path string, acl []zkproto.ACL) {
	if m.may(client, acl, zkproto.PermRead) {
		m.events[client] = append(m.events[client], event(typ, path))
	}
}

// again is setWatches, with the lists in the order of the wire.
func (m *model) again(client int, zxid int64, lists [5][]string) {
	c := m.clients[client]
	now := func(typ zkproto.EventType, path string) {
		m.events[client] = append(m.events[client], event(typ, path)) // nobody asks for a permission here
	}
	for _, path := range lists[0] {
		switch n := m.nodes[path]; {
		case n == nil:
			now(zkproto.EventDeleted, path)
		case n.mzxid > zxid:
			now(zkproto.EventDataChanged, path)
		default:
			c.data[path] = once
		}
	}
	for _, path := range lists[1] {
		if m.nodes[path] != nil {
			now(zkproto.EventCreated, path)
		} else {
			c.data[path] = once
		}
	}
	for _, path := range lists[2] {
		switch n := m.nodes[path]; {
		case n == nil:
			now(zkproto.EventDeleted, path)
		case n.pzxid > zxid:
			now(zkproto.EventChildrenChanged, path)
		default:
			c.child[path] = once
		}
	}
	for i, mode := range []watchMode{forever, below} {
		for _, path := range lists[3+i] {
			c.data[path], c.child[path] = mode, mode
		}
	}
}

func (m *model) addWatch(client int, path string, mode int32) zkproto.Code {
	if mode != 0 && mode != 1 {
		return zkproto.ErrMarshallingError
	}
	c := m.clients[client]
	c.data[path] = forever + watchMode(mode)
	c.child[path] = forever + watchMode(mode)
	return zkproto.OK
}

func (m *model) removeWatch(client int, path string, typ int32) zkproto.Code {
	if typ < 1 || typ > 3 {
		return zkproto.ErrMarshallingError
	}
	c := m.clients[client]
	code := zkproto.ErrNoWatcher
	for i, table := range []map[string]watchMode{c.child, c.data} { // types 1 and 2; 3 is both
		if _, have := table[path]; have && typ&int32(1<<i) != 0 {
			delete(table, path)
			code = zkproto.OK
		}
	}
	return code
}

// endSession deletes a client's ephemerals, which its own watches are told of as well.
func (m *model) endSession(client int) {
	for _, path := range slices.Sorted(maps.Keys(m.nodes)) {
		if m.nodes[path].owner == client+1 {
			m.remove(path)
		}
	}
	m.settle()
}
