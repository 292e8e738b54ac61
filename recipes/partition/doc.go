// Package partition divides a set of items among the members of a party, and again whenever members come and go:
// Kazoo's SetPartitioner.
//
//	err := partition.Run(ctx, zk, "/work", queues, func(ctx context.Context, mine []string) error {
//		return consume(ctx, mine) // until ctx ends: the set is to be divided anew
//	})
//
// [Run] is the form for most programs. A [Partitioner] has the states of Kazoo's, for programs that want to look at
// them: allocating, acquired, release (the items are to be given up), failed.
//
// # Guarantees
//
// No item is ever held by two members. Each is guarded by a lock, so that holds also while members see different
// parties, or divide by different functions: then some items wait. What the lock promises about clocks, pauses and
// split ensembles is what package lock promises; the context of a share ends when any of its locks is lost.
//
// When members come or go, every member is told, gives its items up, and the set is divided anew once the party has
// been the same for the time boundary. So every item is held by somebody in the end, if the members live, have
// identifiers that differ, and use the same items and function.
//
// Disconnect: within the session time-out nothing changes for the one that is cut off. Kazoo gives everything up at
// every disconnect; here the locks tell when that has to be. Expiry: the share ends by the clock, before a server can
// give the items to others. [Run] joins again, and a [Partitioner] has failed, as Kazoo's.
//
// # What is not guaranteed
//
// A member that does not look at the context of its share may work on an item that another one holds by then. While
// the set is being divided, nobody holds its items, for the time boundary at least. A member that does not give its
// items up keeps the others waiting.
//
// # Znodes, and who else uses them
//
//	PATH/party/<32 hex>-<identifier>     the members: a shallow party of package membership
//	PATH/locks/<item>/…                  a lock of package lock in Kazoo's style
//
// Members written with Kazoo can share a path with these: parties, locks and the default function are the same.
package partition
