package lock

import (
	"context"
	"errors"
	"fmt"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/contend"
	"github.com/gazoo-zk/gazoo/recipes/internal/owned"
	"github.com/gazoo-zk/gazoo/recipes/tenure"
)

// Errors of this package. What ends a held lock is the cause of its context.
var (
	ErrBusy     = contend.ErrBusy    // of a try: somebody else holds it, or is ahead
	ErrLost     = tenure.ErrLost     // it is not held any more, or that is in doubt
	ErrReleased = tenure.ErrReleased // its holder gave it up

	// ErrRevoked is behind an ErrLost: somebody asked for the lock ([WithRevocable]).
	ErrRevoked = errors.New("revoked")
	// ErrDeadlock says that a Lock would wait for the very holder whose context it was given ([WithReentrance]).
	ErrDeadlock = errors.New("would wait for itself")
	// ErrUpgrade says that the holder of a read lock asked for the write lock: see [RW].
	ErrUpgrade = errors.New("a read lock cannot become a write lock")
	// ErrSizeMismatch says that a semaphore exists with another number of permits.
	ErrSizeMismatch = errors.New("semaphore has another size")
)

// Mutex is a fair lock that one contender at a time holds, among all programs that use its path. Safe for concurrent
// use: every Lock is a contender of its own, those of one Mutex too. It needs no close.
//
// The two sides of an [RW] are Mutexes as well.
type Mutex struct {
	zk   *gazoo.Client
	path string
	cfg  *config
	role contend.Role
	kind kind
}

// kind tells what a Mutex is part of.
type kind uint8

const (
	plain    kind = iota
	rwSide        // one side of an RW
	ofPermit      // the permits of a semaphore
)

// New makes a lock at a path. Nothing is sent.
//
// Errors: [gazoo.ErrBadArguments], every problem at once.
func New(zk *gazoo.Client, path string, opts ...Option) (*Mutex, error) {
	cfg, err := configure(zk, path, opts, contend.Exclusive)
	if err := cfg.lockOnly(err); err != nil {
		return nil, fmt.Errorf("new lock: %w", err)
	}
	return &Mutex{zk: zk, path: path, cfg: cfg}, nil
}

// Path returns the path of the lock.
func (m *Mutex) Path() string { return m.path }

// Lock waits until it holds the lock. It survives lost connections and, at the end of the queue, lost sessions.
//
// Errors: the context's, and no contender is left then (one that cannot be deleted at once is deleted in the background);
// [ErrDeadlock], [ErrUpgrade]; [gazoo.ErrNoAuth]; with [WithOneSession] those of the session; [gazoo.ErrClosed].
func (m *Mutex) Lock(ctx context.Context) (*Held, error) { return m.acquire(ctx, false) }

// TryLock is Lock that does not wait for other contenders.
//
// Errors: [ErrBusy] and those of Lock.
func (m *Mutex) TryLock(ctx context.Context) (*Held, error) { return m.acquire(ctx, true) }

// Do runs fn while the lock is held, with a context that ends when the lock is lost, or ctx ends; and releases it. The
// error is fn's, and else that of the lock: one that was lost while fn ran is an [ErrLost], though fn may have succeeded.
func (m *Mutex) Do(ctx context.Context, fn func(ctx context.Context, held *Held) error) error {
	return do(ctx, m.Lock, fn)
}

// handle is what [do] needs of what is held.
type handle interface {
	Context() context.Context
	Release(ctx context.Context) error
}

func do[H handle](ctx context.Context, lock func(context.Context) (H, error), fn func(context.Context, H) error) error {
	held, err := lock(ctx)
	if err != nil {
		return err
	}
	defer held.Release(ctx)
	work, done := owned.While(held.Context(), ctx)
	defer done()
	if err := fn(work, held); err != nil {
		return err
	}
	return held.Release(ctx)
}

func (m *Mutex) acquire(ctx context.Context, try bool) (*Held, error) {
	if held, err := m.again(ctx, try); held != nil || err != nil {
		return held, err
	}
	var held *Held
	err := m.queue().Hold(ctx, try, func(entry *contend.Entry) (err error) {
		held, err = m.begin(ctx, &entry.Node, entry.Token)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", m.path, err)
	}
	return held, nil
}

func (m *Mutex) queue() *contend.Queue {
	c := m.cfg
	return &contend.Queue{
		ZK: m.zk, Dir: m.path, Style: c.style.Style, Reader: c.reader, Role: m.role, Data: c.data, ACL: c.acl,
		Persistent: c.lasting, OneSession: c.once, Waiting: c.waiting,
	}
}
