package tree

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gazoo-zk/gazoo"
)

// Snap is a subtree as it was at one moment. It can be kept as JSON.
type Snap struct {
	Root  string `json:"root"`  // where it was
	Zxid  int64  `json:"zxid"`  // of the moment: all changes up to it are in, and none behind it
	Nodes []Node `json:"nodes"` // sorted, parents before children, with paths relative to Root
}

// Find returns the node with a path relative to the root, "" for the root itself.
func (s *Snap) Find(path string) (Node, bool) {
	i, found := slices.BinarySearchFunc(s.Nodes, path, func(n Node, path string) int { return compare(n.Path, path) })
	if !found {
		return Node{}, false
	}
	return s.Nodes[i], true
}

// compare orders paths so that a subtree stays together, behind its root.
func compare(a, b string) int {
	return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
}

// Snapshot reads a subtree with data, ACLs and stats as it was at one moment: one zxid. It reads everything, looks then
// whether any znode has changed since it was read, and reads those again, until a look finds no change: all was so,
// together, when that look began. Reads are combined in multi-reads where the server knows them. A subtree that changes all
// the time may need many looks; the cost of each is one small request for every znode.
//
// Options: [WithTries].
//
// Errors: [gazoo.ErrNoNode], [ErrRestless], [gazoo.ErrNoAuth] for any znode, [gazoo.ErrReplyTooLarge] for one that is
// larger than the client's limit.
func Snapshot(ctx context.Context, zk *gazoo.Client, path string, opts ...Option) (*Snap, error) {
	p := place{zk, path, "path"}
	c, err := configure("snapshot", config{}, opts, "WithTries", p)
	if err != nil {
		return nil, err
	}
	t := &taker{place: p, known: map[string]*sight{}}
	snap, err := t.take(ctx, c.tries)
	if err != nil {
		return nil, fmt.Errorf("snapshot of %s: %w", path, err)
	}
	return snap, nil
}

// taker takes a snapshot.
type taker struct {
	place
	known map[string]*sight // by relative path
}

// sight is a znode as it was read: the stat first, so that what changes behind it shows in a later stat.
type sight struct {
	Node
	children []string
}

