// Package serve is the command that runs a ZooKeeper server, in pure Go, in this process.
package serve

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
	"github.com/gazoo-zk/gazoo/zkserver"
)

type options struct {
	env           *env.Env
	listen, admin string
	tick, reap    time.Duration
	words, super  string
	modern        bool
	level         slog.Level
	disk          diskOptions
	limits        limitOptions
}

// NewCmd returns the command.
func NewCmd(e *env.Env) *cobra.Command { return newCmd(e, run) }

func newCmd(e *env.Env, run func(context.Context, *options) error) *cobra.Command {
	o := &options{env: e}
	cmd := &cobra.Command{
		Use:     "serve",
		GroupID: env.GroupServer,
		Short:   "Run a ZooKeeper server in this process",
		Long: `Run a server that is to clients a standalone Apache ZooKeeper 3.8, until interrupted. With --dir it is
durable, in Apache's own format: nothing is answered before it is safe on disk, and sessions go on
after a restart. Without, everything is kept in memory and gone when it ends. It listens on the
loopback interface unless told otherwise, and an interrupt or SIGTERM ends it in good order.

Stdout has one line: the address to connect to. The log is on stderr.
JSON: {"address":"127.0.0.1:2181"}`,
		Example: `  gazoo serve
  gazoo serve --dir /var/lib/gazoo
  gazoo serve --listen 127.0.0.1:0 --tick-time 200ms --extended-types`,
		Args: env.Args(),
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.listen, "listen", "127.0.0.1:2181", "address to listen on; port 0 is a free one")
	o.disk.flags(cmd)
	f.DurationVar(&o.tick, "tick-time", 3*time.Second, "grid on which sessions expire")
	f.StringVar(&o.words, "4lw", "srvr", "four-letter words that are answered, separated by commas; * is all")
	f.StringVar(&o.super, "super-digest", "", `identity that passes every check, "super:" and base64(sha1("super:password"))`)
	f.BoolVar(&o.modern, "v3.9", false, "behave as ZooKeeper 3.9 where that differs from 3.8")
	f.DurationVar(&o.reap, "reap-interval", time.Minute, "how often containers and TTL znodes are looked for")
	f.StringVar(&o.admin, "admin", "", "address to serve Apache's admin commands on over HTTP, at /commands; it asks nobody who they are")
	f.TextVar(&o.level, "log-level", slog.LevelInfo, "least `level` that is logged: DEBUG, INFO, WARN or ERROR")
	o.limits.flags(cmd)
	return cmd
}

func (o *options) server(log *slog.Logger) (*zkserver.Server, error) {
	opts := []zkserver.Option{
		zkserver.WithAddr(o.listen), zkserver.WithTickTime(o.tick), zkserver.WithReapInterval(o.reap),
		zkserver.WithLogger(log), zkserver.WithFourLetterWords(list(o.words)...),
	}
	if o.super != "" {
		opts = append(opts, zkserver.WithSuperDigest(o.super))
	}
	if o.modern {
		opts = append(opts, zkserver.WithVersion39())
	}
	return zkserver.Start(slices.Concat(opts, o.limits.server(), o.disk.server())...)
}

type result struct {
	Address string `json:"address"`
}

func run(ctx context.Context, o *options) error {
	ignoreFileLimit()
	heap := startTuner()
	defer heap.close()
	log := slog.New(slog.NewTextHandler(o.env.Err, &slog.HandlerOptions{Level: o.level}))
	srv, err := o.server(log)
	if err != nil {
		return exit.Explain(err, "cannot serve on %s: %v", o.listen, err)
	}
	defer srv.Close()
	heap.serving()
	admin, err := startAdmin(o.admin, srv, log)
	if err != nil {
		return exit.Explain(err, "cannot serve the admin commands on %s: %v", o.admin, err)
	}
	defer admin.close()
	p := o.env.Printer()
	if err := p.Show(result{srv.Addr()}, func() { p.Bytes([]byte(srv.Addr() + "\n")) }); err != nil {
		return err
	}
	if err := p.Flush(); err != nil {
		return err
	}
	log.Info("serving", "address", srv.Addr(), "connect", "gazoo --servers "+srv.Addr()+" ls /")
	select {
	case <-ctx.Done():
	case <-srv.Done():
		return ended(srv)
	}
	log.Info("stopping", "sessions", len(srv.Sessions()), "connections", srv.ConnCount())
	if srv.Close() != nil {
		return ended(srv)
	}
	return nil
}
