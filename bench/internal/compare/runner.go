package compare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/gazoo-zk/gazoo/bench/internal/load"
	"github.com/gazoo-zk/gazoo/bench/internal/seed"
)

// Runner runs loads. Programs and servers are made when the first load needs them.
type Runner struct {
	Dir      string // for binaries, and servers' data: on a real disk
	Rounds   int
	Duration time.Duration
	Warmup   time.Duration
	Log      io.Writer

	programs map[string]program
	servers  map[string]*server
	sync     time.Duration // that the disk takes to sync
}

// program is how to start a load program, or why it cannot be had here.
type program struct {
	command []string
	missing error
}

// Close stops the servers.
func (r *Runner) Close() error {
	var errs []error
	for _, s := range r.servers {
		errs = append(errs, s.stop())
	}
	r.servers = nil
	return errors.Join(errs...)
}

// Run runs a load: rounds, in each of which every subject has a turn, beginning with another one each time.
func (r *Runner) Run(ctx context.Context, l Load) (*Outcome, error) {
	fmt.Fprintf(r.Log, "\n%s: %s\n", l.Name, l.Title)
	o := &Outcome{Name: l.Name, Title: l.Title}
	var subjects []*Shown
	skip := func(name string, why error) error {
		if Required() && !errors.Is(why, load.ErrCannot) {
			return fmt.Errorf("%s: %w", name, why)
		}
		o.Skipped = append(o.Skipped, fmt.Sprintf("%s: %v", name, why))
		fmt.Fprintf(r.Log, "  %s is left out: %v\n", name, why)
		return nil
	}
	for _, s := range l.Subjects {
		p, err := r.program(ctx, s.Program)
		if err != nil {
			return nil, err
		}
		if p.missing != nil {
			if err := skip(s.Name, p.missing); err != nil {
				return nil, err
			}
			continue
		}
		command := slices.Concat(p.command, l.Flags, s.Flags, []string{
			"-duration", r.Duration.String(), "-warmup", r.Warmup.String(), "-json",
		})
		subjects = append(subjects, &Shown{Name: s.Name, Program: s.Program, Server: s.Server, Command: command})
	}
	for round := range r.Rounds {
		for i := range slices.Clone(subjects) {
			if len(subjects) == 0 {
				break
			}
			s := subjects[(i+round)%len(subjects)]
			if s == nil {
				continue
			}
			result, err := r.turn(ctx, s)
			if errors.Is(err, load.ErrCannot) {
				subjects[(i+round)%len(subjects)] = nil
				if err := skip(s.Name, load.ErrCannot); err != nil {
					return nil, err
				}
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.Name, err)
			}
			s.Rounds = append(s.Rounds, result)
		}
	}
	for _, s := range subjects {
		if s != nil {
			s.Summarise()
			s.Command = trim(s.Command, r.Dir)
			o.Subjects = append(o.Subjects, *s)
		}
	}
	for i, req := range l.Require {
		if req.Disk > 0 && r.sync > 0 {
			l.Require[i].Or = req.Disk * float64(inFlight(l, req.Of)) / r.sync.Seconds()
		}
	}
	o.Judge(l.Require)
	return o, nil
}

// trim takes the directory off a program's name, which is gone when somebody reads it.
func trim(command []string, dir string) []string {
	command = slices.Clone(command)
	for i, word := range command {
		if at := strings.LastIndex(word, "/load-"); at >= 0 {
			command[i] = word[at+1:]
		} else {
			command[i] = strings.Replace(word, dir, "DIR", 1)
		}
	}
	return command
}

// turn runs a program once.
func (r *Runner) turn(ctx context.Context, s *Shown) (_ *load.Result, err error) {
	if s.Server == None {
		return r.run(ctx, s, "")
	}
	srv, err := r.server(ctx, s.Server)
	if err != nil {
		return nil, err
	}
	if s.Server == EmbeddedNew {
		defer func() { err = errors.Join(err, srv.stop()) }()
	}
	spec, err := parse(s.Command)
	if err != nil {
		return nil, err
	}
	if srv.tree {
		if err := seed.Plant(ctx, srv.addr, spec); err != nil {
			return nil, fmt.Errorf("make znodes on %s: %w", s.Server, err)
		}
	}
	spent, memory := srv.cpu(), srv.memory()
	result, err := r.run(ctx, s, srv.addr)
	if err != nil {
		return nil, err
	}
	if result.Extra == nil {
		result.Extra = map[string]float64{}
	}
	if result.Total > 0 {
		result.Extra["server_cpu_us"] = float64((srv.cpu() - spent).Microseconds()) / float64(result.Total)
	}
	if s.Server == EmbeddedNew {
		peak := srv.memory()
		result.Extra["server_mib"] = peak / (1 << 20)
		if spec.Op == load.Sessions && spec.Names >= 100 {
			result.Extra["session_kib"] = (peak - memory) / 1024 / float64(spec.Names)
		}
	}
	return result, nil
}

// run runs a program on a server.
func (r *Runner) run(ctx context.Context, s *Shown, addr string) (*load.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, r.Warmup+r.Duration+2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.Command[0], append(slices.Clone(s.Command[1:]), "-hosts", addr)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 3 {
		return nil, load.ErrCannot
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, stderr.Bytes())
	}
	var result load.Result
	if err := json.Unmarshal(stdout.Bytes(), &result); err != nil {
		return nil, fmt.Errorf("%s: %w in %q", strings.Join(cmd.Args, " "), err, stdout.Bytes())
	}
	fmt.Fprintf(r.Log, "  %-16s %12.0f ops/s\n", s.Name, result.Rate)
	return &result, nil
}

// parse reads the flags of a load program's command line.
func parse(command []string) (load.Spec, error) {
	var spec load.Spec
	fs := flag.NewFlagSet("load", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	spec.AddTo(fs)
	at := slices.IndexFunc(command, func(word string) bool { return word == "-op" })
	err := fs.Parse(command[max(at, 0):])
	return spec, err
}

// inFlight returns how many requests of a subject are in flight.
func inFlight(l Load, subject string) int {
	for _, s := range l.Subjects {
		if s.Name == subject {
			spec, err := parse(slices.Concat(l.Flags, s.Flags))
			if err == nil {
				return spec.Conns * spec.Callers()
			}
		}
	}
	return 0
}

// Required reports whether everything that is missing is an error.
func Required() bool { return os.Getenv("GAZOO_REQUIRE_ZOOKEEPER") == "1" }
