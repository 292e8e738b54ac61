package gazoo

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// hello is the server's answer to the connect record.
type hello struct {
	id       int64
	password []byte
	timeout  time.Duration
	readOnly bool
	sent     stamp // when the connect record left: the newest proof of life
}

// collected is a watch event that came before the handshake was complete.
type collected struct {
	event zkproto.WatcherEvent
	zxid  int64
}

// errReset matches a connection reset by the peer, which is how some servers close.
var errReset error = syscall.ECONNRESET

var (
	errClosedBare = errors.New("server closed without an answer (not serving, read-only, behind our history, or expecting TLS)")
	errRefused    = errors.New("server refused the session")

	errNoSetWatches = errors.New("server cannot register watches again")
)

// secure wraps a connection in TLS when the host asks for it.
func (c *core) secure(ctx context.Context, h Host, conn net.Conn) (net.Conn, error) {
	if h.TLS == TLSOff || h.TLS == TLSDefault && c.cfg.tls == nil {
		return conn, nil
	}
	cfg := &tls.Config{}
	if c.cfg.tls != nil {
		cfg = c.cfg.tls.Clone()
	}
	if cfg.ServerName == "" {
		cfg.ServerName = h.Name
	}
	secured := tls.Client(conn, cfg)
	if err := secured.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, fmt.Errorf("TLS with %s: %w", h.Name, err)
	}
	return secured, nil
}

// reachAddr dials one address and runs the handshake pipeline: dial, TLS, connect record,
// SASL, credentials, watches. whole ends ctx when the attempt has used up its budget.
func (c *core) reachAddr(ctx context.Context, plan attemptPlan, addr string, share time.Duration, whole *time.Timer) attemptResult {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	limit := time.AfterFunc(share, cancel)
	defer limit.Stop()
	// Once the server has the session, what follows may take as long as a silent connection may.
	greeted := func(h hello) {
		limit.Reset(2 * h.timeout / 3)
		whole.Reset(2 * h.timeout / 3)
	}
	r := c.shake(ctx, plan, addr, greeted)
	if r.bare && plan.hunting && plan.life != nil {
		// A live global session is refused by a read-only server. Ours is lost already, so one
		// that says it is read-only gets an offer without it.
		if word, err := c.askWord(ctx, plan.host, addr, "isro"); err == nil && word == "ro" {
			plan.life = nil
			r = c.shake(ctx, plan, addr, greeted)
			if r.link != nil && !r.hello.readOnly {
				// It has found its ensemble meanwhile, which may still know our session.
				r.link.close(errFoundReadWrite)
				return attemptResult{err: errFoundReadWrite, again: true}
			}
		}
	}
	if r.err != nil && ctx.Err() != nil && !errors.Is(r.err, ErrAuthFailed) {
		r.err = fmt.Errorf("no answer in %v: %w", share.Round(time.Millisecond), r.err)
		r.bare = false
	}
	return r
}

func (c *core) shake(ctx context.Context, plan attemptPlan, addr string, greeted func(hello)) (r attemptResult) {
	conn, err := c.dialHost(ctx, plan.host, addr)
	if err != nil {
		return attemptResult{err: err}
	}
	// Context to socket: a handshake is the one place where a connection may be given up.
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	l := newLink(c, conn, plan.host, addr)
	defer func() {
		if !stop() && r.err == nil {
			r.err = context.Cause(ctx)
		}
		if r.err != nil {
			l.close(r.err)
			r.link = nil
		}
	}()
	h, err := c.greet(l, plan)
	r.hello = h
	switch {
	case err == errRefused:
		return attemptResult{err: err, expired: plan.life != nil}
	case err != nil && closedBare(err):
		return attemptResult{err: errClosedBare, bare: true}
	case err != nil:
		return attemptResult{err: err}
	}
	greeted(h)
	if err := c.login(ctx, l, &r); err != nil {
		r.err = err
		return r
	}
	if err := c.authenticate(ctx, l, &r); err != nil {
		r.err = err
		return r
	}
	if plan.noZxid && !h.readOnly {
		if r.present, err = c.askZxid(l, &r); err != nil {
			r.err = err
			return r
		}
	}
	resumed := plan.life != nil && h.id == plan.life.id
	if err := c.register(l, plan, resumed, &r); err != nil {
		r.err = err
		return r
	}
	r.link = l
	return r
}

