// Package recipe has programs that use the recipes, and their checkers.
package recipe

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// How programs behave.
const (
	look    = 5 * time.Millisecond  // between two looks at what is held
	telling = 50 * time.Millisecond // between two notes that it is still held
	minHold = 10 * time.Millisecond
	maxHold = 200 * time.Millisecond
	slack   = time.Second // what a call may take beyond what is promised, on a machine with more to do than it can
)

// holdIn and holdOut are what is noted of something that is held. The operation "hold" begins when its holder, with the
// handle in hands, reads the clock first.
type (
	holdIn struct {
		Token   int64 `json:"t,omitempty"`
		Session int64 `json:"s,omitempty"`
		Shared  bool  `json:"shared,omitempty"` // others may hold it too that say so
		N       int   `json:"n,omitempty"`      // how many permits
		Was     int64 `json:"was,omitempty"`    // token of the write lock that was turned into this
	}
	holdOut struct {
		// Alive is the last reading of the clock before a look at the handle that showed it alive. What has ended stays
		// ended, so it was alive from the begin to this moment, whatever stopped the process in between. 0 is never.
		Alive history.Instant `json:"alive,omitempty"`
		Lost  string          `json:"lost,omitempty"` // why it ended before its holder let go
	}
)

// holding is something that is held, while that is noted.
type holding struct {
	e    *program.Env
	p    *history.Pending
	err  func() error // reads the clock
	out  holdOut
	told history.Instant
}

// hold begins to note that something is held. err says whether it is, and reads the clock for that.
func hold(e *program.Env, key string, in holdIn, err func() error) *holding {
	h := &holding{e: e, p: e.Begin("hold", key, in), err: err}
	h.look()
	return h
}

// look reports whether it is still held.
func (h *holding) look() bool {
	at := h.e.Clock() // before the look
	if err := h.err(); err != nil {
		h.out.Lost = err.Error()
		return false
	}
	h.out.Alive = at
	if at.Since(h.told) >= telling {
		h.p.Progress(h.out)
		h.told = at
	}
	return true
}

// keep holds for a time, while ctx lasts, and reports whether it is still held.
func (h *holding) keep(ctx context.Context, d time.Duration) bool {
	for until := h.e.Clock().Add(d); h.look(); {
		if h.e.Clock() >= until || !program.Sleep(ctx, look) {
			return h.look()
		}
	}
	return false
}

// during does something while it is held, and looks as long as that takes: a holder that gets no answer holds on, beyond
// the end of its session, unless it hears of that. It reports whether it is still held.
func (h *holding) during(session time.Duration, do func(ctx context.Context)) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 2*session)
	defer cancel()
	done := make(chan struct{})
	go func() { defer close(done); do(ctx) }()
	alive := true
	for ctx.Err() == nil {
		if alive = h.look(); !alive {
			cancel()
			break
		}
		select {
		case <-done:
			return h.look()
		case <-time.After(look):
		}
	}
	<-done
	return alive
}

// asking is what holders do that write nothing: they wait for an answer.
func asking(zk *gazoo.Client) func(context.Context) {
	return func(ctx context.Context) { zk.Retry(ctx, func(ctx context.Context) error { return zk.Sync(ctx, "/") }) }
}

// end notes that the holder does not look any more. Call it before anything that lets go.
func (h *holding) end() { h.p.EndAs(history.OK, h.out, nil) }

// hold is a hold as checkers see it.
type held struct {
	*history.Op
	holdIn
	holdOut
}

// holds returns the holds of a key that were certainly alive for a while, by their begins. "" is all keys. Those of a
// session that is ended before its time are promised nothing from then on, until their client hears of it.
func holds(ops []history.Op, key string) []held {
	var all []held
	expiries := history.Expiries(ops)
	for i := range ops {
		op := &ops[i]
		if op.Kind != "hold" || key != "" && op.Key != key {
			continue
		}
		h := held{op, history.Decode[holdIn](op.In), history.Decode[holdOut](op.Out)}
		if at, expired := expiries[h.Session]; expired {
			h.Alive = min(h.Alive, at)
		}
		if h.Alive >= h.Start {
			all = append(all, h)
		}
	}
	slices.SortStableFunc(all, func(a, b held) int { return cmp.Compare(a.Start, b.Start) })
	return all
}

