package lock

import (
	"context"
	"fmt"

	"github.com/gazoo-zk/gazoo/recipes/internal/contend"
)

// again deals with a Lock whose context is that of a holder of the same lock. Goroutines have no identity, so it is the
// context that tells who asks. Neither a handle nor an error means that there is no such holder.
func (m *Mutex) again(ctx context.Context, try bool) (*Held, error) {
	h, _ := ctx.Value(m.key()).(*hold)
	if h == nil || h.tenure.Err() != nil {
		return nil, nil
	}
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("lock %s: %w", m.path, context.Cause(ctx))
	case m.role == contend.Exclusive && h.mutex.role == contend.Shared:
		return nil, fmt.Errorf("lock %s: %w", m.path, ErrUpgrade)
	case m.cfg.reenter:
		return h.share(ctx), nil // nil: released meanwhile
	case try:
		return nil, nil // does not wait, so the server may say
	}
	return nil, fmt.Errorf("lock %s: %w", m.path, ErrDeadlock)
}
