package cli

import (
	"github.com/spf13/cobra"

	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/acl"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/bench"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/config"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/count"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/create"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/demo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/ephemerals"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/get"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/ls"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/rm"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/serve"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/set"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/stat"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/sync"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/tree"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/version"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/watch"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/whoami"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/words"
)

const about = `gazoo reads and changes the znodes of Apache ZooKeeper.

Stdout carries data only, everything else goes to stderr. Tables are aligned on a terminal and
tab-separated in a pipe; --output json is stable, and each command's help describes it.

Every option below has an environment variable, which stands in brackets behind it; the option wins.
Credentials come from --auth-file or $GAZOO_AUTH, such as "digest user:password".

` + exit.Help

// NewRoot returns the tree of commands, ready to run one command line in an environment.
func NewRoot(e *env.Env) *cobra.Command {
	root := &cobra.Command{
		Use:   "gazoo",
		Short: "A command-line tool for Apache ZooKeeper",
		Long:  about,
		Example: `  gazoo ls --servers zk1:2181,zk2:2181/app /
  export GAZOO_SERVERS=zk1:2181,zk2:2181,zk3:2181
  gazoo create /config 'rate=10'
  gazoo watch --recursive /config`,
		SilenceErrors: true, // Run reports them
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				return exit.Usagef("unknown command %q, perhaps %q was meant", args[0], near[0])
			}
			return exit.Usagef("unknown command %q", args[0])
		},
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return e.Resolve(cmd.Flags()) },
	}
	root.SetIn(e.In)
	root.SetOut(e.Out)
	root.SetErr(e.Err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return exit.Usagef("%v", err) })
	root.SuggestionsMinimumDistance = 2
	root.PersistentFlags().SortFlags = false
	e.Options.AddTo(root.PersistentFlags())
	root.AddGroup(
		&cobra.Group{ID: env.GroupRead, Title: "Read:"},
		&cobra.Group{ID: env.GroupWrite, Title: "Read and write:"},
		&cobra.Group{ID: env.GroupServer, Title: "Servers:"},
		&cobra.Group{ID: env.GroupMore, Title: "More:"},
	)
	root.SetHelpCommandGroupID(env.GroupMore)
	root.SetCompletionCommandGroupID(env.GroupMore)
	root.AddCommand(
		count.NewCmd(e), ephemerals.NewCmd(e), get.NewCmd(e), ls.NewCmd(e), stat.NewCmd(e),
		tree.NewCmd(e), watch.NewCmd(e), whoami.NewCmd(e),
		acl.NewCmd(e), create.NewCmd(e), rm.NewCmd(e), set.NewCmd(e),
		bench.NewCmd(e), config.NewCmd(e), sync.NewCmd(e), serve.NewCmd(e), words.NewCmd(e), words.NewRuokCmd(e),
		demo.NewCmd(e), version.NewCmd(e),
	)
	return root
}
