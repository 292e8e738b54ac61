package faultproxy

import (
	"io"
	"net"
	"time"
)

const (
	readSize = 32 << 10
	queueLen = 32 // chunks of at most readSize: about a megabyte held per direction, then back-pressure
)

// chunk is what one read returned.
type chunk struct {
	data []byte
	at   time.Time // when it came in, for delays
	err  error     // the end of the stream, after data
}

// pipe is one direction of a link. readLoop fills chunks, writeLoop drains it.
type pipe struct {
	l        *link
	dir      Dir
	src, dst net.Conn
	chunks   chan chunk

	frames framer // owned by writeLoop
}

// readLoop reads until the stream ends or the link does.
func (p *pipe) readLoop() {
	for {
		buf := make([]byte, readSize)
		n, err := p.src.Read(buf)
		select {
		case p.chunks <- chunk{data: buf[:n:n], at: time.Now(), err: err}:
		case <-p.l.ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// writeLoop forwards until the stream ends or the link does. It reports whether the stream ended in an orderly way.
func (p *pipe) writeLoop() bool {
	for {
		select {
		case <-p.l.ctx.Done():
			return false
		case c := <-p.chunks:
			if !p.forward(c) {
				return false
			}
			switch c.err {
			case nil:
			case io.EOF:
				return p.finish()
			default:
				// The sender reset its side: so does the receiver's, but not before a stall lets it.
				if p.l.hold(p.dir, arrival(c.at)) {
					p.l.end(true)
				}
				return false
			}
		}
	}
}

// forward passes a chunk on, frame by frame where a filter wants that.
func (p *pipe) forward(c chunk) bool {
	ok := p.frames.feed(c.data, p.filter() != nil, func(piece []byte, whole bool) bool {
		return p.pass(piece, whole, c.at)
	})
	if ok && c.err != nil {
		ok = p.frames.flush(func(piece []byte) bool { return p.pass(piece, false, c.at) })
	}
	return ok
}

// finish passes on that the sender will send no more.
func (p *pipe) finish() bool {
	if !p.l.hold(p.dir, arrival(time.Now())) {
		return false
	}
	if p.l.inBlackHole() {
		<-p.l.ctx.Done()
		return false
	}
	if tc, ok := p.dst.(*net.TCPConn); ok {
		tc.CloseWrite() // an error means that the receiver is gone, which the other direction notices
	}
	return true
}

// pass forwards one piece that came in at the given time, under the faults in force. whole says that it is a complete
// frame with its length prefix. It returns false when nothing more can be forwarded in this direction.
func (p *pipe) pass(piece []byte, whole bool, at time.Time) bool {
	if !p.l.hold(p.dir, arrival(at)) {
		return false
	}
	if f := p.filter(); f != nil && whole && !p.l.inBlackHole() {
		switch f(p.dir, p.l.id, piece[prefixLen:]) {
		case Drop:
			return true
		case Cut:
			p.l.end(true)
			return false
		}
	}
	for len(piece) > 0 {
		n, fate := p.permit(len(piece))
		if fate == swallow {
			return true
		}
		if n > 0 {
			if _, err := p.dst.Write(piece[:n]); err != nil {
				// The receiver is gone. The other direction reads that from the same socket and passes it on
				// under its own faults, so this one only stops.
				return false
			}
		}
		if fate == cutNow {
			p.l.end(true)
			return false
		}
		piece = piece[n:]
		written := time.Now()
		if !p.l.hold(p.dir, func(f dirFaults) time.Time { return written.Add(f.pause) }) {
			return false
		}
	}
	return true
}

func (p *pipe) filter() Filter {
	p.l.p.mu.Lock()
	defer p.l.p.mu.Unlock()
	return p.l.p.filter
}

// fate is what becomes of the bytes that permit looked at.
type fate int

const (
	write   fate = iota
	cutNow       // write those permitted, then reset the link
	swallow      // lose all of them
)

// permit says how many of the next have bytes may be written in one go, and takes them off the count of CutAfter.
func (p *pipe) permit(have int) (int, fate) {
	p.l.p.mu.Lock()
	defer p.l.p.mu.Unlock()
	if p.l.swallowed {
		return 0, swallow
	}
	f := p.l.p.faults(p.dir)
	if f.pause > 0 {
		have = 1
	}
	if f.cutAfter < 0 {
		return have, write
	}
	have = int(min(int64(have), f.cutAfter))
	f.cutAfter -= int64(have)
	if f.cutAfter > 0 {
		return have, write
	}
	f.cutAfter = -1
	return have, cutNow
}
