package gazoo

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// This file is how answers arrive. The reader takes all frames that one read brought, matches
// them with their calls under one lock, and then decodes and completes them in wire order.

// arrival is one frame of a batch: an answer, or a watch event, which has no call. body lies in
// the frame reader's buffer.
type arrival struct {
	cl   *call
	h    zkproto.ReplyHeader
	body zkproto.Reader
}

// frameIn is a frame that was read, or the head of one that was too large.
type frameIn struct {
	frame    []byte
	tooLarge *zkproto.FrameSizeError
}

// maxBatch bounds a batch: callers are not to wait for the whole of a large one.
const maxBatch = 256

// readLoop reads until the connection ends and returns why.
func (l *link) readLoop() error {
	for {
		if err := l.readBatch(); err != nil {
			return err
		}
	}
}

func (l *link) nextFrame() (frameIn, error) {
	frame, err := l.frames.Next()
	tooLarge, _ := err.(*zkproto.FrameSizeError)
	if err != nil && tooLarge == nil {
		return frameIn{}, fmt.Errorf("read: %w", err)
	}
	return frameIn{frame, tooLarge}, nil
}

// readBatch waits for frames and handles all that came together.
func (l *link) readBatch() error {
	in, err := l.nextFrame()
	if err != nil {
		return err
	}
	l.heard.store(l.core.clock.now())
	answered, since := 0, int64(-1)
	for {
		odd, tracked, err := l.collect(in)
		if since < 0 {
			since = tracked
		}
		n, bad := l.deliver()
		if err := cmp.Or(bad, err); err != nil {
			return err
		}
		answered += n
		if odd.frame != nil {
			if err := l.handle(odd); err != nil {
				return err
			}
		}
		if !l.frames.Buffered() {
			break
		}
		if in, err = l.nextFrame(); err != nil {
			return err
		}
	}
	l.gather(answered, since)
	return nil
}

// collect fills the batch with in and the frames behind it that were read already. It stops at
// the first that is not a plain answer or event, which it returns; the frame of that is nil
// otherwise. tracked is the number of requests that had been put on the wire. From here on what
// callers ask is left to gather.
func (l *link) collect(in frameIn) (odd frameIn, tracked int64, err error) {
	c, s := l.core, &l.core.send
	s.mu.Lock()
	if s.link != l {
		// The manager has taken the connection away; its calls have failed already.
		s.mu.Unlock()
		return odd, 0, errLinkGone
	}
	l.gathering = true
	tracked = s.tracked
	var zxid int64
	var proof stamp
	proven, calls, bytes := false, 0, 0
	for {
		a := arrival{body: zkproto.NewReader(in.frame)}
		a.h.Decode(&a.body)
		if in.tooLarge != nil || !l.match(&a) {
			odd = in
			break
		}
		if cl := a.cl; cl != nil {
			if at, ok := l.sent.at(cl.startOff); ok {
				proof, proven = at, true
			}
			if cl.op != zkproto.OpPing {
				zxid = max(zxid, a.h.Zxid)
			}
			if cl.weight != 0 {
				calls++
				bytes += cl.weight
			}
		}
		l.batch = append(l.batch, a)
		if len(l.batch) == maxBatch || !l.frames.Buffered() {
			break
		}
		if in, err = l.nextFrame(); err != nil {
			break
		}
	}
	// Before anybody can learn of the answers.
	if proven {
		c.proof.store(proof)
	}
	if zxid > c.lastZxid.Load() {
		c.lastZxid.Store(zxid)
	}
	s.left(calls, bytes)
	s.unlock()
	return odd, tracked, err
}

