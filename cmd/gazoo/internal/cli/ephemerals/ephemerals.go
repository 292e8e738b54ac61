// Package ephemerals is the command that lists ephemeral znodes and who owns them.
package ephemerals

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/output"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/walk"
)

type options struct {
	env    *env.Env
	prefix string
	mine   bool
}

// NewCmd returns the command.
func NewCmd(e *env.Env) *cobra.Command { return newCmd(e, run) }

func newCmd(e *env.Env, run func(context.Context, *options) error) *cobra.Command {
	o := &options{env: e}
	cmd := &cobra.Command{
		Use:     "ephemerals [PREFIX]",
		GroupID: env.GroupRead,
		Short:   "List ephemeral znodes and their sessions",
		Long: `List the ephemeral znodes of all sessions whose paths begin with PREFIX, sorted: path, tab, the
owner's session id. Read-only. It reads the whole tree below PREFIX's last slash.

With --mine only those of this very session, in one request (ZooKeeper 3.6): of use where the
session goes on between commands.

JSON, a line per znode: {"path":"/app/members/me","session":"0x1000…"}`,
		Example: `  gazoo ephemerals
  gazoo ephemerals /app/members/`,
		Args:              env.Args("[PREFIX]"),
		ValidArgsFunction: e.CompletePath,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.prefix = append(args, "/")[0]
			if _, err := e.Path(start(o.prefix)); err != nil {
				return err
			}
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&o.mine, "mine", false, "only those of this session")
	return cmd
}

type result struct {
	Path    string `json:"path"`
	Session string `json:"session"`
}

func run(ctx context.Context, o *options) error {
	return o.env.Do(ctx, func(ctx context.Context, zk *gazoo.Client) error {
		find := o.all
		if o.mine {
			find = o.own
		}
		found, err := find(ctx, zk)
		p := o.env.Printer()
		var rows [][]string
		for _, r := range found {
			if p.JSON() {
				p.Object(r)
			} else {
				rows = append(rows, []string{r.Path, r.Session})
			}
		}
		if len(rows) > 0 {
			p.Table([]string{"PATH", "SESSION"}, rows)
		}
		if ferr := p.Flush(); ferr != nil {
			return ferr
		}
		return err
	})
}

// start is the path at which everything with a prefix can be found.
func start(prefix string) string {
	return prefix[:strings.LastIndexByte(prefix, '/')+1]
}

// all finds those of every session. What the ACL hides makes the list incomplete, which is an
// error beside the list.
func (o *options) all(ctx context.Context, zk *gazoo.Client) ([]result, error) {
	root, err := o.env.Path(start(o.prefix))
	if err != nil {
		return nil, err
	}
	var found []result
	var denied error
	for n, err := range walk.Tree(ctx, zk, root, walk.Unlimited) {
		switch {
		case err != nil:
			return nil, err
		case !strings.HasPrefix(n.Path, o.prefix):
		case n.Denied != nil:
			o.env.Say("%s", exit.Message(n.Denied))
			denied = exit.Explain(n.Denied, "the list is not complete")
		case n.Stat.Ephemeral():
			found = append(found, result{n.Path, output.Hex(n.Stat.EphemeralOwner)})
		}
	}
	return found, denied
}

func (o *options) own(ctx context.Context, zk *gazoo.Client) ([]result, error) {
	paths, err := zk.Ephemerals(ctx, o.prefix)
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	found := make([]result, len(paths))
	for i, path := range paths {
		found[i] = result{path, output.Hex(zk.SessionID())}
	}
	return found, nil
}
