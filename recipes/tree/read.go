package tree

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
)

// Node is a znode with what it holds.
type Node struct {
	Path string      `json:"path"`          // as read; in a [Snap] relative to the root, "" for the root itself
	Data []byte      `json:"data"`          // nil for null data
	ACL  []gazoo.ACL `json:"acl,omitempty"` // only where ACLs are read
	Stat gazoo.Stat  `json:"stat"`
}

// Name returns the last component of the path.
func (n Node) Name() string { return gazoo.BaseName(n.Path) }

// ahead bounds the reads and writes in flight of one call, and aheadBytes the data in flight.
const (
	ahead      = 128
	aheadBytes = 4 << 20
)

// Children returns the children of a znode with their data, sorted by name. It takes two round trips, or one for each
// hundred or so. Children that vanish meanwhile are left out.
//
// Errors: [gazoo.ErrNoNode], [gazoo.ErrNoAuth].
func Children(ctx context.Context, zk *gazoo.Client, path string) ([]Node, error) {
	if _, err := configure("children", config{}, nil, "", place{zk, path, "path"}); err != nil {
		return nil, err
	}
	names, err := zk.Children(ctx, path)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	paths := func(yield func(string, error) bool) {
		for _, name := range names {
			if !yield(gazoo.JoinPath(path, "/"+name), nil) {
				return
			}
		}
	}
	var nodes []Node
	for node, err := range read(ctx, zk, paths, false, nil) {
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, node)
	}
	return nodes, nil
}

// Walk iterates over a znode and everything below it with data, parents before their children and siblings in no order.
// It reads ahead. Znodes that vanish meanwhile are left out; what others create behind the walk is not seen. With
// [KeepACLs] the nodes carry their ACLs. A missing root is [gazoo.ErrNoNode]; the error that ends it is the last element.
func Walk(ctx context.Context, zk *gazoo.Client, root string, opts ...Option) iter.Seq2[Node, error] {
	return func(yield func(Node, error) bool) {
		src := place{zk, root, "root"}
		c, err := configure("walk", config{}, opts, "KeepACLs", src)
		if err != nil {
			yield(Node{}, err)
			return
		}
		for node, err := range read(ctx, zk, paths(ctx, src), c.acls, nil) {
			if !yield(node, err) || err != nil {
				return
			}
		}
	}
}

// paths walks without what belongs to the servers.
func paths(ctx context.Context, p place) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		top := p.abs() == "/"
		for path, err := range p.zk.Walk(ctx, p.path) {
			if err == nil && top && system(gazoo.JoinPath(p.zk.Root(), path)) {
				continue
			}
			if !yield(path, err) || err != nil {
				return
			}
		}
	}
}

// reading is one znode that is being read.
type reading struct {
	path string
	data gazoo.Future[gazoo.Node]
	acl  gazoo.Future[gazoo.AccessList]
}

// read reads the znodes of paths ahead, in their order. Those that have gone are left out, and told to missing.
func read(ctx context.Context, zk *gazoo.Client, paths iter.Seq2[string, error], acls bool, missing func(string)) iter.Seq2[Node, error] {
	return func(yield func(Node, error) bool) {
		var flight []reading
		take := func() bool {
			r := flight[0]
			flight = flight[1:]
			node, err := r.wait(ctx, zk, acls)
			switch {
			case errors.Is(err, gazoo.ErrNoNode):
				if missing != nil {
					missing(r.path)
				}
				return true
			case err != nil:
				yield(Node{Path: r.path}, err)
				return false
			}
			return yield(node, nil)
		}
		for path, err := range paths {
			if err != nil {
				yield(Node{Path: path}, err)
				return
			}
			flight = append(flight, submit(ctx, zk, path, acls))
			if len(flight) >= ahead && !take() {
				return
			}
		}
		for len(flight) > 0 {
			if !take() {
				return
			}
		}
	}
}

func submit(ctx context.Context, zk *gazoo.Client, path string, acls bool) reading {
	r := reading{path: path, data: zk.Async().Get(ctx, path)}
	if acls {
		r.acl = zk.Async().GetACL(ctx, path)
	}
	return r
}

// wait returns what was read, asking again after lost connections.
func (r reading) wait(ctx context.Context, zk *gazoo.Client, acls bool) (Node, error) {
	for lost := 0; ; lost++ {
		got, err := r.data.Wait(ctx)
		node := Node{Path: r.path, Data: got.Data, Stat: got.Stat}
		if err == nil && acls {
			var list gazoo.AccessList
			list, err = r.acl.Wait(ctx)
			node.ACL = list.ACL
		}
		if err == nil || ctx.Err() != nil || !retry.Again(err) {
			return node, err
		}
		if err := retry.Pause(ctx, lost); err != nil {
			return node, err
		}
		r = submit(ctx, zk, r.path, acls)
	}
}

// entry is a znode of a plan.
type entry struct {
	rel  string // relative to the root, "" for itself
	stat gazoo.Stat
}

// plan lists a subtree with its stats, parents before children. Nothing has been written when it fails, so lost
// connections begin it anew.
func plan(ctx context.Context, p place) ([]entry, error) {
	for lost := 0; ; lost++ {
		entries, err := planOnce(ctx, p)
		if err == nil || ctx.Err() != nil || !retry.Again(err) {
			return entries, err
		}
		if err := retry.Pause(ctx, lost); err != nil {
			return nil, err
		}
	}
}

func planOnce(ctx context.Context, p place) (entries []entry, err error) {
	type asked struct {
		path string
		stat gazoo.Future[gazoo.Presence]
	}
	var flight []asked
	take := func() error {
		a := flight[0]
		flight = flight[1:]
		got, err := a.stat.Wait(ctx)
		if err == nil && got.Exists {
			rel := strings.TrimPrefix(a.path, p.path)
			if p.path == "/" {
				rel = strings.TrimSuffix(a.path, "/")
			}
			entries = append(entries, entry{rel, got.Stat})
		}
		return err
	}
	for path, err := range paths(ctx, p) {
		if err != nil {
			return nil, err
		}
		flight = append(flight, asked{path, p.zk.Async().Exists(ctx, path)})
		if len(flight) >= ahead {
			if err := take(); err != nil {
				return nil, err
			}
		}
	}
	for len(flight) > 0 {
		if err := take(); err != nil {
			return nil, err
		}
	}
	return entries, nil
}
