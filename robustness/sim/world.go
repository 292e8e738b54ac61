package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/zkdisk"
	"github.com/gazoo-zk/gazoo/robustness/fault"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
	"github.com/gazoo-zk/gazoo/robustness/run"
	"github.com/gazoo-zk/gazoo/zkserver"
	"github.com/gazoo-zk/gazoo/zktest"
)

// Form is what the servers are.
type Form string

// The forms.
const (
	Memory  Form = "memory"  // three endpoints over one tree, each with a view of its own
	Durable Form = "durable" // one server with its data on a simulated disk
)

// SessionTimeout is what the clients ask for, and get.
const SessionTimeout = 4 * time.Second

const (
	servers = 3 // of the form Memory
	dataDir = "/srv/zk"
)

// World is a [run.World] that lives in the bubble in which it was made.
type World struct {
	form  Form
	srv   *zktest.Server
	disk  *zkdisk.SimDisk // nil in memory
	seed  uint64
	start time.Time
	last  atomic.Int64  // reading of the clock
	turn  chan struct{} // is held while servers start and stop

	mu     sync.Mutex // guards the fields below
	procs  []*process // by target
	undo   map[fault.Step]func()
	down   bool    // the durable server is meant to be down
	failed []error // violations of the world's own
}

// New makes a world. The caller closes it before the bubble ends.
func New(form Form, seed uint64) (*World, error) {
	w := &World{form: form, seed: seed, start: time.Now(), turn: make(chan struct{}, 1), undo: map[fault.Step]func(){}}
	opts := []zktest.Option{zktest.WithLogSize(0)}
	switch form {
	case Memory:
		opts = append(opts, zktest.Endpoints(servers))
	case Durable:
		rnd := rand.New(rand.NewPCG(seed, 1))
		w.disk = zkdisk.NewSimDisk()
		opts = append(opts, zktest.WithServer(
			zkserver.WithFS(w.disk, dataDir), zkserver.WithSnapCount(100+rnd.IntN(600)), zkserver.WithSnapRetain(1+rnd.IntN(3)),
			zkserver.WithPreAllocSize([]int64{512, 4096, 1 << 16}[rnd.IntN(3)]),
		))
	default:
		return nil, fmt.Errorf("sim: no form %q", form)
	}
	var err error
	w.srv, err = zktest.New(opts...)
	return w, err
}

// Clock reads virtual time. No two readings are the same, so that of two operations at one virtual moment it is known
// which came first.
func (w *World) Clock() history.Instant {
	now := int64(time.Since(w.start))
	for {
		last := w.last.Load()
		next := max(now, last+1)
		if w.last.CompareAndSwap(last, next) {
			return history.Instant(next)
		}
	}
}

// Admin opens a client past the networks of the programs.
func (w *World) Admin(ctx context.Context) (*gazoo.Client, error) {
	return gazoo.Connect(ctx, w.srv.Addr(), gazoo.WithDialer(w.srv.Dial), gazoo.WithSessionTimeout(time.Minute))
}

// Launch starts the clients.
func (w *World) Launch(_ context.Context, root string, programs []*program.Program, seed uint64, sink func(history.Op)) (run.Clients, error) {
	rnd := rand.New(rand.NewPCG(seed, 2))
	var procs []*process
	for _, p := range programs {
		for client := range run.ClientsOf(p) {
			procs = append(procs, &process{
				w: w, p: p, client: client, root: run.Root(root, p), seed: seed, sink: sink,
				distance: time.Duration(rnd.Int64N(int64(2 * time.Millisecond))),
			})
		}
	}
	w.mu.Lock()
	w.procs = procs
	w.mu.Unlock()
	for _, p := range procs {
		if err := p.start(); err != nil {
			return nil, err
		}
	}
	return &clients{w, procs}, nil
}

type clients struct {
	w     *World
	procs []*process
}

// Stop tells all programs to let go. Their errors come with those of the world.
func (c *clients) Stop(ctx context.Context) (errs []error) {
	for _, p := range c.procs {
		p.stop()
	}
	for _, p := range c.procs {
		if err := p.wait(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s, client %d: %w", p.p.Name, p.client, err))
		}
	}
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	return append(errs, c.w.failed...)
}

// Heal ends all faults.
func (w *World) Heal(ctx context.Context) error {
	w.mu.Lock()
	procs := w.procs
	w.mu.Unlock()
	for _, p := range procs {
		p.heal()
	}
	w.srv.Heal()
	if w.form == Memory {
		for _, ep := range w.srv.Endpoints() {
			ep.Lag(0)
			ep.Thaw()
			ep.Start()
		}
	}
	zk, err := w.Admin(ctx)
	if err != nil {
		return fmt.Errorf("servers that were healed: %w", err)
	}
	return zk.Close()
}

// Close ends everything.
func (w *World) Close() {
	w.mu.Lock()
	procs := w.procs
	w.mu.Unlock()
	for _, p := range procs {
		p.close()
	}
	w.srv.Close()
}
