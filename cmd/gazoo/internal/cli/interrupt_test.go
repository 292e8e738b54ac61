package cli_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/env"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
)

// TestInterruptEndsWaitingForInput shows that Ctrl-C is obeyed while stdin stays silent.
func TestInterruptEndsWaitingForInput(t *testing.T) {
	in, other := io.Pipe()
	defer other.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	reading := make(chan struct{})
	var talk strings.Builder
	e := env.New(env.Streams{In: notify{in, reading}, Out: io.Discard, Err: &talk}, nil)
	ended := make(chan int, 1)
	go func() { ended <- cli.Run(ctx, []string{"set", "/a", "-"}, e) }()
	<-reading
	cancel(exit.ErrInterrupted)
	select {
	case code := <-ended:
		if code != exit.Interrupted {
			t.Errorf("exit code %d, said %q; want %d", code, talk.String(), exit.Interrupted)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("set goes on reading stdin after an interrupt")
	}
}

// notify tells when it is read from for the first time.
type notify struct {
	io.Reader
	reading chan struct{}
}

func (n notify) Read(p []byte) (int, error) {
	close(n.reading)
	return n.Reader.Read(p)
}
