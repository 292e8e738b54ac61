// Package fault makes schedules of faults from seeds.
package fault

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Kind is what is done. Target says to which server or client.
type Kind string

// The faults. Those that last end when their time is over.
const (
	// Of servers.
	KillServer  Kind = "kill server"  // kill -9, started again at the end
	PauseServer Kind = "pause server" // SIGSTOP, SIGCONT at the end
	StopServer  Kind = "stop server"  // stopped in order, started again at the end

	// Between servers.
	Partition Kind = "partition" // cut off from the other servers, connections are reset
	Blackout  Kind = "blackout"  // cut off in silence

	// Of one client's connections, to all servers.
	Cut       Kind = "cut"        // reset, once
	CutAfter  Kind = "cut after"  // reset behind Bytes more
	StallUp   Kind = "stall up"   // what it sends does not arrive until the end
	StallDown Kind = "stall down" // what it is sent does not arrive until the end
	BlackHole Kind = "black hole" // everything is lost until the end
	Slow      Kind = "slow"       // everything takes Delay longer
	Refuse    Kind = "refuse"     // no new connections, and the present ones are reset

	// Of clients.
	PauseClient Kind = "pause client" // SIGSTOP of the process, SIGCONT at the end
	KillClient  Kind = "kill client"  // kill -9 of the process, started again at the end
	Expire      Kind = "expire"       // its session is ended

	// Of the network of all clients, in the simulation.
	DropReply Kind = "drop reply" // the next write of the client is applied, and its answer lost
	Lag       Kind = "lag"        // the server applies what others commit Delay later
	Restart   Kind = "restart"    // all servers at once

	// Of disks, in the simulation.
	DiskFull  Kind = "disk full"  // nothing can be written until the end
	PowerFail Kind = "power fail" // unsynced sectors are lost, some of them, and all servers are started again
)

// Step is one fault of a schedule.
type Step struct {
	At     time.Duration `json:"at"`
	For    time.Duration `json:"for,omitempty"`
	Kind   Kind          `json:"kind"`
	Target int           `json:"target"`           // number of the server or the client; the world takes it modulo how many it has
	Leader bool          `json:"leader,omitempty"` // the server that leads when it begins, instead of Target
	Bytes  int           `json:"bytes,omitempty"`
	Delay  time.Duration `json:"delay,omitempty"`
}

func (s Step) String() string {
	target := fmt.Sprint(s.Target)
	if s.Leader {
		target = "leader"
	}
	return fmt.Sprintf("%v +%v %s %s", s.At.Round(time.Millisecond), s.For.Round(time.Millisecond), s.Kind, target)
}

// Schedule is what happens in one run. The same seed and mix make the same one.
type Schedule struct {
	Seed   uint64        `json:"seed"`
	Mix    string        `json:"mix"`
	Length time.Duration `json:"length"`
	Steps  []Step        `json:"steps"`
}

// Choice is one kind of fault in a mix.
type Choice struct {
	Kind     Kind
	Weight   int
	Min, Max time.Duration // how long it lasts
	Leader   float64       // share of those that hit the leader
}

// Mix is which faults a schedule has, and how many.
type Mix struct {
	Name    string
	Choices []Choice
	Every   time.Duration // mean time between the begins of two faults
	Lanes   int           // how many may be under way at once (default 1)
	Servers int
	Clients int
}

// Make makes a schedule. Nothing begins in its last quarter that would not end in it, and each run has a quiet start.
func (m Mix) Make(seed uint64, length time.Duration) Schedule {
	s := Schedule{Seed: seed, Mix: m.Name, Length: length}
	weights := 0
	for _, c := range m.Choices {
		weights += c.Weight
	}
	for lane := range max(m.Lanes, 1) {
		rnd := rand.New(rand.NewPCG(seed, uint64(lane)))
		every := m.Every * time.Duration(max(m.Lanes, 1))
		for at := upTo(rnd, every); ; {
			c, dice := m.Choices[0], rnd.IntN(weights)
			for _, c = range m.Choices {
				if dice < c.Weight {
					break
				}
				dice -= c.Weight
			}
			step := Step{At: at, Kind: c.Kind, For: c.Min + upTo(rnd, c.Max-c.Min), Bytes: rnd.IntN(2000), Delay: upTo(rnd, 200*time.Millisecond)}
			step.Leader = rnd.Float64() < c.Leader
			step.Target = rnd.IntN(max(m.Servers*m.Clients, 1))
			if at+step.For > length {
				break
			}
			s.Steps = append(s.Steps, step)
			at += step.For + upTo(rnd, 2*every)
		}
	}
	slices.SortStableFunc(s.Steps, func(a, b Step) int { return int(a.At - b.At) })
	return s
}

func upTo(rnd *rand.Rand, d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(rnd.Int64N(int64(d)))
}
