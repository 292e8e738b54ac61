// Package peer drives other ZooKeeper libraries for tests: Kazoo in a Python process, Curator and ZooKeeper's own recipes
// in a Java one, go-zookeeper/zk in one of Go. The libraries are unmodified; each process runs a small program that makes
// their objects and calls them as it is told.
//
//	kazoo, err := peer.Kazoo()
//	defer kazoo.Close()
//	c, err := kazoo.Connect(ctx, hosts)
//	lock, err := c.Make(ctx, "Lock", path, nil)
//	call := lock.Start("acquire", peer.Args{"timeout_ms": 5000})
//	…
//	var got bool
//	err = call.Wait(ctx, &got)
//
// One process has any number of clients, each with a session of its own. What it understands is in peer.py, Peer.java
// and gozk.go, next to this file.
//
// The processes end with [Process.Close], with the process that started them, or when their input ends. When one ends on
// its own, every call fails with an error that has the end of what it wrote to its standard error.
package peer
