package cache

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gazoo-zk/gazoo"
)

// This file changes the tree. Only the owner calls it; each change is emitted where it is made.

// put stores what was read of a znode. fresh says that it was not there before, with this czxid; known that it is in the
// tree, and worth going on below it.
func (c *Cache[T]) put(path string, data []byte, stat gazoo.Stat) (fresh, known bool) {
	var value T
	var derr error
	choice := Keep
	if path != c.path {
		choice = c.cfg.choose(path)
	}
	if choice == Keep && !c.cfg.noData {
		if value, derr = c.codec(data); derr != nil {
			var zero T
			value, derr = zero, fmt.Errorf("decode %s: %w", path, derr)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n, _ := c.find(path)
	if n != nil && n.stat.Czxid != stat.Czxid {
		c.drop(path, n)
		n = nil
	}
	size := int32(len(data))
	if n == nil {
		if n = c.attach(path, size); n == nil {
			return false, false
		}
		fresh = true
	}
	changed := n.stat.Mzxid != stat.Mzxid
	was := n.export(path)
	if n.stat != stat {
		c.modified = max(c.modified, c.zk.LastZxid())
		c.wake()
	}
	c.bytes += int64(size - n.size)
	n.value, n.stat, n.err, n.size, n.held = value, stat, derr, size, choice == Keep
	if !n.held {
		return fresh, true
	}
	now := n.export(path)
	switch {
	case fresh:
		c.nodes++
		c.emit(Event[T]{Type: Added, Path: path, New: &now})
	case changed:
		c.emit(Event[T]{Type: Changed, Path: path, Old: &was, New: &now})
	}
	if derr != nil && (fresh || changed) {
		c.emit(Event[T]{Type: Fault, Path: path, Err: derr})
	}
	return fresh, true
}

// attach makes the node of a path; nil when it has no parent in the tree, or there is no room.
func (c *Cache[T]) attach(path string, size int32) *node[T] {
	if path == c.path {
		c.root = &node[T]{}
		return c.root
	}
	parent, name := gazoo.SplitPath(path)
	p, err := c.find(parent)
	if p == nil || err != nil {
		return nil
	}
	if c.nodes >= c.cfg.maxNodes || c.bytes+int64(size) > c.cfg.maxBytes {
		if !c.overflow {
			c.overflow = true
			c.emit(Event[T]{Type: Fault, Path: path, Err: fmt.Errorf("%s: %w", c.path, ErrOverflow)})
		}
		return nil
	}
	n := &node[T]{name: strings.Clone(name)} // not a part of the whole path, which would stay with it
	p.add(n)
	return n
}

// remove takes out a znode that is gone, with what is below it.
func (c *Cache[T]) remove(path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n, _ := c.find(path); n != nil {
		c.drop(path, n)
		c.modified = max(c.modified, c.zk.LastZxid())
		c.wake()
	}
}

// drop takes a node out, children first.
func (c *Cache[T]) drop(path string, n *node[T]) {
	names := make([]string, 0, len(n.kids))
	for name := range n.kids {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		c.drop(child(path, name), n.kids[name])
	}
	if n.parent == nil {
		c.root = nil
	} else {
		delete(n.parent.kids, n.name)
	}
	c.bytes -= int64(n.size)
	if n.held {
		c.nodes--
		was := n.export(path)
		c.emit(Event[T]{Type: Removed, Path: path, Old: &was})
	}
}

// differs reports whether a znode is not as the cache has it.
func (c *Cache[T]) differs(path string, stat gazoo.Stat) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	n, _ := c.find(path)
	return n == nil || n.stat.Czxid != stat.Czxid || n.stat.Mzxid != stat.Mzxid
}

func (c *Cache[T]) has(path string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	n, _ := c.find(path)
	return n != nil
}

func (c *Cache[T]) hasKids(path string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	n, _ := c.find(path)
	return n != nil && len(n.kids) > 0
}

func (c *Cache[T]) kidsOf(path string) (names []string) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if n, _ := c.find(path); n != nil {
		for name := range n.kids {
			names = append(names, name)
		}
	}
	return names
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
