// Command measure compares the embedded server with Apache ZooKeeper on this machine, side by side in one run:
//
//	go run ./internal/measure throughput   reads and durable creates per second, and the p99 of both
//	go run ./internal/measure million      the memory for 1,000,000 znodes of 100 bytes
//
// Each prints one line of key=value pairs for scripts, behind the figures of each round. See -help for what can be set.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"
)

// settings are the flags that the measurements share.
type settings struct {
	dir    string        // on the disk that is to be measured
	rounds int           // of each load on each server, by turns
	length time.Duration // of a round
	znodes int
}

func main() {
	var s settings
	flag.StringVar(&s.dir, "dir", os.TempDir(), "directory to work in, on a real disk")
	flag.IntVar(&s.rounds, "rounds", 5, "rounds of each load on each server, by turns")
	flag.DurationVar(&s.length, "length", 3*time.Second, "length of a round")
	flag.IntVar(&s.znodes, "znodes", 1_000_000, "znodes for the measurement of memory")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: measure [flags] throughput|million")
		flag.PrintDefaults()
	}
	flag.Parse()
	measurements := map[string]func(context.Context, settings) error{"throughput": throughput, "million": million}
	run, known := measurements[flag.Arg(0)]
	if !known || flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := inDir(ctx, s, run); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

// inDir runs a measurement in a new directory, which goes with it.
func inDir(ctx context.Context, s settings, run func(context.Context, settings) error) error {
	dir, err := os.MkdirTemp(s.dir, "gazoo-measure-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if s.dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	return run(ctx, s)
}
