package gazoo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// attemptPlan is what one attempt is to do, decided by the manager.
type attemptPlan struct {
	host    Host
	budget  time.Duration // for dial, TLS and connect record, over all addresses
	life    *sessionLife  // session to offer, nil for a new one
	zxid    int64         // newest one seen: what to offer, and what watches are compared with
	noZxid  bool          // offer 0 instead: every server closes on the true one
	hunting bool          // a server that closes without a word may be read-only: ask, and take it
}

// attemptResult is what became of it.
type attemptResult struct {
	plan    attemptPlan
	link    *link // up, its reader waiting for start; nil on failure
	hello   hello
	present int64 // zxid of the server, when none was offered
	renewal *renewal
	events  []collected
	err     error
	expired bool // the server refused the session offered
	bare    bool // the server closed without a word on the connect record
	again   bool // try the same host at once: something was learnt
	took    time.Duration

	loggedIn bool       // SASL succeeded
	refused  *SASLError // a server's verdict on SASL, which others may not share
}

// authFailed reports whether a failure is final: a refused credential. Refusals of SASL are
// counted instead.
func (r attemptResult) authFailed() bool { return r.refused == nil && errors.Is(r.err, ErrAuthFailed) }

// try starts an attempt at the next host.
func (m *manager) try() {
	c := m.c
	host, left := m.hosts.take()
	plan := attemptPlan{
		host: host, life: m.life, zxid: m.dropZxid, noZxid: !m.offerZxid,
		hunting: c.cfg.readOnly && (m.life == nil || m.presumed),
	}
	plan.budget = m.budget(left)
	ctx, cancel := context.WithCancel(c.ctx)
	m.cancel, m.trying, m.plan = cancel, true, plan
	m.wg.Go(func() {
		defer cancel()
		c.attempt(ctx, plan)
	})
}

// budget is an attempt's share of the session time left: each remaining host of the round
// gets its part, so that a hung server cannot eat the time of a healthy one.
func (m *manager) budget(left int) time.Duration {
	t := m.timeout()
	rest := t
	if m.life != nil && !m.presumed {
		rest = presumeAfter(t) - m.c.clock.now().since(m.c.proof.load())
		// Even the last host of a round must not take it all: a server that is starting may
		// lose a connect record, and answers the next one at once.
		left = max(left, 3)
	}
	return min(max(rest/time.Duration(max(1, left)), t/10, 20*time.Millisecond), 2*t/3)
}

// attempt reaches for one host and, when it succeeds and the manager agrees, becomes the
// connection's reader.
func (c *core) attempt(ctx context.Context, plan attemptPlan) {
	begin := time.Now()
	r := c.reach(ctx, plan)
	r.plan, r.took = plan, time.Since(begin)
	l := r.link
	c.manager.attempts <- r
	if l == nil {
		return
	}
	var cause error
	select {
	case <-l.start:
		cause = l.readLoop()
	case <-l.closed:
	}
	l.close(cause)
	if !errors.Is(cause, ErrAuthFailed) { // final, even if the writer failed before
		cause = l.cause
	}
	c.manager.downs <- linkDown{l, cause}
}

// reach resolves a host and tries its addresses in turn.
func (c *core) reach(ctx context.Context, plan attemptPlan) attemptResult {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	whole := time.AfterFunc(plan.budget, cancel)
	defer whole.Stop()
	addrs, err := c.addresses(ctx, plan.host)
	if err != nil {
		return attemptResult{err: fmt.Errorf("%s: %w", plan.host, err)}
	}
	var problems []error
	last := attemptResult{}
	var refused *SASLError
	for i, addr := range addrs {
		share := plan.budget / time.Duration(len(addrs))
		last = c.reachAddr(ctx, plan, addr, share, whole)
		if last.link != nil || last.expired || last.again || last.authFailed() {
			return last
		}
		refused = cmp.Or(last.refused, refused)
		problems = append(problems, fmt.Errorf("%s (%s): %w", plan.host, addr, last.err))
		if ctx.Err() != nil {
			if i+1 < len(addrs) || errors.Is(last.err, context.Canceled) {
				problems = append(problems, fmt.Errorf("attempt gave up after %v", plan.budget))
			}
			break
		}
	}
	last.err, last.refused = errors.Join(problems...), refused
	return last
}

