// Package ensemble runs Apache ZooKeeper for tests: one standalone server or a quorum of them, as child processes
// that a test can kill, stop, pause, wipe, restart and partition.
//
//	e := ensemble.StartT(t, ensemble.Config{Servers: 3})
//	leader, err := e.WaitLeader(t.Context())
//	…
//	e.Server(leader).Kill()
//
// It needs Linux, a Java runtime and the jars of Debian's packages zookeeper and libzookeeper-java; [Available] says
// what is missing and [Require] turns that into a skip, or into a failure where GAZOO_REQUIRE_ZOOKEEPER=1 is set. Other
// ZooKeeper versions run with GAZOO_ZOOKEEPER_CLASSPATH set to their class path, such as "/opt/zookeeper/lib/*".
//
// Every ensemble has loopback addresses of its own, 127.77.N.1 and up, with N reserved for as long as it lives, so any
// number of test processes run side by side. The servers die with the process that started them, however it ends.
//
// Tests that only need some server use [Shared] or [ForEach], which start one ensemble of each [Kind] per process; their
// TestMain passes its M through [WithShared] so that these are closed.
package ensemble
