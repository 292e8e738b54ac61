package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/internal/leak"
	"github.com/gazoo-zk/gazoo/robustness/basic"
	"github.com/gazoo-zk/gazoo/robustness/load"
	"github.com/gazoo-zk/gazoo/robustness/program"
	"github.com/gazoo-zk/gazoo/robustness/programs"
	"github.com/gazoo-zk/gazoo/robustness/real"
)

func TestMain(m *testing.M) {
	real.Main(append(programs.All(), liar(), load.Program()))
	leak.Main(m)
}

// liar is a program whose clients claim to have read what nobody wrote.
func liar() *program.Program {
	p := basic.Register()
	p.Name, p.Clients, p.Needs = "liar", 2, program.Needs{}
	p.Client = func(ctx context.Context, e *program.Env) error {
		for {
			e.Begin("read", "/a", nil).End(map[string]any{"v": "never written", "n": 7}, nil)
			if !e.Pause(ctx, time.Second) {
				return nil
			}
		}
	}
	return p
}

// Schedules on real servers: all programs keep their promises, each run has its line in the table, and a history that
// cannot be explained is found, kept, and found again.
func TestCampaign(t *testing.T) {
	ensemble.Require(t)
	dir := t.TempDir()
	var out strings.Builder
	c := &campaign{
		Length: 8 * time.Second, Clients: 20, Print: &out, Repeats: 2,
		Table: filepath.Join(dir, "results.tsv"), History: filepath.Join(dir, "history-%d.jsonl"),
	}
	defer func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	}()

	for _, mix := range []string{"clients", "servers"} {
		c.Known, c.Names, c.Mix, c.Runs, c.Seed = programs.All(), "all", mix, 1, uint64(time.Now().UnixNano())
		if err := c.run(t.Context()); err != nil {
			t.Errorf("%v:\n%s", err, out.String())
		}
		t.Logf("\n%s", out.String())
		out.Reset()
	}
	if c.totals.runs != 2 || c.totals.ops == 0 || c.totals.faults == 0 {
		t.Errorf("totals are %v, want 2 runs with operations and faults", c.totals)
	}

	c.Known, c.Names, c.Mix, c.Runs, c.Seed, c.Length = append(programs.All(), liar()), "liar", "clients", 1, 7, 3*time.Second
	err := c.run(t.Context())
	if err == nil || !strings.HasSuffix(err.Error(), " violations") {
		t.Errorf("run with a liar: %v, want violations", err)
	}
	for _, line := range []string{
		`(?m)^violation: seed=7 liar: linearizable: `,
		`(?m)^violation: seed=7 came back in 2 of 2$`,
		`(?m)^robustness: runs=3 .* violations=[1-9]`,
		`(?m)^run: seed=7 .* servers=agree violations=[1-9]\d* \[liar: linearizable: [1-9]\d*\]$`,
	} {
		if !regexp.MustCompile(line).MatchString(out.String()) {
			t.Errorf("no line %q in\n%s", line, out.String())
		}
	}
	history, err := os.ReadFile(filepath.Join(dir, "history-7.jsonl"))
	if err != nil || !strings.Contains(string(history), "never written") {
		t.Errorf("history: %v\n%s", err, history)
	}
	table, err := os.ReadFile(c.Table)
	if err != nil || strings.Count(string(table), "\n") != 4 || !regexp.MustCompile(`(?m)^7\tclients\t3\t2\t.*\t[1-9]\d*\tagree$`).Match(table) {
		t.Errorf("table: %v\n%s", err, table)
	}
}
