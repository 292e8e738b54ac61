package main

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
)

// lengthVariable is the environment variable with the length of TestExclusion's faults, such as "3m".
const lengthVariable = "GAZOO_EXCLUSION"

func TestMain(m *testing.M) {
	if isWorker() {
		os.Exit(work())
	}
	recipetest.Main(m)
}

// Forty contenders in four processes, with faults on the clients' side and between the servers: nothing that is promised
// is broken. Mistakes that are planted beforehand are found by the same means.
func TestExclusion(t *testing.T) {
	length, rounds := 12*time.Second, 4
	if text := os.Getenv(lengthVariable); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
		rounds = 1
	}
	e := ensemble.StartT(t, servers())
	for _, tt := range []struct {
		plant      string
		partitions bool
		length     time.Duration
		found      func(report) bool
	}{
		{plantDeaf, false, 4 * time.Second, func(r report) bool { return r.overlaps > 0 && r.stale > 0 }},
		{plantUnverified, true, 6 * time.Second, func(r report) bool { return r.overlaps > 0 }},
	} {
		t.Run("plant "+tt.plant, func(t *testing.T) {
			cfg := defaults()
			cfg.Plant, cfg.Length, cfg.Parts = tt.plant, tt.length, []part{{Name: tt.plant, Partitions: tt.partitions}}
			// It has to meet the faults that bring it out, which on a busy machine may take more than one try.
			cfg.Rounds, cfg.enough = 10, tt.found
			r, err := run(t.Context(), cfg, e)
			if err != nil {
				t.Fatal(err)
			}
			if t.Log(r); !tt.found(r) || r.verdict() == nil {
				t.Errorf("verdict: %v, want the mistake", r.verdict())
			}
		})
	}
	t.Run("measure", func(t *testing.T) {
		cfg := defaults()
		cfg.Length, cfg.Rounds, cfg.Seed = length, rounds, uint64(time.Now().UnixNano())
		r, err := run(t.Context(), cfg, e)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(r)
		if err := r.verdict(); err != nil {
			t.Errorf("seed %d: %v", cfg.Seed, err)
		}
	})
}
