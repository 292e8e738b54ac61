package gazoo_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
	"github.com/gazoo-zk/gazoo/zkproto"
)

var (
	errConnLost = &gazoo.OpError{Op: "get", Outcome: gazoo.OutcomeUnknown, Err: gazoo.ErrConnectionLoss}
	errMaybe    = &gazoo.OpError{Op: "set", Write: true, Outcome: gazoo.OutcomeUnknown, Err: gazoo.ErrConnectionLoss}
)

// pauses runs Retry in virtual time on a function that always fails and returns the times
// between its tries.
func pauses(t *testing.T, policy gazoo.RetryPolicy, fail func(try int) error) (between []time.Duration, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		last, tries := time.Now(), 0
		err = gazoo.Retry(t.Context(), policy, func(context.Context) error {
			if tries++; tries > 1 {
				between = append(between, time.Since(last))
			}
			last = time.Now()
			if tries > 20 {
				return nil
			}
			return fail(tries)
		})
	})
	return between, err
}

func failing(err error) func(int) error { return func(int) error { return err } }

func TestRetryPauses(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		policy gazoo.RetryPolicy
		want   []time.Duration
		gaveUp bool
	}{
		"the zero policy tries once":   {gazoo.Backoff{}, nil, true},
		"defaults double from 100 ms":  {gazoo.Backoff{MaxTries: 5, MaxJitter: -1}, []time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms}, true},
		"delay and factor":             {gazoo.Backoff{MaxTries: 4, Delay: 10 * ms, Factor: 3, MaxJitter: -1}, []time.Duration{10 * ms, 30 * ms, 90 * ms}, true},
		"factor 1 keeps it":            {gazoo.Backoff{MaxTries: 3, Delay: 10 * ms, Factor: 1, MaxJitter: -1}, []time.Duration{10 * ms, 10 * ms}, true},
		"the delay has a maximum":      {gazoo.Backoff{MaxTries: 5, Delay: 10 * ms, MaxDelay: 25 * ms, MaxJitter: -1}, []time.Duration{10 * ms, 20 * ms, 25 * ms, 25 * ms}, true},
		"a deadline is not passed":     {gazoo.Backoff{MaxTries: gazoo.Forever, Delay: 100 * ms, MaxJitter: -1, Deadline: 650 * ms}, []time.Duration{100 * ms, 200 * ms}, true},
		"RetryOnce":                    {gazoo.RetryOnce(7 * ms), []time.Duration{7 * ms}, true},
		"RetryNTimes":                  {gazoo.RetryNTimes(3, 7*ms), []time.Duration{7 * ms, 7 * ms, 7 * ms}, true},
		"RetryNTimes without a pause":  {gazoo.RetryNTimes(2, 0), []time.Duration{1, 1}, true},
		"RetryNTimes, fewer than none": {gazoo.RetryNTimes(-2, 7*ms), nil, true},
		"RetryUntil":                   {gazoo.RetryUntil(25*ms, 10*ms), []time.Duration{10 * ms, 10 * ms}, true},
		"a user's policy":              {lazyPolicy{}, []time.Duration{1 * ms, 2 * ms, 3 * ms}, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := pauses(t, c.policy, failing(errConnLost))
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("pauses %v, want %v", got, c.want)
			}
			gaveUp, ok := errors.AsType[*gazoo.RetryError](err)
			if ok != c.gaveUp || ok && (gaveUp.Tries != len(c.want)+1 || !errors.Is(err, gazoo.ErrConnectionLoss)) {
				t.Errorf("Retry: %v, want a *RetryError after %d tries, with the last error", err, len(c.want)+1)
			}
			if ok && !strings.Contains(err.Error(), fmt.Sprintf("gave up after %d tries", gaveUp.Tries)) {
				t.Errorf("text %q", err)
			}
		})
	}
	for name, policy := range map[string]gazoo.RetryPolicy{
		"RetryForever": gazoo.RetryForever(ms), "MaxTries Forever": gazoo.Backoff{MaxTries: gazoo.Forever, MaxJitter: -1},
	} {
		if got, err := pauses(t, policy, failing(errConnLost)); err != nil || len(got) != 20 {
			t.Errorf("%s: %d pauses, %v, want it to go on until success", name, len(got), err)
		}
	}
}

// lazyPolicy waits a millisecond more each time, three times.
type lazyPolicy struct{}

