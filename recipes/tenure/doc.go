// Package tenure is what the recipes hand out for something that is held: a lock, a permit, a leadership, an item of a
// queue.
//
//	held, err := mu.Lock(ctx)
//	if err != nil {
//		return err
//	}
//	defer held.Release(ctx)
//	return work(held.Context()) // ends as soon as it may not be held any more
//
// # What a tenure promises
//
// Three things protect what is done while something is held. They differ in what they cost and in what they can stand.
//
// Its [Tenure.Context] ends, at the latest nine tenths of the session time-out after the send time of the newest
// request that a server has answered: before a single server can grant the same thing to anybody else, as long as clocks
// drift by less than a tenth and the process runs. It ends at once when the client learns that the session is over, that
// the znode behind it was deleted, or that it was revoked.
//
// [Tenure.Err] reads the clock itself, so a process that was paused sees the truth when it looks, before any timer of
// its own has run. What it did between the look and the write is not covered: no clock can do that.
//
// The fencing token ([Tenure.Token]) and guarded transactions ([Tenure.Txn]) hold whatever clocks and processes do. The
// token grows with every grant, so that a store which remembers the highest one can refuse writes of a former holder.
// A guarded transaction is refused by ZooKeeper itself once the znode has gone.
//
// # What it does not promise
//
// On an ensemble, a follower that is cut off from its leader goes on answering for up to syncLimit ticks (often ten
// seconds) after the leader has expired the session; nothing in its answers tells. During that time the context may
// still be alive while somebody else holds the same thing. [Quorum] closes that gap for the price of a small write every
// eighth of the session time-out.
//
// Reading from ZooKeeper never proves that something is still held: [Tenure.Verify] commits a write that changes
// nothing.
//
// # After a disconnect
//
// A tenure survives lost connections as long as its session does. When the session was presumed expired and then comes
// back, the tenure stays ended, and its znode is deleted in the background.
package tenure
