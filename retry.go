package gazoo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Forever is the number of tries of a policy that never gives up.
const Forever = -1

// RetryPolicy decides whether and when to try again. Implementations must be safe for
// concurrent use; Backoff and the constructors below are.
type RetryPolicy interface {
	// NextDelay is asked after a failed try. It returns how long to wait before the next
	// one, or false to give up. A policy that also has a method ShouldRetry(error) bool decides
	// which errors are tried again; otherwise the rules of [Backoff] apply.
	NextDelay(Attempt) (time.Duration, bool)
}

// Attempt describes the tries so far.
type Attempt struct {
	Tries     int           // failed so far, at least 1
	Elapsed   time.Duration // since the first try began
	LastDelay time.Duration // slept before the last try, 0 for the first
	Err       error         // what the last try returned
}

// Backoff is the standard policy: Kazoo's knobs, with its defaults for fields left zero.
type Backoff struct {
	MaxTries  int           // tries in all: 0 means 1, Forever never gives up
	Delay     time.Duration // before the second try (default 100 ms)
	Factor    float64       // multiplies the delay, jitter included, after each try (default 2; 1 keeps it)
	MaxJitter float64       // each delay is changed by up to this share either way, 0 to 1 (default 0.4; negative: none)
	MaxDelay  time.Duration // upper bound of a delay (default 60 s)
	Deadline  time.Duration // give up when the next delay would pass it (0: no deadline)

	// FailOnExpire gives up on an expired session. By default such calls are tried again in
	// the next session (Kazoo: ignore_expire=True).
	FailOnExpire bool
	// RetryMaybeApplied tries again after writes that may have been applied. By default such
	// an error is returned: only the caller knows whether doing it twice is harmless.
	RetryMaybeApplied bool
	// RetryThrottled tries again when the server refused for overload (-127).
	RetryThrottled bool
	// Retryable, when set, decides about errors instead of the rules above. ForceRetry and the
	// context's end still apply.
	Retryable func(error) bool
	// Interrupt is polled before each try; true ends the whole with [ErrInterrupted].
	Interrupt func() bool
}

// NextDelay implements RetryPolicy.
func (b Backoff) NextDelay(a Attempt) (time.Duration, bool) {
	if b.MaxTries >= 0 && a.Tries >= max(1, b.MaxTries) {
		return 0, false
	}
	delay := a.LastDelay
	if a.Tries <= 1 || delay <= 0 {
		delay = orDefault(b.Delay, 100*time.Millisecond)
	} else {
		delay = time.Duration(float64(delay) * orDefault(b.Factor, 2))
	}
	limit := orDefault(b.MaxDelay, time.Minute)
	if delay > limit || delay < 0 { // negative: overflow
		delay = limit
	}
	if jitter := min(orDefault(b.MaxJitter, 0.4), 1); jitter > 0 {
		delay = time.Duration(float64(delay) * (1 + jitter*(2*rand.Float64()-1)))
		delay = min(delay, limit)
	}
	if b.Deadline > 0 && a.Elapsed+delay > b.Deadline {
		return 0, false
	}
	return delay, true
}

// interrupted is how Retry finds Interrupt, also behind a pointer or embedded in a policy of
// the user's.
func (b Backoff) interrupted() func() bool { return b.Interrupt }

