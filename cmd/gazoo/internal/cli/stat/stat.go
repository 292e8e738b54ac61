// Package stat is the command that prints a znode's stat.
package stat

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/output"
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
		Use:     "stat PATH",
		GroupID: env.GroupRead,
		Short:   "Print a znode's stat",
		Long: `Print a znode's stat, a line per field: name, tab, value. Read-only; needs no permission.

JSON: {"path":"/a","stat":{"czxid":"0x2","mzxid":"0x2","pzxid":"0x2",
"ctime":"2026-01-02T03:04:05.678Z","mtime":"…","version":0,"cversion":0,"aversion":0,
"ephemeral_owner":"0x0","data_length":5,"num_children":0}}`,
		Example: `  gazoo stat /app/config
  gazoo stat --output json /app/config | jq .stat.version`,
		Args:              env.Args("PATH"),
		ValidArgsFunction: e.CompletePath,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.path, err = e.Path(args[0]); err != nil {
				return err
			}
			return run(cmd.Context(), o)
		},
	}
}

type result struct {
	Path string       `json:"path"`
	Stat *output.Stat `json:"stat"`
}

func run(ctx context.Context, o *options) error {
	return o.env.Do(ctx, func(ctx context.Context, zk *gazoo.Client) error {
		s, found, err := zk.Exists(ctx, o.path)
		if err != nil {
			return err
		}
		if !found {
			return &gazoo.OpError{Op: "stat", Path: o.path, Outcome: gazoo.OutcomeRefused, Err: gazoo.ErrNoNode}
		}
		p, stat := o.env.Printer(), output.StatOf(s)
		return p.Show(result{o.path, stat}, func() { p.Table(nil, stat.Rows()) })
	})
}
