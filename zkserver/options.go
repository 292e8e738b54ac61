package zkserver

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gazoo-zk/gazoo/internal/ztree"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// Option is a setting for [New] and [Start].
type Option func(*config)

type config struct {
	addr            string
	tick            time.Duration
	minTimeout      time.Duration // 0 is 2 ticks
	maxTimeout      time.Duration // 0 is 20 ticks
	maxClientConns  int
	maxConns        int
	outstanding     int
	maxRequest      int
	maxBuffered     int
	words           []string
	superDigest     string
	extended        bool
	enforceQuota    bool
	skipACL         bool
	modern          bool
	unfiltered      bool
	reapInterval    time.Duration
	seed            int64
	seeded          bool
	logger          *slog.Logger
	clock           Clock
	providers       []Provider
	required        []string // schemes of which a connection must have proved one
	disk            diskConfig
	limits          limitConfig
	open            func(ztree.Options) (*ztree.Tree, journal, error) // nil is openDisk; of tests
	outstandingEach int                                               // requests of one connection that may wait
}

func defaults() config {
	return config{
		addr:            "127.0.0.1:0",
		tick:            3 * time.Second,
		maxClientConns:  60,
		outstanding:     1000,
		maxRequest:      zkproto.DefaultFrameLimit,
		maxBuffered:     64 << 20,
		words:           []string{"srvr"},
		reapInterval:    time.Minute,
		logger:          slog.New(slog.DiscardHandler),
		clock:           systemClock{},
		outstandingEach: 64,
		disk:            defaultDisk(),
		limits:          defaultLimits(),
	}
}

// finish fills in what depends on other settings, and reports every problem at once.
func (c *config) finish() error {
	if c.minTimeout == 0 {
		c.minTimeout = 2 * c.tick
	}
	if c.maxTimeout == 0 {
		c.maxTimeout = max(c.minTimeout, 20*c.tick)
	}
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("zkserver: "+format, args...))
		}
	}
	const longest = 1<<31 - 1 // milliseconds, as the protocol counts them
	check(c.tick >= time.Millisecond, "tick time %v is below 1ms", c.tick)
	check(c.minTimeout >= time.Millisecond && c.minTimeout <= c.maxTimeout && c.maxTimeout.Milliseconds() <= longest,
		"session time-outs from %v to %v", c.minTimeout, c.maxTimeout)
	check(c.maxClientConns >= 0 && c.maxConns >= 0, "a negative number of connections")
	check(c.outstanding > 0, "%d outstanding requests, want at least 1", c.outstanding)
	check(c.maxRequest >= 1024, "requests of at most %d bytes, want at least 1024", c.maxRequest)
	check(c.maxBuffered >= 1024, "buffers of at most %d bytes, want at least 1024", c.maxBuffered)
	check(c.reapInterval > 0, "reaper interval %v", c.reapInterval)
	c.disk.check(check)
	c.limits.check(check)
	check(c.outstandingEach > 0, "%d outstanding requests of a connection, want at least 1", c.outstandingEach)
	for _, w := range c.words {
		check(w == "*" || len(w) == 4, "four-letter word %q", w)
	}
	seen := map[string]bool{"world": true, "auth": true, "super": true, "digest": true, "ip": true}
	for _, p := range c.providers {
		check(p.Scheme != "" && !seen[p.Scheme], "a second provider of scheme %q", p.Scheme)
		seen[p.Scheme] = true
	}
	for _, scheme := range c.required {
		check(seen[scheme] && scheme != "world" && scheme != "auth", "required scheme %q, of which there is no provider", scheme)
	}
	return errors.Join(errs...)
}

// WithAddr makes [Start] listen on a TCP address (default "127.0.0.1:0", a free port).
func WithAddr(addr string) Option { return func(c *config) { c.addr = addr } }

// WithTickTime sets the grid on which sessions expire (default 3s, tickTime): a session ends at
// the first multiple of it after its time-out.
func WithTickTime(d time.Duration) Option { return func(c *config) { c.tick = d } }

