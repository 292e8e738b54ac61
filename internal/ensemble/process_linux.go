package ensemble

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

func platformErr() error { return nil }

// spawner starts child processes that the kernel kills when this process ends. The kernel ties that to the thread that
// forked and not to the process, so all of them are started by one goroutine that keeps its thread for as long as they
// may run.
type spawner struct {
	requests chan spawnRequest
	wg       sync.WaitGroup
}

type spawnRequest struct {
	cmd    *exec.Cmd
	result chan error
}

func newSpawner() *spawner {
	s := &spawner{requests: make(chan spawnRequest)}
	s.wg.Go(s.run)
	return s
}

func (s *spawner) run() {
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	for r := range s.requests {
		r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		r.result <- r.cmd.Start()
	}
}

// start starts cmd. The spawner must not be closed before cmd has ended.
func (s *spawner) start(cmd *exec.Cmd) error {
	r := spawnRequest{cmd, make(chan error, 1)}
	s.requests <- r
	return <-r.result
}

func (s *spawner) close() {
	close(s.requests)
	s.wg.Wait()
}

// pauseProcess stops every thread of p and returns when they have stopped, so that what the test does next is sure to
// meet a frozen server.
func pauseProcess(p *os.Process) error {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		stopped, err := allStopped(p.Pid)
		if stopped || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return errors.New("threads still run 5s after SIGSTOP")
		}
	}
}

func resumeProcess(p *os.Process) error { return p.Signal(syscall.SIGCONT) }

func terminateProcess(p *os.Process) error { return p.Signal(syscall.SIGTERM) }

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
