// Package child is for tests that start programs: processes that end with the one that started them, however it ends, and
// that can be stopped for a while. It needs Linux; elsewhere Start and Pause say so.
package child

import "os/exec"

// Spawner starts child processes that the kernel kills when this process ends. The kernel ties that to the thread that
// forked and not to the process, so all of them are started by one goroutine that keeps its thread for as long as they
// may run.
type Spawner struct {
	requests chan request
	done     chan struct{}
}

type request struct {
	cmd    *exec.Cmd
	result chan error
}

// NewSpawner returns a spawner. Close it.
func NewSpawner() *Spawner {
	s := &Spawner{requests: make(chan request), done: make(chan struct{})}
	go s.run()
	return s
}

// Start starts cmd. The spawner must not be closed before cmd has ended.
func (s *Spawner) Start(cmd *exec.Cmd) error {
	r := request{cmd, make(chan error, 1)}
	s.requests <- r
	return <-r.result
}

// Close ends the spawner and waits for its goroutine.
func (s *Spawner) Close() {
	close(s.requests)
	<-s.done
}