// WithSessionTimeouts bounds the session time-outs that clients may ask for (default 2 and 20
// ticks, minSessionTimeout and maxSessionTimeout).
func WithSessionTimeouts(shortest, longest time.Duration) Option {
	return func(c *config) { c.minTimeout, c.maxTimeout = shortest, longest }
}

// WithMaxClientConns limits the connections from one address (default 60, maxClientCnxns). One
// more is closed at once. 0 is no limit.
func WithMaxClientConns(n int) Option { return func(c *config) { c.maxClientConns = n } }

// WithMaxConns limits all connections together (default 0, no limit; maxCnxns).
func WithMaxConns(n int) Option { return func(c *config) { c.maxConns = n } }

// WithOutstandingLimit sets how many requests may wait inside the server (default 1000,
// globalOutstandingLimit). Above it, connections that have a request waiting are not read.
func WithOutstandingLimit(n int) Option { return func(c *config) { c.outstanding = n } }

// WithMaxRequest limits a request in bytes (default 1048575, jute.maxbuffer). A connection that
// sends a larger one is closed.
func WithMaxRequest(bytes int) Option { return func(c *config) { c.maxRequest = bytes } }

// WithMaxBuffered limits, in bytes, what waits to be sent on one connection (default 64 MiB). A
// client that does not read, and has more than this coming, is disconnected; its session lives
// on. A single reply may be larger. Above 1 MiB no further requests of it are read.
func WithMaxBuffered(bytes int) Option { return func(c *config) { c.maxBuffered = bytes } }

// WithFourLetterWords sets which four-letter words are answered (default only srvr,
// 4lw.commands.whitelist). "*" stands for all.
func WithFourLetterWords(words ...string) Option { return func(c *config) { c.words = words } }

// WithSuperDigest names the digest identity whose owner passes every access check: "super:" and
// the base64 of the SHA-1 of "super:password".
func WithSuperDigest(id string) Option { return func(c *config) { c.superDigest = id } }

// WithExtendedTypes allows znodes with a TTL (default off, zookeeper.extendedTypesEnabled).
func WithExtendedTypes() Option { return func(c *config) { c.extended = true } }

// WithEnforceQuota refuses writes over a hard quota (default off, enforceQuota).
func WithEnforceQuota() Option { return func(c *config) { c.enforceQuota = true } }

// WithSkipACL turns access checks off (zookeeper.skipACL).
func WithSkipACL() Option { return func(c *config) { c.skipACL = true } }

// WithUnfilteredEvents sends watch events also to connections that may not read the znode, as
// servers did before 3.8.4 (CVE-2024-23944).
func WithUnfilteredEvents() Option { return func(c *config) { c.unfiltered = true } }

// WithVersion39 makes the server behave as 3.9 where that differs from 3.8: watches of several
// kinds on one path are independent, events carry the zxid of their transaction, exists needs
// the read permission, and create2 inside a transaction answers with a stat.
func WithVersion39() Option { return func(c *config) { c.modern = true } }

// WithReapInterval sets how often containers without children and znodes past their TTL are
// looked for (default 1m, znode.container.checkIntervalMs).
func WithReapInterval(d time.Duration) Option { return func(c *config) { c.reapInterval = d } }

// WithSessionSeed makes session ids repeatable: they begin at the one that Apache would begin
// with when started at this many milliseconds. The default is the time.
func WithSessionSeed(millis int64) Option {
	return func(c *config) { c.seed, c.seeded = millis, true }
}

// WithLogger sets where the server logs to (default nowhere).
func WithLogger(l *slog.Logger) Option {
	return func(c *config) {
		if l != nil {
			c.logger = l
		}
	}
}

// WithProvider adds an authentication scheme.
func WithProvider(p Provider) Option {
	return func(c *config) { c.providers = append(c.providers, p) }
}

// WithRequiredAuth refuses every request, pings included, of connections that have not
// authenticated by one of these schemes (default none, zookeeper.enforce.auth.schemes): they are
// answered SessionClosedRequireSaslAuth and closed.
func WithRequiredAuth(schemes ...string) Option {
	return func(c *config) { c.required = schemes }
}
