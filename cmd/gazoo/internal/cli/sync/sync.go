// Package sync is the command that makes the server catch up with the leader.
package sync

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
)

type options struct {
	env  *env.Env
	path string
}

// NewCmd returns the command.
func NewCmd(e *env.Env) *cobra.Command { return newCmd(e, run) }

func newCmd(e *env.Env, run func(context.Context, *options) error) *cobra.Command {
	o := &options{env: e}
	return &cobra.Command{
		Use:     "sync [PATH]",
		GroupID: env.GroupServer,
		Short:   "Make the server catch up with the leader",
		Long: `Wait until the server connected to has caught up with its leader: what follows in the same
session sees every write acknowledged before. By itself it shows that the server reaches its leader.
Read-only. Prints nothing.`,
		Example:           `  gazoo sync`,
		Args:              env.Args("[PATH]"),
		ValidArgsFunction: e.CompletePath,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.path, err = e.Path(append(args, "/")[0]); err != nil {
				return err
			}
			return run(cmd.Context(), o)
		},
	}
}

func run(ctx context.Context, o *options) error {
	return o.env.Do(ctx, func(ctx context.Context, zk *gazoo.Client) error { return zk.Sync(ctx, o.path) })
}
