//go:build gazoo_plants

package sim_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/gazoo-zk/gazoo/internal/plant"
	"github.com/gazoo-zk/gazoo/robustness/run"
)

// The mistake of the environment is looked for with one seed after the other: see [TestPlantsAreFound].
func TestPlanted(t *testing.T) {
	for _, p := range plants {
		if p.plant != os.Getenv(plant.Env) {
			continue
		}
		want := []run.Found{{Program: p.program}}
		want[0].Promise = p.promise
		for seed := range p.seeds {
			c, all := p.make(t, seed)
			res := play(t, c, all)
			t.Logf("seed %d: %s", seed, listed(res.Violations))
			if broken(res, want) {
				fmt.Printf("planted: plant=%s found=true program=%s promise=%q mix=%s seed=%d runs=%d of=%d\n",
					p.plant, p.program, p.promise, p.mix, seed, seed+1, p.seeds)
				return
			}
		}
		fmt.Printf("planted: plant=%s found=false program=%s mix=%s runs=%d\n", p.plant, p.program, p.mix, p.seeds)
	}
}
