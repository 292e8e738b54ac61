package cache

import (
	"fmt"
	"time"
)

// setStale says whether the cache is behind by an unknown amount.
func (c *Cache[T]) setStale(stale bool) {
	c.mu.Lock()
	if c.status.Stale != stale {
		c.status.Stale, c.status.Since = stale, time.Now()
	}
	c.wake()
	c.mu.Unlock()
}

// finish ends a comparison.
func (c *Cache[T]) finish() {
	c.mu.Lock()
	c.status.Generation++
	if c.status.Stale {
		c.status.Stale, c.status.Since = false, time.Now()
	}
	c.emit(Event[T]{Type: Synced, Path: c.path, Generation: c.status.Generation})
	c.wake()
	c.mu.Unlock()
}

// fail ends everything.
func (c *Cache[T]) fail(err error) {
	c.mu.Lock()
	c.failed = fmt.Errorf("cache %s: %w", c.path, err)
	c.status.Stale, c.status.Since = true, time.Now()
	for s := range c.subs {
		s.end(c.failed)
	}
	c.wake()
	c.mu.Unlock()
}

// wake lets those look again who wait for something. mu is held.
func (c *Cache[T]) wake() {
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}
