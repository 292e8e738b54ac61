// Package real is a world of real processes: three servers of Apache's, and client programs in worker processes, each
// client behind proxies of its own.
//
// A worker process is the same executable, started again: see [Main]. It gets orders and reports what its clients note by
// lines of JSON. What an operation notes at its begin has left the process before the operation itself begins, so a
// process that is killed leaves operations whose end nobody knows.
//
// Schedules are executed with the machine's clock: the same seed gives the same steps at the same times, but not the same
// run.
package real

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/child"
	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/internal/faultproxy"
	"github.com/gazoo-zk/gazoo/robustness/fault"
	"github.com/gazoo-zk/gazoo/robustness/history"
)

// Config describes a world. The zero value has the defaults.
type Config struct {
	Processes int                              // with clients (default 4)
	Session   time.Duration                    // time-out of sessions (default 2s)
	Log       func(format string, args ...any) // is told of each fault; nil for none
}

// servers describes the ensemble. One that is cut off in silence goes on answering for three seconds (syncLimit).
func servers() ensemble.Config {
	return ensemble.Config{Servers: 3, QuorumProxies: true, TickTime: 100 * time.Millisecond}
}

// World implements [run.World]. One run at a time.
type World struct {
	cfg      Config
	ensemble *ensemble.Ensemble
	spawn    *child.Spawner

	mu      sync.Mutex // guards what follows
	links   []*link
	clients *clients // of the run under way
	busy    map[target]bool
	undo    map[fault.Step]func(context.Context) error
	done    map[fault.Kind]int
	many    bool // several servers may have a fault at once
}

// Open starts the servers.
func Open(cfg Config) (*World, error) {
	cfg.Processes, cfg.Session = cmp.Or(cfg.Processes, 4), cmp.Or(cfg.Session, 2*time.Second)
	if cfg.Log == nil {
		cfg.Log = func(string, ...any) {}
	}
	e, err := ensemble.Start(servers())
	if err != nil {
		return nil, err
	}
	return &World{
		cfg: cfg, ensemble: e, spawn: child.NewSpawner(),
		busy: map[target]bool{}, undo: map[fault.Step]func(context.Context) error{}, done: map[fault.Kind]int{},
	}, nil
}

// Close ends all processes.
func (w *World) Close() error {
	w.mu.Lock()
	c := w.clients
	w.clients = nil
	w.mu.Unlock()
	if c != nil {
		c.kill()
	}
	w.spawn.Close()
	for _, l := range w.links {
		l.each(func(p *faultproxy.Proxy) { p.Close() })
	}
	return w.ensemble.Close()
}

// Admin implements [run.World].
func (w *World) Admin(ctx context.Context) (*gazoo.Client, error) {
	return gazoo.Connect(ctx, w.ensemble.Hosts())
}

// FailMany lets several servers fail at once, before they are whole again, or forbids it, as at first.
func (w *World) FailMany(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.many = on
}

func (w *World) mayFailMany() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.many
}

// Log tells whoever wants to know of each fault.
func (w *World) Log(format string, args ...any) { w.cfg.Log(format, args...) }

// Clock implements [run.World]: it is the clock of the machine.
func (w *World) Clock() history.Instant { return history.Machine() }

// Heal implements [run.World].
func (w *World) Heal(ctx context.Context) error {
	w.mu.Lock()
	undo, links := w.undo, w.links
	w.undo = map[fault.Step]func(context.Context) error{}
	w.mu.Unlock()
	var errs []error
	for _, f := range undo {
		errs = append(errs, f(ctx))
	}
	for _, l := range links {
		l.each((*faultproxy.Proxy).Clear)
	}
	return errors.Join(append(errs, w.ensemble.Restore(ctx))...)
}

// Faults returns how many faults of each kind were brought about since it was called last.
func (w *World) Faults() map[fault.Kind]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	done := w.done
	w.done = map[fault.Kind]int{}
	return done
}
