package zktest

import (
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo/zkserver"
)

// Clock is a clock that stands still until it is advanced: for tests of programs that cannot run
// in a bubble of testing/synctest, such as those with real sockets. It moves the time of the
// server alone. The client under test keeps the real one, so its pings go on, whatever the
// server's clock does. Its methods are safe for concurrent use.
type Clock struct {
	advance sync.Mutex // held by Advance

	mu      sync.Mutex // guards the fields below
	now     time.Time
	alarms  map[*alarm]struct{}
	set     int // counts alarms
	servers []*Server
}

type alarm struct {
	at  time.Time
	num int // orders those that are due at once
	f   func()
}

var _ zkserver.Clock = (*Clock)(nil)

// NewClock returns a clock that stands at midnight of January 1, 2026, UTC. Servers get it with
// [WithClock]; several may share it.
func NewClock() *Clock {
	return &Clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), alarms: make(map[*alarm]struct{})}
}

// Now returns the clock's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// AfterFunc calls f from [Clock.Advance] once the clock has advanced by d, unless stop is called
// before.
func (c *Clock) AfterFunc(d time.Duration, f func()) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set++
	a := &alarm{c.now.Add(max(d, 0)), c.set, f}
	c.alarms[a] = struct{}{}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.alarms, a)
	}
}

// Advance moves the clock by d, through everything that is due on the way in its order, and
// returns when the servers have handled it: sessions that ended are gone, and so are their
// ephemerals; what clients are told of it is on its way.
func (c *Clock) Advance(d time.Duration) {
	c.advance.Lock()
	defer c.advance.Unlock()
	target := c.Now().Add(d)
	c.settle() // so that what was asked for before is timed from before
	for {
		f := c.next(target)
		if f == nil {
			break
		}
		f()
		c.settle()
	}
	c.settle()
}

// next moves the clock to the next alarm until target, and takes it; or to target.
func (c *Clock) next(target time.Time) func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	var first *alarm
	for a := range c.alarms {
		if a.at.After(target) {
			continue
		}
		if first == nil || a.at.Before(first.at) || a.at.Equal(first.at) && a.num < first.num {
			first = a
		}
	}
	if first == nil {
		c.now = target
		return nil
	}
	delete(c.alarms, first)
	if first.at.After(c.now) {
		c.now = first.at
	}
	return first.f
}

// settle waits until the servers have done all that is queued.
func (c *Clock) settle() {
	c.mu.Lock()
	servers := append([]*Server(nil), c.servers...)
	c.mu.Unlock()
	for _, s := range servers {
		s.settle()
	}
}

func (c *Clock) attach(s *Server) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.servers = append(c.servers, s)
}

func (c *Clock) detach(s *Server) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, x := range c.servers {
		if x == s {
			c.servers = append(c.servers[:i:i], c.servers[i+1:]...)
			return
		}
	}
}

// settle waits until everything queued so far is handled: by the core, and by the endpoints,
// which may have heard from it.
func (s *Server) settle() {
	s.server().Zxid()
	for _, ep := range s.endpoints {
		ep.Zxid()
	}
}

// systemClock is the time of package time, which is virtual inside a bubble.
type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) AfterFunc(d time.Duration, f func()) (stop func()) {
	t := time.AfterFunc(d, f)
	return func() { t.Stop() }
}

// timers are what was asked to happen later.
type timers struct {
	clock zkserver.Clock

	mu     sync.Mutex // guards the fields below
	next   int
	stops  map[int]func()
	closed bool
	wg     sync.WaitGroup // calls under way
}

func (t *timers) after(d time.Duration, f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.next++
	id := t.next
	if t.stops == nil {
		t.stops = make(map[int]func())
	}
	t.stops[id] = t.clock.AfterFunc(d, func() {
		t.mu.Lock()
		if t.closed {
			t.mu.Unlock()
			return
		}
		delete(t.stops, id)
		t.wg.Add(1)
		t.mu.Unlock()
		defer t.wg.Done()
		f()
	})
}

func (t *timers) close() {
	t.mu.Lock()
	t.closed = true
	stops := t.stops
	t.stops = nil
	t.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
	t.wg.Wait()
}
