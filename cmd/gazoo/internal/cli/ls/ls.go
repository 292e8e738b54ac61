// Package ls is the command that lists znodes.
package ls

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
)

type options struct {
	env       *env.Env
	path      string
	recursive bool
	stat      bool
}

// NewCmd returns the command.
func NewCmd(e *env.Env) *cobra.Command { return newCmd(e, run) }

func newCmd(e *env.Env, run func(context.Context, *options) error) *cobra.Command {
	o := &options{env: e}
	cmd := &cobra.Command{
		Use:     "ls [PATH]",
		GroupID: env.GroupRead,
		Short:   "List a znode's children",
		Long: `List the children of a znode ("/" when none is given), sorted, a name per line. Read-only.

With --recursive the znode and everything below it are listed, a path per line, parents first.
With --stat, tab-separated columns: name or path, version, bytes of data, children, time of the
last change of data, and the owner's session id for ephemeral znodes or "-".

JSON, a line per znode: {"path":"/a/b","name":"b"}, with --stat also "stat": see gazoo stat --help.
Znodes that the ACL hides have no stat.`,
		Example: `  gazoo ls /app
  gazoo ls -s /app
  gazoo ls -R --output json /app | jq -r .path`,
		Args:              env.Args("[PATH]"),
		ValidArgsFunction: e.CompletePath,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.path, err = e.Path(append(args, "/")[0]); err != nil {
				return err
			}
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVarP(&o.recursive, "recursive", "R", false, "list everything below it")
	cmd.Flags().BoolVarP(&o.stat, "stat", "s", false, "print stats too")
	return cmd
}
