// Package tree works on subtrees: it reads, copies, moves, deletes, exports and restores them, and waits for a directory
// to settle.
//
//	for node, err := range tree.Walk(ctx, zk, "/app") { … }           // with data, pipelined
//	res, err := tree.Copy(ctx, zk, "/app", other, "/backup/app", tree.KeepACLs())
//	res, err := tree.Move(ctx, zk, "/app/old", zk, "/app/new", tree.Atomic())
//	res, err := tree.Delete(ctx, zk, "/app/new", tree.DryRun())
//	snap, err := tree.Snapshot(ctx, zk, "/app")                       // of one moment
//	kids, err := tree.Settle(ctx, zk, "/members", 5*time.Second)      // no change for five seconds
//
// # Guarantees
//
// Arguments are checked before anything is sent: a subtree is never copied or moved into itself, nor onto what it lies
// in. What would be overwritten stops a copy before its first write, unless an option says otherwise ([Merge],
// [Overwrite]). [DryRun] reads, and writes nothing.
//
// Lost connections and sessions are waited out by ctx; a write whose answer was lost is made again, and what it finds then
// is compared with what it was to write.
//
// [Snapshot] and [Move] with [Atomic] see, or make, one state of the whole subtree. A snapshot has read every znode, and
// seen then that none has changed since: all were so at one moment, that of its zxid.
//
// # What is not guaranteed
//
// Copy, Delete, Restore and a Move without Atomic are many writes, and others see them under way. What a failure leaves:
//
//   - Copy and Restore: a part of the destination, parents before children. Nothing of the source is touched. To go on,
//     repeat it with Merge, or with Overwrite.
//   - Delete: a part of the subtree, always with all parents.
//   - Move: before its first delete the whole source, and a part of the destination; from then on the whole destination
//     and a part of the source. A znode is deleted only after it was seen in the destination with the same data, and only
//     if it was not changed since. At no time is data in neither place, unless somebody else deletes it.
//
// A copied znode is new: its versions, zxids and times begin anew, and so does the counter of sequential children, which
// can therefore meet a copied name again. Servers do not tell containers and znodes with a TTL from persistent ones, so
// their copies are persistent. Ephemerals belong to their sessions: see [Ephemerals].
//
// A znode that comes or goes while a subtree is walked may be seen or not, except by Snapshot.
//
// /zookeeper belongs to the servers: it is left out of the root.
package tree
