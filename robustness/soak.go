package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gazoo-zk/gazoo/robustness/fault"
	"github.com/gazoo-zk/gazoo/robustness/load"
	"github.com/gazoo-zk/gazoo/robustness/program"
	"github.com/gazoo-zk/gazoo/robustness/real"
	"github.com/gazoo-zk/gazoo/robustness/run"
)

// soak is a long run of one program that uses everything, with faults, and with a look at what it costs every so often.
// Each time between two looks ends with a quiet part, so that they see a system at work and not one that recovers.
type soak struct {
	Seed   uint64
	Length time.Duration
	Every  time.Duration // between two looks
	Warm   time.Duration // until the looks count
	World  real.Config
	Print  io.Writer
}

// faulty is the part of the time between two looks in which there are faults.
const faulty = 0.6

// curve is one thing that is looked at, and how much more of it there may be at the end than behind the warm-up: a share
// of what there was, or a number where that is more, because small numbers come and go.
type curve struct {
	name  string
	of    func(real.Sample) float64
	share float64
	more  float64
}

var curves = []curve{
	{"heap", func(s real.Sample) float64 { return float64(s.Heap) / (1 << 10) }, 0.10, 256}, // KiB
	{"goroutines", func(s real.Sample) float64 { return float64(s.Goroutines) }, 0.05, 8},
	{"files", func(s real.Sample) float64 { return float64(s.Files) }, 0.05, 4},
	{"sockets", func(s real.Sample) float64 { return float64(s.Sockets) }, 0.05, 4},
	{"connections", func(s real.Sample) float64 { return float64(s.Connections) }, 0.05, 4},
	{"watches", func(s real.Sample) float64 { return float64(s.Watches) }, 0.10, 15},
	{"ephemerals", func(s real.Sample) float64 { return float64(s.Ephemerals) }, 0.10, 10},
	{"znodes", func(s real.Sample) float64 { return float64(s.Znodes) }, 0.10, 10},
}

func soakCommand(ctx context.Context, args []string) error {
	s := &soak{Print: os.Stdout}
	flags := flag.NewFlagSet("soak", flag.ExitOnError)
	flags.Uint64Var(&s.Seed, "seed", 1, "seed of the faults")
	flags.DurationVar(&s.Length, "length", 20*time.Minute, "how long it runs")
	flags.DurationVar(&s.Every, "every", 10*time.Second, "time between two looks")
	flags.DurationVar(&s.Warm, "warm", 0, "time until the looks count (default a fifth of the length)")
	verbose := flags.Bool("v", false, "print each fault")
	flags.Parse(args)
	if flags.NArg() != 0 {
		flags.Usage()
		os.Exit(2)
	}
	if s.Warm == 0 {
		s.Warm = s.Length / 5
	}
	if *verbose {
		s.World.Log = func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	}
	return s.run(ctx)
}

// look is a sample with the time since the begin.
type look struct {
	at time.Duration
	real.Sample
}

func (s *soak) run(ctx context.Context) (err error) {
	w, err := real.Open(s.World)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()

	watching, stop := context.WithCancel(ctx)
	looked := make(chan []look, 1)
	go func() { looked <- s.watch(watching, w) }()
	p := load.Program()
	r, err := run.Run(ctx, w, "/soak", []*program.Program{p}, s.schedule(run.ClientsOf(p)))
	stop()
	looks := <-looked
	if err != nil {
		return err
	}
	faults := 0
	for _, n := range w.Faults() {
		faults += n
	}
	for _, v := range r.Violations {
		fmt.Fprintln(s.Print, "violation:", v)
	}
	growth := s.show(looks)
	n := r.Ops[p.Name]
	return s.verdict(r, looks, growth, fmt.Sprintf("soak: seconds=%.0f ops=%d faults=%d samples=%d", s.Length.Seconds(), n.OK+n.Refused+n.Maybe, faults, len(looks)))
}

