package env

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
)

// Groups of commands, in the order of the help. They also say which commands only read.
const (
	GroupRead   = "read"
	GroupWrite  = "write"
	GroupServer = "server"
	GroupMore   = "more"
)

// Args checks positional arguments by their names; those in brackets are optional.
func Args(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > len(names) {
			return exit.Usagef("unexpected argument %q", args[len(names)])
		}
		for _, name := range names[len(args):] {
			if !strings.HasPrefix(name, "[") {
				return exit.Usagef("%s is missing", name)
			}
		}
		return nil
	}
}
