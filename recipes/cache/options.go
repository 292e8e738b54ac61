package cache

import (
	"errors"
	"math"

	"github.com/gazoo-zk/gazoo"
)

// Choice is what a filter makes of a znode.
type Choice uint8

const (
	Keep  Choice = iota // it and what is below it
	Skip                // not the znode itself, but what is below it
	Prune               // neither: nothing is read there
)

type config struct {
	depth    int
	filter   func(path string) Choice
	noData   bool
	storage  any // a Storage, of the cache's T
	maxNodes int
	maxBytes int64
	queue    int
	window   int
	problems []error
}

// Option changes what a cache holds.
type Option func(*config)

// WithDepth bounds how far below the root the cache reaches: 0 is the root alone, 1 its children too. The default has
// no bound.
func WithDepth(levels int) Option {
	return func(c *config) {
		if levels < 0 {
			c.bad("depth", "is negative")
		}
		c.depth = levels
	}
}

// WithFilter chooses znodes by their paths. It is asked for every znode below the root, on the goroutine of the cache.
func WithFilter(choose func(path string) Choice) Option { return func(c *config) { c.filter = choose } }

// WithoutData keeps names and stats alone; the codec is not called.
func WithoutData() Option { return func(c *config) { c.noData = true } }

// WithMaxNodes bounds the number of znodes. Those that come when it is full are left out, and what is below them, and
// the cache says so: [ErrOverflow].
func WithMaxNodes(n int) Option {
	return func(c *config) {
		if n < 1 {
			c.bad("max nodes", "is less than one")
		}
		c.maxNodes = n
	}
}

// WithMaxBytes bounds the data of all znodes together, in bytes, in the same way as [WithMaxNodes].
func WithMaxBytes(n int64) Option {
	return func(c *config) {
		if n < 1 {
			c.bad("max bytes", "is less than one")
		}
		c.maxBytes = n
	}
}

// WithQueue is how many events a subscription holds one by one (default 1,000). When there are more, those of one
// znode are joined.
func WithQueue(events int) Option {
	return func(c *config) {
		if events < 1 {
			c.bad("queue", "is less than one")
		}
		c.queue = events
	}
}

func (c *config) bad(arg, reason string) {
	c.problems = append(c.problems, &gazoo.ArgumentError{Arg: arg, Reason: reason})
}

func configure(zk *gazoo.Client, path string, opts []Option) (*config, error) {
	c := &config{depth: math.MaxInt, maxNodes: math.MaxInt, maxBytes: math.MaxInt64, queue: 1000, window: 512}
	for _, opt := range opts {
		opt(c)
	}
	if zk == nil {
		c.bad("client", "is nil")
	}
	if err := gazoo.ValidatePath(path); err != nil {
		c.problems = append(c.problems, err)
	}
	return c, errors.Join(c.problems...)
}

func (c *config) choose(path string) Choice {
	if c.filter == nil {
		return Keep
	}
	return c.filter(path)
}
