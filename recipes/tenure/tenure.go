package tenure

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/plant"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
)

// How a tenure ends: the causes of its context, which errors.Is recognises. What exactly happened is behind them.
var (
	// ErrLost says that it is not held any more, or must be taken as lost: the session is over or presumed expired,
	// the znode was deleted, no write could be committed in time ([Quorum]), or it was revoked.
	ErrLost = errors.New("not held any more")
	// ErrReleased says that its holder gave it up.
	ErrReleased = errors.New("released")
	// ErrDeleted is behind an ErrLost: somebody else has deleted the znode.
	ErrDeleted = errors.New("znode deleted by others")
	// ErrUnverified is behind an ErrLost: no write was committed for half the session time-out ([Quorum]).
	ErrUnverified = errors.New("no committed write in time")
)

// releasePatience is how long Release waits for the server when its context has ended already.
const releasePatience = time.Second

// Tenure is something held, until it is released or lost. Safe for concurrent use.
//
// Whoever got it releases it. One that was lost needs no release, but a deferred one does no harm.
type Tenure struct {
	base    *gazoo.Client // any session
	zk      *gazoo.Client // bound to the session that holds, base when none does
	session *gazoo.Session
	path    string
	token   int64
	cfg     config

	ctx context.Context
	end context.CancelCauseFunc

	// The watch on the znode outlives ctx while a release is under way: it ends by the delete, not by a request.
	watching context.Context
	unwatch  context.CancelFunc
	ended    chan struct{} // run has ended

	proof     proof
	withdrawn atomic.Bool   // ctx has ended, the znode stays until the release
	released  atomic.Bool   // somebody releases it
	replacing atomic.Bool   // another znode takes the place of this one, which vanishes by that
	gone      atomic.Bool   // the znode is known to be gone
	discarded atomic.Bool   // its delete goes on in the background
	freed     chan struct{} // the release has its result
	result    error         // of the release; read behind freed
}

// Begin starts the tenure of what a znode stands for. Recipes call it when a fresh read has shown that the znode is the
// one that holds. With a session everything happens in that session and ends with it; the znode is one of its
// ephemerals. Without one (nil) the znode is persistent, and held until it is deleted. ctx gives its values, and
// bounds what [Quorum] needs to begin.
//
// Errors: with [Quorum] those of [Tenure.Verify]; an [ErrUnverified] says that the first write was not committed in time.
// The znode is still there then, and another Begin may have more luck.
func Begin(ctx context.Context, zk *gazoo.Client, s *gazoo.Session, path string, token int64, opts ...Option) (*Tenure, error) {
	t := &Tenure{base: zk, zk: zk, session: s, path: path, token: token, ended: make(chan struct{}), freed: make(chan struct{})}
	for _, opt := range opts {
		opt(&t.cfg)
	}
	t.ctx, t.end = context.WithCancelCause(context.WithoutCancel(ctx))
	t.watching, t.unwatch = context.WithCancel(context.Background())
	holder := zk.Context()
	if s != nil {
		t.zk, holder = zk.InSession(s), s.Tenancy()
	}
	stop := context.AfterFunc(holder, func() { t.lose(context.Cause(holder)) })
	if t.cfg.quorum && s != nil {
		if err := t.beginQuorum(ctx); err != nil {
			stop()
			t.lose(err)
			return nil, err
		}
	}
	go t.run(stop)
	return t, nil
}

// Context ends when it is not held any more, or when that is in doubt, with a cause that matches [ErrLost] or
// [ErrReleased]. It has the values of the context with which it was acquired, and not its end.
func (t *Tenure) Context() context.Context { return t.ctx }

// Err returns nil while it is held, and otherwise what ended it. It reads the clock: see the package comment.
func (t *Tenure) Err() error {
	if t.ctx.Err() == nil && t.session != nil {
		if err := t.session.Err(); err != nil {
			t.lose(err)
		} else if t.cfg.quorum && t.proof.age() >= t.session.Timeout()/2 {
			t.lose(ErrUnverified)
		}
	}
	return context.Cause(t.ctx)
}

// Token returns the fencing token: a zxid, higher than the token of everybody who held the same thing before, whatever
// became of sessions, of the directory and of its counter.
func (t *Tenure) Token() int64 { return t.token }

// Path returns the znode that stands for it.
func (t *Tenure) Path() string { return t.path }

// Session returns the session that holds it; nil when a persistent znode does.
func (t *Tenure) Session() *gazoo.Session { return t.session }

// String names the znode and the state.
func (t *Tenure) String() string {
	if err := t.Err(); err != nil {
		return fmt.Sprintf("%s: %v", t.path, err)
	}
	return fmt.Sprintf("%s: held", t.path)
}

// Txn begins a transaction that the server applies only while it is held: its first operation checks the znode, and it
// is sent in the session that holds it. So the results of what is added begin at 1. Once it is not held any more Commit
// fails with [gazoo.ErrNoNode] for the operation with index 0, or with an error of the session; [Lost] knows these.
func (t *Tenure) Txn() *gazoo.Txn { return t.zk.Txn().Check(t.path, gazoo.AnyVersion) }

// Lost reports whether the error of a guarded transaction ([Tenure.Txn]) says that it was not held any more, rather
// than that something else was wrong with it. Nothing was applied then.
func (t *Tenure) Lost(err error) bool {
	if failed, ok := errors.AsType[*gazoo.TxnError](err); ok {
		return failed.Index == 0 && failed.Path == t.path && failed.Code == gazoo.ErrNoNode
	}
	return errors.Is(err, gazoo.ErrSessionOver) || errors.Is(err, gazoo.ErrSessionExpired) && !gazoo.MaybeApplied(err)
}

