package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gazoo-zk/gazoo/robustness/fault"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
	"github.com/gazoo-zk/gazoo/robustness/programs"
	"github.com/gazoo-zk/gazoo/robustness/real"
	"github.com/gazoo-zk/gazoo/robustness/run"
)

// Bounds of a campaign.
const (
	details = 5                // of violations of one promise in one run that are printed
	broken  = 3                // runs that could not be done, until the campaign gives up
	tidying = 30 * time.Second // to delete what a run has left
)

// campaign is a number of runs, one after the other on the same servers.
type campaign struct {
	Seed    uint64
	Runs    int
	Total   time.Duration // of the schedules together; instead of Runs when not 0
	Length  time.Duration
	Mix     string // a name, or "rotate"
	Names   string // of programs, with commas; or "all"
	Clients int    // at most, of all programs of a run together
	Table   string // file to which a line per run is added; "" is none
	History string // file for the history of a run with a violation
	Repeats int    // of a schedule that showed a violation
	World   real.Config
	Known   []*program.Program
	Print   io.Writer

	world  *real.World
	totals totals
}

// totals are the sums over all runs.
type totals struct {
	runs, ops, maybe, faults, violations, broken, diverged int
	length                                                 time.Duration
}

func (t totals) String() string {
	return fmt.Sprintf("robustness: runs=%d seconds=%.0f ops=%d maybe=%d faults=%d broken=%d diverged=%d violations=%d",
		t.runs, t.length.Seconds(), t.ops, t.maybe, t.faults, t.broken, t.diverged, t.violations)
}

func runCommand(ctx context.Context, args []string) error {
	c := &campaign{Known: programs.All(), Print: os.Stdout}
	flags := flag.NewFlagSet("run", flag.ExitOnError)
	flags.Uint64Var(&c.Seed, "seed", 1, "seed of the first schedule")
	flags.IntVar(&c.Runs, "runs", 1, "number of runs")
	flags.DurationVar(&c.Total, "total", 0, "run until the schedules are that long together, instead of -runs")
	flags.DurationVar(&c.Length, "length", time.Minute, "length of a schedule")
	flags.StringVar(&c.Mix, "mix", "rotate", "mix of faults: "+strings.Join(mixNames(), ", ")+", or rotate")
	flags.StringVar(&c.Names, "programs", "all", "names of programs, with commas, or all")
	flags.IntVar(&c.Clients, "clients", 40, "clients of a run, at most: the seed chooses which programs it has")
	flags.IntVar(&c.Repeats, "repeats", 5, "how often a schedule that showed a violation is run again")
	flags.StringVar(&c.Table, "out", "", "file to which a line per run is added")
	flags.StringVar(&c.History, "history", filepath.Join(os.TempDir(), "gazoo-history-%d.jsonl"), "file for the history of a run with a violation; %d is its seed")
	verbose := flags.Bool("v", false, "print each fault")
	flags.Parse(args)
	if flags.NArg() != 0 {
		flags.Usage()
		os.Exit(2)
	}
	if *verbose {
		c.World.Log = func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	}
	return errors.Join(c.run(ctx), c.close())
}

// close ends the servers.
func (c *campaign) close() error {
	if c.world == nil {
		return nil
	}
	err := c.world.Close()
	c.world = nil
	return err
}

func mixNames() (names []string) {
	for _, m := range append(real.Mixes(), real.Majority()) {
		names = append(names, m.Name)
	}
	return names
}

// run does all runs. Violations are an error.
func (c *campaign) run(ctx context.Context) error {
	mixes, err := c.mixes()
	if err != nil {
		return err
	}
	known, err := c.named()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(mixes, func(m fault.Mix) bool { return len(c.choose(known, m, 0)) > 0 }) {
		return errors.New("none of the programs goes with the mix")
	}
	for i := 0; ctx.Err() == nil && c.more(i); i++ {
		seed := c.Seed + uint64(i)
		mix := mixes[seed%uint64(len(mixes))]
		chosen := c.choose(known, mix, seed)
		if len(chosen) == 0 {
			continue
		}
		r, o, err := c.one(ctx, chosen, c.schedule(mix, chosen, seed))
		switch {
		case ctx.Err() != nil:
			continue
		case err != nil:
			// It says nothing about what is tested. The servers are of no more use.
			fmt.Fprintf(c.Print, "run: seed=%d mix=%s could not be done: %v\n", seed, mix.Name, err)
			if c.totals.broken++; c.totals.broken == broken {
				return fmt.Errorf("%d runs could not be done", broken)
			}
			continue
		}
		if err := c.note(r, o); err != nil {
			return err
		}
		if len(r.Violations) > 0 && len(o.diverged) == 0 {
			if err := c.violated(ctx, r, chosen); err != nil {
				return err
			}
		}
	}
	fmt.Fprintln(c.Print, c.totals)
	switch {
	case c.totals.violations > 0:
		return fmt.Errorf("%d violations", c.totals.violations)
	case c.totals.runs == 0:
		return errors.New("no run was done")
	}
	return nil
}

