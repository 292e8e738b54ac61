// Package watch is the command that follows what happens to znodes.
package watch

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
)

type options struct {
	env       *env.Env
	path      string
	recursive bool
	data      bool
	children  bool
	count     int // 0 is no end
}

// NewCmd returns the command.
func NewCmd(e *env.Env) *cobra.Command { return newCmd(e, run) }

func newCmd(e *env.Env, run func(context.Context, *options) error) *cobra.Command {
	o := &options{env: e}
	cmd := &cobra.Command{
		Use:     "watch PATH",
		GroupID: env.GroupRead,
		Short:   "Follow what happens to a znode",
		Long: `Print a line for each event on a znode, which need not exist, until Ctrl-C or --count lines.
Read-only. It survives lost connections and sessions; --timeout bounds the first connect only.

  created|deleted|data-changed|children-changed TAB path
  gap TAB path TAB reason    events may have been missed: look again (not counted)

With --recursive also the events of everything below; then there is no children-changed.

--data and --children follow a state instead: a line for the present one and for each that is seen
later. Changes in quick succession may come as one, the last is never missed, so there are no gaps.

  data TAB path TAB version TAB value     value as a JSON string, null, or base64:…
  children TAB path TAB names             names as a JSON array
  missing TAB path                        the znode does not exist

JSON, a line each:
  {"type":"created","path":"/a"}          also "zxid" where the server tells (ZooKeeper 3.9)
  {"type":"gap","path":"/a","reason":"…"}
  {"type":"data","path":"/a","data":"hello","stat":{…}}     "data" as gazoo get has it
  {"type":"children","path":"/a","children":["b"],"stat":{…}}
  {"type":"missing","path":"/a"}`,
		Example: `  gazoo watch --recursive /app
  gazoo watch --data --output json /app/config
  gazoo watch --count 1 /app/ready`,
		Args:              env.Args("PATH"),
		ValidArgsFunction: e.CompletePath,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.path, err = e.Path(args[0]); err != nil {
				return err
			}
			switch {
			case o.data && o.children, o.recursive && (o.data || o.children):
				return exit.Usagef("--recursive, --data and --children exclude each other")
			case o.count < 0:
				return exit.Usagef("--count must not be negative")
			}
			return run(cmd.Context(), o)
		},
	}
	fs := cmd.Flags()
	fs.BoolVarP(&o.recursive, "recursive", "r", false, "watch everything below it too")
	fs.BoolVar(&o.data, "data", false, "follow its data")
	fs.BoolVar(&o.children, "children", false, "follow the names of its children")
	fs.IntVarP(&o.count, "count", "n", 0, "end after `N` lines; 0 for never")
	return cmd
}
