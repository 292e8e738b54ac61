package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo/internal/faultproxy"
)

// link is how one contender reaches the servers: by a proxy for each.
type link struct {
	sync.Mutex // held by whoever has a fault on it
	proxies    []*faultproxy.Proxy
}

// each does something to the way to every server.
func (l *link) each(f func(*faultproxy.Proxy)) {
	for _, p := range l.proxies {
		f(p)
	}
}

// server returns the index of the server that a proxy's address leads to.
func (l *link) server(addr string) (int, bool) {
	for i, p := range l.proxies {
		if p.Addr() == addr {
			return i, true
		}
	}
	return 0, false
}

// fault is something that is done to whoever holds the lock.
type fault struct {
	name   string
	weight int
	keep   float64 // session time-outs that the holder is told to hold on for; 0 when anybody will do, who holds or did
	do     func(ctx context.Context, h *hunter, g event) error
}

// hunter waits for holders and makes their lives hard.
type hunter struct {
	r      *runner
	rnd    *rand.Rand
	faults []fault
}

// The faults of the clients' side.
var clientFaults = []fault{
	{"stopped beyond expiry", 14, 5, func(ctx context.Context, h *hunter, g event) error { return h.stop(ctx, g, h.untilPassedOn(g)) }},
	{"stopped for a moment", 4, 0.7, func(ctx context.Context, h *hunter, g event) error { return h.stop(ctx, g, h.moment()) }},
	{"link swallows beyond expiry", 2, 5, func(ctx context.Context, h *hunter, g event) error {
		return h.link(ctx, g, func(p *faultproxy.Proxy) { p.BlackHole(true) }, h.untilPassedOn(g))
	}},
	{"link stalls beyond expiry", 1, 5, func(ctx context.Context, h *hunter, g event) error {
		dir := []faultproxy.Dir{faultproxy.Upstream, faultproxy.Downstream, faultproxy.Both}[h.rnd.IntN(3)]
		return h.link(ctx, g, func(p *faultproxy.Proxy) { p.Stall(dir, true) }, h.untilPassedOn(g))
	}},
	{"link swallows for a moment", 2, 0.7, func(ctx context.Context, h *hunter, g event) error {
		return h.link(ctx, g, func(p *faultproxy.Proxy) { p.BlackHole(true) }, h.moment())
	}},
	{"link cut", 2, 0.2, func(ctx context.Context, h *hunter, g event) error {
		return h.link(ctx, g, (*faultproxy.Proxy).Cut, func(context.Context) {})
	}},
}

// The faults between servers.
var serverFaults = []fault{
	{"follower cut off in silence", 8, 5, func(ctx context.Context, h *hunter, g event) error {
		return h.partition(ctx, g, false, h.r.servers.Blackout, h.untilElsewhere(g))
	}},
	{"follower cut off", 8, 0, func(ctx context.Context, h *hunter, g event) error {
		return h.partition(ctx, g, false, h.r.servers.Partition, h.moment())
	}},
	{"leader cut off", 1, 5, func(ctx context.Context, h *hunter, g event) error {
		return h.partition(ctx, g, true, h.r.servers.Partition, h.untilElsewhere(g))
	}},
	{"leader cut off in silence", 1, 5, func(ctx context.Context, h *hunter, g event) error {
		return h.partition(ctx, g, true, h.r.servers.Blackout, h.untilElsewhere(g))
	}},
}

// hunt does one thing after the other until ctx ends.
func (h *hunter) hunt(ctx context.Context) error {
	weights := 0
	for _, f := range h.faults {
		weights += f.weight
	}
	for {
		f, dice := h.faults[0], h.rnd.IntN(weights)
		for _, other := range h.faults {
			if f = other; dice < f.weight {
				break
			}
			dice -= f.weight
		}
		g, err := h.catch(ctx, f.keep)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		begin := now()
		if err := f.do(ctx, h, g); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		if f.keep > 0 {
			if err := h.r.keep(g, 0); err != nil { // it is let go, when it still holds
				return err
			}
		}
		h.r.log("%-28s contender %2d, %v", f.name, g.Contender, now().since(begin))
	}
}

// catch waits for a holder that agrees to hold on for some session time-outs, if nothing happens to it.
func (h *hunter) catch(ctx context.Context, timeouts float64) (event, error) {
	if timeouts == 0 {
		return h.r.journal.last(evGranted), ctx.Err()
	}
	from := h.r.journal.len()
	keep := time.Duration(timeouts * float64(h.r.cfg.Session))
	for {
		g, next, err := h.r.journal.wait(ctx, from, func(e event) bool { return e.Kind == evGranted && e.Long && h.r.mayTake(e.id()) })
		if err != nil {
			return event{}, err
		}
		if err := h.r.keep(g, keep); err != nil {
			return event{}, err
		}
		// One that is stopped by somebody else does not answer.
		soon, cancel := context.WithTimeout(ctx, longHold)
		_, _, err = h.r.journal.wait(soon, next, func(e event) bool { return e.Kind == evKept && e.id() == g.id() })
		cancel()
		if err == nil {
			return g, nil
		}
		from = h.r.journal.len()
	}
}

