package load

import (
	"sync/atomic"
	"time"

	"github.com/gazoo-zk/gazoo/internal/histogram"
)

// Meter counts what one worker does. Each worker has its own, on a cache line of its own.
type Meter struct {
	ops    atomic.Int64
	shared *shared
	n      int
	sample int
	_      [64]byte
}

// shared is what the meters of a run have in common.
type shared struct {
	stop atomic.Bool
	hist histogram.Histogram
}

var epoch = time.Now()

// Running reports whether the worker is to go on.
func (m *Meter) Running() bool { return !m.shared.stop.Load() }

// Begin notes that an operation begins; what it returns goes to End. It reads the clock for one operation of -sample.
func (m *Meter) Begin() time.Duration {
	m.n++
	if m.n < m.sample {
		return 0
	}
	m.n = 0
	return time.Since(epoch)
}

// End counts an operation that began at since.
func (m *Meter) End(since time.Duration) {
	m.ops.Add(1)
	if since != 0 {
		m.shared.hist.Record(time.Since(epoch) - since)
	}
}

// Count counts n operations without latencies.
func (m *Meter) Count(n int) { m.ops.Add(int64(n)) }
