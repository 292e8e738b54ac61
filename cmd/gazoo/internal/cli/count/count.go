// Package count is the command that counts what is below a znode.
package count

import (
	"context"
	"strconv"

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
		Use:     "count [PATH]",
		Aliases: []string{"du"},
		GroupID: env.GroupRead,
		Short:   "Count the znodes below a znode",
		Long: `Print how many znodes are below a znode ("/" when none is given), at any depth, without itself.
Read-only; one request (ZooKeeper 3.6).

JSON: {"path":"/a","count":12}`,
		Example:           `  gazoo count /app`,
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

type result struct {
	Path  string `json:"path"`
	Count int    `json:"count"`
}

func run(ctx context.Context, o *options) error {
	return o.env.Do(ctx, func(ctx context.Context, zk *gazoo.Client) error {
		n, err := zk.AllChildrenNumber(ctx, o.path)
		if err != nil {
			return err
		}
		p := o.env.Printer()
		return p.Show(result{o.path, n}, func() { p.Line(strconv.Itoa(n)) })
	})
}
