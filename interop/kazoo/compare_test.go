package main

import (
	"strings"
	"testing"
)

// TestDifferencesAreFound holds that every way in which a run can go wrong is reported.
func TestDifferencesAreFound(t *testing.T) {
	list := map[string]outcome{"t::fails": failed, "t::skips": skipped}
	fine := func() results {
		return results{
			"t::passes": {Test: "t::passes", Outcome: passed},
			"t::fails":  {Test: "t::fails", Outcome: failed},
			"t::skips":  {Test: "t::skips", Outcome: skipped},
		}
	}
	check := func(name, problem string, change func(results)) {
		t.Helper()
		ours := target{name: "gazoo", results: fine()}
		change(ours.results)
		all := strings.Join(append(compare(fine(), ours.results), ours.against(list)...), "\n")
		if problem == "" && all != "" || !strings.Contains(all, problem) {
			t.Errorf("%s: problems %q, want %q", name, all, problem)
		}
	}
	check("as listed", "", func(results) {})
	check("unexpected failure", "t::passes failed, want passed", func(r results) { r["t::passes"] = result{Outcome: failed} })
	check("unexpected pass", "t::fails passed, want failed", func(r results) { r["t::fails"] = result{Outcome: passed} })
	check("skipped", "t::passes skipped, want passed", func(r results) { r["t::passes"] = result{Outcome: skipped} })
	check("not run", `t::passes: "passed" on Apache (), "" on gazoo`, func(r results) { delete(r, "t::passes") })
	check("listed and not run", "t::skips is listed and was not run", func(r results) { delete(r, "t::skips") })
	check("only here", `t::new: "" on Apache`, func(r results) { r["t::new"] = result{Outcome: passed} })
}

func TestExpectedList(t *testing.T) {
	list, err := readExpected()
	if err != nil || len(list) == 0 {
		t.Fatalf("readExpected() = %d tests, %v", len(list), err)
	}
}
