package main

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// outcome is what became of a test.
type outcome string

const (
	passed  outcome = "passed"
	failed  outcome = "failed"
	skipped outcome = "skipped"
)

// result is a line that the adapter writes.
type result struct {
	Test    string
	Outcome outcome
	Reason  string
	Seconds float64
}

// results are the results of a run by test.
type results map[string]result

func (r results) passed() int {
	n := 0
	for _, x := range r {
		if x.Outcome == passed {
			n++
		}
	}
	return n
}

//go:embed expected.tsv
var expectedText string

// readExpected reads the list of the tests that cannot pass: name, outcome and reason.
func readExpected() (map[string]outcome, error) {
	list := make(map[string]outcome)
	for i, line := range strings.Split(strings.TrimSpace(expectedText), "\n") {
		if i == 0 {
			continue // names of the columns
		}
		f := strings.Split(line, "\t")
		if len(f) != 3 || f[2] == "" || outcome(f[1]) != failed && outcome(f[1]) != skipped {
			return nil, fmt.Errorf("expected.tsv:%d: want test, failed or skipped, and a reason", i+1)
		}
		list[f[0]] = outcome(f[1])
	}
	return list, nil
}

// wanted is the outcome that a test is to have.
func wanted(expected map[string]outcome, test string) outcome {
	if o, listed := expected[test]; listed {
		return o
	}
	return passed
}

// against returns a line for each test that is not as the list says. With an empty list nothing is expected.
func (t *target) against(expected map[string]outcome) []string {
	if expected == nil {
		return nil
	}
	var problems []string
	for _, test := range slices.Sorted(maps.Keys(t.results)) {
		got := t.results[test]
		if want := wanted(expected, test); got.Outcome != want {
			problems = append(problems, fmt.Sprintf("%s: %s %s, want %s: %s", t.name, test, got.Outcome, want, got.Reason))
		}
	}
	for _, test := range slices.Sorted(maps.Keys(expected)) {
		if _, ran := t.results[test]; !ran {
			problems = append(problems, fmt.Sprintf("%s: %s is listed and was not run", t.name, test))
		}
	}
	return problems
}

// compare returns a line for each test with different outcomes.
func compare(apache, ours results) []string {
	var problems []string
	all := maps.Clone(apache)
	maps.Copy(all, ours)
	for _, test := range slices.Sorted(maps.Keys(all)) {
		if a, o := apache[test], ours[test]; a.Outcome != o.Outcome {
			problems = append(problems, fmt.Sprintf("%s: %q on Apache (%s), %q on gazoo (%s)", test, a.Outcome, a.Reason, o.Outcome, o.Reason))
		}
	}
	return problems
}
