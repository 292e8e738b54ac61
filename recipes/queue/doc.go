// Package queue has queues between programs: items are put at one end by some and taken at the other by others, in the
// order of their priorities and of their arrival.
//
//	q, err := queue.NewLocking(zk, "/jobs", queue.JSON[Job]())
//	err = q.Put(ctx, Job{…})
//
//	item, err := q.Take(ctx)
//	if err != nil {
//		return err
//	}
//	defer item.Release(ctx) // hands it back, unless it was consumed
//	if err := work(item.Context(), item.Value); err != nil {
//		return err
//	}
//	return item.Consume(ctx)
//
// [Queue] removes items before they are processed and so delivers each at most once; [Locking] locks them meanwhile and
// delivers each at least once. How items are named and stored is a matter of [Style], with which a queue can be
// shared with programs that use Kazoo or Curator; styles also bring priorities, due times and ids.
//
// # Guarantees
//
// An item whose put was acknowledged is in the queue. A put whose answer was lost is repeated only when it is certain
// that it was not applied; otherwise its error matches [gazoo.MaybeApplied]. So nothing is put twice without a word.
//
// An item of a Queue is delivered once, or not at all: when its consumer fails, or when the answer to its removal is
// lost. The latter is a [*DoubtError], which carries it.
//
// An item of a Locking is held by one consumer at a time, with what package tenure says about clocks, paused processes
// and ensembles that are split; [WithQuorum] is for the latter. It goes back when its holder releases it, or when the
// session ends. A former holder's [Item.Consume] is refused by ZooKeeper, so an item is consumed by somebody who
// had it to the end. It is delivered again when its holder failed, or when it is not known whether the item was
// consumed before the session ended (a DoubtError again).
//
// A consumer from whose queue nobody else takes gets items of equal priority in the order in which the server made
// their znodes, beyond the overflow of its counter. A disconnect within the session time-out ends nothing: waiting calls go on, also in the next
// session. A path that is deleted under a queue is made again. Foreign children are ignored. An item that cannot
// be decoded is reported once by each handle, as a [*DecodeError], and passed by.
//
// # What is not guaranteed
//
// Among several consumers the order is that of their luck: one that always comes second looks up to 64 places behind the
// front, within the same priority, so that they do not race for every item. Items of different shards
// ([WithShards]) have no order.
//
// A list of items serves for 50 ms or twenty times as long as reading it took (two seconds at most), so an urgent item
// put by another program is seen that much later. Due times trust the clocks of producers and consumers.
//
// A lock of a Locking that an operator deletes by hand is lost to its holder, who learns of it by a watch; a second
// holder may come before.
//
// # Costs
//
// A take of a Queue is two requests, one of a Locking three or four with the watch on the lock, and two at its end. The
// children are listed by one consumer of each process at a time, when the last list is used up or old; so n items cost
// a few listings, not n. An item put into an empty queue wakes one listing in each process that waits. Len is one
// request for each shard.
//
// # Znodes and other libraries
//
//	style            item                                 shared with
//	Kazoo            PATH/entry-PPP-NUMBER                Kazoo's Queue
//	Kazoo, locking   PATH/entries/entry-PPP-NUMBER,       Kazoo's LockingQueue
//	                 PATH/taken/entry-PPP-NUMBER
//	Simple           PATH/qn-NUMBER                       Curator's SimpleDistributedQueue, ZooKeeper's recipe
//	Curator          PATH/queue-NUMBER                    Curator's DistributedQueue
//	CuratorPriority  PATH/queue-SHHHHHHHHNUMBER           Curator's DistributedPriorityQueue
//	CuratorDelay     PATH/queue-|HHHHHHHH|NUMBER          Curator's DistributedDelayQueue
//	CuratorID        PATH/queue-|ID|NUMBER                Curator's DistributedIdQueue
//
// PPP is the priority, S a sign digit (0 for negative) with the priority in hexadecimal, and between the bars is the due
// time in hexadecimal milliseconds, or the id. Locks are ephemerals with the name of the item, below taken or, for
// Curator, its lockPath ([WithLockPath]). Data is the item, in Curator's styles within its framing of one or several
// items. The paths are persistent znodes.
package queue
