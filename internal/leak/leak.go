// Package leak finds goroutines that tests leave behind.
//
// A package that starts goroutines outside of testing/synctest bubbles has
//
//	func TestMain(m *testing.M) { leak.Main(m) }
//
// and fails when, after the last test, anything but the runtime's and the testing package's own goroutines is still
// there. [Check] does the same for a single test.
package leak

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// patience bounds the wait for goroutines that are on their way out.
const patience = 5 * time.Second

// Runner is what [Main] runs: *testing.M, or something around it that also closes what the tests shared.
type Runner interface{ Run() int }

// Main runs the tests, waits up to 5 seconds for their goroutines to end, and exits the process: with the tests' own
// code, or with 1 after printing the stacks of what is left. A goroutine is excused when its stack contains one of
// the allow strings, usually a function name like "example.com/pkg.worker"; say why next to each of them.
func Main(m Runner, allow ...string) {
	os.Exit(run(m, patience, allow))
}

func run(m Runner, limit time.Duration, allow []string) int {
	code := m.Run()
	if left := wait(limit, func(g goroutine) bool { return excused(g, allow) }); len(left) > 0 {
		fmt.Fprintf(os.Stderr, "leak: %s", describe(left))
		code = max(code, 1)
	}
	return code
}

// Check makes the test fail if, when it is over, goroutines are left that were not there when Check was called. Call
// it first, so that it looks after every other cleanup. It cannot tell the goroutines of parallel tests apart, so
// neither the test nor those it runs beside may be parallel; inside a synctest bubble it is not needed.
func Check(t testing.TB, allow ...string) {
	t.Helper()
	before := make(map[string]bool)
	for _, g := range snapshot() {
		before[g.id] = true
	}
	t.Cleanup(func() {
		t.Helper()
		if left := wait(patience, func(g goroutine) bool { return before[g.id] || excused(g, allow) }); len(left) > 0 {
			t.Errorf("%s", describe(left))
		}
	})
}

// Count returns the number of goroutines except the caller's and those of the runtime and the testing package.
func Count() int { return len(snapshot()) }

// goroutine is one entry of a stack dump.
type goroutine struct {
	id    string
	stack string
}

// wait polls until no goroutine is left that ok does not accept, or until the time is up, and returns those.
func wait(limit time.Duration, ok func(goroutine) bool) []goroutine {
	deadline := time.Now().Add(limit)
	for pause := time.Duration(0); ; pause = min(2*pause+50*time.Microsecond, 50*time.Millisecond) {
		left := slices.DeleteFunc(snapshot(), ok)
		if len(left) == 0 || time.Now().After(deadline) {
			return left
		}
		runtime.Gosched()
		time.Sleep(pause)
	}
}

func excused(g goroutine, allow []string) bool {
	return slices.ContainsFunc(allow, func(s string) bool { return strings.Contains(g.stack, s) })
}

func describe(left []goroutine) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d goroutines left behind:\n", len(left))
	for _, g := range left {
		fmt.Fprintf(&b, "\n%s\n", g.stack)
	}
	return b.String()
}

// snapshot returns every goroutine except the calling one and those that belong to the runtime or to testing.
func snapshot() []goroutine {
	buf := make([]byte, 64<<10)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	return parse(string(buf))
}

// parse splits a dump of runtime.Stack and drops the first goroutine, which is the one that made the dump.
func parse(dump string) []goroutine {
	var gs []goroutine
	for i, stack := range strings.Split(strings.TrimSpace(dump), "\n\n") {
		if i == 0 || system(stack) {
			continue
		}
		// "goroutine 18 [chan receive]:"
		id, _, _ := strings.Cut(strings.TrimPrefix(stack, "goroutine "), " ")
		gs = append(gs, goroutine{id: id, stack: stack})
	}
	return gs
}

// system reports whether a stack belongs to a goroutine that no test can be blamed for.
func system(stack string) bool {
	// "created by f in goroutine 1" names the function that started it, if any did.
	creator := ""
	if i := strings.LastIndex(stack, "\ncreated by "); i >= 0 {
		creator = stack[i+len("\ncreated by "):]
	}
	_, frames, _ := strings.Cut(stack, "\n")
	switch {
	case creator == "":
		return true // the main goroutine, waiting in testing
	case strings.HasPrefix(creator, "os/signal."), strings.HasPrefix(creator, "runtime."):
		return true // started once per process and never ended: signal delivery, tracing, profiling
	case strings.HasPrefix(creator, "testing.(*T).Run"), strings.HasPrefix(creator, "testing.(*B)"), strings.HasPrefix(creator, "testing.(*F)"):
		// A test or its parents: on the way out of the last one, or waiting for a subtest.
		return strings.HasPrefix(frames, "testing.") || strings.Contains(frames, "\ntesting.tRunner(")
	case strings.HasPrefix(creator, "testing."), strings.HasPrefix(creator, "internal/fuzz."):
		return true
	}
	return false
}