func (lazyPolicy) NextDelay(a gazoo.Attempt) (time.Duration, bool) {
	if a.Tries > 1 && a.LastDelay != time.Duration(a.Tries-1)*time.Millisecond || a.Err == nil {
		return 0, false
	}
	return time.Duration(a.Tries) * time.Millisecond, a.Tries <= 3
}

func TestJitterStaysInItsBoundsAndFeedsBack(t *testing.T) {
	const delay = 100 * time.Millisecond
	policy := gazoo.Backoff{MaxTries: gazoo.Forever, Delay: delay, MaxJitter: 0.25}
	low, high := delay, delay
	for range 2000 {
		d, _ := policy.NextDelay(gazoo.Attempt{Tries: 1})
		low, high = min(low, d), max(high, d)
	}
	if low < delay*3/4 || high > delay*5/4 || low > delay*8/10 || high < delay*12/10 {
		t.Errorf("first delays between %v and %v, want them to fill 75 ms to 125 ms", low, high)
	}
	for range 2000 {
		d, _ := policy.NextDelay(gazoo.Attempt{Tries: 2, LastDelay: 80 * time.Millisecond})
		if d < 120*time.Millisecond || d > 200*time.Millisecond {
			t.Fatalf("after 80 ms: %v, want twice what was slept, give or take a quarter", d)
		}
		if d, _ = (gazoo.Backoff{MaxTries: -1, Delay: delay, MaxJitter: 7, MaxDelay: delay}).NextDelay(gazoo.Attempt{Tries: 1}); d < 0 || d > delay {
			t.Fatalf("jitter above 1: delay %v, want it clamped and the maximum kept", d)
		}
	}
}

func TestWhatIsTriedAgain(t *testing.T) {
	refused := func(c gazoo.Code) error {
		return &gazoo.OpError{Op: "set", Write: true, Outcome: gazoo.OutcomeRefused, Err: c}
	}
	three := gazoo.Backoff{MaxTries: 3, MaxJitter: -1}
	with := func(f func(*gazoo.Backoff)) gazoo.Backoff { b := three; f(&b); return b }
	for name, c := range map[string]struct {
		policy gazoo.RetryPolicy
		err    error
		again  bool
	}{
		"connection loss of a read":               {three, errConnLost, true},
		"connection loss, not sent":               {three, &gazoo.OpError{Write: true, Outcome: gazoo.OutcomeNotSent, Err: gazoo.ErrConnectionLoss}, true},
		"operation time-out":                      {three, gazoo.ErrOperationTimeout, true},
		"expired session":                         {three, gazoo.ErrSessionExpired, true},
		"presumed expired session":                {three, gazoo.ErrSessionPresumed, true},
		"expired, not wanted":                     {with(func(b *gazoo.Backoff) { b.FailOnExpire = true }), gazoo.ErrSessionExpired, false},
		"presumed, not wanted":                    {with(func(b *gazoo.Backoff) { b.FailOnExpire = true }), gazoo.ErrSessionPresumed, false},
		"maybe applied":                           {three, errMaybe, false},
		"maybe applied, wanted":                   {with(func(b *gazoo.Backoff) { b.RetryMaybeApplied = true }), errMaybe, true},
		"maybe applied, wanted through a pointer": {new(with(func(b *gazoo.Backoff) { b.RetryMaybeApplied = true })), errMaybe, true},
		"closed client":                           {three, gazoo.ErrClosed, false},
		"refused credential":                      {three, gazoo.ErrAuthFailed, false},
		"bound session over":                      {three, fmt.Errorf("%w: %w", gazoo.ErrSessionOver, gazoo.ErrSessionExpired), false},
		"session moved":                           {three, refused(gazoo.ErrSessionMoved), false},
		"request time-out":                        {three, refused(gazoo.ErrRequestTimeout), false},
		"throttled":                               {three, refused(gazoo.ErrThrottledOp), false},
		"throttled, wanted":                       {with(func(b *gazoo.Backoff) { b.RetryThrottled = true }), refused(gazoo.ErrThrottledOp), true},
		"missing znode":                           {three, refused(gazoo.ErrNoNode), false},
		"anything, asked for":                     {three, gazoo.ForceRetry(errors.New("not yet")), true},
		"nothing, asked for":                      {three, fmt.Errorf("wrapped: %w", gazoo.ForceRetry(nil)), true},
		"the user decides for":                    {with(func(b *gazoo.Backoff) { b.Retryable = func(error) bool { return true } }), refused(gazoo.ErrNoNode), true},
		"the user decides against":                {with(func(b *gazoo.Backoff) { b.Retryable = func(error) bool { return false } }), errConnLost, false},
		"a user's policy, usual rules":            {lazyPolicy{}, refused(gazoo.ErrNoNode), false},
		"a user's policy, maybe applied":          {lazyPolicy{}, errMaybe, false},
		"a user's policy and rules":               {stubbornPolicy{}, refused(gazoo.ErrNoNode), true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := pauses(t, c.policy, failing(c.err))
			if again := len(got) > 0; again != c.again {
				t.Errorf("tried again: %v, want %v", again, c.again)
			}
			if _, gaveUp := errors.AsType[*gazoo.RetryError](err); gaveUp != c.again || !errors.Is(err, c.err) {
				t.Errorf("Retry: %v, want the error, in a *RetryError only when it was tried again", err)
			}
		})
	}
}

