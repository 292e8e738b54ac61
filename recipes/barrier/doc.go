// Package barrier lets programs wait for each other: a barrier that somebody takes down, and a double barrier that opens
// when enough have come and closes when all have gone.
//
//	b, err := barrier.New(zk, "/migration")
//	_, err = b.Create(ctx) // by whoever is in charge
//	err = b.Wait(ctx)      // by everybody else, until b.Remove(ctx)
//
//	d, err := barrier.NewDouble(zk, "/round", 3)
//	m, err := d.Enter(ctx) // returns when three have come
//	work(m.Context())
//	err = m.Leave(ctx)     // returns when all three have gone
//
// # Guarantees
//
// A wait never sleeps through what it waits for: it survives lost connections and lost sessions, and looks again after
// each. It ends with the barrier, or with an error; none is swallowed.
//
// Whoever waits to enter a double barrier is counted as long as its session lives, and again in its next session. Once
// inside, a member whose session ends has left; its context says so ([tenure.Tenure]), and so does its Leave.
//
// # What is not guaranteed
//
// A barrier is a znode, and not a lock: whoever comes when it is down passes, and between Wait's return and the next step
// it may be up again. A double barrier counts members, not rounds: those that come for the next round before all have
// left this one are let in with it. More members than the barrier's number may enter.
//
// # Znodes and other libraries
//
// A barrier is the znode itself (Kazoo, Curator). A double barrier's members are ephemeral children whose names are 32 hex
// digits, with the identifier as data, beside the child ready that opens it: Kazoo's and Curator's barriers at the same
// path take part. A ready that was left by members who died inside lets nobody in: it is older than all members. One that comes alone removes
// it, and the last one that is needed writes it anew.
package barrier
