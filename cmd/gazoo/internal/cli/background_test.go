package cli_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// running is a program that a script has started and not finished yet.
type running struct {
	cmd *exec.Cmd
	wg  sync.WaitGroup // its streams are being read

	mu       sync.Mutex
	out, err bytes.Buffer
	more     chan struct{} // closed, and replaced, when something was read or a stream ended
	open     int           // streams that have not ended
}

type runningKey struct{}

func processes(ts *testscript.TestScript) map[string]*running {
	return ts.Value(runningKey{}).(map[string]*running)
}

// cmdStart starts a program and waits until it prints a line that matches: start NAME REGEXP
// PROGRAM ARG… testscript's own background commands cannot be waited for like that.
func cmdStart(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: start NAME REGEXP PROGRAM ARG…")
	}
	p := &running{cmd: exec.Command(args[2], args[3:]...), more: make(chan struct{}), open: 2}
	p.cmd.Dir = ts.MkAbs(".")
	p.cmd.Env = append(os.Environ(), "GAZOO_SERVERS="+ts.Getenv("GAZOO_SERVERS"), "GORACE="+ts.Getenv("GORACE"))
	stdout, err := p.cmd.StdoutPipe()
	ts.Check(err)
	stderr, err := p.cmd.StderrPipe()
	ts.Check(err)
	ts.Check(p.cmd.Start())
	p.wg.Go(func() { p.collect(stdout, &p.out) })
	p.wg.Go(func() { p.collect(stderr, &p.err) })
	ts.Defer(func() { // a script that failed has left it running
		p.cmd.Process.Kill()
		p.wg.Wait()
	})
	processes(ts)[args[0]] = p
	cmdAwait(ts, false, args[:2])
}

// cmdAwait waits until a program has printed a line that matches: await NAME REGEXP.
func cmdAwait(ts *testscript.TestScript, neg bool, args []string) {
	p, want := processes(ts)[args[0]], regexp.MustCompile("(?m)"+args[1])
	timeout := time.After(patience)
	for {
		p.mu.Lock()
		found := want.Match(p.out.Bytes()) || want.Match(p.err.Bytes())
		said, open, more := p.out.String()+p.err.String(), p.open, p.more
		p.mu.Unlock()
		if found {
			return
		}
		if open == 0 {
			ts.Fatalf("%s ended with %q, which does not match %q", args[0], said, args[1])
		}
		select {
		case <-more:
		case <-timeout:
			ts.Fatalf("%s printed %q, which does not match %q", args[0], said, args[1])
		}
	}
}

// collect reads a stream to its end.
func (p *running) collect(stream io.Reader, into *bytes.Buffer) {
	lines := bufio.NewReader(stream)
	for {
		line, err := lines.ReadString('\n')
		p.mu.Lock()
		into.WriteString(line)
		if err != nil {
			p.open--
		}
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// cmdInterrupt sends SIGINT, as Ctrl-C does: interrupt NAME.
func cmdInterrupt(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(processes(ts)[args[0]].cmd.Process.Signal(os.Interrupt))
}

// cmdTerminate sends SIGTERM, as service managers do: terminate NAME.
func cmdTerminate(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(processes(ts)[args[0]].cmd.Process.Signal(syscall.SIGTERM))
}

// cmdPrinted puts the first line that a program has printed into a variable: printed NAME VARIABLE.
func cmdPrinted(ts *testscript.TestScript, neg bool, args []string) {
	p := processes(ts)[args[0]]
	cmdAwait(ts, false, []string{args[0], "."})
	p.mu.Lock()
	line, _, _ := strings.Cut(p.out.String(), "\n")
	p.mu.Unlock()
	ts.Setenv(args[1], line)
}

// cmdFinish waits for a program's end, checks its exit code and leaves what it printed in the
// files NAME.out and NAME.err: finish NAME CODE.
func cmdFinish(ts *testscript.TestScript, neg bool, args []string) {
	name, p := args[0], processes(ts)[args[0]]
	stuck := time.AfterFunc(patience, func() { p.cmd.Process.Kill() })
	defer stuck.Stop()
	p.wg.Wait()
	if got := fmt.Sprint(exitCode(ts, p.cmd.Wait())); got != args[1] {
		ts.Fatalf("%s: exit code %s, want %s; it printed %q and said %q", name, got, args[1], p.out.String(), p.err.String())
	}
	ts.Check(os.WriteFile(ts.MkAbs(name+".out"), p.out.Bytes(), 0o666))
	ts.Check(os.WriteFile(ts.MkAbs(name+".err"), p.err.Bytes(), 0o666))
}

func exitCode(ts *testscript.TestScript, err error) int {
	if err == nil {
		return 0
	}
	exited, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		ts.Fatalf("%v", err)
	}
	return exited.ExitCode()
}
