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
	// the memory of a million znodes.
	roomShare = 8
	// between is how far apart collections should be at least while requests make garbage: they take time in proportion
	// to what is alive. The heap may grow by as much as is allocated meanwhile, at most by all of it.
	between   = 2 * time.Second
	tunePause = 250 * time.Millisecond
)

// tuner keeps the collector's headroom in proportion to what is alive and to the load. Who sets GOGC has decided
// otherwise.
type tuner struct {
	stop   context.CancelFunc
	loaded chan struct{} // closed by serving
	wg     sync.WaitGroup
}

func startTuner() *tuner {
	ctx, cancel := context.WithCancel(context.Background())
	t := &tuner{stop: cancel, loaded: make(chan struct{})}
	if os.Getenv("GOGC") == "" {
		t.wg.Go(func() { t.run(ctx) })
	}
	return t
}

// serving says that the data is loaded: what has been allocated for it is no measure of the load to come.
func (t *tuner) serving() { close(t.loaded) }

func (t *tuner) close() {
	t.stop()
	t.wg.Wait()
}

func (t *tuner) run(ctx context.Context) {
	tick := time.NewTicker(tunePause)
	defer tick.Stop()
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
	var before, rate uint64 // bytes in all, and for each tick
	for last := 0; ; {
		metrics.Read(sample)
		live, allocated := sample[0].Value.Uint64(), sample[1].Value.Uint64()
		select {
		case <-t.loaded:
			rate = max(allocated-before, rate-rate/8)
		default:
		}
		before = allocated
		if percent := heapPercent(live, rate*uint64(between/tunePause)); percent != last {
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

// heapPercent is the growth, in percent of what is alive, at which a collection begins, when so many bytes are allocated
// in the time that should lie between two.
func heapPercent(live, garbage uint64) int {
	room := max(leastRoom, live/roomShare, min(garbage, live))
	return int(min(400, max(1, 100*room/max(live, 1))))
}
