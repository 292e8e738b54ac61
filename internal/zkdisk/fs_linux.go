package zkdisk

import (
	"os"
	"syscall"
)

// allocate sets room aside, so that writing into it changes less of what the file system keeps
// about the file, and a sync has less to do.
func allocate(f *os.File, off, n int64) error {
	return syscall.Fallocate(int(f.Fd()), 0, off, n)
}
