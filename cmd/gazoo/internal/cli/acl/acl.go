// Package acl is the command that prints or replaces a znode's ACL.
package acl

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/output"
)

type options struct {
	env     *env.Env
	path    string
	set     []gazoo.ACL // nil to print
	version int32
}

// NewCmd returns the command.
func NewCmd(e *env.Env) *cobra.Command { return newCmd(e, run) }

func newCmd(e *env.Env, run func(context.Context, *options) error) *cobra.Command {
	o := &options{env: e}
	var set string
	cmd := &cobra.Command{
		Use:     "acl PATH",
		GroupID: env.GroupWrite,
		Short:   "Print or replace a znode's ACL",
		Long: `Print a znode's ACL, an entry per line as scheme:id:perms, with perms out of cdrwa (create,
delete, read, write, admin). With --set, replace it; that changes the tree and prints nothing.

Servers hide the hashes of digest entries from those without the right admin.

JSON: {"path":"/a","acl":[{"scheme":"world","id":"anyone","perms":"cdrwa"}],"stat":{…}}`,
		Example: `  gazoo acl /app
  gazoo acl /app --set world:anyone:r,digest:me:HASH:cdrwa
  gazoo acl /app --set auth::cdrwa --version 0`,
		Args:              env.Args("PATH"),
		ValidArgsFunction: e.CompletePath,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.path, err = e.Path(args[0]); err != nil {
				return err
			}
			replace := cmd.Flags().Changed("set")
			if replace {
				if o.set, err = gazoo.ParseACL(set); err != nil {
					return exit.Usagef("--set: %v", err)
				}
			}
			if cmd.Flags().Changed("version") && !replace {
				return exit.Usagef("--version goes with --set")
			}
			return run(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&set, "set", "", "new `ACL` as scheme:id:perms,…")
	cmd.Flags().Int32Var(&o.version, "version", gazoo.AnyVersion, "ACL version (aversion) the znode must have, `N`; -1 for any")
	return cmd
}

type result struct {
	Path string       `json:"path"`
	ACL  []entry      `json:"acl"`
	Stat *output.Stat `json:"stat"`
}

type entry struct {
	Scheme string `json:"scheme"`
	ID     string `json:"id"`
	Perms  string `json:"perms"`
}

func run(ctx context.Context, o *options) error {
	return o.env.Do(ctx, func(ctx context.Context, zk *gazoo.Client) error {
		if o.set != nil {
			stat, err := zk.SetACL(ctx, o.path, o.set, o.version)
			if err != nil || !o.env.JSON() {
				return err
			}
			return show(o, o.set, stat)
		}
		acl, stat, err := zk.GetACL(ctx, o.path)
		if err != nil {
			return err
		}
		return show(o, acl, stat)
	})
}

func show(o *options, acl []gazoo.ACL, stat gazoo.Stat) error {
	r := result{Path: o.path, Stat: output.StatOf(stat)}
	for _, a := range acl {
		r.ACL = append(r.ACL, entry{a.Scheme, a.ID, a.Perms.String()})
	}
	p := o.env.Printer()
	return p.Show(r, func() {
		for _, a := range acl {
			p.Line(a.String())
		}
	})
}
