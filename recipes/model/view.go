package model

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/cache"
)

// View is a cache of the znodes of a model, with their versions. It may be behind the server; the versions say of what a
// value is the state, and [Node.Set] with an old one is refused. Safe for concurrent use. Close it.
type View[K, T any] struct {
	c       *cache.Cache[T]
	node    func(K) (*Node[T], error)
	key     func(path string) (K, bool)
	through Through
}

// Through says when a view asks the server.
type Through uint8

const (
	CacheOnly   Through = iota // never
	WhenMissing                // when the cache does not have the znode
	WhenStale                  // then, and while the cache is not in order ([cache.Sync])
)

// ViewOption changes a view.
type ViewOption func(*viewConfig)

type viewConfig struct {
	through Through
	cache   []cache.Option
}

// WithReadThrough lets [View.Get] ask the server. The default is [CacheOnly].
func WithReadThrough(t Through) ViewOption { return func(c *viewConfig) { c.through = t } }

// WithCache passes options to the cache below: [cache.WithMaxNodes], [cache.WithQueue] and others. A filter takes the
// place of the view's own, which keeps out what no key has; [cache.WithoutData] makes every value zero.
func WithCache(opts ...cache.Option) ViewOption {
	return func(c *viewConfig) { c.cache = append(c.cache, opts...) }
}

// Cached makes a view of the znodes of the model: it watches the root of the template ([Template.Root]) and keeps the
// znodes that a key has. Only what leads to them is listed.
//
// Errors: [gazoo.ErrBadArguments], [ErrSchema].
func (m *Model[K, T]) Cached(opts ...ViewOption) (*View[K, T], error) {
	t := m.paths.template
	choose := func(path string) cache.Choice {
		switch {
		case !t.leadsTo(path):
			return cache.Prune
		case strings.Count(path, "/") < len(t.parts):
			return cache.Skip
		}
		return cache.Keep
	}
	levels := len(t.parts)
	if root := t.Root(); root != "/" {
		levels -= strings.Count(root, "/")
	}
	key := func(path string) (K, bool) {
		k, err := m.paths.Parse(path)
		return k, err == nil
	}
	return newView(m.any, m.At, key, append([]ViewOption{WithCache(cache.WithFilter(choose), cache.WithDepth(levels))}, opts...))
}

// Cached makes a view of the znode and its children, whose keys are their paths. [cache.WithDepth] makes it deeper.
//
// Errors: [gazoo.ErrBadArguments], [ErrSchema].
func (n *Node[T]) Cached(opts ...ViewOption) (*View[string, T], error) {
	at := func(path string) (*Node[T], error) {
		if err := gazoo.ValidatePath(path); err != nil {
			return nil, err
		}
		return n.at(path), nil
	}
	key := func(path string) (string, bool) { return path, true }
	return newView(n, at, key, append([]ViewOption{WithCache(cache.WithDepth(1))}, opts...))
}

func newView[K, T any](n *Node[T], at func(K) (*Node[T], error), key func(string) (K, bool), opts []ViewOption) (*View[K, T], error) {
	var cfg viewConfig
	for _, opt := range opts {
		opt(&cfg)
	}
	if err := n.cfg.schemas.CheckRead(n.path, true); err != nil {
		return nil, err
	}
	decodeValue := func(data []byte) (T, error) { return decode(n.codec, "", data) }
	c, err := cache.New(n.zk, n.path, decodeValue, cfg.cache...)
	if err != nil {
		return nil, fmt.Errorf("cached view: %w", err)
	}
	return &View[K, T]{c: c, node: at, key: key, through: cfg.through}, nil
}

// Close ends the view and waits for its goroutines. What it holds stays readable. It may be called again.
func (v *View[K, T]) Close() error { return v.c.Close() }

// Cache returns the cache below: for its state, statistics and snapshots. Close the view, not the cache.
func (v *View[K, T]) Cache() *cache.Cache[T] { return v.c }

// At returns the node of a key, to write it. The cache learns of the write as of anybody's: see [View.WaitApplied].
//
// Errors: [gazoo.ErrBadArguments].
func (v *View[K, T]) At(key K) (*Node[T], error) { return v.node(key) }

// Get returns a value with its version, from the cache, or from the server as [WithReadThrough] says.
//
// Errors: [gazoo.ErrNoNode] when there is none, and none in the cache; [*DataError]; [cache.ErrOutside] for a path that
// the view does not cover; [gazoo.ErrBadArguments]; [ErrSchema]; of the server, when it is asked.
func (v *View[K, T]) Get(ctx context.Context, key K) (Versioned[T], error) {
	n, err := v.node(key)
	if err != nil {
		return Versioned[T]{}, err
	}
	if err := n.cfg.schemas.CheckRead(n.path, true); err != nil {
		return n.nothing(), err
	}
	if v.through == WhenStale && v.c.Synced().Stale {
		return n.decode(n.zk.Get(ctx, n.path))
	}
	got, found, err := v.cached(n.path)
	switch {
	case err != nil || found:
		return got, err
	case v.through != CacheOnly:
		return n.decode(n.zk.Get(ctx, n.path))
	}
	return n.nothing(), fmt.Errorf("get %s from the cache: %w", n.path, gazoo.ErrNoNode)
}

