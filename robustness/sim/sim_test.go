package sim_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo/internal/leak"
	"github.com/gazoo-zk/gazoo/robustness/program"
	"github.com/gazoo-zk/gazoo/robustness/programs"
	"github.com/gazoo-zk/gazoo/robustness/run"
	"github.com/gazoo-zk/gazoo/robustness/sim"
)

func TestMain(m *testing.M) { leak.Main(m) }

// fromEnv reads a number.
func fromEnv(t *testing.T, name string, n uint64) uint64 {
	t.Helper()
	if s := os.Getenv(name); s != "" {
		var err error
		if n, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// play plays a case in a bubble and judges it.
func play(t *testing.T, c sim.Case, all []*program.Program) *run.Result {
	t.Helper()
	var res *run.Result
	var err error
	synctest.Test(t, func(t *testing.T) { res, err = c.Play(t.Context(), all) })
	if err != nil {
		t.Fatalf("%v, of\n%s", err, c)
	}
	chosen, err := c.Choose(all)
	if err != nil {
		t.Fatal(err)
	}
	res.Judge(chosen)
	return res
}

// How long schedules are: those of long runs, and those that there is always time for.
const (
	length = 2 * time.Minute
	slice  = 30 * time.Second
)

// share returns every sixth of the programs: few enough that faults are dense for each client, and with the seeds each
// program meets each mix.
func share(all []*program.Program, number int) (some []*program.Program) {
	const shares = 6
	for i := number % shares; i < len(all); i += shares {
		some = append(some, all[i])
	}
	if len(some) == 0 {
		return all
	}
	return some
}

// Programs run under schedules of faults, and all promises are kept. Long runs have schedules of two virtual minutes.
//
// GAZOO_ROBUSTNESS_RUNS says how many schedules of each mix there are, and GAZOO_ROBUSTNESS_SEED the seed of the first;
// GAZOO_ROBUSTNESS_MIX and GAZOO_ROBUSTNESS_PROGRAMS, with commas between them, choose some.
func TestSim(t *testing.T) {
	all, begin := chosen(t), time.Now()
	first, runs := fromEnv(t, "GAZOO_ROBUSTNESS_SEED", 1), fromEnv(t, "GAZOO_ROBUSTNESS_RUNS", 1)
	explaining := fromEnv(t, "GAZOO_ROBUSTNESS_EXPLAIN", 1) > 0
	var schedules, ops, faults, violations int
	var played time.Duration
	length := length
	if os.Getenv("GAZOO_ROBUSTNESS_RUNS") == "" {
		length = slice
	}
	for i, m := range sim.Mixes() {
		if only := os.Getenv("GAZOO_ROBUSTNESS_MIX"); only != "" && only != m.Name {
			continue
		}
		for seed := first; seed < first+runs; seed++ {
			some := share(all, i+int(seed))
			c := m.Make(seed, length, some)
			started := time.Now()
			res := play(t, c, all)
			t.Logf("mix %s, seed %d: %v, %d operations, %d faults, %v", m.Name, seed, c.Programs, res.History.Len(), len(c.Schedule.Steps), time.Since(started).Round(time.Millisecond))
			schedules++
			ops += res.History.Len()
			faults += len(c.Schedule.Steps)
			violations += len(res.Violations)
			played += res.Took
			if n := len(res.Violations); n > 0 {
				t.Errorf("mix %s, seed %d: %s", m.Name, seed, listed(res.Violations))
				if explaining {
					explain(t, c, all, res.Violations)
				}
			}
		}
	}
	fmt.Printf("sim: schedules=%d ops=%d faults=%d virtual_minutes=%.0f violations=%d wall_seconds=%.0f\n",
		schedules, ops, faults, played.Minutes(), violations, time.Since(begin).Seconds())
}

// chosen returns the programs of GAZOO_ROBUSTNESS_PROGRAMS, or all.
func chosen(t *testing.T) []*program.Program {
	t.Helper()
	all := programs.All()
	names := os.Getenv("GAZOO_ROBUSTNESS_PROGRAMS")
	if names == "" {
		return all
	}
	all, err := sim.Case{Programs: strings.Split(names, ",")}.Choose(all)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func listed(found []run.Found) string {
	var b strings.Builder
	for _, f := range found {
		fmt.Fprintf(&b, "\n\t%v", f)
	}
	return b.String()
}

// broken reports whether a promise was broken that one of the violations is of.
func broken(res *run.Result, like []run.Found) bool {
	return slices.ContainsFunc(res.Violations, func(f run.Found) bool {
		return slices.ContainsFunc(like, func(l run.Found) bool { return l.Program == f.Program && l.Promise == f.Promise })
	})
}

// How much is done to explain a failure.
const (
	replays  = 10
	patience = 3 * time.Minute
)

// explain plays a case that failed again, and shows a smaller one that fails as well.
func explain(t *testing.T, c sim.Case, all []*program.Program, found []run.Found) {
	t.Helper()
	begin := time.Now()
	k := 0
	for range replays {
		if broken(play(t, c, all), found) {
			k++
		}
	}
	t.Logf("it fails %d times of %d", k, replays)
	if k == 0 {
		t.Logf("again:\nGAZOO_ROBUSTNESS_SCHEDULE='%s' go test -run TestReplay ./robustness/sim", c)
		return
	}
	tries := min(1+2*replays/k, replays)
	small := sim.Shrink(c, all, func(c sim.Case) bool {
		for range tries {
			if broken(play(t, c, all), found) {
				return true
			}
		}
		return false
	}, func() bool { return time.Since(begin) < patience })
	t.Logf("shrunk from %d steps to %d: %s\nGAZOO_ROBUSTNESS_SCHEDULE='%s' go test -run TestReplay ./robustness/sim",
		len(c.Schedule.Steps), len(small.Schedule.Steps), small.Describe(), small)
}

// The case in GAZOO_ROBUSTNESS_SCHEDULE, or else a small one that has every kind of fault, is played several times.
func TestReplay(t *testing.T) {
	all := programs.All()
	text := os.Getenv("GAZOO_ROBUSTNESS_SCHEDULE")
	if text == "" {
		m, _ := sim.MixOf("everything")
		text = m.Make(1, 20*time.Second, share(all, 0)).String()
	}
	c, err := sim.ParseCase(text)
	if err != nil {
		t.Fatal(err)
	}
	if c.String() != text {
		t.Fatalf("read as %s, want %s", c, text)
	}
	n, k := fromEnv(t, "GAZOO_ROBUSTNESS_RUNS", 2), 0
	for range n {
		if res := play(t, c, all); len(res.Violations) > 0 {
			k++
			t.Errorf("%s", listed(res.Violations))
		}
	}
	fmt.Printf("replay: failed %d of %d\n", k, n)
}
