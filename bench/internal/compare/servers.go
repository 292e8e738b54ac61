package compare

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/internal/procfs"
)

// server is a running server.
type server struct {
	addr string
	pid  int
	tree bool // it needs znodes
	stop func() error
}

// cpu returns the processor time that the server has taken, 0 where that cannot be known.
func (s *server) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
	if err != nil {
		return 0
	}
	// The name in parentheses may hold anything.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, _ := strconv.ParseInt(f, 10, 64)
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100 // USER_HZ, the same on every Linux
}

// memory returns the most memory that the server has had, in bytes; 0 where that cannot be known.
func (s *server) memory() float64 {
	peak, _ := procfs.Memory(s.pid, "VmHWM")
	return float64(peak)
}

// server returns a server of a kind, started at the first call. One of the kind EmbeddedNew is the caller's to stop.
func (r *Runner) server(ctx context.Context, kind string) (*server, error) {
	if s := r.servers[kind]; s != nil {
		return s, nil
	}
	if kind == EmbeddedNew {
		return r.embedded(ctx, "")
	}
	start := map[string]func(context.Context) (*server, error){
		Canned:       func(ctx context.Context) (*server, error) { return r.process(ctx, "bench/cmd/canned", "-tied") },
		Apache:       func(context.Context) (*server, error) { return r.apache(false) },
		ApacheDisk:   func(context.Context) (*server, error) { return r.apache(true) },
		Embedded:     func(ctx context.Context) (*server, error) { return r.embedded(ctx, "") },
		EmbeddedDisk: func(ctx context.Context) (*server, error) { return r.embedded(ctx, filepath.Join(r.Dir, "embedded")) },
	}[kind]
	s, err := start(ctx)
	if err != nil {
		return nil, fmt.Errorf("start the server %s: %w", kind, err)
	}
	if kind == EmbeddedDisk || kind == ApacheDisk {
		if r.sync, err = syncTime(r.Dir); err != nil {
			return nil, errors.Join(err, s.stop())
		}
		fmt.Fprintf(r.Log, "  a sync of the disk takes %v\n", r.sync)
	}
	if r.servers == nil {
		r.servers = map[string]*server{}
	}
	r.servers[kind] = s
	return s, nil
}

// maxSessionTimeout is what the replay asks for, which sends no pings.
const maxSessionTimeout = 10 * time.Minute

// apache starts Apache ZooKeeper as people run it.
func (r *Runner) apache(disk bool) (*server, error) {
	e, err := ensemble.Start(ensemble.Config{
		Dir: filepath.Join(r.Dir, fmt.Sprintf("apache-%v", disk)), ForceSync: disk, JVM: []string{"-Xmx2g"},
		MaxSessionTimeout: maxSessionTimeout,
		Properties:        map[string]string{"maxClientCnxns": "0"},
		SystemProperties:  map[string]string{"zookeeper.preAllocSize": "65536"},
	})
	if err != nil {
		return nil, err
	}
	return &server{addr: e.Hosts(), pid: e.Server(0).PID(), tree: true, stop: e.Close}, nil
}

func (r *Runner) embedded(ctx context.Context, dir string) (*server, error) {
	args := []string{"serve", "--listen", "127.0.0.1:0", "--max-client-conns", "0", "--max-session-timeout", maxSessionTimeout.String()}
	if dir != "" {
		args = append(args, "--dir", dir)
	}
	s, err := r.process(ctx, "cmd/gazoo", args...)
	if err == nil {
		s.tree = true
	}
	return s, err
}

// process builds a program of ours and starts it. It prints the address that it listens on.
func (r *Runner) process(ctx context.Context, pkg string, args ...string) (*server, error) {
	bin, err := r.build(ctx, pkg)
	if err != nil {
		return nil, err
	}
	// An interrupt from the terminal goes to us; the server has to outlive the turn that it ends.
	cmd := exec.Command(bin, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop := func() error {
		stdin.Close()
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("%s: %w: %s", pkg, err, stderr.String())
		}
		return nil
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		cmd.Process.Kill()
		return nil, errors.Join(fmt.Errorf("no address: %s", stderr.String()), stop())
	}
	go io.Copy(io.Discard, stdout)
	return &server{addr: strings.TrimSpace(line), pid: cmd.Process.Pid, stop: stop}, nil
}

// syncTime returns the median time of a small write that is synced.
func syncTime(dir string) (time.Duration, error) {
	f, err := os.CreateTemp(dir, "sync-")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var all []time.Duration
	for range 50 {
		begin := time.Now()
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		all = append(all, time.Since(begin))
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}
