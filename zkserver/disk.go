package zkserver

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gazoo-zk/gazoo/internal/zkdisk"
	"github.com/gazoo-zk/gazoo/internal/ztree"
)

// diskConfig says where a server keeps its tree, and how.
type diskConfig struct {
	fs        zkdisk.FS
	dir       string // "": in memory
	from      string // directory to take the first tree from
	snapCount int
	snapSize  int64
	retain    int
	prealloc  int64

	mismatches int // of digests, found when the tree was recovered
}

func defaultDisk() diskConfig {
	return diskConfig{fs: zkdisk.OS{}, snapCount: 100_000, snapSize: 4 << 30, retain: 3, prealloc: 64 << 20}
}

func (c *diskConfig) check(check func(ok bool, format string, args ...any)) {
	check(c.snapCount >= 2, "a snapshot each %d transactions, want at least 2", c.snapCount)
	check(c.snapSize > 0, "a snapshot each %d bytes of log", c.snapSize)
	check(c.retain >= 0, "%d snapshots retained", c.retain)
	check(c.prealloc > 0, "logs that grow by %d bytes", c.prealloc)
}

// WithDir keeps everything in a directory, in the format of Apache ZooKeeper's dataDir: nothing is
// told to a client that would not survive a crash of the machine. The directory is made when it
// does not exist; it may be one that an Apache server has left, and the other way around. One
// server uses it at a time. Its sessions live on when a server is started on it again, with their
// full time-outs, and so do their ephemerals.
//
// When the directory cannot be written any more, the server ends: see [Server.Done].
func WithDir(dir string) Option { return WithFS(zkdisk.OS{}, dir) }

// WithFS is [WithDir] on a file system of package zkdisk, which is internal: it is for the tests
// of this module.
func WithFS(fsys zkdisk.FS, dir string) Option {
	return func(c *config) { c.disk.fs, c.disk.dir = fsys, dir }
}

// WithSnapshotFrom begins with the state of another data directory, which is only read. With
// [WithDir], that must hold no data yet. A server that uses the other one meanwhile is no harm to
// it, but may make this fail.
func WithSnapshotFrom(dir string) Option { return func(c *config) { c.disk.from = dir } }

// WithSnapCount sets after how many transactions, at most, a snapshot is written and the next log
// begins (default 100000, snapCount): half of it, and a random part of the other half. A tree
// with more znodes than twice as many waits for half as many transactions as it has znodes. A
// restart reads a snapshot and replays what came after.
func WithSnapCount(transactions int) Option {
	return func(c *config) { c.disk.snapCount = transactions }
}

// WithSnapSize sets after how many bytes of log, at most, a snapshot is written (default 4 GiB,
// snapSizeLimitInKb), as [WithSnapCount] does.
func WithSnapSize(bytes int64) Option { return func(c *config) { c.disk.snapSize = bytes } }

// WithSnapRetain sets how many snapshots are kept, with the logs that they need (default 3,
// autopurge.snapRetainCount); older ones are removed when a new one is there. 0 keeps all.
func WithSnapRetain(n int) Option { return func(c *config) { c.disk.retain = n } }

// WithPreAllocSize sets by how many bytes a log grows ahead of what is written to it (default
// 64 MiB, preAllocSize).
func WithPreAllocSize(bytes int64) Option { return func(c *config) { c.disk.prealloc = bytes } }

// openDisk is how a server begins: with a tree in memory, or from a directory.
func (c *config) openDisk(opt ztree.Options) (*ztree.Tree, journal, error) {
	disk := &c.disk
	tree, found := ztree.New(opt), func() {}
	if disk.from != "" {
		rec, err := zkdisk.Read(disk.fs, disk.from, zkdisk.Options{Tree: opt})
		if err != nil {
			return nil, nil, err
		}
		tree, found = rec.Tree, func() { c.tell("seeded", disk.from, rec) }
	}
	if disk.dir == "" {
		found()
		return tree, nil, nil
	}
	how := zkdisk.Options{Tree: opt, Prealloc: disk.prealloc, Keep: disk.retain, NoPurge: disk.retain == 0}
	if disk.from != "" {
		how.Seed = tree
	}
	d, rec, err := zkdisk.Open(disk.fs, disk.dir, how)
	if err != nil {
		return nil, nil, err
	}
	found()
	disk.mismatches = rec.DigestMismatches
	if rec.Fresh {
		c.logger.Info("new data directory", "dir", disk.dir)
	} else {
		c.tell("recovered", disk.dir, rec)
	}
	return rec.Tree, newDiskJournal(d, c, rec), nil
}

// tell logs what was found in a directory.
func (c *config) tell(msg, dir string, rec *zkdisk.Recovery) {
	c.logger.Info(msg, "dir", dir, "zxid", fmt.Sprintf("0x%x", rec.Tree.Zxid()), "snapshot", rec.Snapshot,
		"transactions", rec.Transactions, "znodes", rec.Tree.Len(), "sessions", len(rec.Tree.Sessions()))
	for _, note := range rec.Notes {
		c.logger.Warn(note, "dir", dir)
	}
	if rec.DigestMismatches > 0 {
		c.logger.Warn("the tree is not what the files say", "dir", dir, "digest_mismatches", rec.DigestMismatches)
	}
}

// files returns the names of what is in the directory, without those that anything else made.
func (c *diskConfig) files() []string {
	if c.dir == "" {
		return nil
	}
	names, err := c.fs.ReadDir(c.versionDir())
	if err != nil {
		return nil
	}
	return names
}

// versionDir is where logs and snapshots are; "" in memory.
func (c *diskConfig) versionDir() string {
	if c.dir == "" {
		return ""
	}
	return filepath.Join(c.dir, "version-2")
}

// dirSize is how many bytes logs and snapshots have, as far as they can be looked at.
func (e *engine) dirSize() int64 {
	disk := &e.srv.cfg.disk
	var sum int64
	for _, name := range disk.files() {
		f, err := disk.fs.OpenRead(filepath.Join(disk.versionDir(), name))
		if err != nil {
			continue // it was removed meanwhile
		}
		if n, err := f.Size(); err == nil {
			sum += n
		}
		f.Close()
	}
	return sum
}

// lastSnapshot returns the zxid of the newest snapshot and when it was written, in seconds since
// 1970; -1 for what is not known.
func (e *engine) lastSnapshot() (zxid, at int64) {
	disk := &e.srv.cfg.disk
	zxid, at = -1, -1
	newest := ""
	for _, name := range disk.files() {
		hex, ok := strings.CutPrefix(name, "snapshot.")
		if !ok {
			continue
		}
		hex, _, _ = strings.Cut(hex, ".") // what compresses it
		if n, err := strconv.ParseInt(hex, 16, 64); err == nil && n > zxid {
			zxid, newest = n, name
		}
	}
	if info, err := os.Stat(filepath.Join(disk.versionDir(), newest)); err == nil && newest != "" {
		at = info.ModTime().Unix()
	}
	return zxid, at
}
