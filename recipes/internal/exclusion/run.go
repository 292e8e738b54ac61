package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/child"
	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/internal/faultproxy"
)

// Bounds of the steps that no fault disturbs.
const (
	settling = time.Minute      // until everything runs again
	idling   = time.Minute      // until every contender has given up or released
	clearing = 15 * time.Second // until no contender is left at the lock
)

// config says what is run.
type config struct {
	Length     time.Duration // of all parts of a round together
	Parts      []part
	Seed       uint64
	Plant      string
	Verbose    bool
	Processes  int
	Contenders int // of all processes together
	Session    time.Duration

	// Rounds of all parts there may be, when one does not show enough (default 1).
	Rounds int
	enough func(report) bool
}

func defaults() config {
	return config{
		Processes: 4, Contenders: 40, Session: 700 * time.Millisecond,
		Parts:  []part{{Name: "clients"}, {Name: "servers", Partitions: true}},
		enough: func(r report) bool { return len(r.lacks()) == 0 },
	}
}

// servers describes the ensemble. A server that is cut off in silence goes on answering for three seconds (syncLimit),
// four times as long as sessions last.
func servers() ensemble.Config {
	return ensemble.Config{Servers: 3, QuorumProxies: true, TickTime: 50 * time.Millisecond}
}

// runner runs one measurement.
type runner struct {
	cfg       config
	servers   *ensemble.Ensemble
	links     []*link // of each contender
	spawn     *child.Spawner
	processes []*process
	journal   *journal
	zk        *gazoo.Client // beside all proxies
	parts     uint64        // begun so far

	mu         sync.Mutex // guards what follows
	taken      map[holdID]bool
	partitions int
	disturbed  int
}

// run runs all parts.
func run(ctx context.Context, cfg config, e *ensemble.Ensemble) (r report, err error) {
	begin := now()
	run := &runner{cfg: cfg, servers: e, spawn: child.NewSpawner(), journal: newJournal(), taken: map[holdID]bool{}}
	defer func() { err = errors.Join(err, run.close()) }()
	if err := run.open(ctx); err != nil {
		return report{}, err
	}
	r = report{cfg: cfg}
	for round := range max(cfg.Rounds, 1) {
		for _, p := range cfg.Parts {
			p.Name = fmt.Sprintf("%s-%d", p.Name, round)
			ev, err := run.part(ctx, p)
			if err != nil {
				return report{}, fmt.Errorf("part %s: %w", p.Name, err)
			}
			r.add(judge(ev))
		}
		if cfg.enough(r) {
			break
		}
	}
	r.seconds = now().since(begin).Seconds()
	return r, nil
}

// open starts the processes and waits until all contenders have sessions.
func (r *runner) open(ctx context.Context) (err error) {
	if r.zk, err = gazoo.Connect(ctx, r.servers.Hosts()); err != nil {
		return err
	}
	each := r.cfg.Contenders / r.cfg.Processes
	for i := range r.cfg.Processes {
		a := assignment{First: i * each, Session: r.cfg.Session, Seed: r.cfg.Seed, Plant: r.cfg.Plant}
		for range each {
			l, hosts := &link{}, []string{}
			r.links = append(r.links, l)
			for s := range r.servers.Len() {
				proxy, err := faultproxy.New(r.servers.Server(s).Addr())
				if err != nil {
					return err
				}
				l.proxies = append(l.proxies, proxy)
				hosts = append(hosts, proxy.Addr())
			}
			a.Hosts = append(a.Hosts, strings.Join(hosts, ","))
		}
		p, err := startProcess(r.spawn, i, a, r.journal)
		if p != nil {
			r.processes = append(r.processes, p)
		}
		if err != nil {
			return err
		}
	}
	return r.awaitAll(ctx, 0, evReady, settling)
}

