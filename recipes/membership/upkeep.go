package membership

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/gazoo-zk/gazoo"
)

// run keeps the znode through one session after the other.
func (n *PersistentNode) run() {
	defer close(n.done)
	last := int64(0)
	for {
		s, err := awaitSession(n.ctx, n.zk)
		if err != nil {
			n.settle(func() { n.have, n.err = false, ended(n.zk, err) })
			return
		}
		if last != 0 && last != s.ID() && n.opts.jitter > 0 {
			if pause(n.ctx, rand.N(n.opts.jitter), nil) != nil {
				continue // awaitSession finds out why
			}
		}
		last = s.ID()
		n.serve(s)
	}
}

// ended says why an upkeep has ended: its own Close, or the client.
func ended(zk *gazoo.Client, err error) error {
	if cause := context.Cause(zk.Context()); cause != nil {
		return cause
	}
	if errors.Is(err, context.Canceled) {
		return ErrClosed
	}
	return err
}

// awaitSession waits for a session in which something can be held.
func awaitSession(ctx context.Context, zk *gazoo.Client) (*gazoo.Session, error) {
	sub := zk.SubscribeState()
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		// The tenancy's own context, not the clock: a late proof of life makes no change of state to wait for.
		if s := zk.Session(); s != nil && !s.ReadOnly() && s.Tenancy().Err() == nil {
			return s, nil
		}
		if _, err := sub.Next(ctx); err != nil {
			return nil, err
		}
	}
}

// serve keeps the znode in one tenancy.
func (n *PersistentNode) serve(s *gazoo.Session) {
	ctx, cancel := context.WithCancelCause(n.ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.Tenancy(), func() { cancel(context.Cause(s.Tenancy())) })()

	zk := n.zk.InSession(s)
	for ctx.Err() == nil {
		watch, err := n.step(ctx, zk, s)
		switch {
		case err != nil && ctx.Err() == nil:
			n.settle(func() { n.err = err })
			_ = pause(ctx, n.faults.next(), n.wake)
		case watch != nil:
			n.await(ctx, watch)
		}
	}
	if n.ctx.Err() == nil && n.opts.ephemeral() {
		n.settle(func() { n.have, n.err = false, context.Cause(ctx) })
	}
}

// await waits until there is a reason to look at the znode again.
func (n *PersistentNode) await(ctx context.Context, watch *gazoo.Watch) {
	defer watch.Close()
	var due <-chan time.Time
	if every := n.opts.touchEvery(); every > 0 {
		t := time.NewTimer(every - n.touched.age())
		defer t.Stop()
		due = t.C
	}
	select {
	case <-watch.Done():
	case <-n.wake:
	case <-due:
	case <-ctx.Done():
	}
}

// step looks at the znode and does the next thing that it needs. It returns a watch when nothing is left to do until
// something changes, and neither watch nor error when it wants to look again.
func (n *PersistentNode) step(ctx context.Context, zk *gazoo.Client, s *gazoo.Session) (*gazoo.Watch, error) {
	if n.path == "" && n.tried {
		// A sequential create whose answer was lost.
		found, err := n.find(ctx, zk, s.ID())
		if err != nil {
			return nil, err
		}
		if len(found) > 0 {
			n.path = found[0]
		}
	}
	if n.path == "" {
		return nil, n.create(ctx, zk, s)
	}
	data, stat, watch, err := zk.GetW(ctx, n.path)
	switch {
	case errors.Is(err, gazoo.ErrNoNode):
		n.settle(func() { n.have = false })
		return nil, n.create(ctx, zk, s)
	case err != nil:
		return nil, err
	}
	if !n.ours(stat, s.ID()) {
		return n.contest(ctx, zk, s, stat, watch)
	}
	want, revision := n.wanted()
	switch every := n.opts.touchEvery(); {
	case !bytes.Equal(data, want) && n.written != revision, every > 0 && n.touched.age() >= every:
		watch.Close()
		return nil, n.write(ctx, zk, stat.Version)
	case !bytes.Equal(data, want) && !n.opts.noRepair:
		watch.Close()
		if err := pause(ctx, n.fights.next(), n.wake); err != nil {
			return nil, err
		}
		return nil, n.write(ctx, zk, stat.Version)
	}
	n.written = revision
	n.note(stat, s, revision)
	return watch, nil
}

func (n *PersistentNode) wanted() ([]byte, uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.data, n.revision
}

// ours reports whether a znode is of the kind, and of the session, that is wanted.
func (n *PersistentNode) ours(stat gazoo.Stat, session int64) bool {
	if n.opts.ephemeral() {
		return stat.EphemeralOwner == session
	}
	return !stat.Ephemeral()
}

// note publishes that the znode is there.
func (n *PersistentNode) note(stat gazoo.Stat, s *gazoo.Session, revision uint64) {
	n.tried, n.tenancy = true, s
	n.faults.reset()
	n.settle(func() {
		if n.current.Czxid != stat.Czxid {
			n.current = Registration{Path: n.path, Czxid: stat.Czxid, Session: stat.EphemeralOwner, Count: n.current.Count + 1}
		}
		n.held, n.have, n.fresh, n.err = s, true, revision, nil
	})
}

