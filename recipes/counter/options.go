package counter

import (
	"errors"
	"fmt"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/cas"
	"github.com/gazoo-zk/gazoo/recipes/lock"
)

type config struct {
	create   []gazoo.CreateOption
	parents  []gazoo.CreateOption
	mutex    *lock.Mutex
	after    int
	tries    int
	receipts *cas.Receipts
	problems []error
}

// Option changes how a value is written.
type Option func(*config)

// WithACL gives the znode, and parents that have to be made, an ACL other than the client's default.
func WithACL(acl ...gazoo.ACL) Option {
	return func(c *config) {
		c.create = append(c.create, gazoo.WithACL(acl...))
		c.parents = append(c.parents, gazoo.WithACL(acl...))
	}
}

// WithTries bounds how often a change is tried without the lock (default: until its context ends). Behind that it
// fails with [ErrContended], or queues at the lock ([WithLock]).
func WithTries(n int) Option {
	return func(c *config) {
		if n < 1 {
			c.problem("WithTries", "%d is not a number of tries", n)
		}
		c.tries = n
	}
}

// DefaultTries is how often a change is tried before it queues at the lock of [WithLock].
const DefaultTries = 5

// WithLock makes a change that has lost against others for [WithTries] times (default [DefaultTries]) take a lock, and
// go on under it: the losers stand in line instead of getting in each other's way (Curator: PromotedToLock). The lock
// needs a path of its own, the same for all.
func WithLock(mu *lock.Mutex) Option {
	return func(c *config) {
		if mu == nil {
			c.problem("WithLock", "the mutex is nil")
		}
		c.mutex = mu
	}
}

// WithReceipts lets lost answers be resolved in every case, at the price of a second znode in each write: see the package
// comment. Receipts are znodes below dir, one for each change that is under way at the same time in this program.
// [Value.Close] deletes them; those of a program that dies stay, unless kind makes them [gazoo.Ephemeral], which gives
// up the certainty when the session ends together with the answer, or [gazoo.TTL], which needs extended types.
func WithReceipts(dir string, kind ...gazoo.CreateOption) Option {
	return func(c *config) {
		if err := gazoo.ValidatePath(dir); err != nil {
			c.problems = append(c.problems, fmt.Errorf("WithReceipts: %w", err))
		}
		c.receipts = cas.NewReceipts(dir, kind...)
	}
}

func (c *config) problem(arg, format string, a ...any) {
	c.problems = append(c.problems, &gazoo.ArgumentError{Arg: arg, Reason: fmt.Sprintf(format, a...)})
}

// configure is the one place where arguments are checked.
func configure(zk *gazoo.Client, path string, codec bool, opts []Option) (*config, error) {
	c := &config{}
	for _, opt := range opts {
		opt(c)
	}
	if zk == nil {
		c.problem("client", "is nil")
	}
	if !codec {
		c.problem("codec", "is nil")
	}
	if err := gazoo.ValidatePath(path); err != nil {
		c.problems = append(c.problems, err)
	}
	c.after = c.tries
	if c.mutex != nil && c.after == 0 {
		c.after = DefaultTries
	}
	return c, errors.Join(c.problems...)
}
