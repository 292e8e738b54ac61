package ensemble

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Kind names an ensemble that the tests of a process share. It is also the name of the target in [TargetsVariable].
type Kind string

// Standalone is one server. Ensemble3 is a quorum of three, with proxies between them.
const (
	Standalone Kind = "standalone"
	Ensemble3  Kind = "ensemble3"
)

// Kinds returns every kind, in the order in which [ForEach] runs them.
func Kinds() []Kind { return []Kind{Standalone, Ensemble3} }

// TargetsVariable is the environment variable that restricts what tests run against: a comma-separated list of target
// names, of which this package knows its kinds. Unset or empty means all.
const TargetsVariable = "GAZOO_TEST_TARGETS"

// TargetEnabled reports whether [TargetsVariable] lets tests run against the named target.
func TargetEnabled(name string) bool {
	targets := os.Getenv(TargetsVariable)
	if strings.TrimSpace(targets) == "" {
		return true
	}
	for target := range strings.SplitSeq(targets, ",") {
		if strings.TrimSpace(target) == name {
			return true
		}
	}
	return false
}

// restoreTimeout bounds how long a shared ensemble may take to get over what the last test did to it.
const restoreTimeout = 60 * time.Second

// sharedEnsemble is one per kind and process. It is the one thing here that outlives a test, because starting servers
// for each would take most of the time.
type sharedEnsemble struct {
	cfg Config

	mu     sync.Mutex // held while the ensemble starts, so that others wait for it
	e      *Ensemble
	err    error
	closed bool
}

var shared = map[Kind]*sharedEnsemble{
	Standalone: {cfg: Config{Servers: 1}},
	Ensemble3:  {cfg: Config{Servers: 3, QuorumProxies: true}},
}

// Shared returns the process's ensemble of a kind and starts it at the first call. It skips the test when
// [TargetsVariable] excludes the kind or ZooKeeper is not available: see [Require].
//
// Tests may do to the servers what they like, as long as no two tests that share them run in parallel: Shared first
// brings the ensemble back with [Ensemble.Restore]. Data stays, so each test uses paths of its own. Nobody but
// [CloseShared] closes it.
func Shared(tb testing.TB, kind Kind) *Ensemble {
	tb.Helper()
	if !TargetEnabled(string(kind)) {
		tb.Skipf("%s=%s excludes %s", TargetsVariable, os.Getenv(TargetsVariable), kind)
	}
	Require(tb)
	s, ok := shared[kind]
	if !ok {
		tb.Fatalf("ensemble: no kind %q", kind)
	}
	e, err := s.get()
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(tb.Context(), restoreTimeout)
	defer cancel()
	if err := e.Restore(ctx); err != nil {
		tb.Fatal(err)
	}
	return e
}

func (s *sharedEnsemble) get() (*Ensemble, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("ensemble: the shared ensembles are closed")
	}
	if s.e == nil && s.err == nil {
		s.e, s.err = Start(s.cfg)
	}
	return s.e, s.err
}

func (s *sharedEnsemble) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.e == nil {
		return nil
	}
	return s.e.Close()
}

// ForEach runs f as one subtest per [Kind] that [TargetsVariable] allows, each on the shared ensemble. It skips the
// test when there is none.
func ForEach(t *testing.T, f func(t *testing.T, e *Ensemble)) {
	t.Helper()
	kinds := slices.DeleteFunc(Kinds(), func(k Kind) bool { return !TargetEnabled(string(k)) })
	if len(kinds) == 0 {
		t.Skipf("%s=%s excludes %v", TargetsVariable, os.Getenv(TargetsVariable), Kinds())
	}
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) { f(t, Shared(t, kind)) })
	}
}

// CloseShared closes the shared ensembles that were started. Call it after the last test.
func CloseShared() error {
	var errs []error
	for _, kind := range Kinds() {
		errs = append(errs, shared[kind].close())
	}
	return errors.Join(errs...)
}

// Runner is what TestMain runs.
type Runner interface{ Run() int }

// WithShared wraps the M of a TestMain so that the shared ensembles are closed when its tests are over:
//
//	func TestMain(m *testing.M) { leak.Main(ensemble.WithShared(m)) }
func WithShared(m Runner) Runner { return closingRunner{m} }

type closingRunner struct{ m Runner }

func (r closingRunner) Run() int {
	code := r.m.Run()
	if err := CloseShared(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	return code
}
