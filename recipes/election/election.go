package election

import (
	"context"
	"fmt"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/contend"
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

	busy chan struct{} // one slot: taken while the leadership is being given up
}

// Resign gives the leadership up: see [tenure.Tenure.Release]. A hand-over that is under way is waited for, as long as
// ctx lasts, since its candidate needs the leader's znode; it ends the leadership by itself.
func (l *Leadership) Resign(ctx context.Context) error {
	if err := l.turn(ctx); err != nil {
		return fmt.Errorf("resign %s: %w", l.Path(), err)
	}
	defer func() { <-l.busy }()
	return l.Tenure.Release(ctx)
}

// Release is Resign, under the name that all tenures have it.
func (l *Leadership) Release(ctx context.Context) error { return l.Resign(ctx) }

// Campaign waits until this candidate leads. It survives lost connections and, at the end of the queue, lost sessions.
//
// Errors: the context's, and no candidate is left then; [gazoo.ErrNoAuth]; [gazoo.ErrClosed]; with [WithOneSession]
// those of the session.
func (e *Election) Campaign(ctx context.Context) (*Leadership, error) {
	var opts []tenure.Option
	if e.cfg.quorum {
		opts = append(opts, tenure.Quorum())
	}
	l := &Leadership{e: e, busy: make(chan struct{}, 1)}
	err := e.queue().Hold(ctx, false, func(entry *contend.Entry) (err error) {
		l.entry = entry
		l.Tenure, err = tenure.Begin(ctx, e.zk, entry.Session, entry.Path, entry.Token, opts...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("campaign %s: %w", e.path, err)
	}
	return l, nil
}

func (e *Election) queue() *contend.Queue {
	c := e.cfg
	return &contend.Queue{
		ZK: e.zk, Dir: e.path, Style: c.style.Style, Reader: c.reader, Data: []byte(c.identity), ACL: c.acl,
		OneSession: c.once, Granted: e.granted,
	}
}