func orDefault[T ~int64 | ~float64](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// ShouldRetry is Kazoo's choice of errors, less the writes that may have been applied: lost
// connections, operation time-outs, and expired sessions unless FailOnExpire.
func (b Backoff) ShouldRetry(err error) bool {
	if b.Retryable != nil {
		return b.Retryable(err)
	}
	switch {
	case isEnded(err), errors.Is(err, ErrSessionOver):
		return false
	case MaybeApplied(err) && !b.RetryMaybeApplied:
		return false
	case errors.Is(err, ErrConnectionLoss), errors.Is(err, ErrOperationTimeout):
		return true
	case errors.Is(err, ErrSessionExpired), errors.Is(err, ErrSessionPresumed):
		return !b.FailOnExpire
	case errors.Is(err, ErrThrottledOp):
		return b.RetryThrottled
	}
	return false
}

// ErrInterrupted is returned when a policy's Interrupt said so.
var ErrInterrupted = errors.New("retry interrupted")

// RetryError says that a policy gave up. It unwraps to the last try's error.
type RetryError struct {
	Tries   int
	Elapsed time.Duration
	Err     error
}

// Error tells how often and how long it was tried.
func (e *RetryError) Error() string {
	return fmt.Sprintf("gave up after %d tries in %v: %v", e.Tries, e.Elapsed.Round(time.Millisecond), e.Err)
}

// Unwrap returns the last try's error.
func (e *RetryError) Unwrap() error { return e.Err }

// ForceRetry wraps err (nil is fine) so that Retry tries again whatever it is.
func ForceRetry(err error) error { return &forceRetry{err} }

type forceRetry struct{ err error }

func (e *forceRetry) Error() string {
	if e.err == nil {
		return "retry asked for"
	}
	return e.err.Error()
}
func (e *forceRetry) Unwrap() error { return e.err }

// RetryNTimes tries n times more, waiting delay each time.
func RetryNTimes(n int, delay time.Duration) Backoff {
	b := RetryForever(delay)
	b.MaxTries = max(n, 0) + 1
	return b
}

// RetryOnce tries once more after delay.
func RetryOnce(delay time.Duration) Backoff { return RetryNTimes(1, delay) }

// RetryUntil tries again every delay until total has passed since the first try.
func RetryUntil(total, delay time.Duration) Backoff {
	b := RetryForever(delay)
	b.Deadline = total
	return b
}

// RetryForever tries again every delay for ever.
func RetryForever(delay time.Duration) Backoff {
	delay = max(delay, 1) // zero would mean Backoff's default
	return Backoff{MaxTries: Forever, Delay: delay, Factor: 1, MaxJitter: -1, MaxDelay: delay}
}

// Retry runs fn, and again as the policy says while fn fails with an error worth trying
// again: connection loss, an expired or presumed expired session, [ForceRetry]. Any other
// error is returned as it is; when the policy gives up the result is a [*RetryError]. It stops
// at once when ctx ends, with an error that matches the context's and the last try's. fn is a whole function: everything in it happens again.
//
// Errors of writes that may have been applied are returned, not retried, unless the policy is
// a [Backoff] with RetryMaybeApplied.
func Retry(ctx context.Context, policy RetryPolicy, fn func(context.Context) error) error {
	if ctx == nil {
		return refuse("retry", "", errNilContext)
	}
	if policy == nil {
		return refuse("retry", "", badArg("policy", "nil"))
	}
	if fn == nil {
		return refuse("retry", "", badArg("fn", "nil"))
	}
	rules, ok := policy.(interface{ ShouldRetry(error) bool })
	if !ok {
		rules = Backoff{}
	}
	var interrupt func() bool
	if b, ok := policy.(interface{ interrupted() func() bool }); ok {
		interrupt = b.interrupted()
	}
	begin := time.Now()
	var last time.Duration
	for tries := 1; ; tries++ {
		if interrupt != nil && interrupt() {
			return ErrInterrupted
		}
		err := fn(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		if _, forced := errors.AsType[*forceRetry](err); !forced && !rules.ShouldRetry(err) {
			return err
		}
		a := Attempt{Tries: tries, Elapsed: time.Since(begin), LastDelay: last, Err: err}
		delay, again := policy.NextDelay(a)
		if !again {
			return &RetryError{Tries: tries, Elapsed: a.Elapsed, Err: err}
		}
		last = delay
		if stop := sleep(ctx, delay, interrupt); stop != nil {
			return fmt.Errorf("%w; the last try: %w", stop, err)
		}
	}
}

// sleep waits by the context; with an interrupt it looks there at least every 100 ms.
func sleep(ctx context.Context, d time.Duration, interrupt func() bool) error {
	for d > 0 {
		step := d
		if interrupt != nil {
			step = min(d, 100*time.Millisecond)
		}
		t := time.NewTimer(step)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctxError(ctx)
		}
		d -= step
		if interrupt != nil && interrupt() {
			return ErrInterrupted
		}
	}
	if ctx.Err() != nil {
		return ctxError(ctx)
	}
	return nil
}

// Retry runs fn under the client's command policy ([WithCommandRetry]); see the function
// [Retry]. While the session is suspended fn's calls wait for the connection by themselves.
func (zk *Client) Retry(ctx context.Context, fn func(context.Context) error) error {
	return Retry(ctx, zk.core.commandRetry(), fn)
}

// RetryInSession runs fn with a view bound to the present session, waiting for one first, and
// runs it again, as a whole and in the next session, whenever its session ended before fn did.
// Other errors are retried as [Client.Retry] does, in the same session. So all that fn did
// when it succeeds was done in one session.
func (zk *Client) RetryInSession(ctx context.Context, fn func(context.Context, *Client) error) error {
	return Retry(ctx, zk.core.commandRetry(), func(ctx context.Context) error {
		if err := zk.WaitState(ctx, StateConnected); err != nil {
			return err
		}
		session := zk.Session()
		err := fn(ctx, zk.InSession(session))
		if err == nil {
			err = session.overErr()
		}
		if SessionLost(err) {
			return ForceRetry(err)
		}
		return err
	})
}

// SetCommandRetry replaces the policy of [Client.Retry] in the running client, for all views.
func (zk *Client) SetCommandRetry(p RetryPolicy) error {
	if p == nil {
		return badArg("policy", "nil")
	}
	zk.core.command.Store(&p)
	return nil
}

func (c *core) commandRetry() RetryPolicy { return *c.command.Load() }
