package sim_test

import (
	"slices"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/robustness/fault"
	"github.com/gazoo-zk/gazoo/robustness/program"
	"github.com/gazoo-zk/gazoo/robustness/sim"
)

func forever() bool { return true }

func fakes(names ...string) (all []*program.Program, c sim.Case) {
	for _, name := range names {
		all = append(all, &program.Program{Name: name, Clients: 2})
	}
	m, _ := sim.MixOf("everything")
	return all, m.Make(7, 5*time.Minute, all)
}

// A failure that needs two steps of many and one program of three is shrunk to just these.
func TestShrinkFindsWhatIsNeeded(t *testing.T) {
	all, c := fakes("a", "b", "c")
	// Client 1 of program b, which is number 3 of six, is killed, and some time later an endpoint lags.
	c.Schedule.Steps[100] = fault.Step{At: c.Schedule.Steps[100].At, For: 8 * time.Second, Kind: fault.KillClient, Target: 3 + 6*9}
	c.Schedule.Steps[140] = fault.Step{At: c.Schedule.Steps[140].At, For: 8 * time.Second, Kind: fault.Lag, Target: 777, Delay: 5}
	trials := 0
	fails := func(c sim.Case) bool {
		trials++
		number := slices.Index(c.Programs, "b")*2 + 1
		killed := false
		for _, s := range c.Schedule.Steps {
			if s.Kind == fault.KillClient && s.Target%(2*len(c.Programs)) == number && slices.Contains(c.Programs, "b") {
				killed = true
			}
			if killed && s.Kind == fault.Lag && s.Target == 777 && s.For > time.Second {
				return true
			}
		}
		return false
	}
	if !fails(c) {
		t.Fatal("the case does not fail to begin with")
	}
	small := sim.Shrink(c, all, fails, forever)
	if !fails(small) {
		t.Fatalf("what is left does not fail: %s", small)
	}
	if got := small.Programs; !slices.Equal(got, []string{"b"}) {
		t.Errorf("programs %v, want b alone", got)
	}
	if got := len(small.Schedule.Steps); got != 2 {
		t.Fatalf("%d steps left, want 2: %s", got, small.Describe())
	}
	if s := small.Schedule.Steps[1]; s.For > 2*time.Second {
		t.Errorf("the second one lasts %v, want it halved until it is needed", s.For)
	}
	if s := small.Schedule.Steps[0]; s.At != time.Second || s.For > 100*time.Millisecond {
		t.Errorf("the first one is at %v and lasts %v, want it early and short", s.At, s.For)
	}
	if small.Schedule.Length >= c.Schedule.Length/2 {
		t.Errorf("length %v, want it shorter", small.Schedule.Length)
	}
	if trials > 300 {
		t.Errorf("%d trials for %d steps", trials, len(c.Schedule.Steps))
	}
	t.Logf("%d trials: %s", trials, small.Describe())
}

// A failure that needs nothing is shrunk to nothing, and one that needs all stays as it is.
func TestShrinkAtItsLimits(t *testing.T) {
	all, c := fakes("a", "b")
	if small := sim.Shrink(c, all, func(sim.Case) bool { return true }, forever); len(small.Schedule.Steps) > 0 || len(small.Programs) != 1 {
		t.Errorf("what always fails is shrunk to %s", small)
	}
	if same := sim.Shrink(c, all, func(sim.Case) bool { return false }, forever); same.String() != c.String() {
		t.Errorf("what never fails again is shrunk to %s", same)
	}
	left := 5
	sim.Shrink(c, all, func(sim.Case) bool { left--; return true }, func() bool { return left > 0 })
	if left != 0 {
		t.Errorf("%d trials behind the end of the patience", -left)
	}
}

// A case without a program has the faults of the others' clients, at their numbers there.
func TestWithoutAProgram(t *testing.T) {
	all, c := fakes("a", "b", "c")
	c.Schedule.Steps = []fault.Step{
		{Kind: fault.Cut, Target: 0}, {Kind: fault.Cut, Target: 2 + 600}, {Kind: fault.Cut, Target: 5 + 60}, {Kind: fault.Lag, Target: 2},
	}
	got := c.Without("b", all).Schedule.Steps
	want := []fault.Step{{Kind: fault.Cut, Target: 0}, {Kind: fault.Cut, Target: 3}, {Kind: fault.Lag, Target: 2}}
	if !slices.Equal(got, want) {
		t.Errorf("steps %v, want %v", got, want)
	}
}
