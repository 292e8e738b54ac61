package partition

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/membership"
)

var (
	// ErrFinished is why a partitioner has failed that was finished, and the cause of its share's context.
	ErrFinished = errors.New("partitioner finished")
	// ErrRepartition is the cause of a share's context when members have come or gone.
	ErrRepartition = errors.New("members have changed: set to be divided anew")
	// ErrReleased is the cause of a share's context when its own program has released it.
	ErrReleased = errors.New("share released")
	// ErrDivision says that the partition function has returned something that is not in the set.
	ErrDivision = errors.New("division is not of the set")
)

// State is what a [Partitioner] is doing.
type State uint8

// The states. The changes are Allocating→Acquired→Release→Allocating, and from each to Failed, which is final.
const (
	// StateAllocating: no item is held; the set is being divided.
	StateAllocating State = iota
	// StateAcquired: the items of this member are held.
	StateAcquired
	// StateRelease: they are still held, but have to be given up: stop working on them and call [Partitioner.Release].
	StateRelease
	// StateFailed: the session was lost, the server refused, or the partitioner was finished. Nothing is held.
	StateFailed
)

// String returns Kazoo's word for the state.
func (s State) String() string {
	switch s {
	case StateAllocating:
		return "ALLOCATING"
	case StateAcquired:
		return "ACQUIRED"
	case StateRelease:
		return "RELEASE"
	case StateFailed:
		return "FAILURE"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// Status is a partitioner's state at one moment.
type Status struct {
	State State
	ID    uint64   // counts the states, so that two of the same name can be told apart
	Items []string // that are held
	Err   error    // why it has failed
}

// Partitioner holds this member's share of a set. It is safe for concurrent use. Finish it when done, also when it has
// failed.
type Partitioner struct {
	zk      *gazoo.Client
	path    string
	items   []string
	opts    options
	party   *membership.Party
	running chan struct{} // with Run: closed when its function will not run again. A lost session is no failure then

	ctx  context.Context // ends with the partitioner, with the reason as its cause
	end  context.CancelCauseFunc
	left chan struct{} // closed when the party was left, or that goes on in the background
	done chan struct{} // closed when run has left

	mu      sync.Mutex
	status  Status
	share   *share        // while acquired or to be released
	view    *view         // the newest; nil before the first
	changed chan struct{} // closed and replaced when any of these changes
}

// New joins the party at path and begins to divide the items, which are copied, with its members. All members have to
// name the same items. It returns at once. The error is a [gazoo.ArgumentError].
func New(zk *gazoo.Client, path string, items []string, opts ...Option) (*Partitioner, error) {
	return start(zk.Context(), zk, path, items, opts, nil)
}

func start(ctx context.Context, zk *gazoo.Client, path string, items []string, opts []Option, running chan struct{}) (*Partitioner, error) {
	o, err := newOptions(path, items, opts)
	if err != nil {
		return nil, fmt.Errorf("partition %s: %w", path, err)
	}
	party, err := membership.NewShallowParty(zk, gazoo.JoinPath(path, "party"), o.identifier)
	if err != nil {
		return nil, err
	}
	p := &Partitioner{
		zk: zk, path: path, items: slices.Clone(items), opts: o, party: party, running: running,
		left: make(chan struct{}), done: make(chan struct{}), changed: make(chan struct{}),
		status: Status{ID: 1},
	}
	p.ctx, p.end = context.WithCancelCause(ctx)
	go p.run()
	return p, nil
}

// Identifier returns this member's identifier.
func (p *Partitioner) Identifier() string { return p.opts.identifier }

// Status returns the present state.
func (p *Partitioner) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	status := p.status
	status.Items = slices.Clone(status.Items)
	return status
}

// State returns the present state. Between a look and what is done about it the share may be lost: [Partitioner.Share]
// has a context that tells.
func (p *Partitioner) State() State { return p.Status().State }

// Err returns why the partitioner has failed, nil while it has not.
func (p *Partitioner) Err() error { return p.Status().Err }

// Items iterates over the items that are held, sorted, none while the set is being divided.
func (p *Partitioner) Items() iter.Seq[string] { return slices.Values(p.Status().Items) }

// Share returns the items that are held, with a context that ends when they have to be given up: its cause is
// [ErrRepartition], [ErrFinished], how the session was lost, or how the lock of an item was. ok is false while the set
// is being divided.
func (p *Partitioner) Share() (ctx context.Context, items []string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.share == nil {
		return nil, nil, false
	}
	return p.share.ctx, slices.Clone(p.share.items), true
}

// Changes iterates over the states: the present one at once, then the newest after each change. The state Failed is
// the last; an error is the context's, as the last element.
func (p *Partitioner) Changes(ctx context.Context) iter.Seq2[Status, error] {
	return func(yield func(Status, error) bool) {
		var seen uint64
		for {
			p.mu.Lock()
			changed := p.changed
			p.mu.Unlock()
			status := p.Status()
			if status.ID > seen {
				seen = status.ID
				if !yield(status, nil) || status.State == StateFailed {
					return
				}
				continue
			}
			select {
			case <-changed:
			case <-ctx.Done():
				yield(Status{}, p.wrap(context.Cause(ctx)))
				return
			}
		}
	}
}

// WaitAcquired waits until this member holds its items, which may be none. While it has to give items up it fails with
// [ErrRepartition]: call [Partitioner.Release]. Its other errors are the context's, and [Partitioner.Err].
func (p *Partitioner) WaitAcquired(ctx context.Context) error {
	for status, err := range p.Changes(ctx) {
		switch {
		case err != nil:
			return err
		case status.State == StateAcquired:
			return nil
		case status.State == StateRelease:
			return p.wrap(ErrRepartition)
		case status.State == StateFailed:
			return p.wrap(status.Err)
		}
	}
	panic("unreachable: an iteration ends with a failure or an error")
}

// Release gives the items up, after the program has stopped working on them, and waits until the servers know. The set
// is divided anew then. Without a share it does nothing. When ctx ends first, the release goes on.
func (p *Partitioner) Release(ctx context.Context) error {
	p.mu.Lock()
	s := p.share
	p.mu.Unlock()
	if s == nil {
		return nil
	}
	s.giveUp()
	select {
	case <-s.gone:
		return nil
	case <-ctx.Done():
		return p.wrap(context.Cause(ctx))
	}
}

// Finish gives the items up and leaves the party, and waits until the servers know. When ctx ends first, that goes on
// in the background. It may be called again.
func (p *Partitioner) Finish(ctx context.Context) error {
	p.end(ErrFinished)
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return p.wrap(context.Cause(ctx))
	}
}