// Verify asks the ensemble whether it is still held, by a committed transaction that checks the znode and changes
// nothing. Nil says that it was held at some moment between the call and its return. It waits for a connection where
// there is none.
//
// Errors: [ErrLost], [ErrReleased], the context's.
func (t *Tenure) Verify(ctx context.Context) error {
	for {
		if err := t.Err(); err != nil {
			return err
		}
		sent := time.Now()
		_, err := t.Txn().Commit(ctx)
		switch {
		case err == nil:
			t.proof.renew(sent)
			return t.Err()
		case errors.Is(err, gazoo.ErrNoNode) && t.replacing.Load():
			select { // Replace tells what has become of it
			case <-t.watching.Done():
			case <-ctx.Done():
				return fmt.Errorf("verify %s: %w", t.path, ctx.Err())
			}
		case errors.Is(err, gazoo.ErrNoNode):
			t.lose(ErrDeleted)
		case gazoo.SessionLost(err) && t.session != nil:
			t.lose(err)
		case ctx.Err() != nil || !retry.Lost(err):
			return fmt.Errorf("verify %s: %w", t.path, err)
		}
	}
}

// lose ends the tenure because it is not held any more. Only the first end counts.
func (t *Tenure) lose(cause error) {
	if plant.LockIgnoresLoss && gazoo.SessionLost(cause) {
		t.unwatch()
		return
	}
	if errors.Is(cause, ErrDeleted) {
		t.gone.Store(true)
	}
	t.end(fmt.Errorf("%w: %s: %w", ErrLost, t.path, cause))
	if !t.released.Load() {
		t.unwatch()
	}
}

// Withdraw asks the holder to stop: the context ends, with a cause that matches [ErrLost] and the one given, but the
// znode stays until the release, so that nobody else gets in while the holder is still winding up. Recipes call it for
// a revocation.
func (t *Tenure) Withdraw(cause error) {
	t.withdrawn.Store(true)
	t.end(fmt.Errorf("%w: %s: %w", ErrLost, t.path, cause))
}

// Settle ends the tenure as released after the recipe itself has removed the znode, or given it another meaning.
func (t *Tenure) Settle() {
	if t.released.CompareAndSwap(false, true) {
		t.gone.Store(true)
		t.end(ErrReleased)
		t.unwatch()
		close(t.freed)
	}
	<-t.freed
}

// Replace ends the tenure in favour of another, of a znode that takes the place of this one: swap deletes the one and
// makes the other in one transaction, and begins the other's tenure. The context ends, with [ErrReleased], when swap has
// returned, so that at every moment one of the two contexts is alive. When swap fails the tenure is over as well, as lost,
// and its znode is deleted in the background; what else swap may have left is swap's to clean up.
//
// Errors: swap's; [ErrLost] and [ErrReleased] when it was not held any more, and swap has not run.
func (t *Tenure) Replace(ctx context.Context, swap func(ctx context.Context, zk *gazoo.Client) error) error {
	if err := t.Err(); err != nil {
		return err
	}
	if !t.released.CompareAndSwap(false, true) {
		<-t.freed
		return t.Err()
	}
	t.replacing.Store(true)
	err := swap(ctx, t.zk)
	if err == nil {
		t.gone.Store(true)
		t.end(ErrReleased)
	} else {
		t.lose(err)
		t.result = context.Cause(t.ctx)
		t.discard()
	}
	t.unwatch()
	<-t.ended
	close(t.freed)
	return err
}

// Release gives it up: the context ends, with [ErrReleased], and the znode is deleted. It returns when the server has
// confirmed that or when ctx ends, and after the session time-out at the latest; if ctx has ended before, it waits for
// a second at most. What is not confirmed by then goes on in the background, as long as the session lasts, and the error
// says so. It may be called again, from anywhere, and returns the same.
//
// Errors: [ErrLost] when it was not held any more, so that there was nothing to give up.
func (t *Tenure) Release(ctx context.Context) error {
	if t.released.CompareAndSwap(false, true) {
		if err := t.Err(); err != nil && !t.withdrawn.Load() {
			t.result = err
			t.discard()
		} else {
			t.end(ErrReleased)
			t.result = t.free(ctx)
		}
		t.unwatch()
		<-t.ended
		close(t.freed)
	}
	<-t.freed
	return t.result
}

// free deletes the znode.
func (t *Tenure) free(ctx context.Context) error {
	patience := t.base.SessionTimeout()
	if ctx.Err() != nil {
		ctx, patience = context.WithoutCancel(ctx), releasePatience
	}
	ctx, cancel := context.WithTimeout(ctx, max(patience, releasePatience))
	defer cancel()
	err := t.remove(ctx, t.zk)
	for retry.Passing(err) && ctx.Err() == nil {
		err = t.remove(ctx, t.zk)
	}
	switch {
	case err == nil:
		t.gone.Store(true)
		return nil
	case gazoo.SessionLost(err) && t.session != nil:
		err = fmt.Errorf("%w: %s: %w", ErrLost, t.path, err)
	default:
		err = fmt.Errorf("release %s: goes on in the background: %w", t.path, err)
	}
	t.discard()
	return err
}

func (t *Tenure) remove(ctx context.Context, zk *gazoo.Client) error {
	if t.cfg.remove != nil {
		return t.cfg.remove(ctx, zk)
	}
	return zk.DeleteIfExists(ctx, t.path, gazoo.AnyVersion)
}

// discard deletes the znode in the background, unless it has gone.
func (t *Tenure) discard() {
	if !t.gone.Load() && t.discarded.CompareAndSwap(false, true) {
		t.base.Cleanup(t.session, t.remove)
	}
}
