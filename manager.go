package gazoo

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// manager runs the connection's life: an event loop that owns the session record, the one
// attempt or connection there is, and all timers. Others reach it with commands (do).
type manager struct {
	c        *core
	wg       sync.WaitGroup // attempts (later readers), hunters
	cmds     chan func()
	attempts chan attemptResult
	downs    chan linkDown
	found    chan Host // a hunter's find
	stopped  chan struct{}
	failures failureBook

	// Owned by run.
	hosts   *hostRing
	closing bool // Close has begun: no more attempts, no state Suspended
	over    bool // leave the loop

	link    *link              // the connection, from attempt success to its reader's end
	live    bool               // link is the client's connection: told to everyone, not yet taken away
	cancel  context.CancelFunc // ends the running attempt
	trying  bool
	retryAt time.Time // when to try next, while waiting
	plan    attemptPlan

	life        *sessionLife // global session to offer, nil for a new one
	readOnly    *sessionLife // provisional session of the present connection
	tenancy     *Session     // nil when there is none, or it ended
	presumed    bool         // life is presumed expired
	connected   bool         // has ever been
	offerZxid   bool         // false: offer last zxid 0, history went backwards
	dropZxid    int64        // newest zxid at the last drop
	drops       time.Time    // when the connection was lost, or the client began
	bareSince   time.Time    // since when all answers were bare closes
	bareRound   int          // whole rounds of those
	lostHistory bool         // to be told with the next Connected
	bare        bool         // this round some server closed without a word
	rounds      Attempt      // failed rounds since the last success
	refusals    int          // attempts that SASL was refused in since it last succeeded
	stopHunt    context.CancelFunc
	ticked      time.Time // when the timer is to fire, zero when it has
}

type linkDown struct {
	link  *link
	cause error
}

func newManager(c *core) *manager {
	m := &manager{
		c: c, cmds: make(chan func()), attempts: make(chan attemptResult, 1),
		downs: make(chan linkDown, 1), found: make(chan Host, 1), stopped: make(chan struct{}),
		hosts: newHostRing(c.cfg.hosts, c.cfg.shuffle), offerZxid: true, drops: time.Now(),
	}
	if s := c.cfg.saved; s != nil {
		m.life = m.newLife(s.ID, append([]byte(nil), s.Password...), orDefault(s.Timeout, c.cfg.sessionTimeout), false)
		c.lastZxid.Store(s.LastZxid)
		m.dropZxid = s.LastZxid
		c.proof.store(c.clock.now()) // the best guess; its saver knew better
	}
	return m
}

func (m *manager) newLife(id int64, password []byte, timeout time.Duration, readOnly bool) *sessionLife {
	life := &sessionLife{id: id, password: password, readOnly: readOnly}
	life.granted.Store(int64(timeout))
	life.ctx, life.end = context.WithCancelCause(m.c.ctx)
	return life
}

// do runs fn on the manager's goroutine and waits. It reports whether the manager still ran.
func (m *manager) do(fn func()) bool {
	ran := make(chan struct{})
	select {
	case m.cmds <- func() { fn(); close(ran) }:
		<-ran
		return true
	case <-m.stopped:
		return false
	}
}

// join waits until the manager and all it started have ended, or until stop.
func (m *manager) join(stop <-chan struct{}) bool {
	select {
	case <-m.stopped:
		return true
	case <-stop:
		return false
	}
}

func (m *manager) run() {
	m.try()
	timer := time.NewTimer(time.Hour)
	for !m.over || m.trying || m.link != nil {
		if next := m.nextTick(); m.ticked.IsZero() || time.Now().Before(m.ticked) {
			m.ticked = next // else it is due already, and how late it comes tells of a pause
		}
		timer.Reset(time.Until(m.ticked))
		select {
		case fn := <-m.cmds:
			fn()
		case r := <-m.attempts:
			m.attempted(r)
		case d := <-m.downs:
			m.lost(d)
		case host := <-m.found:
			m.leaveReadOnly(host)
		case <-timer.C:
			m.tick()
		}
	}
	timer.Stop()
	m.endHunt()
	m.wg.Wait() // hunters, and whoever else has been told to stop
	close(m.stopped)
}

// timeout is the time-out of the session in use, or the one that will be asked for.
func (m *manager) timeout() time.Duration {
	switch {
	case m.readOnly != nil:
		return m.readOnly.timeout()
	case m.life != nil:
		return m.life.timeout()
	}
	return m.c.cfg.sessionTimeout
}

