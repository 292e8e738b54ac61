package history

import (
	"cmp"
	"slices"
	"sync"
)

// Collector makes a history of what recorders note. It is safe for concurrent use.
type Collector struct {
	mu  sync.Mutex
	at  map[opID]int
	ops []Op
}

type opID struct {
	program     string
	client, run int
	id          int64
}

// Add takes what a recorder notes: of each operation the newest counts.
func (c *Collector) Add(op Op) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := opID{op.Program, op.Client, op.Run, op.ID}
	if i, begun := c.at[id]; begun {
		c.ops[i] = op
		return
	}
	if c.at == nil {
		c.at = map[opID]int{}
	}
	c.at[id] = len(c.ops)
	c.ops = append(c.ops, op)
}

// Ops returns the operations of a program, in the order in which they began.
func (c *Collector) Ops(program string) []Op {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ops []Op
	for _, op := range c.ops {
		if op.Program == program {
			ops = append(ops, op)
		}
	}
	slices.SortStableFunc(ops, func(a, b Op) int { return cmp.Compare(a.Start, b.Start) })
	return ops
}

// Len returns how many operations there are of all programs.
func (c *Collector) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.ops)
}
