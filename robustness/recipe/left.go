package recipe

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// How long what is cleaned up in the background may take at the end, when there are no faults: that of a client which
// goes on, and that of sessions whose clients have died.
const (
	clearing = 15 * time.Second
	expiring = time.Minute
)

// goodbye is the end of a client that has let go of everything. While its session goes on it waits for what is deleted in
// the background, and notes what stays: nobody waits for that any more.
func goodbye(e *program.Env, zk *gazoo.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), clearing)
	defer cancel()
	for {
		names, err := zk.Ephemerals(ctx, "/")
		if err == nil && len(names) == 0 {
			break
		}
		if errors.Is(err, gazoo.ErrClosed) || !program.Sleep(ctx, 100*time.Millisecond) {
			if err == nil {
				e.Note("left", "", names)
			}
			break
		}
	}
	ctx, cancel = context.WithTimeout(context.Background(), clearing)
	defer cancel()
	zk.CloseContext(ctx)
}

// empty notes what is left in directories when all clients have gone, and their sessions with them.
func empty(ctx context.Context, e *program.Env, zk *gazoo.Client, dirs ...string) error {
	ctx, cancel := context.WithTimeout(ctx, expiring)
	defer cancel()
	for _, dir := range dirs {
		for {
			names, err := children(ctx, zk, dir)
			if err == nil && len(names) == 0 {
				break
			}
			if !program.Sleep(ctx, 100*time.Millisecond) {
				if err != nil {
					return err
				}
				e.Note("left", dir, names)
				break
			}
		}
	}
	return nil
}

// children lists a directory as it is; a missing one, such as a container that was deleted, has nothing.
func children(ctx context.Context, zk *gazoo.Client, dir string) ([]string, error) {
	if err := zk.Sync(ctx, dir); err != nil && !errors.Is(err, gazoo.ErrNoNode) {
		return nil, err
	}
	names, err := zk.Children(ctx, dir)
	if errors.Is(err, gazoo.ErrNoNode) {
		return nil, nil
	}
	slices.Sort(names)
	return names, err
}

// orphans finds what was left.
func orphans(ops []history.Op) (bad []program.Violation) {
	for i := range ops {
		if ops[i].Kind == "left" {
			bad = append(bad, program.Violated("nothing is left", "%v", ops[i]))
		}
	}
	return bad
}
