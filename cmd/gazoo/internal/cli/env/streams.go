package env

import (
	"context"
	"io"
	"os"

	"golang.org/x/term"
)

// Streams are what a command talks through.
type Streams struct {
	In          io.Reader
	Out, Err    io.Writer
	InTerminal  bool // a person can be asked
	OutTerminal bool // a person reads the output
}

// System returns the streams of this process.
func System() Streams {
	return Streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		InTerminal:  term.IsTerminal(int(os.Stdin.Fd())),
		OutTerminal: term.IsTerminal(int(os.Stdout.Fd())),
	}
}

// reading runs a read that cannot be cancelled, and stops waiting for it when ctx ends.
func reading[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := read()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var zero T
		return zero, context.Cause(ctx)
	}
}
