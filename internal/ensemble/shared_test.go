package ensemble_test

import (
	"testing"

	"github.com/gazoo-zk/gazoo/internal/ensemble"
)

func TestForEachRunsOnSharedEnsemblesInOrder(t *testing.T) {
	var ran []int
	ensemble.ForEach(t, func(t *testing.T, e *ensemble.Ensemble) {
		ran = append(ran, e.Len())
		// What the last user left is put right: a paused server, a dead one, a proxy full of faults.
		last := e.Len() - 1
		e.Proxy(0).BlackHole(true)
		must(t, e.Server(0).Pause())
		must(t, e.Server(last).Kill())
		again := ensemble.Shared(t, ensemble.Kind([]string{1: "standalone", 3: "ensemble3"}[e.Len()]))
		if again != e {
			t.Error("Shared returned another ensemble")
		}
		mustFourLetter(t, e.Proxy(0).Addr(), "ruok", "imok")
		for i := range e.Len() {
			if _, err := e.Server(i).Mode(); err != nil {
				t.Error(err)
			}
		}
	})
	if ensemble.TargetEnabled("standalone") && ensemble.TargetEnabled("ensemble3") && !t.Skipped() {
		if len(ran) != 2 || ran[0] != 1 || ran[1] != 3 {
			t.Errorf("ran on ensembles of %v servers, want 1 and 3", ran)
		}
	}
}

func TestTargetsVariable(t *testing.T) {
	for _, tt := range []struct {
		value string
		want  bool
	}{
		{"", true},
		{" ", true},
		{"standalone", true},
		{"zkserver, standalone", true},
		{"ensemble3,zkserver", false},
		{"standalones", false},
	} {
		t.Setenv(ensemble.TargetsVariable, tt.value)
		if got := ensemble.TargetEnabled("standalone"); got != tt.want {
			t.Errorf("%s=%q: TargetEnabled(standalone) = %t, want %t", ensemble.TargetsVariable, tt.value, got, tt.want)
		}
	}
}
