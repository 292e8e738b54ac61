package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
)

// interruptible returns a context that the first SIGINT or SIGTERM ends, so that the command
// closes its session in good order. The second one ends the process through end.
func interruptible(ctx context.Context, end func(code int)) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		for _, act := range []func(){
			func() { cancel(exit.ErrInterrupted) },
			func() { end(exit.Interrupted) },
		} {
			select {
			case <-signals:
				act()
			case <-done:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel(nil)
	}
}
