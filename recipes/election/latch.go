package election

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/gazoo-zk/gazoo"
)

// ErrLatchClosed ends everything that waits on a closed latch.
var ErrLatchClosed = errors.New("latch closed")

// Status is a change of a latch's own standing.
type Status struct {
	Leader     bool
	Leadership *Leadership // that began or has ended
	Err        error       // why it has ended
}

// Latch is a candidate that campaigns in the background, and again whenever it has lost the leadership, until it is
// closed. Safe for concurrent use. Close it.
type Latch struct {
	e      *Election
	ctx    context.Context
	cancel context.CancelCauseFunc
	done   chan struct{}

	mu      sync.Mutex
	now     *Leadership // nil while it does not lead
	history int         // changes so far
	last    Status
	changed chan struct{} // closed at each change, and replaced
	silent  bool
	failed  error // what ended run, beside Close
}

// Start begins to campaign and returns at once.
func (e *Election) Start() *Latch {
	l := &Latch{e: e, done: make(chan struct{}), changed: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	go l.run()
	return l
}

// run campaigns until the latch is closed.
func (l *Latch) run() {
	defer close(l.done)
	for l.ctx.Err() == nil {
		lead, err := l.e.Campaign(l.ctx)
		if err != nil {
			l.fail(err)
			return
		}
		l.set(lead, Status{Leader: true, Leadership: lead})
		select {
		case <-lead.Context().Done():
		case <-l.ctx.Done():
			// The end of the latch is that of the leadership: nobody may see one that goes on.
			lead.Withdraw(ErrLatchClosed)
		}
		ended := context.Cause(lead.Context())
		l.set(nil, Status{Leadership: lead, Err: ended})
		lead.Resign(l.ctx)
		if l.e.cfg.once && gazoo.SessionLost(ended) {
			l.fail(ended)
			return
		}
	}
	l.fail(ErrLatchClosed)
}

func (l *Latch) set(now *Leadership, s Status) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = now
	if !s.Leader && l.silent && l.ctx.Err() != nil {
		return
	}
	l.history++
	l.last = s
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *Latch) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		err = ErrLatchClosed
	}
	l.failed = err
	close(l.changed)
	l.changed = make(chan struct{})
}

// Leadership returns the present leadership, or nil. It may end at any moment: use its context.
func (l *Latch) Leadership() *Leadership {
	l.mu.Lock()
	now := l.now
	l.mu.Unlock()
	if now == nil || now.Err() != nil {
		return nil
	}
	return now
}

// Await waits until the latch leads and returns the leadership.
//
// Errors: the context's, [ErrLatchClosed], and what ended the campaign for good, such as [gazoo.ErrNoAuth].
func (l *Latch) Await(ctx context.Context) (*Leadership, error) {
	for {
		l.mu.Lock()
		now, failed, changed := l.now, l.failed, l.changed
		l.mu.Unlock()
		switch {
		case now != nil && now.Err() == nil:
			return now, nil
		case failed != nil:
			return nil, fmt.Errorf("await leadership of %s: %w", l.e.path, failed)
		}
		select {
		case <-changed: // also when the present leadership has ended and run does not know yet
		case <-ctx.Done():
			return nil, fmt.Errorf("await leadership of %s: %w", l.e.path, context.Cause(ctx))
		}
	}
}

// Changes iterates over the latch's own standing: the present one at once, and then the newest after each change; a loss
// and a new leadership in quick succession may be seen as the latter alone. It ends with an error as its last element:
// the context's, [ErrLatchClosed], or what ended the campaign.
func (l *Latch) Changes(ctx context.Context) iter.Seq2[Status, error] {
	return func(yield func(Status, error) bool) {
		seen := -1
		for {
			l.mu.Lock()
			history, last, failed, changed := l.history, l.last, l.failed, l.changed
			l.mu.Unlock()
			switch {
			case history != seen:
				seen = history
				if !yield(last, nil) {
					return
				}
				continue
			case failed != nil:
				yield(Status{}, failed)
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				yield(Status{}, context.Cause(ctx))
				return
			}
		}
	}
}

// Close ends the campaign, or resigns, and waits until that is done or ctx ends. Subscribers of Changes see the loss of a
// leadership that ends by it. It may be called again.
func (l *Latch) Close(ctx context.Context) error { return l.close(ctx, false) }

// CloseSilently is Close without that last loss being told by Changes.
func (l *Latch) CloseSilently(ctx context.Context) error { return l.close(ctx, true) }

func (l *Latch) close(ctx context.Context, silent bool) error {
	l.mu.Lock()
	l.silent = silent
	l.mu.Unlock()
	l.cancel(ErrLatchClosed)
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close latch of %s: goes on in the background: %w", l.e.path, context.Cause(ctx))
	}
}
