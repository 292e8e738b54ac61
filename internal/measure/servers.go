package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/internal/procfs"
)

// apache starts Apache ZooKeeper as people run it: every transaction synced, the JVM's own choice of collector and
// compiler.
func apache(dir, heap string, patience time.Duration) (*ensemble.Ensemble, error) {
	return ensemble.Start(ensemble.Config{
		Dir: dir, StartTimeout: patience, ForceSync: true, JVM: []string{"-Xmx" + heap},
		Properties:       map[string]string{"maxClientCnxns": "0"},
		SystemProperties: map[string]string{"zookeeper.preAllocSize": "65536"},
	})
}

// ours is a running gazoo serve.
type ours struct {
	cmd    *exec.Cmd
	addr   string
	stderr bytes.Buffer
}

// build makes the binary.
func build(ctx context.Context, dir string) (string, error) {
	bin := filepath.Join(dir, "gazoo")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", bin, "github.com/gazoo-zk/gazoo/cmd/gazoo").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build gazoo: %w\n%s", err, out)
	}
	return bin, nil
}

// serve starts a server of ours and waits until it says where it listens.
func serve(bin string, args ...string) (*ours, error) {
	o := &ours{cmd: exec.Command(bin, append([]string{"serve", "--listen", "127.0.0.1:0", "--max-client-conns", "0"}, args...)...)}
	o.cmd.Stderr = &o.stderr
	stdout, err := o.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := o.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		o.cmd.Process.Kill()
		return nil, errors.Join(fmt.Errorf("gazoo serve did not start: %s", o.stderr.String()), o.cmd.Wait())
	}
	o.addr = strings.TrimSpace(line)
	return o, nil
}

func (o *ours) stop() error {
	o.cmd.Process.Signal(syscall.SIGTERM)
	if err := o.cmd.Wait(); err != nil {
		return fmt.Errorf("gazoo serve: %w: %s", err, o.stderr.String())
	}
	return nil
}

// memory returns a figure of a process's memory in MiB; see [procfs.Memory].
func memory(pid int, figure string) (int, error) {
	bytes, err := procfs.Memory(pid, figure)
	return int((bytes + 1<<20 - 1) >> 20), err
}
