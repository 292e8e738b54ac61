// Package cache keeps a znode, its children or a whole subtree in memory, and tells what changes.
//
//	c, err := cache.New(zk, "/config", cache.JSON[Settings]())
//	if err != nil {
//		return err
//	}
//	defer c.Close()
//	if err := c.WaitSynced(ctx); err != nil {
//		return err
//	}
//	node, ok, err := c.Get("/config/web")
//	for ev, err := range c.Events(ctx) { … } // added, changed, removed, with the old and the new node
//
// [WithDepth] chooses how much: 0 is the znode alone, 1 its children too, and everything below it is the default.
// [WithStorage] has the values kept elsewhere than in memory.
//
// # Guarantees
//
// The cache follows the tree through one persistent recursive watch. On servers without it (before ZooKeeper 3.6) the
// client feeds that from one-shot watches; what then needs certainty, such as [Cache.WaitZxid], compares everything. A
// state that the cache shows was there: nothing is inferred from an event, each event leads to a read. Of changes in
// quick succession some may be seen as one; the last is always seen. A znode that was deleted and made again is told
// from one that was written, by its czxid.
//
// After a lost connection, a new session or an overflow of events, everything is compared with the server again. What is
// emitted then is exactly the net change: deletions that happened meanwhile too. Then comes a [Synced] event with the next
// generation. Between the loss and that, [Cache.Synced] says that the cache is stale, and since when; what it holds stays
// readable. It can be made before there is any server, and of a root that does not exist, which costs one watch.
//
// Replaying the events of a subscription over an empty map gives what the cache holds. Parents are added before their
// children and removed behind them. So when a znode turns out to be another one than the cache has, deleted and made
// again, all below it is removed and added with it, also a child that has been found new a moment before. A subscriber that
// is too slow gets net changes instead of single ones: nothing is lost, and it is counted.
//
// # What is not guaranteed
//
// A cache lags behind the server it is connected to, which lags behind the leader: reading it is no way to know what is
// so. [Cache.WaitZxid] waits until a change that one knows of is in. Two znodes are of one moment only in a [Snapshot] that
// says so. The stat of a node is as of the last read of the node: changes of its children do not refresh it.
//
// # Interoperation
//
// Any znodes will do. [Gzip] reads what Curator has compressed.
package cache