func (c *campaign) more(done int) bool {
	if c.Total > 0 {
		return c.totals.length < c.Total
	}
	return done < c.Runs
}

func (c *campaign) mixes() ([]fault.Mix, error) {
	mixes := real.Mixes()
	if c.Mix == "rotate" {
		return mixes, nil
	}
	mixes = append(mixes, real.Majority())
	i := slices.IndexFunc(mixes, func(m fault.Mix) bool { return m.Name == c.Mix })
	if i < 0 {
		return nil, fmt.Errorf("no mix %q; there are %s, and rotate", c.Mix, strings.Join(mixNames(), ", "))
	}
	return mixes[i : i+1], nil
}

// named returns the programs that may run.
func (c *campaign) named() (some []*program.Program, err error) {
	if c.Names == "all" {
		return c.Known, nil
	}
	for name := range strings.SplitSeq(c.Names, ",") {
		i := slices.IndexFunc(c.Known, func(p *program.Program) bool { return p.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("no program %q", name)
		}
		some = append(some, c.Known[i])
	}
	return some, nil
}

// choose returns the programs of a run: those that go with its mix, and so many of them that the machine can bear them.
func (c *campaign) choose(known []*program.Program, mix fault.Mix, seed uint64) (chosen []*program.Program) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	clients := 0
	for _, i := range rnd.Perm(len(known)) {
		p := known[i]
		if n := run.ClientsOf(p); real.Fits(p, mix) && (clients == 0 || clients+n <= c.Clients) {
			chosen, clients = append(chosen, p), clients+n
		}
	}
	return chosen
}

func (c *campaign) schedule(mix fault.Mix, chosen []*program.Program, seed uint64) fault.Schedule {
	mix.Servers, mix.Clients = 3, clientsOf(chosen)
	return mix.Make(seed, c.Length)
}

func clientsOf(programs []*program.Program) (n int) {
	for _, p := range programs {
		n += run.ClientsOf(p)
	}
	return n
}

// observed is what a run has shown beside its result.
type observed struct {
	faults   int
	diverged []string // where the servers hold different data
}

// one does one run, on servers that are started when there are none, and given up when it could not be done or when they
// do not agree any more.
func (c *campaign) one(ctx context.Context, chosen []*program.Program, s fault.Schedule) (r *run.Result, o observed, err error) {
	if c.world == nil {
		w, err := real.Open(c.World)
		if err != nil {
			return nil, o, err
		}
		c.world = w
	}
	c.world.FailMany(s.Mix == real.Majority().Name)
	c.world.Faults()
	root := fmt.Sprintf("/run-%d-%d", s.Seed, c.world.Clock())
	r, err = run.Run(ctx, c.world, root, chosen, s)
	if err == nil {
		o.diverged, err = c.world.Divergence(ctx, root)
	}
	for _, n := range c.world.Faults() {
		o.faults += n
	}
	switch {
	case err == nil && len(o.diverged) == 0:
		err = c.tidy(ctx, root)
	case err == nil:
		return r, o, c.close()
	}
	if err != nil {
		err = errors.Join(err, c.close())
	}
	return r, o, err
}

// tidy deletes what a run has left, so that the servers do not grow.
func (c *campaign) tidy(ctx context.Context, root string) error {
	ctx, cancel := context.WithTimeout(ctx, tidying)
	defer cancel()
	zk, err := c.world.Admin(ctx)
	if err != nil {
		return err
	}
	defer zk.CloseNow()
	return zk.DeleteRecursive(ctx, root, nil)
}

