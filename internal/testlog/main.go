// Command testlog reads what go test -json prints and shows what a person wants of it: a line
// per package, the whole output of the tests that failed, and how many tests passed, failed
// and were skipped against each target (a subtest named after one counts for it). It exits 1
// when a test failed, or none ran.
//
//	go test -race -json ./... | go run ./internal/testlog
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// event is a line of go test -json.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// targets are the servers that tests run against; everything else needs none, or brings its own.
var targets = []string{"embedded", "standalone", "ensemble3"}

// ownOrNone is the target of tests that need no server, or start one of their own.
const ownOrNone = "own or no server"

// tally counts the leaves of the tree of tests.
type tally struct{ passed, failed, skipped int }

func main() {
	if !report(os.Stdin, os.Stdout) {
		os.Exit(1)
	}
}

func report(in io.Reader, out io.Writer) (ok bool) {
	outputs := map[string]*strings.Builder{} // by package and test, until it passes
	parents := map[string]bool{}
	ended := map[string]string{} // action that ended a test
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	failed := false
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(out, lines.Text()) // a build failure, or noise of a tool
			continue
		}
		key := e.Package + "\x00" + e.Test
		switch e.Action {
		case "output", "build-output":
			if e.Test == "" {
				if telling(e.Output) {
					fmt.Fprint(out, e.Output)
				}
				continue
			}
			if outputs[key] == nil {
				outputs[key] = &strings.Builder{}
			}
			outputs[key].WriteString(e.Output)
		case "run":
			for i, c := range e.Test {
				if c == '/' {
					parents[e.Package+"\x00"+e.Test[:i]] = true
				}
			}
		case "pass", "fail", "skip":
			failed = failed || e.Action == "fail"
			if e.Test == "" {
				continue
			}
			ended[key] = e.Action
			if b := outputs[key]; b != nil && e.Action != "pass" {
				fmt.Fprint(out, b.String())
			}
			delete(outputs, key)
		}
	}
	for key, b := range outputs { // a test that never ended: the process died in it
		failed = true
		fmt.Fprintf(out, "--- did not end: %s\n%s", key[strings.IndexByte(key, 0)+1:], b)
	}
	ran := count(ended, parents, out)
	return ran && !failed
}

// telling leaves out the lines that say nothing.
func telling(line string) bool {
	return line != "PASS\n" && !strings.Contains(line, "[no test files]")
}

func count(ended map[string]string, parents map[string]bool, out io.Writer) (ran bool) {
	counts := map[string]*tally{}
	for key, action := range ended {
		if parents[key] {
			continue
		}
		target := ownOrNone
		for part := range strings.SplitSeq(key, "/") {
			if slices.Contains(targets, part) {
				target = part
			}
		}
		t := counts[target]
		if t == nil {
			t = &tally{}
			counts[target] = t
		}
		switch action {
		case "pass":
			t.passed++
		case "fail":
			t.failed++
		case "skip":
			t.skipped++
		}
	}
	var all tally
	for _, target := range append(slices.Clone(targets), ownOrNone) {
		if t := counts[target]; t != nil {
			fmt.Fprintf(out, "%s: %d passed, %d failed, %d skipped\n", target, t.passed, t.failed, t.skipped)
			all = tally{all.passed + t.passed, all.failed + t.failed, all.skipped + t.skipped}
		}
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", all.passed, all.failed, all.skipped)
	return all.passed+all.failed > 0
}
