package zkdisk

import (
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/gazoo-zk/gazoo/internal/ztree"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// Recovery is what was found in a directory.
type Recovery struct {
	Tree         *ztree.Tree
	Fresh        bool     // the directory was empty
	Snapshot     string   // the file that the tree was loaded from
	Transactions int      // replayed from logs
	Bytes        int64    // of these
	Dropped      []string // ephemerals of sessions that do not exist

	// DigestMismatches counts transactions behind which the tree has another digest than the log
	// says. It is 0 unless a server, this one or another, has a bug.
	DigestMismatches int

	Notes []string // what was out of the ordinary, for the log
}

func (r *Recovery) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// Open opens a data directory, which it makes if there is none, and recovers the tree: the newest
// valid snapshot, and the logs from there on. All that it returns is safe on disk.
func Open(fsys FS, dir string, opt Options) (*Dir, *Recovery, error) {
	if opt.Prealloc <= 0 {
		opt.Prealloc = defaultPrealloc
	}
	if opt.Keep <= 0 {
		opt.Keep = defaultKeep
	}
	d := &Dir{fs: fsys, path: filepath.Join(dir, versionDir), opt: opt, bad: make(map[string]bool), roll: true}
	rec, err := d.open(dir)
	if err != nil {
		if d.lock != nil {
			d.lock.Close()
		}
		return nil, nil, fmt.Errorf("data directory %s: %w", dir, err)
	}
	return d, rec, nil
}

func (d *Dir) open(dir string) (*Recovery, error) {
	if err := d.prepare(dir); err != nil {
		return nil, err
	}
	snaps, logs, err := d.contents()
	if err != nil {
		return nil, err
	}
	rec := &Recovery{}
	if len(snaps) == 0 {
		if rec.Tree, rec.Fresh = d.opt.Seed, true; rec.Tree == nil {
			rec.Tree = ztree.New(d.opt.Tree)
		}
		d.last, d.flushed = rec.Tree.Zxid(), rec.Tree.Zxid()
		rec.Snapshot = fileName(snapPrefix, rec.Tree.Zxid())
		// Apache refuses logs without a snapshot. Nothing was promised yet, so order does not matter.
		return rec, d.fs.Together(append(d.above(), func() error { return d.Save(rec.Tree) })...)
	}
	if err := d.fs.Together(d.above()...); err != nil {
		return nil, err
	}
	if err := d.recover(snaps, logs, rec); err != nil {
		return nil, err
	}
	if d.epochs && epoch(rec.Tree.Zxid()+1) != epoch(rec.Tree.Zxid()) {
		return nil, ErrZxidsUsedUp
	}
	if err := d.fs.SyncDir(d.path); err != nil {
		return nil, err
	}
	d.last, d.flushed = rec.Tree.Zxid(), rec.Tree.Zxid()
	if len(rec.Dropped) > 0 {
		// No transaction says so: without a snapshot the logs would no longer add up to the tree.
		return rec, d.Save(rec.Tree)
	}
	return rec, nil
}

// Read reads the tree of a data directory, and changes nothing there. A server that uses the
// directory meanwhile may make it fail; what it returns is a state that there was.
func Read(fsys FS, dir string, opt Options) (*Recovery, error) {
	d := &Dir{fs: fsys, path: filepath.Join(dir, versionDir), opt: opt, bad: make(map[string]bool), readOnly: true}
	rec := &Recovery{}
	snaps, logs, err := d.list()
	switch {
	case err != nil:
	case len(snaps) == 0:
		err = fmt.Errorf("there is no snapshot in its %s", versionDir)
	default:
		err = d.recover(snaps, logs, rec)
	}
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", dir, err)
	}
	return rec, nil
}

// recover makes the tree.
func (d *Dir) recover(snaps, logs []file, rec *Recovery) error {
	l, err := d.load(snaps, rec)
	if err != nil {
		return err
	}
	rp := &replay{d: d, rec: rec, tree: rec.Tree, snap: rec.Tree.Zxid(), last: rec.Tree.Zxid(), digest: l.Digest}
	if err := rp.run(logs); err != nil {
		return err
	}
	if missing := rec.Tree.MissingACLs(); len(missing) > 0 {
		return fmt.Errorf("%s: neither it nor the logs hold the ACL of %q", rec.Snapshot, missing[0])
	}
	if rec.Dropped = rec.Tree.Settle(); len(rec.Dropped) > 0 {
		rec.note("%d ephemerals of sessions that do not exist were dropped", len(rec.Dropped))
	}
	return nil
}

