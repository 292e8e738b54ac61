// Package run runs client programs in a world while a schedule of faults is executed, and judges what they noted.
package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/robustness/fault"
	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// World is where programs run: servers, the ways to them, and processes.
type World interface {
	// Admin opens a client that no fault of the network touches. The caller closes it.
	Admin(ctx context.Context) (*gazoo.Client, error)
	Clock() history.Instant

	// Launch starts the clients of all programs; what they note goes to sink. Client i of the whole, over all programs in
	// their order, is the target i of faults. Stop tells them to let go, and waits until they have returned.
	Launch(ctx context.Context, root string, programs []*program.Program, seed uint64, sink func(history.Op)) (Clients, error)

	// Begin and End do what a step says and take it back. Both may take long. What makes no sense at the moment, such as
	// killing a server that is down already, does nothing.
	Begin(ctx context.Context, s fault.Step) error
	End(ctx context.Context, s fault.Step) error

	// Heal takes back all that is left of faults, and waits until everything serves.
	Heal(ctx context.Context) error
}

// Clients are the client programs of a run.
type Clients interface {
	// Stop returns the errors of the programs.
	Stop(ctx context.Context) []error
}

// How long the steps may take that no fault disturbs.
const (
	settling = time.Minute
	leaving  = time.Minute
)

// Result is what one run has shown.
type Result struct {
	Schedule   fault.Schedule
	Programs   []string
	Ops        map[string]Counts // by program
	Faults     map[fault.Kind]int
	Violations []Found
	Took       time.Duration
	History    *history.Collector
}

// Counts are the numbers of operations by outcome.
type Counts struct{ OK, Refused, Maybe int }

// Found is a violation of a program's promise.
type Found struct {
	Program string
	program.Violation
}

func (f Found) String() string { return f.Program + ": " + f.Violation.String() }

// Run runs programs under a schedule and judges them. An error means that the run itself could not be done, and says
// nothing about them.
func Run(ctx context.Context, w World, root string, programs []*program.Program, s fault.Schedule) (*Result, error) {
	r, err := Execute(ctx, w, root, programs, s)
	if err != nil {
		return nil, err
	}
	r.Judge(programs)
	return r, nil
}

// Execute is [Run] without a judgement, for worlds on virtual time: checkers have deadlines in real time.
func Execute(ctx context.Context, w World, root string, programs []*program.Program, s fault.Schedule) (*Result, error) {
	begin := w.Clock()
	r := &Result{Schedule: s, Ops: map[string]Counts{}, Faults: map[fault.Kind]int{}, History: &history.Collector{}}
	for _, p := range programs {
		r.Programs = append(r.Programs, p.Name)
	}
	if err := r.setup(ctx, w, root, programs); err != nil {
		return nil, fmt.Errorf("setup: %w", err)
	}
	clients, err := w.Launch(ctx, root, programs, s.Seed, r.History.Add)
	if err != nil {
		return nil, fmt.Errorf("launch: %w", err)
	}
	faulty := r.execute(ctx, w, s)
	heal, cancel := context.WithTimeout(ctx, settling)
	err = w.Heal(heal)
	cancel()
	stop, cancel := context.WithTimeout(ctx, leaving)
	defer cancel()
	for _, err := range clients.Stop(stop) {
		r.Violations = append(r.Violations, Found{"", program.Violated("it works on", "%v", err)})
	}
	if err := errors.Join(faulty, err); err != nil {
		return nil, err
	}
	if err := r.final(ctx, w, root, programs, s.Seed); err != nil {
		return nil, fmt.Errorf("final: %w", err)
	}
	r.Took = w.Clock().Since(begin)
	return r, nil
}

// Root returns the path that is the chroot of a program's clients.
func Root(root string, p *program.Program) string { return root + "/" + p.Name }

func (r *Result) setup(ctx context.Context, w World, root string, programs []*program.Program) error {
	zk, err := w.Admin(ctx)
	if err != nil {
		return err
	}
	defer zk.CloseNow()
	for _, p := range programs {
		if _, err := zk.EnsurePath(ctx, Root(root, p)); err != nil {
			return err
		}
		if p.Setup == nil {
			continue
		}
		view, err := zk.Chroot(Root(root, p))
		if err != nil {
			return err
		}
		if err := p.Setup(ctx, view); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	return nil
}

// execute does the steps at their times; one that takes long does not keep others waiting.
func (r *Result) execute(ctx context.Context, w World, s fault.Schedule) error {
	start := w.Clock()
	var wg sync.WaitGroup
	errs := make([]error, len(s.Steps))
	for i, step := range s.Steps {
		if !program.Sleep(ctx, step.At-w.Clock().Since(start)) {
			break
		}
		r.Faults[step.Kind]++
		wg.Go(func() {
			if err := w.Begin(ctx, step); err != nil {
				errs[i] = fmt.Errorf("%v: %w", step, err)
				return
			}
			program.Sleep(ctx, step.For)
			if err := w.End(ctx, step); err != nil {
				errs[i] = fmt.Errorf("end of %v: %w", step, err)
			}
		})
	}
	program.Sleep(ctx, s.Length-w.Clock().Since(start))
	wg.Wait()
	return errors.Join(errs...)
}

func (r *Result) final(ctx context.Context, w World, root string, programs []*program.Program, seed uint64) error {
	for _, p := range programs {
		if p.Final == nil {
			continue
		}
		e := NewEnv(p, ClientsOf(p), 0, seed, w.Clock, r.History.Add)
		e.Connect = func(ctx context.Context, opts ...gazoo.Option) (*gazoo.Client, error) {
			zk, err := w.Admin(ctx)
			if err != nil {
				return nil, err
			}
			return zk.Chroot(Root(root, p))
		}
		if err := p.Final(ctx, e); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	return nil
}

// Judge counts the operations and lets the programs' checkers look at them.
func (r *Result) Judge(programs []*program.Program) {
	for _, p := range programs {
		ops := r.History.Ops(p.Name)
		if !p.Expiries {
			ops = slices.DeleteFunc(ops, history.Op.IsExpiry)
		}
		var n Counts
		for i := range ops {
			switch ops[i].Outcome {
			case history.OK:
				n.OK++
			case history.Refused:
				n.Refused++
			default:
				n.Maybe++
			}
		}
		r.Ops[p.Name] = n
		for _, v := range p.Check(ops) {
			r.Violations = append(r.Violations, Found{p.Name, v})
		}
	}
	slices.SortStableFunc(r.Violations, func(a, b Found) int { return strings.Compare(a.Program, b.Program) })
}