// greet exchanges the connect records.
func (c *core) greet(l *link, plan attemptPlan) (hello, error) {
	req := zkproto.ConnectRequest{
		TimeoutMS:   int32(c.cfg.sessionTimeout.Milliseconds()),
		Password:    make([]byte, 16),
		ReadOnly:    c.cfg.readOnly,
		HasReadOnly: true, // always: servers answer with theirs only then
	}
	if !plan.noZxid {
		req.LastZxidSeen = plan.zxid
	}
	if plan.life != nil {
		req.SessionID, req.Password = plan.life.id, plan.life.password
	}
	b, mark := zkproto.BeginFrame(nil)
	h := hello{sent: c.clock.now()}
	l.sendRaw(zkproto.EndFrame(req.AppendTo(b), mark))
	frame, err := l.frames.Next()
	if err != nil {
		return h, fmt.Errorf("connect record: %w", err)
	}
	r := zkproto.NewReader(frame)
	var resp zkproto.ConnectResponse
	resp.Decode(&r)
	if err := r.Err(); err != nil {
		return h, fmt.Errorf("connect record: %w", err)
	}
	if resp.TimeoutMS <= 0 {
		if resp.ProtocolVersion != 0 {
			// ClickHouse Keeper without a leader: no verdict on the session.
			return h, fmt.Errorf("server answers protocol version %d and no session", resp.ProtocolVersion)
		}
		return h, errRefused
	}
	h.id, h.password = resp.SessionID, resp.Password
	h.timeout = time.Duration(resp.TimeoutMS) * time.Millisecond
	h.readOnly = resp.ReadOnly
	if h.readOnly && !c.cfg.readOnly {
		return h, errors.New("server is read-only, which was not asked for")
	}
	return h, nil
}

// authenticate sends every credential and waits for the verdicts, before anything but SASL.
func (c *core) authenticate(ctx context.Context, l *link, r *attemptResult) error {
	creds := c.auth.all()
	for _, cred := range creds {
		auth, err := cred.bytes(ctx)
		if err != nil {
			return fmt.Errorf("credential for %s: %w", cred.scheme, err)
		}
		b, mark := zkproto.BeginFrame(nil)
		b = zkproto.RequestHeader{Xid: zkproto.XidAuth, Op: zkproto.OpAuth}.AppendTo(b)
		b = zkproto.AuthRequest{Scheme: cred.scheme, Auth: auth}.AppendTo(b)
		l.sendRaw(zkproto.EndFrame(b, mark))
	}
	for _, cred := range creds {
		h, err := c.handshakeReply(l, r)
		if err != nil {
			return fmt.Errorf("add auth %s: %w", cred.scheme, err)
		}
		if h.Err != 0 {
			return fmt.Errorf("add auth %s: %w", cred.scheme, h.Err)
		}
	}
	return nil
}

// askZxid learns how far the history of a server goes that was offered no zxid: it may have
// closed without a word for another reason than being behind. A sync makes a follower catch up.
func (c *core) askZxid(l *link, r *attemptResult) (int64, error) {
	b, mark := zkproto.BeginFrame(nil)
	b = zkproto.RequestHeader{Op: zkproto.OpSync}.AppendTo(b)
	b = zkproto.PathRequest{Path: "/"}.AppendTo(b)
	l.sendRaw(zkproto.EndFrame(b, mark))
	h, err := c.handshakeReply(l, r)
	if err == nil && h.Err != 0 {
		err = h.Err
	}
	if err != nil {
		return 0, fmt.Errorf("sync: %w", err)
	}
	return h.Zxid, nil
}

// register sets all watches again and collects the events that the server answers with.
func (c *core) register(l *link, plan attemptPlan, oneShots bool, r *attemptResult) error {
	streams := l.features.knows(featureAddWatch) != featureNo
	if l.features.knows(featureSetWatches) == featureNo {
		oneShots = false
	}
	r.renewal = c.watches.renew(plan.zxid, oneShots, streams, l.addRaw)
	l.flushRaw()
	for range r.renewal.requests {
		h, err := c.handshakeReply(l, r)
		if err != nil {
			return fmt.Errorf("set watches: %w", err)
		}
		if unimplemented(h) {
			// Learnt with nothing else in flight; the next attempt does without.
			if r.renewal.streams {
				l.features.learn(featureAddWatch, false)
			} else {
				l.features.learn(featureSetWatches, false)
			}
			r.again = true
		}
		if h.Err != 0 {
			return fmt.Errorf("set watches: %w", h.Err)
		}
	}
	if r.renewal.streams {
		l.features.learn(featureAddWatch, true)
	}
	return nil
}

// handshakeReply reads the next reply, putting watch events aside.
func (c *core) handshakeReply(l *link, r *attemptResult) (zkproto.ReplyHeader, error) {
	h, _, err := c.handshakeAnswer(l, r)
	return h, err
}

// handshakeAnswer is handshakeReply with what follows the header, valid until the next one.
func (c *core) handshakeAnswer(l *link, r *attemptResult) (zkproto.ReplyHeader, zkproto.Reader, error) {
	for {
		frame, err := l.frames.Next()
		if err != nil {
			return zkproto.ReplyHeader{}, zkproto.Reader{}, err
		}
		rd := zkproto.NewReader(frame)
		var h zkproto.ReplyHeader
		h.Decode(&rd)
		if h.Xid != zkproto.XidNotification || rd.Err() != nil {
			return h, rd, rd.Err()
		}
		var ev zkproto.WatcherEvent
		ev.Decode(&rd)
		if err := rd.Err(); err != nil {
			return h, rd, fmt.Errorf("watch event: %w", err)
		}
		r.events = append(r.events, collected{ev, h.Zxid})
	}
}

func sessionHex(id int64) string { return "0x" + strconv.FormatUint(uint64(id), 16) }
