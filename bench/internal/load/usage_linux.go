package load

import (
	"os"
	"syscall"
	"time"

	"github.com/gazoo-zk/gazoo/internal/procfs"
)

// cpuTime returns the processor time that this process has taken.
func cpuTime() (time.Duration, bool) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, false
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), true
}

// ioCalls returns how many read and write calls this process has made.
func ioCalls() (int64, bool) {
	reads, err1 := procfs.Figure("/proc/self/io", "syscr")
	writes, err2 := procfs.Figure("/proc/self/io", "syscw")
	return reads + writes, err1 == nil && err2 == nil
}

// peakRSS returns the most memory that this process has had, in bytes.
func peakRSS() (int64, bool) {
	peak, err := procfs.Memory(os.Getpid(), "VmHWM")
	return peak, err == nil
}
