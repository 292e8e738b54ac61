// Command robustness runs client programs on three of Apache's servers, in several processes, while servers, links and
// processes fail, and checks what the programs noted.
//
//	go run ./robustness run [-seed N] [-runs N | -total 60m] [-length 60s] [-mix NAME|rotate] [-programs a,b|all]
//
// Each run has a schedule of faults of its own, made from a seed; runs have consecutive seeds. A violation is printed with
// its history in a file, and its schedule is run again to see how often it comes back.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/gazoo-zk/gazoo/robustness/programs"
	"github.com/gazoo-zk/gazoo/robustness/real"
)

var commands = map[string]func(ctx context.Context, args []string) error{
	"run": runCommand,
}

func main() {
	real.Main(programs.All())
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
