package election

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/contend"
	"github.com/gazoo-zk/gazoo/recipes/internal/owned"
)

var (
	// ErrHandedOver is behind the end of a leadership that was offered to another candidate.
	ErrHandedOver = errors.New("handed over")
	// ErrNoCandidate says that nobody of that identity is a candidate. The leadership goes on.
	ErrNoCandidate = errors.New("no such candidate")
	// ErrNotTaken says that the candidate has not taken the leadership, and the leader has resigned.
	ErrNotTaken = errors.New("hand-over not taken")
)

// grantPrefix marks a candidate's data as an offer; the name of the leader's znode follows, and behind a space the data
// as it was.
const grantPrefix = "__HANDOVER__"

// HandOver gives the leadership to the first candidate with an identity, and waits until it leads. This leadership ends
// at once, before anything is offered. When ctx ends before the candidate has taken it, or when it will not, the leader
// resigns, as if by [Leadership.Resign], and the next in line leads.
//
// Errors: [ErrNoCandidate], and the leadership goes on; [ErrNotTaken]; [ErrLost].
func (l *Leadership) HandOver(ctx context.Context, identity string) error {
	select {
	case l.handing <- struct{}{}:
		defer func() { <-l.handing }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := l.Err(); err != nil {
		return err
	}
	candidates, err := l.e.Candidates(ctx)
	if err != nil {
		return fmt.Errorf("hand over %s: %w", l.e.path, err)
	}
	i := slices.IndexFunc(candidates, func(c Candidate) bool {
		return c.Identity == identity && c.name != gazoo.BaseName(l.Path())
	})
	if i < 0 {
		return fmt.Errorf("hand over %s to %q: %w", l.e.path, identity, ErrNoCandidate)
	}
	l.Withdraw(ErrHandedOver)
	offered := l.offer(ctx, candidates[i])
	if offered == nil {
		offered = l.await(ctx)
	}
	if offered == nil {
		l.Settle()
		return nil
	}
	if err := l.Release(ctx); err != nil {
		offered = fmt.Errorf("%w; %w", offered, err)
	}
	return fmt.Errorf("hand over %s to %q: %w: %w", l.e.path, identity, ErrNotTaken, offered)
}

// offer marks the candidate's znode, while this one's is there.
func (l *Leadership) offer(ctx context.Context, c Candidate) error {
	mark := grantPrefix + gazoo.BaseName(l.Path()) + " " + c.Identity
	doubt := false
	for {
		_, err := l.Txn().Set(l.e.child(c.name), []byte(mark), gazoo.AnyVersion).Commit(ctx)
		switch {
		case owned.Passing(err) && ctx.Err() == nil:
			doubt = true // to mark it twice does no harm
		case doubt && errors.Is(err, gazoo.ErrNoNode):
			return nil // it may have been taken already: that is looked at next
		default:
			return err
		}
	}
}

// await waits until this leader's znode has been replaced.
func (l *Leadership) await(ctx context.Context) error {
	zk := l.entry.Client()
	for {
		_, found, watch, err := zk.ExistsW(ctx, l.Path())
		switch {
		case err == nil && !found:
			return l.taken(ctx)
		case err == nil:
			_, err = watch.Wait(ctx)
			watch.Close()
		}
		if err != nil && (ctx.Err() != nil || !owned.Passing(err)) {
			return err
		}
	}
}

// taken tells whether somebody stands at this leader's place: its znode may have gone for another reason.
func (l *Leadership) taken(ctx context.Context) error {
	list, err := l.entry.List(ctx)
	if err != nil {
		return err
	}
	for _, c := range list {
		if c.Seq == l.entry.Seq {
			return nil
		}
	}
	return errors.New("the znode has gone")
}

// granted is what a waiting candidate makes of its data: see [Leadership.HandOver].
func (e *Election) granted(ctx context.Context, entry *contend.Entry, data []byte) (bool, error) {
	mark, ok := strings.CutPrefix(string(data), grantPrefix)
	if !ok {
		return false, nil
	}
	leader, _, _ := strings.Cut(mark, " ")
	was, ok := e.cfg.reader.Parse(leader)
	if ok {
		taken, err := e.take(ctx, entry, was)
		if taken || err != nil {
			return taken, err
		}
	}
	// The leader has gone meanwhile: back into the queue, under the old name.
	_, err := entry.Client().Set(ctx, entry.Path, []byte(e.cfg.identity), gazoo.AnyVersion)
	if errors.Is(err, gazoo.ErrNoNode) || owned.Passing(err) {
		err = nil // the next look tells
	}
	return false, err
}

// take replaces the leader's znode and this candidate's by one at the leader's place.
func (e *Election) take(ctx context.Context, entry *contend.Entry, leader contend.Contender) (bool, error) {
	zk, id := entry.Client(), owned.NewGUID()
	path := e.child(e.cfg.style.NameAt(leader, id, entry.Session.ID(), contend.Exclusive))
	opts := []gazoo.CreateOption{gazoo.Ephemeral()}
	if e.cfg.acl != nil {
		opts = append(opts, gazoo.WithACL(e.cfg.acl...))
	}
	doubt := false // whether a try may have been applied
	for {
		_, err := zk.Txn().
			Delete(e.child(leader.Name), gazoo.AnyVersion).
			Delete(entry.Path, gazoo.AnyVersion).
			Create(path, []byte(e.cfg.identity), opts...).
			Commit(ctx)
		refused := errors.Is(err, gazoo.ErrNoNode) // one of the two has gone: by others, or by a try in doubt
		switch {
		case gazoo.MaybeApplied(err):
			doubt = true
		case refused && !doubt:
			return false, nil
		case err != nil && !refused && !owned.Passing(err):
			return false, err
		}
		// The stat of a create in a transaction does not come from every server; and the answer may be lost.
		stat, found, looked := zk.Exists(ctx, path)
		switch {
		case looked == nil && found && stat.EphemeralOwner == entry.Session.ID():
			entry.Replace(path, id, stat.Czxid)
			return true, nil
		case looked == nil && (err == nil || refused):
			return false, nil // made and deleted by others since, or never made
		case looked != nil && (ctx.Err() != nil || !owned.Passing(looked)):
			discard := owned.Node{Path: path, GUID: id, Session: entry.Session}
			discard.Discard(e.zk)
			return false, looked
		}
	}
}

func (e *Election) child(name string) string {
	if e.path == "/" {
		return "/" + name
	}
	return e.path + "/" + name
}
