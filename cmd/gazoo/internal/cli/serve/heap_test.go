package serve

import "testing"

func TestHeapPercent(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{
		{0, 400}, {4 << 20, 400}, {24 << 20, 100}, {96 << 20, 25}, {192 << 20, 12}, {1 << 30, 12}, {64 << 30, 12},
	} {
		if got := heapPercent(c.live); got != c.want {
			t.Errorf("heapPercent(%d MiB) = %d, want %d", c.live>>20, got, c.want)
		}
	}
}
