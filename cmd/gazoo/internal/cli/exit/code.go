// Package exit is the one place that knows the tool's exit codes: which error means which, and
// how an error reads on the one line that people see.
package exit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"time"

	"github.com/gazoo-zk/gazoo"
)

// Exit codes. They are a promise to scripts: never renumber them.
const (
	OK          = 0
	Failed      = 1   // the operation failed for a reason that has no code of its own
	Usage       = 2   // bad arguments; nothing was sent
	Unreachable = 3   // no server reached, connection lost, or out of time
	NoNode      = 4   // the znode does not exist
	Conflict    = 5   // it exists, has another version, or is not empty
	Auth        = 6   // credential refused, ACL refuses or is invalid
	Interrupted = 130 // SIGINT or SIGTERM
)

// Help describes the codes to users.
const Help = `Exit codes:
  0    success
  1    the operation failed
  2    bad usage or arguments; nothing was sent
  3    no server reached, connection lost, or out of time
  4    no such znode
  5    conflict: the znode exists, has another version, or is not empty
  6    authentication or ACL
  130  interrupted`

// ErrInterrupted is the cause of a context that a signal ended.
var ErrInterrupted = errors.New("interrupted")

// UsageError says that the command line is wrong.
type UsageError struct{ Reason string }

// Usagef makes a UsageError.
func Usagef(format string, a ...any) error { return &UsageError{fmt.Sprintf(format, a...)} }

// Error returns the reason.
func (e *UsageError) Error() string { return e.Reason }

// TimeoutError is the cause of a context that ran out of the time given by --timeout.
type TimeoutError struct{ After time.Duration }

// Error names the time and the flag that changes it.
func (e *TimeoutError) Error() string {
	return fmt.Sprintf("timed out after %v (see --timeout)", e.After)
}

// ConnectError says that no session could be had.
type ConnectError struct {
	Reason string // one line
	Err    error  // the cause: a *TimeoutError, a code, or a dial error
}

// Error returns the reason.
func (e *ConnectError) Error() string { return e.Reason }

// Unwrap returns the cause.
func (e *ConnectError) Unwrap() error { return e.Err }

// explained is an error with a text for people in place of its own.
type explained struct {
	text string
	err  error
}

// Explain gives err a better text and leaves its exit code alone.
func Explain(err error, format string, a ...any) error {
	return &explained{fmt.Sprintf(format, a...), err}
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.err }

// Code returns the exit code that an error stands for.
func Code(err error) int {
	switch {
	case err == nil:
		return OK
	case errors.Is(err, ErrInterrupted):
		return Interrupted
	case as[*UsageError](err), as[*gazoo.ArgumentError](err), errors.Is(err, gazoo.ErrRequestTooLarge):
		return Usage
	case isAny(err, gazoo.ErrNoNode):
		return NoNode
	case isAny(err, gazoo.ErrNodeExists, gazoo.ErrBadVersion, gazoo.ErrNotEmpty):
		return Conflict
	case isAny(err, gazoo.ErrNoAuth, gazoo.ErrAuthFailed, gazoo.ErrInvalidACL, gazoo.ErrSessionClosedRequireSASLAuth):
		return Auth
	case as[*fs.PathError](err):
		return Failed // what is below it, an errno, would pass for an error of the network
	case isAny(err, gazoo.ErrConnectionLoss, gazoo.ErrNoServer, context.DeadlineExceeded),
		as[*ConnectError](err), as[*TimeoutError](err), as[net.Error](err):
		return Unreachable
	}
	return Failed
}

func as[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

func isAny(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
