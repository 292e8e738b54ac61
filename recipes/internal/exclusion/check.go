package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// What a call may take beyond what is promised, on a machine with more to do than it can.
const slack = time.Second

// fresh is how old the last sign of life of a holder may be for it to count as stopped while it held.
const fresh = 100 * time.Millisecond

// evidence is what one part of a run has shown.
type evidence struct {
	cfg     config
	part    part
	events  []event
	stops   []stop
	history []entry // in the order of the numbers
	version int32   // of the register in the end
	orphans []string

	partitions, disturbed int
}

// entry is a write in the history of the register.
type entry struct {
	token  int64
	number int32
}

// hold is what the events tell of one held lock.
type hold struct {
	holdID
	process  int
	token    int64
	granted  instant
	alive    instant // last moment at which it was certainly alive; 0 when it never was
	ended    instant // it was seen to be lost before, or was released from this moment on; 0 when neither is known
	lost     bool
	expired  bool // its session has
	released bool
}

// judge compares what was seen with what is promised.
func judge(ev evidence) tally {
	t := tally{partitions: ev.partitions, linkFaults: ev.disturbed, orphans: len(ev.orphans)}
	for _, name := range ev.orphans {
		t.complain("%s: %s is still there, and nobody waits for it", ev.part.Name, name)
	}
	holds := t.collect(ev)
	live := slices.DeleteFunc(slices.Clone(holds), func(h *hold) bool { return h.alive == 0 })
	t.grants, t.stillborn = len(live), len(holds)-len(live)
	slices.SortFunc(live, func(a, b *hold) int { return cmp.Compare(a.granted, b.granted) })
	t.overlapping(ev, live)
	t.tokens(live)
	t.faulted(ev, live)
	t.register(ev)
	return t
}

// collect makes holds of events, and judges what concerns one of them alone.
func (t *tally) collect(ev evidence) []*hold {
	byID := map[holdID]*hold{}
	var holds []*hold
	for _, e := range ev.events {
		h := byID[e.id()]
		if h == nil && e.Hold != 0 {
			h = &hold{holdID: e.id(), process: e.Contender / (ev.cfg.Contenders / ev.cfg.Processes)}
			byID[e.id()] = h
			holds = append(holds, h)
		}
		process := e.Contender / (ev.cfg.Contenders / ev.cfg.Processes)
		switch e.Kind {
		case evGranted:
			h.granted, h.token = e.At, e.Token
		case evAlive:
			h.alive = max(h.alive, e.At)
		case evEnded:
			h.ended, h.lost = e.At, true
		case evFate:
			h.expired = e.Expired
		case evRelease:
			h.released = true
			if h.ended == 0 {
				h.ended = e.At
			}
			took := running(ev.stops, process, e.At, e.To)
			t.maxRelease = max(t.maxRelease, took)
			if limit := max(ev.cfg.Session, time.Second) + slack; took > limit {
				t.slow++
				t.complain("%s: a release of contender %d took %v, want %v at most", ev.part.Name, e.Contender, took, limit)
			}
		case evGaveUp:
			t.gaveUp++
			took := running(ev.stops, process, e.At, e.To)
			t.maxGiveUp = max(t.maxGiveUp, took)
			if took > slack {
				t.slow++
				t.complain("%s: a canceled Lock of contender %d took %v, want %v at most", ev.part.Name, e.Contender, took, slack)
			}
		case evWrite:
			switch {
			case e.Err == "":
				t.writes++
			case e.Stale:
				t.refused++
			}
		case evProblem:
			t.problems++
			t.complain("%s: contender %d: %s", ev.part.Name, e.Contender, e.Err)
		}
	}
	for _, h := range holds {
		if !h.released {
			t.slow++
			t.complain("%s: hold %d of contender %d was never released", ev.part.Name, h.hold, h.contender)
		}
	}
	return holds
}

