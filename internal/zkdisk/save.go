package zkdisk

import (
	"fmt"
	"slices"

	"github.com/gazoo-zk/gazoo/internal/ztree"
)

// SnapshotFile is a snapshot on its way to the disk. It is finished by Commit or Abort.
type SnapshotFile struct {
	d    *Dir
	zxid int64
	head SnapshotHead
	dig  *Digest

	// Made by the first Write.
	f   File
	w   *SnapshotWriter
	err error // why there is none
}

// BeginSnapshot begins to write a snapshot, whose znodes the caller hands over with Write. It must
// be called when the newest transaction appended is the snapshot's, before the next one: that will
// begin a new log. It does no I/O.
func (d *Dir) BeginSnapshot(s *ztree.Snapshot) (*SnapshotFile, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return nil, d.err
	}
	if s.Zxid != d.last {
		return nil, fmt.Errorf("zkdisk: snapshot of zxid 0x%x, but 0x%x is the newest", s.Zxid, d.last)
	}
	d.roll = true
	sf := &SnapshotFile{d: d, zxid: s.Zxid, head: SnapshotHead{Sessions: s.Sessions, ACLs: s.ACLs}}
	if d.opt.Tree.Digest {
		sf.dig = &Digest{Zxid: s.Zxid, Version: ztree.DigestVersion, Digest: s.Digest}
	}
	return sf, nil
}

// Write adds a znode. Errors come with Commit.
func (s *SnapshotFile) Write(n ztree.NodeRecord) {
	if s.create() {
		s.w.Write(n)
	}
}

// create makes the file, the first time.
func (s *SnapshotFile) create() bool {
	if s.w == nil && s.err == nil {
		if s.f, s.err = s.d.fs.Create(s.d.name(tempPrefix + fileName(snapPrefix, s.zxid))); s.err == nil {
			s.w = NewSnapshotWriter(&paced{f: s.f}, s.head)
		}
	}
	return s.err == nil
}

// paced syncs a large file as it is written. Else the last sync would have all of it to write, and
// the syncs of the log, which requests wait for, would stand in line behind it.
type paced struct {
	f       File
	written int
}

const pace = 1 << 20

func (p *paced) Write(b []byte) (int, error) {
	n, err := p.f.Write(b)
	if p.written += n; p.written >= pace && err == nil {
		p.written, err = 0, p.f.Sync()
	}
	return n, err
}

// Commit makes the snapshot safe and valid, then removes what is too old. A [Dir.Flush] that
// covers its zxid must have returned before: else the snapshot would hold what the log may lose.
//
// A snapshot that could not be written for want of room does no harm to the log, which goes on;
// only when the directory could not be synced the Dir has failed.
func (s *SnapshotFile) Commit() error {
	d := s.d
	if err := d.Err(); err != nil {
		s.Abort()
		return err
	}
	if flushed := d.Flushed(); flushed < s.zxid {
		s.Abort()
		return fmt.Errorf("zkdisk: snapshot of zxid 0x%x, but only 0x%x is flushed", s.zxid, flushed)
	}
	if s.create() {
		s.err = s.w.Finish(s.dig)
	}
	err := s.err
	if err == nil {
		err = s.f.Sync()
	}
	if err != nil {
		s.Abort()
		return fmt.Errorf("snapshot of zxid 0x%x: %w", s.zxid, err)
	}
	if err := s.f.Close(); err != nil {
		return err
	}
	name := fileName(snapPrefix, s.zxid)
	if err := d.fs.Rename(d.name(tempPrefix+name), d.name(name)); err != nil {
		return d.fail(err)
	}
	if err := d.fs.SyncDir(d.path); err != nil {
		return d.fail(err)
	}
	if d.opt.NoPurge {
		return nil
	}
	if err := d.purge(name); err != nil {
		return fmt.Errorf("removing old files: %w", err)
	}
	return nil
}

// Abort gives the snapshot up and removes what is there of it.
func (s *SnapshotFile) Abort() {
	if s.f == nil {
		return
	}
	s.f.Close()
	s.d.fs.Remove(s.d.name(tempPrefix + fileName(snapPrefix, s.zxid)))
}

// Save writes a whole snapshot of a tree that rests meanwhile.
func (d *Dir) Save(tree *ztree.Tree) error {
	if err := d.Flush(); err != nil {
		return err
	}
	s := tree.Snapshot()
	defer s.Stop()
	f, err := d.BeginSnapshot(s)
	if err != nil {
		return err
	}
	for n, ok := s.Next(); ok; n, ok = s.Next() {
		f.Write(n)
	}
	return f.Commit()
}

// purge removes all snapshots but the newest, and the logs that those do not need. written is
// the snapshot that is known to be good.
func (d *Dir) purge(written string) error {
	snaps, logs, err := d.list()
	if err != nil {
		return err
	}
	snaps = slices.DeleteFunc(snaps, func(f file) bool { return d.bad[f.name] && f.name != written })
	if len(snaps) <= d.opt.Keep {
		return nil
	}
	old, kept := snaps[:len(snaps)-d.opt.Keep], snaps[len(snaps)-d.opt.Keep:]
	for _, f := range old {
		if err := d.fs.Remove(d.name(f.name)); err != nil {
			return err
		}
	}
	for _, f := range logs[:firstLog(logs, kept[0].zxid)] {
		if err := d.fs.Remove(d.name(f.name)); err != nil {
			return err
		}
	}
	return nil
}

// firstLog returns the index of the log that holds, or would hold, the transaction behind a zxid.
func firstLog(logs []file, zxid int64) int {
	first := 0
	for i, f := range logs {
		if f.zxid <= zxid+1 {
			first = i
		}
	}
	return first
}
