//go:build !linux

package child

import (
	"errors"
	"os"
	"os/exec"
)

var errPlatform = errors.New("needs Linux, for processes that end with the one that started them")

// WithParent does nothing: a process may outlive the one that started it when that is killed.
func WithParent(*exec.Cmd) {}

func (s *Spawner) run() {
	defer close(s.done)
	for r := range s.requests {
		r.result <- errPlatform
	}
}

// Pause fails.
func Pause(*os.Process) error { return errPlatform }

// Resume fails.
func Resume(*os.Process) error { return errPlatform }
