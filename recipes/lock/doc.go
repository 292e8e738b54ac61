// Package lock has mutual exclusion between programs: a fair mutex and a read/write lock, and what is built of them.
//
//	mu, err := lock.New(zk, "/locks/report")
//	held, err := mu.Lock(ctx)
//	if err != nil {
//		return err
//	}
//	defer held.Release(ctx)
//	return work(held.Context())
//
// # Guarantees
//
// At most one [Held] of a path is alive at any time, in whatever program and language, with what package tenure says
// about clocks, paused processes and ensembles that are split: the context of a held lock ends before a server can
// grant it to anybody else, Held.Err reads the clock, the fencing token (Held.Token) only grows, and what is written by
// Held.Txn is refused once the lock has gone. [WithQuorum] is for ensembles whose servers may be cut off from each other
// while clients still reach them.
//
// Contenders are served in the order in which the server made their znodes. Each waits for one other znode only, so a
// release wakes one waiter (of a read lock: all readers that are next), whatever the number of those behind.
//
// A disconnect within the session time-out changes nothing: neither for a holder nor for a waiter. When the session
// expires, the holder has lost the lock, and is told; a waiter takes a new place at the end of the queue, in the next
// session, unless [WithOneSession]. A znode whose create was in doubt, or that was left by a canceled wait, is deleted in
// the background, also behind a reconnect; no contender is left behind that nobody waits for.
//
// # What is not guaranteed
//
// A holder that does not look at its context, or that is paused between looking and acting, may act without the lock.
// Writes outside of ZooKeeper need the fencing token to be safe from that. Fairness ends at a session's end, see above.
//
// # Znodes and other libraries
//
// The path is a container znode, made when it is missing; each contender is an ephemeral sequential child. How it is
// named is a matter of style, since no name suits all: see [Style]. Reading understands the contenders of Kazoo,
// Curator, go-zookeeper/zk, ZooKeeper's own recipes, zk for Ruby and the zookeeper crate, all at once, so this lock never
// walks in on any of them; other children are ignored. Whether they wait for this one depends on the style:
//
//	style       waits for this one
//	Kazoo       Kazoo, go-zookeeper/zk
//	Curator     Curator, go-zookeeper/zk, Kazoo with the extra lock pattern "-lock-"
//	CuratorRW   Curator's read/write lock
//	ZKRecipe    ZooKeeper's own WriteLock
//
// Numbers are compared as the counter runs, beyond its overflow at 2147483647.
package lock
