package gazoo

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"
)

// Option configures a client. Options are checked together, by [Connect] or [New]; every
// problem is reported at once.
type Option func(*config)

type config struct {
	hosts          []Host
	chroot         string
	shuffle        bool
	sessionTimeout time.Duration
	saved          *SavedSession
	dial           DialFunc
	resolve        ResolveFunc
	tls            *tls.Config
	dialTimeout    time.Duration
	connectRetry   RetryPolicy
	commandRetry   RetryPolicy
	failFast       bool
	readOnly       bool
	closePresumed  bool
	noWatchReset   bool
	sasl           SASLMechanism
	saslTries      int
	credentials    []credential
	defaultACL     []ACL
	chooseACL      func(path string) []ACL
	maxRequest     int
	maxReply       int
	maxCalls       int
	maxBytes       int
	closeTimeout   time.Duration
	log            *slog.Logger
	hooks          hooks
	problems       []error
}

// DialFunc opens a connection; network is "tcp" and addr host:port with the host resolved to
// an IP address when a resolver is in use. A custom one may go through a proxy, to a Unix
// socket or nowhere at all.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// ResolveFunc returns the addresses of a host name. It is called for every attempt to
// connect; IP literals never reach it.
type ResolveFunc func(ctx context.Context, host string) ([]netip.Addr, error)

func defaults() *config {
	return &config{
		shuffle:        true,
		sessionTimeout: 10 * time.Second,
		connectRetry:   Backoff{MaxTries: Forever, Delay: 100 * time.Millisecond, Factor: 2, MaxJitter: 0.5, MaxDelay: 3 * time.Second},
		commandRetry:   Backoff{MaxTries: Forever},
		saslTries:      3,
		maxRequest:     0xfffff,
		maxReply:       4 << 20,
		maxCalls:       16384,
		maxBytes:       64 << 20,
		closeTimeout:   10 * time.Second,
		log:            slog.New(slog.DiscardHandler),
	}
}

func (c *config) bad(option, format string, a ...any) {
	c.problems = append(c.problems, badArg(option, format, a...))
}

// validate returns every problem at once.
func (c *config) validate() error {
	if c.sessionTimeout <= 0 || c.sessionTimeout > time.Duration(1<<31-1)*time.Millisecond {
		c.bad("WithSessionTimeout", "%v is not between 1 ms and 2^31 ms", c.sessionTimeout)
	}
	if c.maxRequest < 1024 {
		c.bad("WithMaxRequest", "%d bytes, at least 1024 needed", c.maxRequest)
	}
	if c.maxReply < 1024 {
		c.bad("WithMaxReply", "%d bytes, at least 1024 needed", c.maxReply)
	}
	if c.maxCalls < 1 || c.maxBytes < 1 {
		c.bad("WithWindow", "%d calls and %d bytes, both must be positive", c.maxCalls, c.maxBytes)
	}
	if c.closeTimeout <= 0 {
		c.bad("WithCloseTimeout", "%v is not positive", c.closeTimeout)
	}
	if c.saslTries < 1 && c.saslTries != Forever {
		c.bad("WithSASLTries", "%d is neither positive nor Forever", c.saslTries)
	}
	if c.dialTimeout < 0 {
		c.bad("WithDialTimeout", "%v is negative", c.dialTimeout)
	}
	return errors.Join(c.problems...)
}

// WithSessionTimeout asks for a session time-out of d (default 10 s). The server clamps it;
// [Client.SessionTimeout] reports what was granted.
func WithSessionTimeout(d time.Duration) Option { return func(c *config) { c.sessionTimeout = d } }

// WithSession takes over a session saved by [Session.Saved], perhaps in another process. When
// the server refuses it, that is an expiry: the state shows it and a new session follows.
func WithSession(s SavedSession) Option {
	return func(c *config) {
		if s.ID == 0 || len(s.Password) == 0 {
			c.bad("WithSession", "session without id or password")
			return
		}
		c.saved = &s
	}
}