// openFile opens a file to be read, and makes what it holds safe: what a killed server wrote may
// be read but not yet be on disk, and Apache does not sync its snapshots at all.
func (d *Dir) openFile(name string) (File, int64, error) {
	open := d.fs.Open
	if d.readOnly {
		open = d.fs.OpenRead
	}
	f, err := open(d.name(name))
	if err != nil {
		return nil, 0, err
	}
	size, err := f.Size()
	if err == nil && !d.readOnly {
		err = f.Sync()
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, size, nil
}

// load reads the newest snapshot that is valid.
func (d *Dir) load(snaps []file, rec *Recovery) (*SnapshotReader, error) {
	var first error
	for i := len(snaps) - 1; i >= 0; i-- {
		s := snaps[i]
		r, err := d.loadOne(s, rec)
		if err == nil {
			rec.Snapshot = s.name
			return r, nil
		}
		if _, damaged := errors.AsType[*DamageError](err); !damaged {
			return nil, err
		}
		d.bad[s.name] = true
		first = errors.Join(first, err)
		rec.note("%v; an older snapshot is used", err)
	}
	return nil, fmt.Errorf("no snapshot is valid: %w", first)
}

func (d *Dir) loadOne(s file, rec *Recovery) (*SnapshotReader, error) {
	if strings.HasSuffix(s.name, ".snappy") {
		return nil, fmt.Errorf("%s: Snappy compression is not supported; let ZooKeeper write it again with zookeeper.snapshot.compression.method=gz or none", s.name)
	}
	f, size, err := d.openFile(s.name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var in io.Reader = io.NewSectionReader(f, 0, size)
	if strings.HasSuffix(s.name, ".gz") {
		gz, err := gzip.NewReader(in)
		if err != nil {
			return nil, unzipped(s.name, err)
		}
		in = gz
	}
	r, err := d.loadTree(in, s, rec)
	if damage, ok := errors.AsType[*DamageError](err); ok {
		damage.File = s.name
	}
	if err != nil {
		return nil, unzipped(s.name, err)
	}
	return r, nil
}

// unzipped takes what the decompressor complains about for damage.
func unzipped(name string, err error) error {
	_, corrupt := errors.AsType[flate.CorruptInputError](err)
	if corrupt || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, io.ErrUnexpectedEOF) || err == io.EOF {
		return &DamageError{File: name, Reason: err.Error()}
	}
	return err
}

func (d *Dir) loadTree(in io.Reader, s file, rec *Recovery) (*SnapshotReader, error) {
	r, err := NewSnapshotReader(in)
	if err != nil {
		return nil, err
	}
	l := ztree.Load(d.opt.Tree)
	for id, timeout := range r.Sessions {
		l.AddSession(id, timeout)
	}
	for key, acl := range r.ACLs {
		l.AddACL(key, acl)
	}
	for {
		n, err := r.Next()
		if err == io.EOF {
			rec.Tree = l.Finish(s.zxid)
			return r, nil
		}
		if err != nil {
			return nil, err
		}
		if !d.opt.Tree.ExtendedTypes && uint64(n.Owner)>>40 == 0xff0000 {
			return nil, ttlError(s.name, n.Path)
		}
		if err := l.AddNode(n); err != nil {
			return nil, &DamageError{Offset: r.off, Reason: err.Error()}
		}
	}
}

func ttlError(file, path string) error {
	return fmt.Errorf("%s: %q has a TTL, and extended types are off: they would turn it into an ephemeral znode", file, path)
}

// replay is the pass over the logs.
type replay struct {
	d      *Dir
	rec    *Recovery
	tree   *ztree.Tree
	snap   int64        // zxid of the snapshot
	last   int64        // newest transaction that the tree has
	digest *Digest      // of the snapshot
	torn   *DamageError // the end of a log; the next one is to show that nothing is missing
	tornAt file
}

func (rp *replay) run(logs []file) error {
	if len(logs) > 0 {
		logs = logs[firstLog(logs, rp.snap):]
	}
	for i, l := range logs {
		if err := rp.file(l, i == len(logs)-1); err != nil {
			return err
		}
	}
	if s := rp.digest; s != nil && s.Zxid == rp.last {
		rp.compare(rp.last, s.Digest, s.Version)
	}
	if rp.torn != nil && rp.tornAt.name != "" {
		return rp.cut(rp.tornAt, rp.torn.Offset)
	}
	return nil
}

// file replays one log.
func (rp *replay) file(l file, last bool) error {
	f, size, err := rp.d.openFile(l.name)
	if err != nil {
		return err
	}
	defer f.Close()
	r := NewLogReader(f, size)
	records := 0
	for {
		e, err := r.Next()
		if err == io.EOF {
			break
		}
		if damage, ok := errors.AsType[*DamageError](err); ok {
			damage.File = l.name
			if !damage.Torn {
				return damage
			}
			rp.rec.note("%v; it is taken for the end of the log", damage)
			if !last {
				rp.torn, rp.tornAt = damage, l
			}
			break
		}
		if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		records++
		if err := rp.apply(&e, l); err != nil {
			return err
		}
	}
	switch {
	case !last || size == r.Offset() && records > 0:
		return nil
	case records == 0:
		// Begun, and never finished. The next one may have its name.
		return rp.cut(l, 0)
	}
	return rp.cut(l, r.Offset())
}

// cut ends a log where its last good record does.
func (rp *replay) cut(l file, at int64) error {
	if rp.d.readOnly {
		return nil
	}
	if at == 0 {
		return rp.d.fs.Remove(rp.d.name(l.name))
	}
	f, err := rp.d.fs.Open(rp.d.name(l.name))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(at); err != nil {
		return err
	}
	return f.Sync()
}

func (rp *replay) apply(e *Entry, l file) error {
	txn := &e.Txn
	if txn.Zxid <= rp.snap {
		return nil
	}
	if !rp.d.opt.Tree.ExtendedTypes {
		if path, has := createsTTL(&txn.Record); has {
			return ttlError(l.name, path)
		}
	}
	switch {
	case follows(rp.last, txn.Zxid):
	case txn.Zxid == rp.last && txn.Record.Type == zkproto.OpError:
		return nil // 3.9 writes some errors with the number of the transaction before
	default:
		err := fmt.Errorf("%s: transaction 0x%x comes behind 0x%x, at offset %d", l.name, txn.Zxid, rp.last, e.Offset)
		if rp.torn != nil {
			err = fmt.Errorf("%w; %w", err, rp.torn)
		}
		return err
	}
	rp.torn, rp.tornAt = nil, file{}
	if err := rp.tree.Replay(*txn); err != nil {
		return fmt.Errorf("%s, offset %d: %w", l.name, e.Offset, err)
	}
	rp.last = txn.Zxid
	rp.rec.Transactions++
	rp.rec.Bytes += e.End - e.Offset
	if rp.digest == nil || txn.Zxid > rp.digest.Zxid {
		rp.compare(txn.Zxid, txn.Digest, e.DigestVersion)
	}
	return nil
}

// compare checks the tree's digest against what a transaction or the snapshot says. It makes no
// sense before the last transaction that the snapshot may have seen. That is not quite the one
// that its digest belongs to: Apache may be in the middle of the next.
func (rp *replay) compare(zxid, want int64, version int32) {
	s := rp.digest
	if s == nil || s.Version != ztree.DigestVersion || version != s.Version || zxid < s.Zxid || !rp.d.opt.Tree.Digest {
		return
	}
	if rp.tree.Digest() != want {
		if rp.rec.DigestMismatches++; rp.rec.DigestMismatches == 1 {
			rp.rec.note("the digest of the tree behind transaction 0x%x is %d, the files say %d", zxid, rp.tree.Digest(), want)
		}
	}
}

func createsTTL(rec *ztree.Record) (string, bool) {
	if rec.Type == zkproto.OpCreateTTL {
		return rec.Path, true
	}
	for i := range rec.Parts {
		if path, has := createsTTL(&rec.Parts[i]); has {
			return path, true
		}
	}
	return "", false
}
