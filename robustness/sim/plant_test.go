package sim_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/internal/plant"
	"github.com/gazoo-zk/gazoo/robustness/program"
	"github.com/gazoo-zk/gazoo/robustness/programs"
	"github.com/gazoo-zk/gazoo/robustness/sim"
)

// planted says which mistake the checker of which program finds, under which faults, and within how many seeds.
type planted struct {
	plant   string
	program string
	promise string
	mix     string
	seeds   uint64
}

var plants = []planted{
	{plant.Lock, "lock", "exclusion", "silence", 12},
	{plant.Queue, "locking-queue", "nothing is lost", "sessions", 3},
	{plant.Watch, "watches", "the last state is seen", "links", 3},
	{plant.Fsync, "register", "linearizable", "disk", 5},
}

// plantLength is how long a schedule is that has to find a mistake.
const plantLength = 3 * time.Minute

func (p planted) programs(t *testing.T) []*program.Program {
	t.Helper()
	all, err := sim.Case{Programs: []string{p.program}}.Choose(programs.All())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (p planted) make(t *testing.T, seed uint64) (sim.Case, []*program.Program) {
	t.Helper()
	m, ok := sim.MixOf(p.mix)
	if !ok {
		t.Fatalf("no mix %q", p.mix)
	}
	all := p.programs(t)
	return m.Make(seed, plantLength, all), all
}

// Each mistake that is planted into the product is found within its number of seeds, and the same seeds find nothing in
// the product as it is.
func TestPlantsAreFound(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "planted.test")
	build := exec.Command("go", "test", "-c", "-tags", "gazoo_plants", "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go test -c: %v\n%s", err, out)
	}
	for _, p := range plants {
		t.Run(p.plant, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, binary, "-test.run", "^TestPlanted$", "-test.timeout", "3m")
			cmd.Env = append(os.Environ(), plant.Env+"="+p.plant)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("the test with the mistake: %v\n%s", err, out)
			}
			found := ""
			for lines := bufio.NewScanner(strings.NewReader(string(out))); lines.Scan(); {
				if strings.HasPrefix(lines.Text(), "planted: ") {
					found = lines.Text()
				}
			}
			if !strings.Contains(found, "found=true") {
				t.Errorf("it was not found within %d seeds:\n%s", p.seeds, out)
			}
			for seed := range p.seeds {
				c, all := p.make(t, seed)
				if res := play(t, c, all); len(res.Violations) > 0 {
					t.Errorf("without the mistake, seed %d: %s", seed, listed(res.Violations))
				}
			}
			fmt.Println(found)
		})
	}
}
