// Package zkserver is a ZooKeeper server in pure Go that runs inside a program: for tests, for
// laptops, and for small installations on one machine. To clients it is a standalone Apache
// ZooKeeper 3.8: the same replies, stats, order of checks, watches and limits.
//
//	srv, err := zkserver.Start()
//	if err != nil {
//		return err
//	}
//	defer srv.Close()
//	zk, err := gazoo.Connect(ctx, srv.Addr())
//
// [Start] listens on a free port of the loopback interface. [New] and [Server.Serve] take any
// [net.Listener], one in memory too; the server waits only on channels, conditions and timers,
// so it works inside a bubble of testing/synctest.
//
// Everything is kept in memory and gone after [Server.Close], unless [WithDir] names a directory.
//
// # Durability
//
// A directory has the format of Apache's dataDir, and goes back and forth between the two servers:
// see docs/MOVING.md. Whatever a client, or the program by a method of [Server], is told survives a
// crash of the machine: replies, events, headers and four-letter words wait for the sync that covers
// all that they could show. Requests that come meanwhile share the next one. Snapshots are written
// beside the requests ([WithSnapCount], [WithSnapSize]), older ones are removed ([WithSnapRetain]).
//
// A start reads the newest valid snapshot and replays the logs behind it, at most what lies between
// two snapshots, so Close writes none. What a crash has left half written is cut off; damage to
// what was once acknowledged stops the start with an error that names file and offset. Sessions
// are resumed with their password, and have their full time-out from the start on.
//
// After a failed write or sync, or on a full disk, nobody knows what is on disk: the server answers
// no request any more and [Server.Done] is closed. What had been acknowledged is there when it is
// started again.
//
// # What differs from Apache
//
// A few things that the original does are faults, and are not copied: a create with a TTL but
// without a TTL mode that kills the server, a successful check outside of a transaction that is
// never answered, a request to create a session from within one, and watches of other
// connections that checkWatches finds. They are answered as later versions do, or with an error.
//
// Not there are TLS (pass a listener that speaks it), SASL (see [WithProvider]), and of mntr and the
// monitor command of [Server.AdminHandler] the numbers of quorums, of stages that requests go
// through in the original alone, and of a JVM.
//
// # Hostile clients
//
// A frame is refused for its length alone, and memory for it follows the bytes that have arrived. A
// connection that has not said who it is after 10 to 20 seconds is closed. Beside the tree, memory is
// bounded by what may wait: requests ([WithOutstandingBytes], twice: in the queue and in the batch
// under way), replies and events ([WithMaxBufferedTotal]), and for each connection some 16 KiB and
// the request that it is sending ([WithMaxRequest]); so bound connections too, by
// [WithMaxClientConns] and [WithMaxConns]. The heap may grow to twice all that between two
// collections.
package zkserver
