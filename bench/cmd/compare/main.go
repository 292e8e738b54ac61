// Command compare measures clients and servers by turns and compares the medians:
//
//	go run ./bench/cmd/compare                       what is required of the client, on prepared replies
//	go run ./bench/cmd/compare -loads servers        what is required of the server, beside Apache ZooKeeper
//	go run ./bench/cmd/compare -loads get-1,connect  some
//	go run ./bench/cmd/compare -markdown FILE        the table for docs/PERFORMANCE.md, from what -json wrote
//
// It exits with 1 when a figure is below what is required, and with 2 when something did not work. See -help.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gazoo-zk/gazoo/bench/internal/compare"
)

type settings struct {
	loads    string
	only     string
	rounds   int
	duration time.Duration
	warmup   time.Duration
	quick    bool
	list     bool
	json     string
	markdown string
	dir      string
}

func main() {
	var s settings
	flag.StringVar(&s.loads, "loads", "clients", "names of loads with commas between; clients, servers, curves and all are sets")
	flag.StringVar(&s.only, "only", "", "measure these `subjects` only, such as gazoo,gozk")
	flag.IntVar(&s.rounds, "rounds", 5, "rounds of each load, in each of which every subject has its turn")
	flag.DurationVar(&s.duration, "duration", 2*time.Second, "measured time of a turn")
	flag.DurationVar(&s.warmup, "warmup", 700*time.Millisecond, "time before it")
	flag.BoolVar(&s.quick, "quick", false, "one round of 300ms, in which nothing is required but that everything works")
	flag.BoolVar(&s.list, "list", false, "print the loads and what is required, and measure nothing")
	flag.StringVar(&s.json, "json", "", "`file` for the results")
	flag.StringVar(&s.markdown, "markdown", "", "print the results in this `file` as a table, and measure nothing")
	flag.StringVar(&s.dir, "dir", os.TempDir(), "directory to work in, on a real disk")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	below, err := run(ctx, s)
	stop()
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(2)
	case below > 0:
		fmt.Fprintf(os.Stderr, "compare: %d figures are below what is required\n", below)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings) (below int, err error) {
	if s.markdown != "" {
		text, err := os.ReadFile(s.markdown)
		if err != nil {
			return 0, err
		}
		var report compare.Report
		if err := json.Unmarshal(text, &report); err != nil {
			return 0, fmt.Errorf("%s: %w", s.markdown, err)
		}
		return 0, report.Markdown(os.Stdout)
	}
	loads, err := choose(s)
	if err != nil {
		return 0, err
	}
	if s.list {
		for _, l := range loads {
			fmt.Printf("%s: %s (%s)\n", l.Name, l.Title, strings.Join(l.Flags, " "))
			for _, r := range l.Require {
				fmt.Println("\t" + r.String())
			}
		}
		return 0, nil
	}
	if s.quick {
		s.rounds, s.duration, s.warmup = 1, 300*time.Millisecond, 100*time.Millisecond
	}
	work, err := os.MkdirTemp(s.dir, "gazoo-compare-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(work)
	if work, err = filepath.Abs(work); err != nil {
		return 0, err
	}
	runner := &compare.Runner{Dir: work, Rounds: s.rounds, Duration: s.duration, Warmup: s.warmup, Log: os.Stdout}
	defer runner.Close()
	report := compare.Report{
		Command: append([]string{"compare"}, os.Args[1:]...), Date: time.Now().UTC().Format(time.DateOnly),
		Machine: compare.Machine(), Go: runtime.Version(), Rounds: s.rounds, Seconds: s.duration.Seconds(),
	}
	for _, l := range loads {
		if s.quick {
			l.Require = nil
		}
		outcome, err := runner.Run(ctx, l)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", l.Name, err)
		}
		outcome.Print(os.Stdout)
		for _, c := range outcome.Checks {
			if !c.Pass {
				below++
			}
		}
		report.Loads = append(report.Loads, outcome)
		if s.json != "" { // after each load, so that an interrupt loses one
			if err := report.Save(s.json); err != nil {
				return 0, err
			}
		}
	}
	checks := 0
	for _, o := range report.Loads {
		checks += len(o.Checks)
	}
	fmt.Printf("compare: loads=%d rounds=%d checks=%d passed=%d\n", len(loads), s.rounds, checks, checks-below)
	return below, nil
}

// choose returns the loads that were asked for.
func choose(s settings) ([]compare.Load, error) {
	sets := map[string][]compare.Load{
		"clients": compare.Clients(), "servers": compare.Servers(), "curves": compare.Curves(),
	}
	sets["all"] = slices.Concat(sets["clients"], sets["servers"], sets["curves"])
	byName := map[string]compare.Load{}
	for _, l := range sets["all"] {
		byName[l.Name] = l
	}
	var chosen []compare.Load
	for name := range strings.SplitSeq(s.loads, ",") {
		if set, ok := sets[name]; ok {
			chosen = append(chosen, set...)
		} else if l, ok := byName[name]; ok {
			chosen = append(chosen, l)
		} else {
			return nil, fmt.Errorf("-loads %s: there is no such load; see -list -loads all", name)
		}
	}
	if s.only == "" {
		return chosen, nil
	}
	only := strings.Split(s.only, ",")
	for i := range chosen {
		chosen[i] = chosen[i].Only(only)
	}
	return chosen, nil
}
