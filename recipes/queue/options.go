package queue

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gazoo-zk/gazoo"
)

type config struct {
	style    Style
	acl      []gazoo.ACL
	capacity int
	shards   []string
	lockPath string
	owner    []byte
	quorum   bool
	requeue  bool
	retry    time.Duration
	onError  func(error)

	problems []error
}

// Option changes a queue.
type Option func(*config)

// WithStyle chooses the format (default [Kazoo]).
func WithStyle(s Style) Option { return func(c *config) { c.style = s } }

// WithACL gives the znodes of the queue, items included, an ACL other than the client's default.
func WithACL(acl ...gazoo.ACL) Option {
	return func(c *config) { c.acl = slices.Clone(acl) }
}

// WithCapacity makes puts wait while the queue has n znodes. The bound is exact among all that put with it: a put
// is applied only if no other was between it and the count it was decided by, and those that lose try again. So puts
// are slower, one after the other; each also writes the queue's own znode, leaving its data as it is. Who puts
// without a capacity, programs in other languages for example, is not held by it.
func WithCapacity(n int) Option {
	return func(c *config) {
		if c.capacity = n; n < 1 {
			c.refuse("WithCapacity", fmt.Sprintf("%d is not a number of items", n))
		}
	}
}

// WithShards spreads the items over further paths beside the queue's own, for queues of more than some ten thousand
// items, where listing one directory becomes too much for a request. All who use the queue must give the same
// paths. There is no order between items of different shards, except by priority or due time.
func WithShards(paths ...string) Option {
	return func(c *config) { c.shards = append(c.shards, paths...) }
}

// WithLockPath says where the lock znodes of a [Locking] are, in styles other than [Kazoo], whose format has a place
// for them. It is Curator's lockPath. With [WithShards] each shard has them in a child of it, named like the shard.
func WithLockPath(path string) Option { return func(c *config) { c.lockPath = path } }

// WithOwner is what the lock znodes of a [Locking] say about their owner (default: a random id, 32 hex digits, as
// Kazoo's). No two queues may say the same.
func WithOwner(data []byte) Option {
	return func(c *config) {
		if c.owner = slices.Clone(data); len(data) == 0 {
			c.refuse("WithOwner", "empty")
		}
	}
}

// WithQuorum holds the items of a [Locking] only as long as the ensemble commits writes for it: see
// [github.com/gazoo-zk/gazoo/recipes/tenure.Quorum].
func WithQuorum() Option { return func(c *config) { c.quorum = true } }

// WithRequeue makes [Locking.Run] put items at the end of the queue, behind those of the same priority, when the
// function fails with them, instead of handing them back to where they were. It is Curator's ErrorMode.REQUEUE.
func WithRequeue() Option { return func(c *config) { c.requeue = true } }

// WithRetryDelay is how long an item that was handed back by [Locking.Run] or [Locking.Items] is left to other
// consumers before this one takes it again (default 1 s).
func WithRetryDelay(d time.Duration) Option {
	return func(c *config) {
		if c.retry = d; d < 0 {
			c.refuse("WithRetryDelay", "negative")
		}
	}
}

// WithErrors has fn called by [Locking.Run] with what goes wrong with single items: the function's errors, items that
// were lost before they could be consumed, and those that cannot be decoded ([*DecodeError]), which end a Run that has
// nobody to tell. It is called by several goroutines.
func WithErrors(fn func(error)) Option { return func(c *config) { c.onError = fn } }

func (c *config) refuse(arg, reason string) {
	c.problems = append(c.problems, &gazoo.ArgumentError{Arg: arg, Reason: reason})
}

// place is where the items of one shard are, and the locks on them.
type place struct{ entries, taken string }

// configure checks everything together and returns the places: the queue's path first.
func configure(zk *gazoo.Client, path string, opts []Option, locking bool) (*config, []place, error) {
	c := &config{style: Kazoo, retry: time.Second}
	for _, opt := range opts {
		opt(c)
	}
	if zk == nil {
		c.refuse("zk", "nil")
	}
	if c.style.parse == nil {
		c.refuse("WithStyle", "not a style of this package")
	}
	paths := append([]string{path}, c.shards...)
	for i, p := range paths {
		if err := gazoo.ValidatePath(p); err != nil {
			c.problems = append(c.problems, err)
		} else if slices.Contains(paths[:i], p) {
			c.refuse("WithShards", p+" twice")
		}
	}
	if c.capacity > 0 && len(c.shards) > 0 {
		c.refuse("WithCapacity", "does not go with shards")
	}
	places := make([]place, len(paths))
	for i, p := range paths {
		places[i].entries = p
	}
	if locking {
		c.locks(places)
	} else if c.lockPath != "" || c.owner != nil || c.quorum || c.requeue {
		c.refuse("options", "WithLockPath, WithOwner, WithQuorum and WithRequeue are for locking queues")
	}
	return c, places, errors.Join(c.problems...)
}

// locks completes the places of a locking queue.
func (c *config) locks(places []place) {
	switch {
	case c.style.locking && c.lockPath != "":
		c.refuse("WithLockPath", "the style "+c.style.Name+" has a place for locks")
	case c.style.locking:
		for i, p := range places {
			places[i] = place{gazoo.JoinPath(p.entries, "entries"), gazoo.JoinPath(p.entries, "taken")}
		}
	case c.lockPath == "":
		c.refuse("WithLockPath", "missing: the style "+c.style.Name+" has no place for locks")
	default:
		if err := gazoo.ValidatePath(c.lockPath); err != nil {
			c.problems = append(c.problems, err)
		}
		seen := map[string]bool{}
		for i := range places {
			places[i].taken = c.lockPath
			if len(places) > 1 {
				places[i].taken = gazoo.JoinPath(c.lockPath, gazoo.BaseName(places[i].entries))
			}
			if seen[places[i].taken] {
				c.refuse("WithShards", "two shards have the same last name, and would share their locks")
			}
			seen[places[i].taken] = true
		}
	}
}
