// Package get is the command that prints a znode's data.
package get

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
	stat bool
}

// NewCmd returns the command.
func NewCmd(e *env.Env) *cobra.Command { return newCmd(e, run) }

func newCmd(e *env.Env, run func(context.Context, *options) error) *cobra.Command {
	o := &options{env: e}
	cmd := &cobra.Command{
		Use:     "get PATH",
		GroupID: env.GroupRead,
		Short:   "Print a znode's data",
		Long: `Print a znode's data, byte for byte; on a terminal a newline follows. Read-only.

Text cannot tell null data from empty data; JSON can:
  {"path":"/a","data":"hello"}      data that is UTF-8
  {"path":"/a","data_base64":"/w=="}  any other data
  {"path":"/a","data":null}         null
With --stat, the stat is printed to stderr, or with JSON as "stat": see gazoo stat --help.`,
		Example: `  gazoo get /app/config
  gazoo get /app/image > image.png
  gazoo get --output json /app/config | jq -r .data`,
		Args:              env.Args("PATH"),
		ValidArgsFunction: e.CompletePath,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.path, err = e.Path(args[0]); err != nil {
				return err
			}
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVarP(&o.stat, "stat", "s", false, "print the stat too")
	return cmd
}

type result struct {
	Path string `json:"path"`
	output.Value
	Stat *output.Stat `json:"stat,omitempty"`
}

func run(ctx context.Context, o *options) error {
	return o.env.Do(ctx, func(ctx context.Context, zk *gazoo.Client) error {
		data, stat, err := zk.Get(ctx, o.path)
		if err != nil {
			return err
		}
		return show(o, data, output.StatOf(stat))
	})
}

func show(o *options, data []byte, stat *output.Stat) error {
	r := result{Path: o.path, Value: output.ValueOf(data)}
	if o.stat {
		r.Stat = stat
	}
	p := o.env.Printer()
	err := p.Show(r, func() {
		p.Bytes(data)
		if p.Terminal() {
			p.Bytes([]byte("\n"))
		}
	})
	if err != nil || p.JSON() || !o.stat {
		return err
	}
	// Stdout holds the data and nothing but the data.
	talk := output.New(o.env.Err, false, o.env.OutTerminal)
	talk.Table(nil, stat.Rows())
	return talk.Flush()
}
