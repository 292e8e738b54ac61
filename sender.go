package gazoo

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// sender is what stands in front of the connection: the order of requests, the window, the
// calls that wait for a connection, the ring of calls that wait for an answer. Everything is
// guarded by mu; nothing blocks under it.
type sender struct {
	core *core
	mu   sync.Mutex

	link    *link         // the live connection, nil while there is none
	tenancy *Session      // calls made now belong to it; nil: to the next one
	ended   error         // set once by Close or a terminal failure: no new calls
	idle    chan struct{} // closed when ended and nothing is in flight or waiting

	// Calls made while no connection was live, or while a probe needs the connection for
	// itself. They go out in this order before anything newer.
	head, tail *call
	blocked    bool  // a call of unknown support waits for, or has, the wire to itself
	probe      *call // that call, once sent

	// Window: what was admitted and is not complete.
	calls, bytes       int
	maxCalls, maxBytes int
	room               []*roomWaiter // arrival order
	maxRequest         int           // bytes of one packet

	xid      int32
	tracked  int64 // requests ever put on the wire
	lastSend stamp // when something was handed to a connection last

	// Left by code that ran under mu, dealt with by unlock: completing a call takes the
	// registry's lock, which comes before this one.
	failed []*call
	freed  []*roomWaiter
}

// unlock leaves mu and then does what could not be done under it.
func (s *sender) unlock() { s.unlockAs(false) }

// unlockAs is unlock. One who waits for the call just submitted writes it himself when nothing
// else is in flight.
func (s *sender) unlockAs(waits bool) {
	l, failed, freed := s.link, s.failed, s.freed
	if failed != nil || freed != nil {
		s.failed, s.freed = nil, nil
	}
	if l != nil {
		l.release(waits && l.pending.len() == 1)
	} else {
		s.mu.Unlock()
	}
	for _, w := range freed {
		w.ch <- w.err
	}
	for _, cl := range failed {
		cl.complete(s.core)
	}
}

// drain is for those who used the sender under the registry's lock and have left it.
func (s *sender) drain() {
	s.mu.Lock()
	s.unlock()
}

// failLater records a failure that unlock will complete. Under mu.
func (s *sender) failLater(cl *call, outcome Outcome, err error) {
	s.leave(cl.weight)
	cl.fail(outcome, err)
	s.failed = append(s.failed, cl)
}

// submit admits the call to the window, encodes it, and puts it on the wire or into the
// queue. On error the call was released and nothing was sent. waits says that the caller is
// going to wait for the answer.
func (s *sender) submit(ctx context.Context, cl *call, waits bool) error {
	if err := ctx.Err(); err != nil {
		return s.refuse(cl, ctxError(ctx))
	}
	weight, least := cl.req.size()
	if least > s.maxRequest {
		// Certainly too large: not even encoded.
		return s.refuse(cl, &SizeError{Size: least, Limit: s.maxRequest, kind: ErrRequestTooLarge})
	}
	s.mu.Lock()
	cl.weight = weight
	var err error
	if len(s.room) > 0 || !s.fits(weight) {
		err = s.waitForRoom(ctx, cl)
	} else {
		err = s.enter(cl)
		s.unlockAs(waits)
	}
	if err != nil {
		return s.refuse(cl, err)
	}
	return nil
}

func (s *sender) refuse(cl *call, err error) error {
	cl.fail(OutcomeNotSent, err)
	if cl.register != nil {
		cl.register.settle(cl)
	}
	e := cl.opError()
	cl.release()
	return e
}

// admit encodes a call and puts it where it belongs. Under mu.
func (s *sender) admit(cl *call) error {
	if s.ended != nil {
		return s.ended
	}
	// A process that was stopped may ask before its own timer has run: the clock tells.
	if cl.bound != nil && (cl.bound != s.tenancy || cl.bound.Err() != nil) {
		return sessionOver(cl.bound)
	}
	cl.tenancy = s.tenancy
	if cl.watch != nil && cl.watch.over {
		cl.watch = nil
	}
	if len(s.core.cfg.hooks.request) > 0 {
		cl.began = time.Now()
	}
	if s.link != nil && s.head == nil && !s.blocked {
		switch s.link.features.knows(cl.need) {
		case featureYes:
			return s.put(cl)
		case featureNo:
			return unsupported(cl.name)
		}
	}
	b, mark := zkproto.BeginFrame(nil)
	b = s.encode(b, cl)
	if size := len(b) - mark - 4; size > s.maxRequest {
		return &SizeError{Size: size, Limit: s.maxRequest, kind: ErrRequestTooLarge}
	}
	cl.frame = zkproto.EndFrame(b, mark)
	s.enqueue(cl)
	s.flush()
	return nil
}

func (s *sender) encode(b []byte, cl *call) []byte {
	b = zkproto.RequestHeader{Xid: cl.xid, Op: cl.op}.AppendTo(b)
	return cl.req.appendBody(b, cl.op)
}

// put encodes a call into the connection's buffer and its entry into the ring. Under mu.
func (s *sender) put(cl *call) error {
	l := s.link
	cl.xid = s.xidFor(cl)
	b, mark := zkproto.BeginFrame(l.out)
	b = s.encode(b, cl)
	if size := len(b) - mark - 4; size > s.maxRequest {
		l.out = b[:mark]
		return &SizeError{Size: size, Limit: s.maxRequest, kind: ErrRequestTooLarge}
	}
	b = zkproto.EndFrame(b, mark)
	s.track(cl, len(b)-mark)
	l.out = b
	return nil
}

