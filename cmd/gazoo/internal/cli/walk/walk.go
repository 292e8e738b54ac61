// Package walk visits a znode and what is below it, in order, with many requests in flight.
package walk

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/gazoo-zk/gazoo"
)

// window bounds the requests in flight per directory.
const window = 256

// Unlimited as the depth of [Tree] visits everything.
const Unlimited = -1

// Node is a znode on the way.
type Node struct {
	Path     string
	Name     string // last component of Path; the whole of it for the first node
	Depth    int    // 0 for the first node
	Stat     gazoo.Stat
	Children []string // sorted
	Denied   error    // not nil when the ACL keeps the children and the stat secret
}

// Tree visits root and what is below it to a depth of that many levels: parents before children,
// siblings sorted. Znodes that are deleted meanwhile are left out. An error ends the walk.
func Tree(ctx context.Context, zk *gazoo.Client, root string, depth int) iter.Seq2[Node, error] {
	return func(yield func(Node, error) bool) {
		w := &walker{ctx: ctx, zk: zk, depth: depth, yield: yield}
		dir, err := zk.Async().ChildrenStat(ctx, root).Wait(ctx)
		if err != nil {
			yield(Node{}, err)
			return
		}
		w.visit(Node{Path: root, Name: root}, dir)
	}
}

type walker struct {
	ctx   context.Context
	zk    *gazoo.Client
	depth int
	yield func(Node, error) bool
}

// visit yields a node and then everything below it. It returns false to end the walk.
func (w *walker) visit(n Node, dir gazoo.Directory) bool {
	n.Stat, n.Children = dir.Stat, dir.Children
	slices.Sort(n.Children)
	if !w.yield(n, nil) {
		return false
	}
	if w.depth != Unlimited && n.Depth >= w.depth {
		return true
	}
	pending := make([]gazoo.Future[gazoo.Directory], 0, len(n.Children))
	for i, name := range n.Children {
		for len(pending) < min(i+window, len(n.Children)) {
			pending = append(pending, w.zk.Async().ChildrenStat(w.ctx, gazoo.JoinPath(n.Path, n.Children[len(pending)])))
		}
		dir, err := pending[i].Wait(w.ctx)
		child := Node{Path: gazoo.JoinPath(n.Path, name), Name: name, Depth: n.Depth + 1}
		goOn := true
		switch {
		case err == nil:
			goOn = w.visit(child, dir)
		case errors.Is(err, gazoo.ErrNoNode):
		case errors.Is(err, gazoo.ErrNoAuth):
			child.Denied = err
			goOn = w.yield(child, nil)
		default:
			w.yield(Node{}, err)
			return false
		}
		if !goOn {
			return false
		}
	}
	return true
}
