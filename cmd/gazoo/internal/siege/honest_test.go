//go:build linux

package siege

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// honest are clients that read and write at a steady pace, and measure how long it takes.
type honest struct {
	t     testing.TB
	conns []*client
}

func newHonest(t testing.TB, addr string) *honest {
	t.Helper()
	h := &honest{t: t}
	for i := range 4 {
		c := mustOpen(t, addr)
		mustCall(t, c, zkproto.OpCreate, create(fmt.Sprintf("/honest%d", i)))
		h.conns = append(h.conns, c)
	}
	return h
}

// during measures until f has ended, and returns the 99th percentile.
func (h *honest) during(f func()) time.Duration {
	h.t.Helper()
	stop := make(chan struct{})
	times, errs := make([][]time.Duration, len(h.conns)), make([]error, len(h.conns))
	var wg sync.WaitGroup
	for i, c := range h.conns {
		wg.Go(func() { times[i], errs[i] = c.measure(fmt.Sprintf("/honest%d", i), stop) })
	}
	f()
	close(stop)
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			h.t.Fatalf("an honest client failed: %v", err)
		}
	}
	all := slices.Concat(times...)
	slices.Sort(all)
	return all[len(all)*99/100]
}

// measure calls until stop is closed, every millisecond at most.
func (c *client) measure(path string, stop <-chan struct{}) (times []time.Duration, err error) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	c.nc.SetDeadline(time.Now().Add(time.Hour))
	for i := 0; ; i++ {
		select {
		case <-tick.C:
		case <-stop:
			return times, nil
		}
		begin := time.Now()
		if i%2 == 0 {
			err = c.call(zkproto.OpGetData, zkproto.PathWatchRequest{Path: path})
		} else {
			err = c.call(zkproto.OpSetData, zkproto.SetDataRequest{Path: path, Data: make([]byte, 100), Version: -1})
		}
		if err != nil {
			return nil, err
		}
		times = append(times, time.Since(begin))
	}
}

// slower is how many times longer requests of honest clients may take under attack, at the 99th
// percentile. What takes less than leastTime counts as that.
const (
	slower    = 5
	leastTime = time.Millisecond
)

// compare measures without and with an attack. The machine is not the test's alone, so a
// comparison that fails is made again, twice.
func (h *honest) compare(name string, calm, attack func()) {
	h.t.Helper()
	var before, under time.Duration
	for range 3 {
		before, under = h.during(calm), h.during(attack)
		if under <= slower*max(before, leastTime) {
			break
		}
	}
	fmt.Printf("hostile: attack=%s p99_calm_us=%d p99_attacked_us=%d\n", name, before.Microseconds(), under.Microseconds())
	if under > slower*max(before, leastTime) {
		h.t.Errorf("%s: requests of other clients took %v at the 99th percentile, without the attack %v: more than %d times", name, under, before, slower)
	}
}

// quiet lets time go by.
func quiet(d time.Duration) func() {
	return func() { <-time.NewTimer(d).C }
}