// addresses returns what to dial for a host: every A and AAAA record, shuffled.
func (c *core) addresses(ctx context.Context, h Host) ([]string, error) {
	port := strconv.Itoa(h.Port)
	if _, err := netip.ParseAddr(h.Name); err == nil {
		return []string{h.Addr()}, nil
	}
	resolve := c.cfg.resolve
	if resolve == nil {
		if c.cfg.dial != nil {
			return []string{h.Addr()}, nil // the dialler's business
		}
		resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	ips, err := resolve(ctx, h.Name)
	if err != nil {
		return nil, fmt.Errorf("resolve: %w", err)
	}
	if len(ips) == 0 {
		return nil, errors.New("resolve: no addresses")
	}
	addrs := make([]string, len(ips))
	for i, ip := range ips {
		addrs[i] = net.JoinHostPort(ip.Unmap().String(), port)
	}
	if c.cfg.shuffle {
		rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
	}
	return slices.Compact(addrs), nil
}

// dialHost opens a connection to one address of a host, TLS included. The server name is that
// of the configured host: what was resolved is no identity.
func (c *core) dialHost(ctx context.Context, h Host, addr string) (net.Conn, error) {
	dialCtx := ctx
	if d := c.cfg.dialTimeout; d > 0 {
		var cancel context.CancelFunc
		dialCtx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	dial := c.cfg.dial
	if dial == nil {
		// TCP_NODELAY is set; TCP's own probes would only repeat what pings do.
		dial = (&net.Dialer{KeepAlive: -1}).DialContext
	}
	conn, err := dial(dialCtx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	if conn == nil {
		return nil, errors.New("dial: dialler returned no connection")
	}
	return c.secure(ctx, h, conn)
}

// attempted takes an attempt's result.
func (m *manager) attempted(r attemptResult) {
	m.trying, m.cancel = false, nil
	if r.loggedIn {
		m.refusals = 0
	}
	if r.link != nil {
		m.link = r.link
		if m.closing || m.over {
			r.link.fail(errStopping)
			return
		}
		if r.plan.life != nil && r.plan.life != m.life {
			// Given up while the attempt ran (WithClosePresumed): it must not come back.
			m.hosts.retry(r.plan.host)
			r.link.fail(errGivenUp)
			return
		}
		m.connectedTo(r)
		return
	}
	if m.closing || m.over {
		return
	}
	m.tellFailure(r)
	if m.authFailed(r) {
		return
	}
	switch {
	case r.expired:
		m.expire(ErrSessionExpired)
		m.hosts.retry(r.plan.host)
		m.retryAt = time.Now()
		return
	case r.again:
		m.hosts.retry(r.plan.host)
		m.retryAt = time.Now()
		return
	case r.bare:
		m.bare = true
	}
	m.retryAt = time.Now()
	if m.hosts.roundOver() {
		m.endRound(r.err)
	}
}

// authFailed ends the client when an attempt has shown that its identity will not be accepted.
func (m *manager) authFailed(r attemptResult) bool {
	var final error
	switch {
	case r.refused != nil:
		m.refusals++
		if limit := m.c.cfg.saslTries; limit == Forever || m.refusals < limit {
			return false
		}
		final = r.refused
	case r.authFailed():
		final = ErrAuthFailed
		if e, ok := errors.AsType[*SASLError](r.err); ok {
			final = e // the mechanism itself has given up
		}
	default:
		return false
	}
	m.terminate(final, KeeperAuthFailed, nil)
	return true
}

func (m *manager) tellFailure(r attemptResult) {
	c := m.c
	m.failures.add(r.plan.host.String(), r.err)
	c.cfg.log.Info("connect failed", slog.String("host", r.plan.host.String()), slog.Any("error", r.err))
	for _, h := range c.cfg.hooks.connect {
		info := ConnectInfo{Host: r.plan.host, Duration: r.took, Err: r.err}
		c.calls.enqueue(func() { h.OnConnect(info) })
	}
}

// endRound is called when every host was tried without success: now backoff begins.
func (m *manager) endRound(err error) {
	c := m.c
	if m.bare {
		m.bareRound++
		if m.bareSince.IsZero() {
			m.bareSince = time.Now()
		}
	}
	m.bare = false
	if c.cfg.failFast && !m.connected {
		m.terminate(&endError{errors.Join(append([]error{ErrNoServer}, m.failures.list()...)...)}, KeeperClosed, nil)
		return
	}
	m.rounds.Tries++
	m.rounds.Elapsed = time.Since(m.drops)
	m.rounds.Err = err
	delay, again := c.cfg.connectRetry.NextDelay(m.rounds)
	if !again {
		m.terminate(&endError{&RetryError{Tries: m.rounds.Tries, Elapsed: m.rounds.Elapsed, Err: err}}, KeeperClosed, nil)
		return
	}
	m.rounds.LastDelay = delay
	if m.life != nil && !m.presumed {
		// Never sleep away more than a small part of what is left of the session.
		left := presumeAfter(m.timeout()) - c.clock.now().since(c.proof.load())
		delay = min(delay, max(left/8, m.timeout()/100))
	}
	m.retryAt = time.Now().Add(delay)
	// A server that is behind our history closes without a word, and so does one that does not
	// serve. After enough rounds of that, and with nothing left to lose, ask with the history
	// left out but the same identity: see docs/DESIGN.md, "History that went backwards".
	if m.offerZxid && m.dropZxid > 0 && m.bareRound >= 3 && (m.life == nil || m.presumed) && time.Since(m.bareSince) >= m.timeout()/4 {
		c.cfg.log.Warn("servers refuse our history, offering none", slog.String("zxid", sessionHex(m.dropZxid)))
		m.offerZxid = false
	}
}

// historyLost records that the ensemble does not know what this client has seen.
func (m *manager) historyLost(present int64) {
	m.c.cfg.log.Warn("history went backwards", slog.String("zxid", sessionHex(present)))
	m.c.lastZxid.Store(present)
	m.dropZxid = present
	m.c.history.Add(1)
	m.lostHistory = true
}

// connectedTo makes an attempt's connection the client's. The order is a promise: session,
// state and listeners, watch events of the handshake, waiting calls, reading.
func (m *manager) connectedTo(r attemptResult) {
	c, l, h := m.c, r.link, r.hello
	offered := r.plan.life
	resumed := offered != nil && offered == m.life && h.id == offered.id && !h.readOnly
	if r.plan.noZxid && !h.readOnly {
		m.offerZxid = true
		if r.present < r.plan.zxid {
			m.historyLost(r.present)
		}
	}
	if !resumed && m.life != nil && !h.readOnly {
		m.expire(ErrSessionExpired) // another session was handed out: the old one is gone
	}
	change := StateChange{To: StateConnected, Keeper: KeeperConnected, Server: l.addr, First: !m.connected, Resumed: resumed}
	gap := GapReconnect
	switch {
	case h.readOnly:
		m.readOnly = m.newLife(h.id, h.password, h.timeout, true)
		c.session.Store(newSession(c, m.readOnly))
		change.Keeper, change.NewSession = KeeperConnectedReadOnly, true
		gap = GapNewSession
	case resumed:
		m.life.granted.Store(int64(h.timeout))
		if m.tenancy == nil {
			m.tenancy = newSession(c, m.life)
		}
	default:
		m.life = m.newLife(h.id, h.password, h.timeout, false)
		m.tenancy = newSession(c, m.life)
		change.NewSession = true
		gap = GapNewSession
	}
	if !h.readOnly {
		c.send.begin(m.tenancy) // before anybody can see the session and make calls that are bound to it
		c.session.Store(m.tenancy)
		m.presumed = false
	}
	c.proof.store(h.sent)
	change.Session, change.Timeout = h.id, h.timeout
	change.HistoryLost = m.lostHistory
	m.lostHistory, m.connected = false, true
	m.rounds, m.bareRound, m.bareSince, m.bare = Attempt{}, 0, time.Time{}, false
	m.failures.clear()
	m.hosts.begin()
	attrs := []any{serverAttr(l.addr), sessionAttr(h.id), slog.Bool("resumed", resumed), slog.Bool("read_only", h.readOnly)}
	if r.loggedIn {
		attrs = append(attrs, slog.String("sasl", c.cfg.sasl.Name()))
	}
	c.cfg.log.Info("connected", attrs...)
	for _, hook := range c.cfg.hooks.connect {
		info := ConnectInfo{Host: l.host, Addr: l.addr, Session: h.id, Resumed: resumed, Connected: true, Duration: r.took}
		c.calls.enqueue(func() { hook.OnConnect(info) })
	}
	m.live = true
	c.server.Store(l)
	m.setState(change)
	stale := c.watches.renewed(r.renewal, gap)
	if l.features.knows(featureSetWatches) == featureNo {
		c.watches.endOneShots(&lossError{ErrConnectionLoss, errNoSetWatches})
	}
	for _, ev := range r.events {
		c.watches.dispatch(ev.event, ev.zxid)
	}
	c.send.live(l)
	c.watches.tidyPaths(stale)
	if l.features.knows(featureAddWatch) == featureNo {
		for _, s := range c.watches.degrade() {
			c.emulateOn(s, gap)
		}
	}
	close(l.start)
	if h.readOnly {
		m.hunt(l)
	}
}

// closedBare tells a peer that closed without a word from other read errors.
func closedBare(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errReset)
}

// SetServers replaces the server list while the client runs, for all views; the chroot must
// not change. When the balance of a fleet asks for it (ZOOKEEPER-1355), or the present server
// is no longer listed, the connection moves at once, inside the session.
func (zk *Client) SetServers(hosts string) error {
	list, chroot, err := ParseHosts(hosts)
	if err != nil {
		return refuse("set servers", "", err)
	}
	if chroot != "" && chroot != zk.core.cfg.chroot {
		return refuse("set servers", "", badArg("hosts", "chroot %q is not %q", chroot, zk.core.cfg.chroot))
	}
	m := zk.core.manager
	ran := m.do(func() {
		var current Host
		if m.link != nil {
			current = m.link.host
		}
		if m.hosts.replace(list, current, m.live, rand.Float64) {
			m.link.fail(errRebalance)
		} else if m.readOnly != nil {
			m.endHunt()
			m.hunt(m.link) // among the new ones
		}
	})
	if !ran {
		return refuse("set servers", "", ErrClosed)
	}
	return nil
}
