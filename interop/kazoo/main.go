// Command kazoo runs the test suite of Kazoo, the Python client, on gazoo serve and on Apache ZooKeeper, and compares
// what becomes of each test.
//
//	go run ./interop/kazoo
//
// Both runs go side by side, each in several shards with a standalone server of its own, which the tests stop and start.
// A test may fail or be skipped only if expected.tsv says so, which gives the reason, and then on both servers. Everything
// else is an error, as is a test listed there that passes. A test with an unexpected outcome is run again, alone, up to
// twice: Kazoo's tests wait for fixed times.
//
// It needs the packages that .ci/setup installs: Debian's python3-kazoo has the tests, and Debian's python3 finds them.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"
)

func main() {
	shards := flag.Int("shards", 4, "number of servers of each kind that share the tests")
	only := flag.String("k", "", "expression that selects tests, as pytest -k; nothing is compared with the list then")
	verbose := flag.Bool("v", false, "show pytest's output of failures")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *shards, *only, *verbose); err != nil {
		fmt.Fprintln(os.Stderr, "kazoo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, shards int, only string, verbose bool) error {
	begin := time.Now()
	tmp, err := os.MkdirTemp("", "gazoo-kazoo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	expected, err := readExpected()
	if err != nil {
		return err
	}
	if only != "" {
		expected = nil
	}
	binary, err := buildGazoo(ctx, tmp)
	if err != nil {
		return err
	}
	targets := []*target{
		{name: "apache", start: startApache},
		{name: "gazoo", start: func(dir string) (server, error) { return startGazoo(binary, dir) }},
	}
	var wg sync.WaitGroup
	for _, t := range targets {
		t.suite = suite{shards: shards, only: only, verbose: verbose, tmp: tmp}
		wg.Go(func() { t.err = t.run(ctx, expected) })
	}
	wg.Wait()
	for _, t := range targets {
		if t.err != nil {
			return fmt.Errorf("%s: %w", t.name, t.err)
		}
	}
	apache, ours := targets[0], targets[1]
	problems := slices.Concat(compare(apache.results, ours.results), apache.against(expected), ours.against(expected))
	for _, p := range problems {
		fmt.Println(p)
	}
	fmt.Printf("kazoo: apache_passed=%d ours_passed=%d expected_failures=%d reruns=%d seconds=%.0f\n",
		apache.results.passed(), ours.results.passed(), len(expected), apache.reruns+ours.reruns, time.Since(begin).Seconds())
	if len(problems) > 0 {
		return fmt.Errorf("%d differences", len(problems))
	}
	return nil
}
