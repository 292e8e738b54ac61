// Package lease has leases that outlive the session of their holder: something is reserved for a time, whatever becomes
// of the program or its connection meanwhile.
//
//	l, err := lease.New(zk, "/leases/cleanup", 70*time.Minute)
//	grant, err := l.Obtain(ctx)
//	if errors.Is(err, lease.ErrTaken) {
//		return nil // another host does it
//	}
//	…
//
// A [Lease] is Kazoo's NonBlockingLease, a [Multi] its MultiNonBlockingLease, which grants several at a time. Obtain
// never waits for the end of somebody else's lease. The same holder, by its name, renews its own by obtaining it again.
// When it ends unrenewed, the next one to ask gets it.
//
// # What is guaranteed
//
// On clocks that agree, one holder at a time has an unexpired grant of a lease. Records are written in a transaction that
// is refused unless the writer holds the guard lock of the path, so no two contenders decide by the same record. Lost
// connections and sessions are waited out and the outcome read again: Obtain only fails with a context, and another try
// by the same holder renews what the first one may have got. [Grant.Token] grows with every grant.
//
// # What is not guaranteed
//
// These leases trust the clocks of all clients. A contender whose clock is ahead takes a lease over before its
// holder believes it to be over; a holder whose clock is behind believes too long. Use package lock for what must
// never be held by two, or [Timed], whose time is the server's.
//
// A disconnect and an expired session end nothing: that is the purpose. A process that was paused finds out by
// [Grant.Err]. Nobody is told when a lease ends.
//
// # Znodes and other libraries
//
// PATH/lease_holder is a persistent znode with a JSON object: version (1), holder, and end, in UTC to the second and
// without a zone, such as 2026-01-02T03:04:05. PATH has the contenders of the guard, a lock in Kazoo's style. A record of
// another version is left alone, and the lease counts as taken. A Multi of N has its leases at PATH/0 to PATH/N-1.
// Programs with Kazoo can share both. A [Timed] has sequential znodes with a TTL below its path, of which the lowest holds;
// that is nobody else's format.
package lease