// keysOf returns the keys of the operations of a kind.
func keysOf(ops []history.Op, kind string) []string {
	var keys []string
	for i := range ops {
		if ops[i].Kind == kind {
			keys = append(keys, ops[i].Key)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// overlaps finds holds that exclude each other and were alive at the same time. They come by their begins.
func overlaps(all []held) (bad []program.Violation) {
	for i, h := range all {
		for _, before := range all[:i] {
			if before.Alive > h.Start && !(before.Shared && h.Shared) {
				bad = append(bad, program.Violated(
					"exclusion", "%s was held by client %d.%d (token 0x%x) when client %d.%d (token 0x%x) had it, for %v at least: %v; %v",
					h.Key, before.Client, before.Run, before.Token, h.Client, h.Run, h.Token,
					min(before.Alive, h.Alive).Since(h.Start), before.Op, h.Op,
				))
			}
		}
	}
	return bad
}

// disorder finds holders whose token is not above those of all before them. Those who share only have to be above the
// others.
func disorder(all []held) (bad []program.Violation) {
	var exclusive, shared held // with the highest token
	for _, h := range all {
		over := exclusive
		if !h.Shared && shared.Token > over.Token {
			over = shared
		}
		if over.Op != nil && h.Token <= over.Token {
			bad = append(bad, program.Violated(
				"tokens grow", "client %d.%d got %s with token 0x%x, behind client %d.%d with 0x%x: %v; %v",
				h.Client, h.Run, h.Key, h.Token, over.Client, over.Run, over.Token, over.Op, h.Op,
			))
		}
		switch {
		case h.Shared && (shared.Op == nil || h.Token > shared.Token):
			shared = h
		case !h.Shared && (exclusive.Op == nil || h.Token > exclusive.Token):
			exclusive = h
		}
	}
	return bad
}

// span is what is noted of a call that promises to return within a time.
type span struct {
	Took  time.Duration `json:"took"` // while the process ran
	Limit time.Duration `json:"limit"`
	Err   string        `json:"err,omitempty"`
}

// bounded does what promises to return within a limit, and notes how long it took.
func bounded(e *program.Env, what string, limit time.Duration, do func() error) error {
	p, w := e.Begin(what, "", nil), startWatch(e)
	err := do()
	s := span{Took: w.stop(), Limit: limit}
	if err != nil {
		s.Err = err.Error()
	}
	p.EndAs(history.OK, s, nil)
	return err
}

// late finds calls that took longer than they promise.
func late(ops []history.Op, what string) (bad []program.Violation) {
	for i := range ops {
		if ops[i].Kind != what || ops[i].Outcome != history.OK {
			continue
		}
		if s := history.Decode[span](ops[i].Out); s.Took > s.Limit+slack {
			bad = append(bad, program.Violated(what+" bounded", "it took %v, want %v at most: %v", s.Took, s.Limit, ops[i]))
		}
	}
	return bad
}

// stopwatch measures time while the process runs: a break of any length counts as a tenth of a second.
type stopwatch struct {
	end, done chan struct{}
	ran       atomic.Int64
}

func startWatch(e *program.Env) *stopwatch {
	w := &stopwatch{end: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(w.done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for last := e.Clock(); ; {
			ended := false
			select {
			case <-tick.C:
			case <-w.end:
				ended = true
			}
			at := e.Clock()
			w.ran.Add(int64(min(at.Since(last), 100*time.Millisecond)))
			if last = at; ended {
				return
			}
		}
	}()
	return w
}

// stop returns how long it was.
func (w *stopwatch) stop() time.Duration {
	close(w.end)
	<-w.done
	return time.Duration(w.ran.Load())
}

// upTo returns a random time between the shortest and d.
func upTo(e *program.Env, shortest, d time.Duration) time.Duration {
	return shortest + time.Duration(e.Rand.Int64N(int64(d-shortest)))
}
