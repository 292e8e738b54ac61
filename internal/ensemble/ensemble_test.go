package ensemble_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/internal/leak"
)

// start is [ensemble.StartT] with the time it took in the test's log.
func start(t *testing.T, cfg ensemble.Config) *ensemble.Ensemble {
	t.Helper()
	began := time.Now()
	e := ensemble.StartT(t, cfg)
	t.Logf("%d server(s) up in %v", e.Len(), time.Since(began).Round(time.Millisecond))
	return e
}

// must fails the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// timed runs f, fails the test on its error and logs how long it took.
func timed(t *testing.T, what string, f func() error) {
	t.Helper()
	began := time.Now()
	if err := f(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	t.Logf("%s in %v", what, time.Since(began).Round(time.Millisecond))
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func mustMode(t *testing.T, s *ensemble.Server, want string) {
	t.Helper()
	if got, err := s.Mode(); err != nil || got != want {
		t.Fatalf("Mode() of server %d = %q, %v; want %q", s.ID(), got, err, want)
	}
}

func mustFourLetter(t *testing.T, addr, word, want string) {
	t.Helper()
	if got, err := ensemble.FourLetter(addr, word); err != nil || got != want {
		t.Fatalf("FourLetter(%s, %s) = %q, %v; want %q", addr, word, got, err, want)
	}
}

func TestStandalone(t *testing.T) {
	e := start(t, ensemble.Config{})
	s := e.Server(0)
	mustMode(t, s, ensemble.ModeStandalone)
	mustFourLetter(t, s.Addr(), "ruok", "imok")
	if e.Hosts() != s.Addr() {
		t.Errorf("Hosts() = %q, want %q", e.Hosts(), s.Addr())
	}
	if err := s.Start(); err == nil {
		t.Error("starting a running server succeeded")
	}
	if err := s.Wipe(); err == nil {
		t.Error("wiping a running server succeeded")
	}

	pid := s.PID()
	timed(t, "kill", s.Kill)
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d after Kill: %v, want that it is gone", pid, err)
	}
	if got := s.PID(); got != 0 {
		t.Errorf("PID() = %d after Kill, want 0", got)
	}
	if _, err := s.Mode(); err == nil {
		t.Error("a killed server has a mode")
	}
	must(t, s.Kill())
	must(t, s.Stop())

	logs, err := filepath.Glob(filepath.Join(s.DataDir(), "log.*"))
	if err != nil || len(logs) == 0 {
		t.Errorf("transaction logs after a session: %q, %v", logs, err)
	}
	timed(t, "start after kill", s.Start)
	timed(t, "stop", s.Stop)
	must(t, s.Wipe())
	if _, err := os.Stat(s.DataDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("data after Wipe: %v, want none", err)
	}
	timed(t, "start after wipe", s.Start)
	timed(t, "restart", s.Restart)
	if log := s.Log(); !strings.Contains(log, "INFO") {
		t.Errorf("Log() has no lines of a server: %q", log)
	}
}

func TestPauseFreezesAndResumeContinues(t *testing.T) {
	e := start(t, ensemble.Config{})
	s := e.Server(0)
	must(t, s.Pause())
	answered := make(chan error, 1)
	go func() {
		answer, err := ensemble.FourLetter(s.Addr(), "ruok")
		if err == nil && answer != "imok" {
			err = errors.New(answer)
		}
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Fatalf("a paused server answered: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	must(t, s.Resume())
	must(t, <-answered) // the kernel accepted the connection meanwhile

	must(t, s.Pause())
	timed(t, "stop while paused", s.Stop)
	if err := s.Pause(); err == nil {
		t.Error("pausing a server that is down succeeded")
	}
	must(t, s.Resume())
}

func TestProxiedClientPorts(t *testing.T) {
	e := start(t, ensemble.Config{})
	addr := e.Proxied()
	mustFourLetter(t, addr, "ruok", "imok")
	if got := e.Proxy(0); got.Addr() != addr || got.Accepted() != 1 {
		t.Errorf("Proxy(0) is at %s with %d connections, want %s with 1", got.Addr(), got.Accepted(), addr)
	}
	e.Proxy(0).Refuse(true)
	if answer, err := ensemble.FourLetter(addr, "ruok"); err == nil {
		t.Errorf("through a proxy that refuses: %q", answer)
	}
	must(t, e.Restore(deadline(t)))
	mustFourLetter(t, addr, "ruok", "imok")
}

func TestEnsemblesRunSideBySide(t *testing.T) {
	a, b := start(t, ensemble.Config{}), start(t, ensemble.Config{})
	if a.Hosts() == b.Hosts() {
		t.Errorf("both ensembles are at %s", a.Hosts())
	}
	mustFourLetter(t, a.Hosts(), "ruok", "imok")
	mustFourLetter(t, b.Hosts(), "ruok", "imok")
}

func TestCloseLeavesNothing(t *testing.T) {
	leak.Check(t)
	ensemble.Require(t)
	t.Setenv("TMPDIR", t.TempDir())
	e, err := ensemble.Start(ensemble.Config{})
	must(t, err)
	e.Proxied()
	pid := e.Server(0).PID()
	must(t, e.Server(0).Pause())
	must(t, e.Close())
	must(t, e.Close())
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d after Close: %v, want that it is gone", pid, err)
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "*")); len(left) > 0 {
		t.Errorf("files left behind: %q", left)
	}
	if err := e.Server(0).Start(); err == nil {
		t.Error("starting a server of a closed ensemble succeeded")
	}
}

func TestStartTellsWhyAServerEnded(t *testing.T) {
	ensemble.Require(t)
	_, err := ensemble.Start(ensemble.Config{Properties: map[string]string{"tickTime": "often"}})
	if err == nil || !strings.Contains(err.Error(), "often") {
		t.Errorf("Start with a broken configuration: %v, want the server's reason", err)
	}
}

func TestConfigProblemsAreAllReported(t *testing.T) {
	ensemble.Require(t)
	_, err := ensemble.Start(ensemble.Config{
		Servers:       1,
		Observers:     1,
		QuorumProxies: true,
		TickTime:      time.Nanosecond,
		TLS:           &ensemble.TLSConfig{ClientAuth: "maybe"},
	})
	if err == nil {
		t.Fatal("Start succeeded")
	}
	for _, want := range []string{"observers", "QuorumProxies", "TickTime", "ClientAuth"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not mention %s", err, want)
		}
	}
}
