// Package bench is the command that measures servers.
package bench

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
)

type options struct {
	env         *env.Env
	path        string
	mix         mix
	size        int
	znodes      int
	children    int
	multi       int
	connections int
	inFlight    int
	duration    time.Duration
	warmUp      time.Duration
	histogram   bool
}

// NewCmd returns the command.
func NewCmd(e *env.Env) *cobra.Command { return newCmd(e, run) }

func newCmd(e *env.Env, run func(context.Context, *options) error) *cobra.Command {
	o := &options{env: e, mix: mix{{opGet, 80}, {opSet, 20}}}
	cmd := &cobra.Command{
		Use:     "bench [PATH]",
		GroupID: env.GroupServer,
		Short:   "Put a load on the servers and measure it",
		Long: `Put a load on the servers, as many callers as --connections times --in-flight say, and print how
many operations a second they did and how long these took. Changes the tree: it works on znodes of its
own below a new znode in PATH ("/" when none is given), which must exist. They are removed at the end,
after Ctrl-C too, which ends the load early and still prints what was measured. A second Ctrl-C leaves
them behind; what is left of an earlier run is called bench- and a number.

Operations for --mix, which is a list of NAME=WEIGHT:
  get       read a znode of --size bytes
  set       write one
  exists    ask whether one exists
  children  list --children names
  create    create a znode, and delete it; both are counted
  multi     write --multi znodes in one transaction
  sync      wait until the server has caught up with its leader
  watch     set a data watch and then the data; measured from there to the event

Each caller waits for an operation's end before it begins the next, so a slow server is asked less
often: the latencies are those at the rate that it reached, not at a rate that it should reach.

A row per operation and one for all: operation, operations per second, count, failures, and the median,
90th, 99th and 99.9th percentile and maximum of the latency in microseconds. With --histogram then, for
each operation, rows of name, latency up to which in microseconds, count, and percent so far. Failures
by kind are on stderr, and make the exit code that of the first of them.

JSON: {"seconds":10.0,"connections":1,"in_flight":16,"size":100,"operations":[{"op":"get",
"per_second":…,"count":…,"failed":0,"p50_us":…,"p90_us":…,"p99_us":…,"p999_us":…,"max_us":…,
"histogram":[{"up_to_us":…,"count":…}]}],"total":{…},"failures":{"connection loss":2}}`,
		Example: `  gazoo bench
  gazoo bench --mix get=80,set=20 --size 1000 --connections 8 --in-flight 32 --duration 30s /app
  gazoo bench --mix create --output json | jq .total.p99_us`,
		Args:              env.Args("[PATH]"),
		ValidArgsFunction: e.CompletePath,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.path, err = e.Path(append(args, "/")[0]); err != nil {
				return err
			}
			if err := o.check(); err != nil {
				return err
			}
			return run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.Var(&o.mix, "mix", "operations and their weights")
	f.IntVar(&o.size, "size", 100, "`bytes` of data in each znode")
	f.IntVar(&o.znodes, "znodes", 100, "how many znodes are read and written")
	f.IntVar(&o.children, "children", 100, "names in a listing")
	f.IntVar(&o.multi, "multi", 10, "operations of a transaction")
	f.IntVarP(&o.connections, "connections", "c", 1, "how many connections, each with a session")
	f.IntVarP(&o.inFlight, "in-flight", "n", 16, "operations in flight on each connection")
	f.DurationVarP(&o.duration, "duration", "d", 10*time.Second, "measured time")
	f.DurationVar(&o.warmUp, "warm-up", time.Second, "time before it, which does not count")
	f.BoolVar(&o.histogram, "histogram", false, "print how the latencies are distributed")
	return cmd
}

func (o *options) check() error {
	for _, n := range []struct {
		flag  string
		value int
		least int
	}{
		{"--size", o.size, 0},
		{"--znodes", o.znodes, 1},
		{"--children", o.children, 0},
		{"--multi", o.multi, 1},
		{"--connections", o.connections, 1},
		{"--in-flight", o.inFlight, 1},
	} {
		if n.value < n.least {
			return exit.Usagef("%s must be at least %d, not %d", n.flag, n.least, n.value)
		}
	}
	switch {
	case o.duration <= 0:
		return exit.Usagef("--duration must be positive, not %v", o.duration)
	case o.warmUp < 0:
		return exit.Usagef("--warm-up must not be negative, and is %v", o.warmUp)
	}
	return nil
}
