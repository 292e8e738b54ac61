package tree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
)

// Move moves a subtree to another path of the same or another client: it copies it, reads both places again, and deletes
// each znode of the source that has not changed since. It is not atomic without [Atomic]: the package comment says what a
// failure leaves. A znode that is deleted and made anew between the second look and its delete is taken for the old one.
//
// Options: [Atomic], [Merge], [Overwrite], [KeepACLs], [Ephemerals], [DryRun], [WithProgress]. With Merge only what the
// destination holds with equal data counts as moved.
//
// Errors: those of [Copy]; [ErrChanged] when the source or the destination was changed during the move, and
// [gazoo.ErrNotEmpty] when the source got new children: these are still there. With Atomic [gazoo.ErrRequestTooLarge],
// and [gazoo.MaybeApplied] when its answer was lost and what the servers hold does not tell.
func Move(ctx context.Context, from *gazoo.Client, source string, to *gazoo.Client, destination string, opts ...Option) (Result, error) {
	src, dst := place{from, source, "source"}, place{to, destination, "destination"}
	c, err := configure("move", config{ephemerals: RefuseEphemerals}, opts,
		"Atomic Merge Overwrite KeepACLs Ephemerals DryRun WithProgress", src, dst)
	if err == nil {
		err = errors.Join(apart("move", src, dst), c.checkMove(src, dst))
	}
	if err != nil {
		return Result{}, err
	}
	j := &job{config: c}
	if c.atomic {
		src, dst, err = together(src, dst)
		if err != nil {
			return Result{}, fmt.Errorf("move: %w", err)
		}
		err = j.moveAtOnce(ctx, src, dst)
	} else {
		err = j.move(ctx, src, dst)
	}
	if err != nil {
		return j.result, fmt.Errorf("move %s to %s: %w", source, destination, err)
	}
	return j.result, nil
}

func (c *config) checkMove(src, dst place) error {
	c.problems = nil
	if c.ephemerals == SkipEphemerals {
		c.problem("Ephemerals", "what a move skips would be lost")
	}
	if src.path == "/" || system(src.abs()) {
		c.problem("source", "%s cannot be moved", src.path)
	}
	if c.atomic && c.existing != refuseExisting {
		c.problem("Atomic", "does not go with Merge and Overwrite")
	}
	if err := errors.Join(c.problems...); err != nil {
		return fmt.Errorf("move: %w", err)
	}
	return nil
}

func (j *job) move(ctx context.Context, src, dst place) error {
	entries, err := j.plan(ctx, src)
	if err != nil {
		return err
	}
	seen := map[string]gazoo.Stat{}
	nodes := func(yield func(Node, error) bool) {
		for node, err := range j.source(ctx, src, entries) {
			seen[node.Path] = node.Stat
			if !yield(node, err) {
				return
			}
		}
	}
	if err := j.write(ctx, dst, nodes); err != nil {
		return err
	}
	if j.dry {
		for _, e := range slices.Backward(entries) {
			j.step(Deleted, src.child(e.rel))
		}
		return nil
	}
	entries = slices.DeleteFunc(entries, func(e entry) bool { _, ok := seen[e.rel]; return !ok })
	if err := j.verify(ctx, src, dst, entries, seen); err != nil {
		return err
	}
	slices.Reverse(entries)
	for batch := range slices.Chunk(entries, ahead) {
		full, err := j.remove(ctx, src, batch, func(e entry) int32 { return seen[e.rel].Version })
		switch {
		case errors.Is(err, gazoo.ErrBadVersion):
			return fmt.Errorf("%w: %w", ErrChanged, err)
		case err != nil:
			return err
		case full:
			return fmt.Errorf("source: %w", gazoo.ErrNotEmpty)
		}
	}
	return nil
}

