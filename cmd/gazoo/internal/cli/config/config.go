// Package config is the command that prints the ensemble's configuration.
package config

import (
	"context"
	"strconv"
	"strings"

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
		Use:     "config",
		GroupID: env.GroupServer,
		Short:   "Print the ensemble's members",
		Long: `Print the ensemble's configuration, a line per member: id, role, addresses for the other servers,
address for clients ("-" when not stated), separated by tabs. Read-only. A standalone server has no
members.

JSON: {"version":"100000000","members":[{"id":1,"role":"participant",
"quorum":["zk1:2888:3888"],"client":"zk1:2181"}]}`,
		Example: `  gazoo config
  gazoo config --output json | jq -r '.members[].client'`,
		Args: env.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
}

type result struct {
	Version string   `json:"version"` // hexadecimal, as the servers write it
	Members []member `json:"members"`
}

type member struct {
	ID     int64    `json:"id"`
	Role   string   `json:"role"`
	Quorum []string `json:"quorum"`
	Client string   `json:"client"`
}

func run(ctx context.Context, o *options) error {
	return o.env.Do(ctx, func(ctx context.Context, zk *gazoo.Client) error {
		cfg, _, err := zk.EnsembleConfig(ctx)
		if err != nil {
			return err
		}
		if len(cfg.Members) == 0 {
			o.env.Say("%s is a standalone server: there is no ensemble", zk.Server())
		}
		return show(o, cfg)
	})
}

func show(o *options, cfg gazoo.EnsembleConfig) error {
	r := result{Version: strconv.FormatInt(cfg.Version, 16), Members: []member{}}
	var rows [][]string
	for _, m := range cfg.Members {
		role := "participant"
		if m.Observer {
			role = "observer"
		}
		r.Members = append(r.Members, member{m.ID, role, m.Quorum, m.Client})
		client := m.Client
		if client == "" {
			client = "-"
		}
		rows = append(rows, []string{strconv.FormatInt(m.ID, 10), role, strings.Join(m.Quorum, "|"), client})
	}
	p := o.env.Printer()
	return p.Show(r, func() {
		if rows != nil {
			p.Table([]string{"ID", "ROLE", "QUORUM", "CLIENT"}, rows)
		}
	})
}