// match finds the call of a plain answer, and takes it off the ring. It reports false for what
// has to be looked at alone: an answer that ends the connection, or that is out of order, or
// not whole. Under sender.mu.
func (l *link) match(a *arrival) bool {
	if a.body.Err() != nil {
		return false
	}
	if a.h.Xid == zkproto.XidNotification {
		return true
	}
	switch a.h.Err {
	case 0:
	case ErrSessionMoved, ErrSessionExpired, ErrAuthFailed, ErrUnimplemented:
		return false
	}
	cl := l.pending.peek()
	if cl == nil || cl.xid != a.h.Xid || cl.op == zkproto.OpSASL {
		return false
	}
	l.pending.pop()
	if cl.need != 0 {
		l.features.learn(cl.need, true)
	}
	l.core.send.answered(cl)
	a.cl = cl
	return true
}

// deliver decodes and completes the batch, in wire order. An answer or event that cannot be
// decoded ends the connection; those behind it are delivered all the same. It returns how many
// calls were answered.
func (l *link) deliver() (answered int, end error) {
	for i := range l.batch {
		a := &l.batch[i]
		var err error
		if a.cl == nil {
			err = l.event(a.h, &a.body)
		} else {
			answered++
			err = l.answer(a.cl, a.h, &a.body, nil)
		}
		if err != nil && end == nil {
			end = err
		}
	}
	clear(l.batch)
	l.batch = l.batch[:0]
	return answered, end
}

func (l *link) event(h zkproto.ReplyHeader, r *zkproto.Reader) error {
	var ev zkproto.WatcherEvent
	ev.Decode(r)
	if r.Err() != nil {
		return fmt.Errorf("watch event: %w", r.Err())
	}
	l.core.watches.dispatch(ev, h.Zxid)
	return nil
}

// handle deals with one frame alone.
func (l *link) handle(in frameIn) error {
	r := zkproto.NewReader(in.frame)
	var h zkproto.ReplyHeader
	h.Decode(&r)
	if r.Err() != nil {
		return fmt.Errorf("reply header: %w", r.Err())
	}
	if h.Xid == zkproto.XidNotification {
		return in.tooLarge // plain events are not handled here
	}
	cl, sent, err := l.take(h)
	if err != nil {
		return err
	}
	c := l.core
	if sent != (stamp{}) && provesLife(cl, h) {
		c.proof.store(sent)
	}
	if h.Zxid > c.lastZxid.Load() && cl.op != zkproto.OpPing {
		c.lastZxid.Store(h.Zxid)
	}
	return l.answer(cl, h, &r, in.tooLarge)
}

// take matches a reply with its call, and says when that was sent; zero for auth packets. Replies
// come in the order of requests; only those to auth packets may overtake, and have a queue of
// their own.
func (l *link) take(h zkproto.ReplyHeader) (cl *call, sent stamp, err error) {
	s := &l.core.send
	s.mu.Lock()
	if s.link != l {
		// The manager has taken the connection away; its calls have failed already.
		s.mu.Unlock()
		return nil, stamp{}, errLinkGone
	}
	if h.Xid == zkproto.XidAuth {
		if len(l.auths) > 0 {
			cl = l.auths[0]
			l.auths = l.auths[1:]
		}
	} else if cl = l.pending.peek(); cl != nil && cl.xid == h.Xid {
		l.pending.pop()
		sent, _ = l.sent.at(cl.startOff) // of auth packets it is not asked: they overtake, and prove nothing
	} else {
		want := "none"
		if cl != nil {
			want = fmt.Sprint(cl.xid)
		}
		s.mu.Unlock()
		return nil, stamp{}, fmt.Errorf("reply out of order: xid %d, expected %s", h.Xid, want)
	}
	if cl == nil {
		s.mu.Unlock()
		return nil, stamp{}, fmt.Errorf("reply to no request: xid %d", h.Xid)
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
	return cl, sent, nil
}

// answer decodes a reply into its call and completes it. An error ends the connection.
func (l *link) answer(cl *call, h zkproto.ReplyHeader, r *zkproto.Reader, tooLarge *zkproto.FrameSizeError) error {
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
	if end == nil || !l.core.send.withhold(l, cl) {
		cl.complete(l.core)
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
