package gazoo

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Client is a view of one ZooKeeper session: the session's machinery, a chroot and, perhaps,
// a session the view is bound to. All views of a client share one connection and one session.
// Safe for concurrent use. Requests of one goroutine reach the server in call order.
//
// Close any view to end the whole client.
type Client struct {
	core    *core
	root    string   // chroot, empty for none
	session *Session // bound to it, nil for none
}

// core is what all views share.
type core struct {
	cfg      *config
	clock    clock
	send     sender
	watches  *registry
	state    *stateBox
	calls    *dispatcher
	pool     sync.Pool // of *call
	contexts ctxWatches
	txns     sync.Pool // of *txnBuffer
	users    *userCode
	features featureBook
	auth     authStore
	manager  *manager
	command  atomic.Pointer[RetryPolicy]

	session  atomic.Pointer[Session] // the present one, nil when there is none
	server   atomic.Pointer[link]    // the connection while the state is connected
	none     *Session                // stands for no session at all
	lastZxid atomic.Int64            // newest in a reply; written by readers, reset by the manager
	proof    proofOfLife
	history  atomic.Int64 // counts how often the ensemble's history went backwards

	ctx    context.Context // ends at Close or a terminal failure, with the cause
	cancel context.CancelCauseFunc

	closing  atomic.Bool
	closed   chan struct{}   // the first Close has done its work
	closeErr error           // what it had no time for, set before
	done     chan struct{}   // nothing of the client runs any more
	patience context.Context // ends when a draining Close is cut short
	hurry    context.CancelCauseFunc
}

// New makes a client that connects in the background and returns at once. Calls wait for the
// connection, by their contexts. hosts is a connect string (see [ParseHosts]); the error
// reports every invalid argument, nothing else.
func New(hosts string, opts ...Option) (*Client, error) { return NewList([]string{hosts}, opts...) }

// NewList is New for a list of hosts, whose last element may be the chroot.
func NewList(hosts []string, opts ...Option) (*Client, error) {
	cfg := defaults()
	for _, opt := range opts {
		if opt == nil {
			cfg.bad("option", "nil")
			continue
		}
		opt(cfg)
	}
	list, chroot, err := parseHostList(hosts)
	if err != nil {
		cfg.problems = append(cfg.problems, err)
	}
	cfg.hosts, cfg.chroot = list, chroot
	if err := cfg.validate(); err != nil {
		return nil, refuse("new client", "", err)
	}
	c := newCore(cfg)
	c.users.start(c.calls.run)
	go c.manager.run()
	return &Client{core: c, root: chroot}, nil
}

func newCore(cfg *config) *core {
	c := &core{
		cfg: cfg, clock: clock{time.Now()}, users: &userCode{},
		closed: make(chan struct{}), done: make(chan struct{}),
	}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.patience, c.hurry = context.WithCancelCause(context.Background())
	c.calls = newDispatcher(c.users)
	c.state = newStateBox(c.calls, cfg.hooks.session)
	c.watches = newRegistry(c)
	c.send = sender{core: c, maxCalls: cfg.maxCalls, maxBytes: cfg.maxBytes, maxRequest: cfg.maxRequest, idle: make(chan struct{})}
	c.auth.list = cfg.credentials
	c.command.Store(&cfg.commandRetry)
	c.manager = newManager(c)
	c.none = newSession(c, c.manager.newLife(0, nil, 0, false))
	c.none.life.end(ErrSessionOver)
	return c
}

// Connect makes a client and waits for its first session. hosts is a connect string such as
// "zk1:2181,zk2,zk3/app"; empty means [DefaultHosts]. When ctx ends first the client is closed
// and the error names, for every host, why it was not reached. Close the client when done.
func Connect(ctx context.Context, hosts string, opts ...Option) (*Client, error) {
	if ctx == nil {
		return nil, refuse("connect", "", errNilContext)
	}
	zk, err := New(hosts, opts...)
	if err != nil {
		return nil, err
	}
	if err := zk.WaitState(ctx, StateConnected); err != nil {
		problems := []error{errors.Unwrap(err)}
		if ctx.Err() != nil {
			problems = append(problems, zk.ConnectErrors()...) // else the cause has them
		}
		zk.CloseNow()
		return nil, refuse("connect", "", errors.Join(problems...))
	}
	zk.warnMissingRoot(ctx)
	return zk, nil
}

// warnMissingRoot logs when the chroot does not exist: every operation will say so with
// ErrNoNode, which puzzles people. EnsurePath(ctx, "/") creates it.
func (zk *Client) warnMissingRoot(ctx context.Context) {
	if zk.root == "" {
		return
	}
	if _, found, err := zk.Exists(ctx, "/"); err == nil && !found {
		zk.core.cfg.log.WarnContext(ctx, "chroot does not exist", "path", zk.root)
	}
}