// note prints a run, and adds it to the totals and to the table. One after which the servers did not hold the same is in the
// table, but counts for nothing: promises cannot be kept on top of that.
func (c *campaign) note(r *run.Result, o observed) error {
	ok, refused, maybe, clients := 0, 0, 0, 0
	for _, p := range c.Known {
		if n, ran := r.Ops[p.Name]; ran {
			ok, refused, maybe, clients = ok+n.OK, refused+n.Refused, maybe+n.Maybe, clients+run.ClientsOf(p)
		}
	}
	ops := ok + refused + maybe
	length := r.Schedule.Length
	servers := "agree"
	if len(o.diverged) > 0 {
		servers = "diverged"
		c.totals.diverged++
		for _, line := range o.diverged[:min(details, len(o.diverged))] {
			fmt.Fprintf(c.Print, "diverged: seed=%d %s\n", r.Schedule.Seed, line)
		}
	} else {
		c.totals.runs++
		c.totals.length += length
		c.totals.ops += ops
		c.totals.maybe += maybe
		c.totals.faults += o.faults
		c.totals.violations += len(r.Violations)
	}
	kinds := byPromise(r.Violations)
	fmt.Fprintf(c.Print, "run: seed=%d mix=%s seconds=%.0f took=%.0f clients=%d programs=%s ok=%d refused=%d maybe=%d faults=%d servers=%s violations=%d%s\n",
		r.Schedule.Seed, r.Schedule.Mix, length.Seconds(), r.Took.Seconds(), clients, strings.Join(r.Programs, ","), ok, refused, maybe, o.faults, servers, len(r.Violations), kinds)
	if c.Table == "" {
		return nil
	}
	f, err := os.OpenFile(c.Table, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return err
	} else if info.Size() == 0 {
		fmt.Fprintln(f, "seed\tmix\tseconds\tclients\tops\tmaybe\tfaults\tviolations\tservers")
	}
	_, err = fmt.Fprintf(f, "%d\t%s\t%.0f\t%d\t%d\t%d\t%d\t%d\t%s\n",
		r.Schedule.Seed, r.Schedule.Mix, length.Seconds(), clients, ops, maybe, o.faults, len(r.Violations), servers)
	return err
}

// violated shows what was wrong with a run, and how often the same schedule shows it.
func (c *campaign) violated(ctx context.Context, r *run.Result, chosen []*program.Program) error {
	shown := map[string]int{}
	for _, v := range r.Violations {
		if kind := promise(v); shown[kind] < details {
			shown[kind]++
			fmt.Fprintf(c.Print, "violation: seed=%d %v\n", r.Schedule.Seed, v)
		}
	}
	path := strings.ReplaceAll(c.History, "%d", fmt.Sprint(r.Schedule.Seed))
	if err := writeHistory(path, r); err != nil {
		return err
	}
	fmt.Fprintf(c.Print, "violation: seed=%d history=%s\n", r.Schedule.Seed, path)
	again, tries := 0, 0
	for range c.Repeats {
		other, seen, err := c.one(ctx, chosen, r.Schedule)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			fmt.Fprintf(c.Print, "violation: seed=%d could not be repeated: %v\n", r.Schedule.Seed, err)
			continue
		}
		tries++
		if len(other.Violations) > 0 && len(seen.diverged) == 0 {
			again++
			fmt.Fprintf(c.Print, "violation: seed=%d again:%s\n", r.Schedule.Seed, byPromise(other.Violations))
		}
	}
	fmt.Fprintf(c.Print, "violation: seed=%d came back in %d of %d\n", r.Schedule.Seed, again, tries)
	return nil
}

// promise names the promise that was not kept.
func promise(v run.Found) string { return v.Program + ": " + v.Promise }

// byPromise returns how often each promise was not kept, as text that goes behind a line; "" when all were.
func byPromise(all []run.Found) string {
	counts := map[string]int{}
	for _, v := range all {
		counts[promise(v)]++
	}
	text := ""
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		text += fmt.Sprintf(" [%s: %d]", kind, counts[kind])
	}
	return text
}

// writeHistory writes the schedule and the operations of a run, a JSON object per line.
func writeHistory(path string, r *run.Result) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := json.NewEncoder(f)
	if err := lines.Encode(r.Schedule); err != nil {
		return err
	}
	var ops []history.Op
	for _, name := range r.Programs {
		ops = append(ops, r.History.Ops(name)...)
	}
	slices.SortStableFunc(ops, func(a, b history.Op) int { return int(a.Start - b.Start) })
	for _, op := range ops {
		if err := lines.Encode(op); err != nil {
			return err
		}
	}
	return f.Close()
}
