package tree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
)

// Copy copies a subtree, root included, to a path of the same or another client; the parents of the destination are made
// where they are missing. It is not atomic, and not of one moment: see the package comment; take a [Snapshot] and restore
// it for that.
//
// Options: [Merge], [Overwrite], [KeepACLs], [Ephemerals], [DryRun], [WithProgress].
//
// Errors: [gazoo.ErrBadArguments], [gazoo.ErrNoNode], [ErrExists], [ErrEphemeral], [ErrMaskedACL], [gazoo.ErrNoAuth],
// [gazoo.ErrRequestTooLarge] of a znode whose data does not fit into the destination's limit.
func Copy(ctx context.Context, from *gazoo.Client, source string, to *gazoo.Client, destination string, opts ...Option) (Result, error) {
	src, dst := place{from, source, "source"}, place{to, destination, "destination"}
	c, err := configure("copy", config{ephemerals: SkipEphemerals}, opts, "Merge Overwrite KeepACLs Ephemerals DryRun WithProgress", src, dst)
	if err == nil {
		err = apart("copy", src, dst)
	}
	if err != nil {
		return Result{}, err
	}
	j := &job{config: c}
	if err := j.copy(ctx, src, dst); err != nil {
		return j.result, fmt.Errorf("copy %s to %s: %w", source, destination, err)
	}
	return j.result, nil
}

func (j *job) copy(ctx context.Context, src, dst place) error {
	entries, err := j.plan(ctx, src)
	if err != nil {
		return err
	}
	return j.write(ctx, dst, j.source(ctx, src, entries))
}

// plan lists what there is to do, and how much that is.
func (j *job) plan(ctx context.Context, src place) ([]entry, error) {
	entries, err := plan(ctx, src)
	if err == nil {
		entries, err = j.filter(src, entries)
	}
	j.total = len(entries)
	return entries, err
}

// filter drops the ephemerals, or refuses them, before anything is written.
func (j *job) filter(src place, entries []entry) ([]entry, error) {
	kept := entries[:0:0]
	for _, e := range entries {
		switch {
		case !e.stat.Ephemeral() || j.ephemerals == IncludeEphemerals:
			kept = append(kept, e)
		case j.ephemerals == RefuseEphemerals:
			return nil, fmt.Errorf("%s: %w", src.child(e.rel), ErrEphemeral)
		default:
			j.step(Skipped, src.child(e.rel))
		}
	}
	return kept, nil
}

// source reads the znodes of a plan, with paths relative to the root.
func (j *job) source(ctx context.Context, src place, entries []entry) iter.Seq2[Node, error] {
	paths := func(yield func(string, error) bool) {
		for _, e := range entries {
			if !yield(src.child(e.rel), nil) {
				return
			}
		}
	}
	return func(yield func(Node, error) bool) {
		for node, err := range read(ctx, src.zk, paths, j.acls, nil) {
			if err == nil && node.Stat.Ephemeral() && j.ephemerals != IncludeEphemerals {
				continue // it has become one since
			}
			node.Path = relative(node.Path, src.path)
			if !yield(node, err) || err != nil {
				return
			}
		}
	}
}

// relative takes the root off a path: "" for itself.
func relative(path, root string) string {
	if root == "/" {
		return strings.TrimSuffix(path, "/")
	}
	return strings.TrimPrefix(path, root)
}

// item is a znode on its way into the destination.
type item struct {
	Node
	path  string // there
	doubt bool   // a create of it may have been applied
}

