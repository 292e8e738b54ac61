// Package version is the command that prints the versions of the tool and the server.
package version

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
)

// patience bounds the wait for a server, which this command can do without.
const patience = 2 * time.Second

type options struct{ env *env.Env }

// NewCmd returns the command.
func NewCmd(e *env.Env) *cobra.Command { return newCmd(e, run) }

func newCmd(e *env.Env, run func(context.Context, *options) error) *cobra.Command {
	o := &options{env: e}
	return &cobra.Command{
		Use:     "version",
		GroupID: env.GroupMore,
		Short:   "Print the versions of this tool and of the server",
		Long: `Print this tool's version, revision and Go version, and, when a server answers within two seconds,
the server's version and address: name, tab, value. No server is no error. Read-only.

JSON: {"gazoo":"v0.1.0","revision":"1a2b…","go":"go1.26","server":"3.8.0","address":"zk1:2181"},
without "server" and "address" when there is none.`,
		Example: `  gazoo version`,
		Args:    env.Args(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
}

type result struct {
	Gazoo    string `json:"gazoo"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
	Server   string `json:"server,omitempty"`
	Address  string `json:"address,omitempty"`
}

func run(ctx context.Context, o *options) error {
	r := built(debug.ReadBuildInfo())
	if err := o.server(ctx, &r); err != nil {
		o.env.Say("server version unknown: %s", exit.Message(err))
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	p := o.env.Printer()
	return p.Show(r, func() {
		var rows [][]string
		for _, row := range [][]string{
			{"gazoo", r.Gazoo}, {"revision", r.Revision}, {"go", r.Go}, {"server", r.Server}, {"address", r.Address},
		} {
			if row[1] != "" {
				rows = append(rows, row)
			}
		}
		p.Table(nil, rows)
	})
}

// built takes the tool's own part from its build information.
func built(info *debug.BuildInfo, ok bool) result {
	r := result{Gazoo: "unknown"}
	if !ok {
		return r
	}
	r.Gazoo, r.Go = info.Main.Version, info.GoVersion
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			r.Revision = s.Value + r.Revision
		case s.Key == "vcs.modified" && s.Value == "true":
			r.Revision += "+dirty"
		}
	}
	return r
}

func (o *options) server(ctx context.Context, r *result) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, &exit.TimeoutError{After: patience})
	defer cancel()
	return o.env.Do(ctx, func(ctx context.Context, zk *gazoo.Client) error {
		v, err := zk.ServerVersion(ctx)
		if err == nil {
			r.Server, r.Address = v.String(), zk.Server()
		}
		return err
	})
}
