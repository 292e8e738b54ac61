package model

import (
	"errors"
	"fmt"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/cas"
)

type config struct {
	create   []gazoo.CreateOption
	parents  []gazoo.CreateOption
	receipts *cas.Receipts
	schemas  *SchemaSet
	problems []error
}

// Option changes how znodes are made and written.
type Option func(*config)

// WithKind says what kind of znodes [Node.Create], [Node.Put] and [Node.Upsert] make: [gazoo.Container], [gazoo.TTL],
// [gazoo.WithACL]. Ephemeral and sequential ones are made with options of [Node.Create].
func WithKind(opts ...gazoo.CreateOption) Option {
	return func(c *config) {
		d := gazoo.DescribeCreate(opts...)
		if d.Mode.Ephemeral() || d.Mode.Sequential() {
			c.problem("WithKind", "a znode that is put is neither ephemeral nor sequential")
		}
		if d.Parents || d.Protected || d.OrSet {
			c.problem("WithKind", "Parents, Protected and OrSet are no kinds of znodes")
		}
		c.create = append(c.create, opts...)
	}
}

// WithParents says what kind of znodes missing parents become: [gazoo.Container], [gazoo.WithACL]. The default is
// persistent ones with the client's default ACL.
func WithParents(opts ...gazoo.CreateOption) Option {
	return func(c *config) { c.parents = append(c.parents, opts...) }
}

// WithReceipts lets lost answers of writes be resolved in every case, at the price of a second znode in each write. The
// receipts are znodes below dir, one for each write that is under way at the same time in this program. [Node.Close]
// and [Model.Close] delete them; those of a program that dies stay, unless kind makes them [gazoo.Ephemeral], which
// gives up the certainty when the session ends together with the answer, or [gazoo.TTL].
func WithReceipts(dir string, kind ...gazoo.CreateOption) Option {
	return func(c *config) {
		if err := gazoo.ValidatePath(dir); err != nil {
			c.problems = append(c.problems, fmt.Errorf("WithReceipts: %w", err))
		}
		c.receipts = cas.NewReceipts(dir, kind...)
	}
}

// WithSchemas holds every operation to schemas before anything is sent: see [SchemaSet].
func WithSchemas(set *SchemaSet) Option { return func(c *config) { c.schemas = set } }

func (c *config) problem(arg, format string, a ...any) {
	c.problems = append(c.problems, &gazoo.ArgumentError{Arg: arg, Reason: fmt.Sprintf(format, a...)})
}

// configure is the one place where arguments are checked.
func configure(zk *gazoo.Client, codec bool, opts []Option) (*config, error) {
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
	return c, errors.Join(c.problems...)
}