// running returns how much of the time between two moments a process was not stopped.
func running(stops []stop, process int, from, to instant) time.Duration {
	d := max(to.since(from), 0)
	for _, s := range stops {
		if s.process == process {
			d -= max(min(to, s.to).since(max(from, s.from)), 0)
		}
	}
	return max(d, 0)
}

// overlapping finds holds that were alive at the same time. They come in the order of their grants.
func (t *tally) overlapping(ev evidence, live []*hold) {
	var last *hold // of those before, the one that lived longest
	for _, h := range live {
		if last != nil && h.granted < last.alive {
			t.overlaps++
			t.complain("%s: contender %d held (token 0x%x) when contender %d (token 0x%x) had it, for %v at least", ev.part.Name,
				last.contender, last.token, h.contender, h.token, min(last.alive, h.alive).since(h.granted))
		}
		if last != nil && last.expired && h.granted > last.alive {
			if gap := h.granted.since(last.alive); t.minGap == 0 || gap < t.minGap {
				t.minGap = gap
			}
		}
		if last == nil || h.alive > last.alive {
			last = h
		}
	}
}

// tokens finds grants with a token that is not higher than all before.
func (t *tally) tokens(live []*hold) {
	highest := int64(0)
	for _, h := range live {
		if h.token <= highest {
			t.disorder++
			t.complain("token 0x%x of contender %d came after 0x%x", h.token, h.contender, highest)
		}
		highest = max(highest, h.token)
	}
}

// faulted counts what the faults hit.
func (t *tally) faulted(ev evidence, live []*hold) {
	for i, h := range live[:max(len(live)-1, 0)] {
		if h.lost && h.expired && live[i+1].granted > h.alive {
			t.afterExpiry++
		}
	}
	for _, s := range ev.stops {
		if slices.ContainsFunc(live, func(h *hold) bool {
			return h.process == s.process && h.granted <= s.from && max(h.alive, h.granted).add(fresh) >= s.from && h.ended >= s.continued
		}) {
			t.stopped++
		}
	}
}

// register judges the history of the guarded writes: tokens never decrease in it, and it has everything that was
// acknowledged, in the order of the zxids.
func (t *tally) register(ev evidence) {
	wrong := func(format string, args ...any) {
		t.problems++
		t.complain(format, args...)
	}
	highest := int64(0)
	for i, w := range ev.history {
		if w.token < highest {
			t.stale++
			t.complain("%s: write %d of token 0x%x was accepted after one of token 0x%x", ev.part.Name, w.number, w.token, highest)
		}
		highest = max(highest, w.token)
		if w.number != int32(i) {
			wrong("%s: write %d is missing in the history", ev.part.Name, i)
			return
		}
	}
	if int(ev.version) != len(ev.history) {
		wrong("%s: the register was written %d times, the history has %d writes", ev.part.Name, ev.version, len(ev.history))
	}
	var acked []event
	for _, e := range ev.events {
		if e.Kind == evWrite && e.Err == "" {
			acked = append(acked, e)
		}
	}
	slices.SortFunc(acked, func(a, b event) int { return cmp.Compare(a.Number, b.Number) })
	zxid := int64(0)
	for _, e := range acked {
		switch {
		case int(e.Number) >= len(ev.history) || ev.history[e.Number].token != e.Token:
			wrong("%s: the acknowledged write %d of token 0x%x is not in the history", ev.part.Name, e.Number, e.Token)
		case e.Version != e.Number+1:
			wrong("%s: write %d made version %d of the register", ev.part.Name, e.Number, e.Version)
		case e.Zxid <= zxid:
			wrong("%s: write %d has zxid 0x%x, one before it 0x%x", ev.part.Name, e.Number, e.Zxid, zxid)
		}
		zxid = max(zxid, e.Zxid)
	}
	t.acked = len(acked)
	t.history = len(ev.history)
}

