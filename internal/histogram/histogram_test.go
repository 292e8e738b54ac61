package histogram

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestBuckets shows that the buckets follow each other without a gap or an overlap, and are narrow.
func TestBuckets(t *testing.T) {
	next := uint64(0)
	for i := range buckets {
		low, high := bounds(i)
		if low != next {
			t.Fatalf("bucket %d begins at %d, want %d", i, low, next)
		}
		if bucket(low) != i || bucket(high) != i {
			t.Fatalf("bounds(%d) = %d, %d, which belong to the buckets %d and %d", i, low, high, bucket(low), bucket(high))
		}
		if low > 0 && float64(high-low)/float64(low) > 1.0/sub {
			t.Fatalf("bucket %d from %d to %d is too wide", i, low, high)
		}
		next = high + 1
	}
	if next != 1<<63 {
		t.Errorf("the last bucket ends below %d, want 2^63", next)
	}
	if got := bucket(math.MaxInt64); got != buckets-1 {
		t.Errorf("bucket of the longest duration = %d, want %d", got, buckets-1)
	}
}

// TestQuantile compares with the truth, from sorted values.
func TestQuantile(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var h Histogram
	values := make([]time.Duration, 100_000)
	for i := range values {
		values[i] = time.Duration(math.Exp(rnd.NormFloat64()*2+10) + 1)
		h.Record(values[i])
	}
	slices.Sort(values)
	s := h.Snapshot()
	if s.Count() != uint64(len(values)) {
		t.Fatalf("Count() = %d, want %d", s.Count(), len(values))
	}
	for _, q := range []float64{0, 0.001, 0.5, 0.9, 0.99, 0.999, 0.99999, 1} {
		rank := max(int(math.Ceil(q*float64(len(values)))), 1)
		want := values[rank-1]
		got := s.Quantile(q)
		if got < want || float64(got) > float64(want)*(1+1.0/sub) {
			t.Errorf("Quantile(%v) = %v, want %v or at most 1/%d more", q, got, want, sub)
		}
	}
}

func TestQuantileOfNone(t *testing.T) {
	var h Histogram
	if got := h.Snapshot().Quantile(0.99); got != 0 {
		t.Errorf("Quantile of an empty histogram = %v, want 0", got)
	}
	for b := range h.Snapshot().Doublings() {
		t.Errorf("an empty histogram has the row %v", b)
	}
}

// TestSince shows that what came before a snapshot does not count.
func TestSince(t *testing.T) {
	var h Histogram
	h.Record(time.Second)
	before := h.Snapshot()
	h.Record(-5)
	h.Record(time.Microsecond)
	h.Record(time.Millisecond)
	got := h.Snapshot().Since(before)
	if got.Count() != 3 || got.Max() >= 1010*time.Microsecond || got.Quantile(0) != 0 {
		t.Errorf("Since: %d values from %v to %v, want 3 from 0 to 1ms", got.Count(), got.Quantile(0), got.Max())
	}
	if all := h.Snapshot().Since(Snapshot{}); all.Count() != 4 {
		t.Errorf("since the zero snapshot there are %d values, want 4", all.Count())
	}
}

func TestPlus(t *testing.T) {
	var a, b Histogram
	a.Record(time.Millisecond)
	b.Record(time.Second)
	b.Record(time.Millisecond)
	sum := Snapshot{}.Plus(a.Snapshot()).Plus(b.Snapshot())
	if sum.Count() != 3 || sum.Max() < time.Second || sum.Quantile(0.66) > 1010*time.Microsecond {
		t.Errorf("Plus: %d values, two thirds up to %v, all up to %v", sum.Count(), sum.Quantile(0.66), sum.Max())
	}
	if a.Snapshot().Count() != 1 {
		t.Error("Plus has changed what it was given")
	}
}

func TestRecordFromManyGoroutines(t *testing.T) {
	var h Histogram
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 10_000 {
				h.Record(time.Duration(i))
			}
		})
	}
	wg.Wait()
	if got := h.Snapshot().Count(); got != 80_000 {
		t.Errorf("Count() = %d, want 80000", got)
	}
}

func TestDoublings(t *testing.T) {
	var h Histogram
	for _, d := range []time.Duration{3, 4, 7, 16, 31} {
		h.Record(d)
	}
	want := []Bucket{{2, 3, 1}, {4, 7, 2}, {8, 15, 0}, {16, 31, 2}}
	if got := slices.Collect(h.Snapshot().Doublings()); !slices.Equal(got, want) {
		t.Errorf("Doublings() = %v, want %v", got, want)
	}
}

func TestRecordAllocatesNothing(t *testing.T) {
	var h Histogram
	if n := testing.AllocsPerRun(100, func() { h.Record(time.Millisecond) }); n != 0 {
		t.Errorf("Record allocates %v times, want 0", n)
	}
}
