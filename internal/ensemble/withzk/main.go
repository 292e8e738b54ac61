// Command withzk runs a command with Apache ZooKeeper beside it, started for it alone and
// stopped behind it. The servers' addresses are in the command's environment as
// GAZOO_SERVERS, which the gazoo tool reads.
//
//	go run ./internal/ensemble/withzk -servers 3 go run ./cmd/gazoo demo
//
// It needs what the tests need: the packages that .ci/setup installs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/gazoo-zk/gazoo/internal/ensemble"
)

func main() {
	servers := flag.Int("servers", 1, "number of servers: 1 is a standalone one, 3 an ensemble")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: withzk [-servers N] COMMAND [ARG...]")
		os.Exit(2)
	}
	code, err := run(*servers, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "withzk:", err)
	}
	os.Exit(code)
}

// run returns the command's exit code, or 1 and an error when it could not be run.
func run(servers int, command []string) (int, error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := ensemble.Available(); err != nil {
		return 1, err
	}
	e, err := ensemble.Start(ensemble.Config{Servers: servers})
	if err != nil {
		return 1, err
	}
	defer e.Close()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "GAZOO_SERVERS="+e.Hosts())
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return max(exit.ExitCode(), 1), nil
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}
