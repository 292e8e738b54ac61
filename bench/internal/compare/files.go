package compare

import "syscall"

// mostSessions returns how many connections a process may have, at most n. A few files more are needed for the rest.
func mostSessions(n int) int {
	var have syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &have); err != nil {
		return n
	}
	return int(min(uint64(n), max(uint64(have.Cur), 200)-100))
}
