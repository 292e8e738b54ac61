// Package ztree is ZooKeeper's data tree as a deterministic state machine: znodes, ACLs,
// ephemerals, quotas and the session table. It knows no clock, no I/O and no goroutine. Given
// the same requests with the same times it makes the same transactions, results and changes,
// byte for byte, which is what recovery, tests and comparison with Apache ZooKeeper build on.
//
// A write goes in as a request ([Tree.Write], [Tree.Multi]) and is checked and applied at once:
//
//	out := tree.Write(caller, now, zkproto.MultiOp{Op: zkproto.OpSetData, Path: "/a", Data: v, Version: -1})
//
// The [Outcome] holds what the client is to be told, the [Txn] for the log, and the [Change]s
// that watches hang on. Recovery feeds logged transactions back with [Tree.Replay], onto a
// snapshot loaded with [Load]; a snapshot of a tree in use is taken piece by piece with
// [Tree.Snapshot], as it was at one zxid.
//
// Order of checks, error codes and stats are those of Apache ZooKeeper 3.8; what 3.9 does
// otherwise is an option. A Tree is not safe for concurrent use: its owner is one goroutine.
package ztree
