// Package faultproxy is an in-process proxy that misbehaves on request: for TCP with [New], and with [Serve] between
// any listener and any way to reach a target, in memory too.
//
// A test points its client at [Proxy.Addr] and then cuts, refuses, stalls, delays, throttles or swallows
// connections at run time, or decides frame by frame with a [Filter] or a [Tap] what happens to ZooKeeper
// requests and replies. Nothing needs privileges, and every fault starts and ends exactly when the test says so.
//
// Every fault holds for the connections that are open and for those that come later. Faults of one
// direction are independent of the other direction and of each other; [Proxy.Clear] ends them all.
//
// One goroutine accepts. Each connection has one goroutine that dials the target, and then, per direction, one
// that reads and one that writes, with a bounded queue between them, so that a delay costs latency but not
// throughput. [Proxy.Close] ends and waits for all of them.
package faultproxy
