package gazoo

import (
	"context"
	"errors"
	"iter"
)

// Walk iterates over a znode and everything below it, parents before their children and
// siblings in no order, with the paths of this view. It keeps up to [WalkAhead] listings in
// flight, so it costs round trips by depth rather than by number of znodes. Znodes that vanish
// meanwhile are left out; what others create behind the walk is not seen. A missing root is
// [ErrNoNode].
//
// An error is the last element. To stay out of a subtree, break and walk elsewhere: the walk has
// listed ahead already.
func (zk *Client) Walk(ctx context.Context, root string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if ctx == nil {
			yield("", refuse("walk", root, errNilContext))
			return
		}
		w := &walk{zk: zk, ctx: ctx}
		w.todo = append(w.todo, root)
		for first := true; w.list(); first = false {
			next := w.flight[0]
			w.flight = w.flight[1:]
			dir, err := next.names.Wait(ctx)
			if errors.Is(err, ErrNoNode) && !first {
				continue
			}
			if err != nil {
				yield(next.path, err)
				return
			}
			if !yield(next.path, nil) {
				return
			}
			for _, name := range dir.Children {
				w.todo = append(w.todo, absPathName(next.path, name))
			}
		}
	}
}

// WalkAhead is how many listings a walk keeps in flight.
const WalkAhead = 256

// walk is a breadth-first walk: listings in flight, and paths still to be listed.
type walk struct {
	zk     *Client
	ctx    context.Context
	flight []listing
	todo   []string
}

type listing struct {
	path  string
	names Future[Directory]
}

// list keeps listings in flight and reports whether there is one to wait for.
func (w *walk) list() bool {
	for len(w.todo) > 0 && len(w.flight) < WalkAhead {
		path := w.todo[0]
		w.todo = w.todo[1:]
		w.flight = append(w.flight, listing{path, w.zk.Async().Children(w.ctx, path)})
	}
	return len(w.flight) > 0
}

// SetACLRecursive gives a znode and everything below it an ACL, whatever their ACL versions,
// and returns how many it changed. It is not atomic; znodes that vanish meanwhile are left out.
func (zk *Client) SetACLRecursive(ctx context.Context, path string, acl []ACL) (changed int, err error) {
	for p, err := range zk.Walk(ctx, path) {
		if err != nil {
			return changed, err
		}
		_, err = zk.SetACL(ctx, p, acl, AnyVersion)
		switch {
		case err == nil:
			changed++
		case errors.Is(err, ErrNoNode):
		default:
			return changed, err
		}
	}
	return changed, nil
}
