package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

const ms = instant(time.Millisecond)

// story is a part in which two contenders of different processes hold one after the other, in order.
func story() evidence {
	cfg := defaults()
	cfg.Processes, cfg.Contenders, cfg.Length = 2, 2, time.Second
	return evidence{
		cfg: cfg, part: part{Name: "story"}, partitions: 1,
		events: []event{
			{Kind: evGranted, Contender: 0, Hold: 1, At: 100 * ms, Token: 10},
			{Kind: evWrite, Contender: 0, Hold: 1, At: 110 * ms, Token: 10, Number: 0, Version: 1, Zxid: 11},
			{Kind: evAlive, Contender: 0, Hold: 1, At: 200 * ms},
			// Its process is stopped from 210 to 1500.
			{Kind: evGranted, Contender: 1, Hold: 1, At: 1400 * ms, Token: 12},
			{Kind: evAlive, Contender: 1, Hold: 1, At: 1450 * ms},
			{Kind: evWrite, Contender: 1, Hold: 1, At: 1460 * ms, Token: 12, Number: 2, Version: 3, Zxid: 20},
			{Kind: evEnded, Contender: 0, Hold: 1, At: 1501 * ms, Err: "lost"},
			{Kind: evWrite, Contender: 0, Hold: 1, At: 1510 * ms, Token: 10, Stale: true, Err: "refused"},
			{Kind: evRelease, Contender: 0, Hold: 1, At: 1520 * ms, To: 1521 * ms, Err: "lost"},
			{Kind: evFate, Contender: 0, Hold: 1, At: 1530 * ms, Expired: true},
			{Kind: evRelease, Contender: 1, Hold: 1, At: 1600 * ms, To: 1605 * ms},
			{Kind: evGaveUp, Contender: 0, At: 1700 * ms, To: 1701 * ms},
		},
		stops:   []stop{{process: 0, from: 210 * ms, stopped: 211 * ms, continued: 1499 * ms, to: 1500 * ms}},
		history: []entry{{10, 0}, {10, 1}, {12, 2}},
		version: 3,
	}
}

func TestJudgeCounts(t *testing.T) {
	got := judge(story())
	if len(got.complaints) != 0 {
		t.Errorf("complaints %q, want none", got.complaints)
	}
	for _, c := range []struct {
		what      string
		got, want int
	}{
		{"grants", got.grants, 2},
		{"grants after an expiry", got.afterExpiry, 1},
		{"stopped holders", got.stopped, 1},
		{"partitions", got.partitions, 1},
		{"writes", got.writes, 2},
		{"writes in the history", got.history, 3},
		{"stale writes refused", got.refused, 1},
		{"canceled", got.gaveUp, 1},
		{"longest release in ms", int(got.maxRelease.Milliseconds()), 5},
		{"gap in ms", int(got.minGap.Milliseconds()), 1200},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", c.what, c.got, c.want)
		}
	}
}

