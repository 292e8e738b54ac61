// Package recipes has no code, only tests: gazoo's recipes beside those of Kazoo, Curator, ZooKeeper itself and
// go-zookeeper/zk, on the same znodes of the same server.
//
// The others run unmodified in processes of their own (package peer). TestLockTable finds out who waits for whom on one
// lock path; the other tests take turns with each recipe, and read and write each other's formats. All of it happens on
// Apache's server and on gazoo's.
//
// With -v the tests end by printing the table, and a line with counts:
//
//	interop: cells=… waits=… walks_in=… shares=… fails=… ours=… formats=…
package recipes
