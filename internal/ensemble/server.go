package ensemble

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo/internal/child"
)

// What [Server.Mode] returns.
const (
	ModeStandalone = "standalone"
	ModeLeader     = "leader"
	ModeFollower   = "follower"
	ModeObserver   = "observer"
	ModeReadOnly   = "read-only"
)

// stopTimeout is how long a server may take to end after SIGTERM.
const stopTimeout = 15 * time.Second

// Server is one ZooKeeper server of an [Ensemble].
type Server struct {
	e    *Ensemble
	id   int
	host string
	dir  string

	mu     sync.Mutex // guards what follows; not held while waiting for the process
	proc   *process   // nil before the first start and after an end that a method brought about
	paused bool
}

// process is one run of a server.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended and was reaped
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// ID returns the server's id in ZooKeeper's configuration: its index plus one.
func (s *Server) ID() int { return s.id }

// Addr returns the "host:port" of the plain client port.
func (s *Server) Addr() string { return s.addr(s.e.addrs.ports.client) }

// TLSAddr returns the "host:port" of the TLS client port, or "" without TLS.
func (s *Server) TLSAddr() string {
	if s.e.cfg.TLS == nil {
		return ""
	}
	return s.addr(s.e.addrs.ports.secure)
}

// AdminAddr returns the "host:port" of the admin server, which runs only if Config.Properties has
// admin.enableServer=true.
func (s *Server) AdminAddr() string { return s.addr(s.e.addrs.ports.admin) }

func (s *Server) addr(port int) string { return net.JoinHostPort(s.host, strconv.Itoa(port)) }

// DataDir returns the folder with the server's snapshots and transaction logs, which need not exist yet.
func (s *Server) DataDir() string { return filepath.Join(s.path(dataDir), "version-2") }

// PID returns the process id, or 0 when the server is down.
func (s *Server) PID() int {
	if p := s.process(); p != nil {
		return p.cmd.Process.Pid
	}
	return 0
}

// Start starts a server that is down and waits until it serves. In a quorum that needs enough of the others: to bring
// back a whole ensemble use [Ensemble.Restore]. Starting a server that runs is an error.
func (s *Server) Start() error {
	if s.process() != nil {
		return s.errorf("it is running already")
	}
	if err := s.Launch(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.e.cfg.StartTimeout)
	defer cancel()
	return s.awaitReady(ctx, s.e.cfg.ReadOnlyMode && !s.e.quorumUp())
}

// Launch starts a server that is down and does not wait. When it is running already, Launch does nothing.
func (s *Server) Launch() error {
	if s.e.isClosed.Load() {
		return s.errorf("start: the ensemble is closed")
	}
	if s.process() != nil {
		return nil
	}
	log, err := os.OpenFile(s.path(logFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own
	cmd := exec.Command(s.e.java, s.command(s.e.jars)...)
	cmd.Dir = s.dir
	cmd.Stdout, cmd.Stderr = log, log
	if err := s.e.spawn.Start(cmd); err != nil {
		return s.errorf("start: %w", err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	s.e.reapers.Go(p.reap)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proc, s.paused = p, false
	return nil
}

// Restart stops the server if it runs, starts it and waits until it serves.
func (s *Server) Restart() error {
	if err := s.Stop(); err != nil {
		return err
	}
	return s.Start()
}

// Kill ends the server with SIGKILL and waits for its end. Killing one that is down does nothing.
func (s *Server) Kill() error {
	p := s.process()
	if p == nil {
		return nil
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return s.errorf("kill: %w", err)
	}
	<-p.done
	s.forget(p)
	return nil
}

// Stop asks the server to end with SIGTERM and waits for that. One that is paused is resumed for it; one that does not
// end in 15 seconds is killed, which is an error. Stopping one that is down does nothing.
func (s *Server) Stop() error {
	p := s.process()
	if p == nil {
		return nil
	}
	if err := terminateProcess(p.cmd.Process); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return s.errorf("stop: %w", err)
	}
	if err := s.Resume(); err != nil {
		return err
	}
	select {
	case <-p.done:
		s.forget(p)
		return nil
	case <-time.After(stopTimeout):
		return errors.Join(s.errorf("it did not end %v after SIGTERM", stopTimeout), s.Kill())
	}
}

// Pause freezes the server with SIGSTOP and returns when all its threads have stopped. Its connections stay open, and
// the kernel goes on accepting new ones for it.
func (s *Server) Pause() error {
	p := s.process()
	if p == nil {
		return s.errorf("pause: it is down")
	}
	if err := child.Pause(p.cmd.Process); err != nil {
		return s.errorf("pause: %w", err)
	}
	s.setPaused(true)
	return nil
}

// Resume continues a paused server with SIGCONT. On any other it does nothing.
func (s *Server) Resume() error {
	p := s.process()
	if p == nil || !s.isPaused() {
		return nil
	}
	if err := child.Resume(p.cmd.Process); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return s.errorf("resume: %w", err)
	}
	s.setPaused(false)
	return nil
}

// Wipe removes the data of a server that is down, so that it starts as a new and empty member with the same id.
func (s *Server) Wipe() error {
	if s.process() != nil {
		return s.errorf("wipe: it is running")
	}
	if err := os.RemoveAll(s.path(dataDir)); err != nil {
		return s.errorf("wipe: %w", err)
	}
	// The configuration too: with reconfig the server has moved the members to a file of its own.
	return s.writeFiles()
}

// logTail is how much of a log is shown.
const logTail = 16 << 10

// Log returns the end of the server's log: its last lines, at most 16 KiB, over all its runs.
func (s *Server) Log() string {
	f, err := os.Open(s.path(logFile))
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err.Error()
	}
	from := max(0, size-logTail)
	text, err := io.ReadAll(io.NewSectionReader(f, from, size-from))
	if err != nil {
		return err.Error()
	}
	tail := string(text)
	if from > 0 {
		_, tail, _ = strings.Cut(tail, "\n")
	}
	return tail
}

// LogPath returns the file with the whole log.
func (s *Server) LogPath() string { return s.path(logFile) }

func (s *Server) observer() bool { return s.id > s.e.cfg.voters() }

// reap waits for the end of the process. Whoever ends it waits for done.
func (p *process) reap() {
	p.cmd.Wait() // how it ended is in its log; that it ended is what matters
	close(p.done)
}

// process returns the running process, or nil.
func (s *Server) process() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil || s.proc.ended() {
		return nil
	}
	return s.proc
}

func (s *Server) forget(p *process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == p {
		s.proc, s.paused = nil, false
	}
}

// up reports whether the server runs and is not paused.
func (s *Server) up() bool { return s.process() != nil && !s.isPaused() }

func (s *Server) isPaused() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.paused
}

func (s *Server) setPaused(paused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused = paused
}

func (s *Server) errorf(format string, args ...any) error {
	return fmt.Errorf("ensemble: server %d: %w", s.id, fmt.Errorf(format, args...))
}
