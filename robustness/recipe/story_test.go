package recipe

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

const ms = history.Instant(time.Millisecond)

// story is a history written by hand. Times are in milliseconds.
type story []history.Op

// fate is how an operation of a story ends; the zero value is well.
type fate func(*history.Op)

func refused(op *history.Op) { op.Outcome, op.Err, op.Out = history.Refused, "refused", nil }
func maybe(op *history.Op)   { op.Outcome, op.Err, op.Out = history.Maybe, "lost", nil }
func killed(op *history.Op)  { op.Outcome, op.End = history.Maybe, history.Never }

// restarted makes it one of the client's next run.
func restarted(op *history.Op) { op.Run++ }

// op appends an operation.
func (s story) op(client int, kind, key string, start, end int, in, out any, fates ...fate) story {
	op := history.Op{
		Program: "story", Client: client, ID: int64(len(s) + 1), Kind: kind, Key: key,
		Start: history.Instant(start) * ms, End: history.Instant(end) * ms, Outcome: history.OK, In: raw(in), Out: raw(out),
	}
	for _, f := range fates {
		f(&op)
	}
	return append(slices.Clip(s), op)
}

// hold appends that something was held, alive until a moment, or never if that is 0.
func (s story) hold(client int, key string, start, alive int, in holdIn, fates ...fate) story {
	return s.op(client, "hold", key, start, max(start, alive)+1, in, holdOut{Alive: history.Instant(alive) * ms}, fates...)
}

func raw(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// verdict is what a checker has to say about a history.
type verdict struct {
	name string
	ops  story
	want string // the only promise that was broken; "" is none
}

func judge(t *testing.T, check func([]history.Op) []program.Violation, tests []verdict) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ops := slices.Clone(tt.ops)
			slices.SortStableFunc(ops, func(a, b history.Op) int { return cmp.Compare(a.Start, b.Start) })
			var got []string
			bad := check(ops)
			for _, v := range bad {
				got = append(got, v.Promise)
			}
			slices.Sort(got)
			got = slices.Compact(got)
			if want := []string{tt.want}; tt.want == "" && len(got) > 0 || tt.want != "" && !slices.Equal(got, want) {
				t.Errorf("broken: %q (%v), want %q", got, errors.Join(asErrors(bad)...), tt.want)
			}
		})
	}
}

func asErrors(bad []program.Violation) (errs []error) {
	for _, v := range bad {
		errs = append(errs, errors.New(v.String()))
	}
	return errs
}
