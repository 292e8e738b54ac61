package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo/internal/child"
)

// leaving is how long a worker process may take to end.
const leaving = 10 * time.Second

// stop is a time during which a process was stopped: certainly from stopped to continued, not at all before from and
// after to.
type stop struct {
	process                      int
	from, stopped, continued, to instant
}

// process is a worker process, seen from the one that runs it all.
type process struct {
	index int
	cmd   *exec.Cmd
	in    io.WriteCloser
	read  chan error // result of reading what it reports

	stopping sync.Mutex // held by whoever has stopped it

	mu    sync.Mutex // guards what follows, and writing to in
	out   *json.Encoder
	stops []stop
}

// startProcess starts a worker process, whose events go to a journal.
func startProcess(spawn *child.Spawner, index int, a assignment, j *journal) (*process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{index: index, cmd: exec.Command(exe), read: make(chan error, 1)}
	p.cmd.Env = append(os.Environ(), workerVariable+"=1")
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := spawn.Start(p.cmd); err != nil {
		return nil, err
	}
	p.out = json.NewEncoder(p.in)
	go func() {
		events := json.NewDecoder(out)
		for {
			var e event
			if err := events.Decode(&e); err != nil {
				j.end()
				p.read <- err
				return
			}
			j.add(e)
		}
	}()
	return p, p.tell(a)
}

// tell sends a line to the process.
func (p *process) tell(line any) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Encode(line)
}

// stopFor stops the process until wait returns, unless somebody else has stopped it already.
func (p *process) stopFor(wait func()) error {
	if !p.stopping.TryLock() {
		return nil
	}
	defer p.stopping.Unlock()
	s := stop{process: p.index, from: now()}
	if err := child.Pause(p.cmd.Process); err != nil {
		return err
	}
	s.stopped = now()
	wait()
	s.continued = now()
	if err := child.Resume(p.cmd.Process); err != nil {
		return err
	}
	s.to = now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stops = append(p.stops, s)
	return nil
}

// takeStops returns the stops since it was called last.
func (p *process) takeStops() []stop {
	p.mu.Lock()
	defer p.mu.Unlock()
	stops := p.stops
	p.stops = nil
	return stops
}

// end waits for the end of a process that has nothing more to read, and helps when it does not come.
func (p *process) end() error {
	late := time.AfterFunc(leaving, func() { p.cmd.Process.Kill() })
	defer late.Stop()
	err := <-p.read
	if !errors.Is(err, io.EOF) {
		p.cmd.Process.Kill()
	} else {
		err = nil
	}
	if err := errors.Join(err, p.cmd.Wait()); err != nil {
		return fmt.Errorf("worker process %d: %w", p.index, err)
	}
	return nil
}