// tally counts what was done, and what was wrong.
type tally struct {
	grants, afterExpiry, stopped, partitions, linkFaults int
	writes, acked, history, refused, gaveUp, stillborn   int

	overlaps, stale, disorder, orphans, slow, problems int

	maxRelease, maxGiveUp time.Duration
	minGap                time.Duration // between the last sign of life before an expiry and the next grant
	complaints            []string
}

// complaintsShown is how many are kept of each part.
const complaintsShown = 20

func (t *tally) complain(format string, args ...any) {
	if len(t.complaints) < complaintsShown {
		t.complaints = append(t.complaints, fmt.Sprintf(format, args...))
	}
}

// report is what a run has shown.
type report struct {
	cfg     config
	seconds float64
	tally
}

func (r *report) add(t tally) {
	r.grants += t.grants
	r.afterExpiry += t.afterExpiry
	r.stopped += t.stopped
	r.partitions += t.partitions
	r.linkFaults += t.linkFaults
	r.writes += t.writes
	r.history += t.history
	r.refused += t.refused
	r.gaveUp += t.gaveUp
	r.stillborn += t.stillborn
	r.overlaps += t.overlaps
	r.stale += t.stale
	r.disorder += t.disorder
	r.orphans += t.orphans
	r.slow += t.slow
	r.problems += t.problems
	r.maxRelease = max(r.maxRelease, t.maxRelease)
	r.maxGiveUp = max(r.maxGiveUp, t.maxGiveUp)
	if r.minGap == 0 || t.minGap != 0 && t.minGap < r.minGap {
		r.minGap = t.minGap
	}
	r.complaints = append(r.complaints, t.complaints...)
}

// String returns the counts in one line.
func (r report) String() string {
	return fmt.Sprintf("exclusion: grants=%d after_expiry=%d stopped_holders=%d partitions=%d overlaps=%d stale_writes=%d "+
		"token_disorder=%d orphans=%d max_release_ms=%d processes=%d contenders=%d seconds=%.0f unbounded=%d "+
		"problems=%d link_faults=%d canceled=%d max_cancel_ms=%d writes=%d stale_refused=%d stillborn=%d min_gap_us=%d seed=%d",
		r.grants, r.afterExpiry, r.stopped, r.partitions, r.overlaps, r.stale,
		r.disorder, r.orphans, r.maxRelease.Milliseconds(), r.cfg.Processes, r.cfg.Contenders, r.seconds, r.slow,
		r.problems, r.linkFaults, r.gaveUp, r.maxGiveUp.Milliseconds(), r.history, r.refused, r.stillborn, r.minGap.Microseconds(), r.cfg.Seed)
}

// figures are what three minutes have to show at least.
var figures = tally{grants: 500, afterExpiry: 50, stopped: 50, partitions: 20}

// lacks returns the figures that were not reached. Less than three minutes have to show half of their share, since a
// machine that is busy for a while has less time to make up for it.
func (r report) lacks() (short []string) {
	for _, c := range []struct {
		name      string
		got, want int
	}{
		{"grants", r.grants, figures.grants},
		{"grants after an expiry", r.afterExpiry, figures.afterExpiry},
		{"stopped and continued holders", r.stopped, figures.stopped},
		{"partitions", r.partitions, figures.partitions},
	} {
		if share := r.cfg.Length.Minutes() / 3; share < 1 {
			c.want = max(1, int(float64(c.want)*share/2))
		}
		if c.got < c.want {
			short = append(short, fmt.Sprintf("%d %s in %v, want %d", c.got, c.name, r.cfg.Length, c.want))
		}
	}
	return short
}

// verdict returns what is wrong: promises that were broken, and figures that were not reached.
func (r report) verdict() error {
	wrong := append(slices.Clone(r.complaints), r.lacks()...)
	if broken := r.overlaps + r.stale + r.disorder + r.orphans + r.slow + r.problems; broken > 0 || len(wrong) > 0 {
		return fmt.Errorf("%d violations:\n\t%s", broken, strings.Join(wrong, "\n\t"))
	}
	return nil
}
