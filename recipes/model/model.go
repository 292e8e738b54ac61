package model

import (
	"errors"
	"fmt"

	"github.com/gazoo-zk/gazoo"
)

// Model is all znodes of a template, whose data is a T, reached by keys. Safe for concurrent use. It needs no close unless it
// has receipts ([WithReceipts]).
type Model[K, T any] struct {
	paths *Paths[K]
	any   *Node[T] // what the nodes have in common; its path is the template's root
}

// New makes the model of a template: see [NewPaths]. Nothing is sent. K has to be named, T comes from the codec:
//
//	users, err := model.New[UserKey](zk, "/app/{tenant}/users/{user}", model.JSON[User]())
//
// Errors: [gazoo.ErrBadArguments], every problem at once.
func New[K, T any](zk *gazoo.Client, template string, codec Codec[T], opts ...Option) (*Model[K, T], error) {
	cfg, err := configure(zk, codec != nil, opts)
	paths, perr := NewPaths[K](template)
	if err := errors.Join(err, perr); err != nil {
		return nil, fmt.Errorf("new model: %w", err)
	}
	return &Model[K, T]{paths, &Node[T]{zk: zk, path: paths.template.Root(), codec: codec, cfg: cfg}}, nil
}

// Paths returns how keys and paths belong together.
func (m *Model[K, T]) Paths() *Paths[K] { return m.paths }

// At returns the node of a key. Nothing is sent.
//
// Errors: [gazoo.ErrBadArguments]: see [Paths.Path].
func (m *Model[K, T]) At(key K) (*Node[T], error) {
	path, err := m.paths.Path(key)
	if err != nil {
		return nil, err
	}
	return m.any.at(path), nil
}

// Close deletes the receipts: see [Node.Close].
func (m *Model[K, T]) Close() { m.any.Close() }