// attempt notes, before a create is sent, what may come of it.
func (n *PersistentNode) attempt(s *gazoo.Session) {
	n.tried, n.tenancy = true, s
	if n.opts.ephemeral() {
		n.former[s.ID()] = true
	}
}

// create makes the znode. What became of a lost answer shows at the next look.
func (n *PersistentNode) create(ctx context.Context, zk *gazoo.Client, s *gazoo.Session) error {
	if err := pause(ctx, n.fights.next(), nil); err != nil {
		return err
	}
	named, path := n.path != "", n.path
	if !named {
		path = gazoo.JoinPath(n.dir, n.name)
	}
	want, revision := n.wanted()
	n.attempt(s)
	n.touched = touchNow()
	made, err := zk.Create(ctx, path, want, n.opts.create(named, true)...)
	switch {
	case err == nil:
		n.path, n.written = made, revision
	case errors.Is(err, gazoo.ErrNodeExists):
		// Somebody was faster, or a lost create of our own.
	default:
		return err
	}
	return nil
}

// contest deals with somebody else's znode.
func (n *PersistentNode) contest(ctx context.Context, zk *gazoo.Client, s *gazoo.Session, stat gazoo.Stat, watch *gazoo.Watch) (*gazoo.Watch, error) {
	if !n.former[stat.EphemeralOwner] && n.opts.foreign != ForeignReplace {
		n.settle(func() { n.have, n.err = false, foreignError(n.path, stat) })
		return watch, nil
	}
	watch.Close()
	n.settle(func() { n.have = false })
	if err := pause(ctx, n.fights.next(), nil); err != nil {
		return nil, err
	}
	want, revision := n.wanted()
	n.attempt(s)
	n.touched = touchNow()
	_, err := zk.Txn().Delete(n.path, stat.Version).Create(n.path, want, n.opts.create(true, false)...).Commit(ctx)
	switch {
	case err == nil:
		n.written = revision
	case errors.Is(err, gazoo.ErrNoNode), errors.Is(err, gazoo.ErrBadVersion):
		// It has changed or gone by itself.
	default:
		return nil, err
	}
	return nil, nil
}

func foreignError(path string, stat gazoo.Stat) error {
	if owner, ok := stat.OwnerSessionID(); ok {
		return fmt.Errorf("%s: %w: session 0x%x", path, ErrForeignOwner, uint64(owner))
	}
	return fmt.Errorf("%s: %w: it is not ephemeral", path, ErrForeignOwner)
}

// write sets the data, to the same value when it is only to be touched.
func (n *PersistentNode) write(ctx context.Context, zk *gazoo.Client, version int32) error {
	want, revision := n.wanted()
	n.touched = touchNow()
	_, err := zk.Set(ctx, n.path, want, version)
	switch {
	case err == nil:
		n.written = revision
	case errors.Is(err, gazoo.ErrBadVersion), errors.Is(err, gazoo.ErrNoNode):
		// The next look tells.
	default:
		return err
	}
	return nil
}

// find lists the znodes with this node's GUID, of the given session where they are ephemeral, the oldest first.
func (n *PersistentNode) find(ctx context.Context, zk *gazoo.Client, session int64) ([]string, error) {
	if err := zk.Sync(ctx, n.dir); err != nil {
		return nil, err
	}
	names, err := zk.Children(ctx, n.dir)
	if errors.Is(err, gazoo.ErrNoNode) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	type mine struct {
		path  string
		czxid int64
	}
	var found []mine
	for _, name := range names {
		if !strings.HasPrefix(name, n.guid) {
			continue
		}
		path := gazoo.JoinPath(n.dir, name)
		stat, exists, err := zk.Exists(ctx, path)
		if err != nil {
			return nil, err
		}
		if exists && n.ours(stat, session) {
			found = append(found, mine{path, stat.Czxid})
		}
	}
	slices.SortFunc(found, func(a, b mine) int { return int(min(max(a.czxid-b.czxid, -1), 1)) })
	paths := make([]string, len(found))
	for i, m := range found {
		paths[i] = m.path
	}
	return paths, nil
}

// touch is when a znode with a TTL was written last; the zero touch is long ago.
type touch struct{ at time.Time }

func touchNow() touch { return touch{time.Now()} }

func (t touch) age() time.Duration {
	if t.at.IsZero() {
		return time.Duration(1<<63 - 1)
	}
	return time.Since(t.at)
}

// pacer spaces what is done again and again: the first time is free, and the delay doubles while it goes on.
type pacer struct {
	last  time.Time
	delay time.Duration
}

const (
	paceFirst = 20 * time.Millisecond
	paceMost  = 5 * time.Second
	paceQuiet = 10 * time.Second // after which it begins anew
)

func (p *pacer) next() time.Duration {
	now := time.Now()
	if now.Sub(p.last) > paceQuiet {
		p.delay = 0
	}
	d := p.delay
	p.last = now.Add(d)
	p.delay = min(max(2*d, paceFirst), paceMost)
	return d
}

func (p *pacer) reset() { *p = pacer{} }

// pause waits for d, or until there is something in wake.
func pause(ctx context.Context, d time.Duration, wake <-chan struct{}) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-wake:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