// schedule returns faults for each time between two looks.
func (s *soak) schedule(clients int) fault.Schedule {
	mix := real.Soak()
	mix.Servers, mix.Clients = 3, clients
	all := fault.Schedule{Seed: s.Seed, Mix: mix.Name, Length: s.Length}
	for i := range uint64(s.Length / s.Every) {
		begin := time.Duration(i) * s.Every
		for _, step := range mix.Make(s.Seed+i, time.Duration(faulty*float64(s.Every))).Steps {
			step.At += begin
			all.Steps = append(all.Steps, step)
		}
	}
	return all
}

// watch takes a look every so often until ctx ends. One that is not possible, because something is down, is left out.
func (s *soak) watch(ctx context.Context, w *real.World) (looks []look) {
	begin := w.Clock()
	for i := 1; ; i++ {
		at := time.Duration(i) * s.Every
		if !program.Sleep(ctx, at-w.Clock().Since(begin)) {
			return looks
		}
		soon, cancel := context.WithTimeout(ctx, s.Every/4)
		sample, err := w.Sample(soon, i)
		cancel()
		if err != nil {
			w.Log("no look at %v: %v", at, err)
			continue
		}
		looks = append(looks, look{at, sample})
	}
}

// show prints all looks, a line for each curve, and returns the growth of each behind the warm-up.
func (s *soak) show(looks []look) map[string]growth {
	table := tabwriter.NewWriter(s.Print, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "seconds\t")
	for _, c := range curves {
		fmt.Fprint(table, c.name, "\t")
	}
	fmt.Fprintln(table)
	for _, l := range looks {
		fmt.Fprintf(table, "%.0f\t", l.at.Seconds())
		for _, c := range curves {
			fmt.Fprintf(table, "%.0f\t", c.of(l.Sample))
		}
		fmt.Fprintln(table)
	}
	table.Flush()

	grown := map[string]growth{}
	for _, c := range curves {
		var all []float64
		var behind []point
		for _, l := range looks {
			y := c.of(l.Sample)
			all = append(all, y)
			if l.at >= s.Warm {
				behind = append(behind, point{l.at.Seconds(), y})
			}
		}
		g := fit(behind)
		grown[c.name] = g
		mark := "flat"
		if !c.flat(g) {
			mark = "GROWS"
		}
		fmt.Fprintf(s.Print, "%-11s %s  %.0f to %.0f  %s\n", c.name, sparkline(all), g.first, g.last, mark)
	}
	return grown
}

// flat reports whether a curve has grown by no more than it may.
func (c curve) flat(g growth) bool { return g.last-g.first <= max(c.share*g.first, c.more) }

// verdict prints the summary, and returns an error when something is wrong.
func (s *soak) verdict(r *run.Result, looks []look, grown map[string]growth, summary string) error {
	var errs []error
	for _, c := range curves {
		if g := grown[c.name]; !c.flat(g) {
			errs = append(errs, fmt.Errorf("%s grows from %.0f to %.0f", c.name, g.first, g.last))
		}
	}
	if want := int(s.Length / s.Every / 2); len(looks) < want {
		errs = append(errs, fmt.Errorf("%d looks are too few, want %d", len(looks), want))
	}
	if len(r.Violations) > 0 {
		errs = append(errs, fmt.Errorf("%d violations", len(r.Violations)))
	}
	flat := 1
	if len(errs) > 0 {
		flat = 0
	}
	for _, c := range curves[1:] {
		summary += fmt.Sprintf(" %s=%.0f", c.name, grown[c.name].last)
	}
	for _, name := range []string{"heap", "goroutines", "sockets", "watches"} {
		summary += fmt.Sprintf(" %s_growth_percent=%d", name, grown[name].percent())
	}
	fmt.Fprintf(s.Print, "%s flat=%d\n", summary, flat)
	return errors.Join(errs...)
}

// sparkline draws numbers between zero and the largest.
func sparkline(values []float64) string {
	const steps = "▁▂▃▄▅▆▇█"
	top := 0.0
	for _, v := range values {
		top = max(top, v)
	}
	var b strings.Builder
	for _, v := range values {
		level := 0
		if top > 0 {
			level = int(v / top * 7)
		}
		b.WriteRune([]rune(steps)[level])
	}
	return b.String()
}
