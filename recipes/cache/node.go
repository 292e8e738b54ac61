package cache

import (
	"slices"
	"strings"

	"github.com/gazoo-zk/gazoo"
)

// Node is a znode as the cache has it.
type Node[T any] struct {
	Path  string
	Value T
	Stat  gazoo.Stat
	Err   error // of the codec, or of the storage ([ErrStorage]); Value is zero then
}

// node is one znode of the tree. A znode that the filter skips has a node without content, for its place.
type node[T any] struct {
	name   string
	parent *node[T]
	kids   map[string]*node[T] // nil for none

	value T
	stat  gazoo.Stat
	held  bool // it has content
	bad   bool // Cache.errs says why there is no value
}

func (n *node[T]) add(kid *node[T]) {
	if n.kids == nil {
		n.kids = make(map[string]*node[T], 1)
	}
	kid.parent = n
	n.kids[kid.name] = kid
}

// walk visits a node and all below it, parents first, children in the order of their names.
func (n *node[T]) walk(path string, visit func(path string, n *node[T]) bool) bool {
	if n.held && !visit(path, n) {
		return false
	}
	names := make([]string, 0, len(n.kids))
	for name := range n.kids {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if !n.kids[name].walk(child(path, name), visit) {
			return false
		}
	}
	return true
}

// child is gazoo.JoinPath for a path and a name in normal form. It is called several times for each znode: a load takes a
// sixth longer with the other.
func child(parent, name string) string {
	if parent == "/" {
		return "/" + name
	}
	return parent + "/" + name
}

// relative returns what of a path is below root, without a slash before it; false when the path lies elsewhere.
func relative(root, path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, root)
	switch {
	case !ok || root != "/" && rest != "" && rest[0] != '/':
		return "", false
	case root != "/" && rest != "":
		rest = rest[1:]
	}
	return rest, true
}
