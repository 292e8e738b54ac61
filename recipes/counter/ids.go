package counter

import (
	"context"
	"errors"
	"fmt"

	"github.com/gazoo-zk/gazoo"
)

// IDs hands out numbers that no other program gets: it takes a range of them from a counter at once and counts through
// it locally (Curator: CachedAtomicLong). Numbers that were not used when the program ends are lost, and so is a range
// whose answer was lost: there are gaps, never a number twice. Safe for concurrent use.
type IDs struct {
	counter *Counter[int64]
	size    int64
	rest    chan span // holds the range in use; whoever has taken it out owns it
}

// span is [next, end).
type span struct{ next, end int64 }

// NewIDs hands out the numbers of a counter, size of them for each change of it. The counter's value is the first number
// that nobody has taken.
//
// Errors: [gazoo.ErrBadArguments].
func NewIDs(counter *Counter[int64], size int64) (*IDs, error) {
	var problems []error
	if counter == nil {
		problems = append(problems, &gazoo.ArgumentError{Arg: "counter", Reason: "is nil"})
	}
	if size < 1 {
		problems = append(problems, &gazoo.ArgumentError{Arg: "size", Reason: fmt.Sprintf("%d is not a size", size)})
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("new ids: %w", err)
	}
	g := &IDs{counter: counter, size: size, rest: make(chan span, 1)}
	g.rest <- span{}
	return g, nil
}

// Next returns the next number. It asks the servers only when the range is used up; others wait for that meanwhile.
//
// Errors: those of [Counter.Add], but a range that was perhaps taken is given up for another.
func (g *IDs) Next(ctx context.Context) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("next id of %s: %w", g.counter.path, context.Cause(ctx))
	}
	var s span
	select {
	case s = <-g.rest:
	case <-ctx.Done():
		return 0, fmt.Errorf("next id of %s: %w", g.counter.path, context.Cause(ctx))
	}
	defer func() { g.rest <- s }()
	for s.next == s.end {
		change, err := g.counter.Add(ctx, g.size)
		switch {
		case err == nil:
			s = span{change.Pre, change.Post}
		case !gazoo.MaybeApplied(err) || ctx.Err() != nil || g.counter.zk.Context().Err() != nil:
			return 0, err
		}
	}
	s.next++
	return s.next - 1, nil
}
