// Package procfs reads what Linux tells of a process, for measurements. Elsewhere everything is an error.
package procfs

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Memory returns a figure of a process's memory in bytes: VmRSS is what it has, VmHWM the most that it ever had.
func Memory(pid int, figure string) (int64, error) {
	kib, err := Figure(fmt.Sprintf("/proc/%d/status", pid), figure)
	return kib << 10, err
}

// Figure returns the number behind a key in a file of lines such as "VmHWM:  1234 kB". The unit is the file's.
func Figure(file, key string) (int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			return strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		}
	}
	return 0, fmt.Errorf("no %s in %s", key, file)
}
