package real

import (
	"slices"
	"time"

	"github.com/gazoo-zk/gazoo/robustness/fault"
	"github.com/gazoo-zk/gazoo/robustness/program"
)

// staleAfter is the time for which a server may be paused without that the others elect another leader: half of the
// three seconds of syncLimit, since on a busy machine a follower may not have heard of its leader for a while before.
const staleAfter = 1500 * time.Millisecond

// The faults of the clients' side, shared by several mixes. Some last longer than a session's time-out.
var clientChoices = []fault.Choice{
	{Kind: fault.Cut, Weight: 6},
	{Kind: fault.CutAfter, Weight: 6, Min: time.Second, Max: 2 * time.Second},
	{Kind: fault.DropReply, Weight: 6, Min: time.Second, Max: 2 * time.Second},
	{Kind: fault.StallUp, Weight: 4, Min: 200 * time.Millisecond, Max: 3 * time.Second},
	{Kind: fault.StallDown, Weight: 4, Min: 200 * time.Millisecond, Max: 3 * time.Second},
	{Kind: fault.BlackHole, Weight: 4, Min: 200 * time.Millisecond, Max: 4 * time.Second},
	{Kind: fault.Slow, Weight: 4, Min: time.Second, Max: 5 * time.Second},
	{Kind: fault.Refuse, Weight: 3, Min: 200 * time.Millisecond, Max: 3 * time.Second},
	{Kind: fault.Expire, Weight: 5},
	{Kind: fault.PauseClient, Weight: 3, Min: 100 * time.Millisecond, Max: 4 * time.Second},
	{Kind: fault.KillClient, Weight: 2, Min: 100 * time.Millisecond, Max: 3 * time.Second},
}

// The faults of servers.
var serverChoices = []fault.Choice{
	{Kind: fault.KillServer, Weight: 6, Min: 200 * time.Millisecond, Max: 3 * time.Second, Leader: 0.4},
	{Kind: fault.StopServer, Weight: 3, Min: 200 * time.Millisecond, Max: 3 * time.Second, Leader: 0.4},
	{Kind: fault.PauseServer, Weight: 6, Min: 100 * time.Millisecond, Max: staleAfter, Leader: 0.4},
}

// Mixes returns the mixes of faults of this world, in the order in which a rotation takes them.
func Mixes() []fault.Mix {
	partitions := []fault.Choice{
		{Kind: fault.Partition, Weight: 4, Min: 500 * time.Millisecond, Max: 5 * time.Second, Leader: 0.5},
		{Kind: fault.Blackout, Weight: 4, Min: 500 * time.Millisecond, Max: 6 * time.Second, Leader: 0.5},
		{Kind: fault.PauseServer, Weight: 3, Min: time.Second, Max: 6 * time.Second, Leader: 0.6},
	}
	return []fault.Mix{
		{Name: "clients", Choices: clientChoices, Every: 400 * time.Millisecond, Lanes: 6},
		{Name: "servers", Choices: serverChoices, Every: 1500 * time.Millisecond},
		{Name: "partitions", Choices: partitions, Every: 2 * time.Second},
		{Name: "all", Choices: slices.Concat(scaled(clientChoices, 2), serverChoices, partitions), Every: 500 * time.Millisecond, Lanes: 6},
	}
}

// Majority returns a mix for a world in which several servers may fail at once (see [World.FailMany]). ZooKeeper 3.8.0
// loses acknowledged writes under it (ZOOKEEPER-4646), so it is in no rotation.
func Majority() fault.Mix {
	return fault.Mix{Name: "majority", Choices: serverChoices, Every: time.Second, Lanes: 3}
}

// Soak returns the mix for long runs that measure what processes use: none of them is replaced, since a new one has leaked
// nothing, and everything is short enough to be over soon.
func Soak() fault.Mix {
	return fault.Mix{Name: "soak", Every: 600 * time.Millisecond, Lanes: 5, Choices: []fault.Choice{
		{Kind: fault.Cut, Weight: 6},
		{Kind: fault.CutAfter, Weight: 6, Min: time.Second, Max: 2 * time.Second},
		{Kind: fault.DropReply, Weight: 6, Min: time.Second, Max: 2 * time.Second},
		{Kind: fault.StallUp, Weight: 4, Min: 200 * time.Millisecond, Max: 2 * time.Second},
		{Kind: fault.StallDown, Weight: 4, Min: 200 * time.Millisecond, Max: 2 * time.Second},
		{Kind: fault.BlackHole, Weight: 4, Min: 200 * time.Millisecond, Max: 3 * time.Second},
		{Kind: fault.Slow, Weight: 4, Min: time.Second, Max: 2 * time.Second},
		{Kind: fault.Refuse, Weight: 3, Min: 200 * time.Millisecond, Max: 2 * time.Second},
		{Kind: fault.Expire, Weight: 6},
		{Kind: fault.PauseClient, Weight: 3, Min: 100 * time.Millisecond, Max: 3 * time.Second},
		{Kind: fault.KillServer, Weight: 2, Min: 100 * time.Millisecond, Max: 500 * time.Millisecond, Leader: 0.3},
		{Kind: fault.PauseServer, Weight: 3, Min: 100 * time.Millisecond, Max: 2 * time.Second, Leader: 0.3},
		{Kind: fault.Partition, Weight: 2, Min: 100 * time.Millisecond, Max: time.Second, Leader: 0.3},
		{Kind: fault.Blackout, Weight: 2, Min: 100 * time.Millisecond, Max: time.Second, Leader: 0.3},
	}}
}

// scaled returns choices that are so many times as likely.
func scaled(choices []fault.Choice, by int) []fault.Choice {
	choices = slices.Clone(choices)
	for i := range choices {
		choices[i].Weight *= by
	}
	return choices
}

// Fits reports whether a program's promises hold under a mix: some need that there is never a server that believes to
// lead, or to follow the leader, and does not. One that is killed believes nothing. One that is cut off or paused may go
// on to answer for a while when the others have another leader; a pause that is short enough leaves no time for that.
func Fits(p *program.Program, m fault.Mix) bool {
	return !p.Needs.OneLeader || !slices.ContainsFunc(m.Choices, func(c fault.Choice) bool {
		switch c.Kind {
		case fault.Partition, fault.Blackout:
			return true
		case fault.PauseServer:
			return c.Max > staleAfter
		}
		return false
	})
}
