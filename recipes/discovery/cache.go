package discovery

import (
	"context"
	"iter"
	"sync"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/membership"
)

// Cache is the instances of a service, kept up to date. It is safe for concurrent use. Whoever made it closes it.
type Cache[T any] struct {
	path   string
	roster *membership.Roster

	mu      sync.Mutex
	decoded map[string]decoded[T] // by name of the znode
}

// decoded is what became of a znode's data.
type decoded[T any] struct {
	czxid, mzxid int64
	instance     Instance[T]
	err          error
}

// Cache begins to follow the instances of a service, which need not exist. It returns at once: [Cache.WaitSynced] waits
// for the first list.
func (d *Discovery[T]) Cache(name string) (*Cache[T], error) {
	path, err := d.path(name)
	if err != nil {
		return nil, err
	}
	roster, err := membership.NewRoster(d.zk, path)
	if err != nil {
		return nil, err
	}
	return &Cache[T]{path: path, roster: roster}, nil
}

// Instances returns the instances as they were read last, by the names of their znodes, whether they are enabled or not.
func (c *Cache[T]) Instances() []Instance[T] {
	instances, _ := c.decode(c.roster.Entries())
	return instances
}

// Err returns nil while the list is up to date and all znodes are instances, and otherwise why not: [ErrMalformed], or
// what [membership.Roster.Err] says.
func (c *Cache[T]) Err() error {
	if err := c.roster.Err(); err != nil {
		return err
	}
	_, err := c.decode(c.roster.Entries())
	return err
}

// WaitSynced waits until the instances have been read.
func (c *Cache[T]) WaitSynced(ctx context.Context) error { return c.roster.WaitSynced(ctx) }

// Watch iterates over the instances: the present ones as soon as they were read, then the newest list after each change.
// The last element carries the error that ended it: see [membership.Roster.Watch].
func (c *Cache[T]) Watch(ctx context.Context) iter.Seq2[[]Instance[T], error] {
	return func(yield func([]Instance[T], error) bool) {
		for entries, err := range c.roster.Watch(ctx) {
			instances, _ := c.decode(entries)
			if !yield(instances, err) || err != nil {
				return
			}
		}
	}
}

// Close ends the cache. The instances can still be read.
func (c *Cache[T]) Close() { c.roster.Close() }

// decode turns znodes into instances, each version of a znode once.
func (c *Cache[T]) decode(entries []membership.Entry) ([]Instance[T], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := make(map[string]decoded[T], len(entries))
	instances := make([]Instance[T], 0, len(entries))
	var malformed error
	for _, e := range entries {
		v, found := c.decoded[e.Name]
		if !found || v.czxid != e.Stat.Czxid || v.mzxid != e.Stat.Mzxid {
			v = decoded[T]{czxid: e.Stat.Czxid, mzxid: e.Stat.Mzxid}
			v.instance, v.err = decode[T](gazoo.JoinPath(c.path, e.Name), e.Data)
		}
		kept[e.Name] = v
		if v.err != nil {
			malformed = v.err
			continue
		}
		instances = append(instances, v.instance)
	}
	c.decoded = kept
	return instances, malformed
}
