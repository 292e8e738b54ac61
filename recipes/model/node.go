package model

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/gazoo-zk/gazoo"
)

// Versioned is a value with the stat of its znode as of the moment when it was read or written.
type Versioned[T any] struct {
	Path  string
	Value T
	// Stat is whole, but behind a write whose answer was lost and whose znode was then written or deleted by others:
	// only its Version is known there.
	Stat gazoo.Stat
}

// Version returns the version of the znode's data.
func (v Versioned[T]) Version() int32 { return v.Stat.Version }

// With returns another value with the same path and stat: what [Node.Set] is to write.
func (v Versioned[T]) With(value T) Versioned[T] {
	v.Value = value
	return v
}

// Node is a znode whose data is a T. Safe for concurrent use. It needs no close unless it has receipts
// ([WithReceipts]).
type Node[T any] struct {
	zk    *gazoo.Client
	path  string
	codec Codec[T]
	cfg   *config
}

// NewNode makes the typed node of a path. Nothing is sent.
//
// Errors: [gazoo.ErrBadArguments], every problem at once.
func NewNode[T any](zk *gazoo.Client, path string, codec Codec[T], opts ...Option) (*Node[T], error) {
	cfg, err := configure(zk, codec != nil, opts)
	if err := errors.Join(err, gazoo.ValidatePath(path)); err != nil {
		return nil, fmt.Errorf("new node: %w", err)
	}
	return &Node[T]{zk: zk, path: path, codec: codec, cfg: cfg}, nil
}

// Path returns the path of the node.
func (n *Node[T]) Path() string { return n.path }

// Child returns the node of a child, of the same type.
//
// Errors: [gazoo.ErrBadArguments] for a name that no child can have.
func (n *Node[T]) Child(name string) (*Node[T], error) {
	if err := checkName(name); err != nil {
		return nil, fmt.Errorf("child of %s: %w", n.path, err)
	}
	return n.at(gazoo.JoinPath(n.path, name)), nil
}

func (n *Node[T]) at(path string) *Node[T] {
	return &Node[T]{zk: n.zk, path: path, codec: n.codec, cfg: n.cfg}
}

// Close deletes the receipts, in the background. The node can still be used, with receipts that are made and deleted for
// each write.
func (n *Node[T]) Close() { n.cfg.close(n.zk) }

func (c *config) close(zk *gazoo.Client) {
	if c.receipts != nil {
		c.receipts.Close(zk)
	}
}

// Get returns the value as the server connected to knows it.
//
// Errors: [gazoo.ErrNoNode], [*DataError], [gazoo.ErrNoAuth], [ErrSchema].
func (n *Node[T]) Get(ctx context.Context) (Versioned[T], error) {
	if err := n.cfg.schemas.CheckRead(n.path, false); err != nil {
		return n.nothing(), err
	}
	return n.decode(n.zk.Get(ctx, n.path))
}

// GetFresh is Get behind a sync with the leader.
func (n *Node[T]) GetFresh(ctx context.Context) (Versioned[T], error) {
	if err := n.cfg.schemas.CheckRead(n.path, false); err != nil {
		return n.nothing(), err
	}
	synced := n.zk.Async().Sync(ctx, n.path)
	read := n.zk.Async().Get(ctx, n.path)
	defer read.Release()
	if _, err := synced.Wait(ctx); err != nil {
		return n.nothing(), err
	}
	node, err := read.Wait(ctx)
	return n.decode(node.Data, node.Stat, err)
}

func (n *Node[T]) nothing() Versioned[T] { return Versioned[T]{Path: n.path} }

func (n *Node[T]) decode(data []byte, stat gazoo.Stat, err error) (Versioned[T], error) {
	v := Versioned[T]{Path: n.path, Stat: stat}
	if err != nil {
		return v, err
	}
	v.Value, err = decode(n.codec, n.path, data)
	return v, err
}

// decode makes a value of data, or an error that keeps the data.
func decode[T any](codec Codec[T], path string, data []byte) (T, error) {
	value, err := codec.Decode(data)
	if err == nil {
		return value, nil
	}
	var zero T
	if data == nil {
		data = []byte{}
	}
	return zero, &DataError{Path: path, Data: data, Err: err}
}

