//go:build unix

package zkserver

import "syscall"

// canTry says that sockets can be written without waiting.
const canTry = true

// write writes as much as the socket takes; nothing when it takes nothing.
func (a *attempt) write(fd uintptr) bool {
	n, err := syscall.Write(int(fd), a.buf)
	switch err {
	case nil:
		a.n = n
	case syscall.EAGAIN, syscall.EINTR:
	default:
		a.err = err
	}
	return true
}
