package barrier

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/owned"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
	"github.com/gazoo-zk/gazoo/recipes/tenure"
)

// ErrLost says that a member is not inside any more, though it has not left: its session is over, or somebody has
// deleted its znode.
var ErrLost = tenure.ErrLost

const ready = "ready"

// Double is a barrier that opens when a number of members have come. Safe for concurrent use: every Enter makes a member
// of its own. It needs no close.
type Double struct {
	zk         *gazoo.Client
	path       string
	n          int
	identifier []byte
}

// DoubleOption changes a double barrier.
type DoubleOption func(*Double)

// WithIdentifier is the data of the members' znodes, for people to look at (default HOST-PID).
func WithIdentifier(id string) DoubleOption {
	return func(d *Double) { d.identifier = []byte(id) }
}

// NewDouble makes the double barrier of a path for n members. Nothing is sent.
//
// Errors: [gazoo.ErrBadArguments].
func NewDouble(zk *gazoo.Client, path string, n int, opts ...DoubleOption) (*Double, error) {
	d := &Double{zk: zk, path: path, n: n}
	for _, opt := range opts {
		opt(d)
	}
	err := validate(zk, path)
	if n < 1 {
		err = errors.Join(err, &gazoo.ArgumentError{Arg: "n", Reason: "is not the number of at least one member"})
	}
	if err != nil {
		return nil, fmt.Errorf("new double barrier: %w", err)
	}
	if d.identifier == nil {
		host, err := os.Hostname()
		if err != nil {
			host = "unknown"
		}
		d.identifier = fmt.Appendf(nil, "%s-%d", host, os.Getpid())
	}
	return d, nil
}

// Member is one that is inside a double barrier. Its context ends when it is not inside any more.
type Member struct {
	*tenure.Tenure
	d *Double
}

// Enter waits until as many members have come as the barrier is for. A session that ends meanwhile is replaced by the
// next one.
//
// Errors: the context's, and the member is gone then; [gazoo.ErrNoAuth], [gazoo.ErrClosed].
func (d *Double) Enter(ctx context.Context) (*Member, error) {
	for {
		s, err := owned.Session(ctx, d.zk)
		if err != nil {
			return nil, fmt.Errorf("enter %s: %w", d.path, err)
		}
		m, err := d.enter(ctx, s)
		if err == nil {
			return m, nil
		}
		if ctx.Err() != nil || !gazoo.SessionLost(err) && s.Err() == nil && !errors.Is(err, errVanished) {
			return nil, fmt.Errorf("enter %s: %w", d.path, err)
		}
	}
}

// errVanished says that somebody has deleted a member's znode while it waited.
var errVanished = errors.New("member deleted by others")

func (d *Double) enter(ctx context.Context, s *gazoo.Session) (*Member, error) {
	node, err := owned.Create(ctx, d.zk, s, owned.Spec{
		Parent: d.path, Name: owned.GUID.Hex, Data: d.identifier,
	})
	if err != nil {
		return nil, err
	}
	zk := d.zk.InSession(s)
	for err = d.await(ctx, zk, node); retry.Passing(err) && ctx.Err() == nil; {
		err = d.await(ctx, zk, node)
	}
	if err == nil {
		var m Member
		if m.Tenure, err = tenure.Begin(ctx, d.zk, s, node.Path, node.Czxid); err == nil {
			m.d = d
			return &m, nil
		}
	}
	node.Discard(d.zk)
	return nil, err
}

// await waits for the barrier to open, and opens it when this member is the last that is needed.
func (d *Double) await(ctx context.Context, zk *gazoo.Client, node owned.Node) error {
	for {
		if opened, err := d.look(ctx, zk, node); opened || err != nil {
			return err
		}
	}
}

