package gazoo

import (
	"math/rand/v2"
	"slices"
)

// hostRing hands out the configured hosts round by round. Owned by the manager.
type hostRing struct {
	hosts   []Host
	next    int // of hosts, the one to try next
	tried   int // in this round
	shuffle bool
	first   []Host // tried before the ring, once each (rebalancing, read-only hunt)
}

func newHostRing(hosts []Host, shuffle bool) *hostRing {
	r := &hostRing{hosts: slices.Clone(hosts), shuffle: shuffle}
	r.mix()
	return r
}

func (r *hostRing) list() []Host { return slices.Clone(r.hosts) }

func (r *hostRing) mix() {
	if r.shuffle {
		rand.Shuffle(len(r.hosts), func(i, j int) { r.hosts[i], r.hosts[j] = r.hosts[j], r.hosts[i] })
	}
}

// begin starts a new round behind the host used last, so that the one that just failed is
// tried last.
func (r *hostRing) begin() { r.tried = 0 }

// take returns the next host and how many hosts of the round are left, it included.
func (r *hostRing) take() (Host, int) {
	if len(r.first) > 0 {
		h := r.first[0]
		r.first = r.first[1:]
		return h, len(r.first) + 1 + len(r.hosts) - r.tried
	}
	h := r.hosts[r.next]
	r.next = (r.next + 1) % len(r.hosts)
	r.tried++
	return h, len(r.hosts) - r.tried + 1
}

// roundOver reports whether every host was tried since begin, and starts the next round.
func (r *hostRing) roundOver() bool {
	if r.tried < len(r.hosts) || len(r.first) > 0 {
		return false
	}
	r.tried = 0
	if len(r.hosts) > 2 {
		r.mix()
	}
	return true
}

// retry puts a host first again, for another attempt at once.
func (r *hostRing) retry(h Host) { r.first = append(r.first, h) }

// replace sets a new list and decides whether the client should move, with the probabilities
// of ZOOKEEPER-1355, which keep the clients of a fleet evenly spread: if the list grew, each
// moves to a new server with probability 1 - old/new; a client whose server is gone moves.
func (r *hostRing) replace(hosts []Host, current Host, connected bool, random func() float64) (move bool) {
	old := r.hosts
	var kept, added []Host
	for _, h := range hosts {
		if slices.Contains(old, h) {
			kept = append(kept, h)
		} else {
			added = append(added, h)
		}
	}
	r.hosts, r.next, r.tried, r.first = slices.Clone(hosts), 0, 0, nil
	r.mix()
	if !connected {
		return false
	}
	s, total, numOld := float64(len(old)), float64(len(kept)+len(added)), float64(len(kept))
	here := slices.Contains(hosts, current)
	prefer := func(list []Host) {
		r.first = slices.Clone(list)
		if r.shuffle {
			rand.Shuffle(len(r.first), func(i, j int) { r.first[i], r.first[j] = r.first[j], r.first[i] })
		}
	}
	switch {
	case total > s && here:
		if random() < 1-s/total {
			prefer(added)
			return true
		}
		return false
	case total > s:
		prefer(added)
		return true
	case here:
		return false
	}
	// The list shrank or kept its size and the present server is gone.
	pOld := 0.0
	if s > numOld {
		pOld = numOld * (s - total) / (total * (s - numOld))
	}
	if len(kept) > 0 && (len(added) == 0 || random() < pOld) {
		prefer(kept)
	} else {
		prefer(added)
	}
	return true
}