// nextTick is when tick has to look again.
func (m *manager) nextTick() time.Time {
	now := time.Now()
	at := now.Add(time.Hour)
	earlier := func(d time.Duration) {
		if t := now.Add(max(0, d)); t.Before(at) {
			at = t
		}
	}
	if m.over {
		return at
	}
	t, st := m.timeout(), m.c.clock.now()
	if m.live {
		sent, waiting, pings := m.c.send.sentLast()
		if pings { // none is sent any more while the client closes, and none is ever due
			earlier(t/3 - st.since(sent))
		}
		if waiting {
			earlier(2*t/3 - st.since(m.link.heard.load()))
		}
	} else if m.idle() {
		earlier(m.retryAt.Sub(now))
	}
	if m.life != nil && !m.presumed {
		earlier(presumeAfter(t) - st.since(m.c.proof.load()))
	}
	return at
}

// idle reports whether an attempt to connect may begin.
func (m *manager) idle() bool { return m.link == nil && !m.trying && !m.closing && !m.over }

// tick does what the clock asks for.
func (m *manager) tick() {
	late := time.Since(m.ticked)
	m.ticked = time.Time{}
	t, now := m.timeout(), m.c.clock.now()
	if m.live {
		sent, waiting, pings := m.c.send.sentLast()
		silence := now.since(m.link.heard.load())
		switch {
		case waiting && silence >= 2*t/3 && late < t/6:
			m.link.fail(errSilent)
		case waiting && silence >= 2*t/3:
			// This process was paused: answers may lie in the socket. One more look, after the
			// reader had a chance.
			m.link.heard.store(stamp{now.mono - int64(t/2), now.wall - int64(t/2)})
		case pings && now.since(sent) >= t/3:
			m.ping()
		}
	} else if m.idle() && !time.Now().Before(m.retryAt) {
		m.try()
	}
	if m.life != nil && m.readOnly == nil && !m.presumed && now.since(m.c.proof.load()) >= presumeAfter(t) {
		m.presume()
	}
}

func (m *manager) ping() {
	cl := m.c.newCall(zkproto.OpPing, "ping", "")
	cl.state.Store(callAbandoned) // nobody waits: complete releases it
	if !m.c.send.inject(cl, zkproto.XidPing) {
		cl.release()
	}
}

var (
	errSilent    = errors.New("no answer for two thirds of the session time-out")
	errRebalance = errors.New("moving to another server of the new list")
	errStopping  = errors.New("client closing")
	errGivenUp   = errors.New("session was given up")
)

// presume ends the tenancy: no proof of life came in time. The session stays on offer.
func (m *manager) presume() {
	m.presumed = true
	m.c.cfg.log.Warn("session presumed expired", sessionAttr(m.life.id))
	if l := m.link; m.live {
		// The process slept, or the server sends events and answers nothing: start over.
		m.suspend(l, ErrSessionPresumed)
		l.fail(ErrSessionPresumed)
	}
	m.endTenancy(ErrSessionPresumed)
	m.setState(StateChange{To: StateLost, Keeper: KeeperConnecting, Session: m.life.id, Timeout: m.life.timeout(), Err: ErrSessionPresumed})
	if m.c.cfg.closePresumed {
		m.forget(m.life, ErrSessionPresumed)
		m.life = nil
		m.presumed = false
	}
}

// expire ends the session for good.
func (m *manager) expire(cause error) {
	life := m.life
	if life == nil {
		return
	}
	m.c.cfg.log.Warn("session expired", sessionAttr(life.id), slog.Any("error", cause))
	m.life, m.presumed = nil, false
	m.forget(life, cause)
	m.endTenancy(cause)
	m.setState(StateChange{To: StateLost, Keeper: KeeperExpired, Session: life.id, Timeout: life.timeout(), Err: cause})
}

// forget ends a session for everyone who holds a handle on it.
func (m *manager) forget(life *sessionLife, cause error) {
	life.end(cause)
	if s := m.c.session.Load(); s != nil && s.life == life {
		m.c.session.Store(nil)
	}
}

// endTenancy ends whatever is held through the session: contexts, waiting calls, one-shots.
func (m *manager) endTenancy(cause error) {
	if t := m.tenancy; t != nil {
		m.tenancy = nil
		t.end(cause)
		m.c.send.endTenancy(t, cause)
	}
	m.c.watches.endOneShots(cause)
}

