package real

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/gazoo-zk/gazoo/robustness/history"
	"github.com/gazoo-zk/gazoo/robustness/program"
	"github.com/gazoo-zk/gazoo/robustness/run"
)

// clients are the client programs of one run, in their processes.
type clients struct {
	w     *World
	sink  func(history.Op)
	total int
	slots []*slot

	mu   sync.Mutex // guards errs
	errs []error
}

// slot is a place for a worker process, and for the next one when that is killed.
type slot struct {
	a assignment

	mu   sync.Mutex // guards what follows
	proc *process
}

func (s *slot) process() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc
}

// Launch implements [run.World]. Clients are dealt to the processes in turn.
func (w *World) Launch(_ context.Context, root string, programs []*program.Program, seed uint64, sink func(history.Op)) (run.Clients, error) {
	c := &clients{w: w, sink: sink}
	for range w.cfg.Processes {
		c.slots = append(c.slots, &slot{a: assignment{Root: root, Seed: seed, Session: w.cfg.Session, Direct: w.ensemble.Hosts()}})
	}
	for _, p := range programs {
		for i := range run.ClientsOf(p) {
			l, err := w.link(c.total)
			if err != nil {
				return nil, err
			}
			s := c.slots[c.total%len(c.slots)]
			s.a.Clients = append(s.a.Clients, seat{Number: c.total, Program: p.Name, Client: i, Hosts: l.hosts()})
			c.total++
		}
	}
	for _, s := range c.slots {
		if err := c.start(s); err != nil {
			c.kill()
			return nil, err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clients = c
	return c, nil
}

// start starts a process for a slot that has none.
func (c *clients) start(s *slot) error {
	p, err := start(c.w.spawn, s.a, c.hear)
	s.mu.Lock()
	defer s.mu.Unlock()
	if p != nil {
		s.proc = p
		s.a.Run++
	}
	return err
}

func (c *clients) hear(r report) {
	switch {
	case r.Op != nil:
		c.sink(*r.Op)
	case r.Problem != "":
		c.problem(errors.New(r.Problem))
	}
}

func (c *clients) problem(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errs = append(c.errs, err)
}

func (c *clients) slotOf(client int) *slot { return c.slots[client%len(c.slots)] }

// Stop implements [run.Clients].
func (c *clients) Stop(ctx context.Context) []error {
	c.w.mu.Lock()
	c.w.clients = nil
	c.w.mu.Unlock()
	for i, s := range c.slots {
		if err := s.process().tell(order{Do: doStop}); err != nil {
			c.problem(fmt.Errorf("worker process %d: %w", i, err))
		}
	}
	for i, s := range c.slots {
		if err := s.process().end(ctx); err != nil {
			c.problem(fmt.Errorf("worker process %d: %w", i, err))
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.errs
}

// kill ends all processes at once.
func (c *clients) kill() {
	for _, s := range c.slots {
		if p := s.process(); p != nil {
			p.kill()
		}
	}
}
