package gazoo

import (
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// link is one connection to one server, from dial to close. The goroutine that dialled reads
// it; a second one writes. A link never reconnects: the manager makes another.
type link struct {
	core     *core
	conn     net.Conn
	host     Host
	addr     string // as dialled
	features *featureSet
	frames   *zkproto.FrameReader

	// Guarded by sender.mu.
	out      []byte  // encoded, not yet handed to Write
	spare    []byte  // the writer's other buffer
	pending  ring    // on the wire, unanswered, in order
	auths    []*call // add-auth requests, answered in their own order
	last     *call   // its answer ended the link; completed at the drop
	appended int64   // bytes ever appended to out
	handed   int64   // bytes ever handed to Write: what lies behind was never sent

	heard proofOfLife // when bytes came in last

	wake      chan struct{} // one slot
	start     chan struct{} // closed by the manager: read on
	closeOnce sync.Once
	closed    chan struct{}
	cause     error // set before closed is closed
	writer    sync.WaitGroup
}

const maxSpare = 256 << 10 // a writer's buffer above this is given back to the collector

func newLink(c *core, conn net.Conn, host Host, addr string) *link {
	l := &link{
		core: c, conn: conn, host: host, addr: addr,
		features: c.features.of(addr),
		frames:   zkproto.NewFrameReader(conn, c.cfg.maxReply),
		wake:     make(chan struct{}, 1),
		start:    make(chan struct{}),
		closed:   make(chan struct{}),
	}
	l.heard.store(c.clock.now())
	l.writer.Go(l.writeLoop)
	return l
}

// fail ends the link with its first cause. It does not wait; close does.
func (l *link) fail(cause error) {
	l.closeOnce.Do(func() {
		l.cause = cause
		close(l.closed)
		l.conn.Close()
	})
}

// close ends the link and waits for its writer.
func (l *link) close(cause error) {
	l.fail(cause)
	l.writer.Wait()
}

func (l *link) wakeWriter() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *link) writeLoop() {
	s := &l.core.send
	for {
		select {
		case <-l.wake:
		case <-l.closed:
			return
		}
		for {
			s.mu.Lock()
			buf := l.out
			if len(buf) == 0 {
				s.mu.Unlock()
				break
			}
			l.out, l.spare = l.spare[:0], nil
			l.handed = l.appended
			s.mu.Unlock()
			if _, err := l.conn.Write(buf); err != nil {
				l.fail(fmt.Errorf("write: %w", err))
				return
			}
			if cap(buf) <= maxSpare {
				s.mu.Lock()
				l.spare = buf[:0]
				s.mu.Unlock()
			}
		}
	}
}

// sendRaw appends an encoded frame during the handshake, when no calls are on the link yet.
func (l *link) sendRaw(frame []byte) {
	s := &l.core.send
	s.mu.Lock()
	l.out = append(l.out, frame...)
	l.appended += int64(len(frame))
	s.mu.Unlock()
	l.wakeWriter()
}

// readLoop reads until the connection ends and returns why.
func (l *link) readLoop() error {
	for {
		if err := l.readFrame(); err != nil {
			return err
		}
	}
}

func (l *link) readFrame() error {
	frame, err := l.frames.Next()
	tooLarge, _ := err.(*zkproto.FrameSizeError)
	if err != nil && tooLarge == nil {
		return fmt.Errorf("read: %w", err)
	}
	l.heard.store(l.core.clock.now())
	r := zkproto.NewReader(frame)
	var h zkproto.ReplyHeader
	h.Decode(&r)
	if r.Err() != nil {
		return fmt.Errorf("reply header: %w", r.Err())
	}
	if h.Xid == zkproto.XidNotification {
		if tooLarge != nil {
			return tooLarge
		}
		var ev zkproto.WatcherEvent
		ev.Decode(&r)
		if r.Err() != nil {
			return fmt.Errorf("watch event: %w", r.Err())
		}
		l.core.watches.dispatch(ev, h.Zxid)
		return nil
	}
	cl, err := l.take(h)
	if err != nil {
		return err
	}
	return l.answer(cl, h, &r, tooLarge)
}