// write writes znodes, parents before children, with paths relative to the root.
func (j *job) write(ctx context.Context, dst place, nodes iter.Seq2[Node, error]) error {
	if err := j.prepare(ctx, dst); err != nil {
		return err
	}
	var batch []item
	size := 0
	flush := func() error {
		err := j.put(ctx, dst.zk, batch)
		batch, size = batch[:0], 0
		return err
	}
	for node, err := range nodes {
		if err != nil {
			return err
		}
		if j.acls {
			if err := checkMasked(node); err != nil {
				return err
			}
		}
		batch = append(batch, item{Node: node, path: dst.child(node.Path)})
		if size += len(node.Data) + 100; len(batch) >= ahead || size >= aheadBytes {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// prepare looks at the destination, and makes its parents.
func (j *job) prepare(ctx context.Context, dst place) error {
	return j.retry(ctx, func() error {
		_, found, err := dst.zk.Exists(ctx, dst.path)
		switch {
		case err != nil:
			return err
		case found && j.existing == refuseExisting:
			return fmt.Errorf("%s: %w", dst.path, ErrExists)
		case found || j.dry:
			return nil
		}
		_, err = dst.zk.EnsurePath(ctx, gazoo.ParentPath(dst.path)) // the chroot, if that is what is missing
		return err
	})
}

// retry runs fn again after lost connections; it must be harmless to do it twice.
func (j *job) retry(ctx context.Context, fn func() error) error {
	for lost := 0; ; lost++ {
		err := fn()
		if err == nil || ctx.Err() != nil || !retry.Again(err) {
			return err
		}
		if err := retry.Pause(ctx, lost); err != nil {
			return err
		}
	}
}

// put creates a batch, pipelined: the server gets the creates in their order, so that parents come before children.
func (j *job) put(ctx context.Context, zk *gazoo.Client, batch []item) error {
	if j.dry {
		return j.wouldPut(ctx, zk, batch)
	}
	for lost := 0; len(batch) > 0; lost++ {
		made := make([]gazoo.Future[gazoo.Created], len(batch))
		for i, it := range batch {
			made[i] = zk.Async().Create(ctx, it.path, it.Data, j.kind(it)...)
		}
		var left []item
		var last, fatal error
		for i, it := range batch {
			_, err := made[i].Wait(ctx)
			switch {
			case err == nil:
				j.written(Created, it)
			case it.path == "/" && j.existing == refuseExisting: // a chroot that was missing
				if fatal = j.retry(ctx, func() error { return j.overwrite(ctx, zk, it) }); fatal == nil {
					j.written(Created, it)
				}
			case it.path == "/":
				fatal = j.exists(ctx, zk, it)
			case fatal != nil: // what is under way is waited for, so that nothing is written behind the return
			case errors.Is(err, gazoo.ErrNodeExists):
				fatal = j.exists(ctx, zk, it)
			case ctx.Err() == nil && retry.Again(err), errors.Is(err, gazoo.ErrNoNode) && len(left) > 0:
				it.doubt = it.doubt || gazoo.MaybeApplied(err)
				left, last = append(left, it), err
			default:
				fatal = err
			}
		}
		if fatal != nil {
			return fatal
		}
		batch = left
		if last != nil {
			if err := retry.Pause(ctx, lost); err != nil {
				return errors.Join(last, err)
			}
		}
	}
	return nil
}

func (j *job) kind(it item) []gazoo.CreateOption {
	if !j.acls || len(it.ACL) == 0 {
		return nil
	}
	return []gazoo.CreateOption{gazoo.WithACL(it.ACL...)}
}

func (j *job) written(a Action, it item) {
	j.result.Bytes += int64(len(it.Data))
	j.step(a, it.path)
}

// exists deals with a znode that is there already.
func (j *job) exists(ctx context.Context, zk *gazoo.Client, it item) error {
	if it.doubt {
		same, err := j.same(ctx, zk, it)
		if err != nil {
			return err
		}
		if same { // the create whose answer was lost
			j.written(Created, it)
			return nil
		}
	}
	switch j.existing {
	case keepExisting:
		j.step(Kept, it.path)
		return nil
	case overwriteExisting:
		err := j.retry(ctx, func() error { return j.overwrite(ctx, zk, it) })
		if err == nil {
			j.written(Updated, it)
		}
		return err
	}
	return fmt.Errorf("%s: %w", it.path, ErrExists)
}

func (j *job) overwrite(ctx context.Context, zk *gazoo.Client, it item) error {
	if _, err := zk.Set(ctx, it.path, it.Data, gazoo.AnyVersion); err != nil {
		return err
	}
	if !j.acls || len(it.ACL) == 0 {
		return nil
	}
	_, err := zk.SetACL(ctx, it.path, it.ACL, gazoo.AnyVersion)
	return err
}

// same reports whether a znode holds what it is to hold.
func (j *job) same(ctx context.Context, zk *gazoo.Client, it item) (same bool, err error) {
	err = j.retry(ctx, func() error {
		data, _, err := zk.Get(ctx, it.path)
		same = err == nil && bytes.Equal(data, it.Data) && (data == nil) == (it.Data == nil)
		return err
	})
	return same, err
}

// wouldPut tells what put would do.
func (j *job) wouldPut(ctx context.Context, zk *gazoo.Client, batch []item) error {
	for _, it := range batch {
		found := false
		err := j.retry(ctx, func() (err error) {
			_, found, err = zk.Exists(ctx, it.path)
			return err
		})
		switch {
		case err != nil:
			return err
		case !found:
			j.written(Created, it)
		case j.existing == keepExisting:
			j.step(Kept, it.path)
		default: // refuseExisting has looked at the root
			j.written(Updated, it)
		}
	}
	return nil
}

// checkMasked refuses ACLs that the server has taken the passwords out of.
func checkMasked(node Node) error {
	for _, acl := range node.ACL {
		if user, password, ok := strings.Cut(acl.ID, ":"); ok && acl.Scheme == "digest" && password == "x" {
			return fmt.Errorf("%s: %w: digest:%s", node.Path, ErrMaskedACL, user)
		}
	}
	return nil
}
