package election

import (
	"context"
	"errors"
	"fmt"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/contend"
	"github.com/gazoo-zk/gazoo/recipes/internal/owned"
	"github.com/gazoo-zk/gazoo/recipes/tenure"
)

// How a leadership ends: the causes of its context.
var (
	ErrLost     = tenure.ErrLost     // it is over, or that is in doubt
	ErrReleased = tenure.ErrReleased // the leader has resigned
)

// Election is one candidate's view of an election. Safe for concurrent use: every campaign is a candidate of its own.
// It needs no close.
type Election struct {
	zk   *gazoo.Client
	path string
	cfg  *config
}

// New makes a candidate of the election at a path. Nothing is sent.
//
// Errors: [gazoo.ErrBadArguments], every problem at once.
func New(zk *gazoo.Client, path string, opts ...Option) (*Election, error) {
	cfg, err := configure(zk, path, opts)
	if err != nil {
		return nil, fmt.Errorf("new election: %w", err)
	}
	return &Election{zk, path, cfg}, nil
}

// Path returns the path of the election.
func (e *Election) Path() string { return e.path }

// Leadership is the right to lead: see [tenure.Tenure] for what it promises. Resign ends it.
type Leadership struct {
	*tenure.Tenure
	e     *Election
	entry *contend.Entry

	handing chan struct{} // one slot: taken while a hand-over is under way
}

// Resign gives the leadership up: see [tenure.Tenure.Release]. A hand-over that is under way is waited for, since its
// candidate needs the leader's znode.
func (l *Leadership) Resign(ctx context.Context) error {
	l.handing <- struct{}{}
	defer func() { <-l.handing }()
	return l.Release(ctx)
}

// Campaign waits until this candidate leads. It survives lost connections and, at the end of the queue, lost sessions.
//
// Errors: the context's, and no candidate is left then; [gazoo.ErrNoAuth]; [gazoo.ErrClosed]; with [WithOneSession]
// those of the session.
func (e *Election) Campaign(ctx context.Context) (*Leadership, error) {
	for {
		entry, err := e.queue().Acquire(ctx, false)
		if err != nil {
			return nil, fmt.Errorf("campaign %s: %w", e.path, err)
		}
		l := &Leadership{e: e, entry: entry, handing: make(chan struct{}, 1)}
		var opts []tenure.Option
		if e.cfg.quorum {
			opts = append(opts, tenure.Quorum())
		}
		l.Tenure, err = tenure.Begin(ctx, e.zk, entry.Session, entry.Path, entry.Token, opts...)
		if err == nil {
			return l, nil
		}
		entry.Leave()
		if e.cfg.once || ctx.Err() != nil || !errors.Is(err, ErrLost) && !owned.Gone(err) {
			return nil, fmt.Errorf("campaign %s: %w", e.path, err)
		}
	}
}

func (e *Election) queue() *contend.Queue {
	c := e.cfg
	return &contend.Queue{
		ZK: e.zk, Dir: e.path, Style: c.style.Style, Reader: c.reader, Data: []byte(c.identity), ACL: c.acl,
		OneSession: c.once, Granted: e.granted,
	}
}

// Run campaigns and runs fn while this candidate leads, with a context that ends when the leadership does, or ctx. The
// leadership is given up when fn has returned. The error is fn's; that of the leadership when it was lost while fn ran
// and fn returned nil; or that of the campaign, the context's among them. With [WithRequeue] only an error of fn with the
// leadership still alive, or the campaign's, ends it. fn never runs twice at once: a leader that was deposed campaigns
// again only when fn has returned.
func (e *Election) Run(ctx context.Context, fn func(ctx context.Context, l *Leadership) error) error {
	for {
		l, err := e.Campaign(ctx)
		if err != nil {
			return err
		}
		err = l.lead(ctx, fn)
		lost := l.Err() // before the resignation hides it
		resigned := l.Resign(ctx)
		switch {
		case e.cfg.requeue && ctx.Err() == nil && (err == nil || errors.Is(lost, ErrLost)):
		case err == nil:
			return resigned
		default:
			return err
		}
	}
}

func (l *Leadership) lead(ctx context.Context, fn func(ctx context.Context, l *Leadership) error) error {
	work, cancel := context.WithCancelCause(l.Context())
	defer cancel(nil)
	defer context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })()
	return fn(work, l)
}
