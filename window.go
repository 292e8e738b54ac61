package gazoo

import (
	"context"
	"slices"
)

// This file is the sender's window: how many calls and bytes may be on their way, and those who
// wait for room.

// roomWaiter is a caller that the window holds back. Whoever makes room submits its call.
type roomWaiter struct {
	cl  *call
	err error      // what became of the submission
	ch  chan error // one slot
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

// fits reports whether the window has room. One call always fits an empty window. Under mu.
func (s *sender) fits(weight int) bool {
	return s.calls == 0 || s.calls < s.maxCalls && s.bytes+weight <= s.maxBytes
}

// leave gives a call's share of the window back and lets in those for whom there is room now.
// Internal calls (weight 0) never had a share. Under mu.
func (s *sender) leave(weight int) {
	if weight != 0 {
		s.left(1, weight)
	}
}

// left is leave for several calls.
func (s *sender) left(calls, bytes int) {
	if calls == 0 {
		return
	}
	s.calls -= calls
	s.bytes -= bytes
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