type stubbornPolicy struct{ lazyPolicy }

func (stubbornPolicy) ShouldRetry(error) bool { return true }

func TestRetryStopsAtOnceWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		ctx, cancel := context.WithTimeoutCause(t.Context(), 2500*time.Millisecond, errors.New("out of time"))
		defer cancel()
		err := gazoo.Retry(ctx, gazoo.RetryForever(time.Second), func(context.Context) error { return errConnLost })
		if d := time.Since(begin); d != 2500*time.Millisecond || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, gazoo.ErrConnectionLoss) || !strings.HasPrefix(err.Error(), "out of time") {
			t.Errorf("Retry after %v: %v, want the context's error at 2.5 s, and the last try's", d, err)
		}
	})
}

func TestInterruptIsPolledWhileWaiting(t *testing.T) {
	type embedding struct{ gazoo.Backoff }
	for name, wrap := range map[string]func(gazoo.Backoff) gazoo.RetryPolicy{
		"value":    func(b gazoo.Backoff) gazoo.RetryPolicy { return b },
		"pointer":  func(b gazoo.Backoff) gazoo.RetryPolicy { return &b },
		"embedded": func(b gazoo.Backoff) gazoo.RetryPolicy { return embedding{b} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				policy := gazoo.RetryForever(10 * time.Second)
				policy.Interrupt = func() bool { return time.Since(begin) > 1150*time.Millisecond }
				tries := 0
				err := gazoo.Retry(t.Context(), wrap(policy), func(context.Context) error { tries++; return errConnLost })
				if d := time.Since(begin); !errors.Is(err, gazoo.ErrInterrupted) || d != 1200*time.Millisecond || tries != 1 {
					t.Errorf("Retry after %v and %d tries: %v, want ErrInterrupted at 1.2 s", d, tries, err)
				}
			})
		})
	}
}

func TestClientRetriesUnderItsCommandPolicy(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.plant("a:2181")
		zk := w.connect("a", gazoo.WithCommandRetry(gazoo.RetryNTimes(1, time.Second)))
		view, err := zk.Chroot("/x")
		must(t, err)
		tries := 0
		fail := func(context.Context) error { tries++; return errConnLost }
		if err := zk.Retry(t.Context(), fail); !errors.Is(err, gazoo.ErrConnectionLoss) || tries != 2 {
			t.Errorf("Retry: %d tries, %v, want the 2 of the option", tries, err)
		}
		must(t, zk.SetCommandRetry(gazoo.RetryNTimes(4, time.Second)))
		tries = 0
		if err := view.Retry(t.Context(), fail); err == nil || tries != 5 {
			t.Errorf("Retry after SetCommandRetry: %d tries, %v, want 5", tries, err)
		}
		if err := zk.SetCommandRetry(nil); !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("SetCommandRetry(nil): %v", err)
		}
	})
}

func TestRetriedReadOutlivesDropsAndSessions(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var tries atomic.Int32
		tree := w.plant("a:2181", func(tree *fakeTree) {
			tree.before = func(c *peer.Conn, req peer.Request) bool {
				if req.Header.Op == zkproto.OpGetData && tries.Load() == 1 {
					c.Close()
					return true
				}
				return false
			}
		})
		tree.mustCreate("/a")
		zk := w.connect("a")
		err := zk.Retry(t.Context(), func(ctx context.Context) error {
			tries.Add(1)
			if tries.Load() == 2 {
				tree.down.Store(true)
				tree.expire(zk.SessionID())
				time.AfterFunc(time.Second, func() { tree.down.Store(false) })
				synctest.Wait()
			}
			_, _, err := zk.Get(ctx, "/a")
			return err
		})
		if err != nil || tries.Load() < 3 {
			t.Errorf("Retry: %v after %d tries", err, tries.Load())
		}
	})
}
