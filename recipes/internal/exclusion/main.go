// Command exclusion measures mutual exclusion: three of Apache's servers, forty contenders in four processes, and somebody
// who stops processes, cuts links and partitions servers, most of all those of whoever holds the lock.
//
//	go run ./recipes/internal/exclusion -length 3m
//
// # What is done
//
// The first part of the time is for faults on the clients' side: connections that are cut, stall, lose bytes or vanish in
// a black hole, and processes that are stopped while they hold, and continued, before and after their session's end.
// Locks are taken in the default mode. In the second part servers are cut off from each other, the holder's own, its
// leader, with processes stopped beside that, and the locks are of the quorum-verified mode; in the default mode a server
// that has been cut off could keep a holder in the belief that it still holds, as package tenure says.
//
// # What is judged
//
// All times are read from one clock, CLOCK_MONOTONIC of the machine, which all processes share. A held lock was certainly
// alive from the moment at which its holder, with the handle in hands, read the clock first, to the last moment at which
// it read the clock before a call of Err that returned nil: what ended stays ended, so what is alive after a moment was
// alive at it. A process that is stopped between the two steps makes that interval shorter, never longer. No two of these
// intervals may overlap.
//
// Half of the holders ask Err, which reads the clock itself. The others look at the context, which ends by a timer: what
// they see counts when their process has been running for a while without a break.
//
// Each holder writes its token, in guarded transactions, to a register, and leaves a sequential znode for each of its
// writes: the complete history, including the writes whose answers were lost. In it tokens may only grow.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/gazoo-zk/gazoo/internal/ensemble"
)

func main() {
	if isWorker() {
		os.Exit(work())
	}
	cfg := defaults()
	flag.DurationVar(&cfg.Length, "length", 3*time.Minute, "how long there are faults")
	flag.Uint64Var(&cfg.Seed, "seed", uint64(time.Now().UnixNano()), "seed of what is done; when it is done is up to the machine")
	flag.StringVar(&cfg.Plant, "plant", "", "a mistake to plant, which must be found: deaf or unverified")
	flag.BoolVar(&cfg.Verbose, "v", false, "print each fault")
	flag.Parse()
	if flag.NArg() != 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := measure(ctx, cfg); err != nil {
		fmt.Fprintln(os.Stderr, "exclusion:", err)
		os.Exit(1)
	}
}

// measure runs the whole on an ensemble of its own, and prints the counts.
func measure(ctx context.Context, cfg config) error {
	e, err := ensemble.Start(servers())
	if err != nil {
		return err
	}
	defer e.Close()
	r, err := run(ctx, cfg, e)
	if err != nil {
		return err
	}
	fmt.Println(r)
	return r.verdict()
}
