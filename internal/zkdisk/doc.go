// Package zkdisk keeps a tree of package ztree on disk, in Apache ZooKeeper's own formats: a data
// directory goes back and forth between a server built on this package and Apache's.
//
//	d, rec, err := zkdisk.Open(zkdisk.OS{}, dir, zkdisk.Options{Tree: opt})
//	tree := rec.Tree // recovered; the caller owns it
//	…
//	out := tree.Write(caller, now, op)
//	err = d.Append(&out.Txn) // any number of times
//	err = d.Flush()          // one sync for all of them: may be told to clients from here on
//
// # What is promised
//
// When [Dir.Flush] returns nil, what was appended before survives a crash of the process and of
// the machine, also when the disk loses any part of what was written since. What was not flushed
// is there or not, but never in part, and always from the first on. After a failed write or sync
// everything is refused with [ErrFailed] until the directory is opened again: nothing is tried
// twice, because a second sync that succeeds proves nothing about the first. The server should
// say nothing about transactions it had appended, and end.
//
// [Open] returns only what is safe: what it read it syncs first, and what a crash left half
// written it removes. It falls back to an older snapshot when the newest is damaged, and refuses
// logs with damage or gaps in what was once acknowledged ([DamageError] names file and offset)
// rather than lose it in silence. [Recovery] says what was found.
//
// # Snapshots
//
// A snapshot is written while the tree goes on:
//
//	s := tree.Snapshot()
//	f, err := d.BeginSnapshot(s) // before the next Append, which begins a new log
//	…                            // s.Next and f.Write, Append and Flush, in any order
//	err = f.Commit()             // after a Flush that began behind BeginSnapshot
//
// s.Next is called by whoever owns the tree, and s.Stop when the snapshot is given up; f may be
// used by another goroutine. Commit removes older snapshots and logs, see [Options]. [Dir.Save]
// does all at once. One snapshot is under way at a time. Close must come after Commit or Abort.
//
// # Goroutines
//
// Append and BeginSnapshot are called by one goroutine, the owner of the tree; Flush by one, the
// same or another, at the same time as Append; a SnapshotFile by one. Err and Flushed may be
// called by anybody. Close is called when the others have returned.
//
// # Files
//
// Beside Apache's files there is gazoo.lock, which keeps a second server out while it is locked.
// Records carry 8 bytes behind their digest, where Apache's readers see none: where in the file
// their flush began. By them Open tells a hole that a power failure left in the last flush from
// damage to an earlier one. Logs of Apache's servers have none, so a hole with records behind it
// counts as damage there. Epoch files, myid and whatever else there is are left alone.
//
// [Read] reads the tree of a directory without a change to it, for [Options].Seed of another.
//
// [FS] stands for the file system; [SimDisk] is one for tests that forgets what was not synced.
package zkdisk
