package ensemble

import (
	"os"
	"path/filepath"
	"syscall"
)

func platformErr() error { return nil }

func terminateProcess(p *os.Process) error { return p.Signal(syscall.SIGTERM) }

// lockDir marks dir as in use until the returned file is closed or the process ends.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
