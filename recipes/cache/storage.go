package cache

import (
	"errors"
	"fmt"
)

// Errors of storages.
var (
	ErrStorage = errors.New("storage of the cache failed")
	ErrNotKept = errors.New("value is not kept")
)

// Storage keeps the values of a cache's znodes in its place: on disk, compressed, or some of them only. Names, stats and
// errors stay with the cache. Without [WithStorage] the values are in memory beside them.
//
// It begins empty, as far as the cache is concerned: what another one has left there is not read. Put and Delete are
// called on the cache's goroutine, in the order of the changes, and never during another call. Get is called by whoever
// reads the cache, several at once. So a storage needs a lock only when its Get changes something, or when others use it
// too. A call may take its time: readers of values wait for it, and the cache falls behind, but Len, Children, Synced and
// Err answer meanwhile. It must not read values of its own cache, nor subscribe to it, which would wait for itself.
//
// A panic is not recovered. Close does not touch the storage; what the cache holds stays readable through it, so it is
// for the caller to close, when nobody reads any more.
type Storage[T any] interface {
	// Put keeps the value of a znode that has come or was written. What it had for the path is replaced. An error is the
	// Err of the node, told in a [Fault] event, and Get is not asked for it; the next comparison with the server tries
	// again.
	Put(n Node[T]) error

	// Get returns the value that the last Put had for a path; it is not asked for others. An error is the Err of the node
	// that is read: [ErrNotKept] is for what was left out on purpose.
	Get(path string) (T, error)

	// Delete forgets a znode that has gone. It is called for each, also when Put has failed. An error is told in a [Fault]
	// event, and the znode is gone all the same.
	Delete(path string) error
}

// WithStorage has values kept by a storage: reads come from it, and the old values of events. The new value of an event
// is what Put was given. [WithMaxBytes] counts data as the server has it. It cannot be combined with [WithoutData], and T
// must be that of the cache.
func WithStorage[T any](s Storage[T]) Option {
	return func(c *config) {
		if s == nil {
			c.bad("storage", "is nil")
		}
		c.storage = s
	}
}

// Discard is a storage that keeps nothing: events carry each new value once, and the cache holds names and stats. What is
// read has [ErrNotKept].
func Discard[T any]() Storage[T] { return discard[T]{} }

type discard[T any] struct{}

func (discard[T]) Put(Node[T]) error { return nil }

func (discard[T]) Get(string) (v T, err error) { return v, ErrNotKept }

func (discard[T]) Delete(string) error { return nil }

// load gives a node the value that the storage has. The caller holds Cache.stored, or is the owner.
func (c *Cache[T]) load(n *Node[T]) {
	if c.storage == nil || n.Err != nil {
		return
	}
	value, err := c.storage.Get(n.Path)
	if err != nil {
		n.Err = fmt.Errorf("%w: get %s: %w", ErrStorage, n.Path, err)
		return
	}
	n.Value = value
}

// store hands a new value to the storage, and returns the node as it is to be shown.
func (c *Cache[T]) store(n Node[T]) Node[T] {
	if err := c.storage.Put(n); err != nil {
		return Node[T]{Path: n.Path, Stat: n.Stat, Err: fmt.Errorf("%w: put %s: %w", ErrStorage, n.Path, err)}
	}
	return n
}

// unstored reports whether the storage has failed to take the value of a node.
func (c *Cache[T]) unstored(n *node[T]) bool { return n.bad && errors.Is(c.errs[n], ErrStorage) }

// departed is what a storage has said of a node that goes.
type departed[T any] struct {
	old Node[T]
	err error // of Delete
}

// unstore takes a node and what is below it out of the storage; nil when there is none.
func (c *Cache[T]) unstore(path string, n *node[T]) map[*node[T]]departed[T] {
	if c.storage == nil {
		return nil
	}
	all := map[*node[T]]departed[T]{}
	told := c.hasSubscribers()
	n.walk(path, func(path string, n *node[T]) bool {
		d := departed[T]{old: c.export(path, n)}
		if told {
			c.load(&d.old)
		}
		if err := c.storage.Delete(path); err != nil {
			d.err = fmt.Errorf("%w: delete %s: %w", ErrStorage, path, err)
		}
		all[n] = d
		return true
	})
	return all
}

// hasSubscribers tells the owner whether old values are needed. While it holds Cache.stored there can come none.
func (c *Cache[T]) hasSubscribers() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.subs) > 0
}

// copyOf copies a node of the tree and what is below it, with values. The caller holds Cache.stored when there is a
// storage, or is the owner.
func (c *Cache[T]) copyOf(path string) []Node[T] {
	c.mu.RLock()
	all := c.exportAll(path)
	c.mu.RUnlock()
	for i := range all {
		c.load(&all[i])
	}
	return all
}

// exportAll copies a node of the tree and what is below it, but for what a storage has. The caller holds mu.
func (c *Cache[T]) exportAll(path string) (all []Node[T]) {
	if n := c.get(path); n != nil {
		n.walk(path, func(path string, n *node[T]) bool {
			all = append(all, c.export(path, n))
			return true
		})
	}
	return all
}
