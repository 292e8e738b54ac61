package conformance

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// factsTable has a line per fact: section, function, answer, fact, note. The answers:
//
//	same       the function asserts the fact on both servers
//	differs    the function asserts what each does; the note says why
//	elsewhere  another test, or none; the note says which and why
//	absent     zkserver has no such thing; the note says why
//
//go:embed facts.tsv
var factsTable string

type row struct{ section, function, answer, fact, note string }

func table(t *testing.T) []row {
	t.Helper()
	var rows []row
	for i, line := range strings.Split(strings.TrimSuffix(factsTable, "\n"), "\n") {
		f := strings.Split(line, "\t")
		if len(f) != 5 {
			t.Fatalf("facts.tsv:%d: %d fields, want 5", i+1, len(f))
		}
		if i > 0 {
			rows = append(rows, row{f[0], f[1], f[2], f[3], f[4]})
		}
	}
	return rows
}

// TestTable checks that the table and the functions agree, and that the table has an answer for each fact.
func TestTable(t *testing.T) {
	run := make(map[string]bool) // by function: whether it is for differences
	for _, f := range slices.Concat(allFacts, slowFacts) {
		if _, twice := run[f.name]; twice {
			t.Errorf("%s is run twice", f.name)
		}
		run[f.name] = slices.ContainsFunc(differences, func(d fact) bool { return d.name == f.name })
	}
	listed := make(map[string]bool)
	answers := make(map[string]int)
	facts := make(map[string]bool)
	last := 0
	for i, r := range table(t) {
		at := fmt.Sprintf("facts.tsv:%d", i+2)
		answers[r.answer]++
		section, err := strconv.Atoi(r.section)
		if err != nil || section < last {
			t.Errorf("%s: section %q behind %d", at, r.section, last)
		}
		last = section
		if r.fact == "" || facts[r.fact] {
			t.Errorf("%s: fact %q is empty or there already", at, r.fact)
		}
		facts[r.fact] = true
		differs, exists := run[r.function]
		listed[r.function] = true
		switch r.answer {
		case "same", "differs":
			if !exists || differs != (r.answer == "differs") {
				t.Errorf("%s: no function %s among those for %s", at, r.function, r.answer)
			}
		case "elsewhere", "absent":
			if r.function != "-" {
				t.Errorf("%s: function %s for what is %s", at, r.function, r.answer)
			}
		default:
			t.Errorf("%s: answer %q", at, r.answer)
		}
		if (r.note == "") != (r.answer == "same") {
			t.Errorf("%s: answer %s with the note %q", at, r.answer, r.note)
		}
	}
	for name := range run {
		if !listed[name] {
			t.Errorf("%s is not in facts.tsv", name)
		}
	}
	fmt.Printf("table: rows=%d functions=%d same=%d differs=%d elsewhere=%d absent=%d\n",
		len(facts), len(run), answers["same"], answers["differs"], answers["elsewhere"], answers["absent"])
}