// untilPassedOn returns a wait until somebody else holds the lock, and a moment longer.
func (h *hunter) untilPassedOn(g event) func(context.Context) {
	return h.until(func(e event) bool { return e.Kind == evGranted && e.Contender != g.Contender })
}

// untilElsewhere returns a wait until somebody holds the lock who is connected to another server, and a moment longer.
func (h *hunter) untilElsewhere(g event) func(context.Context) {
	at, _ := h.r.links[g.Contender].server(g.Server)
	return h.until(func(e event) bool {
		if e.Kind != evGranted {
			return false
		}
		server, known := h.r.links[e.Contender].server(e.Server)
		return known && server != at
	})
}

// enough session time-outs are what it takes to get a lock from somebody who has vanished, when anybody can get it.
const enough = 3

// until returns a wait for an event, bounded by a few session time-outs, and a moment longer.
func (h *hunter) until(match func(event) bool) func(context.Context) {
	longer := h.upTo(h.r.cfg.Session / 8)
	return func(ctx context.Context) {
		soon, cancel := context.WithTimeout(ctx, enough*h.r.cfg.Session)
		defer cancel()
		if _, _, err := h.r.journal.wait(soon, h.r.journal.len(), match); err == nil {
			sleep(ctx, longer)
		}
	}
}

// moment returns a wait that is shorter than the session time-out.
func (h *hunter) moment() func(context.Context) {
	d := h.r.cfg.Session/10 + h.upTo(h.r.cfg.Session/2)
	return func(ctx context.Context) { sleep(ctx, d) }
}

func (h *hunter) upTo(d time.Duration) time.Duration { return time.Duration(h.rnd.Int64N(int64(d))) }

// stop stops the holder's process.
func (h *hunter) stop(ctx context.Context, g event, wait func(context.Context)) error {
	return h.r.processOf(g.Contender).stopFor(func() { wait(ctx) })
}

// link has a fault on the holder's connections.
func (h *hunter) link(ctx context.Context, g event, begin func(*faultproxy.Proxy), wait func(context.Context)) error {
	h.r.disturb(ctx, g.Contender, begin, wait)
	return nil
}

// partition cuts the leader off, or a follower: the one that the holder is connected to, if it is one.
func (h *hunter) partition(ctx context.Context, g event, leader bool, cut func(int), wait func(context.Context)) error {
	leads, err := h.r.servers.Leader()
	if err != nil {
		return nil // an election is on: next time
	}
	server, known := h.r.links[g.Contender].server(g.Server)
	switch {
	case leader:
		server = leads
	case !known || server == leads:
		server = (leads + 1 + h.rnd.IntN(h.r.servers.Len()-1)) % h.r.servers.Len()
		wait = h.moment() // it does not take the lock away
	}
	h.r.partition(ctx, server, cut, wait)
	return nil
}

// annoy disturbs contenders at random, most of whom wait: their links, and sometimes their process.
func (r *runner) annoy(ctx context.Context, rnd *rand.Rand) error {
	for sleep(ctx, time.Duration(rnd.Int64N(int64(100*time.Millisecond)))) {
		contender, n := rnd.IntN(r.cfg.Contenders), rnd.IntN(400)
		length := time.Duration(rnd.Int64N(int64(r.cfg.Session / 4)))
		wait := func(ctx context.Context) { sleep(ctx, length) }
		if rnd.IntN(20) == 0 {
			if err := r.processOf(contender).stopFor(func() { wait(ctx) }); err != nil {
				return err
			}
			continue
		}
		begin := []func(*faultproxy.Proxy){
			(*faultproxy.Proxy).Cut,
			func(p *faultproxy.Proxy) { p.CutAfter(faultproxy.Downstream, n) },
			func(p *faultproxy.Proxy) { p.CutAfter(faultproxy.Upstream, n) },
			func(p *faultproxy.Proxy) { p.BlackHole(true) },
			func(p *faultproxy.Proxy) { p.Stall(faultproxy.Downstream, true) },
			func(p *faultproxy.Proxy) { p.Delay(faultproxy.Both, time.Duration(n)*time.Millisecond/10) },
		}[rnd.IntN(6)]
		r.disturb(ctx, contender, begin, wait)
	}
	return nil
}
