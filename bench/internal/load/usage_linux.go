package load

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
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
	reads, ok1 := figure("/proc/self/io", "syscr")
	writes, ok2 := figure("/proc/self/io", "syscw")
	return reads + writes, ok1 && ok2
}

// peakRSS returns the most memory that this process has had, in bytes.
func peakRSS() (int64, bool) {
	kib, ok := figure("/proc/self/status", "VmHWM")
	return kib << 10, ok
}

// figure reads a number from a file of lines such as "VmHWM:  1234 kB".
func figure(file, key string) (int64, bool) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}