// awaitAll waits until all processes have reported something since an index of the journal.
func (r *runner) awaitAll(ctx context.Context, from int, kind string, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for range r.processes {
		var err error
		if _, from, err = r.journal.wait(ctx, from, func(e event) bool { return e.Kind == kind }); err != nil {
			return fmt.Errorf("waiting for %q of all processes: %w", kind, err)
		}
	}
	return nil
}

// part runs one part, and collects what it shows.
func (r *runner) part(ctx context.Context, p part) (evidence, error) {
	for _, path := range []string{p.register(), p.history()} {
		if err := r.zk.Retry(ctx, func(ctx context.Context) error {
			_, err := r.zk.EnsurePath(ctx, path)
			return err
		}); err != nil {
			return evidence{}, err
		}
	}
	from := r.journal.len()
	if err := r.tellAll(order{Do: doStart, Part: p}); err != nil {
		return evidence{}, err
	}
	if err := r.faults(ctx, p); err != nil {
		return evidence{}, err
	}
	if err := r.whole(ctx); err != nil {
		return evidence{}, err
	}
	idle := r.journal.len()
	if err := r.tellAll(order{Do: doStop}); err != nil {
		return evidence{}, err
	}
	if err := r.awaitAll(ctx, idle, evFinished, idling); err != nil {
		return evidence{}, err
	}
	ev := evidence{cfg: r.cfg, part: p}
	var err error
	if ev.orphans, err = r.orphans(ctx, p); err != nil {
		return evidence{}, err
	}
	if err := r.fates(ctx, from); err != nil {
		return evidence{}, err
	}
	ev.events = r.journal.since(from)
	for _, p := range r.processes {
		ev.stops = append(ev.stops, p.takeStops()...)
	}
	ev.partitions, ev.disturbed, r.partitions, r.disturbed = r.partitions, r.disturbed, 0, 0
	return ev, r.writes(ctx, p, &ev)
}

