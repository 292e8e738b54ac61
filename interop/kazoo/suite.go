package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// suite says how the tests are run on a target.
type suite struct {
	shards  int
	only    string
	verbose bool
	tmp     string
}

// target is a kind of server, and what became of the tests on it.
type target struct {
	name  string
	start func(dir string) (server, error)
	suite suite

	results results
	reruns  int
	err     error
}

const (
	python  = "/usr/bin/python3" // Debian's: another one on the PATH would not have its packages
	version = "3.8.0"            // of ZooKeeper, as some tests look at it
)

// run runs the shards side by side, and then again what was not as expected.
func (t *target) run(ctx context.Context, expected map[string]outcome) error {
	parts := make([]results, t.suite.shards)
	errs := make([]error, t.suite.shards)
	var wg sync.WaitGroup
	for i := range parts {
		wg.Go(func() {
			parts[i], errs[i] = t.pytest(ctx, fmt.Sprintf("%s-%d", t.name, i), fmt.Sprintf("%d/%d", i, t.suite.shards), nil)
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	t.results = make(results)
	for _, part := range parts {
		for test, r := range part {
			if _, twice := t.results[test]; twice {
				return fmt.Errorf("%s ran in two shards", test)
			}
			t.results[test] = r
		}
	}
	if expected == nil {
		return nil
	}
	for try := range 2 {
		var again []string
		for test, r := range t.results {
			// One that was to fail and passed is as it is.
			if want := wanted(expected, test); r.Outcome != want && want == passed && strings.Contains(test, "::") {
				again = append(again, test)
			}
		}
		if len(again) == 0 || len(again) > 20 {
			return nil
		}
		slices.Sort(again)
		for _, test := range again {
			fmt.Printf("%s: again: %s (%s)\n", t.name, test, t.results[test].Reason)
		}
		t.reruns += len(again)
		part, err := t.pytest(ctx, fmt.Sprintf("%s-again-%d", t.name, try), "0/1", again)
		if err != nil {
			return err
		}
		for test, r := range part {
			t.results[test] = r
		}
	}
	return nil
}

// pytest runs a shard of the tests, or some of it, on a server of its own.
func (t *target) pytest(ctx context.Context, name, shard string, tests []string) (results, error) {
	dir := filepath.Join(t.suite.tmp, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	srv, err := t.start(filepath.Join(dir, "data"))
	if err != nil {
		return nil, err
	}
	defer srv.Close()
	ctl, err := newControl(srv)
	if err != nil {
		return nil, err
	}
	defer ctl.close()

	adapter, err := filepath.Abs("interop/kazoo/adapter")
	if err != nil {
		return nil, err
	}
	out := filepath.Join(dir, "results")
	args := []string{"-m", "pytest", "-q", "-p", "gazoo_adapter", "-p", "no:cacheprovider", "--pyargs"}
	if t.suite.only != "" {
		args = append(args, "-k", t.suite.only)
	}
	if tests == nil {
		args = append(args, "kazoo.tests")
	}
	for _, test := range tests {
		file, rest, _ := strings.Cut(test, "::")
		args = append(args, "kazoo.tests."+strings.TrimSuffix(file, ".py")+"::"+rest)
	}
	ctx, cancel := context.WithTimeout(ctx, 8*time.Minute) // a test that hangs
	defer cancel()
	cmd := exec.CommandContext(ctx, python, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PYTHONPATH="+adapter, "PYTHONDONTWRITEBYTECODE=1", "ZOOKEEPER_VERSION="+version,
		"KAZOO_SERVER="+srv.Addr(), "KAZOO_CONTROL="+ctl.url, "KAZOO_RESULTS="+out, "KAZOO_SHARD="+shard)
	output, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("shard %s: %w\n%s", shard, context.Cause(ctx), last(output))
	}
	// Pytest's exit code is 1 when tests fail and 5 when there are none.
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() != 1 && exit.ExitCode() != 5) {
		return nil, fmt.Errorf("shard %s: %w\n%s", shard, err, last(output))
	}
	if t.suite.verbose {
		fmt.Printf("== %s %s\n%s\n", t.name, shard, output)
	}
	return readResults(out)
}

// last returns the end of an output.
func last(b []byte) []byte { return b[max(0, len(b)-4096):] }

func readResults(path string) (results, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	all := make(results)
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		var r result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all[r.Test] = r
	}
	return all, nil
}
