package gazoo

import (
	"context"
	"encoding/binary"
	"slices"
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
	lastSend stamp // newest request put on the wire

	// Left by code that ran under mu, dealt with by unlock: completing a call takes the
	// registry's lock, which comes before this one.
	failed []*call
	freed  []*roomWaiter
}

// roomWaiter is a caller that the window holds back. Whoever makes room submits its call.
type roomWaiter struct {
	cl  *call
	err error      // what became of the submission
	ch  chan error // one slot
}

// unlock leaves mu and then does what could not be done under it.
func (s *sender) unlock() {
	failed, freed := s.failed, s.freed
	s.failed, s.freed = nil, nil
	l := s.link
	idle := l == nil || len(l.out) == 0
	s.mu.Unlock()
	if !idle {
		l.wakeWriter()
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
// queue. On error the call was released and nothing was sent.
func (s *sender) submit(ctx context.Context, cl *call) error {
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
		s.unlock()
	}
	if err != nil {
		return s.refuse(cl, err)
	}
	return nil
}

// enter takes the call's share of the window and submits it. Under mu.
func (s *sender) enter(cl *call) error {
	s.calls++
	s.bytes += cl.weight
	err := s.admit(cl)
	if err != nil {
		s.calls--
		s.bytes -= cl.weight
		s.checkIdle()
	}
	return err
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
	if cl.bound != nil && cl.bound != s.tenancy {
		return sessionOver(cl.bound)
	}
	cl.tenancy = s.tenancy
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
	cl.start = s.core.clock.now()
	s.lastSend = cl.start
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
	}
	s.mu.Unlock()
	if ok {
		l.wakeWriter()
	}
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
	l.wakeWriter()
	return true
}

// live makes l the connection and sends what waited. Tenancy is the session's, nil for a
// read-only one.
func (s *sender) live(l *link, tenancy *Session) {
	s.mu.Lock()
	s.link, s.tenancy = l, tenancy
	s.lastSend = s.core.clock.now() // of the handshake, more or less: no ping is due yet
	for cl := s.head; cl != nil; cl = cl.next {
		if cl.tenancy == nil {
			cl.tenancy = tenancy
		}
	}
	s.flush()
	s.unlock()
}

// drop takes the connection away. Every call submitted before fails, in order: those in the
// ring as sent or not, those in the queue (waiting behind a probe) and those waiting for room
// as not sent. Calls made from now on wait.
func (s *sender) drop(l *link, cause error) {
	loss := &lossError{code: ErrConnectionLoss, cause: cause}
	s.mu.Lock()
	if s.link != l {
		s.mu.Unlock()
		return
	}
	s.link, s.blocked, s.probe = nil, false, nil
	// Nobody who waits for room may slip in while the window empties.
	room := s.room
	s.room = nil
	lose := func(cl *call) {
		outcome := OutcomeNotSent
		if cl.sent && cl.startOff < l.handed {
			outcome = OutcomeUnknown
		}
		s.failLater(cl, outcome, loss)
	}
	if l.last != nil {
		s.failed = append(s.failed, l.last)
		l.last = nil
	}
	for cl := l.pending.pop(); cl != nil; cl = l.pending.pop() {
		lose(cl)
	}
	for _, cl := range l.auths {
		lose(cl)
	}
	l.auths, l.out = nil, nil
	for cl := s.head; cl != nil; cl = s.head {
		s.unqueue(cl)
		lose(cl)
	}
	for _, w := range room {
		w.ch <- loss
	}
	s.checkIdle()
	s.unlock()
}

// withhold keeps a call whose answer ends the connection until the drop: whoever learns of the
// answer and calls again is to wait for the next connection. It returns false when the
// connection was taken away already.
func (s *sender) withhold(l *link, cl *call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != l {
		return false
	}
	l.last = cl
	return true
}

// endTenancy fails the calls that wait for a connection and belong to the tenancy that ended.
func (s *sender) endTenancy(t *Session, cause error) {
	s.mu.Lock()
	if s.tenancy == t {
		s.tenancy = nil
	}
	for cl := s.head; cl != nil; {
		next := cl.next
		if cl.tenancy == t {
			s.unqueue(cl)
			s.failLater(cl, OutcomeNotSent, cause)
		}
		cl = next
	}
	s.unlock()
}

// end refuses everything from now on. What waits for a connection fails; with drain, calls
// that wait behind a probe on a live connection still go out.
func (s *sender) end(cause error, drain bool) {
	s.mu.Lock()
	s.ended = cause
	for _, w := range s.room {
		w.ch <- cause
	}
	s.room = nil
	if !drain || s.link == nil {
		s.failWaiting(cause)
	}
	s.checkIdle()
	s.unlock()
}

// abort is end for what is on the wire too: its waiters are let go, stand-ins take its place
// so that answers still find their order.
func (s *sender) abort(cause error) {
	s.mu.Lock()
	s.ended = cause
	s.failWaiting(cause)
	if l := s.link; l != nil {
		for i := range l.pending.len() {
			s.standIn(l.pending.at(i), cause)
		}
		for i := range l.auths {
			s.standIn(&l.auths[i], cause)
		}
	}
	s.probe, s.blocked = nil, false
	s.checkIdle()
	s.unlock()
}