func (p *Partitioner) wrap(err error) error { return fmt.Errorf("partition %s: %w", p.path, err) }

// settle changes the state that others read, and tells them.
func (p *Partitioner) settle(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	close(p.changed)
	p.changed = make(chan struct{})
}

// become enters a state, with the share that is held in it.
func (p *Partitioner) become(state State, s *share, err error) {
	p.settle(func() {
		p.status = Status{State: state, ID: p.status.ID + 1, Err: err}
		p.share = s
		if s != nil {
			p.status.Items = slices.Clone(s.items)
		}
	})
}

// Run divides the items with the other members of the party at path, and calls fn with this member's share, which can
// be empty, again and again. The context of fn ends when the share has to be given up (see [Partitioner.Share]); the
// items stay held until fn returns, as long as the session lasts. Then the set is divided anew, whatever fn returned.
//
// When fn returns while its context is alive, Run ends with its error. It also ends with ctx, and with what a server
// refuses; a lost session only ends the share. It returns when the member has left, or after ten seconds: then the rest
// goes on in the background.
func Run(ctx context.Context, zk *gazoo.Client, path string, items []string, fn func(ctx context.Context, items []string) error, opts ...Option) error {
	running := make(chan struct{})
	p, err := start(ctx, zk, path, items, opts, running)
	if err != nil {
		return err
	}
	defer func() {
		close(running)
		p.end(ErrFinished)
		<-p.done // bounded by twice releaseTime
	}()
	for {
		if err := p.WaitAcquired(ctx); err != nil && !errors.Is(err, ErrRepartition) {
			return err
		}
		held, mine, ok := p.Share()
		if !ok {
			continue // it has failed meanwhile
		}
		if held.Err() == nil {
			if err := fn(held, mine); held.Err() == nil {
				return err
			}
		}
		if err := p.Release(ctx); err != nil {
			return err
		}
	}
}
