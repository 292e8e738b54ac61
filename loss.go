package gazoo

import (
	"github.com/gazoo-zk/gazoo/zkproto"
)

// This file is how calls end without an answer: the connection is taken away, the tenancy ends,
// the client closes, the caller leaves.

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
	s.failed = append(s.failed, l.withheld...)
	l.withheld = nil
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
	l.withheld = append(l.withheld, cl)
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
	stand.xid, stand.startOff, stand.sent, stand.server = cl.xid, cl.startOff, true, cl.server
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

// isIdle reports whether end was called and nothing submitted is left.
func (s *sender) isIdle() bool {
	select {
	case <-s.idle:
		return true
	default:
		return false
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
	gone = cl.desert()
	s.mu.Unlock()
	return gone, e
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
	if cause := s.Err(); cause != nil && cause != ErrSessionOver {
		return &waitError{ErrSessionOver, cause}
	}
	return ErrSessionOver
}
