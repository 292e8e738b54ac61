package lock

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/contend"
	"github.com/gazoo-zk/gazoo/recipes/internal/owned"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
)

// acquire takes n permits.
func (s *Semaphore) acquire(ctx context.Context, n int, try bool) ([]*Held, error) {
	if n < 1 || !s.shared && n > s.size {
		err := &gazoo.ArgumentError{Arg: "permits", Reason: fmt.Sprintf("%d of %d", n, s.size)}
		return nil, fmt.Errorf("semaphore %s: %w", s.Path(), err)
	}
	for {
		permits, err := s.turn(ctx, n, try)
		if err == nil {
			return permits, nil
		}
		over := gazoo.SessionLost(err) || errors.Is(err, ErrLost)
		again := over && !s.guard.cfg.once || errors.Is(err, errOwnGone)
		if !again || ctx.Err() != nil || s.guard.zk.Context().Err() != nil {
			return nil, fmt.Errorf("semaphore %s: %w", s.Path(), retry.Canceled(ctx, err))
		}
	}
}

// turn takes the guard, and the permits in exchange for it.
func (s *Semaphore) turn(ctx context.Context, n int, try bool) ([]*Held, error) {
	// The guard's directory must not come first: it may make the znode of the size, without one, and as a container.
	if !s.established.Load() {
		for {
			_, err := s.limit(ctx, s.permit.zk, false)
			if err == nil {
				break
			}
			if ctx.Err() != nil || !retry.Passing(err) {
				return nil, err
			}
		}
		s.established.Store(true)
	}
	guard, err := s.guard.queue().Acquire(ctx, try)
	if err != nil {
		return nil, err
	}
	nodes, err := s.take(ctx, guard, n, try)
	if err != nil {
		// A try that follows must not find this one's own guard.
		if !try || guard.Client().DeleteIfExists(ctx, guard.Path, gazoo.AnyVersion) != nil {
			guard.Leave()
		}
		return nil, err
	}
	var permits []*Held
	for i := range nodes {
		held, err := s.permit.begin(ctx, &nodes[i], nodes[i].Czxid)
		if err != nil {
			for i := range nodes {
				nodes[i].Discard(s.permit.zk)
			}
			return nil, err
		}
		permits = append(permits, held)
	}
	return permits, nil
}

// take waits until there are n permits, and takes them. Only the holder of the guard adds permits, so what it has counted
// can only become less.
func (s *Semaphore) take(ctx context.Context, guard *contend.Entry, n int, try bool) ([]owned.Node, error) {
	zk := guard.Client()
	want := s.newPermits(guard, n)
	watch := false // only one that has to wait watches
	for {
		nodes, wait, err := s.look(ctx, zk, want, watch)
		switch {
		case err == nil && nodes != nil:
			return nodes, nil
		case err == nil && wait == changed:
		case err == nil && try:
			return nil, ErrBusy
		case err == nil && !watch:
			watch = true
		case err == nil:
			err = wait.wait(ctx)
		}
		if err != nil && (ctx.Err() != nil || !retry.Passing(err)) {
			return nil, err
		}
	}
}

// look counts, and takes the permits when there are enough; otherwise, with watch, it returns what to wait for. Neither
// says that something has changed meanwhile.
func (s *Semaphore) look(ctx context.Context, zk *gazoo.Client, want *newPermits, watch bool) ([]owned.Node, *change, error) {
	size, err := s.limit(ctx, zk, watch)
	if err != nil {
		return nil, nil, err
	}
	c := &change{watches: []*gazoo.Watch{size.watch}}
	var names []string
	if watch {
		var w *gazoo.Watch
		names, _, w, err = zk.ChildrenW(ctx, s.leases)
		c.watches = append(c.watches, w)
	} else {
		names, err = zk.Children(ctx, s.leases)
	}
	if errors.Is(err, gazoo.ErrNoNode) {
		err = owned.EnsureParent(ctx, zk, s.leases, true, s.permit.cfg.acl)
	}
	if err == nil && len(names)+len(want.ids) > size.n {
		return nil, c, nil
	}
	c.close()
	if err != nil {
		return nil, nil, err
	}
	nodes, err := want.commit(ctx, size)
	if failed, ok := errors.AsType[*gazoo.TxnError](err); ok && (failed.Code == gazoo.ErrBadVersion || failed.Code == gazoo.ErrNoNode) {
		return nil, changed, nil // the size, or a directory
	}
	return nodes, nil, err
}

// change is what to wait for: any of some watches.
type change struct{ watches []*gazoo.Watch }

// changed is a change that has happened.
var changed = &change{}

