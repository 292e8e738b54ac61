package storeload

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gazoo-zk/gazoo/internal/procfs"
)

// server is a running gazoo serve.
type server struct {
	cmd   *exec.Cmd
	addr  string
	saved chan saved // the first snapshot, from its log
	read  chan struct{}
	log   bytes.Buffer // may be looked at when read is closed
}

// saved is what the server says of a snapshot.
type saved struct{ took, pause time.Duration }

// snapSize is the bytes of log after which a snapshot is written; the server begins with it somewhere behind half of it.
const snapSize = 2 << 20

// serve starts a server on a directory and waits until it says where it listens.
func serve(bin, dir string) (*server, error) {
	s := &server{saved: make(chan saved, 1), read: make(chan struct{})}
	s.cmd = exec.Command(bin, "serve", "--listen", "127.0.0.1:0", "--dir", dir, "--snap-size", fmt.Sprint(snapSize))
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go s.follow(stderr)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		s.cmd.Process.Kill()
		return nil, errors.Join(errors.New("gazoo serve did not start"), s.stop())
	}
	s.addr = strings.TrimSpace(line)
	return s, nil
}

// follow reads the server's log and looks for its snapshot.
func (s *server) follow(r io.Reader) {
	defer close(s.read)
	for lines := bufio.NewScanner(r); lines.Scan(); {
		line := lines.Text()
		fmt.Fprintln(&s.log, line)
		if !strings.Contains(line, `msg="snapshot written"`) {
			continue
		}
		var shot saved
		for word := range strings.FieldsSeq(line) {
			if v, ok := strings.CutPrefix(word, "took="); ok {
				shot.took, _ = time.ParseDuration(v)
			} else if v, ok := strings.CutPrefix(word, "longest_pause="); ok {
				shot.pause, _ = time.ParseDuration(v)
			}
		}
		select {
		case s.saved <- shot:
		default:
		}
	}
}

func (s *server) stop() error {
	s.cmd.Process.Signal(syscall.SIGTERM)
	<-s.read
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("gazoo serve: %w: %s", err, s.log.Bytes())
	}
	return nil
}

// memory returns the most memory that the server has had, in bytes.
func (s *server) memory() (float64, error) {
	peak, err := procfs.Memory(s.cmd.Process.Pid, "VmHWM")
	return float64(peak), err
}

// size returns how large the newest snapshot is, in MiB.
func size(dir string) (float64, error) {
	var newest fs.FileInfo
	files, err := filepath.Glob(filepath.Join(dir, "version-2", "snapshot.*"))
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return 0, err
		}
		if newest == nil || info.ModTime().After(newest.ModTime()) {
			newest = info
		}
	}
	if newest == nil {
		return 0, fmt.Errorf("no snapshot in %s", dir)
	}
	return float64(newest.Size()) / (1 << 20), nil
}
