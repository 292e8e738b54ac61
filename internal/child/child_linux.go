package child

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// WithParent makes the process of cmd end when the thread ends that starts it. A [Spawner] keeps that thread; where it
// is enough that the process does not stay when all of the program has gone, a plain Start will do.
func WithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

func (s *Spawner) run() {
	defer close(s.done)
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	for r := range s.requests {
		WithParent(r.cmd)
		r.result <- r.cmd.Start()
	}
}

// Pause stops every thread of a process, and returns when they have stopped: what comes next is sure to meet a frozen
// one.
func Pause(p *os.Process) error {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(100 * time.Microsecond) {
		stopped, err := allStopped(p.Pid)
		if stopped || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return errors.New("threads still run 5s after SIGSTOP")
		}
	}
}

// Resume lets a paused process go on.
func Resume(p *os.Process) error { return p.Signal(syscall.SIGCONT) }

func allStopped(pid int) (bool, error) {
	stats, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/stat")
	if err != nil || len(stats) == 0 {
		return false, fmt.Errorf("process %d is gone", pid)
	}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		// "pid (name) state …"; the name may contain anything.
		_, state, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')'):]), " ")
		if !strings.HasPrefix(state, "T") {
			return false, nil
		}
	}
	return true, nil
}
