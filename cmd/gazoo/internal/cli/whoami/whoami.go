// Package whoami is the command that prints the connection's identities.
package whoami

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
)

type options struct{ env *env.Env }

// NewCmd returns the command.
func NewCmd(e *env.Env) *cobra.Command { return newCmd(e, run) }

func newCmd(e *env.Env, run func(context.Context, *options) error) *cobra.Command {
	o := &options{env: e}
	return &cobra.Command{
		Use:     "whoami",
		GroupID: env.GroupRead,
		Short:   "Print who the server takes you for",
		Long: `Print the identities of the connection, a line each: scheme, tab, user. Read-only (ZooKeeper 3.7).

JSON, a line per identity: {"scheme":"digest","user":"me"}`,
		Example: `  gazoo whoami
  GAZOO_AUTH='digest me:secret' gazoo whoami`,
		Args: env.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
}

type result struct {
	Scheme string `json:"scheme"`
	User   string `json:"user"`
}

func run(ctx context.Context, o *options) error {
	return o.env.Do(ctx, func(ctx context.Context, zk *gazoo.Client) error {
		ids, err := zk.WhoAmI(ctx)
		if err != nil {
			return err
		}
		p := o.env.Printer()
		var rows [][]string
		for _, id := range ids {
			if p.JSON() {
				p.Object(result{id.Scheme, id.User})
			} else {
				rows = append(rows, []string{id.Scheme, id.User})
			}
		}
		if !p.JSON() {
			p.Table([]string{"SCHEME", "USER"}, rows)
		}
		return p.Flush()
	})
}
