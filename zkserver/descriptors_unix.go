//go:build unix

package zkserver

import "syscall"

// descriptorLimit is how many files the process may have open; -1 when it cannot be known.
func descriptorLimit() int64 {
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		return -1
	}
	return int64(lim.Cur)
}