// What is not as it should be is found: each mistake is made in a story that is in order.
func TestJudgeFinds(t *testing.T) {
	find := func(ev evidence, kind string, contender int) *event {
		i := slices.IndexFunc(ev.events, func(e event) bool { return e.Kind == kind && e.Contender == contender })
		return &ev.events[i]
	}
	for _, tt := range []struct {
		name  string
		plant func(*evidence)
		count func(tally) int
		says  string
	}{
		{
			"overlap",
			func(ev *evidence) {
				ev.events = append(ev.events, event{Kind: evAlive, Contender: 0, Hold: 1, At: 1401 * ms})
			},
			func(t tally) int { return t.overlaps }, "for 1ms at least",
		},
		{
			"overlap with a hold before the last",
			func(ev *evidence) {
				ev.events = append(
					ev.events, event{Kind: evAlive, Contender: 0, Hold: 1, At: 1399 * ms},
					event{Kind: evGranted, Contender: 1, Hold: 2, At: 300 * ms, Token: 11},
					event{Kind: evAlive, Contender: 1, Hold: 2, At: 301 * ms},
					event{Kind: evRelease, Contender: 1, Hold: 2, At: 302 * ms, To: 303 * ms},
				)
			},
			func(t tally) int { return t.overlaps }, "token 0xb",
		},
		{
			"stale write",
			func(ev *evidence) { ev.history, ev.version = append(ev.history, entry{10, 3}), 4 },
			func(t tally) int { return t.stale }, "write 3 of token 0xa was accepted after one of token 0xc",
		},
		{
			"token disorder",
			func(ev *evidence) { find(*ev, evGranted, 1).Token = 10 },
			func(t tally) int { return t.disorder }, "came after",
		},
		{
			"orphan",
			func(ev *evidence) { ev.orphans = []string{"left-0000000007"} },
			func(t tally) int { return t.orphans }, "left-0000000007",
		},
		{
			"slow release",
			func(ev *evidence) { find(*ev, evRelease, 1).To = 3700 * ms },
			func(t tally) int { return t.slow }, "release of contender 1 took 2.1s",
		},
		{
			"no release",
			func(ev *evidence) {
				ev.events = slices.DeleteFunc(ev.events, func(e event) bool { return e.Kind == evRelease && e.Contender == 1 })
			},
			func(t tally) int { return t.slow }, "never released",
		},
		{
			"slow cancel",
			func(ev *evidence) { find(*ev, evGaveUp, 0).To = 2800 * ms },
			func(t tally) int { return t.slow }, "canceled Lock of contender 0 took 1.1s",
		},
		{
			"error",
			func(ev *evidence) { ev.events = append(ev.events, event{Kind: evProblem, Err: "what"}) },
			func(t tally) int { return t.problems }, "what",
		},
		{
			"acknowledged write that is not there",
			func(ev *evidence) { find(*ev, evWrite, 1).Number = 3 },
			func(t tally) int { return t.problems }, "is not in the history",
		},
		{
			"hole in the history",
			func(ev *evidence) { ev.history = slices.Delete(ev.history, 1, 2) },
			func(t tally) int { return t.problems }, "write 1 is missing",
		},
		{
			"write beside the history",
			func(ev *evidence) { ev.version = 4 },
			func(t tally) int { return t.problems }, "written 4 times",
		},
		{
			"zxids out of order",
			func(ev *evidence) { find(*ev, evWrite, 1).Zxid = 11 },
			func(t tally) int { return t.problems }, "zxid",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ev := story()
			tt.plant(&ev)
			got := judge(ev)
			if tt.count(got) != 1 {
				t.Errorf("counted %d, want 1", tt.count(got))
			}
			r := report{cfg: ev.cfg}
			r.add(got)
			if err := r.verdict(); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("verdict: %v, want one that says %q", err, tt.says)
			}
		})
	}
}

// Time in which a process was stopped is not held against it; that of others is.
func TestRunning(t *testing.T) {
	stops := []stop{{process: 0, from: 10, to: 20}, {process: 0, from: 30, to: 40}, {process: 1, from: 0, to: 100}}
	for _, tt := range []struct{ from, to, want instant }{{0, 5, 5}, {0, 50, 30}, {15, 35, 10}, {12, 18, 0}, {20, 30, 10}, {5, 4, 0}} {
		if got := running(stops, 0, tt.from, tt.to); got != time.Duration(tt.want) {
			t.Errorf("from %d to %d it ran %d, want %d", tt.from, tt.to, got, tt.want)
		}
	}
}

// The figures of three minutes are asked for, no less for more, and half of the share for less.
func TestFigures(t *testing.T) {
	r := report{tally: tally{grants: 499, afterExpiry: 25, stopped: 50, partitions: 20}}
	for _, tt := range []struct {
		length time.Duration
		want   string
	}{
		{150 * time.Second, ""},
		{3 * time.Minute, "499 grants in 3m0s, want 500; 25 grants after an expiry in 3m0s, want 50"},
		{time.Hour, "499 grants in 1h0m0s, want 500; 25 grants after an expiry in 1h0m0s, want 50"},
	} {
		r.cfg.Length = tt.length
		if got := strings.Join(r.lacks(), "; "); got != tt.want {
			t.Errorf("%v lack %q, want %q", tt.length, got, tt.want)
		}
		if err := r.verdict(); (err == nil) != (tt.want == "") {
			t.Errorf("verdict of %v: %v", tt.length, err)
		}
	}
	r = report{cfg: config{Length: time.Second}}
	if got := len(r.lacks()); got != 4 {
		t.Errorf("a second without anything lacks %d figures, want 4", got)
	}
}
