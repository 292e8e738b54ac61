package gazoo

import (
	"fmt"
	"runtime"
)

// This file is how requests leave. They gather in link.out, and one of three takes them to the
// socket, whoever has set link.writing:
//
//   - the reader, after it has answered calls: it lets their callers run and writes what they
//     ask next, all in one piece;
//   - a caller that is about to wait and is alone;
//   - the writer's goroutine: everything else, what a socket does not take at once, and all of
//     it on connections that cannot be written to without blocking (TLS, a dialler's own).
//
// System calls are what a small request costs most, so each is to carry as many as there are.

const (
	maxSpare = 256 << 10 // a buffer above this is given back to the collector

	// What is worth a write of its own while more is on its way.
	manyRequests = 64
	muchOut      = 32 << 10 // bytes

	// How often in a row the reader looks in vain for what callers ask next.
	patience = 16
)

// sentPart says when the bytes of a connection up to until were handed to Write.
type sentPart struct {
	until int64
	at    stamp
}

// sentLog is the newest parts of what was sent, as far as answers may still ask for them.
type sentLog struct {
	parts []sentPart
	head  int
}

func (g *sentLog) add(p sentPart) {
	if g.head == len(g.parts) || g.head >= 64 {
		g.parts = g.parts[:copy(g.parts, g.parts[g.head:])]
		g.head = 0
	}
	g.parts = append(g.parts, p)
}

// at returns when the byte at off left, and forgets what left before it. It is false for a byte
// that has not.
func (g *sentLog) at(off int64) (stamp, bool) {
	for ; g.head < len(g.parts); g.head++ {
		if p := &g.parts[g.head]; off < p.until {
			return p.at, true
		}
	}
	return stamp{}, false
}

// claim reports whether what was appended needs somebody to write it, who is then the caller or
// whom it wakes. Under sender.mu.
func (l *link) claim() bool {
	if len(l.out) == 0 || l.writing || l.gathering {
		return false
	}
	l.writing = true
	return true
}

// handOver returns what has gathered to the one who has set writing. Under sender.mu.
func (l *link) handOver() []byte {
	buf := l.out
	l.out, l.spare = l.spare[:0], nil
	l.handed = l.appended
	now := l.core.clock.now()
	l.sent.add(sentPart{l.handed, now})
	l.core.send.lastSend = now
	return buf
}

// release leaves sender.mu, and sees to it that what was appended is written: by the caller itself,
// if it will, as far as that does not block.
func (l *link) release(self bool) {
	var buf []byte
	wake := l.claim()
	if wake && self && l.raw != nil {
		buf, wake = l.handOver(), false
	}
	l.core.send.mu.Unlock()
	switch {
	case wake:
		l.wakeWriter()
	case buf != nil:
		l.push(buf)
	}
}

// recycle keeps a buffer that was written for the next requests. Under sender.mu.
func (l *link) recycle(buf []byte) {
	if l.spare == nil && cap(buf) <= maxSpare {
		l.spare = buf[:0]
	}
}

// push writes buf as far as the socket takes it at once. What is left over, and what gathered
// meanwhile, is the writer's.
func (l *link) push(buf []byte) {
	n, err := l.now.Write(l.raw, buf)
	if err != nil {
		l.fail(fmt.Errorf("write: %w", err))
		return
	}
	if n < len(buf) {
		l.rest = buf[n:]
		l.wakeWriter()
		return
	}
	s := &l.core.send
	s.mu.Lock()
	l.recycle(buf)
	l.writing = false
	more := l.claim()
	s.mu.Unlock()
	if more {
		l.wakeWriter()
	}
}

// wakeWriter passes the duty to write to the writer's goroutine, which exists from the first time on.
func (l *link) wakeWriter() {
	l.first.Do(func() { l.writer.Go(l.writeLoop) })
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *link) writeLoop() {
	for {
		select {
		case <-l.wake:
		case <-l.closed:
			return
		}
		for buf := l.piece(nil); buf != nil; buf = l.piece(buf) {
			if _, err := l.conn.Write(buf); err != nil {
				l.fail(fmt.Errorf("write: %w", err))
				return
			}
		}
	}
}

// piece returns what the writer has to write after last, nil when there is nothing: then it has
// given writing up.
func (l *link) piece(last []byte) []byte {
	if rest := l.rest; rest != nil {
		l.rest = nil
		return rest
	}
	runtime.Gosched() // those who are about to ask share the write
	s := &l.core.send
	s.mu.Lock()
	defer s.mu.Unlock()
	l.recycle(last)
	l.writing = false
	if !l.claim() {
		return nil
	}
	return l.handOver()
}

// gather lets the callers of answered calls run and writes what they have asked, unless somebody
// writes already. since is the number of requests that had been put on the wire before.
func (l *link) gather(answered int, since int64) {
	s := &l.core.send
	last, written, quiet := since, since, 0
	for {
		if answered > 0 {
			runtime.Gosched()
		}
		s.mu.Lock()
		n := s.tracked
		if n == last {
			quiet++
		} else {
			last, quiet = n, 0
		}
		switch {
		case n-since >= int64(answered) || quiet >= min(patience, answered):
			l.gathering = false
			l.release(true)
			return
		case n-written >= manyRequests || len(l.out) >= muchOut:
			// The server can begin with these.
			written = n
			l.gathering = false
			l.release(true)
			s.mu.Lock()
			l.gathering = true
		}
		s.mu.Unlock()
	}
}

// sendRaw sends an encoded frame during the handshake, when no calls are on the link yet.
func (l *link) sendRaw(frame []byte) {
	l.addRaw(frame)
	l.flushRaw()
}

// addRaw is sendRaw for several frames, which leave with flushRaw.
func (l *link) addRaw(frame []byte) {
	s := &l.core.send
	s.mu.Lock()
	l.out = append(l.out, frame...)
	l.appended += int64(len(frame))
	s.mu.Unlock()
}

func (l *link) flushRaw() {
	l.core.send.mu.Lock()
	l.release(true)
}
