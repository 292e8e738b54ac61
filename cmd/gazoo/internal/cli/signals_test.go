//go:build unix

package cli

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
	"github.com/gazoo-zk/gazoo/internal/leak"
)

func TestFirstSignalCancelsSecondEnds(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			leak.Check(t)
			ended := make(chan int, 1)
			ctx, stop := interruptible(t.Context(), func(code int) { ended <- code })
			defer stop()

			raise(t, sig)
			wait(t, ctx.Done())
			if err := context.Cause(ctx); !errors.Is(err, exit.ErrInterrupted) {
				t.Errorf("cause after a signal = %v, want %v", err, exit.ErrInterrupted)
			}
			select {
			case code := <-ended:
				t.Fatalf("the first signal ended the process with %d", code)
			default:
			}

			raise(t, sig)
			select {
			case code := <-ended:
				if code != exit.Interrupted {
					t.Errorf("the second signal ended the process with %d, want %d", code, exit.Interrupted)
				}
			case <-time.After(10 * time.Second):
				t.Error("the second signal did not end the process")
			}
		})
	}
}

func raise(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), sig); err != nil {
		t.Fatal(err)
	}
}

func wait(t *testing.T, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("nothing happened in 10 s")
	}
}
