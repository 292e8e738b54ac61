// Package program is what client programs under test are: what they do with a client, what they note of it, and the
// checker that judges what all of them noted together.
package program

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/robustness/history"
)

// Program is one kind of client program, with its checker. Several clients run it at once, on one root.
type Program struct {
	Name string

	// Clients is how many run beside each other (default 4).
	Clients int

	// Setup makes what the clients expect, before any of them starts and any fault begins. Its client has the program's
	// root as its chroot, which exists.
	Setup func(ctx context.Context, zk *gazoo.Client) error

	// Client does one client's work until ctx ends: then it lets go of what it holds and returns, within seconds. Whatever
	// the faults do to it, it goes on. An error means that something happened that no fault explains, and is a violation.
	Client func(ctx context.Context, e *Env) error

	// Final notes what is left when all faults are over and all clients have returned; nil when nothing has to be.
	Final func(ctx context.Context, e *Env) error

	// Check judges the history of this program, in the order of the starts. It returns nothing when all promises were
	// kept, whatever faults there were. Histories of clients that were killed have operations that never ended.
	Check func(ops []history.Op) []Violation

	// Expiries lets the checker see the notes of sessions that were ended before their time, for [history.Expiries].
	Expiries bool

	// Needs says what the promises depend on that not every mix of faults leaves alone.
	Needs Needs
}

// Needs are conditions of a program's promises.
type Needs struct {
	// OneLeader: no server may believe that it leads, or follows the leader, when it has been cut off from the others. The
	// program does not run with faults between servers.
	OneLeader bool
}

// Violation is a promise that was not kept.
type Violation struct {
	Promise string // which, in a few words that stay the same: "exclusion", "no lost update"
	Detail  string // what happened, with the operations
}

func (v Violation) String() string { return v.Promise + ": " + v.Detail }

// Violated makes a violation.
func Violated(promise, format string, args ...any) Violation {
	return Violation{promise, fmt.Sprintf(format, args...)}
}

// Env is what a client program has.
type Env struct {
	*history.Recorder
	Rand    *rand.Rand // of this client alone; it is not safe for concurrent use
	Clients int        // how many there are
	Session time.Duration

	// Connect opens a client whose chroot is the program's root. Options of the program come behind the world's own, and
	// win. It waits for the first session, through any faults. The program closes it.
	Connect func(ctx context.Context, opts ...gazoo.Option) (*gazoo.Client, error)
}

// Open is Connect for programs that have one client for as long as they run. It returns nil when ctx ended before there
// was a session.
func (e *Env) Open(ctx context.Context, opts ...gazoo.Option) (*gazoo.Client, error) {
	zk, err := e.Connect(ctx, opts...)
	if err != nil && ctx.Err() != nil {
		return nil, nil
	}
	return zk, err
}

// Sleep waits for d or the end of ctx, and reports whether ctx goes on.
func Sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// Pause waits for a random time up to d.
func (e *Env) Pause(ctx context.Context, d time.Duration) bool {
	return Sleep(ctx, time.Duration(e.Rand.Int64N(int64(d))))
}
