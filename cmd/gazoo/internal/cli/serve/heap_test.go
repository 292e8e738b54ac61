package serve

import "testing"

func TestHeapPercent(t *testing.T) {
	for _, c := range []struct {
		live, garbage uint64
		want          int
	}{
		{0, 0, 400},
		{4 << 20, 0, 400},
		{24 << 20, 0, 100},
		{96 << 20, 0, 25},
		{192 << 20, 0, 12},
		{1 << 30, 0, 12},
		{64 << 30, 0, 12},
		{192 << 20, 48 << 20, 25},
		{192 << 20, 1 << 30, 100},
		{4 << 20, 1 << 30, 400},
	} {
		if got := heapPercent(c.live, c.garbage); got != c.want {
			t.Errorf("heapPercent(%d MiB, %d MiB) = %d, want %d", c.live>>20, c.garbage>>20, got, c.want)
		}
	}
}
