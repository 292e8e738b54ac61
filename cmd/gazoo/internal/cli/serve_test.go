package cli_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
	"github.com/gazoo-zk/gazoo/internal/leak"
)

// talk is a stderr that several goroutines write to.
type talk struct {
	mu sync.Mutex
	b  strings.Builder
}

func (t *talk) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *talk) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

func TestServeUntilInterrupted(t *testing.T) {
	leak.Check(t)
	out, stdout := io.Pipe()
	var said talk
	ctx, interrupt := context.WithCancelCause(t.Context())
	defer interrupt(nil)
	ended := make(chan int, 1)
	go func() {
		e := env.New(env.Streams{In: strings.NewReader(""), Out: stdout, Err: &said}, nil)
		ended <- cli.Run(ctx, []string{"serve", "--listen", "127.0.0.1:0", "--extended-types", "--4lw", "*"}, e)
		stdout.Close()
	}()
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatalf("serve printed no address; it said %q", said.String())
	}
	addr := lines.Text()
	var data strings.Builder
	run := func(args ...string) int {
		data.Reset()
		e := env.New(env.Streams{In: strings.NewReader(""), Out: &data, Err: &said}, nil)
		return cli.Run(t.Context(), append(args, "--servers", addr), e)
	}
	for _, args := range [][]string{{"create", "/a", "v", "--ttl", "1h"}, {"get", "/a"}} {
		if code := run(args...); code != 0 {
			t.Errorf("gazoo %v: exit code %d, said %q", args, code, said.String())
		}
	}
	if data.String() != "v" {
		t.Errorf("get printed %q, want v", data.String())
	}
	if code := run("ruok"); code != 0 {
		t.Errorf("ruok: exit code %d, said %q", code, said.String())
	}
	zk, err := gazoo.Connect(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	defer zk.CloseNow()
	interrupt(exit.ErrInterrupted)
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d after an interrupt, want 0; said %q", code, said.String())
	}
	if lines.Scan() {
		t.Errorf("serve printed more than the address: %q", lines.Text())
	}
	if log := said.String(); !strings.Contains(log, "msg=serving") || !strings.Contains(log, "msg=stopping sessions=1") {
		t.Errorf("log %q", log)
	}
}

func TestServeRefusesWhatItCannotDo(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for name, args := range map[string][]string{
		"port in use":   {"--listen", ln.Addr().String()},
		"no address":    {"--listen", "nowhere"},
		"tick":          {"--listen", "127.0.0.1:0", "--tick-time", "0s"},
		"word":          {"--listen", "127.0.0.1:0", "--4lw", "abcde"},
		"time-outs":     {"--listen", "127.0.0.1:0", "--min-session-timeout", "9s", "--max-session-timeout", "1s"},
		"no duration":   {"--tick-time", "soon"},
		"a stray value": {"here"},
	} {
		var said talk
		e := env.New(env.Streams{In: strings.NewReader(""), Out: io.Discard, Err: &said}, nil)
		if code := cli.Run(t.Context(), append([]string{"serve"}, args...), e); code == 0 || strings.Count(said.String(), "\n") != 1 {
			t.Errorf("%s: exit code %d, said %q, want one line", name, code, said.String())
		}
	}
}
