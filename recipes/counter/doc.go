// Package counter has values that several programs change together: counters, and values of any type.
//
//	hits, err := counter.NewInt(zk, "/hits", 0)
//	change, err := hits.Add(ctx, 2) // change.Pre, change.Post
//
//	limits, err := counter.NewValue(zk, "/limits", counter.JSON[Limits]())
//	_, err = limits.Update(ctx, func(l Limits) (Limits, error) { l.Max++; return l, nil })
//
// [Counter] adds; [Value] sets, compares and updates; [IDs] hands out numbers of which it fetches many at once.
// Both can be watched: [Value.Watch].
//
// # Guarantees
//
// A change reads the znode, and writes it on the condition that nobody has written it since. So every change is made on
// top of the one before it, whoever makes them, in whatever language. Under contention the losers try again, and
// with [WithLock] those that lose too often queue at a lock.
//
// A change is never applied twice, and never reported as failed when it was applied, without saying so. When an
// answer is lost, the write is sent again with the same condition. If the server takes it, the first one had not been
// applied, and the change was made once. If the server refuses it and the znode's present data cannot have come from the
// lost write, somebody else was faster, and the change is tried again from what is there. Otherwise one of two programs
// has written, and nothing in the znode tells which: the error then matches [gazoo.MaybeApplied]. [Value.Set] and
// [Value.Initialize] do not mind who made it so.
//
// [WithReceipts] removes that doubt: each write is a transaction with a znode that nobody else writes, and whether
// that has moved tells whether the write was applied. What remains is the end of the caller's context, and a receipt that
// is deleted meanwhile, an ephemeral one by the end of its session.
//
// Disconnects and lost sessions are waited out, as long as the caller's context lives. Nothing here belongs to a session,
// so neither an expiry nor a paused process makes a change wrong: its condition has failed by then.
//
// # What is not guaranteed
//
// [Value.Get] shows what the server connected to knows, which may be behind others. A znode that is deleted begins anew
// at the default; a change whose answer was lost and that was then deleted with the whole znode may be made again.
// Versions wrap after 2^32 changes, and -1 is no condition for a server: changes made here step over it, those of other
// libraries do not.
//
// # Znodes and other libraries
//
// The value is the data of the znode itself, persistent, which the first change makes with its parents. Formats:
//
//	NewInt      decimal text               Kazoo Counter
//	NewFloat    decimal text               Kazoo Counter with a float default
//	NewShared   4 bytes, big-endian        Curator SharedCount, DistributedAtomicInteger; Kazoo Counter with support_curator
//	NewLong     8 bytes, big-endian        Curator DistributedAtomicLong, CachedAtomicLong
//	NewValue    what its codec makes       Curator SharedValue, DistributedAtomicValue (Bytes)
//
// Data that is empty counts as the default. Other libraries write on the same condition; none of them knows the lock of
// [WithLock], whose writes keep to the condition too, nor receipts.
package counter