// Chroot returns a view whose paths are below path, which is relative to this view. It shares
// the session and costs nothing; the znode need not exist.
func (zk *Client) Chroot(path string) (*Client, error) {
	if err := ValidatePath(path); err != nil {
		return nil, refuse("chroot", path, err)
	}
	view := *zk
	if path != "/" {
		view.root = zk.root + path
	}
	return &view, nil
}

// Root returns the view's chroot as an absolute path, "/" when there is none.
func (zk *Client) Root() string {
	if zk.root == "" {
		return "/"
	}
	return zk.root
}

// InSession returns a view bound to s: its calls fail with [ErrSessionOver] once that tenancy
// has ended, by the clock too ([Session.Err]), so that what belongs to one session can never be
// created or deleted in the next.
// A nil session, as [Client.Session] returns when there is none, is over.
func (zk *Client) InSession(s *Session) *Client {
	if s == nil {
		s = zk.core.none
	}
	view := *zk
	view.session = s
	return &view
}

// Unchroot takes the view's chroot off an absolute path; a path outside comes back unchanged.
func (zk *Client) Unchroot(path string) string {
	rel, _ := relPath(zk.root, path)
	return rel
}

// Hosts returns the configured servers.
func (zk *Client) Hosts() (hosts []Host) {
	m := zk.core.manager
	list := func() { hosts = m.hosts.list() }
	if !m.do(list) {
		list() // the manager has ended: nobody changes them
	}
	return hosts
}

// Server returns the address of the server now connected to, as dialled; empty when there is
// none.
func (zk *Client) Server() string {
	if l := zk.core.server.Load(); l != nil {
		return l.addr
	}
	return ""
}

// InFlight returns how many calls, and how many request bytes, are on the wire or waiting for
// a connection: the filling of the window ([WithWindow]).
func (zk *Client) InFlight() (calls, bytes int) { return zk.core.send.load() }

// WatchCount returns the one-shot watches and the streams that this client waits for.
func (zk *Client) WatchCount() (oneShots, streams int) { return zk.core.watches.count() }

// ConnectErrors returns the newest failure of each configured host since the last successful
// connect, for diagnosis; empty while all is well.
func (zk *Client) ConnectErrors() []error { return zk.core.manager.failures.list() }

// Context ends when the client does: with [ErrClosed] or [ErrAuthFailed] as its cause.
func (zk *Client) Context() context.Context { return zk.core.ctx }

// Done is closed when nothing of the client runs any more, callbacks included.
func (zk *Client) Done() <-chan struct{} { return zk.core.done }

// Close drains what was submitted, closes the session, so that its ephemerals go at once, and
// waits for the client's goroutines, except those inside user code ([Client.Done] covers
// them). New calls fail with [ErrClosed]; calls waiting for a connection fail as not sent;
// without a connection the session is left to expire. It takes at most [WithCloseTimeout], and
// a moment (100 ms) more when a dialler or resolver does not heed its context. It may be called
// again, from anywhere, callbacks included. The error says what there was no time for; the
// client is closed all the same.
func (zk *Client) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), zk.core.cfg.closeTimeout)
	defer cancel()
	return zk.CloseContext(ctx)
}

// CloseContext is Close bounded by ctx instead.
func (zk *Client) CloseContext(ctx context.Context) error {
	if ctx == nil {
		return refuse("close", "", errNilContext)
	}
	return zk.core.close(ctx, closeDrain)
}

// CloseNow closes without draining: what is in flight fails at once with [ErrClosed], marked
// as perhaps applied. The session is still closed explicitly if the server answers within a
// second. It may be called again, and while a Close is draining, which it cuts short.
func (zk *Client) CloseNow() error {
	ctx, cancel := context.WithTimeout(context.Background(), min(time.Second, zk.core.cfg.closeTimeout))
	defer cancel()
	return zk.core.close(ctx, closeNow)
}

// Detach drains and leaves without closing the session, and returns what is needed to take it
// over with [WithSession] within its time-out: its ephemerals stay.
func (zk *Client) Detach(ctx context.Context) (SavedSession, error) {
	if ctx == nil {
		return SavedSession{}, refuse("detach", "", errNilContext)
	}
	s := zk.Session()
	if s == nil || s.Context().Err() != nil || s.ReadOnly() {
		return SavedSession{}, refuse("detach", "", ErrSessionExpired)
	}
	err := zk.core.close(ctx, closeDetach)
	return s.Saved(), err
}
