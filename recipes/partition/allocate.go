package partition

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/lock"
)

// releaseTime bounds how long a release of locks, and the leaving of the party, wait for servers.
const releaseTime = 5 * time.Second

// view is the party as it was seen at one moment.
type view struct {
	members []string
	since   time.Time
	ctx     context.Context // ends when there is a newer one
	replace context.CancelFunc
}

// share is what this member holds.
type share struct {
	items []string
	locks []*lock.Held
	ctx   context.Context // ends when it has to be given up
	end   context.CancelCauseFunc
	given context.Context // ends when its program has given it up
	give  context.CancelFunc
	gone  chan struct{} // closed when the locks are released
}

func (s *share) giveUp() {
	s.end(ErrReleased)
	s.give()
}

// run takes one share after another.
func (p *Partitioner) run() {
	defer close(p.done)
	var watching sync.WaitGroup
	defer watching.Wait()
	context.AfterFunc(p.ctx, p.leave)

	err := p.party.Join(p.ctx)
	if err == nil {
		watching.Go(p.follow)
		if p.running == nil {
			if s := p.zk.Session(); s == nil {
				p.end(gazoo.ErrSessionExpired)
			} else {
				defer context.AfterFunc(s.Tenancy(), func() { p.end(context.Cause(s.Tenancy())) })()
			}
		}
		for err == nil {
			err = p.round()
		}
	}
	if p.ctx.Err() != nil {
		err = context.Cause(p.ctx)
	}
	p.fail(err)
	<-p.left
	p.quit() // a Join that succeeded behind that
}

// leave leaves the party as soon as the partitioner ends, before any lock is released: otherwise the others would take
// the items under their present view, and give them up again.
func (p *Partitioner) leave() {
	defer close(p.left)
	p.quit()
}

func (p *Partitioner) quit() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), releaseTime)
	defer cancel()
	_, _ = p.party.Leave(ctx) // what is not done by then goes on in the background
}

// fail enters the last state, once.
func (p *Partitioner) fail(err error) {
	p.end(err)
	if p.Status().State != StateFailed {
		p.become(StateFailed, nil, err)
	}
}

// follow keeps the view of the party.
func (p *Partitioner) follow() {
	for members, err := range p.party.Watch(p.ctx) {
		if err != nil {
			p.end(err)
			return
		}
		v := &view{members: members, since: time.Now()}
		v.ctx, v.replace = context.WithCancel(p.ctx)
		p.settle(func() {
			if p.view != nil {
				p.view.replace()
			}
			p.view = v
		})
	}
}

// round allocates a share, has it held as long as may be, and releases it.
func (p *Partitioner) round() error {
	s, err := p.allocate()
	if err != nil {
		return err
	}
	defer close(s.gone)
	defer p.release(s.locks)
	p.become(StateAcquired, s, nil)
	<-s.ctx.Done()
	if p.ctx.Err() == nil && s.given.Err() == nil {
		p.become(StateRelease, s, nil)
		select {
		case <-s.given.Done():
		case <-p.ctx.Done():
		}
	}
	if p.ctx.Err() == nil {
		p.become(StateAllocating, nil, nil)
		return nil
	}
	err = context.Cause(p.ctx)
	if p.running != nil {
		// Run's function is still on its way out: the items stay held until it has returned.
		select {
		case <-s.given.Done():
		case <-p.running:
		}
	}
	p.fail(err)
	<-p.left
	return err
}

// allocate waits until the party is stable, divides the set, and takes the locks of this member's items, until all of
// that has happened under one view of the party.
func (p *Partitioner) allocate() (*share, error) {
	for {
		v, err := p.stable()
		if err != nil {
			return nil, err
		}
		items, err := p.divide(v.members)
		if err != nil {
			return nil, err
		}
		locks, err := p.lockAll(v.ctx, items)
		if err == nil {
			return p.newShare(v, items, locks), nil
		}
		p.release(locks)
		switch {
		case p.ctx.Err() != nil:
			return nil, context.Cause(p.ctx)
		case v.ctx.Err() == nil:
			return nil, err
		}
	}
}

// stable waits until the party has been the same for the time boundary, with this member in it.
func (p *Partitioner) stable() (*view, error) {
	for {
		p.mu.Lock()
		v, changed := p.view, p.changed
		p.mu.Unlock()
		wait := time.Duration(1<<63 - 1)
		if v != nil && slices.Contains(v.members, p.opts.identifier) {
			if wait = p.opts.boundary - time.Since(v.since); wait <= 0 {
				return v, nil
			}
		}
		due := time.NewTimer(wait)
		select {
		case <-changed:
		case <-due.C:
		case <-p.ctx.Done():
			due.Stop()
			return nil, context.Cause(p.ctx)
		}
		due.Stop()
	}
}

// divide asks the partition function, and makes sure of what it says.
func (p *Partitioner) divide(members []string) ([]string, error) {
	mine := slices.Clone(p.opts.divide(p.opts.identifier, slices.Clone(members), slices.Clone(p.items)))
	slices.Sort(mine)
	mine = slices.Compact(mine)
	for _, item := range mine {
		if !slices.Contains(p.items, item) {
			return nil, fmt.Errorf("%w: %q", ErrDivision, item)
		}
	}
	return mine, nil
}

// lockAll takes the locks of all items, side by side. With an error it returns those that it has.
func (p *Partitioner) lockAll(ctx context.Context, items []string) ([]*lock.Held, error) {
	locks := make([]*lock.Held, len(items))
	errs := make([]error, len(items))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var taking sync.WaitGroup
	for i, item := range items {
		taking.Go(func() {
			mu, err := lock.New(p.zk, gazoo.JoinPath(p.path, "locks", item), lock.WithIdentity([]byte(p.opts.identifier)))
			if err == nil {
				locks[i], err = mu.Lock(ctx)
			}
			if errs[i] = err; err != nil {
				cancel() // the others are in vain
			}
		})
	}
	taking.Wait()
	locks = slices.DeleteFunc(locks, func(h *lock.Held) bool { return h == nil })
	return locks, first(errs)
}

// first returns the error that was there before the others were canceled because of it.
func first(errs []error) error {
	var found error
	for _, err := range errs {
		if err != nil && (found == nil || errors.Is(found, context.Canceled)) {
			found = err
		}
	}
	return found
}

// newShare ties the locks together: the share ends with the first that is lost, and with the view of the party.
func (p *Partitioner) newShare(v *view, items []string, locks []*lock.Held) *share {
	s := &share{items: items, locks: locks, gone: make(chan struct{})}
	s.ctx, s.end = context.WithCancelCause(p.ctx)
	s.given, s.give = context.WithCancel(context.WithoutCancel(p.ctx))
	context.AfterFunc(v.ctx, func() {
		if p.ctx.Err() == nil { // which ends the share by itself, with its own cause
			s.end(ErrRepartition)
		}
	})
	for _, held := range locks {
		context.AfterFunc(held.Context(), func() { s.end(context.Cause(held.Context())) })
	}
	return s
}

// release gives locks back, side by side. What is not confirmed in time goes on in the background.
func (p *Partitioner) release(locks []*lock.Held) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), releaseTime)
	defer cancel()
	var releasing sync.WaitGroup
	for _, held := range locks {
		releasing.Go(func() {
			_ = held.Release(ctx) // a lock that was lost needs none
		})
	}
	releasing.Wait()
}
