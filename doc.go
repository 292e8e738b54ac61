// Package gazoo is a client for Apache ZooKeeper.
//
//	zk, err := gazoo.Connect(ctx, "zk1:2181,zk2:2181,zk3:2181/app")
//	if err != nil {
//		return err
//	}
//	defer zk.Close()
//	path, err := zk.Create(ctx, "/workers/w-", nil, gazoo.Ephemeral(), gazoo.Sequential(), gazoo.Parents())
//
// # Connection and session
//
// A [Client] keeps one connection to one server of the ensemble and moves to another when it
// is lost, inside the same session. [Client.State] is what to act on: connected, suspended
// (the connection is gone, the session may live) and lost. When the session has expired a new
// one follows by itself; [Session] tells one from the next, and its two contexts tell presumed
// expiry (nothing held may be relied on) from confirmed expiry.
//
// The presumption is made nine tenths of the session time-out after the send time of the
// newest request that a server answered, on the wall or the monotonic clock, whichever
// advanced more. A server expires a session no earlier than a whole time-out after it
// received that request, so, with clocks that drift by less than a tenth, the presumption
// comes first. That holds for a single server; a follower that is cut off from its leader may
// go on answering for some time after the leader has expired the session (syncLimit ticks).
//
// # Errors
//
// Every error says which operation failed, on which path, and what became of the request: not
// sent, refused, or, for writes whose answer was lost, perhaps applied ([MaybeApplied]).
// errors.Is works with the codes ([ErrNoNode]), with contexts and with [ErrClosed]. Nothing is
// retried behind the program's back, except what says so: [Client.Retry], [Protected],
// [Client.DeleteIdempotent], [Client.SetIdempotent].
//
// At a lost connection every call that was submitted before fails; calls made later wait, by
// their contexts, for the next connection. So of two writes in flight together the
// second is never applied when the first was lost.
//
// # Watches
//
// One-shot watches ([Client.GetW]) survive reconnects and end with an event or a reason.
// Persistent watches ([Client.Watch]) are streams with explicit gaps. [Client.WatchData] and
// [Client.WatchChildren] follow the state of a znode across everything.
//
// # Read-only mode
//
// With [WithReadOnly] a client accepts servers that are cut off from their ensemble. Such a
// connection shows as [StateConnected] with [KeeperConnectedReadOnly]; writes fail with
// [ErrNotReadOnly]. Its session is provisional: it carries no tenancy, and ends (suspended,
// lost, connected) as soon as a read-write server is found.
//
// # Concurrency
//
// Everything is safe for concurrent use unless it says otherwise. Callbacks (listeners, hooks,
// Then) run one after another on a goroutine of the client that does nothing else.
//
// docs/DESIGN.md describes how it works inside.
package gazoo
