package discovery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo"
)

// ErrNoInstance says that a service has no instance that may be used.
var ErrNoInstance = errors.New("no instance available")

// Strategy picks one of the instances, of which there is at least one, and returns its index. A provider does not call
// it twice at a time.
type Strategy[T any] func(instances []Instance[T]) int

// RoundRobin picks one after the other.
func RoundRobin[T any]() Strategy[T] {
	next := -1
	return func(instances []Instance[T]) int {
		next = (next + 1) % len(instances)
		return next
	}
}

// Random picks any.
func Random[T any]() Strategy[T] {
	return func(instances []Instance[T]) int { return rand.IntN(len(instances)) }
}

// Sticky stays with the instance that another strategy has picked, as long as it is there.
func Sticky[T any](pick Strategy[T]) Strategy[T] {
	var id string
	return func(instances []Instance[T]) int {
		for i, instance := range instances {
			if instance.ID == id {
				return i
			}
		}
		i := pick(instances)
		if i >= 0 && i < len(instances) {
			id = instances[i].ID
		}
		return i
	}
}

// ProviderOption configures a [Provider].
type ProviderOption[T any] func(*Provider[T])

// WithStrategy replaces how an instance is picked (default [RoundRobin]).
func WithStrategy[T any](pick Strategy[T]) ProviderOption[T] {
	return func(p *Provider[T]) { p.pick = pick }
}

// WithFilter leaves out instances that a function does not accept. It may be given several times.
func WithFilter[T any](accept func(Instance[T]) bool) ProviderOption[T] {
	return func(p *Provider[T]) { p.filters = append(p.filters, accept) }
}

// WithDownPolicy leaves an instance out after so many errors ([Provider.NoteError]) within a time, until that time is
// over since the first of them (default 2 errors in 30 s, as in Curator).
func WithDownPolicy[T any](errors int, within time.Duration) ProviderOption[T] {
	return func(p *Provider[T]) { p.maxErrors, p.window = errors, within }
}

// Provider picks instances of a service. It is safe for concurrent use. Whoever made it closes it.
type Provider[T any] struct {
	cache     *Cache[T]
	filters   []func(Instance[T]) bool
	maxErrors int
	window    time.Duration

	mu   sync.Mutex // also: one call of pick at a time
	pick Strategy[T]
	down map[downKey]trouble
}

// downKey is one life of an instance: one that registers again begins anew.
type downKey struct {
	id         string
	registered int64
}

type trouble struct {
	since  time.Time
	errors int
}

// Provider begins to follow the instances of a service. It returns at once.
func (d *Discovery[T]) Provider(name string, opts ...ProviderOption[T]) (*Provider[T], error) {
	p := &Provider[T]{pick: RoundRobin[T](), maxErrors: 2, window: 30 * time.Second, down: make(map[downKey]trouble)}
	for _, opt := range opts {
		if opt != nil {
			opt(p)
		}
	}
	switch {
	case p.pick == nil:
		return nil, d.refuse("WithStrategy", "must not be nil")
	case p.maxErrors < 1 || p.window <= 0:
		return nil, d.refuse("WithDownPolicy", "errors and time must be positive")
	}
	for _, accept := range p.filters {
		if accept == nil {
			return nil, d.refuse("WithFilter", "must not be nil")
		}
	}
	var err error
	p.cache, err = d.Cache(name)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Instance picks an instance. The first time it waits until the instances have been read; afterwards it uses what was
// read last, also while there is no connection. Errors: [ErrNoInstance], and those of [Cache.WaitSynced].
func (p *Provider[T]) Instance(ctx context.Context) (Instance[T], error) {
	if err := p.ready(ctx); err != nil {
		return Instance[T]{}, err
	}
	instances := p.All()
	if len(instances) == 0 {
		return Instance[T]{}, fmt.Errorf("%s: %w", p.cache.path, ErrNoInstance)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	i := p.pick(instances)
	if i < 0 || i >= len(instances) {
		return Instance[T]{}, fmt.Errorf("%s: %w", p.cache.path, &gazoo.ArgumentError{Arg: "WithStrategy", Reason: fmt.Sprintf("picked %d of %d", i, len(instances))})
	}
	return instances[i], nil
}

// ready waits for the first list.
func (p *Provider[T]) ready(ctx context.Context) error {
	if len(p.cache.roster.Entries()) > 0 {
		return nil
	}
	return p.cache.WaitSynced(ctx)
}

// All returns the instances that may be picked: enabled, accepted by the filters, and not down.
func (p *Provider[T]) All() []Instance[T] {
	var usable []Instance[T]
	for _, instance := range p.cache.Instances() {
		if !instance.Disabled && !p.isDown(instance) && p.accepts(instance) {
			usable = append(usable, instance)
		}
	}
	return usable
}

func (p *Provider[T]) accepts(instance Instance[T]) bool {
	for _, accept := range p.filters {
		if !accept(instance) {
			return false
		}
	}
	return true
}

// NoteError tells that an instance did not do its work: see [WithDownPolicy].
func (p *Provider[T]) NoteError(instance Instance[T]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, t := range p.down {
		if time.Since(t.since) >= p.window {
			delete(p.down, key)
		}
	}
	key := downKey{instance.ID, millis(instance.Registered)}
	t, found := p.down[key]
	if !found {
		t.since = time.Now()
	}
	t.errors++
	p.down[key] = t
}

func (p *Provider[T]) isDown(instance Instance[T]) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.down[downKey{instance.ID, millis(instance.Registered)}]
	return t.errors >= p.maxErrors && time.Since(t.since) < p.window
}

// Cache returns the instances that the provider knows, whether they may be picked or not. It is closed with the provider.
func (p *Provider[T]) Cache() *Cache[T] { return p.cache }

// Close ends the provider.
func (p *Provider[T]) Close() { p.cache.Close() }