func (m *manager) setState(ch StateChange) { m.c.state.set(ch, nil) }

// lost is told by the reader that the connection has ended.
func (m *manager) lost(d linkDown) {
	c, l := m.c, d.link
	if m.link != l {
		return
	}
	m.link = nil
	m.retryAt = time.Now()
	switch {
	case m.closing || m.over:
		m.live = false
		c.server.Store(nil)
		m.endHunt()
		c.watches.dropped()
		c.send.drop(l, errStopping)
	case m.live:
		m.suspend(l, d.cause)
	}
}

// suspend takes the connection away from the client, whose state, watches and calls learn of
// it. The reader may still have to end: see lost.
func (m *manager) suspend(l *link, cause error) {
	c := m.c
	m.live = false
	c.server.Store(nil)
	m.endHunt()
	m.dropZxid = c.lastZxid.Load()
	m.drops = time.Now()
	c.cfg.log.Info("connection lost", serverAttr(l.addr), slog.Any("error", cause))
	for _, h := range c.cfg.hooks.connect {
		info := ConnectInfo{Host: l.host, Addr: l.addr, Lost: true, Err: cause}
		c.calls.enqueue(func() { h.OnConnect(info) })
	}
	if errors.Is(cause, ErrAuthFailed) {
		m.terminate(ErrAuthFailed, KeeperAuthFailed, l)
		return
	}
	change := StateChange{To: StateSuspended, Keeper: KeeperConnecting, Server: l.addr, Err: &lossError{ErrConnectionLoss, cause}}
	if life := m.current(); life != nil {
		change.Session, change.Timeout = life.id, life.timeout()
	}
	m.setState(change)
	c.watches.dropped()
	c.send.drop(l, cause)
	if c.cfg.noWatchReset {
		c.watches.endOneShots(change.Err)
	}
	if m.readOnly != nil {
		m.endReadOnly()
	}
	m.rounds, m.bareRound, m.bareSince = Attempt{}, 0, time.Time{}
	m.bare = false
	m.hosts.begin()
}

// current is the session of the present or last connection.
func (m *manager) current() *sessionLife {
	if m.readOnly != nil {
		return m.readOnly
	}
	return m.life
}

// terminate ends the client after a failure that no reconnect can mend.
func (m *manager) terminate(err error, keeper KeeperState, l *link) {
	c := m.c
	if m.over {
		return
	}
	m.over = true
	c.cfg.log.Error("client ended", slog.Any("error", err))
	c.cancel(err)
	if life := m.current(); life != nil {
		m.forget(life, err)
	}
	m.endTenancy(err)
	c.state.set(StateChange{To: StateLost, Keeper: keeper, Err: err}, err)
	c.send.end(err, false)
	if l != nil {
		c.watches.dropped()
		c.send.drop(l, err)
	}
	c.watches.end(err)
	m.halt(err)
}

// stop is the last step of Close.
func (m *manager) stop(cause error) {
	c := m.c
	if m.over {
		return
	}
	m.over = true
	for _, life := range []*sessionLife{m.life, m.readOnly} {
		if life != nil {
			m.forget(life, cause)
		}
	}
	c.cancel(ErrClosed)
	m.endTenancy(cause)
	c.state.set(StateChange{To: StateLost, Keeper: KeeperClosed, Err: cause}, ErrClosed)
	c.watches.end(ErrClosed)
	m.halt(cause)
}

// halt stops what runs; the loop goes on until it has ended.
func (m *manager) halt(cause error) {
	if m.cancel != nil {
		m.cancel()
	}
	if m.link != nil {
		m.link.fail(cause)
	}
	m.endHunt()
}

func sessionAttr(id int64) slog.Attr   { return slog.String("session", sessionHex(id)) }
func serverAttr(addr string) slog.Attr { return slog.String("server", addr) }

// failureBook keeps the newest failure of each host, for those who ask why.
type failureBook struct {
	mu   sync.Mutex
	errs map[string]error
	keys []string
}

func (b *failureBook) add(host string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.errs == nil {
		b.errs = make(map[string]error)
	}
	if _, known := b.errs[host]; !known {
		b.keys = append(b.keys, host)
	}
	b.errs[host] = err
}

func (b *failureBook) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.errs, b.keys = nil, nil
}

func (b *failureBook) list() []error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var errs []error
	for _, k := range b.keys {
		errs = append(errs, b.errs[k])
	}
	return errs
}
