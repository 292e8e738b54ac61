package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gazoo-zk/gazoo/robustness/fault"
	"github.com/gazoo-zk/gazoo/robustness/program"
	"github.com/gazoo-zk/gazoo/robustness/run"
)

// Case is all that a play depends on.
type Case struct {
	Form     Form           `json:"form"`
	Programs []string       `json:"programs"`
	Schedule fault.Schedule `json:"schedule"`
}

// Make makes the case of a seed.
func (m Mix) Make(seed uint64, length time.Duration, programs []*program.Program) Case {
	c := Case{Form: m.Form, Schedule: m.Mix.Make(seed, length)}
	for _, p := range programs {
		c.Programs = append(c.Programs, p.Name)
	}
	return c
}

// ParseCase reads what [Case.String] has written.
func ParseCase(text string) (c Case, err error) {
	err = json.Unmarshal([]byte(text), &c)
	return c, err
}

// String returns the case on one line, as [ParseCase] reads it.
func (c Case) String() string {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // it is plain data
	}
	return string(text)
}

// Choose returns the programs of the case.
func (c Case) Choose(all []*program.Program) ([]*program.Program, error) {
	var chosen []*program.Program
	for _, name := range c.Programs {
		i := slices.IndexFunc(all, func(p *program.Program) bool { return p.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("sim: no program %q", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// Play executes the case. It must be called in a bubble of testing/synctest; [run.Result.Judge] must not.
func (c Case) Play(ctx context.Context, all []*program.Program) (*run.Result, error) {
	chosen, err := c.Choose(all)
	if err != nil {
		return nil, err
	}
	w, err := New(c.Form, c.Schedule.Seed)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	return run.Execute(ctx, w, "/r", chosen, c.Schedule)
}

// Without returns the case without one of its programs. Faults hit the same clients as before.
func (c Case) Without(name string, all []*program.Program) Case {
	type client struct {
		program string
		number  int
	}
	list := func(names []string) (clients []client) {
		for _, p := range all {
			if slices.Contains(names, p.Name) {
				for i := range run.ClientsOf(p) {
					clients = append(clients, client{p.Name, i})
				}
			}
		}
		slices.SortStableFunc(clients, func(a, b client) int { return slices.Index(names, a.program) - slices.Index(names, b.program) })
		return clients
	}
	before := list(c.Programs)
	c.Programs = slices.DeleteFunc(slices.Clone(c.Programs), func(n string) bool { return n == name })
	after := list(c.Programs)
	var steps []fault.Step
	for _, s := range c.Schedule.Steps {
		if ofClient(s.Kind) {
			if s.Target = slices.Index(after, before[s.Target%len(before)]); s.Target < 0 {
				continue
			}
		}
		steps = append(steps, s)
	}
	c.Schedule.Steps = steps
	return c
}

// Describe lists the steps, one on a line.
func (c Case) Describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %v, %v:\n", c.Form, c.Schedule.Length, c.Programs)
	for _, s := range c.Schedule.Steps {
		fmt.Fprintf(&b, "\t%v\n", s)
	}
	return b.String()
}
