package election

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
)

var (
	// ErrHandedOver is behind the end of a leadership that was offered to another candidate.
	ErrHandedOver = errors.New("handed over")
	// ErrNoCandidate says that there is no such candidate beside the leader. The leadership goes on.
	ErrNoCandidate = errors.New("no such candidate")
	// ErrNotTaken says that the candidate has not taken the leadership, and the leader has resigned.
	ErrNotTaken = errors.New("hand-over not taken")
)

// What is behind an ErrNotTaken.
var (
	errHeirLeft = errors.New("the candidate has left")
	errRefused  = errors.New("the candidate has refused")
	errDeleted  = errors.New("the leader's znode was deleted by others")
)

// HandOver gives the leadership to the candidate with an identity, and waits until that has it. Of several, which a
// program leaves behind that was just restarted, it is the one that came last. See [Leadership.HandOverTo] for the rest.
func (l *Leadership) HandOver(ctx context.Context, identity string) error {
	return l.handOver(ctx, identity, func(ctx context.Context) (Candidate, bool, error) {
		candidates, err := l.e.Candidates(ctx)
		for _, c := range slices.Backward(candidates) {
			if c.Identity == identity && c.Path != l.Path() {
				return c, true, nil
			}
		}
		return Candidate{}, false, err
	})
}

// HandOverTo gives the leadership to a candidate, whatever its place in line, and waits until that has it. This
// leadership ends at once, before anything is offered, with [ErrHandedOver] in its cause. When the candidate does not
// take it, before ctx ends and within the session time-out, the leader resigns, as if by [Leadership.Resign], and the next
// in line leads. Whoever is given it by priority: choose among [Election.Candidates].
//
// Errors: [ErrNoCandidate], and the leadership goes on, as it does when ctx ends before anything was done; [ErrNotTaken];
// [ErrLost] and [ErrReleased] when there was nothing to hand over.
func (l *Leadership) HandOverTo(ctx context.Context, c Candidate) error {
	return l.handOver(ctx, c.Identity, func(ctx context.Context) (Candidate, bool, error) {
		dir, _ := gazoo.SplitPath(c.Path)
		if dir != l.e.path || c.Path == l.Path() {
			return c, false, nil
		}
		stat, found, err := l.entry.Client().Exists(ctx, c.Path)
		return c, found && stat.Czxid == c.Czxid, err
	})
}

func (l *Leadership) handOver(ctx context.Context, identity string, find func(context.Context) (Candidate, bool, error)) error {
	failed := func(err error) error { return fmt.Errorf("hand over %s to %q: %w", l.e.path, identity, err) }
	if err := l.turn(ctx); err != nil {
		return failed(err)
	}
	defer func() { <-l.busy }()
	if err := l.Err(); err != nil {
		return failed(err)
	}
	heir, found, err := find(ctx)
	if err == nil && !found {
		err = ErrNoCandidate
	}
	if err != nil {
		return failed(err)
	}
	if err := l.Err(); err != nil {
		return failed(err)
	}
	l.Withdraw(ErrHandedOver)
	// Nobody leads meanwhile, so it must not take longer than the death of a leader would.
	waiting, cancel := context.WithTimeout(ctx, l.Session().Timeout())
	defer cancel()
	err = l.offer(waiting, heir)
	if err == nil {
		err = l.await(waiting, heir)
	}
	if err == nil {
		l.Settle()
		return nil
	}
	err = fmt.Errorf("%w: %w", ErrNotTaken, retry.Canceled(waiting, err))
	if resigned := l.Tenure.Release(ctx); resigned != nil {
		err = fmt.Errorf("%w; %w", err, resigned)
	}
	return failed(err)
}

// turn waits until nothing else gives this leadership up; who has the turn empties l.busy in the end.
func (l *Leadership) turn(ctx context.Context) error {
	select {
	case l.busy <- struct{}{}:
		return nil
	default:
	}
	select {
	case l.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("a hand-over is under way: %w", context.Cause(ctx))
	}
}

// offer marks the candidate's znode, while this one's is there.
func (l *Leadership) offer(ctx context.Context, heir Candidate) error {
	doubt := false
	for {
		_, err := l.Txn().Set(heir.Path, l.mark(heir), gazoo.AnyVersion).Commit(ctx)
		switch {
		case retry.Passing(err) && ctx.Err() == nil:
			doubt = true // to mark it twice does no harm
		case doubt && errors.Is(err, gazoo.ErrNoNode):
			return nil // it may have been taken already: that is looked at next
		default:
			return err
		}
	}
}

func (l *Leadership) mark(heir Candidate) []byte {
	return grant{gazoo.BaseName(l.Path()), heir.Identity}.bytes()
}

// await waits until the heir has replaced this leader's znode.
func (l *Leadership) await(ctx context.Context, heir Candidate) error {
	for {
		done, err := l.look(ctx, heir)
		if done || err != nil && (ctx.Err() != nil || !retry.Passing(err)) {
			return err
		}
	}
}

// look reports whether it is known what has become of the offer, or waits until something happens to one of the znodes.
func (l *Leadership) look(ctx context.Context, heir Candidate) (done bool, err error) {
	zk := l.entry.Client()
	// The heir's znode first. It goes together with this one, so when this one is still there behind it the heir has left.
	data, _, heirs, err := zk.GetW(ctx, heir.Path)
	left := errors.Is(err, gazoo.ErrNoNode)
	if err != nil && !left {
		return false, err
	}
	if !left {
		defer heirs.Close()
	}
	_, stands, own, err := zk.ExistsW(ctx, l.Path())
	if err != nil {
		return false, err
	}
	defer own.Close()
	switch {
	case !stands:
		_, waits, err := zk.Exists(ctx, heir.Path)
		if err == nil && waits {
			err = errDeleted
		}
		return err == nil || waits, err
	case left:
		return true, errHeirLeft
	case string(data) != string(l.mark(heir)):
		return true, errRefused
	}
	select {
	case <-own.Done():
		_, err = own.Result()
	case <-heirs.Done():
		_, err = heirs.Result()
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if gazoo.SessionLost(err) || ctx.Err() != nil {
		return false, err
	}
	return false, nil
}