func (t *taker) take(ctx context.Context, tries int) (*Snap, error) {
	dirty := []string{""}
	for range tries {
		if err := t.read(ctx, dirty); err != nil {
			return nil, err
		}
		// Everything read so far was so at this zxid or before it, and what the next look sees is at this zxid or behind.
		zxid := t.zk.LastZxid()
		err := t.retry(ctx, func() (err error) {
			dirty, err = t.changed(ctx)
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(dirty) == 0 {
			return t.snap(zxid), nil
		}
	}
	return nil, fmt.Errorf("%w: changes in each of %d tries", ErrRestless, tries)
}

func (t *taker) retry(ctx context.Context, fn func() error) error {
	return (&job{}).retry(ctx, fn)
}

// read reads znodes and whatever new is below them.
func (t *taker) read(ctx context.Context, dirty []string) error {
	for len(dirty) > 0 {
		n := min(len(dirty), ahead)
		var found []string
		// Only a batch is read again: what it found would be taken for read already otherwise.
		err := t.retry(ctx, func() (err error) {
			found, err = t.readBatch(ctx, dirty[:n])
			return err
		})
		if err != nil {
			return err
		}
		dirty = append(dirty[n:len(dirty):len(dirty)], found...)
	}
	return nil
}

// readBatch reads znodes and returns the children that are new. What has gone is forgotten, with all below it: the look
// behind shows each of them as gone or as another.
func (t *taker) readBatch(ctx context.Context, rels []string) (found []string, err error) {
	results, err := t.multiRead(ctx, rels)
	if err != nil {
		return nil, err
	}
	acls := make([]gazoo.Future[gazoo.AccessList], len(rels))
	for i, rel := range rels {
		acls[i] = t.zk.Async().GetACL(ctx, t.child(rel))
	}
	for i, rel := range rels {
		data, names := results[2*i], results[2*i+1]
		acl, err := acls[i].Wait(ctx)
		err = errors.Join(data.Err, names.Err, err)
		switch {
		case errors.Is(err, gazoo.ErrNoNode) && rel == "":
			return nil, fmt.Errorf("root: %w", err)
		case errors.Is(err, gazoo.ErrNoNode):
			t.forget(rel)
			continue
		case err != nil:
			return nil, err
		}
		if rel == "" && t.abs() == "/" {
			names.Children = slices.DeleteFunc(names.Children, func(name string) bool { return name == "zookeeper" })
		}
		now := &sight{Node{Path: rel, Data: data.Data, ACL: acl.ACL, Stat: data.Stat}, names.Children}
		t.known[rel] = now
		for _, name := range now.children {
			if t.known[rel+"/"+name] == nil {
				found = append(found, rel+"/"+name)
			}
		}
	}
	return found, nil
}

// multiRead reads data and children of znodes, in as many requests as their size asks for.
func (t *taker) multiRead(ctx context.Context, rels []string) ([]gazoo.ReadResult, error) {
	var reads []gazoo.Read
	for _, rel := range rels {
		// The stat comes with the data: children read before it could be older.
		reads = append(reads, gazoo.ReadData(t.child(rel)), gazoo.ReadChildren(t.child(rel)))
	}
	results, err := t.zk.MultiRead(ctx, reads...)
	if !errors.Is(err, gazoo.ErrReplyTooLarge) {
		return results, err
	}
	if half := len(rels) / 2; half > 0 {
		first, err := t.multiRead(ctx, rels[:half])
		if err != nil {
			return nil, err
		}
		second, err := t.multiRead(ctx, rels[half:])
		return append(first, second...), err
	}
	// Not even one fits together with its children.
	data, stat, err := t.zk.Get(ctx, t.child(rels[0]))
	names, nerr := t.zk.Children(ctx, t.child(rels[0]))
	if err := errors.Join(err, nerr); err != nil {
		return nil, err
	}
	return []gazoo.ReadResult{{Data: data, Stat: stat}, {Children: names}}, nil
}

func (t *taker) forget(rel string) {
	if s := t.known[rel]; s != nil {
		delete(t.known, rel)
		for _, name := range s.children {
			t.forget(rel + "/" + name)
		}
	}
}

// changed returns the znodes whose stat differs from the one that was read.
func (t *taker) changed(ctx context.Context) (dirty []string, err error) {
	rels := slices.SortedFunc(maps.Keys(t.known), compare)
	for batch := range slices.Chunk(rels, ahead) {
		stats := make([]gazoo.Future[gazoo.Presence], len(batch))
		for i, rel := range batch {
			stats[i] = t.zk.Async().Exists(ctx, t.child(rel))
		}
		for i, rel := range batch {
			now, err := stats[i].Wait(ctx)
			if err != nil {
				return nil, err
			}
			if !now.Exists || now.Stat != t.known[rel].Stat {
				dirty = append(dirty, rel)
			}
		}
	}
	return dirty, nil
}

func (t *taker) snap(zxid int64) *Snap {
	s := &Snap{Root: t.path, Zxid: zxid}
	for _, node := range t.known {
		s.Nodes = append(s.Nodes, node.Node)
	}
	slices.SortFunc(s.Nodes, func(a, b Node) int { return compare(a.Path, b.Path) })
	return s
}

// Restore writes a snapshot to a path, of any client. It is not atomic; see [Copy], whose options it has, but for
// [RefuseEphemerals] which looks at the snapshot.
//
// Errors: [gazoo.ErrBadArguments] for a snapshot that is none, and those of [Copy].
func Restore(ctx context.Context, snap *Snap, zk *gazoo.Client, path string, opts ...Option) (Result, error) {
	dst := place{zk, path, "path"}
	c, err := configure("restore", config{ephemerals: SkipEphemerals}, opts, "Merge Overwrite KeepACLs Ephemerals DryRun WithProgress", dst)
	if err == nil {
		err = snap.check()
	}
	if err != nil {
		return Result{}, err
	}
	j := &job{config: c}
	if err := j.restore(ctx, snap, dst); err != nil {
		return j.result, fmt.Errorf("restore %s: %w", path, err)
	}
	return j.result, nil
}

func (j *job) restore(ctx context.Context, snap *Snap, dst place) error {
	var entries []entry
	nodes := map[string]Node{}
	for _, node := range snap.Nodes {
		entries = append(entries, entry{node.Path, node.Stat})
		nodes[node.Path] = node
	}
	entries, err := j.filter(place{path: "/"}, entries)
	if err != nil {
		return err
	}
	j.total = len(entries)
	return j.write(ctx, dst, func(yield func(Node, error) bool) {
		for _, e := range entries {
			if !yield(nodes[e.rel], nil) {
				return
			}
		}
	})
}

// check finds what would break off a restore in the middle.
func (s *Snap) check() error {
	bad := func(format string, a ...any) error {
		return fmt.Errorf("restore: %w", &gazoo.ArgumentError{Arg: "snapshot", Reason: fmt.Sprintf(format, a...)})
	}
	if s == nil || len(s.Nodes) == 0 {
		return bad("it is empty")
	}
	seen := map[string]bool{}
	for i, node := range s.Nodes {
		switch {
		case i == 0 && node.Path != "":
			return bad("it begins with %q instead of the root", node.Path)
		case seen[node.Path]:
			return bad("%q is in it twice", node.Path)
		case i > 0 && gazoo.ValidatePath(node.Path) != nil:
			return bad("%q is no path", node.Path)
		case i > 0 && !seen[parent(node.Path)]:
			return bad("%q comes before its parent", node.Path)
		}
		seen[node.Path] = true
	}
	return nil
}
