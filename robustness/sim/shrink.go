package sim

import (
	"slices"
	"time"

	"github.com/gazoo-zk/gazoo/robustness/fault"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// Shrink makes a case that fails as small as it can: it leaves out programs and steps, and makes steps and the whole
// shorter, and keeps what still fails. It stops when nothing more can be left out, or when more returns false.
//
// The result has failed at least once, in fails or, when nothing could be left out, before.
func Shrink(c Case, all []*program.Program, fails func(Case) bool, more func() bool) Case {
	s := &shrinker{best: c, all: all, fails: fails, more: more}
	for before := -1; before != s.kept && more(); {
		before = s.kept
		s.programs()
		s.end()
		s.steps()
		s.start()
		s.end()
		s.shorten()
	}
	return s.best
}

type shrinker struct {
	best  Case
	all   []*program.Program
	fails func(Case) bool
	more  func() bool
	kept  int // how many smaller cases were found
}

// try keeps a case if it fails.
func (s *shrinker) try(c Case) bool {
	if !s.more() || !s.fails(c) {
		return false
	}
	s.best = c
	s.kept++
	return true
}

// programs leaves out programs: all but one, or else one after the other.
func (s *shrinker) programs() {
	if len(s.best.Programs) < 2 {
		return
	}
	for _, keep := range s.best.Programs {
		c := s.best
		for _, name := range s.best.Programs {
			if name != keep {
				c = c.Without(name, s.all)
			}
		}
		if s.try(c) {
			return
		}
	}
	for _, name := range s.best.Programs {
		if len(s.best.Programs) > 1 {
			s.try(s.best.Without(name, s.all))
		}
	}
}

// end leaves out the time behind the failure, by halves; it is not known when it was.
func (s *shrinker) end() {
	for s.best.Schedule.Length > 2*time.Second {
		c := s.best
		c.Schedule.Length /= 2
		c.Schedule.Steps = slices.DeleteFunc(slices.Clone(c.Schedule.Steps), func(f fault.Step) bool {
			return f.At+f.For > c.Schedule.Length
		})
		if !s.try(c) {
			return
		}
	}
}

// start leaves out the time before the first step.
func (s *shrinker) start() {
	const quiet = time.Second
	if len(s.best.Schedule.Steps) == 0 || s.best.Schedule.Steps[0].At <= quiet {
		return
	}
	c := s.best
	early := c.Schedule.Steps[0].At - quiet
	c.Schedule.Length -= early
	c.Schedule.Steps = slices.Clone(c.Schedule.Steps)
	for i := range c.Schedule.Steps {
		c.Schedule.Steps[i].At -= early
	}
	s.try(c)
}

// steps leaves out steps: halves first, then smaller and smaller pieces.
func (s *shrinker) steps() {
	for size := len(s.best.Schedule.Steps); size > 0; size /= 2 {
		for from := 0; from < len(s.best.Schedule.Steps); {
			c := s.best
			steps := slices.Clone(c.Schedule.Steps)
			c.Schedule.Steps = slices.Delete(steps, from, min(from+size, len(steps)))
			if !s.try(c) {
				from += size
			}
		}
	}
}

// shorten halves how long steps last.
func (s *shrinker) shorten() {
	for i := range s.best.Schedule.Steps {
		for s.best.Schedule.Steps[i].For > 100*time.Millisecond {
			c := s.best
			c.Schedule.Steps = slices.Clone(c.Schedule.Steps)
			c.Schedule.Steps[i].For /= 2
			if !s.try(c) {
				break
			}
		}
	}
}
