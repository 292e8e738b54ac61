//go:build unix

package serve

import (
	"os/signal"
	"syscall"
)

// ignoreFileLimit makes a limit on the size of files an error of the write that exceeds it, which
// the server knows how to live with, instead of the end of the process.
func ignoreFileLimit() { signal.Ignore(syscall.SIGXFSZ) }
