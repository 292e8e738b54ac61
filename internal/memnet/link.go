package memnet

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// A link is what two ends of a connection share: a pipe for each direction and
// one mutex over both, because whether a write fails depends on both.
type link struct {
	mu      sync.Mutex // guards all below; never held while waiting
	pipes   [2]pipe
	cut     bool
	closed  int    // ends that were closed
	release func() // called once, without mu, when both are
}

// How far an end of a pipe is open.
type openness uint8

const (
	open   openness = iota
	shut            // half-closed: CloseRead or CloseWrite
	closed          // the whole connection was closed at this end
)

// A pipe carries bytes in one direction. All fields are guarded by link.mu.
type pipe struct {
	link          *link
	changed       *sync.Cond // on link.mu; anything a reader or a writer waits for
	buf           []byte     // buf[off:] was written and not read
	off           int
	limit         int  // of unread bytes, for Write to block
	stalled       bool // what was written, the end of it included, does not arrive
	writing       bool // a Write is in progress: writes do not mix
	reader        openness
	writer        openness
	readDeadline  deadline
	writeDeadline deadline
}

func newLink(limit int) *link {
	l := &link{}
	for i := range l.pipes {
		p := &l.pipes[i]
		p.link, p.limit, p.changed = l, limit, sync.NewCond(&l.mu)
	}
	return l
}

// stalledAny reports whether news of the other end may not get through.
func (l *link) stalledAny() bool { return l.pipes[0].stalled || l.pipes[1].stalled }

// wake lets everybody look again.
func (l *link) wake() {
	for i := range l.pipes {
		l.pipes[i].changed.Broadcast()
	}
}

// read is Conn.Read without the dressing of errors.
func (p *pipe) read(b []byte) (int, error) {
	p.link.mu.Lock()
	defer p.link.mu.Unlock()
	for {
		switch {
		case p.reader == closed:
			return 0, net.ErrClosed
		case p.readDeadline.passed(): // also when there is something to read, as in package net
			return 0, os.ErrDeadlineExceeded
		case p.link.cut:
			return 0, os.NewSyscallError("read", syscall.ECONNRESET)
		case p.reader == shut:
			return 0, io.EOF
		case len(b) == 0:
			return 0, nil
		case p.stalled:
		case p.off < len(p.buf):
			n := copy(b, p.buf[p.off:])
			p.off += n
			if p.off == len(p.buf) {
				p.buf, p.off = p.buf[:0], 0
			}
			p.changed.Broadcast()
			return n, nil
		case p.writer != open:
			return 0, io.EOF
		}
		p.readDeadline.wait(p.changed)
	}
}

// write is Conn.Write without the dressing of errors.
func (p *pipe) write(b []byte) (int, error) {
	p.link.mu.Lock()
	defer p.link.mu.Unlock()
	owner := false
	defer func() {
		if owner {
			p.writing = false
			p.changed.Broadcast()
		}
	}()
	for written := 0; ; {
		switch {
		case p.writer == closed:
			return written, net.ErrClosed
		case p.writeDeadline.passed():
			return written, os.ErrDeadlineExceeded
		case p.link.cut:
			return written, os.NewSyscallError("write", syscall.ECONNRESET)
		case p.writer == shut, p.reader == closed && !p.link.stalledAny():
			return written, os.NewSyscallError("write", syscall.EPIPE)
		case p.writing && !owner:
		case p.reader == shut: // taken and thrown away, as TCP does after CloseRead
			return len(b), nil
		default:
			owner, p.writing = true, true
			n := min(len(b)-written, p.limit-(len(p.buf)-p.off))
			if n > 0 {
				p.append(b[written : written+n])
				written += n
				p.changed.Broadcast()
			}
			if written == len(b) {
				return written, nil
			}
		}
		p.writeDeadline.wait(p.changed)
	}
}

// append stores b, moving unread bytes to the front when that makes room.
func (p *pipe) append(b []byte) {
	if p.off > 0 && len(p.buf)+len(b) > cap(p.buf) {
		p.buf = p.buf[:copy(p.buf, p.buf[p.off:])]
		p.off = 0
	}
	p.buf = append(p.buf, b...)
}

// discard throws unread bytes away.
func (p *pipe) discard() { p.buf, p.off = nil, 0 }

// A deadline ends waits. Its timer only runs while somebody waits, and only
// wakes: whether the deadline has passed is always read off the clock.
type deadline struct {
	at    time.Time // zero for none
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// wait waits on c, at most until the deadline.
func (d *deadline) wait(c *sync.Cond) {
	if !d.at.IsZero() {
		if d.timer == nil {
			d.timer = time.AfterFunc(time.Until(d.at), func() {
				c.L.Lock() // or the wake could fall between a check and its Wait
				defer c.L.Unlock()
				c.Broadcast()
			})
		} else {
			d.timer.Reset(time.Until(d.at))
		}
	}
	c.Wait()
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
	}
}