// verify reads both places again: the source must be as it was copied, and the destination like it.
func (j *job) verify(ctx context.Context, src, dst place, entries []entry, seen map[string]gazoo.Stat) error {
	for batch := range slices.Chunk(entries, ahead) {
		old, copied := make([]reading, len(batch)), make([]reading, len(batch))
		for i, e := range batch {
			old[i] = submit(ctx, src.zk, src.child(e.rel), false)
			copied[i] = submit(ctx, dst.zk, dst.child(e.rel), false)
		}
		for i, e := range batch {
			a, err := old[i].wait(ctx, src.zk, false)
			if err == nil {
				var b Node
				b, err = copied[i].wait(ctx, dst.zk, false)
				if err == nil && (a.Stat.Czxid != seen[e.rel].Czxid || !bytes.Equal(a.Data, b.Data)) {
					err = fmt.Errorf("%s: %w", a.Path, ErrChanged)
				}
			}
			if errors.Is(err, gazoo.ErrNoNode) {
				err = fmt.Errorf("%w: %w", ErrChanged, err)
			}
			if err != nil {
				return err
			}
			j.step(Verified, src.child(e.rel))
		}
	}
	return nil
}

// moveAtOnce moves in one transaction.
func (j *job) moveAtOnce(ctx context.Context, src, dst place) error {
	entries, err := j.plan(ctx, src)
	if err != nil {
		return err
	}
	var nodes []Node
	for node, err := range j.source(ctx, src, entries) {
		if err == nil && j.acls {
			err = checkMasked(node)
		}
		if err != nil {
			return err
		}
		nodes = append(nodes, node)
	}
	if err := j.prepare(ctx, dst); err != nil {
		return err
	}
	if !j.dry {
		if err := j.commit(ctx, src, dst, nodes); err != nil {
			return err
		}
	}
	for _, node := range nodes {
		j.written(Created, item{Node: node, path: dst.child(node.Path)})
	}
	for _, node := range slices.Backward(nodes) {
		j.step(Deleted, src.child(node.Path))
	}
	return nil
}

// commit sends the transaction. One whose answer was lost is sent again: it cannot be applied twice, since the
// destination exists after the first time.
func (j *job) commit(ctx context.Context, src, dst place, nodes []Node) error {
	var lost error
	for tries := 0; ; tries++ {
		txn := src.zk.Txn()
		for _, node := range nodes {
			txn.Create(dst.child(node.Path), node.Data, j.kind(item{Node: node})...)
		}
		for _, node := range slices.Backward(nodes) {
			txn.Delete(src.child(node.Path), node.Stat.Version)
		}
		_, err := txn.Commit(ctx)
		switch {
		case err == nil:
			return nil
		case gazoo.MaybeApplied(err):
			lost = err
		case lost != nil && errors.Is(err, gazoo.ErrNodeExists):
			return j.settled(ctx, src, dst, nodes, lost)
		case errors.Is(err, gazoo.ErrNodeExists):
			return fmt.Errorf("%w: %w", ErrExists, err)
		case errors.Is(err, gazoo.ErrBadVersion), errors.Is(err, gazoo.ErrNotEmpty):
			return fmt.Errorf("%w: %w", ErrChanged, err)
		}
		if ctx.Err() != nil || !retry.Again(err) {
			if lost != nil && lost != err {
				return errors.Join(lost, err)
			}
			return err
		}
		if err := retry.Pause(ctx, tries); err != nil {
			return errors.Join(lost, err)
		}
	}
}

// together returns both places as one view of the client has them: a transaction belongs to one.
func together(src, dst place) (place, place, error) {
	if src.zk == dst.zk {
		return src, dst, nil
	}
	if sameClient(src.zk, dst.zk) {
		for _, zk := range []*gazoo.Client{src.zk, dst.zk} {
			if within(src.abs(), zk.Root()) && within(dst.abs(), zk.Root()) {
				return place{zk, zk.Unchroot(src.abs()), src.arg}, place{zk, zk.Unchroot(dst.abs()), dst.arg}, nil
			}
		}
	}
	return src, dst, &gazoo.ArgumentError{Arg: "Atomic", Reason: "no view of one client shows both places"}
}

// settled decides about a lost transaction: when the source has gone and the destination is there with all its data, it was
// applied.
func (j *job) settled(ctx context.Context, src, dst place, nodes []Node, lost error) error {
	err := j.retry(ctx, func() error {
		_, found, err := src.zk.Exists(ctx, src.path)
		if err == nil && found {
			return lost
		}
		return err
	})
	for _, node := range nodes {
		if err != nil {
			return err
		}
		var same bool
		if same, err = j.same(ctx, dst.zk, item{Node: node, path: dst.child(node.Path)}); err == nil && !same {
			err = lost
		}
	}
	return err
}
