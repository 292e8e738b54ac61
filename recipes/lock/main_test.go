package lock_test

import (
	"context"
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/lock"
	"github.com/gazoo-zk/gazoo/zktest"
)

func TestMain(m *testing.M) { recipetest.Main(m) }

const path = "/locks/report"

func newLock(t *testing.T, zk *gazoo.Client, path string, opts ...lock.Option) *lock.Mutex {
	t.Helper()
	mu, err := lock.New(zk, path, opts...)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return mu
}

func mustLock(t *testing.T, mu *lock.Mutex) *lock.Held {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	held, err := mu.Lock(ctx)
	if err != nil {
		t.Fatalf("Lock: %v", err)
	}
	return held
}

func mustRelease(t *testing.T, held *lock.Held) {
	t.Helper()
	if err := held.Release(t.Context()); err != nil {
		t.Errorf("Release: %v", err)
	}
}

// result is what a Lock on another goroutine came to.
type result struct {
	held *lock.Held
	err  error
}

// goLock takes a lock on another goroutine.
func goLock(ctx context.Context, mu *lock.Mutex) <-chan result {
	ch := make(chan result, 1)
	go func() {
		held, err := mu.Lock(ctx)
		ch <- result{held, err}
	}()
	return ch
}

// got returns the lock that was waited for.
func got(t *testing.T, ch <-chan result) *lock.Held {
	t.Helper()
	select {
	case r := <-ch:
		if r.err != nil {
			t.Fatalf("Lock: %v", r.err)
		}
		return r.held
	case <-time.After(time.Minute):
		t.Fatal("Lock: still waiting after a minute")
	}
	return nil
}

// waiting asserts that a Lock has not returned.
func waiting(t *testing.T, ch <-chan result) {
	t.Helper()
	select {
	case r := <-ch:
		t.Fatalf("Lock returned %v, %v; want it to wait", r.held, r.err)
	default:
	}
}

// waitContenders waits until so many have queued.
func waitContenders(t *testing.T, srv *zktest.Server, dir string, n int) {
	t.Helper()
	zktest.Eventually(t, "the contenders are there", func() bool { return srv.Count()-countAbove(dir) == n })
}

// countAbove is the number of znodes on the way to dir, itself included.
func countAbove(dir string) (n int) {
	for _, b := range []byte(dir) {
		if b == '/' {
			n++
		}
	}
	return n
}

func wantLost(t *testing.T, held *lock.Held, cause error) {
	t.Helper()
	if err := held.Err(); !errors.Is(err, lock.ErrLost) || !errors.Is(err, cause) {
		t.Errorf("Err() = %v, want ErrLost for %v", err, cause)
	}
	if err := context.Cause(held.Context()); !errors.Is(err, lock.ErrLost) {
		t.Errorf("the context's cause is %v, want ErrLost", err)
	}
}

func matches(pattern, s string) bool { return regexp.MustCompile(pattern).MatchString(s) }
