package compare

import (
	"math"
	"strings"
	"testing"

	"github.com/gazoo-zk/gazoo/bench/internal/load"
)

// shown makes a subject from its rates and its allocations, a round each.
func shown(name, program string, allocs float64, rates ...float64) Shown {
	s := Shown{Name: name, Program: program}
	for _, rate := range rates {
		s.Rounds = append(s.Rounds, &load.Result{Rate: rate, CPU: new(1e6 / rate), Allocs: &allocs})
	}
	s.Summarise()
	return s
}

func TestSpread(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   Spread
	}{
		{[]float64{7}, Spread{7, 7, 7}},
		{[]float64{9, 1, 5}, Spread{5, 1, 9}},
		{[]float64{4, 1, 2, 30}, Spread{3, 1, 30}},
	} {
		if got := spread(tt.values); got != tt.want {
			t.Errorf("spread(%v) = %v, want %v", tt.values, got, tt.want)
		}
	}
}

func TestJudge(t *testing.T) {
	o := &Outcome{Name: "x", Subjects: []Shown{
		shown(Gazoo, Gazoo, 1.04, 900, 1000, 5000),
		shown(Gozk, Gozk, 14, 90, 100, 110),
		shown(Raw, Raw, 0, 8000),
		shown(Java, Java, 20, 400, 1000, 1100),
		shown(C, C, 0.03, 910, 1050, 1060),
	}}
	for _, tt := range []struct {
		r     Requirement
		pass  bool
		value float64
	}{
		{atLeast(Rate, Gazoo, Gozk, 10), true, 10},
		{atLeast(Rate, Gazoo, Gozk, 10.1), false, 10},
		{atMost(CPU, Gazoo, Gozk, 0.1), true, 0.1},
		{atMost(CPU, Gazoo, Gozk, 0.09), false, 0.1},
		{atMost(CPU, Gazoo, Raw, 8), true, 8},
		{atMost(Allocs, Gazoo, "", 1), true, 1.04}, // what the runtime does besides
		{atMost(Allocs, Gazoo, "", 0), false, 1.04},
		{atMost(Allocs, C, "", 0), true, 0.03},
		{atLeast(Rate, Gazoo, Best, 1), false, 1000.0 / 1050},
		{Requirement{Metric: Rate, Of: Gazoo, Than: Best, AtLeast: 1, AtMost: -1, Overlap: true}, true, 1000.0 / 1050},
		{Requirement{Metric: Rate, Of: Gozk, Than: C, AtLeast: 1, AtMost: -1, Overlap: true}, false, 100.0 / 1050},
		{Requirement{Metric: Rate, Of: Gazoo, Than: Java, AtLeast: 4, AtMost: -1, Or: 1000}, true, 1},
		{Requirement{Metric: Rate, Of: Gazoo, Than: Java, AtLeast: 4, AtMost: -1, Or: 1001}, false, 1},
		// What was not measured is not met.
		{atLeast(Rate, Gazoo, Kazoo, 1), false, 1000},
		{atMost(CPU, Kazoo, Gozk, 1), false, 0},
		{atMost("registered_ms", Gazoo, "", 25), false, 0},
	} {
		got := o.judge(tt.r)
		if got.Pass != tt.pass || math.Abs(got.Value-tt.value) > 1e-9 {
			t.Errorf("%s: pass %v with %v, want %v with %v", got.Text, got.Pass, got.Value, tt.pass, tt.value)
		}
	}
}

// TestTables shows that every requirement names subjects that its load has, and that no two loads share a name.
func TestTables(t *testing.T) {
	seen := map[string]bool{}
	loads := append(append(Clients(), Servers()...), Curves()...)
	for _, l := range loads {
		if seen[l.Name] {
			t.Errorf("two loads have the name %s", l.Name)
		}
		seen[l.Name] = true
		subjects := map[string]bool{"": true, Best: true}
		for _, s := range l.Subjects {
			if subjects[s.Name] {
				t.Errorf("%s has two subjects with the name %s", l.Name, s.Name)
			}
			subjects[s.Name] = true
			if _, err := parse(append(append([]string{}, l.Flags...), s.Flags...)); err != nil {
				t.Errorf("%s, %s: %v", l.Name, s.Name, err)
			}
		}
		for _, r := range l.Require {
			if !subjects[r.Of] || !subjects[r.Than] {
				t.Errorf("%s requires %v, and has no such subject", l.Name, r)
			}
			if (r.AtLeast > 0) == (r.AtMost >= 0) {
				t.Errorf("%s requires %v: either a lower bound or an upper one", l.Name, r)
			}
		}
	}
}

func TestOnly(t *testing.T) {
	l := Clients()[0].Only([]string{Gazoo, Gozk})
	if len(l.Subjects) != 2 || len(l.Require) != 4 {
		t.Errorf("%d subjects and %d requirements are left, want 2 and 4", len(l.Subjects), len(l.Require))
	}
	l = Clients()[0].Only([]string{Gazoo})
	if len(l.Subjects) != 1 || len(l.Require) != 1 {
		t.Errorf("%d subjects and %d requirements are left, want 1 and 1", len(l.Subjects), len(l.Require))
	}
	if all := Clients()[0]; len(all.Subjects) != 6 {
		t.Errorf("the load itself has %d subjects, want 6", len(all.Subjects))
	}
}

func TestInFlightOnTheDisk(t *testing.T) {
	for _, l := range Servers() {
		if l.Name == "server-create-disk" {
			if got := inFlight(l, EmbeddedDisk); got != 256 {
				t.Errorf("%d requests in flight, want 256", got)
			}
		}
	}
}

func TestMarkdown(t *testing.T) {
	o := &Outcome{Name: "x", Title: "get things", Subjects: []Shown{
		shown(Gazoo, Gazoo, 1, 900, 1000, 5000), shown(Gozk, Gozk, 14, 100),
	}, Skipped: []string{"c: no compiler"}}
	o.Judge([]Requirement{atLeast(Rate, Gazoo, Gozk, 20)})
	r := Report{Command: []string{"compare"}, Date: "2030-01-02", Machine: "a box", Go: "go1", Rounds: 3, Seconds: 2, Loads: []*Outcome{o}}
	var b strings.Builder
	if err := r.Markdown(&b); err != nil {
		t.Fatal(err)
	}
	const want = `2030-01-02, a box, go1. ` + "`compare`" + `: medians [minimum–maximum] of 3 rounds of 2 s.

### get things

|  | ops/s | CPU µs/op | allocs/op | × gozk |
| --- | ---: | ---: | ---: | ---: |
| gazoo | 1000 [900–5000] | 1000 [200–1111] | 1.00 | 10.0 |
| gozk | 100 | 10.0k | 14.0 | 1.00 |

Not measured: c: no compiler.

- BELOW x: gazoo ops/s at least 20 x gozk: 10
`
	if b.String() != want {
		t.Errorf("Markdown wrote\n%s\nwant\n%s", b.String(), want)
	}
}
