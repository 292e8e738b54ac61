// Package lock has mutual exclusion between programs: a fair mutex ([Mutex]), a read/write lock ([RW]), a semaphore
// ([Semaphore]), and several locks as one ([Multi]).
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
// # Read/write locks
//
// Readers tolerate each other, a writer nobody; all of them stand in one queue, so neither kind starves. A plain [Mutex]
// on the same path is a writer. A writer may become a reader in one step ([Held.Downgrade]), in which no other writer
// gets in; a reader never becomes a writer ([ErrUpgrade]). Fencing tokens grow from writer to writer, and those of the
// readers between two writers lie between theirs.
//
// # Taking a lock again
//
// Goroutines have no identity, so who asks is told by the context: with [WithReentrance] a Lock whose context comes from
// that of a [Held] of the same path and client gives another handle of what is held, without a request. Whoever gets that
// context is the holder, on whatever goroutine; handles of one tenure do not exclude each other. The lock is released
// with the last handle, in whatever order they end. Without the option such a Lock fails at once ([ErrDeadlock]).
//
// # Revocation
//
// [Mutex.Revoke] asks a contender for the lock. With [WithRevocable] the holder's context ends then, as if the lock were
// lost, but nobody else gets in before it has released: a request, not force. The request takes the place of the
// contender's identity. Who has to be certain deletes the contender's znode instead: its holder is told of that as well,
// and its guarded transactions are refused.
//
// # Semaphores
//
// At any moment there are no more permits than the size was when the last one was given: the transaction that gives one
// also checks that the size has not changed. Each permit is held like a lock, with context and token, and returns when
// its session ends. Those who wait are served one by one, in their order, so somebody who wants many permits gets them,
// and two who do cannot block each other. A cancel takes effect at once, in every phase.
//
// # Several locks as one
//
// [Multi] takes locks in the order of their paths, all or none, and gives one handle that ends with any of them. What
// several programs lock by a Multi cannot wait in a circle; what they lock one by one, within another lock, can.
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
//	Curator     Curator, go-zookeeper/zk, ZooKeeper's own WriteLock, Kazoo with the extra lock pattern "-lock-"
//	CuratorRW   Curator's read/write lock, go-zookeeper/zk
//	ZKRecipe    ZooKeeper's own WriteLock
//
// The readers of an [RW] have names in the styles Kazoo (__rlock__), CuratorRW (__READ__) and [Custom]. Others than this
// package and Curator's read/write lock do not always wait for readers: Kazoo's plain Lock does not. A reader that was a
// writer is an ephemeral with the writer's number, which is no sequential znode, as Curator has it since 5.9.
//
// A semaphore in the style of Kazoo has its permits as PATH/HEX, a queue at PATH-__lock__, and its size as text in PATH,
// which is a persistent znode; in that of Curator (InterProcessSemaphoreV2) permits are PATH/leases/_c_UUID-lease- and a
// number, the queue is at PATH/locks, and the size is nowhere or in a SharedCount. All children count as permits, whoever
// made them, as they do for the others. Curator's own waiter makes its permit before there is room for it, so it shows
// among the holders while it waits.
//
// Numbers are compared as the counter runs, beyond its overflow at 2147483647.
package lock
