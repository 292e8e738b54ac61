package election

import (
	"context"
	"errors"
	"fmt"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/owned"
)

// Run campaigns, runs fn while this candidate leads, and gives the leadership up when fn has returned, or panics. fn's
// context ends when the leadership does, or ctx. With [WithRequeue] all that begins anew. fn never runs twice at once: a
// leader that was deposed campaigns again only when fn has returned.
//
// Errors: the campaign's, see [Election.Campaign]; then fn's. When the leadership was lost before fn returned the error is
// an [ErrLost], with fn's behind it if there is one. A leadership that fn has resigned or handed over was not lost, and
// neither is the end of ctx an error if fn returns none.
func (e *Election) Run(ctx context.Context, fn func(ctx context.Context, l *Leadership) error) error {
	for {
		l, err := e.Campaign(ctx)
		if err != nil {
			return err
		}
		err = l.lead(ctx, fn)
		if e.cfg.requeue == nil || ctx.Err() != nil || e.cfg.once && gazoo.SessionLost(err) || !e.cfg.requeue(err) {
			return err
		}
	}
}

// lead runs fn and resigns.
func (l *Leadership) lead(ctx context.Context, fn func(ctx context.Context, l *Leadership) error) error {
	work, done := owned.While(l.Context(), ctx)
	defer done()
	defer l.Resign(ctx) // should fn panic
	err := fn(work, l)
	lost := l.Err()
	if resigned := l.Resign(ctx); lost == nil && errors.Is(resigned, ErrLost) {
		lost = resigned
	}
	switch {
	case !errors.Is(lost, ErrLost) || errors.Is(lost, ErrHandedOver):
		return err
	case err == nil:
		return lost
	case errors.Is(err, ErrLost):
		return err
	default:
		return fmt.Errorf("%w: %w", lost, err)
	}
}