// WithHostOrder keeps the configured order of hosts. By default it is shuffled once, and
// again after every full round, so that clients spread over the servers.
func WithHostOrder() Option { return func(c *config) { c.shuffle = false } }

// WithDialer replaces the dialler (default: net.Dialer). Unless [WithResolver] is given too,
// the dialler gets host names as configured, unresolved.
func WithDialer(dial DialFunc) Option {
	return func(c *config) {
		if dial == nil {
			c.bad("WithDialer", "nil")
		}
		c.dial = dial
	}
}

// WithResolver replaces the name resolver (default: net.DefaultResolver).
func WithResolver(resolve ResolveFunc) Option {
	return func(c *config) {
		if resolve == nil {
			c.bad("WithResolver", "nil")
		}
		c.resolve = resolve
	}
}

// WithTLS speaks TLS with every server, except hosts written tcp://. The configuration is
// cloned for each connection; its ServerName, when empty, is the configured host, name or IP
// literal, never a resolved address. Certificates may be provided by callbacks, which run at
// every connect, so that they can change in a running client.
func WithTLS(cfg *tls.Config) Option {
	return func(c *config) {
		if cfg == nil {
			c.bad("WithTLS", "nil")
			return
		}
		c.tls = cfg.Clone()
	}
}

// WithDialTimeout bounds one TCP connect (default: only the attempt's share of the session
// time bounds it).
func WithDialTimeout(d time.Duration) Option { return func(c *config) { c.dialTimeout = d } }

// WithConnectRetry replaces the policy between rounds through the host list (default: for
// ever, 100 ms doubling to 3 s, jitter 0.5). The first round has no pauses. When the policy
// gives up, the client closes with a [*RetryError], which then matches [ErrClosed] too.
func WithConnectRetry(p RetryPolicy) Option {
	return func(c *config) {
		if p == nil {
			c.bad("WithConnectRetry", "nil")
			return
		}
		c.connectRetry = p
	}
}

// WithCommandRetry replaces the policy of [Client.Retry] (default: Kazoo's client defaults,
// for ever).
func WithCommandRetry(p RetryPolicy) Option {
	return func(c *config) {
		if p == nil {
			c.bad("WithCommandRetry", "nil")
			return
		}
		c.commandRetry = p
	}
}

// WithFailFast ends the client with [ErrNoServer], which then matches [ErrClosed] too, when
// every host was tried once without success. It concerns the first connection only.
func WithFailFast() Option { return func(c *config) { c.failFast = true } }

// WithReadOnly accepts read-only servers, those cut off from their ensemble. See the package
// documentation.
func WithReadOnly() Option { return func(c *config) { c.readOnly = true } }

// WithClosePresumed closes the session for good when it is presumed expired, instead of
// offering it again: for programs that prefer a new identity to a resumed one.
func WithClosePresumed() Option { return func(c *config) { c.closePresumed = true } }

// WithoutWatchReset ends every one-shot watch at a lost connection instead of registering it
// again, as Kazoo does.
func WithoutWatchReset() Option { return func(c *config) { c.noWatchReset = true } }

// WithAuth adds a credential that is sent on every connect, before anything else but SASL. The slice
// is copied. A refusal ends the client with [ErrAuthFailed].
func WithAuth(scheme string, auth []byte) Option {
	return func(c *config) {
		if scheme == "" {
			c.bad("WithAuth", "empty scheme")
			return
		}
		c.credentials = append(c.credentials, credential{scheme: scheme, auth: append([]byte(nil), auth...)})
	}
}

// WithAuthFunc is [WithAuth] with a credential that is asked for at every connect, from a secret
// store perhaps, so that it can change in a running client. fetch runs within the time that an
// attempt to connect has; its error fails the attempt, and others follow.
func WithAuthFunc(scheme string, fetch func(context.Context) ([]byte, error)) Option {
	return func(c *config) {
		if scheme == "" || fetch == nil {
			c.bad("WithAuthFunc", "empty scheme or nil function")
			return
		}
		c.credentials = append(c.credentials, credential{scheme: scheme, fetch: fetch})
	}
}

