package serve

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gazoo-zk/gazoo/zkserver"
)

// limitOptions say how much of everything clients may have.
type limitOptions struct {
	clientConns, conns     int
	outstanding, each      int
	maxRequest, buffered   int
	waiting, bufferedAll   int64
	largeFrom              int
	largeTotal             int64
	opWait                 time.Duration
	connects, connectFill  int
	connectEvery           time.Duration
	shortest, longest      time.Duration
	require                string
	reconfig, unfiltered   bool
	quota, skipACL, extend bool
}

func (o *limitOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.DurationVar(&o.shortest, "min-session-timeout", 0, "shortest session time-out (default 2 ticks)")
	f.DurationVar(&o.longest, "max-session-timeout", 0, "longest session time-out (default 20 ticks)")
	f.IntVar(&o.clientConns, "max-client-conns", 60, "connections from one address; 0 is no limit")
	f.IntVar(&o.conns, "max-conns", 0, "connections in all; 0 is no limit")
	f.IntVar(&o.connects, "connect-tokens", 0, "connect requests that may come at once; others are closed; 0 is no limit")
	f.IntVar(&o.connectFill, "connect-fill", 1, "connect tokens that are added each --connect-every")
	f.DurationVar(&o.connectEvery, "connect-every", time.Millisecond, "how often connect tokens are added")
	f.IntVar(&o.outstanding, "outstanding", 1000, "requests inside the server above which connections are not read")
	f.IntVar(&o.each, "outstanding-per-conn", 64, "requests of one connection inside the server above which it is not read")
	f.Int64Var(&o.waiting, "outstanding-bytes", 64<<20, "bytes of requests that wait above which connections are not read")
	f.DurationVar(&o.opWait, "throttled-op-wait", 0, "time after which a request that waits is refused; 0 is never")
	f.IntVar(&o.maxRequest, "max-request", 1<<20-1, "bytes of one request")
	f.IntVar(&o.largeFrom, "large-request", -1, "bytes above which a request is a large one; -1 is never")
	f.Int64Var(&o.largeTotal, "large-requests", 100<<20, "bytes of all large requests that wait; more are closed")
	f.IntVar(&o.buffered, "max-buffered", 64<<20, "bytes that wait to be read by one client above which it is disconnected")
	f.Int64Var(&o.bufferedAll, "max-buffered-total", 256<<20, "bytes that wait to be read by all clients above which those with most are disconnected")
	f.StringVar(&o.require, "require-auth", "", "schemes, separated by commas, of which a client must have proved one before any request")
	f.BoolVar(&o.extend, "extended-types", false, "allow znodes with a TTL")
	f.BoolVar(&o.quota, "enforce-quota", false, "refuse writes over a hard quota")
	f.BoolVar(&o.skipACL, "skip-acl", false, "check no ACL")
	f.BoolVar(&o.unfiltered, "unfiltered-events", false, "send watch events also to clients that may not read the znode")
	f.BoolVar(&o.reconfig, "reconfig-enabled", false, "answer reconfig with Unimplemented instead of ReconfigDisabled")
}

func (o *limitOptions) server() []zkserver.Option {
	opts := []zkserver.Option{
		zkserver.WithSessionTimeouts(o.shortest, o.longest),
		zkserver.WithMaxClientConns(o.clientConns),
		zkserver.WithMaxConns(o.conns),
		zkserver.WithConnectThrottle(zkserver.ConnectThrottle{Burst: o.connects, Fill: o.connectFill, Every: o.connectEvery}),
		zkserver.WithOutstandingLimit(o.outstanding),
		zkserver.WithOutstandingPerConn(o.each),
		zkserver.WithThrottledOpWait(o.opWait),
		zkserver.WithMaxRequest(o.maxRequest),
		zkserver.WithLargeRequests(o.largeFrom, o.largeTotal),
		zkserver.WithMaxBuffered(o.buffered),
		zkserver.WithMaxBufferedTotal(o.bufferedAll),
		zkserver.WithOutstandingBytes(o.waiting),
		zkserver.WithRequiredAuth(list(o.require)...),
	}
	for _, flag := range []struct {
		set bool
		opt zkserver.Option
	}{
		{o.extend, zkserver.WithExtendedTypes()},
		{o.quota, zkserver.WithEnforceQuota()},
		{o.skipACL, zkserver.WithSkipACL()},
		{o.unfiltered, zkserver.WithUnfilteredEvents()},
		{o.reconfig, zkserver.WithReconfigEnabled()},
	} {
		if flag.set {
			opts = append(opts, flag.opt)
		}
	}
	return opts
}

// list splits what a flag names, separated by commas.
func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}
