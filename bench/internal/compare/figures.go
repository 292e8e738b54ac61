package compare

import (
	"fmt"
	"slices"

	"github.com/gazoo-zk/gazoo/bench/internal/load"
)

// Spread is a figure over several rounds.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func spread(values []float64) Spread {
	slices.Sort(values)
	n := len(values)
	// Of an even number the two in the middle count alike.
	return Spread{Median: (values[(n-1)/2] + values[n/2]) / 2, Min: values[0], Max: values[n-1]}
}

// Outcome is what the rounds of a load have shown.
type Outcome struct {
	Name     string   `json:"name"`
	Title    string   `json:"title"`
	Subjects []Shown  `json:"subjects"`
	Checks   []Check  `json:"checks,omitempty"`
	Skipped  []string `json:"skipped,omitempty"` // subjects that were not measured, and why
}

// Shown is a subject with what it did.
type Shown struct {
	Name    string            `json:"name"`
	Program string            `json:"program"`
	Server  string            `json:"server"`
	Command []string          `json:"command"`
	Figures map[string]Spread `json:"figures"`
	Rounds  []*load.Result    `json:"rounds"`
}

// Summarise computes a subject's figures. Only what every round has told is one.
func (s *Shown) Summarise() {
	values := map[string][]float64{}
	for _, r := range s.Rounds {
		put := func(metric string, v *float64) {
			if v != nil {
				values[metric] = append(values[metric], *v)
			}
		}
		put(Rate, &r.Rate)
		put("p50", r.P50)
		put(P99, r.P99)
		put("p99.9", r.P999)
		put(CPU, r.CPU)
		put(Allocs, r.Allocs)
		put("calls", r.Calls)
		if r.PeakRSS != nil {
			put("rss", new(float64(*r.PeakRSS)))
		}
		for key, v := range r.Extra {
			put(key, &v)
		}
	}
	s.Figures = map[string]Spread{}
	for metric, all := range values {
		if len(all) == len(s.Rounds) {
			s.Figures[metric] = spread(all)
		}
	}
}

// Check is a requirement with what became of it.
type Check struct {
	Text  string  `json:"text"`
	Value float64 `json:"value"`
	Pass  bool    `json:"pass"`
}

// String returns the check as a line: PASS or BELOW, and the number.
func (c Check) String() string {
	verdict := "BELOW"
	if c.Pass {
		verdict = "PASS"
	}
	return fmt.Sprintf("%-5s %s: %.3g", verdict, c.Text, c.Value)
}

// figure returns a subject's figure.
func (o *Outcome) figure(subject, metric string) (Spread, bool) {
	for _, s := range o.Subjects {
		if s.Name == subject {
			f, ok := s.Figures[metric]
			return f, ok
		}
	}
	return Spread{}, false
}

// best returns the peer with the best figure: of the other programs the one with the highest rate, or the lowest cost.
func (o *Outcome) best(metric string) (name string, f Spread, ok bool) {
	for _, s := range o.Subjects {
		if s.Program == Gazoo || s.Program == Raw {
			continue
		}
		this, has := s.Figures[metric]
		if !has {
			continue
		}
		better := this.Median < f.Median
		if metric == Rate {
			better = this.Median > f.Median
		}
		if !ok || better {
			name, f, ok = s.Name, this, true
		}
	}
	return name, f, ok
}

// Judge checks the requirements of a load. One whose subjects were not all measured is not met.
func (o *Outcome) Judge(requirements []Requirement) {
	for _, r := range requirements {
		o.Checks = append(o.Checks, o.judge(r))
	}
}

func (o *Outcome) judge(r Requirement) Check {
	c := Check{Text: o.Name + ": " + r.String()}
	mine, ok := o.figure(r.Of, r.Metric)
	if !ok {
		c.Text += " (not measured)"
		return c
	}
	c.Value = mine.Median
	if r.Than != "" {
		name := r.Than
		other, ok := o.figure(name, r.Metric)
		if r.Than == Best {
			name, other, ok = o.best(r.Metric)
		}
		if !ok || other.Median == 0 {
			c.Text += " (" + r.Than + " not measured)"
			return c
		}
		if r.Than == Best {
			c.Text += " (" + name + ")"
		}
		c.Value = mine.Median / other.Median
		if r.Overlap && mine.Max >= other.Min {
			c.Pass = true
			return c
		}
	}
	// Costs are compared as they are printed, so that one allocation in a thousand is none.
	v := c.Value
	if r.Metric == Allocs && r.Than == "" {
		v = float64(int(v*10+0.5)) / 10
	}
	c.Pass = (r.AtLeast == 0 || v >= r.AtLeast) && (r.AtMost < 0 || v <= r.AtMost)
	if r.Or > 0 && mine.Median >= r.Or {
		c.Pass = true
	}
	return c
}

// String says what is required.
func (r Requirement) String() string {
	s := r.Of + " " + r.Metric
	if r.AtLeast > 0 {
		s += fmt.Sprintf(" at least %.4g", r.AtLeast)
	} else {
		s += fmt.Sprintf(" at most %.3g", r.AtMost)
	}
	if r.Than != "" {
		s += " x " + r.Than
	}
	if r.Overlap {
		s += " or within the spread"
	}
	if r.Or > 0 {
		s += fmt.Sprintf(", or %.0f", r.Or)
	}
	return s
}