// WithSASL authenticates every connection by SASL, before any credential of [WithAuth], watch
// or call: those wait until the server has accepted. There is no falling back to a connection
// without an identity.
//
// A failed exchange fails the attempt to connect with a [*SASLError], and others follow as
// [WithConnectRetry] has it. Refusals end the client when there are too many of them in a row:
// see [WithSASLTries]. An error of the mechanism that matches [ErrAuthFailed] does so at once.
func WithSASL(m SASLMechanism) Option {
	return func(c *config) {
		switch {
		case m == nil:
			c.bad("WithSASL", "nil")
		case c.sasl != nil:
			c.bad("WithSASL", "given twice")
		}
		c.sasl = m
	}
}

// WithSASLTries is how many attempts in a row servers may refuse by SASL (default 3) before the
// client ends with a [*SASLError], which then matches [ErrAuthFailed], and [KeeperAuthFailed].
// With [Forever] it never does. Attempts that fail for another reason do not count, and an
// accepted exchange starts the count again.
func WithSASLTries(n int) Option { return func(c *config) { c.saslTries = n } }

// WithDefaultACL is the ACL of creates that name none (default: [OpenACL]).
func WithDefaultACL(acl ...ACL) Option {
	return func(c *config) {
		if err := validateACL(acl); err != nil {
			c.bad("WithDefaultACL", "%v", err)
			return
		}
		c.defaultACL = append([]ACL(nil), acl...)
	}
}

// WithACLFor has choose give the ACL of creates that name none, by the znode's absolute path
// (chroot included, without the number of a sequential one); nil leaves it to
// [WithDefaultACL]. It is called on the goroutines that create, parents included.
func WithACLFor(choose func(path string) []ACL) Option {
	return func(c *config) {
		if choose == nil {
			c.bad("WithACLFor", "nil")
		}
		c.chooseACL = choose
	}
}

// WithMaxRequest is the largest request packet in bytes that is sent (default 1,048,575, the
// servers' default jute.maxbuffer). Larger ones fail with [ErrRequestTooLarge]; a server
// would cut the connection.
func WithMaxRequest(bytes int) Option { return func(c *config) { c.maxRequest = bytes } }

// WithMaxReply is the largest reply packet in bytes that is accepted (default 4 MiB). Larger
// ones are skipped and fail their call with [ErrReplyTooLarge]; the session goes on.
func WithMaxReply(bytes int) Option { return func(c *config) { c.maxReply = bytes } }

// WithWindow bounds the calls and the request bytes that are in flight or waiting for a
// connection (default 16,384 and 64 MiB). Callers beyond it wait, in order, by their context.
func WithWindow(calls, bytes int) Option {
	return func(c *config) { c.maxCalls, c.maxBytes = calls, bytes }
}

// WithCloseTimeout bounds [Client.Close] (default 10 s).
func WithCloseTimeout(d time.Duration) Option { return func(c *config) { c.closeTimeout = d } }

// WithLogger logs connects, losses, the ends of sessions and of the client (default: nothing).
// Keys: host (as configured), server (as dialled), session, resumed, read_only, sasl (the
// mechanism), path, zxid, error. Credentials and session passwords are never logged. The logger is called on the
// goroutine that keeps the session alive: a handler that blocks endangers it.
func WithLogger(log *slog.Logger) Option {
	return func(c *config) {
		if log == nil {
			c.bad("WithLogger", "nil")
			return
		}
		c.log = log
	}
}

// WithHook adds an observer that implements one or more of [RequestHook], [ConnectHook],
// [SessionHook], [WatchHook].
func WithHook(h any) Option {
	return func(c *config) {
		if !c.hooks.add(h) {
			c.bad("WithHook", "%T implements no hook interface", h)
		}
	}
}
