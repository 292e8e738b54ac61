package history

import (
	"encoding/json"
	"sync/atomic"
)

// Clock reads the time.
type Clock func() Instant

// Recorder notes the operations of one client program. It is safe for concurrent use.
type Recorder struct {
	Program string
	Client  int
	Run     int
	Clock   Clock
	Sink    func(Op) // is told of each operation when it begins, ends, and in between; safe for concurrent use

	last atomic.Int64
}

// Pending is an operation that has begun.
type Pending struct {
	r  *Recorder
	op Op
}

// Begin notes that an operation begins. Call it right before the operation itself.
func (r *Recorder) Begin(kind, key string, in any) *Pending {
	p := &Pending{r, Op{
		Program: r.Program, Client: r.Client, Run: r.Run, ID: r.last.Add(1), Kind: kind, Key: key,
		Start: r.Clock(), End: Never, Outcome: Maybe, Err: "it has not ended", In: encode(in),
	}}
	r.Sink(p.op)
	return p
}

// Progress notes what is known of an operation that goes on. When it never ends, because its process is killed, that is
// its Out.
func (p *Pending) Progress(out any) {
	p.op.Out = encode(out)
	p.r.Sink(p.op)
}

// End notes that it has ended, and returns err. Out counts only when err is nil. Call it right behind the operation.
func (p *Pending) End(out any, err error) error {
	return p.EndAs(OutcomeOf(err), out, err)
}

// EndAs is End for operations whose errors say less, or more, than [OutcomeOf] knows.
func (p *Pending) EndAs(outcome Outcome, out any, err error) error {
	p.op.End = p.r.Clock()
	p.op.Outcome, p.op.Err, p.op.Out = outcome, "", nil
	if err != nil {
		p.op.Err, p.op.Code = err.Error(), codeOf(err)
	}
	if outcome == OK {
		p.op.Out = encode(out)
	}
	p.r.Sink(p.op)
	return err
}

// Note notes what happened at this moment.
func (r *Recorder) Note(kind, key string, out any) {
	at := r.Clock()
	r.Sink(Op{
		Program: r.Program, Client: r.Client, Run: r.Run, ID: r.last.Add(1), Kind: kind, Key: key,
		Start: at, End: at, Outcome: OK, Out: encode(out),
	})
}

// Expiry notes that a session is about to be ended before its time, by somebody else. Worlds call it right before they do
// that, for promises that depend on a session's time-out.
func (r *Recorder) Expiry(session int64) { r.Note(expiry, "", session) }

const expiry = "expiry"

// IsExpiry reports whether this is no operation of the program, but a note of [Recorder.Expiry].
func (op Op) IsExpiry() bool { return op.Kind == expiry }

// Expiries returns from when on sessions had perhaps ended before their time.
func Expiries(ops []Op) map[int64]Instant {
	at := map[int64]Instant{}
	for i := range ops {
		if !ops[i].IsExpiry() {
			continue
		}
		session := Decode[int64](ops[i].Out)
		if first, known := at[session]; !known || ops[i].Start < first {
			at[session] = ops[i].Start
		}
	}
	return at
}

func encode(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // programs note plain data
	}
	return raw
}
