package serve

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// leastRoom is what the heap of a small server may always grow by between two collections.
	leastRoom = 24 << 20 // bytes
	// roomShare is the part of a large heap that it may grow by. The runtime's default is all of it, which would double
	// the memory of a million znodes; requests make little garbage, so that an eighth costs little time.
	roomShare = 8
	tunePause = 250 * time.Millisecond
)

// startTuning keeps the collector's headroom in proportion to what is alive, until stop is called. Who sets GOGC has
// decided otherwise.
func startTuning(ctx context.Context) (stop func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { tuneHeap(ctx) })
	return func() {
		cancel()
		wg.Wait()
	}
}

func tuneHeap(ctx context.Context) {
	tick := time.NewTicker(tunePause)
	defer tick.Stop()
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for last := 0; ; {
		metrics.Read(sample)
		if percent := heapPercent(sample[0].Value.Uint64()); percent != last {
			debug.SetGCPercent(percent)
			last = percent
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// heapPercent is the growth, in percent of what is alive, at which a collection begins.
func heapPercent(live uint64) int {
	room := max(leastRoom, live/roomShare)
	return int(min(400, max(1, 100*room/max(live, 1))))
}
