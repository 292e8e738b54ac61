// Package nonblock writes to TCP sockets what they take at once. A connection's own Write waits until the peer has read
// enough, which some goroutines must not do.
package nonblock

import (
	"net"
	"syscall"
)

// Conn returns what a [Writer] needs of a connection, nil when it cannot be had. Types that have a socket inside, such as
// TLS connections, must be written through.
func Conn(nc net.Conn) syscall.RawConn {
	tcp, ok := nc.(*net.TCPConn)
	if !ok || !supported {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// Writer writes to any number of connections, one at a time, and allocates nothing for it.
type Writer struct {
	buf []byte
	n   int
	err error
	try func(fd uintptr) bool // made once: a closure for each write would be an allocation
}

// NewWriter returns a Writer.
func NewWriter() *Writer {
	w := &Writer{}
	w.try = func(fd uintptr) bool {
		w.n, w.err = write(int(fd), w.buf)
		return true // whatever came of it: do not wait until the socket can be written to
	}
	return w
}

// Write writes as much of b as the socket takes and returns how much that was: nothing when it takes nothing, which is no
// error. Nobody else may write to the connection meanwhile, or wait to.
func (w *Writer) Write(conn syscall.RawConn, b []byte) (n int, err error) {
	w.buf, w.n, w.err = b, 0, nil
	err = conn.Write(w.try)
	w.buf = nil
	if err == nil {
		err = w.err
	}
	return w.n, err
}
