package tenure

import (
	"context"

	"github.com/gazoo-zk/gazoo"
)

type config struct {
	quorum  bool
	changed func(data []byte, stat gazoo.Stat)
	remove  func(ctx context.Context, zk *gazoo.Client) error
}

// Option changes how something is held.
type Option func(*config)

// OnChange has fn called with the znode's data: once in the beginning, and after each change, of which several may be
// seen as one. It runs on the goroutine of the tenure, one call at a time, and must not wait for its release.
func OnChange(fn func(data []byte, stat gazoo.Stat)) Option {
	return func(c *config) { c.changed = fn }
}

// RemoveWith replaces how the znode is removed at the end, which by default is by a delete that does not mind when it is
// gone. It may run several times, from any goroutine.
func RemoveWith(fn func(ctx context.Context, zk *gazoo.Client) error) Option {
	return func(c *config) { c.remove = fn }
}
