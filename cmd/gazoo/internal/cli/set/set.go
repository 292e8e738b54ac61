// Package set is the command that writes a znode's data.
package set

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/output"
)

type options struct {
	env     *env.Env
	path    string
	value   string // "-" is stdin
	version int32
}

// NewCmd returns the command.
func NewCmd(e *env.Env) *cobra.Command { return newCmd(e, run) }

func newCmd(e *env.Env, run func(context.Context, *options) error) *cobra.Command {
	o := &options{env: e}
	cmd := &cobra.Command{
		Use:     "set PATH VALUE",
		GroupID: env.GroupWrite,
		Short:   "Write a znode's data",
		Long: `Write the data of a znode that exists. Changes the tree.

VALUE "-" reads the data from stdin, byte for byte. A value that begins with a minus sign goes
behind "--". With --version the write happens only if the znode has that version.

Prints nothing; JSON: {"path":"/a","stat":{…}}, with the stat after the write.`,
		Example: `  gazoo set /app/config 'rate=10'
  gazoo set /app/image - < image.png
  gazoo set --version 3 /app/config 'rate=20'
  gazoo set /app/offset -- -5`,
		Args:              env.Args("PATH", "VALUE"),
		ValidArgsFunction: e.CompletePath,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.path, err = e.Path(args[0]); err != nil {
				return err
			}
			o.value = args[1]
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().Int32Var(&o.version, "version", gazoo.AnyVersion, "version the znode must have, `N`; -1 for any")
	return cmd
}

type result struct {
	Path string       `json:"path"`
	Stat *output.Stat `json:"stat"`
}

func run(ctx context.Context, o *options) error {
	data, err := o.env.Value(ctx, o.value)
	if err != nil {
		return err
	}
	return o.env.Do(ctx, func(ctx context.Context, zk *gazoo.Client) error {
		stat, err := zk.Set(ctx, o.path, data, o.version)
		if err != nil || !o.env.JSON() {
			return err
		}
		p := o.env.Printer()
		p.Object(result{o.path, output.StatOf(stat)})
		return p.Flush()
	})
}
