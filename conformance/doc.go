// Package conformance holds what a server must do, as tests that run against two of them: Apache ZooKeeper 3.8 in a
// process of its own, and zkserver in this one. Nothing is recorded, and nothing that one server says is expected of
// the other: each fact is stated in a test function, which must hold for both.
//
// facts.tsv lists the facts, each with the function that asserts it or with the reason why there is none. Where zkserver
// means to differ, the function asserts what either does, and the table says why.
//
// The property tests make random requests instead, and compare both servers with a model of this package's own.
package conformance
