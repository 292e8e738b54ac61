package faultproxy

import (
	"encoding/binary"
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
	c        *Conn
	dir      Dir
	src, dst net.Conn
	chunks   chan chunk

	frames framer // owned by writeLoop
}

// readLoop reads until the stream ends or the link does.
func (p *pipe) readLoop() {
	buf := make([]byte, readSize)
	for {
		n, err := p.src.Read(buf)
		select {
		case p.chunks <- chunk{data: append([]byte(nil), buf[:n]...), at: time.Now(), err: err}:
		case <-p.c.ctx.Done():
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
		case <-p.c.ctx.Done():
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
				if p.c.hold(p.dir, arrival(c.at)) && !p.vanishes() {
					p.c.end(endReset)
				}
				return false
			}
		}
	}
}

// forward passes a chunk on, frame by frame where a filter wants that.
func (p *pipe) forward(c chunk) bool {
	ok := p.frames.feed(c.data, p.watched(), func(piece []byte, whole bool) bool {
		return p.pass(piece, whole, c.at)
	})
	if ok && c.err != nil {
		ok = p.frames.flush(func(piece []byte) bool { return p.pass(piece, false, c.at) })
	}
	return ok
}

// finish passes on that the sender will send no more.
func (p *pipe) finish() bool {
	if !p.c.hold(p.dir, arrival(time.Now())) {
		return false
	}
	if p.vanishes() {
		return false
	}
	if half, ok := p.dst.(interface{ CloseWrite() error }); ok {
		half.CloseWrite() // an error means that the receiver is gone, which the other direction notices
	}
	return true
}

// vanishes reports whether the end of the stream is swallowed, and waits then until nothing is left to be told. When
// the client of a half-open connection leaves, both sides are gone.
func (p *pipe) vanishes() bool {
	p.c.p.mu.Lock()
	swallowed, over := p.c.swallowed, p.c.halfOpen && p.dir == Upstream
	p.c.p.mu.Unlock()
	if !swallowed {
		return false
	}
	if over {
		p.c.end(endReset)
	}
	<-p.c.ctx.Done()
	return true
}

// pass forwards one piece that came in at the given time, under the faults in force. whole says that it is a complete
// frame with its length prefix. It returns false when nothing more can be forwarded in this direction.
func (p *pipe) pass(piece []byte, whole bool, at time.Time) bool {
	if !p.c.hold(p.dir, arrival(at)) {
		return false
	}
	last := false
	if whole && !p.c.inBlackHole() {
		verdict, frame := p.judge(piece[prefixLen:])
		switch verdict {
		case Drop:
			return true
		case Cut:
			p.c.end(endBehind)
			return false
		}
		if frame != nil {
			piece = append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...)
		}
		last = verdict == Last
		if !p.c.hold(p.dir, arrival(at)) { // the tap may have taken its time, or set a fault itself
			return false
		}
	}
	if !p.write(piece) {
		return false
	}
	if last {
		p.c.end(endOrderly)
	}
	return !last
}

// judge asks the filter and the tap about a frame. The frame is nil unless it is to be replaced.
func (p *pipe) judge(frame []byte) (Verdict, []byte) {
	if f := p.filter(); f != nil {
		if v := f(p.dir, p.c.id, frame); v != Forward {
			return v, nil
		}
	}
	if p.c.tap.Frame != nil {
		return p.c.tap.Frame(p.dir, frame)
	}
	return Forward, nil
}

// write forwards bytes as fast as the faults in force allow.
func (p *pipe) write(piece []byte) bool {
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
			p.c.end(endReset)
			return false
		}
		piece = piece[n:]
		written := time.Now()
		if !p.c.hold(p.dir, func(f dirFaults) time.Time { return written.Add(f.pause) }) {
			return false
		}
	}
	return true
}

// watched reports whether somebody wants to see whole frames.
func (p *pipe) watched() bool { return p.c.tap.Frame != nil || p.filter() != nil }

func (p *pipe) filter() Filter {
	p.c.p.mu.Lock()
	defer p.c.p.mu.Unlock()
	return p.c.p.filter
}

// fate is what becomes of the bytes that permit looked at.
type fate int

const (
	passOn  fate = iota
	cutNow       // write those permitted, then reset the link
	swallow      // lose all of them
)

// permit says how many of the next have bytes may be written in one go, and takes them off the count of CutAfter.
func (p *pipe) permit(have int) (int, fate) {
	p.c.p.mu.Lock()
	defer p.c.p.mu.Unlock()
	if p.c.swallowed {
		return 0, swallow
	}
	f := p.c.p.faults(p.dir)
	if f.pause > 0 {
		have = 1
	}
	if f.cutAfter < 0 {
		return have, passOn
	}
	have = int(min(int64(have), f.cutAfter))
	f.cutAfter -= int64(have)
	if f.cutAfter > 0 {
		return have, passOn
	}
	f.cutAfter = -1
	return have, cutNow
}
