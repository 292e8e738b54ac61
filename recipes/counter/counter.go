package counter

import (
	"context"
	"fmt"
	"math"

	"github.com/gazoo-zk/gazoo"
)

// Number is what counters count in.
type Number interface{ int32 | int64 | float64 }

// Counter is a number that several programs add to. Safe for concurrent use. All that a [Value] can do, it can do as well.
type Counter[T Number] struct{ *Value[T] }

// New makes the counter of a path with a codec. def is its value while there is no znode, or its data is empty. Nothing is
// sent.
//
// Errors: [gazoo.ErrBadArguments], every problem at once.
func New[T Number](zk *gazoo.Client, path string, codec Codec[T], def T, opts ...Option) (*Counter[T], error) {
	v, err := newValue(zk, path, codec, def, opts)
	if err != nil {
		return nil, err
	}
	return &Counter[T]{v}, nil
}

// NewInt makes a counter of integers in Kazoo's format, decimal text. Kazoo's integers have no limit; one beyond 64 bits
// is a [*DataError].
func NewInt(zk *gazoo.Client, path string, def int64, opts ...Option) (*Counter[int64], error) {
	return New(zk, path, IntText(), def, opts...)
}

// NewFloat makes a counter of floating-point numbers in Kazoo's format, decimal text.
func NewFloat(zk *gazoo.Client, path string, def float64, opts ...Option) (*Counter[float64], error) {
	return New(zk, path, FloatText(), def, opts...)
}

// NewShared makes a counter of 32-bit integers in the format of Curator's SharedCount and DistributedAtomicInteger, which
// is also that of Kazoo's Counter with support_curator.
func NewShared(zk *gazoo.Client, path string, def int32, opts ...Option) (*Counter[int32], error) {
	return New(zk, path, Int32(), def, opts...)
}

// NewLong makes a counter of 64-bit integers in the format of Curator's DistributedAtomicLong.
func NewLong(zk *gazoo.Client, path string, def int64, opts ...Option) (*Counter[int64], error) {
	return New(zk, path, Int64(), def, opts...)
}

// Add adds to the counter, and returns it before and after.
//
// Errors: [ErrOverflow], and those of [Value.Update].
func (c *Counter[T]) Add(ctx context.Context, delta T) (Change[T], error) {
	if err := c.check("add to", delta); err != nil {
		return Change[T]{}, err
	}
	return c.Update(ctx, func(now T) (T, error) {
		sum, ok := add(now, delta)
		if !ok {
			return now, fmt.Errorf("add %v to %s: %w: it is %v", delta, c.path, ErrOverflow, now)
		}
		return sum, nil
	})
}

// Sub subtracts from the counter: see [Counter.Add].
func (c *Counter[T]) Sub(ctx context.Context, delta T) (Change[T], error) {
	if err := c.check("subtract from", delta); err != nil {
		return Change[T]{}, err
	}
	return c.Update(ctx, func(now T) (T, error) {
		rest, ok := sub(now, delta)
		if !ok {
			return now, fmt.Errorf("subtract %v from %s: %w: it is %v", delta, c.path, ErrOverflow, now)
		}
		return rest, nil
	})
}

// Increment adds one.
func (c *Counter[T]) Increment(ctx context.Context) (Change[T], error) { return c.Add(ctx, 1) }

// Decrement subtracts one.
func (c *Counter[T]) Decrement(ctx context.Context) (Change[T], error) { return c.Sub(ctx, 1) }

func (c *Counter[T]) check(op string, delta T) error {
	if finite(delta) {
		return nil
	}
	return fmt.Errorf("%s %s: %w", op, c.path, &gazoo.ArgumentError{Arg: "delta", Reason: fmt.Sprintf("%v is not a number to count with", delta)})
}

// add reports whether there is room for the sum.
func add[T Number](a, b T) (T, bool) {
	sum := a + b
	if !finite(sum) {
		return sum, false
	}
	if b > 0 {
		return sum, sum >= a
	}
	return sum, sum <= a
}

func sub[T Number](a, b T) (T, bool) {
	rest := a - b
	if !finite(rest) {
		return rest, false
	}
	if b > 0 {
		return rest, rest <= a
	}
	return rest, rest >= a
}

func finite[T Number](v T) bool {
	f := float64(v)
	return !math.IsInf(f, 0) && !math.IsNaN(f)
}
