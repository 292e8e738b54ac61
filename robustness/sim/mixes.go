package sim

import (
	"time"

	"github.com/gazoo-zk/gazoo/robustness/fault"
)

// Mix is a mix of faults and the form that it is for.
type Mix struct {
	fault.Mix
	Form Form
}

// Mixes returns all mixes. Their steps have targets for any number of clients.
func Mixes() []Mix {
	const s = time.Second
	mix := func(name string, form Form, every time.Duration, lanes int, choices ...fault.Choice) Mix {
		return Mix{fault.Mix{Name: name, Choices: choices, Every: every, Lanes: lanes, Servers: servers, Clients: 10_000}, form}
	}
	of := func(k fault.Kind, weight int, least, most time.Duration) fault.Choice {
		return fault.Choice{Kind: k, Weight: weight, Min: least, Max: most}
	}
	cut, drop := of(fault.Cut, 3, 0, 0), of(fault.DropReply, 6, s, 3*s)
	expire, kill := of(fault.Expire, 3, 0, 0), of(fault.KillClient, 2, s, 8*s)
	lag := of(fault.Lag, 3, 2*s, 10*s)
	links := []fault.Choice{
		cut, drop, of(fault.CutAfter, 3, s, 5*s), of(fault.StallUp, 2, s/2, 7*s), of(fault.StallDown, 2, s/2, 7*s),
		of(fault.BlackHole, 2, s/2, 7*s), of(fault.Slow, 2, s, 8*s), of(fault.Refuse, 2, s/2, 7*s),
	}
	ends := []fault.Choice{
		of(fault.KillServer, 3, s/2, 8*s), of(fault.PauseServer, 2, s/2, 7*s), of(fault.Partition, 1, s/2, 5*s),
		of(fault.Blackout, 2, s/2, 6*s), of(fault.Restart, 1, 0, 6*s), lag,
	}
	disk := []fault.Choice{
		of(fault.PowerFail, 6, s/10, 3*s), of(fault.DiskFull, 1, s, 3*s), of(fault.KillServer, 1, 0, 2*s),
		of(fault.PauseServer, 1, s/2, 5*s),
	}
	var all []fault.Choice
	all = append(append(append(all, links...), ends...), expire, kill)
	return []Mix{
		mix("links", Memory, s/4, 8, links...),
		mix("servers", Memory, 2*s, 2, append(ends, cut, drop)...),
		mix("sessions", Memory, s/2, 6, expire, kill, drop, cut, lag, of(fault.BlackHole, 2, 3*s, 12*s)),
		// Long enough for sessions to end at the servers while their clients know nothing but the time.
		mix("silence", Memory, s, 4, of(fault.BlackHole, 2, 5*s, 12*s), of(fault.StallUp, 1, 5*s, 12*s), of(fault.StallDown, 1, 5*s, 12*s), drop),
		mix("everything", Memory, s/2, 6, all...),
		mix("disk", Durable, 2*s, 3, append(disk, cut, drop, of(fault.Expire, 1, 0, 0), of(fault.KillClient, 1, s, 8*s))...),
	}
}

// MixOf returns the mix with a name.
func MixOf(name string) (Mix, bool) {
	for _, m := range Mixes() {
		if m.Name == name {
			return m, true
		}
	}
	return Mix{}, false
}
