package sim_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo/internal/leak"
	"github.com/gazoo-zk/gazoo/robustness/programs"
	"github.com/gazoo-zk/gazoo/robustness/run"
	"github.com/gazoo-zk/gazoo/robustness/sim"
)

func TestMain(m *testing.M) { leak.Main(m) }

func TestSpike(t *testing.T) {
	for _, m := range sim.Mixes() {
		t.Run(m.Name, func(t *testing.T) {
			var res *run.Result
			var err error
			begin := time.Now()
			s := m.Make(1, 5*time.Minute)
			synctest.Test(t, func(t *testing.T) {
				var w *sim.World
				if w, err = sim.New(m.Form, 1); err != nil {
					return
				}
				defer w.Close()
				res, err = run.Execute(t.Context(), w, "/r", programs.All(), s)
			})
			if err != nil {
				t.Fatal(err)
			}
			played := time.Since(begin)
			res.Judge(programs.All())
			t.Logf("played %v judged %v steps %d ops %v faults %v violations %v", played, time.Since(begin)-played, len(s.Steps), res.Ops, res.Faults, res.Violations)
		})
	}
}