// look decides whether the barrier is open, or waits until there is reason to look again.
func (d *Double) look(ctx context.Context, zk *gazoo.Client, node owned.Node) (opened bool, err error) {
	// The watches come first: whoever makes the number full after the list makes ready as well.
	stat, open, opening, err := zk.ExistsW(ctx, gazoo.JoinPath(d.path, ready))
	if err != nil {
		return false, err
	}
	defer opening.Close()
	_, alive, death, err := zk.ExistsW(ctx, node.Path)
	if err != nil {
		return false, err
	}
	defer death.Close()
	members, err := d.members(ctx, zk)
	if err != nil {
		return false, err
	}
	valid := false
	if open && alive {
		if valid, err = d.valid(ctx, zk, stat, node, members); err != nil {
			return false, err
		}
	}
	switch {
	case !alive:
		return false, errVanished
	case valid:
		return true, nil
	case open && len(members) == 1 && d.n > 1:
		// Nobody is inside: those who opened it have died. One that was written since has another version.
		err := zk.DeleteIfExists(ctx, gazoo.JoinPath(d.path, ready), stat.Version)
		if errors.Is(err, gazoo.ErrBadVersion) {
			err = nil
		}
		return false, err
	case len(members) >= d.n:
		return d.open(ctx, zk, open)
	}
	select {
	case <-opening.Done():
		// It has opened, though a member of Kazoo's that leaves at once may have deleted ready again.
		ev, err := opening.Result()
		return ev.Type == gazoo.EventCreated || ev.Type == gazoo.EventDataChanged, err
	case <-death.Done():
		_, err := death.Result()
		return false, err
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// valid reports whether ready was written for those who are here: behind the coming of this member, or of another one that
// is still inside. One that is older than all members was left by the dead.
func (d *Double) valid(ctx context.Context, zk *gazoo.Client, stat gazoo.Stat, node owned.Node, members []string) (bool, error) {
	if stat.Mzxid > node.Czxid {
		return true, nil
	}
	looks := make([]gazoo.Future[gazoo.Presence], len(members))
	for i, name := range members {
		looks[i] = zk.Async().Exists(ctx, gazoo.JoinPath(d.path, name))
	}
	for _, look := range looks {
		other, err := look.Wait(ctx)
		if err != nil {
			return false, err
		}
		if other.Exists && other.Stat.Czxid < stat.Mzxid {
			return true, nil
		}
	}
	return false, nil
}

// open makes ready, or writes it anew where the dead have left one.
func (d *Double) open(ctx context.Context, zk *gazoo.Client, exists bool) (bool, error) {
	if exists {
		_, err := zk.Set(ctx, gazoo.JoinPath(d.path, ready), nil, gazoo.AnyVersion)
		if errors.Is(err, gazoo.ErrNoNode) {
			return false, nil // another one has removed it: look again
		}
		return err == nil, err
	}
	_, err := zk.EnsurePath(ctx, gazoo.JoinPath(d.path, ready))
	return err == nil, err
}

// members returns the names of those inside or about to enter, in order.
func (d *Double) members(ctx context.Context, zk *gazoo.Client) ([]string, error) {
	names, err := zk.Children(ctx, d.path)
	if errors.Is(err, gazoo.ErrNoNode) {
		return nil, nil
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name == ready })
	slices.Sort(names)
	return names, err
}

// Leave waits until all members have left that were inside before it was called, and those that came meanwhile. When
// ctx ends before that, this one has left all the same. It may be called again, to go on waiting.
//
// Errors: [ErrLost] when this member had been lost before, also behind a wait that succeeded; the context's.
func (m *Member) Leave(ctx context.Context) error {
	lost := m.Err()
	if errors.Is(lost, tenure.ErrReleased) {
		lost = nil
	}
	for {
		err := m.leave(ctx)
		switch {
		case err == nil && lost == nil:
			return nil
		case err == nil:
			return fmt.Errorf("leave %s: %w", m.d.path, lost)
		case ctx.Err() == nil && (retry.Passing(err) || gazoo.SessionLost(err)):
			// What others do is seen by the next connection, in whatever session.
		default:
			m.Release(ctx)
			return fmt.Errorf("leave %s: %w", m.d.path, err)
		}
	}
}

// leave keeps to the order of the recipe: the lowest waits for the highest, all others go and wait for the lowest, so
// that each departure wakes one or, at the end, all. The last takes ready along: one that is still about to enter must
// find it, or nobody would ever leave.
func (m *Member) leave(ctx context.Context) error {
	zk, d, self := m.d.zk, m.d, gazoo.BaseName(m.Path())
	// A server that is behind may not have heard of all who are inside.
	if err := zk.Sync(ctx, d.path); err != nil {
		return err
	}
	for {
		members, err := d.members(ctx, zk)
		if err != nil {
			return err
		}
		lost := m.Err() != nil
		if lost {
			members = slices.DeleteFunc(members, func(name string) bool { return name == self })
		}
		switch {
		case len(members) == 0:
			return m.free(ctx)
		case len(members) == 1 && members[0] == self:
			if err := zk.DeleteIfExists(ctx, gazoo.JoinPath(d.path, ready), gazoo.AnyVersion); err != nil {
				return err
			}
			return m.free(ctx)
		case members[0] == self:
			err = d.gone(ctx, zk, members[len(members)-1])
		case lost:
			err = d.gone(ctx, zk, members[0])
		default:
			err = m.free(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// free deletes this member's znode; one that was lost has gone, or goes in the background.
func (m *Member) free(ctx context.Context) error {
	if err := m.Release(ctx); err != nil && !errors.Is(err, ErrLost) {
		return err
	}
	return nil
}

// gone waits until a member has left.
func (d *Double) gone(ctx context.Context, zk *gazoo.Client, name string) error {
	_, found, watch, err := zk.ExistsW(ctx, gazoo.JoinPath(d.path, name))
	if err != nil {
		return err
	}
	defer watch.Close()
	if !found {
		return nil
	}
	_, err = watch.Wait(ctx)
	return err
}