// take matches a reply with its call. Replies come in the order of requests; only those to
// auth packets may overtake, and have a queue of their own.
func (l *link) take(h zkproto.ReplyHeader) (*call, error) {
	s := &l.core.send
	s.mu.Lock()
	if s.link != l {
		// The manager has taken the connection away; its calls have failed already.
		s.mu.Unlock()
		return nil, errLinkGone
	}
	var cl *call
	if h.Xid == zkproto.XidAuth {
		if len(l.auths) > 0 {
			cl = l.auths[0]
			l.auths = l.auths[1:]
		}
	} else if cl = l.pending.peek(); cl != nil && cl.xid == h.Xid {
		l.pending.pop()
	} else {
		want := "none"
		if cl != nil {
			want = fmt.Sprint(cl.xid)
		}
		s.mu.Unlock()
		return nil, fmt.Errorf("reply out of order: xid %d, expected %s", h.Xid, want)
	}
	if cl == nil {
		s.mu.Unlock()
		return nil, fmt.Errorf("reply to no request: xid %d", h.Xid)
	}
	if cl.need != 0 {
		l.features.learn(cl.need, !unimplemented(h))
	}
	s.leave(cl.weight)
	if unimplemented(h) {
		s.blocked, s.probe = true, cl // the server closes behind this answer: nothing more goes out here
	} else {
		s.answered(cl)
	}
	s.unlock()
	return cl, nil
}

// answer decodes a reply into its call and completes it. An error ends the connection.
func (l *link) answer(cl *call, h zkproto.ReplyHeader, r *zkproto.Reader, tooLarge *zkproto.FrameSizeError) error {
	c := l.core
	if provesLife(cl, h) {
		c.proof.store(cl.start)
	}
	if h.Zxid > c.lastZxid.Load() && cl.op != zkproto.OpPing {
		c.lastZxid.Store(h.Zxid)
	}
	cl.zxid = h.Zxid
	var end error
	switch {
	case h.Err != 0:
		cl.fail(OutcomeRefused, h.Err)
		switch {
		case h.Err == ErrSessionMoved, h.Err == ErrSessionExpired:
			// The connection is worthless: another server has the session (ZOOKEEPER-2886), or
			// none has, which the next handshake will tell.
			end = h.Err
		case h.Err == ErrAuthFailed && cl.op == zkproto.OpAuth:
			end = h.Err
		case unimplemented(h):
			cl.fail(OutcomeRefused, unsupported(cl.name))
			end = errUnknownOp
		case h.Err == ErrUnimplemented && cl.op == zkproto.OpCreateTTL:
			cl.fail(OutcomeRefused, &hintError{h.Err, "the server needs zookeeper.extendedTypesEnabled=true for TTL znodes"})
		}
	case tooLarge != nil:
		cl.fail(OutcomeUnknown, &SizeError{Size: tooLarge.Size, Limit: tooLarge.Limit, kind: ErrReplyTooLarge})
	default:
		if err := cl.decode(r); err != nil {
			err = fmt.Errorf("%s reply: %w", cl.op, err)
			cl.fail(OutcomeUnknown, err)
			end = err
		}
	}
	if end == nil || !c.send.withhold(l, cl) {
		cl.complete(c)
	}
	return end
}

var (
	errLinkGone  = errors.New("connection taken away")
	errUnknownOp = errors.New("server does not know an operation and closes")
)

// provesLife reports whether an answer shows that the request has restarted the session's
// timer on the server.
func provesLife(cl *call, h zkproto.ReplyHeader) bool {
	switch h.Err {
	case ErrSessionMoved, ErrSessionExpired:
		return false
	}
	return cl.op != zkproto.OpAuth && cl.op != zkproto.OpSASL && !unimplemented(h)
}