// putFrame is put for a call that was encoded while it waited: only its xid is missing.
func (s *sender) putFrame(cl *call) {
	cl.xid = s.xidFor(cl)
	binary.BigEndian.PutUint32(cl.frame[4:], uint32(cl.xid))
	s.link.out = append(s.link.out, cl.frame...)
	s.track(cl, len(cl.frame))
	cl.frame = nil
}

// track records a call whose frame of size bytes was just appended. Under mu.
func (s *sender) track(cl *call, size int) {
	l := s.link
	cl.startOff, cl.size = l.appended, size
	l.appended += int64(size)
	cl.sent, cl.server = true, l.addr
	s.tracked++
	if cl.xid == zkproto.XidAuth {
		l.auths = append(l.auths, cl) // answered on their own, may overtake
	} else {
		l.pending.push(cl)
	}
}

// xidFor numbers calls from 1 and wraps to 1; auth packets have an xid of their own.
func (s *sender) xidFor(cl *call) int32 {
	if cl.op == zkproto.OpAuth {
		return zkproto.XidAuth
	}
	return s.nextXid()
}

func (s *sender) nextXid() int32 {
	s.xid++
	if s.xid <= 0 {
		s.xid = 1
	}
	return s.xid
}

// flush moves waiting calls to the connection, in order, until one of unknown support needs
// the wire for itself. Under mu.
func (s *sender) flush() {
	for s.link != nil && !s.blocked && s.head != nil {
		cl := s.head
		switch s.link.features.knows(cl.need) {
		case featureNo:
			s.unqueue(cl)
			s.failLater(cl, OutcomeNotSent, unsupported(cl.name))
			continue
		case featureUnknown:
			s.blocked = true
			if s.link.pending.len() > 0 {
				return // resumed by answered
			}
			s.probe = cl
		}
		s.unqueue(cl)
		s.putFrame(cl)
	}
	// Internal calls have no share of the window whose return would look.
	s.checkIdle()
}

// answered is told of each call taken off the ring. Under mu.
func (s *sender) answered(cl *call) {
	if !s.blocked {
		return
	}
	if s.probe == cl || s.probe == nil && s.link != nil && s.link.pending.len() == 0 {
		s.probe, s.blocked = nil, false
		s.flush()
	}
}

// inject puts an internal request on the wire at once, outside the window and before waiting
// calls: pings, removals, auth, closeSession. It reports whether there was a connection.
func (s *sender) inject(cl *call, xid int32) bool {
	s.mu.Lock()
	l := s.link
	ok := l != nil && (s.ended == nil || cl.op == zkproto.OpCloseSession)
	if ok {
		s.injectLocked(cl, xid)
		// Even if the connection takes nothing: the next ping is due a while later.
		s.lastSend = s.core.clock.now()
	}
	s.unlockAs(true)
	return ok
}

func (s *sender) injectLocked(cl *call, xid int32) {
	if xid == 0 {
		xid = s.nextXid()
	}
	cl.xid = xid
	l := s.link
	b, mark := zkproto.BeginFrame(l.out)
	b = zkproto.EndFrame(s.encode(b, cl), mark)
	l.out = b
	s.track(cl, len(b)-mark)
}

// background sends an internal request that nobody waits for, outside the window, and reports
// whether it could. It may be called under the registry's lock, whose holder must drain.
func (s *sender) background(cl *call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.link
	if l == nil || s.ended != nil {
		return false
	}
	switch l.features.knows(cl.need) {
	case featureNo:
		return false
	case featureYes:
		s.injectLocked(cl, 0)
	default:
		b, mark := zkproto.BeginFrame(nil)
		cl.frame = zkproto.EndFrame(s.encode(b, cl), mark)
		cl.tenancy = s.tenancy
		s.enqueue(cl)
		s.flush()
	}
	if l.claim() {
		l.wakeWriter()
	}
	return true
}

// begin makes t the tenancy of the calls made from here on, and of those that wait for the next one.
func (s *sender) begin(t *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tenancy = t
	for cl := s.head; cl != nil; cl = cl.next {
		if cl.tenancy == nil {
			cl.tenancy = t
		}
	}
}

// live makes l the connection and sends what waited.
func (s *sender) live(l *link) {
	s.mu.Lock()
	s.link = l
	s.lastSend = s.core.clock.now() // of the handshake, more or less: no ping is due yet
	s.flush()
	s.unlock()
}

// enqueue and unqueue keep the waiting queue. Under mu.
func (s *sender) enqueue(cl *call) {
	cl.waiting = true
	cl.prev = s.tail
	if s.tail != nil {
		s.tail.next = cl
	} else {
		s.head = cl
	}
	s.tail = cl
}

func (s *sender) unqueue(cl *call) {
	if cl.prev != nil {
		cl.prev.next = cl.next
	} else {
		s.head = cl.next
	}
	if cl.next != nil {
		cl.next.prev = cl.prev
	} else {
		s.tail = cl.prev
	}
	cl.next, cl.prev, cl.waiting = nil, nil, false
}

// sentLast returns when something was put on the wire last, and whether anything there is
// still unanswered, and whether pings are taken.
func (s *sender) sentLast() (sent stamp, waiting, pings bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastSend, s.link != nil && (s.link.pending.len() > 0 || len(s.link.auths) > 0), s.ended == nil
}
