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
// Everything is kept in memory and gone after [Server.Close].
//
// # What differs from Apache
//
// A few things that the original does are faults, and are not copied: a create with a TTL but
// without a TTL mode that kills the server, a successful check outside of a transaction that is
// never answered, a request to create a session from within one, and watches of other
// connections that checkWatches finds. They are answered as later versions do, or with an error.
//
// Not there are the admin HTTP server, TLS (pass a listener that speaks it), SASL (see
// [WithProvider]), enforced authentication, request throttling, and of the four-letter words the
// numbers that only a JVM has.
package zkserver
