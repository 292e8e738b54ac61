package memnet

import (
	"io"
	"net"
	"time"
)

// A Direction says which bytes of a connection are meant, seen from the end
// that is asked.
type Direction uint8

// The directions.
const (
	// Inbound bytes are those this end reads.
	Inbound Direction = 1
	// Outbound bytes are those this end writes.
	Outbound Direction = 2
	// Both is both of them.
	Both Direction = Inbound | Outbound
)

// A Conn is one end of a connection. It implements net.Conn, with errors
// wrapped in *net.OpError like those of package net. Its methods are safe for
// concurrent use; a Write never mixes with another one.
type Conn struct {
	link          *link
	in, out       *pipe
	local, remote Addr
	gone          bool // Close was called; guarded by link.mu
}

// Pair returns the two ends of a connection that belongs to no network.
func Pair() (a, b *Conn) {
	return newPair("127.0.0.1:1", "127.0.0.1:2", DefaultBuffer)
}

func newPair(addrA, addrB Addr, buffer int) (a, b *Conn) {
	l := newLink(buffer)
	a = &Conn{link: l, in: &l.pipes[0], out: &l.pipes[1], local: addrA, remote: addrB}
	b = &Conn{link: l, in: &l.pipes[1], out: &l.pipes[0], local: addrB, remote: addrA}
	return a, b
}

// Read reads what has arrived and waits only for the first byte.
func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.in.read(b)
	if err != nil && err != io.EOF {
		err = opError("read", c.local, c.remote, err)
	}
	return n, err
}

// Write writes all of b, waiting while the buffer of the direction is full. On
// an error it returns how many bytes were taken.
func (c *Conn) Write(b []byte) (int, error) {
	n, err := c.out.write(b)
	if err != nil {
		err = opError("write", c.local, c.remote, err)
	}
	return n, err
}

// Close closes this end. The other one reads what was sent before and then
// io.EOF; its writes fail. A second call returns net.ErrClosed.
func (c *Conn) Close() error {
	l := c.link
	l.mu.Lock()
	if c.gone {
		l.mu.Unlock()
		return opError("close", c.local, c.remote, net.ErrClosed)
	}
	c.gone = true
	c.in.reader, c.out.writer = closed, closed
	c.in.discard()
	c.in.readDeadline.stop()
	c.out.writeDeadline.stop()
	l.closed++
	release := l.release
	last := l.closed == 2
	l.wake()
	l.mu.Unlock()
	if last && release != nil {
		release()
	}
	return nil
}

// CloseWrite ends what this end sends: the other one reads io.EOF behind it.
func (c *Conn) CloseWrite() error {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	if c.gone {
		return opError("close", c.local, c.remote, net.ErrClosed)
	}
	c.out.writer = shut
	c.link.wake()
	return nil
}

// CloseRead makes this end read io.EOF. What the other one sends is lost.
func (c *Conn) CloseRead() error {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	if c.gone {
		return opError("close", c.local, c.remote, net.ErrClosed)
	}
	c.in.reader = shut
	c.in.discard()
	c.link.wake()
	return nil
}

// Cut breaks the connection as a reset does: both ends fail with
// syscall.ECONNRESET at once, and bytes on their way are lost. Each end must
// still be closed by its owner.
func (c *Conn) Cut() {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	c.link.cut = true
	c.in.discard()
	c.out.discard()
	c.link.wake()
}

// Stall holds back the bytes of a direction, those on their way included, as a
// network partition does: writes succeed until the buffer is full, nothing
// arrives, and neither end learns that the other was closed.
func (c *Conn) Stall(dir Direction) { c.setStalled(dir, true) }

// Resume lets the bytes held back by [Conn.Stall] arrive, in order.
func (c *Conn) Resume(dir Direction) { c.setStalled(dir, false) }

func (c *Conn) setStalled(dir Direction, stalled bool) {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	if dir&Inbound != 0 {
		c.in.stalled = stalled
	}
	if dir&Outbound != 0 {
		c.out.stalled = stalled
	}
	c.link.wake()
}

// SetReadBuffer sets how many unread bytes the inbound direction holds before
// the other end's Write blocks; at least 1. What is buffered above it stays.
func (c *Conn) SetReadBuffer(bytes int) error { return c.setLimit(c.in, bytes) }

// SetWriteBuffer is SetReadBuffer for the outbound direction.
func (c *Conn) SetWriteBuffer(bytes int) error { return c.setLimit(c.out, bytes) }

func (c *Conn) setLimit(p *pipe, bytes int) error {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	p.limit = max(1, bytes)
	c.link.wake()
	return nil
}

// LocalAddr returns the address of this end; for an accepted connection that
// is the dialled one.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the address of the other end; for a dialled connection
// that is the dialled one.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines.
func (c *Conn) SetDeadline(t time.Time) error {
	return c.setDeadline(t, &c.in.readDeadline, &c.out.writeDeadline)
}

// SetReadDeadline makes reads fail from t on, waiting ones included; the zero
// time removes the deadline.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadline(t, &c.in.readDeadline) }

// SetWriteDeadline makes writes fail from t on, waiting ones included; the zero
// time removes the deadline.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(t, &c.out.writeDeadline) }

func (c *Conn) setDeadline(t time.Time, deadlines ...*deadline) error {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	if c.gone {
		return opError("set", c.local, c.remote, net.ErrClosed)
	}
	for _, d := range deadlines {
		d.at = t
	}
	c.link.wake()
	return nil
}