// faults does what is to be done to everybody in a part.
func (r *runner) faults(ctx context.Context, p part) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Length/time.Duration(len(r.cfg.Parts)))
	defer cancel()
	hunters := [][]fault{clientFaults, clientFaults}
	switch {
	case r.cfg.Plant == plantUnverified:
		hunters = [][]fault{serverFaults[:1]}
	case p.Partitions:
		hunters = [][]fault{serverFaults, clientFaults, clientFaults}
	}
	r.parts++
	rnd := func(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(r.cfg.Seed+r.parts, stream)) }
	tasks := []func() error{func() error { return r.annoy(ctx, rnd(100)) }}
	for i, faults := range hunters {
		h := &hunter{r: r, faults: faults, rnd: rnd(uint64(101 + i))}
		tasks = append(tasks, func() error { return h.hunt(ctx) })
	}
	errs := make([]error, len(tasks))
	var wg sync.WaitGroup
	for i, task := range tasks {
		wg.Go(func() {
			if errs[i] = task(); errs[i] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// whole ends all faults and waits until the servers serve.
func (r *runner) whole(ctx context.Context) error {
	for _, l := range r.links {
		l.each((*faultproxy.Proxy).Clear)
	}
	r.servers.Heal()
	ctx, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	return r.servers.WaitReady(ctx)
}

// orphans waits until no contender is left at the lock, and returns those that stay. All sessions are open.
func (r *runner) orphans(ctx context.Context, p part) ([]string, error) {
	for deadline := now().add(clearing); ; {
		names, err := r.children(ctx, p.lock())
		if err != nil || len(names) == 0 || now() > deadline || !sleep(ctx, 50*time.Millisecond) {
			return names, err
		}
	}
}

// children lists what is in a directory by now; a missing one has nothing, since an empty container is deleted in time.
func (r *runner) children(ctx context.Context, path string) (names []string, err error) {
	err = r.zk.Retry(ctx, func(ctx context.Context) error {
		if err := r.zk.Sync(ctx, path); err != nil {
			return err
		}
		names, err = r.zk.Children(ctx, path)
		if errors.Is(err, gazoo.ErrNoNode) {
			return nil
		}
		return err
	})
	return names, err
}

// fates waits until it is known of every lost lock what became of its session.
func (r *runner) fates(ctx context.Context, from int) error {
	ctx, cancel := context.WithTimeout(ctx, idling)
	defer cancel()
	for _, e := range r.journal.since(from) {
		if e.Kind != evEnded {
			continue
		}
		known := func(f event) bool { return f.Kind == evFate && f.id() == e.id() }
		if _, _, err := r.journal.wait(ctx, from, known); err != nil {
			return fmt.Errorf("waiting for a session after hold %d of contender %d: %w", e.Hold, e.Contender, err)
		}
	}
	return nil
}

// writes reads the history of the register.
func (r *runner) writes(ctx context.Context, p part, ev *evidence) error {
	names, err := r.children(ctx, p.history())
	if err != nil {
		return err
	}
	for _, name := range names {
		prefix, number, ok := gazoo.SequenceOf(name)
		token, err := strconv.ParseInt(strings.TrimSuffix(prefix, "-"), 16, 64)
		if !ok || err != nil {
			return fmt.Errorf("%s is no entry of a history", name)
		}
		ev.history = append(ev.history, entry{token, number})
	}
	slices.SortFunc(ev.history, func(a, b entry) int { return int(a.number) - int(b.number) })
	return r.zk.Retry(ctx, func(ctx context.Context) error {
		_, stat, err := r.zk.Get(ctx, p.register())
		ev.version = stat.Version
		return err
	})
}

func (r *runner) tellAll(o order) error {
	for _, p := range r.processes {
		if err := p.tell(o); err != nil {
			return err
		}
	}
	return nil
}

// keep tells a holder to hold on for a while.
func (r *runner) keep(g event, length time.Duration) error {
	return r.processOf(g.Contender).tell(order{Do: doKeep, Contender: g.Contender, Hold: g.Hold, For: length})
}

func (r *runner) processOf(contender int) *process {
	return r.processes[contender/(r.cfg.Contenders/r.cfg.Processes)]
}

// mayTake lets each hold be the business of one hunter.
func (r *runner) mayTake(id holdID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.taken[id]
	r.taken[id] = true
	return !taken
}

// disturb has a fault on the links of a contender.
func (r *runner) disturb(ctx context.Context, contender int, begin func(*faultproxy.Proxy), wait func(context.Context)) {
	l := r.links[contender]
	if !l.TryLock() {
		return // somebody else is at it
	}
	defer l.Unlock()
	r.mu.Lock()
	r.disturbed++
	r.mu.Unlock()
	l.each(begin)
	wait(ctx)
	l.each((*faultproxy.Proxy).Clear)
}

// partition cuts a server off for a while.
func (r *runner) partition(ctx context.Context, server int, cut func(int), wait func(context.Context)) {
	begin := now()
	cut(server)
	wait(ctx)
	r.servers.Heal()
	healed := now()
	r.mu.Lock()
	r.partitions++
	r.mu.Unlock()
	// Two at once would leave no quorum, and so nobody who could get the lock wrongly.
	ready, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	if err := r.servers.WaitReady(ready); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "exclusion: the servers do not find each other:", err)
	}
	r.log("server %d was cut off for %v, and it took %v for all to be ready", server, healed.since(begin), now().since(healed))
}

// close ends the processes and everything else.
func (r *runner) close() error {
	var errs []error
	for _, p := range r.processes {
		p.in.Close()
	}
	for _, p := range r.processes {
		errs = append(errs, p.end())
	}
	r.spawn.Close()
	for _, l := range r.links {
		l.each(func(p *faultproxy.Proxy) { p.Close() })
	}
	if r.zk != nil {
		r.zk.CloseNow()
	}
	return errors.Join(errs...)
}

// log prints what was done, when that is wanted.
func (r *runner) log(format string, args ...any) {
	if r.cfg.Verbose {
		fmt.Fprintf(os.Stderr, format+"\n", args...)
	}
}