func (n *Node[T]) encode(value T) ([]byte, error) {
	data, err := n.codec.Encode(value)
	if err != nil {
		return nil, &DataError{Path: n.path, Err: err}
	}
	return data, nil
}

// Exists returns the stat of the znode; false when there is none. The data is neither read nor decoded.
func (n *Node[T]) Exists(ctx context.Context) (gazoo.Stat, bool, error) {
	if err := n.cfg.schemas.CheckRead(n.path, false); err != nil {
		return gazoo.Stat{}, false, err
	}
	return n.zk.Exists(ctx, n.path)
}

// ChildNames returns the names of the children, sorted.
//
// Errors: [gazoo.ErrNoNode], [gazoo.ErrNoAuth], [ErrSchema].
func (n *Node[T]) ChildNames(ctx context.Context) ([]string, error) {
	if err := n.cfg.schemas.CheckRead(n.path, false); err != nil {
		return nil, err
	}
	names, err := n.zk.Children(ctx, n.path)
	slices.Sort(names)
	return names, err
}

// Children returns the values of the children, sorted by name. They are read beside each other, not at one moment, and
// one that goes meanwhile is left out. When some cannot be decoded the others are returned all the same, with an
// error that holds a [*DataError] for each.
//
// Errors: as [Node.Get].
func (n *Node[T]) Children(ctx context.Context) ([]Versioned[T], error) {
	names, err := n.ChildNames(ctx)
	if err != nil {
		return nil, err
	}
	kids := make([]*Node[T], len(names))
	for i, name := range names {
		kids[i] = n.at(gazoo.JoinPath(n.path, name))
		if err := n.cfg.schemas.CheckRead(kids[i].path, false); err != nil {
			return nil, err
		}
	}
	reads := make([]gazoo.Future[gazoo.Node], 0, gazoo.WalkAhead)
	defer func() {
		for _, read := range reads {
			read.Release()
		}
	}()
	values := make([]Versioned[T], 0, len(kids))
	var bad []error
	for at, kid := range kids {
		for len(reads) < gazoo.WalkAhead && at+len(reads) < len(kids) {
			reads = append(reads, n.zk.Async().Get(ctx, kids[at+len(reads)].path))
		}
		node, err := reads[0].Wait(ctx)
		reads = reads[1:]
		if errors.Is(err, gazoo.ErrNoNode) {
			continue
		}
		if err != nil {
			return nil, err
		}
		v, err := kid.decode(node.Data, node.Stat, nil)
		if err != nil {
			bad = append(bad, err)
			continue
		}
		values = append(values, v)
	}
	return values, errors.Join(bad...)
}

// Change is what [Node.Watch] shows: a value, or that there is none.
type Change[T any] struct {
	Versioned[T]
	Exists bool
}

// Watch iterates over the value: as it is at once, and then after each change. It survives lost connections and sessions,
// may coalesce changes that come faster than they are consumed, never goes backwards, and always delivers the last
// value. Data that cannot be decoded comes as a [*DataError], and the watch goes on behind it; any other error is the
// last element.
//
// Errors: [*DataError], the context's, [gazoo.ErrClosed], [gazoo.ErrNoAuth], [ErrSchema].
func (n *Node[T]) Watch(ctx context.Context) iter.Seq2[Change[T], error] {
	return func(yield func(Change[T], error) bool) {
		if err := n.cfg.schemas.CheckRead(n.path, true); err != nil {
			yield(Change[T]{Versioned: n.nothing()}, err)
			return
		}
		for snap, err := range n.zk.WatchData(ctx, n.path) {
			now := Change[T]{Versioned: n.nothing(), Exists: snap.Exists}
			if err != nil {
				yield(now, err)
				return
			}
			if snap.Exists {
				now.Versioned, err = n.decode(snap.Data, snap.Stat, nil)
			}
			if !yield(now, err) {
				return
			}
		}
	}
}
