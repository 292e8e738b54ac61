// Package retry is what recipes decide by when a call has failed: whether the same may be asked again, how long to wait
// before that, and what to say when there is no time left.
//
// That a session is over is told by [gazoo.SessionLost].
package retry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gazoo-zk/gazoo"
)

// Passing reports whether err is a lost connection, after which the same may be asked again in the same session.
func Passing(err error) bool {
	return errors.Is(err, gazoo.ErrConnectionLoss) && !gazoo.SessionLost(err)
}

// Lost reports whether there was no answer because the connection or the session went.
func Lost(err error) bool { return errors.Is(err, gazoo.ErrConnectionLoss) || gazoo.SessionLost(err) }

var policy = gazoo.Backoff{RetryMaybeApplied: true}

// Again reports whether err is a lost connection or a lost session, after which the same may be asked again by a client
// that is not bound to a session, writes that may have been applied among them.
func Again(err error) bool { return policy.ShouldRetry(err) }

// Pause waits before the try behind so many that were lost: not at all at first, since a call waits for the connection
// by itself, and longer when one connection after the other is lost.
func Pause(ctx context.Context, tries int) error {
	if tries == 0 {
		return ctx.Err()
	}
	if err := Sleep(ctx, min(50*time.Millisecond<<min(tries, 10), 2*time.Second)); err != nil {
		return fmt.Errorf("waiting to try again: %w", err)
	}
	return nil
}

// Sleep waits for d, if it is above zero, or until ctx ends, and then returns its cause.
func Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Canceled returns err and, when ctx has ended, ctx's error and cause with it: a call that gives up because of its context
// says so, whatever failed last.
func Canceled(ctx context.Context, err error) error {
	ended := ctx.Err()
	if err == nil || ended == nil || errors.Is(err, ended) {
		return err
	}
	if cause := context.Cause(ctx); cause != ended {
		ended = fmt.Errorf("%w: %w", ended, cause)
	}
	return fmt.Errorf("%w: %w", ended, err)
}
