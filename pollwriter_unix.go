//go:build unix

package gazoo

import (
	"net"
	"syscall"
)

// pollWriter writes to a socket what it takes at once, without ever blocking.
type pollWriter struct {
	raw syscall.RawConn
	buf []byte
	n   int
	err error
	try func(fd uintptr) bool // made once: a closure for each write would be an allocation
}

// newPollWriter returns nil for connections that are not plain TCP.
func newPollWriter(conn net.Conn) *pollWriter {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	w := &pollWriter{raw: raw}
	w.try = func(fd uintptr) bool {
		for {
			w.n, w.err = syscall.Write(int(fd), w.buf)
			if w.err != syscall.EINTR {
				return true // true: do not wait until it can be written to
			}
		}
	}
	return w
}

// write returns how much of b was written.
func (w *pollWriter) write(b []byte) (int, error) {
	w.buf, w.n, w.err = b, 0, nil
	err := w.raw.Write(w.try)
	w.buf = nil
	switch {
	case err != nil:
		return 0, err
	case w.err == syscall.EAGAIN:
		return 0, nil
	case w.err != nil:
		return 0, w.err
	}
	return w.n, nil
}
