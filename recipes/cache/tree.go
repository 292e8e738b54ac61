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
	now := Node[T]{Path: path, Stat: stat}
	now.Value, now.Err = c.decode(path, choice, data)
	if c.storage != nil {
		c.stored.Lock()
		defer c.stored.Unlock()
	}
	parent, n := c.at(path)
	fresh = n == nil || n.stat.Czxid != stat.Czxid
	changed := fresh || n.stat.Mzxid != stat.Mzxid
	room := !fresh || path == c.path || parent != nil && c.fits(n, c.size(stat))
	var was *Node[T]
	var gone map[*node[T]]departed[T]
	if c.storage != nil { // before mu is taken
		if fresh && n != nil {
			gone = c.unstore(path, n)
		}
		if room && choice == Keep && (changed || c.unstored(n)) {
			if !fresh && c.hasSubscribers() {
				was = new(c.export(path, n))
				c.load(was)
			}
			if now.Err == nil {
				now = c.store(now)
				changed = changed || now.Err == nil
			}
		}
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	if fresh || n.stat != stat {
		c.modified = max(c.modified, c.zk.LastZxid())
		c.wake()
	}
	if fresh {
		if n != nil {
			c.drop(path, n, gone)
		}
		if !room {
			c.leaveOut(path, parent)
			return nil, false
		}
		n = c.attach(path, parent)
	}
	told := changed && choice == Keep && len(c.subs) > 0
	if told && !fresh && was == nil {
		was = new(c.export(path, n))
	}
	c.bytes += c.size(stat) - c.size(n.stat)
	n.stat, n.held = stat, choice == Keep
	if c.storage == nil {
		n.value = now.Value
	}
	c.setErr(n, now.Err)
	if fresh && n.held {
		c.nodes++
	}
	if !told {
		return n, fresh
	}
	ev := Event[T]{Type: Changed, Path: path, Old: was, New: new(now)}
	if fresh {
		ev.Type = Added
	}
	c.emit(ev)
	if now.Err != nil {
		c.emit(Event[T]{Type: Fault, Path: path, Err: now.Err})
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

// fits reports whether there is room for a new znode, which takes the place of another one; nil for none.
func (c *Cache[T]) fits(replaced *node[T], size int64) bool {
	nodes, bytes := c.nodes, c.bytes+size
	if replaced != nil {
		all, theirs := c.weigh(replaced)
		nodes, bytes = nodes-all, bytes-theirs
	}
	return nodes < c.cfg.maxNodes && bytes <= c.cfg.maxBytes
}

// weigh returns what a node and what is below it take of the bounds.
func (c *Cache[T]) weigh(n *node[T]) (nodes int, bytes int64) {
	if n.held {
		nodes = 1
	}
	bytes = c.size(n.stat)
	for _, kid := range n.kids {
		more, theirs := c.weigh(kid)
		nodes, bytes = nodes+more, bytes+theirs
	}
	return nodes, bytes
}

// leaveOut tells of a znode that is not taken into the tree for want of room; without a parent it has no place there.
func (c *Cache[T]) leaveOut(path string, parent *node[T]) {
	if parent != nil && !c.overflow {
		c.overflow = true
		c.emit(Event[T]{Type: Fault, Path: path, Err: fmt.Errorf("%s: %w", c.path, ErrOverflow)})
	}
}

// attach makes the node of a path.
func (c *Cache[T]) attach(path string, parent *node[T]) *node[T] {
	if path == c.path {
		c.root = &node[T]{}
		return c.root
	}
	// The name has memory of its own: a part of the path would keep the whole path.
	n := &node[T]{name: strings.Clone(gazoo.BaseName(path))}
	parent.add(n)
	return n
}

// remove takes out a znode that is gone, with what is below it.
func (c *Cache[T]) remove(path string) {
	if c.storage != nil {
		c.stored.Lock()
		defer c.stored.Unlock()
	}
	n := c.get(path)
	if n == nil {
		return
	}
	gone := c.unstore(path, n)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(path, n, gone)
	c.modified = max(c.modified, c.zk.LastZxid())
	c.wake()
}

// drop takes a node out, children first. gone is what a storage has said of them.
func (c *Cache[T]) drop(path string, n *node[T], gone map[*node[T]]departed[T]) {
	for _, name := range slices.Sorted(maps.Keys(n.kids)) {
		c.drop(child(path, name), n.kids[name], gone)
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
			left, ok := gone[n]
			if !ok {
				left.old = c.export(path, n)
			}
			c.emit(Event[T]{Type: Removed, Path: path, Old: new(left.old)})
			if left.err != nil {
				c.emit(Event[T]{Type: Fault, Path: path, Err: left.err})
			}
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
