// Package history is what programs under test note of each operation, and what checkers read: who did what, when it
// began and ended, and what came of it.
//
// All times of a history are from one clock: that of the machine, which all its processes share, or the virtual one of a
// bubble. An operation is noted twice, before it begins and when it has ended, so that one whose process was killed is in
// the history too: nobody knows what became of it.
package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/monotonic"
)

// Instant is a reading of the history's clock in nanoseconds.
type Instant int64

// Machine reads the clock that all processes of the machine share.
func Machine() Instant { return Instant(monotonic.Now()) }

// Never is the end of an operation that has none.
const Never Instant = math.MaxInt64

// Since returns the time from an earlier instant to t.
func (t Instant) Since(earlier Instant) time.Duration { return time.Duration(t - earlier) }

// Add returns the instant d after t.
func (t Instant) Add(d time.Duration) Instant { return t + Instant(d) }

// Outcome says what is known about an operation.
type Outcome string

// The outcomes. A read whose answer is missing is a Maybe too, and tells nothing.
const (
	OK      Outcome = "ok"      // it was done, and Out says what it returned
	Refused Outcome = "refused" // it was certainly not done, and Err says why
	Maybe   Outcome = "maybe"   // it was done or not, at any moment from its start on, also behind its end
)

// OutcomeOf returns what an error of the client or of a recipe says.
func OutcomeOf(err error) Outcome {
	switch {
	case err == nil:
		return OK
	case gazoo.MaybeApplied(err):
		return Maybe
	}
	return Refused
}

// Op is one operation of a client program. Programs note other things as well that happened at a moment: an event of a
// watch, a lock seen to be lost. Those begin and end at once.
type Op struct {
	Program string          `json:"p"`
	Client  int             `json:"c"`             // number of the client program
	Run     int             `json:"r,omitempty"`   // how often it had been started anew before
	ID      int64           `json:"i"`             // of the operation among those of this client and run, from 1
	Kind    string          `json:"k"`             // what it was; each program has kinds of its own
	Key     string          `json:"key,omitempty"` // what it was done to, where that is one thing
	Start   Instant         `json:"s"`
	End     Instant         `json:"e"`
	Outcome Outcome         `json:"o"`
	Err     string          `json:"err,omitempty"`
	Code    int32           `json:"code,omitempty"` // the server's code in Err, if there is one
	In      json.RawMessage `json:"in,omitempty"`
	Out     json.RawMessage `json:"out,omitempty"`
}

// Decode returns In or Out of an operation as its program has made them.
func Decode[T any](raw json.RawMessage) (v T) {
	if len(raw) == 0 {
		return v
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		panic(fmt.Sprintf("history: %v in %s", err, raw)) // programs and checkers of one tree agree
	}
	return v
}

// Failed reports whether the operation was refused with this code of the server.
func (op *Op) Failed(code gazoo.Code) bool { return op.Outcome == Refused && op.Code == int32(code) }

// String returns the operation on one line.
func (op Op) String() string {
	end := "never"
	if op.End != Never {
		end = time.Duration(op.End).String()
	}
	s := fmt.Sprintf("%s/%d.%d %v–%s %s %s %s", op.Program, op.Client, op.Run, time.Duration(op.Start), end, op.Kind, op.Key, op.In)
	switch op.Outcome {
	case OK:
		return fmt.Sprintf("%s = %s", s, op.Out)
	default:
		return fmt.Sprintf("%s: %s: %s", s, op.Outcome, op.Err)
	}
}

// codeOf returns the server's code in an error, 0 when there is none.
func codeOf(err error) int32 {
	var code gazoo.Code
	if errors.As(err, &code) {
		return int32(code)
	}
	return 0
}
