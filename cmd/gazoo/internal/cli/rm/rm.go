// Package rm is the command that deletes znodes.
package rm

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
)

type options struct {
	env       *env.Env
	path      string
	version   int32
	recursive bool
	yes       bool
	force     bool
}

// NewCmd returns the command.
func NewCmd(e *env.Env) *cobra.Command { return newCmd(e, run) }

func newCmd(e *env.Env, run func(context.Context, *options) error) *cobra.Command {
	o := &options{env: e}
	cmd := &cobra.Command{
		Use:     "rm PATH",
		GroupID: env.GroupWrite,
		Short:   "Delete a znode, or a whole subtree",
		Long: `Delete a znode that has no children. Changes the tree.

With --recursive everything below it goes too, children first. That asks on a terminal, and needs
--yes elsewhere. It is not atomic; how much was deleted is reported on stderr.

"/" and what is below /zookeeper, the servers' own, are refused without --force. With it,
rm -r / deletes everything below / except /zookeeper.

Prints nothing.`,
		Example: `  gazoo rm /app/config
  gazoo rm --version 3 /app/config
  gazoo rm -r --yes /app/cache`,
		Args:              env.Args("PATH"),
		ValidArgsFunction: e.CompletePath,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.path, err = e.Path(args[0]); err != nil {
				return err
			}
			if err := o.check(); err != nil {
				return err
			}
			return run(cmd.Context(), o)
		},
	}
	fs := cmd.Flags()
	fs.Int32Var(&o.version, "version", gazoo.AnyVersion, "version the znode must have, `N`; -1 for any")
	fs.BoolVarP(&o.recursive, "recursive", "r", false, "delete everything below it too")
	fs.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	fs.BoolVar(&o.force, "force", false, "accept / and /zookeeper")
	return cmd
}

func (o *options) check() error {
	absolute, err := o.env.Absolute(o.path)
	if err != nil {
		return exit.Usagef("--servers: %s", exit.OneLine(err.Error()))
	}
	switch {
	case !o.force && (o.path == "/" || absolute == "/" || system(absolute)):
		return exit.Usagef("refusing to delete %s (--force overrides)", o.path)
	case o.recursive && o.version != gazoo.AnyVersion:
		return exit.Usagef("--recursive ignores versions: leave --version out")
	case o.recursive && !o.yes && !o.env.InTerminal:
		return exit.Usagef("rm --recursive needs --yes when there is nobody to ask")
	}
	return nil
}
