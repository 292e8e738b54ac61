// Package histogram counts durations in buckets of constant relative width, so that percentiles far out are as exact
// as the median and nothing is thrown away: what HdrHistogram does, in the few lines that a latency needs. Recording
// allocates nothing, takes no lock, and may be done from many goroutines.
package histogram

import (
	"iter"
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

const (
	subBits = 7 // 128 buckets for each power of two: no value is off by more than 1/128
	sub     = 1 << subBits
	buckets = (63 - subBits + 1) * sub
)

// Histogram counts durations from 0 up; negative ones count as 0. The zero value is empty and ready for use.
type Histogram struct {
	counts [buckets]atomic.Uint64
}

// Record counts one duration.
func (h *Histogram) Record(d time.Duration) {
	h.counts[bucket(uint64(max(d, 0)))].Add(1)
}

// bucket returns the index of the bucket for a value below 2^63: values below 128 have one each, and every further
// power of two has 128.
func bucket(v uint64) int {
	if v < sub {
		return int(v)
	}
	shift := bits.Len64(v) - subBits - 1
	return (shift+1)<<subBits + int(v>>shift) - sub
}

// bounds returns the smallest value of a bucket and the largest.
func bounds(i int) (low, high uint64) {
	if i < sub {
		return uint64(i), uint64(i)
	}
	shift := i>>subBits - 1
	low = uint64(i&(sub-1)+sub) << shift
	return low, low + 1<<shift - 1
}

// Snapshot is the state of a histogram at one moment. Records made meanwhile are in it or not.
type Snapshot struct {
	counts []uint64
	total  uint64
}

// Snapshot returns the counts so far.
func (h *Histogram) Snapshot() Snapshot {
	s := Snapshot{counts: make([]uint64, buckets)}
	for i := range h.counts {
		s.counts[i] = h.counts[i].Load()
		s.total += s.counts[i]
	}
	return s
}

// Since returns what was recorded after an earlier snapshot of the same histogram. The zero Snapshot is the earliest.
func (s Snapshot) Since(before Snapshot) Snapshot {
	diff := Snapshot{counts: make([]uint64, len(s.counts)), total: s.total - before.total}
	for i, n := range s.counts {
		if i < len(before.counts) {
			n -= before.counts[i]
		}
		diff.counts[i] = n
	}
	return diff
}

// Plus returns both together, for histograms of several things.
func (s Snapshot) Plus(other Snapshot) Snapshot {
	sum := Snapshot{counts: make([]uint64, buckets), total: s.total + other.total}
	copy(sum.counts, s.counts)
	for i, n := range other.counts {
		sum.counts[i] += n
	}
	return sum
}

// Count returns how many durations there are.
func (s Snapshot) Count() uint64 { return s.total }

// Quantile returns the duration that a share q of all, 0 to 1, does not exceed: the upper bound of its bucket, so
// never less than the truth and at most 1/128 more. It is 0 when there are none.
func (s Snapshot) Quantile(q float64) time.Duration {
	if s.total == 0 {
		return 0
	}
	rank := min(max(uint64(math.Ceil(q*float64(s.total))), 1), s.total)
	for i, n := range s.counts {
		if n >= rank {
			_, high := bounds(i)
			return time.Duration(high)
		}
		rank -= n
	}
	panic("histogram: the counts do not add up to the total")
}

// Max returns the upper bound of the largest bucket that is not empty.
func (s Snapshot) Max() time.Duration { return s.Quantile(1) }

// Bucket is a range of durations, both ends included, and how many there were.
type Bucket struct {
	Low, High time.Duration
	Count     uint64
}

// Doublings iterates over the counts by powers of two, from the first that is not empty to the last.
func (s Snapshot) Doublings() iter.Seq[Bucket] {
	return func(yield func(Bucket) bool) {
		var rows [64]Bucket
		first, last := len(rows), -1
		for i, n := range s.counts {
			if n == 0 {
				continue
			}
			low, _ := bounds(i)
			k := bits.Len64(low)
			rows[k].Count += n
			first, last = min(first, k), max(last, k)
		}
		for k := first; k <= last; k++ {
			b := rows[k]
			if k > 0 {
				b.Low, b.High = 1<<(k-1), 1<<k-1
			}
			if !yield(b) {
				return
			}
		}
	}
}
