// Package programs lists all programs under test.
package programs

import (
	"github.com/gazoo-zk/gazoo/robustness/basic"
	"github.com/gazoo-zk/gazoo/robustness/program"
	"github.com/gazoo-zk/gazoo/robustness/recipe"
)

// All returns them, in no order that matters.
func All() []*program.Program {
	return []*program.Program{
		basic.Register(),
		basic.Nodes(),
		basic.Sequence(),
		basic.Atomic(),
		basic.Pipeline(),
		basic.Outcomes(),
		basic.SyncRead(),
		basic.Ephemerals(),
		basic.Watches(),
		recipe.Lock(),
		recipe.LockQuorum(),
		recipe.Locking(),
		recipe.LockingQuorum(),
		recipe.Plain(),
		recipe.RW(),
		recipe.RWQuorum(),
		recipe.Semaphore(),
		recipe.SemaphoreQuorum(),
		recipe.Election(),
		recipe.ElectionQuorum(),
		recipe.Counter(),
		recipe.CounterFresh(),
		recipe.Lease(),
		recipe.Barrier(),
		recipe.DoubleBarrier(),
		recipe.Partition(),
		recipe.Membership(),
		recipe.Cache(),
	}
}
