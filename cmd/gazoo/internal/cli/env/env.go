// Package env is what a command gets to work with: streams, the options that all commands share,
// and a way to a connected client. A front end other than the command line, such as a shell,
// makes an Env of its own and runs the same commands with it.
package env

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/output"
)

// Env is what a command gets to work with.
type Env struct {
	Streams
	Options *Options

	// LookupEnv reads environment variables, like os.LookupEnv. Nil means that there are none.
	LookupEnv func(string) (string, bool)

	// Cwd is what relative paths are relative to; empty means that they are refused.
	Cwd string

	// Client returns a connected client and a function that gives it back, which is called with
	// the command's context. [New] sets one that connects, and closes the session afterwards; a
	// shell hands out its own client.
	Client func(ctx context.Context) (*gazoo.Client, func(context.Context), error)

	// KeepsSession says that the session goes on after a command has ended, so that an ephemeral
	// znode does too.
	KeepsSession bool

	talk sync.Mutex // held while a line of stderr is written; watches talk from elsewhere too
}

// New returns an Env whose commands connect for themselves.
func New(s Streams, lookupEnv func(string) (string, bool)) *Env {
	e := &Env{Streams: s, Options: DefaultOptions(), LookupEnv: lookupEnv}
	e.Client = e.connect
	return e
}

// Do connects, runs f and gives the client back, all within --timeout.
func (e *Env) Do(ctx context.Context, f func(context.Context, *gazoo.Client) error) error {
	ctx, cancel := e.Bound(ctx)
	defer cancel()
	return e.Stay(ctx, f)
}

// Stay connects within --timeout and then runs f for as long as it takes.
func (e *Env) Stay(ctx context.Context, f func(context.Context, *gazoo.Client) error) error {
	zk, release, err := e.dial(ctx)
	if err != nil {
		return err
	}
	defer release(ctx)
	return explainRoot(zk, f(ctx, zk))
}

// explainRoot says what a missing "/" means, which nobody would guess.
func explainRoot(zk *gazoo.Client, err error) error {
	op, ok := errors.AsType[*gazoo.OpError](err)
	if ok && op.Path == "/" && errors.Is(err, gazoo.ErrNoNode) {
		err = exit.Explain(err, "the chroot %s of --servers does not exist", zk.Root())
	}
	return err
}

func (e *Env) dial(ctx context.Context) (*gazoo.Client, func(context.Context), error) {
	ctx, cancel := e.Bound(ctx)
	defer cancel()
	return e.Client(ctx)
}

// Bound ends a context after --timeout.
func (e *Env) Bound(ctx context.Context) (context.Context, context.CancelFunc) {
	d := e.Options.Timeout
	return context.WithTimeoutCause(ctx, d, &exit.TimeoutError{After: d})
}

// Printer returns what a command writes its data with.
func (e *Env) Printer() *output.Printer {
	return output.New(e.Out, e.JSON(), e.OutTerminal)
}

// JSON reports whether --output json was asked for.
func (e *Env) JSON() bool { return e.Options.Output == OutputJSON }

// Say tells the person at the terminal something, on stderr, in one line.
func (e *Env) Say(format string, a ...any) {
	e.talk.Lock()
	defer e.talk.Unlock()
	fmt.Fprintf(e.Err, "gazoo: "+format+"\n", a...)
}
