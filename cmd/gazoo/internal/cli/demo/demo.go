// Package demo is the command that shows what the client does, a step at a
// time, and checks every step.
package demo

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
)

type options struct{ env *env.Env }

// NewCmd returns the command.
func NewCmd(e *env.Env) *cobra.Command { return newCmd(e, run) }

func newCmd(e *env.Env, run func(context.Context, *options) error) *cobra.Command {
	o := &options{env: e}
	return &cobra.Command{
		Use:     "demo",
		GroupID: env.GroupMore,
		Short:   "Show what the client does, step by step",
		Long: `Connect, create, read, watch, run transactions, lose the connection and get it back in the same
session, and clean up: each step is described and checked, and the first that does not happen ends
the demo with an error. Reads and writes, below a fresh znode /gazoo-demo-… of its own.

Without --servers it plays on a server inside this command, with nothing to install.

The connection goes through a TCP proxy inside this command, which cuts it when its time has come.
--timeout bounds each step.

JSON, a line per step: {"step":1,"title":"…","lines":["…"]}`,
		Example: `  gazoo demo
  gazoo demo --servers 127.0.0.1:2181`,
		Args: env.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
}

func run(ctx context.Context, o *options) error {
	hosts, stop, err := servers(o.env)
	if err != nil {
		return err
	}
	defer stop()
	s := &stage{env: o.env, hosts: hosts, out: o.env.Printer(), proxies: newProxies()}
	defer s.proxies.close()
	defer s.cleanUp(ctx)
	return s.play(ctx)
}
