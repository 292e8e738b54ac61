package gazoo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// Code is a ZooKeeper error code as it stands on the wire. It implements error, so
// errors.Is(err, gazoo.ErrNoNode) works on everything that leaves an operation. Codes
// that this package does not know keep their number.
type Code = zkproto.Code

// Error codes. The comment says who makes them: a server, or the client for itself.
const (
	ErrSystemError                  = zkproto.ErrSystemError                  // server, never seen in practice
	ErrRuntimeInconsistency         = zkproto.ErrRuntimeInconsistency         // server: operation of a transaction after the one that failed
	ErrDataInconsistency            = zkproto.ErrDataInconsistency            // server, never seen in practice
	ErrConnectionLoss               = zkproto.ErrConnectionLoss               // client: the connection ended before the answer came
	ErrMarshalling                  = zkproto.ErrMarshallingError             // server: request not understood
	ErrUnimplemented                = zkproto.ErrUnimplemented                // server: operation unknown, TTL without extended types, reconfig on standalone
	ErrOperationTimeout             = zkproto.ErrOperationTimeout             // client of other languages
	ErrBadArguments                 = zkproto.ErrBadArguments                 // server; also matched by every *ArgumentError
	ErrUnknownSession               = zkproto.ErrUnknownSession               // server, internal
	ErrNewConfigNoQuorum            = zkproto.ErrNewConfigNoQuorum            // server: reconfig
	ErrReconfigInProgress           = zkproto.ErrReconfigInProgress           // server: reconfig
	ErrAPIError                     = zkproto.ErrAPIError                     // marker: codes below it are ordinary outcomes
	ErrNoNode                       = zkproto.ErrNoNode                       // server: znode (or the parent of a create) missing
	ErrNoAuth                       = zkproto.ErrNoAuth                       // server: ACL refuses
	ErrBadVersion                   = zkproto.ErrBadVersion                   // server: version given is not the current one
	ErrNoChildrenForEphemerals      = zkproto.ErrNoChildrenForEphemerals      // server: parent is ephemeral
	ErrNodeExists                   = zkproto.ErrNodeExists                   // server
	ErrNotEmpty                     = zkproto.ErrNotEmpty                     // server: delete of a znode with children
	ErrSessionExpired               = zkproto.ErrSessionExpired               // server's word, or another session id in its answer
	ErrInvalidCallback              = zkproto.ErrInvalidCallback              // client of other languages
	ErrInvalidACL                   = zkproto.ErrInvalidACL                   // server: ACL malformed, empty, or its scheme unknown
	ErrAuthFailed                   = zkproto.ErrAuthFailed                   // server: credential refused; the client is finished
	ErrSessionMoved                 = zkproto.ErrSessionMoved                 // server: session was taken over through another server
	ErrNotReadOnly                  = zkproto.ErrNotReadOnly                  // server: write sent to a read-only server
	ErrEphemeralOnLocalSession      = zkproto.ErrEphemeralOnLocalSession      // server: local sessions
	ErrNoWatcher                    = zkproto.ErrNoWatcher                    // server: no such watch to remove
	ErrRequestTimeout               = zkproto.ErrRequestTimeout               // client of other languages
	ErrReconfigDisabled             = zkproto.ErrReconfigDisabled             // server: reconfigEnabled=false
	ErrSessionClosedRequireSASLAuth = zkproto.ErrSessionClosedRequireSASLAuth // server: enforced authentication missing
	ErrQuotaExceeded                = zkproto.ErrQuotaExceeded                // server: hard quota
	ErrThrottledOp                  = zkproto.ErrThrottledOp                  // server: overloaded, request not executed
)

// Errors the client makes itself.
var (
	// ErrClosed is the cause of every call on a client that was closed.
	ErrClosed = errors.New("client closed")
	// ErrSessionPresumed says that there was no proof of life for the session time-out: what the
	// session held must be taken as lost, although no server has confirmed it.
	ErrSessionPresumed = errors.New("session presumed expired")
	// ErrSessionOver is the cause of calls on a view bound to a session ([Client.InSession]) that is over.
	ErrSessionOver = errors.New("bound session is over")
	// ErrNoServer says that every configured server was tried once without success ([WithFailFast]).
	ErrNoServer = errors.New("no server reachable")
	// ErrRequestTooLarge is matched by *SizeError for a request above the limit; nothing was sent.
	ErrRequestTooLarge = errors.New("request too large")
	// ErrReplyTooLarge is matched by *SizeError for a reply above the ceiling; the session goes on.
	ErrReplyTooLarge = errors.New("reply too large")
	// ErrNotSupported says that the server does not know the operation.
	ErrNotSupported = errors.New("operation not supported by this server")
	// ErrWatchCanceled ends a watch that its owner closed.
	ErrWatchCanceled = errors.New("watch canceled")
	// ErrWatchNotSet ends a one-shot that was to be served by a stream on the same path which
	// the server then refused: set it again.
	ErrWatchNotSet = errors.New("watch not set")
	// ErrTxnDone is returned by a transaction that was committed already.
	ErrTxnDone = errors.New("transaction already committed")
	// ErrReadOnlyEnded ends a provisional read-only session when a read-write server was found.
	ErrReadOnlyEnded = errors.New("provisional read-only session ended")
	// ErrDetached ends a session's handle in this process after [Client.Detach].
	ErrDetached = errors.New("session detached")
)

