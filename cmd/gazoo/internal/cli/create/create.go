// Package create is the command that makes a znode.
package create

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
)

type options struct {
	env      *env.Env
	path     string
	value    string // "-" is stdin
	hasValue bool   // otherwise the data is null

	parents, ephemeral, sequential, container, protected, hold bool

	ttl time.Duration
	acl string
}

// NewCmd returns the command.
func NewCmd(e *env.Env) *cobra.Command { return newCmd(e, run) }

func newCmd(e *env.Env, run func(context.Context, *options) error) *cobra.Command {
	o := &options{env: e}
	cmd := &cobra.Command{
		Use:     "create PATH [VALUE]",
		GroupID: env.GroupWrite,
		Short:   "Make a znode",
		Long: `Make a znode and print its actual path. Changes the tree.

Without VALUE the data is null; VALUE "-" reads it from stdin, byte for byte. A value that begins
with a minus sign goes behind "--".

An ephemeral znode lives as long as the session that made it, and this command's session ends with
it. So --ephemeral implies --hold: the session is kept until Ctrl-C, and then the znode goes.
--hold=false creates the znode and lets it go at once.

JSON: {"path":"/a-0000000007","session":"0x100…"}; "session" only for ephemeral znodes.`,
		Example: `  gazoo create /app/config 'rate=10'
  gazoo create --parents /app/eu/config - < config.yaml
  gazoo create --sequential /app/jobs/job-
  gazoo create --ephemeral /app/members/me
  gazoo create --acl world:anyone:r,digest:me:HASH:cdrwa /app/secret`,
		Args:              env.Args("PATH", "[VALUE]"),
		ValidArgsFunction: e.CompletePath,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if len(args) == 2 {
				o.value, o.hasValue = args[1], true
			}
			if o.ephemeral && !cmd.Flags().Changed("hold") {
				o.hold = !e.KeepsSession
			}
			if err := o.check(args[0]); err != nil {
				return err
			}
			return run(cmd.Context(), o)
		},
	}
	fs := cmd.Flags()
	fs.BoolVarP(&o.parents, "parents", "p", false, "make missing parents too")
	fs.BoolVarP(&o.ephemeral, "ephemeral", "e", false, "make it end with the session")
	fs.BoolVarP(&o.sequential, "sequential", "s", false, "append a number of ten digits; PATH may end in /")
	fs.BoolVarP(&o.container, "container", "c", false, "make it go some time after its last child")
	fs.DurationVar(&o.ttl, "ttl", 0, "make it go when it has no children and was not written for this `time`")
	fs.StringVar(&o.acl, "acl", "", "`ACL` as scheme:id:perms,… with perms out of cdrwa (default world:anyone:cdrwa)")
	fs.BoolVar(&o.protected, "protected", false, "put a unique id before the name, so that a lost answer is found out")
	fs.BoolVar(&o.hold, "hold", false, "keep the session until Ctrl-C (implied by --ephemeral)")
	return cmd
}
