//go:build !linux

package load

import "time"

func cpuTime() (time.Duration, bool) { return 0, false }

func ioCalls() (int64, bool) { return 0, false }

func peakRSS() (int64, bool) { return 0, false }
