package ensemble_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/internal/ensemble"
)

// doomedVariable makes the test binary start an ensemble, print the server's process id, and wait to be killed.
const doomedVariable = "GAZOO_ENSEMBLE_TEST_DOOMED"

func doomed() {
	e, err := ensemble.Start(ensemble.Config{})
	if err != nil {
		fmt.Fprintln(os.Stdout, err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stdout, e.Server(0).PID())
	select {}
}

func TestServersDieWithTheProcessThatStartedThem(t *testing.T) {
	ensemble.Require(t)
	exe, err := os.Executable()
	must(t, err)
	tmp := t.TempDir()
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), doomedVariable+"=1", "TMPDIR="+tmp)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Error(err)
	}
	must(t, cmd.Process.Kill())
	cmd.Wait() // killed

	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("the doomed process printed %q", line)
	}
	died := time.Now()
	for !gone(pid) {
		if time.Since(died) > 10*time.Second {
			syscall.Kill(pid, syscall.SIGKILL)
			t.Fatalf("server process %d outlives its parent", pid)
		}
		time.Sleep(time.Millisecond)
	}
	t.Logf("server gone %v after its parent", time.Since(died).Round(time.Millisecond))

	// Its folder stays, until the next ensemble that is started later than a minute clears it away.
	stale, err := filepath.Glob(filepath.Join(tmp, "*"))
	if err != nil || len(stale) != 1 {
		t.Fatalf("left behind: %q, %v; want one folder", stale, err)
	}
	t.Setenv("TMPDIR", tmp)
	start(t, ensemble.Config{})
	if _, err := os.Stat(stale[0]); err != nil {
		t.Errorf("a folder of a moment ago was removed: %v", err)
	}
	old := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(stale[0], old, old))
	start(t, ensemble.Config{})
	if _, err := os.Stat(stale[0]); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder of an hour ago: %v, want that it is gone", err)
	}
}

// gone reports whether a process has ended. One that nobody has reaped yet counts as ended: an orphan's new parent
// may take its time.
func gone(pid int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true
	}
	_, state, _ := strings.Cut(string(text), ") ")
	return strings.HasPrefix(state, "Z") || strings.HasPrefix(state, "X")
}