// wait waits for it.
func (c *change) wait(ctx context.Context) error {
	defer c.close()
	var done [2]<-chan struct{}
	for i, w := range c.watches {
		if w != nil {
			done[i] = w.Done()
		}
	}
	select {
	case <-done[0]:
	case <-done[1]:
	case <-ctx.Done():
		return ctx.Err()
	}
	for _, w := range c.watches {
		if w != nil {
			if _, err := w.Result(); gazoo.SessionLost(err) || errors.Is(err, gazoo.ErrClosed) {
				return err
			}
		}
	}
	return nil
}

func (c *change) close() {
	for _, w := range c.watches {
		if w != nil {
			w.Close()
		}
	}
}

// newPermits are permits to be made in exchange for the guard.
type newPermits struct {
	s     *Semaphore
	guard *contend.Entry
	ids   []owned.GUID
	paths []string // without the number that Curator's have
}

func (s *Semaphore) newPermits(guard *contend.Entry, n int) *newPermits {
	p := &newPermits{s: s, guard: guard}
	for range n {
		id := owned.NewGUID()
		name := id.Hex()
		if s.curator() {
			name = contend.CuratorLease.Make(id, 0, contend.Exclusive)
		}
		p.ids = append(p.ids, id)
		p.paths = append(p.paths, gazoo.JoinPath(s.leases, name))
	}
	return p
}

func (s *Semaphore) curator() bool { return s.permit.cfg.style.Name == Curator.Name }

// commit makes the permits, provided that the guard is still there and the size is what it was.
func (p *newPermits) commit(ctx context.Context, size limit) ([]owned.Node, error) {
	s, zk := p.s, p.guard.Client()
	opts := []gazoo.CreateOption{gazoo.Ephemeral()}
	if s.curator() {
		opts = append(opts, gazoo.Sequential())
	}
	if acl := s.permit.cfg.acl; acl != nil {
		opts = append(opts, gazoo.WithACL(acl...))
	}
	var found []owned.Node
	before := 2 // operations in front of the creates
	if size.counts {
		before++
	}
	results, maybe, err := once{
		zk: zk, own: p.guard.Path,
		build: func() *gazoo.Txn {
			// The set is for its result: it tells the zxid, as the creates do not on every server (ZOOKEEPER-4026).
			txn := zk.Txn().Set(p.guard.Path, nil, gazoo.AnyVersion).Delete(p.guard.Path, gazoo.AnyVersion)
			if size.counts {
				txn.Check(s.sizeAt, size.version)
			}
			for _, path := range p.paths {
				txn.Create(path, s.permit.cfg.data, opts...)
			}
			return txn
		},
		made: func(ctx context.Context) (bool, error) {
			var err error
			found, err = p.find(ctx, zk)
			return len(found) == len(p.ids), err
		},
	}.commit(ctx)
	if maybe {
		p.forget()
	}
	if err != nil || results == nil {
		return found, err
	}
	for i, r := range results[before:] {
		found = append(found, p.node(p.ids[i], r.Path, results[0].Stat.Mzxid))
	}
	return found, nil
}

func (p *newPermits) node(id owned.GUID, path string, czxid int64) owned.Node {
	return owned.Node{Path: path, GUID: id, Czxid: czxid, Session: p.guard.Session}
}

// find looks for the permits.
func (p *newPermits) find(ctx context.Context, zk *gazoo.Client) (nodes []owned.Node, err error) {
	names, err := zk.Children(ctx, p.s.leases)
	if err != nil && !errors.Is(err, gazoo.ErrNoNode) {
		return nil, err
	}
	for _, id := range p.ids {
		i := slices.IndexFunc(names, id.In)
		if i < 0 {
			continue
		}
		path := gazoo.JoinPath(p.s.leases, names[i])
		stat, there, err := zk.Exists(ctx, path)
		if err != nil {
			return nil, err
		}
		if there && stat.EphemeralOwner == p.guard.Session.ID() {
			nodes = append(nodes, p.node(id, path, stat.Czxid))
		}
	}
	return nodes, nil
}

// forget deletes, in the background, whatever was made.
func (p *newPermits) forget() {
	p.s.permit.zk.Cleanup(p.guard.Session, func(ctx context.Context, zk *gazoo.Client) error {
		// Once the guard has gone the transaction cannot be applied any more.
		if err := zk.DeleteIfExists(ctx, p.guard.Path, gazoo.AnyVersion); err != nil {
			return err
		}
		if err := zk.Sync(ctx, p.s.leases); err != nil {
			return err
		}
		nodes, err := p.find(ctx, zk)
		for _, node := range nodes {
			if err := zk.DeleteIfExists(ctx, node.Path, gazoo.AnyVersion); err != nil {
				return err
			}
		}
		return err
	})
}
