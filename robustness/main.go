// Command robustness runs client programs on three of Apache's servers, in several processes, while servers, links and
// processes fail, and checks what the programs noted.
//
//	go run ./robustness run [-seed N] [-runs N | -total 60m] [-length 60s] [-mix NAME|rotate] [-programs a,b|all]
//
//	go run ./robustness soak [-seed N] [-length 20m]
//
// Each run has a schedule of faults of its own, made from a seed; runs have consecutive seeds. A violation is printed with
// its history in a file, and its schedule is run again to see how often it comes back.
//
// A soak is one long run of a program that uses everything and keeps nothing. It looks at the heap, goroutines and sockets
// of the worker processes and at the watches, connections and ephemerals of the servers, prints the curves, and fails when
// one of them grows.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/gazoo-zk/gazoo/robustness/load"
	"github.com/gazoo-zk/gazoo/robustness/programs"
	"github.com/gazoo-zk/gazoo/robustness/real"
)

var commands = map[string]func(ctx context.Context, args []string) error{
	"run":  runCommand,
	"soak": soakCommand,
}

func main() {
	real.Main(append(programs.All(), load.Program()))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: robustness run|soak [flags]; -h behind it lists them")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](ctx, os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "robustness:", err)
		os.Exit(1)
	}
}
