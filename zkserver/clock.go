package zkserver

import "time"

// Clock is where a server takes its time from: that of transactions, and what sessions,
// containers and TTLs are measured with. The deadlines of connections are on real time. A
// server in a bubble of testing/synctest needs none: it follows the bubble's time anyway.
type Clock interface {
	// Now returns the time. It never goes back.
	Now() time.Time

	// AfterFunc calls f, which does not wait for anything, once d has passed, unless stop was
	// called before. Neither it nor stop may wait for a call of f.
	AfterFunc(d time.Duration, f func()) (stop func())
}

// WithClock sets the server's clock (default the system's).
func WithClock(clock Clock) Option {
	return func(c *config) {
		if clock != nil {
			c.clock = clock
		}
	}
}

// systemClock is the time of package time.
type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) AfterFunc(d time.Duration, f func()) (stop func()) {
	t := time.AfterFunc(d, f)
	return func() { t.Stop() }
}

// alarm is a timer of the engine. What it calls runs on the engine's goroutine, behind all that
// was queued before. The engine owns it.
type alarm struct {
	srv  *Server
	call func(*engine)
	stop func()
	turn int // counts, so that a call from before it was set anew does nothing
}

func (a *alarm) init(s *Server, call func(*engine)) { a.srv, a.call, a.stop = s, call, func() {} }

// set makes the alarm go off after d, instead of when it would have.
func (a *alarm) set(d time.Duration) {
	a.cancel()
	turn := a.turn
	a.stop = a.srv.cfg.clock.AfterFunc(d, func() {
		a.srv.in.post(request{kind: kindDo, do: func(e *engine) {
			if turn == a.turn {
				a.call(e)
			}
		}})
	})
}

func (a *alarm) cancel() {
	a.turn++
	a.stop()
}
