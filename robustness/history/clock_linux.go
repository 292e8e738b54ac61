package history

import (
	"syscall"
	"unsafe"
)

const clockMonotonic = 1

// Machine reads the clock that all processes of the machine share. Package time reads the same one, but shows only
// differences within a process.
func Machine() Instant {
	var ts syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		panic(errno)
	}
	return Instant(ts.Nano())
}
