package cache

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gazoo-zk/gazoo"
)

// This file changes the tree. Only the owner calls it, which is why it reads the tree without a lock; each change is
// emitted where it is made.

// put stores what was read of a znode. fresh says that it was not there before, with this czxid; n is nil when it is not
// in the tree, and nothing below it is worth reading.
func (c *Cache[T]) put(path string, data []byte, stat gazoo.Stat) (n *node[T], fresh bool) {
	choice := Keep
	if path != c.path {
		choice = c.cfg.choose(path)
	}
	value, err := c.decode(path, choice, data)
	parent, n := c.at(path)
	c.mu.Lock()
	defer c.mu.Unlock()
	if n != nil && n.stat.Czxid != stat.Czxid {
		c.drop(path, n)
		n = nil
	}
	if fresh = n == nil; fresh {
		if n = c.attach(path, parent, c.size(stat)); n == nil {
			return nil, false
		}
	}
	changed := n.stat.Mzxid != stat.Mzxid
	told := len(c.subs) > 0 && (fresh || changed)
	var was *Node[T]
	if told && !fresh {
		was = new(c.export(path, n))
	}
	if n.stat != stat {
		c.modified = max(c.modified, c.zk.LastZxid())
		c.wake()
	}
	c.bytes += c.size(stat) - c.size(n.stat)
	n.value, n.stat, n.held = value, stat, choice == Keep
	c.setErr(n, err)
	if !n.held {
		return n, fresh
	}
	if fresh {
		c.nodes++
	}
	if !told {
		return n, fresh
	}
	ev := Event[T]{Type: Changed, Path: path, Old: was, New: new(c.export(path, n))}
	if fresh {
		ev.Type = Added
	}
	c.emit(ev)
	if err != nil {
		c.emit(Event[T]{Type: Fault, Path: path, Err: err})
	}
	return n, fresh
}

// decode makes the value of a znode, where it is to have one.
func (c *Cache[T]) decode(path string, choice Choice, data []byte) (T, error) {
	var none T
	if choice != Keep || c.cfg.noData {
		return none, nil
	}
	value, err := c.codec(data)
	if err != nil {
		return none, fmt.Errorf("decode %s: %w", path, err)
	}
	return value, nil
}

// size is what a znode takes of the bound on bytes.
func (c *Cache[T]) size(stat gazoo.Stat) int64 {
	if c.cfg.noData {
		return 0
	}
	return int64(stat.DataLength)
}

// setErr notes why a node has no value; nil when it has.
func (c *Cache[T]) setErr(n *node[T], err error) {
	switch {
	case err != nil:
		c.errs[n] = err
	case n.bad:
		delete(c.errs, n)
	}
	n.bad = err != nil
}

// attach makes the node of a path; nil when it has no parent in the tree, or there is no room.
func (c *Cache[T]) attach(path string, parent *node[T], size int64) *node[T] {
	if path == c.path {
		c.root = &node[T]{}
		return c.root
	}
	if parent == nil {
		return nil
	}
	if c.nodes >= c.cfg.maxNodes || c.bytes+size > c.cfg.maxBytes {
		if !c.overflow {
			c.overflow = true
			c.emit(Event[T]{Type: Fault, Path: path, Err: fmt.Errorf("%s: %w", c.path, ErrOverflow)})
		}
		return nil
	}
	// The name has memory of its own: a part of the path would keep the whole path.
	n := &node[T]{name: strings.Clone(gazoo.BaseName(path))}
	parent.add(n)
	return n
}

// remove takes out a znode that is gone, with what is below it.
func (c *Cache[T]) remove(path string) {
	if _, n := c.at(path); n != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.drop(path, n)
		c.modified = max(c.modified, c.zk.LastZxid())
		c.wake()
	}
}

// drop takes a node out, children first.
func (c *Cache[T]) drop(path string, n *node[T]) {
	for _, name := range slices.Sorted(maps.Keys(n.kids)) {
		c.drop(child(path, name), n.kids[name])
	}
	switch p := n.parent; {
	case p == nil:
		c.root = nil
	case len(p.kids) == 1:
		p.kids = nil // an empty map would keep its memory
	default:
		delete(p.kids, n.name)
	}
	c.bytes -= c.size(n.stat)
	if n.held {
		c.nodes--
		if len(c.subs) > 0 {
			c.emit(Event[T]{Type: Removed, Path: path, Old: new(c.export(path, n))})
		}
	}
	c.setErr(n, nil)
}

// at returns the node of a path and its parent; nil for what there is not.
func (c *Cache[T]) at(path string) (parent, n *node[T]) {
	rest, inside := relative(c.path, path)
	if !inside {
		return nil, nil
	}
	return c.look(rest)
}

// get returns the node of a path; nil for none.
func (c *Cache[T]) get(path string) *node[T] {
	_, n := c.at(path)
	return n
}

// fault tells of a znode that cannot be read. What was known of it, and of what is below, is out of date: it goes.
func (c *Cache[T]) fault(path string, err error) {
	if errors.Is(err, gazoo.ErrNoAuth) {
		c.remove(path)
	}
	c.mu.Lock()
	c.emit(Event[T]{Type: Fault, Path: path, Err: err})
	c.mu.Unlock()
}

// connection tells of a change of the connection's state.
func (c *Cache[T]) connection(what EventType) {
	c.mu.Lock()
	c.emit(Event[T]{Type: what, Path: c.path})
	c.mu.Unlock()
}
