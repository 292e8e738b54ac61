package tree

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
)

// Delete deletes a subtree, children first, whatever versions they have. It is not atomic: see the package comment.
// Znodes that others delete meanwhile are no error, and those that others create meanwhile are deleted too, as long as
// they come slower than they go.
//
// Options: [KeepRoot], [Ephemerals], [DryRun], [WithProgress]. With [SkipEphemerals], ephemerals stay, and whatever is
// above them.
//
// Errors: [gazoo.ErrBadArguments] also for the root of all and /zookeeper, [gazoo.ErrNoNode], [ErrEphemeral],
// [gazoo.ErrNoAuth].
func Delete(ctx context.Context, zk *gazoo.Client, path string, opts ...Option) (Result, error) {
	p := place{zk, path, "path"}
	c, err := configure("delete", config{ephemerals: IncludeEphemerals}, opts, "KeepRoot Ephemerals DryRun WithProgress", p)
	if err == nil && !c.keepRoot && (path == "/" || p.abs() == "/zookeeper") {
		err = fmt.Errorf("delete %s: %w", path, &gazoo.ArgumentError{Arg: "path", Reason: "it cannot be deleted"})
	}
	if err != nil {
		return Result{}, err
	}
	j := &job{config: c}
	if err := j.delete(ctx, p); err != nil {
		return j.result, fmt.Errorf("delete %s: %w", path, err)
	}
	return j.result, nil
}

func (j *job) delete(ctx context.Context, p place) error {
	skipped := map[string]bool{}
	for round := 0; ; round++ {
		entries, err := plan(ctx, p)
		if round > 0 && errors.Is(err, gazoo.ErrNoNode) {
			return nil // what came meanwhile has gone as well
		}
		if err != nil {
			return err
		}
		doomed, err := j.doomed(p, entries, skipped)
		if err != nil {
			return err
		}
		if round == 0 {
			j.total = len(doomed)
		}
		if j.dry {
			for _, e := range doomed {
				j.step(Deleted, p.child(e.rel))
			}
			return nil
		}
		refilled := false
		for batch := range slices.Chunk(doomed, ahead) {
			full, err := j.remove(ctx, p, batch, func(entry) int32 { return gazoo.AnyVersion })
			if err != nil {
				return err
			}
			refilled = refilled || full
		}
		if !refilled {
			return nil
		}
	}
}

// doomed returns what of a plan is to be deleted, children first.
func (j *job) doomed(p place, entries []entry, skipped map[string]bool) ([]entry, error) {
	spared := map[string]bool{} // paths with something below that stays
	var doomed []entry
	for _, e := range slices.Backward(entries) {
		switch {
		case e.stat.Ephemeral() && j.ephemerals == RefuseEphemerals:
			return nil, fmt.Errorf("%s: %w", p.child(e.rel), ErrEphemeral)
		case e.stat.Ephemeral() && j.ephemerals == SkipEphemerals:
			if !skipped[e.rel] {
				skipped[e.rel] = true
				j.step(Skipped, p.child(e.rel))
			}
			spared[parent(e.rel)] = true
		case spared[e.rel]:
			spared[parent(e.rel)] = true
		case e.rel == "" && j.keepRoot:
		default:
			doomed = append(doomed, e)
		}
	}
	return doomed, nil
}

// parent returns the relative path above one, "" for the root.
func parent(rel string) string {
	if p := gazoo.ParentPath(rel); p != "/" {
		return p
	}
	return ""
}

// remove deletes a batch, pipelined, and reports whether one of them had children that the plan does not know.
func (j *job) remove(ctx context.Context, p place, batch []entry, version func(entry) int32) (full bool, err error) {
	doubt := map[string]bool{} // deletes that may have been applied
	for lost := 0; len(batch) > 0; lost++ {
		gone := make([]gazoo.Future[struct{}], len(batch))
		for i, e := range batch {
			gone[i] = p.zk.Async().Delete(ctx, p.child(e.rel), version(e))
		}
		var left []entry
		var last, fatal error
		for i, e := range batch {
			_, err := gone[i].Wait(ctx)
			switch {
			case err == nil, errors.Is(err, gazoo.ErrNoNode) && doubt[e.rel]:
				j.step(Deleted, p.child(e.rel))
			case errors.Is(err, gazoo.ErrNoNode): // by others
			case errors.Is(err, gazoo.ErrNotEmpty) && len(left) > 0: // perhaps because of what is left
				left = append(left, e)
			case errors.Is(err, gazoo.ErrNotEmpty):
				full = true
			case ctx.Err() == nil && retry.Again(err):
				doubt[e.rel] = doubt[e.rel] || gazoo.MaybeApplied(err)
				left, last = append(left, e), err
			case fatal == nil: // what is under way is waited for, so that nothing is deleted behind the return
				fatal = err
			}
		}
		if fatal != nil {
			return full, fatal
		}
		batch = left
		if last != nil {
			if err := retry.Pause(ctx, lost); err != nil {
				return full, errors.Join(last, err)
			}
		}
	}
	return full, nil
}
