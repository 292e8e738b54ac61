package cache

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo"
)

// Errors of this package.
var (
	ErrClosed   = errors.New("cache closed")
	ErrOutside  = errors.New("path is not in the cached subtree")
	ErrOverflow = errors.New("cache is full, znodes are missing")
)

// Cache holds a znode and what is below it. Safe for concurrent use. Close it.
type Cache[T any] struct {
	zk    *gazoo.Client
	path  string
	codec Codec[T]
	cfg   *config

	ctx    context.Context
	cancel context.CancelCauseFunc
	done   chan struct{} // all goroutines have ended
	asks   chan ask[T]   // any goroutine → owner

	// A storage of the caller's, nil for none. The owner changes it and the tree as one, under stored; whoever reads both
	// holds it too. It is taken before mu, and mu is not held while the storage works.
	storage Storage[T]
	stored  sync.RWMutex

	// The tree is changed by the owner alone, under mu; everybody reads it under mu.
	mu       sync.RWMutex
	root     *node[T]           // nil when the znode does not exist
	errs     map[*node[T]]error // of nodes that are bad
	nodes    int
	bytes    int64
	overflow bool
	status   Sync
	modified int64         // no change later than this zxid has been applied
	failed   error         // ends everything, beside Close
	changed  chan struct{} // made by who waits for a change, closed and dropped at the next one
	subs     map[*Subscription[T]]struct{}
}

// Sync says how far a cache can be relied on.
type Sync struct {
	Generation int       // how often it has been compared with the server as a whole; 0 before the first time
	Stale      bool      // it is behind by an unknown amount: a comparison is under way, or there is no connection
	Since      time.Time // of the change of Stale
}

// New makes a cache of the znode at a path, which need not exist, and begins to fill it. No server needs to be there.
//
// Errors: [gazoo.ErrBadArguments], every problem at once.
func New[T any](zk *gazoo.Client, path string, codec Codec[T], opts ...Option) (*Cache[T], error) {
	cfg, err := configure(zk, path, opts)
	if codec == nil && !cfg.noData {
		err = errors.Join(err, &gazoo.ArgumentError{Arg: "codec", Reason: "is nil"})
	}
	storage, fits := cfg.storage.(Storage[T])
	switch {
	case cfg.storage == nil:
	case !fits:
		err = errors.Join(err, &gazoo.ArgumentError{Arg: "storage", Reason: "is for other values"})
	case cfg.noData:
		err = errors.Join(err, &gazoo.ArgumentError{Arg: "storage", Reason: "has nothing to keep without data"})
	}
	if err != nil {
		return nil, fmt.Errorf("new cache: %w", err)
	}
	c := &Cache[T]{
		zk: zk, path: path, codec: codec, cfg: cfg, done: make(chan struct{}), asks: make(chan ask[T]),
		status: Sync{Stale: true, Since: time.Now()}, subs: map[*Subscription[T]]struct{}{}, errs: map[*node[T]]error{},
		storage: storage,
	}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	go newOwner(c).run()
	return c, nil
}

// Close ends the cache and waits for its goroutines. What it holds stays readable. It may be called again.
func (c *Cache[T]) Close() error {
	c.cancel(ErrClosed)
	<-c.done
	return nil
}

// Path returns the root of the cache.
func (c *Cache[T]) Path() string { return c.path }

// Synced says how far the cache can be relied on at present.
func (c *Cache[T]) Synced() Sync {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.status
}

// Err returns what keeps the cache from being whole: [ErrOverflow], [ErrClosed], or what has ended it, such as
// [gazoo.ErrNoAuth] or [gazoo.ErrClosed].
func (c *Cache[T]) Err() error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	switch {
	case c.failed != nil:
		return c.failed
	case c.overflow:
		return fmt.Errorf("%s: %w", c.path, ErrOverflow)
	}
	return nil
}

// Len returns the number of znodes held.
func (c *Cache[T]) Len() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.nodes
}

// Get returns a znode; false when the cache does not have it.
//
// Errors: [ErrOutside].
func (c *Cache[T]) Get(path string) (n Node[T], ok bool, err error) {
	if c.storage != nil {
		c.stored.RLock()
		defer c.stored.RUnlock()
	}
	c.mu.RLock()
	found, err := c.find(path)
	if ok = found != nil && found.held; ok {
		n = c.export(path, found)
	}
	c.mu.RUnlock()
	if ok {
		c.load(&n)
	}
	return n, ok, err
}

// Children returns the names of a znode's children that are held, sorted; false when the cache does not have the znode.
//
// Errors: [ErrOutside].
func (c *Cache[T]) Children(path string) ([]string, bool, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	n, err := c.find(path)
	if n == nil {
		return nil, false, err
	}
	names := make([]string, 0, len(n.kids))
	for name, kid := range n.kids {
		if kid.held || len(kid.kids) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, true, nil
}

// find returns a node; nil when there is none.
func (c *Cache[T]) find(path string) (*node[T], error) {
	rest, inside := relative(c.path, path)
	if !inside {
		return nil, fmt.Errorf("%s of cache %s: %w", path, c.path, ErrOutside)
	}
	_, n := c.look(rest)
	return n, nil
}

// look returns the node of a path relative to the root, and its parent; nil for what there is not. The caller holds mu,
// or is the owner.
func (c *Cache[T]) look(rest string) (parent, n *node[T]) {
	n = c.root
	for more := rest != ""; more && n != nil; {
		var name string
		name, rest, more = strings.Cut(rest, "/")
		parent, n = n, n.kids[name]
		if n == nil && more {
			return nil, nil
		}
	}
	return parent, n
}

// read copies a znode and what is below it, with values, as they are at one moment.
func (c *Cache[T]) read(path string) []Node[T] {
	if c.storage != nil {
		c.stored.RLock()
		defer c.stored.RUnlock()
	}
	return c.copyOf(path)
}

// export copies a node, but for what a storage has. The caller holds mu, or is the owner.
func (c *Cache[T]) export(path string, n *node[T]) Node[T] {
	node := Node[T]{Path: path, Value: n.value, Stat: n.stat}
	if n.bad {
		node.Err = c.errs[n]
	}
	return node
}

// All iterates over the znodes held, parents before children and siblings by name, as they are at one moment: they are
// copied first. Use [Cache.Below] for a part.
func (c *Cache[T]) All() iter.Seq[Node[T]] {
	seq, _ := c.Below(c.path)
	return seq
}

// Below is [Cache.All] for a znode and what is below it.
//
// Errors: [ErrOutside].
func (c *Cache[T]) Below(path string) (iter.Seq[Node[T]], error) {
	c.mu.RLock()
	_, err := c.find(path)
	c.mu.RUnlock()
	if err != nil {
		return nil, err
	}
	return func(yield func(Node[T]) bool) {
		for _, node := range c.read(path) {
			if !yield(node) {
				return
			}
		}
	}, nil
}