// Outcome says what became of a request, which is what a coordination program must know
// before it tries again.
type Outcome uint8

const (
	// OutcomeNotSent: nothing left this process; trying again is safe.
	OutcomeNotSent Outcome = iota + 1
	// OutcomeUnknown: the request left, the answer did not come. A write may have happened.
	OutcomeUnknown
	// OutcomeRefused: the server answered with an error; nothing was changed.
	OutcomeRefused
)

// String returns the outcome in words.
func (o Outcome) String() string {
	switch o {
	case OutcomeNotSent:
		return "not sent"
	case OutcomeUnknown:
		return "may have been applied"
	case OutcomeRefused:
		return "refused"
	}
	return fmt.Sprintf("Outcome(%d)", uint8(o))
}

// OpError is the error of every operation. It unwraps to its cause: a [Code], [ErrClosed],
// a context's error, an [*ArgumentError] and so on.
type OpError struct {
	Op      string  // operation, such as "create"
	Path    string  // path as the caller gave it; empty for operations without one
	Server  string  // address of the server, empty when none was connected
	Outcome Outcome // what became of the request
	Write   bool    // the operation changes the tree
	Err     error   // the cause
}

// Error returns, for example, "create /app/x: znode does not exist (server 10.0.0.1:2181)".
func (e *OpError) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Path != "" {
		b.WriteByte(' ')
		b.WriteString(e.Path)
	}
	b.WriteString(": ")
	b.WriteString(e.Err.Error())
	switch {
	case e.Outcome == OutcomeNotSent:
		b.WriteString(", not sent")
	case e.Outcome == OutcomeUnknown && e.Write:
		b.WriteString(", may have been applied")
	}
	if e.Server != "" {
		b.WriteString(" (server ")
		b.WriteString(e.Server)
		b.WriteByte(')')
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *OpError) Unwrap() error { return e.Err }

// MaybeApplied reports whether err leaves open if a write was applied: it was sent and no
// answer came. Read before you write again, or use [Protected] creates.
func MaybeApplied(err error) bool {
	e, ok := errors.AsType[*OpError](err)
	return ok && e.Write && e.Outcome == OutcomeUnknown
}

// WasNotSent reports whether err says that the request never left this process, so that
// trying again cannot apply it twice.
func WasNotSent(err error) bool {
	e, ok := errors.AsType[*OpError](err)
	return ok && e.Outcome == OutcomeNotSent
}

// SessionLost reports whether err means that the session's ephemerals and watches are gone or
// must be taken as gone: expiry confirmed by a server or presumed by the clock.
func SessionLost(err error) bool {
	return errors.Is(err, ErrSessionExpired) || errors.Is(err, ErrSessionPresumed) ||
		errors.Is(err, ErrSessionOver)
}

// ArgumentError names an argument that was refused before anything was sent. It matches
// [ErrBadArguments].
type ArgumentError struct {
	Arg    string // name of the argument or option
	Reason string // what is wrong with it
}

// Error names the argument and what is wrong with it.
func (e *ArgumentError) Error() string { return "invalid " + e.Arg + ": " + e.Reason }

// Is makes an ArgumentError match the code that a server would answer.
func (e *ArgumentError) Is(target error) bool { return target == ErrBadArguments }

func badArg(arg, format string, a ...any) *ArgumentError {
	return &ArgumentError{Arg: arg, Reason: fmt.Sprintf(format, a...)}
}

// SizeError says that a request or a reply is larger than the configured limit, in bytes of
// the whole packet.
type SizeError struct {
	Size, Limit int
	kind        error
}

// Error gives both sizes.
func (e *SizeError) Error() string {
	return fmt.Sprintf("%v: %d bytes, limit %d", e.kind, e.Size, e.Limit)
}

// Is matches [ErrRequestTooLarge] or [ErrReplyTooLarge].
func (e *SizeError) Is(target error) bool { return target == e.kind }

// endError is why a client closed by itself. It matches ErrClosed, so that whoever stops at a
// closed client stops at this one too.
type endError struct{ cause error }

func (e *endError) Error() string   { return "client closed: " + e.cause.Error() }
func (e *endError) Unwrap() []error { return []error{ErrClosed, e.cause} }

// waitError is what a wait returns when its context ends: it matches the context's error and
// its cause, and reads like the cause.
type waitError struct{ ctxErr, cause error }

func (e *waitError) Error() string   { return e.cause.Error() }
func (e *waitError) Unwrap() []error { return []error{e.ctxErr, e.cause} }

func ctxError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == nil || cause == err {
		return err
	}
	return &waitError{err, cause}
}