// standIn puts an abandoned call in the place of one on the wire and fails that one. Internal
// calls stay. Under mu.
func (s *sender) standIn(slot **call, cause error) {
	cl := *slot
	if cl.weight == 0 {
		return
	}
	stand := s.core.newCall(zkproto.OpPing, "aborted", "")
	stand.xid, stand.start, stand.startOff, stand.sent, stand.server = cl.xid, cl.start, cl.startOff, true, cl.server
	stand.state.Store(callAbandoned)
	*slot = stand
	s.failLater(cl, OutcomeUnknown, cause) // bytes not handed over yet will leave all the same
}

func (s *sender) failWaiting(cause error) {
	for cl := s.head; cl != nil; cl = s.head {
		s.unqueue(cl)
		s.failLater(cl, OutcomeNotSent, cause)
	}
}

// checkIdle closes idle once nothing submitted is left. Under mu.
func (s *sender) checkIdle() {
	if s.ended == nil || s.calls > 0 || s.head != nil {
		return
	}
	select {
	case <-s.idle:
	default:
		close(s.idle)
	}
}

// abandon ends the wait for a call. gone is false when the result has arrived meanwhile.
// Otherwise the error says whether the request had left: one that waited for a connection is
// taken back, one on the wire runs on and is released when its answer comes.
func (s *sender) abandon(cl *call, cause error) (gone bool, err error) {
	s.mu.Lock()
	if cl.waiting {
		s.unqueue(cl)
		s.leave(cl.weight)
		if s.blocked && s.probe == nil {
			s.blocked = false // perhaps it was the one that wanted the wire; flush decides anew
		}
		s.flush()
		s.unlock()
		return true, s.refuse(cl, cause)
	}
	e := &OpError{Op: cl.name, Path: cl.path, Server: cl.server, Outcome: OutcomeUnknown, Write: cl.write, Err: cause}
	if !cl.sent {
		e.Outcome = OutcomeNotSent // failing at this moment, without having been sent
	}
	gone = cl.state.CompareAndSwap(callPending, callAbandoned)
	s.mu.Unlock()
	return gone, e
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

// fits reports whether the window has room. One call always fits an empty window. Under mu.
func (s *sender) fits(weight int) bool {
	return s.calls == 0 || s.calls < s.maxCalls && s.bytes+weight <= s.maxBytes
}

// leave gives a call's share of the window back and lets in those for whom there is room now.
// Internal calls (weight 0) never had a share. Under mu.
func (s *sender) leave(weight int) {
	if weight == 0 {
		return
	}
	s.calls--
	s.bytes -= weight
	s.checkIdle()
	s.letIn()
}

// letIn submits the calls of waiting callers while there is room, here and not on their
// goroutines, so that they keep their order on the wire. Under mu.
func (s *sender) letIn() {
	for len(s.room) > 0 && s.fits(s.room[0].cl.weight) {
		w := s.room[0]
		s.room = s.room[1:]
		w.err = s.enter(w.cl)
		s.freed = append(s.freed, w)
	}
}

// waitForRoom is entered with mu held and leaves it. Without an error the call was submitted.
func (s *sender) waitForRoom(ctx context.Context, cl *call) error {
	w := &roomWaiter{cl: cl, ch: make(chan error, 1)}
	s.room = append(s.room, w)
	s.unlock()
	select {
	case err := <-w.ch:
		return err
	case <-ctx.Done():
	}
	s.mu.Lock()
	i := slices.Index(s.room, w)
	if i < 0 {
		s.mu.Unlock()
		return <-w.ch // it was let in, or refused, at this moment
	}
	s.room = slices.Delete(slices.Clone(s.room), i, i+1)
	s.letIn() // it may have stood before smaller ones
	s.unlock()
	return ctxError(ctx)
}

// load returns how much is in flight or waiting.
func (s *sender) load() (calls, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls, s.bytes
}

// lossError is the cause of calls that went down with the connection: it matches
// ErrConnectionLoss and says why the connection ended.
type lossError struct {
	code  Code
	cause error
}

func (e *lossError) Error() string {
	if e.cause == nil {
		return e.code.Error()
	}
	return e.code.Error() + ": " + e.cause.Error()
}

func (e *lossError) Unwrap() []error { return []error{e.code, e.cause} }

func sessionOver(s *Session) error {
	if cause := context.Cause(s.tenancy); cause != nil && cause != ErrSessionOver {
		return &waitError{ErrSessionOver, cause}
	}
	return ErrSessionOver
}

// sentLast returns when something was put on the wire last, and whether anything there is
// still unanswered.
func (s *sender) sentLast() (stamp, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastSend, s.link != nil && (s.link.pending.len() > 0 || len(s.link.auths) > 0)
}
