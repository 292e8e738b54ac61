package real

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/gazoo-zk/gazoo/internal/child"
)

// ending is how long a worker process may take to end when it has nothing to do any more.
const ending = 10 * time.Second

// process is one worker process, seen from the one that runs it all.
type process struct {
	cmd      *exec.Cmd
	finished chan struct{} // closed when its clients have returned
	gone     chan struct{} // closed when it has ended, and all that it had written was read
	usage    chan Usage

	mu     sync.Mutex // guards what follows, and writing to in
	in     io.WriteCloser
	killed bool
	err    error // how it ended; read it when it is gone
}

// start starts a worker process. What it reports goes to hear, one report after the other, but for what is for the
// process itself.
func start(spawn *child.Spawner, a assignment, hear func(report)) (*process, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.Command(exe), finished: make(chan struct{}), gone: make(chan struct{}), usage: make(chan Usage, 1)}
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
	go p.listen(out, hear)
	return p, p.tell(a)
}

func (p *process) listen(out io.Reader, hear func(report)) {
	defer close(p.gone)
	reports := json.NewDecoder(out)
	for {
		var r report
		if err := reports.Decode(&r); err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) { // one that is killed stops anywhere
				p.cmd.Process.Kill()
				p.setErr(err)
			}
			break
		}
		switch {
		case r.Finished:
			close(p.finished)
		case r.Usage != nil:
			select {
			case p.usage <- *r.Usage:
			default: // nobody waits for it any more
			}
		default:
			hear(r)
		}
	}
	p.setErr(p.cmd.Wait())
}

func (p *process) setErr(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.killed {
		p.err = errors.Join(p.err, err)
	}
}

// tell sends a line to the process. That it has ended already is no error here.
func (p *process) tell(line any) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := json.NewEncoder(p.in).Encode(line)
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// kill ends the process at once, and waits until all that it had written was read.
func (p *process) kill() {
	p.mu.Lock()
	p.killed = true
	p.mu.Unlock()
	p.cmd.Process.Kill()
	<-p.gone
}

// end lets a process end that has nothing more to do, and returns what was wrong with it. One whose clients have not
// returned when ctx ends shows on its way out where they are.
func (p *process) end(ctx context.Context) error {
	var late error
	select {
	case <-p.finished:
	case <-p.gone:
	case <-ctx.Done():
		late = errors.New("its clients have not returned in time")
		p.cmd.Process.Signal(syscall.SIGQUIT) // Go prints all stacks
	}
	p.in.Close()
	patience := time.AfterFunc(ending, func() { p.cmd.Process.Kill() })
	defer patience.Stop()
	<-p.gone
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case late != nil:
		return late
	case p.err == nil && !p.killed && !closed(p.finished):
		return errors.New("it ended before it was told to")
	}
	return p.err
}

// ended reports whether the process has ended.
func (p *process) ended() bool { return closed(p.gone) }

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// sample asks the process what it uses.
func (p *process) sample(ctx context.Context, number int) (Usage, error) {
	if err := p.tell(order{Do: doSample, Number: number}); err != nil {
		return Usage{}, err
	}
	for {
		select {
		case u := <-p.usage:
			if u.Number == number {
				return u, nil
			}
		case <-p.gone:
			return Usage{}, errors.New("the process has ended")
		case <-ctx.Done():
			return Usage{}, fmt.Errorf("no answer from the process: %w", ctx.Err())
		}
	}
}
