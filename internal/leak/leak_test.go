package leak

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// recorder takes the place of the test that Check fails.
type recorder struct {
	testing.TB
	cleanups []func()
	errors   []string
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(_ string, args ...any) {
	r.errors = append(r.errors, args[0].(string))
}

func (r *recorder) finish() {
	for _, f := range r.cleanups {
		f()
	}
}

// strayGoroutine ends at the close of stop; a value sent to it tells the sender that it runs.
func strayGoroutine(stop chan struct{}) {
	for range stop {
	}
}

func TestCountSeesOnlyForeignGoroutines(t *testing.T) {
	if got := Count(); got != 0 {
		t.Fatalf("Count() = %d in a quiet test, want 0:\n%s", got, describe(snapshot()))
	}
	stop := make(chan struct{})
	go strayGoroutine(stop)
	if got := Count(); got != 1 {
		t.Errorf("Count() = %d with one goroutine, want 1", got)
	}
	t.Run("subtest", func(t *testing.T) {
		if got := Count(); got != 1 {
			t.Errorf("Count() = %d in a subtest, want 1", got)
		}
	})
	close(stop)
	if left := wait(patience, func(goroutine) bool { return false }); len(left) > 0 {
		t.Errorf("the goroutine stays after its end:\n%s", describe(left))
	}
}

func TestCheckPassesWhenGoroutinesEndInTime(t *testing.T) {
	stop, old := make(chan struct{}), make(chan struct{})
	go strayGoroutine(old) // there before: not the test's fault
	defer close(old)
	r := &recorder{}
	Check(r)
	go strayGoroutine(stop)
	close(stop)
	r.finish()
	if len(r.errors) > 0 {
		t.Errorf("Check failed a clean test: %s", r.errors)
	}
}

func TestCheckHonoursAllow(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	r := &recorder{}
	Check(r, "leak.strayGoroutine")
	go strayGoroutine(stop)
	r.finish()
	if len(r.errors) > 0 {
		t.Errorf("Check ignored allow: %s", r.errors)
	}
}

func TestLeftoversAreDescribed(t *testing.T) {
	stop := make(chan struct{})
	go strayGoroutine(stop)
	stop <- struct{}{} // it runs: a goroutine that has not begun shows another function
	left := wait(0, func(goroutine) bool { return false })
	close(stop)
	if len(left) != 1 || !strings.Contains(describe(left), "strayGoroutine") {
		t.Errorf("left behind: %s, want strayGoroutine alone", describe(left))
	}
}

// TestMain runs as the program under test when the variable is set, and else under the package's own check.
func TestMain(m *testing.M) {
	switch os.Getenv("LEAK_TEST_CASE") {
	case "leaky":
		go strayGoroutine(nil)
		os.Exit(run(code(0), 0, nil)) // Main without the wait
	case "allowed":
		go strayGoroutine(nil)
		Main(code(0), "leak.strayGoroutine")
	case "failing":
		Main(code(3))
	}
	Main(m)
}

type code int

func (c code) Run() int { return int(c) }

func TestMainExitCodes(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		code int
		text string
	}{
		{"leaky", 1, "1 goroutines left behind"},
		{"allowed", 0, ""},
		{"failing", 3, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(exe)
			cmd.Env = append(os.Environ(), "LEAK_TEST_CASE="+tt.name)
			out, _ := cmd.CombinedOutput()
			if got := cmd.ProcessState.ExitCode(); got != tt.code {
				t.Errorf("exit code %d, want %d; output:\n%s", got, tt.code, out)
			}
			if !strings.Contains(string(out), tt.text) {
				t.Errorf("output %q lacks %q", out, tt.text)
			}
		})
	}
}
