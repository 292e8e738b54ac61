package gazoo

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// cleanupRetry paces the tries of a cleanup. While there is no connection it waits for one instead.
var cleanupRetry = Backoff{MaxTries: Forever, Delay: 50 * time.Millisecond, MaxDelay: 3 * time.Second}

// Cleanup runs fn in the background until the work is done: what a call that was canceled or has failed leaves behind
// must go although its context has ended.
//
// With a session the work belongs to it. fn gets a view that is bound to it ([Client.InSession]), in a later tenancy
// too when the session was presumed expired and then resumed, and the work ends with the session: what it was to
// delete, an ephemeral, has gone then. Without one (nil) fn gets zk itself, and the work ends when the client does.
//
// fn runs again after lost connections, throttling, and tenancies that ended meanwhile; any other result is final, and
// logged when it is an error other than [ErrNoNode]. So fn must be safe to repeat. Its context ends with the work.
// Cleanups run beside each other, and beside everything else. [Client.Close] does not wait for them: it closes the
// session.
func (zk *Client) Cleanup(s *Session, fn func(ctx context.Context, zk *Client) error) {
	ctx := zk.core.ctx
	if s != nil {
		ctx = s.life.ctx
	}
	zk.core.users.start(func() {
		zk.core.users.call(func() { zk.cleanup(ctx, s, fn) })
	})
}

// DeleteLater deletes a znode in the background, whatever its version, as often as it takes: a guaranteed delete, as
// Curator calls it. It ends when the znode has gone, the server refuses for good, or the client is closed. For an
// ephemeral of a certain session see [Client.Cleanup].
func (zk *Client) DeleteLater(path string) error {
	if err := ValidatePath(path); err != nil {
		return refuse("delete", path, err)
	}
	zk.Cleanup(nil, func(ctx context.Context, zk *Client) error {
		return zk.DeleteIfExists(ctx, path, AnyVersion)
	})
	return nil
}

func (zk *Client) cleanup(ctx context.Context, s *Session, fn func(context.Context, *Client) error) {
	var last time.Duration
	for tries := 1; ; tries++ {
		view, err := zk.tenant(ctx, s)
		if err != nil {
			return
		}
		err = fn(ctx, view)
		switch {
		case err == nil || errors.Is(err, ErrNoNode) || ctx.Err() != nil:
			return
		case passing(err), errors.Is(err, ErrSessionOver), errors.Is(err, ErrThrottledOp):
		default:
			zk.core.cfg.log.LogAttrs(ctx, slog.LevelWarn, "cleanup gave up", slog.Any("error", err))
			return
		}
		last, _ = cleanupRetry.NextDelay(Attempt{Tries: tries, LastDelay: last})
		if sleep(ctx, last, nil) != nil {
			return
		}
	}
}

// tenant waits for a connection and returns the view of a session's present tenancy; the error says that it is over.
func (zk *Client) tenant(ctx context.Context, s *Session) (*Client, error) {
	if err := zk.WaitState(ctx, StateConnected); err != nil || s == nil {
		return zk, err
	}
	now := zk.Session()
	switch {
	case now == nil: // lost again; the calls of s find that out
		return zk.InSession(s), nil
	case now.life != s.life:
		return nil, ErrSessionOver
	}
	return zk.InSession(now), nil
}
