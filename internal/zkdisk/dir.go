package zkdisk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/gazoo-zk/gazoo/internal/ztree"
)

// Errors of a [Dir].
var (
	// ErrLocked says that another server uses the directory.
	ErrLocked = errors.New("another server uses the directory")

	// ErrFailed says that an earlier write or sync failed, after which nobody knows what is on
	// the disk: nothing more is written until the directory is opened again.
	ErrFailed = errors.New("the data directory takes no writes after a failure")

	// ErrClosed says that the Dir is closed.
	ErrClosed = errors.New("the data directory is closed")

	// ErrNotEmpty says that a directory that is to be seeded holds data already.
	ErrNotEmpty = errors.New("it holds data already")

	// ErrZxidsUsedUp says that the next zxid would be in an epoch that this ensemble's files
	// do not know.
	ErrZxidsUsedUp = errors.New("all transaction numbers of the epoch are used up")
)

const (
	versionDir = "version-2"
	lockFile   = "gazoo.lock"
	tempPrefix = "gazoo-tmp-" // Apache takes "snapshot.5.tmp" for a snapshot
	snapPrefix = "snapshot."
	logPrefix  = "log."

	defaultPrealloc = 64 << 20
	defaultKeep     = 3
)

// Options say how a directory is used. The zero value is usable.
type Options struct {
	Tree     ztree.Options
	Prealloc int64 // bytes by which a log grows ahead of what is written (default 64 MiB)
	Keep     int   // snapshots that are kept, with the logs they need (default 3)
	NoPurge  bool  // keep all of them

	// Seed is the tree that a directory without data begins with; nil is an empty one. One with
	// data is refused then ([ErrNotEmpty]).
	Seed *ztree.Tree
}

// Dir is a data directory in use: see the package comment for who may call what.
type Dir struct {
	fs   FS
	path string // of version-2
	opt  Options
	lock io.Closer

	readOnly bool // nothing is changed

	epochs bool            // there are epoch files, which zxids must not outrun
	bad    map[string]bool // damaged snapshots, which do not count as kept; set by Open

	mu      sync.Mutex
	err     error   // why nothing is written any more
	pending []batch // what Append made, for Flush
	spare   []byte  // memory for the next batch
	last    int64   // zxid of the newest transaction appended
	flushed int64   // zxid of the newest transaction on disk
	end     int64   // of the log, with all that is pending
	roll    bool    // the next transaction begins a new log

	appended int64 // bytes of transactions

	// Owned by Flush.
	log       File
	logName   string
	allocated int64 // size of the log
	pos       int64 // how much of it is written
}

// batch is one write to a log.
type batch struct {
	create int64 // zxid that names a new log; 0 goes on with the old one
	start  int64
	buf    []byte
}

// file is a snapshot or a log of the directory.
type file struct {
	name string
	zxid int64
}

func (d *Dir) name(name string) string { return filepath.Join(d.path, name) }

// list returns snapshots and logs, oldest first.
func (d *Dir) list() (snaps, logs []file, err error) {
	names, err := d.fs.ReadDir(d.path)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		if zxid, ok := zxidOf(name, logPrefix); ok {
			logs = append(logs, file{name, zxid})
		}
		plain := strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".snappy")
		if zxid, ok := zxidOf(plain, snapPrefix); ok {
			snaps = append(snaps, file{name, zxid})
		}
	}
	older := func(a, b file) int {
		if a.zxid != b.zxid {
			return int(min(max(a.zxid-b.zxid, -1), 1))
		}
		return strings.Compare(a.name, b.name)
	}
	slices.SortFunc(snaps, older)
	slices.SortFunc(logs, older)
	return snaps, logs, nil
}

// contents is list with a check of whether they are what Open can begin with.
func (d *Dir) contents() (snaps, logs []file, err error) {
	snaps, logs, err = d.list()
	switch {
	case err != nil:
	case d.opt.Seed != nil && len(snaps)+len(logs) > 0:
		err = ErrNotEmpty
	case len(snaps) == 0 && len(logs) > 0:
		err = fmt.Errorf("it holds %s but no snapshot: is it a directory for logs only (dataLogDir)?", logs[0].name)
	}
	return snaps, logs, err
}

func zxidOf(name, prefix string) (int64, bool) {
	digits, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return 0, false
	}
	zxid, err := strconv.ParseUint(digits, 16, 63)
	return int64(zxid), err == nil
}

func fileName(prefix string, zxid int64) string { return prefix + strconv.FormatInt(zxid, 16) }

// prepare makes the directory when there is none, and locks it.
func (d *Dir) prepare(top string) error {
	names, err := d.fs.ReadDir(top)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := rightKind(names); err != nil {
		return err
	}
	if slices.Contains(names, versionDir) {
		if _, _, err := d.contents(); err != nil {
			return err
		}
	}
	if err := d.fs.MkdirAll(d.path); err != nil {
		return fmt.Errorf("cannot be written: %w", err)
	}
	if d.lock, err = d.fs.Lock(filepath.Join(top, lockFile)); err != nil {
		if errors.Is(err, ErrLocked) {
			return err
		}
		return fmt.Errorf("cannot be written: %w", err)
	}
	names, err = d.fs.ReadDir(d.path)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, tempPrefix) {
			if err := d.fs.Remove(d.name(name)); err != nil {
				return fmt.Errorf("cannot be written: %w", err)
			}
		}
		d.epochs = d.epochs || name == "currentEpoch" || name == "acceptedEpoch"
	}
	return nil
}

// above are the syncs of the directories that lead to version-2. Any of them may be new, and lost
// with all that is below. Those that must not be opened are older.
func (d *Dir) above() (syncs []func() error) {
	for dir := filepath.Dir(d.path); ; dir = filepath.Dir(dir) {
		syncs = append(syncs, func() error {
			if err := d.fs.SyncDir(dir); err != nil && !errors.Is(err, fs.ErrPermission) {
				return err
			}
			return nil
		})
		if dir == filepath.Dir(dir) {
			return syncs
		}
	}
}

// rightKind refuses a directory that is something else, before anything is put there.
func rightKind(names []string) error {
	strange := ""
	for _, name := range names {
		_, log := zxidOf(name, logPrefix)
		_, snap := zxidOf(name, snapPrefix)
		switch {
		case log || snap:
			return fmt.Errorf("it holds %s itself: the data directory is the one above", name)
		case name == versionDir:
			return nil
		case !slices.Contains([]string{lockFile, "myid", "initialize", "zookeeper_server.pid", "lost+found"}, name):
			strange = name
		}
	}
	if strange != "" {
		return fmt.Errorf("it holds %s and no %s, so it is none of a ZooKeeper server, nor is it empty", strange, versionDir)
	}
	return nil
}

// Close releases the directory. What was appended and not flushed is lost.
func (d *Dir) Close() error {
	d.mu.Lock()
	closed := d.err == ErrClosed
	failed := d.err != nil
	d.err = ErrClosed
	d.pending = nil
	d.mu.Unlock()
	if closed {
		return nil
	}
	var err error
	if d.log != nil {
		if !failed {
			err = d.log.Truncate(d.pos)
		}
		err = errors.Join(err, d.log.Close())
	}
	return errors.Join(err, d.lock.Close())
}

// Err returns why the directory takes no writes, or nil.
func (d *Dir) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// fail makes an error the last word.
func (d *Dir) fail(err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		d.err = fmt.Errorf("%w: %w", ErrFailed, err)
		d.pending = nil
	}
	return d.err
}
