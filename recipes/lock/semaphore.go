package lock

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/contend"
)

// Semaphore is a number of permits that programs share. Permits are given in the order in which they were asked for:
// whoever is first waits until there are enough for it, even when there would be enough for one behind it.
//
// There are two styles. In that of [Kazoo], which is the default, the permits are children of the path, and the path's
// data is the size as text; in that of [Curator] (InterProcessSemaphoreV2) they are below PATH/leases. Whoever waits
// first holds a guard, a lock at PATH-__lock__ or PATH/locks. A permit is given by one transaction that gives the guard
// back: so a program that was paused, or has lost the guard, can never add a permit that is one too many.
//
// Safe for concurrent use; it needs no close.
type Semaphore struct {
	guard  *Mutex // whom one waits for; its znodes are the guard's contenders
	permit *Mutex // what a permit is held by
	size   int    // fixed, or what a shared one begins with
	leases string // directory of the permits
	sizeAt string // znode of the size; "" when it is nowhere
	codec  sizeCodec
	shared bool // the znode decides, not size

	established atomic.Bool // the znode of the size was there
}

// NewSemaphore makes a semaphore of so many permits at a path. Nothing is sent.
//
// All programs must agree on the size. In the style of Kazoo the first one writes it, and others with another one get an
// [ErrSizeMismatch]; data that is no number does not matter. [WithSharedSize] lets a znode decide instead.
//
// Errors: [gazoo.ErrBadArguments], every problem at once.
func NewSemaphore(zk *gazoo.Client, path string, size int, opts ...Option) (*Semaphore, error) {
	cfg, err := configure(zk, path, opts, contend.Exclusive)
	s := &Semaphore{size: size, shared: cfg.sizeAt != nil, codec: textSize}
	problems := []error{err}
	bad := func(arg, reason string) {
		problems = append(problems, &gazoo.ArgumentError{Arg: arg, Reason: reason})
	}
	guard := ""
	switch cfg.style.Name {
	case Kazoo.Name:
		guard, s.leases, s.sizeAt = path+"-__lock__", path, path
	case Curator.Name:
		guard, s.leases = path+"/locks", path+"/leases"
	default:
		bad("style", "is not one of semaphores")
	}
	if cfg.sizeAt != nil {
		if s.sizeAt = *cfg.sizeAt; s.sizeAt == "" {
			s.sizeAt = path
		} else {
			s.codec = countSize
			problems = append(problems, gazoo.ValidatePath(s.sizeAt))
		}
	}
	if path == "/" {
		bad("path", "of a semaphore is not the root")
	}
	if size < 1 && !s.shared || size < 0 || size > maxSize {
		bad("size", fmt.Sprintf("of %d", size))
	}
	if cfg.lasting {
		bad("lasting", "is not for permits")
	}
	if cfg.reenter {
		bad("re-entrance", "is not for permits: each is one of its own")
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("new semaphore: %w", err)
	}
	s.guard = &Mutex{zk: zk, path: guard, cfg: cfg, role: contend.Exclusive}
	s.permit = &Mutex{zk: zk, path: path, cfg: cfg, role: contend.Shared, kind: ofPermit}
	return s, nil
}

// Path returns the path of the semaphore.
func (s *Semaphore) Path() string { return s.permit.path }

// Acquire waits until it has a permit. It survives lost connections and, at the end of the queue, lost sessions. Nobody
// in the way, it takes seven requests with the release, in the style of Curator six.
//
// Errors: the context's, in every phase of the wait, and nothing is left behind then; [ErrSizeMismatch];
// [gazoo.ErrNoAuth]; with [WithOneSession] those of the session; [gazoo.ErrClosed].
func (s *Semaphore) Acquire(ctx context.Context) (*Held, error) { return s.one(ctx, false) }

// TryAcquire is Acquire that does not wait: neither for a permit, nor for others that are ahead.
//
// Errors: [ErrBusy] and those of Acquire.
func (s *Semaphore) TryAcquire(ctx context.Context) (*Held, error) { return s.one(ctx, true) }

// AcquireN waits until it has n permits, which it gets all at once: nobody waits with a part of what it needs.
//
// Errors: [gazoo.ErrBadArguments] for an n below 1 or above a fixed size, and those of Acquire.
func (s *Semaphore) AcquireN(ctx context.Context, n int) (*Group, error) {
	return s.several(ctx, n, false)
}

// TryAcquireN is AcquireN that does not wait.
//
// Errors: [ErrBusy] and those of AcquireN.
func (s *Semaphore) TryAcquireN(ctx context.Context, n int) (*Group, error) {
	return s.several(ctx, n, true)
}

// Do runs fn with a permit, as [Mutex.Do] does with a lock.
func (s *Semaphore) Do(ctx context.Context, fn func(ctx context.Context, permit *Held) error) error {
	return do(ctx, s.Acquire, fn)
}

func (s *Semaphore) one(ctx context.Context, try bool) (*Held, error) {
	permits, err := s.acquire(ctx, 1, try)
	if err != nil {
		return nil, err
	}
	return permits[0], nil
}

func (s *Semaphore) several(ctx context.Context, n int, try bool) (*Group, error) {
	permits, err := s.acquire(ctx, n, try)
	if err != nil {
		return nil, err
	}
	return newGroup(ctx, permits), nil
}

// Holders lists who has a permit, oldest first, in one request and one for each, all in flight together. Every child
// counts, whoever made it, as it does for the other libraries.
//
// Errors: [gazoo.ErrNoAuth].
func (s *Semaphore) Holders(ctx context.Context) ([]Contender, error) {
	zk := s.permit.zk
	names, err := zk.Children(ctx, s.leases)
	if errors.Is(err, gazoo.ErrNoNode) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("holders: %w", err)
	}
	list := make([]Contender, len(names))
	for i, name := range names {
		list[i] = Contender{Path: gazoo.JoinPath(s.leases, name), Shared: true, Turn: true}
	}
	if list, err = describe(ctx, zk, list); err != nil {
		return nil, fmt.Errorf("holders: %w", err)
	}
	slices.SortFunc(list, func(a, b Contender) int {
		return cmp.Or(cmp.Compare(a.Czxid, b.Czxid), cmp.Compare(a.Path, b.Path))
	})
	for i := range list {
		list[i].Position = i
	}
	return list, nil
}

// Waiters lists who waits for permits, first come first: see [Mutex.Contenders]. The first one holds the guard.
func (s *Semaphore) Waiters(ctx context.Context) ([]Contender, error) { return s.guard.Contenders(ctx) }

// Revoke asks a holder to give its permit back: see [Mutex.Revoke].
func (s *Semaphore) Revoke(ctx context.Context, c Contender) error {
	return revoke(ctx, s.permit.zk, s.leases, c)
}