// cached returns what the cache has of a path.
func (v *View[K, T]) cached(path string) (Versioned[T], bool, error) {
	node, found, err := v.c.Get(path)
	if err != nil || !found {
		return Versioned[T]{Path: path}, false, err
	}
	got, err := versioned(&node)
	return got, true, err
}

// versioned makes of a cached znode what a read would have returned.
func versioned[T any](node *cache.Node[T]) (Versioned[T], error) {
	got := Versioned[T]{Path: node.Path, Value: node.Value, Stat: node.Stat}
	if node.Err == nil {
		return got, nil
	}
	return got, located(node.Path, node.Err)
}

// located puts the path into the error of a codec that did not know it.
func located(path string, err error) error {
	if bad, ok := errors.AsType[*DataError](err); ok {
		return &DataError{Path: path, Data: bad.Data, Err: bad.Err}
	}
	return err
}

// All iterates over the znodes that the cache holds, parents before children and siblings by name, as they are at one
// moment. A value that cannot be decoded comes with a [*DataError], and the others follow.
func (v *View[K, T]) All() iter.Seq2[Entry[K, T], error] {
	return func(yield func(Entry[K, T], error) bool) {
		for node := range v.c.All() {
			key, ok := v.key(node.Path)
			if !ok {
				continue
			}
			got, err := versioned(&node)
			if !yield(Entry[K, T]{key, got}, err) {
				return
			}
		}
	}
}

// Entry is a znode of a view.
type Entry[K, T any] struct {
	Key K
	Versioned[T]
}

// WaitSynced waits until the cache is filled, and compared with the server since the last lost connection.
//
// Errors: those of [View.WaitFor].
func (v *View[K, T]) WaitSynced(ctx context.Context) error { return v.c.WaitSynced(ctx) }

// WaitApplied waits until the cache has a value that was read or written, or a later one: to read one's own writes.
//
// Errors: as [cache.Cache.WaitZxid].
func (v *View[K, T]) WaitApplied(ctx context.Context, value Versioned[T]) error {
	return v.c.WaitZxid(ctx, value.Stat.Mzxid)
}

// WaitFor waits until a condition holds for what the cache has of a key; found is false while it has nothing, or data that
// cannot be decoded. It returns the value for which the condition held. cond must not wait.
//
// Errors: the context's, [cache.ErrClosed], what ended the cache; [gazoo.ErrBadArguments], [cache.ErrOutside].
func (v *View[K, T]) WaitFor(ctx context.Context, key K, cond func(value Versioned[T], found bool) bool) (Versioned[T], error) {
	n, err := v.node(key)
	if err != nil {
		return Versioned[T]{}, err
	}
	got, _, err := v.cached(n.path)
	if errors.Is(err, cache.ErrOutside) {
		return got, err
	}
	err = v.c.WaitFor(ctx, func() bool {
		var found bool
		var bad error
		got, found, bad = v.cached(n.path)
		return cond(got, found && bad == nil)
	})
	return got, err
}

// Event is something that happened to a view.
type Event[K, T any] struct {
	Type     cache.EventType
	Key      K             // of Added, Changed and Removed
	Old, New *Versioned[T] // before and after, nil for none; New has no value when Err is set
	Err      error         // of Fault; of Added and Changed: a [*DataError]
}

// Events iterates over what happens, beginning with what the cache holds, until ctx ends or the view does; the last
// element carries the error. Added, Changed and Removed have a key; the other events concern the whole view.
func (v *View[K, T]) Events(ctx context.Context) iter.Seq2[Event[K, T], error] {
	return func(yield func(Event[K, T], error) bool) {
		for raw, err := range v.c.Events(ctx) {
			if err != nil {
				yield(Event[K, T]{}, err)
				return
			}
			ev, mine := v.event(raw)
			if mine && !yield(ev, nil) {
				return
			}
		}
	}
}

// event makes a typed event; mine is false for a znode that no key has, and for a fault that its own event tells.
func (v *View[K, T]) event(raw cache.Event[T]) (ev Event[K, T], mine bool) {
	ev.Type = raw.Type
	if raw.Err != nil {
		ev.Err = located(raw.Path, raw.Err)
		if _, told := errors.AsType[*DataError](raw.Err); told {
			return ev, false
		}
	}
	if raw.Old == nil && raw.New == nil {
		return ev, true
	}
	if ev.Key, mine = v.key(raw.Path); !mine {
		return ev, false
	}
	if raw.Old != nil {
		old, _ := versioned(raw.Old)
		ev.Old = &old
	}
	if raw.New != nil {
		var now Versioned[T]
		now, ev.Err = versioned(raw.New)
		ev.New = &now
	}
	return ev, true
}
