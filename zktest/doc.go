// Package zktest gives tests a ZooKeeper server: in the test's own process, started in well under
// a millisecond, with nothing to install, and with every fault that a real one can have.
//
//	func TestLeaderElection(t *testing.T) {
//		srv := zktest.Start(t)
//		zk, err := gazoo.Connect(t.Context(), srv.Addr(), gazoo.WithDialer(srv.Dial))
//		...
//		srv.ExpireSession(zk.SessionID())
//		...
//	}
//
// [Start] closes the server with the test. Its network is in memory, so that many tests can run
// beside each other, and inside a bubble of testing/synctest, where an hour passes in no time.
// The program under test gets the network as a dial function, as above. For programs that cannot
// be given one, in whatever language, [OnLoopback] makes the server listen on a free port, and
// [Server.Addr] is an ordinary connect string.
//
// # Faults of the network
//
// There are the same ones for the whole server, for one [Endpoint], for one [Conn], and for one
// [Session], where they follow the client to its next connection:
//
//	srv.Cut()                                 // reset the connections
//	srv.Stall(zktest.ToClient)                // replies do not arrive until Heal
//	srv.Delay(zktest.BothWays, time.Second)   // everything arrives late
//	srv.BlackHole()                           // everything is lost, and nobody is told
//	srv.Refuse()                              // no new connections
//	srv.Hang()                                // new connections are accepted and never answered
//	srv.Conns()[0].HalfOpen()                 // the server has gone, the client believes in it
//	srv.Session(id).BlackHole()               // one client is cut off from all endpoints
//	srv.Heal()
//
// # Faults of single requests
//
// A [Rule] is a value: which requests, what happens to them, and how often. [Server.Add] lets it
// begin and returns a [Handle], which counts, waits, and ends it. The common ones are methods:
//
//	srv.DropReply(zktest.OpCreate, "/lock")            // applied, but its client never hears of it
//	srv.DropRequest(zktest.OpSet, "")                  // never applied, which looks just the same
//	srv.Fail(zktest.OpGet, "/config", gazoo.ErrNoAuth) // refused, this once
//
// # Sessions and servers
//
//	srv.ExpireSession(id)            // now, and really: ephemerals go, watches fire
//	srv.Session(id).ExpireAfter(d)
//	srv.Session(id).Move(nil)        // taken over through another connection
//	srv.ReadOnly(true)               // no quorum
//	srv.Restart(zktest.KeepData)     // at the same address
//	srv.Restart(zktest.LoseData)     // a wiped disk
//
// # Ensembles
//
// [Endpoints] makes several servers over one tree, which a client can fail over between. Each
// can be stopped, cut off, and held back: what was written through one may not be there yet at
// another, as in every real ensemble.
//
//	srv := zktest.Start(t, zktest.Endpoints(3))
//	srv.Endpoint(1).Lag(time.Second)
//	srv.Endpoint(2).Stop()
//
// # Time
//
// In a bubble of testing/synctest everything follows its virtual time: sessions expire and TTLs
// run out while the test sleeps. Elsewhere a [Clock] moves the server's time by hand.
//
// # Looking at it
//
// [Server.Dump] shows the tree as text, [Server.RequireTree] and [Server.RequireGolden] compare
// it; [Server.Sessions], [Server.Conns] and [Server.Watches] show what hangs on it; [Server.Put],
// [Server.Get] and [Server.Remove] get past the protocol; [Seed] fills it first. [Server.Log] has
// the newest operations with their outcome, and is written into the log of a test that failed.
//
// [Eventually] waits for what a program does in its own time. [WithTLS] makes everything go
// through TLS, with certificates of an authority of its own. The server behind all of it is that
// of package zkserver; [WithServer] passes its options.
package zktest
