// Package serve is the command that runs a ZooKeeper server, in pure Go, in this process.
package serve

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
	"github.com/gazoo-zk/gazoo/zkserver"
)

type options struct {
	env                    *env.Env
	listen                 string
	tick, shortest, longer time.Duration
	reap                   time.Duration
	clientConns, conns     int
	outstanding            int
	maxRequest             int
	words, super           string
	extended, quota        bool
	skipACL, modern        bool
	disk                   diskOptions
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
loopback interface unless told otherwise.

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
	f.DurationVar(&o.shortest, "min-session-timeout", 0, "shortest session time-out (default 2 ticks)")
	f.DurationVar(&o.longer, "max-session-timeout", 0, "longest session time-out (default 20 ticks)")
	f.IntVar(&o.clientConns, "max-client-conns", 60, "connections from one address; 0 is no limit")
	f.IntVar(&o.conns, "max-conns", 0, "connections in all; 0 is no limit")
	f.IntVar(&o.outstanding, "outstanding", 1000, "requests inside the server above which connections are not read")
	f.IntVar(&o.maxRequest, "max-request", 1<<20-1, "bytes of one request")
	f.StringVar(&o.words, "4lw", "srvr", "four-letter words that are answered, separated by commas; * is all")
	f.StringVar(&o.super, "super-digest", "", `identity that passes every check, "super:" and base64(sha1("super:password"))`)
	f.BoolVar(&o.extended, "extended-types", false, "allow znodes with a TTL")
	f.BoolVar(&o.quota, "enforce-quota", false, "refuse writes over a hard quota")
	f.BoolVar(&o.skipACL, "skip-acl", false, "check no ACL")
	f.BoolVar(&o.modern, "v3.9", false, "behave as ZooKeeper 3.9 where that differs from 3.8")
	f.DurationVar(&o.reap, "reap-interval", time.Minute, "how often containers and TTL znodes are looked for")
	return cmd
}

func (o *options) server(log *slog.Logger) (*zkserver.Server, error) {
	opts := []zkserver.Option{
		zkserver.WithAddr(o.listen), zkserver.WithTickTime(o.tick), zkserver.WithSessionTimeouts(o.shortest, o.longer),
		zkserver.WithMaxClientConns(o.clientConns), zkserver.WithMaxConns(o.conns), zkserver.WithOutstandingLimit(o.outstanding),
		zkserver.WithMaxRequest(o.maxRequest), zkserver.WithReapInterval(o.reap), zkserver.WithLogger(log),
		zkserver.WithFourLetterWords(strings.FieldsFunc(o.words, func(r rune) bool { return r == ',' || r == ' ' })...),
	}
	for _, flag := range []struct {
		set bool
		opt zkserver.Option
	}{
		{o.super != "", zkserver.WithSuperDigest(o.super)},
		{o.extended, zkserver.WithExtendedTypes()},
		{o.quota, zkserver.WithEnforceQuota()},
		{o.skipACL, zkserver.WithSkipACL()},
		{o.modern, zkserver.WithVersion39()},
	} {
		if flag.set {
			opts = append(opts, flag.opt)
		}
	}
	return zkserver.Start(append(opts, o.disk.server()...)...)
}

type result struct {
	Address string `json:"address"`
}

func run(ctx context.Context, o *options) error {
	ignoreFileLimit()
	defer startTuning(ctx)()
	log := slog.New(slog.NewTextHandler(o.env.Err, nil))
	srv, err := o.server(log)
	if err != nil {
		return exit.Explain(err, "cannot serve on %s: %v", o.listen, err)
	}
	defer srv.Close()
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
