package exit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
)

func opError(err error) error {
	return &gazoo.OpError{Op: "set", Path: "/a", Server: "zk1:2181", Outcome: gazoo.OutcomeRefused, Write: true, Err: err}
}

func TestCode(t *testing.T) {
	timeout, cancel := context.WithTimeoutCause(t.Context(), 0, &TimeoutError{time.Second})
	defer cancel()
	<-timeout.Done()
	tests := []struct {
		err  error
		want int
	}{
		{nil, OK},
		{errors.New("anything"), Failed},
		{io.ErrShortWrite, Failed},
		{opError(gazoo.ErrSessionExpired), Failed},
		{opError(gazoo.ErrUnimplemented), Failed},
		{opError(gazoo.ErrBadArguments), Failed}, // a server's word, so something was sent
		{gazoo.ErrWordNotEnabled, Failed},
		{Usagef("PATH is missing"), Usage},
		{opError(&gazoo.ArgumentError{Arg: "path", Reason: "empty"}), Usage},
		{opError(gazoo.ErrRequestTooLarge), Usage},
		{&ConnectError{Reason: "nobody listens", Err: gazoo.ErrNoServer}, Unreachable},
		{opError(gazoo.ErrConnectionLoss), Unreachable},
		{opError(context.DeadlineExceeded), Unreachable},
		{context.Cause(timeout), Unreachable},
		{opError(gazoo.ErrNoNode), NoNode},
		{Explain(opError(gazoo.ErrNoNode), "the parent does not exist"), NoNode},
		{opError(gazoo.ErrNodeExists), Conflict},
		{opError(gazoo.ErrBadVersion), Conflict},
		{opError(gazoo.ErrNotEmpty), Conflict},
		{&gazoo.TxnError{Code: gazoo.ErrBadVersion}, Conflict},
		{opError(gazoo.ErrNoAuth), Auth},
		{opError(gazoo.ErrAuthFailed), Auth},
		{opError(gazoo.ErrInvalidACL), Auth},
		{ErrInterrupted, Interrupted},
		{opError(fmt.Errorf("%w, %w", context.Canceled, ErrInterrupted)), Interrupted},
		{&ConnectError{Reason: "gave up", Err: ErrInterrupted}, Interrupted},
	}
	for _, tt := range tests {
		if got := Code(tt.err); got != tt.want {
			t.Errorf("Code(%v) = %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestMessage(t *testing.T) {
	tests := []struct {
		err  error
		want string
	}{
		{errors.New("plain"), "plain"},
		{errors.New("two\n\tlines\n"), "two; lines"},
		{opError(gazoo.ErrNoNode), "set /a: znode does not exist"},
		{fmt.Errorf("wrapped: %w", opError(gazoo.ErrNoNode)), "set /a: znode does not exist"},
		{&gazoo.OpError{Op: "whoami", Err: gazoo.ErrUnimplemented}, "whoami: " + gazoo.ErrUnimplemented.Error()},
		{
			&gazoo.OpError{Op: "set", Path: "/a", Outcome: gazoo.OutcomeUnknown, Write: true, Err: gazoo.ErrConnectionLoss},
			"set /a: " + gazoo.ErrConnectionLoss.Error() + "; it may have been applied",
		},
		{
			&gazoo.OpError{Op: "get", Path: "/a", Outcome: gazoo.OutcomeUnknown, Err: gazoo.ErrConnectionLoss},
			"get /a: " + gazoo.ErrConnectionLoss.Error(),
		},
		{&ConnectError{Reason: "cannot connect", Err: opError(gazoo.ErrClosed)}, "cannot connect"},
		{Explain(opError(gazoo.ErrNotEmpty), "use -r on %s", "/a"), "use -r on /a"},
		{&TimeoutError{1500 * time.Millisecond}, "timed out after 1.5s (see --timeout)"},
	}
	for _, tt := range tests {
		if got := Message(tt.err); got != tt.want {
			t.Errorf("Message(%q) = %q, want %q", tt.err, got, tt.want)
		}
	}
}
