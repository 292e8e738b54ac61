//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package zkdisk

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// Lock locks a file against other processes, and other users in this one.
func (OS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, err
	}
	return f, nil
}
