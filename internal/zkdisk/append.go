package zkdisk

import (
	"fmt"

	"github.com/gazoo-zk/gazoo/internal/plant"
	"github.com/gazoo-zk/gazoo/internal/ztree"
)

// Append encodes a transaction for the next [Dir.Flush]; it does no I/O. Zxids must follow each
// other, or begin a new epoch. An error means that nothing was appended.
func (d *Dir) Append(txn *ztree.Txn) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return d.err
	}
	switch {
	case !follows(d.last, txn.Zxid):
		return fmt.Errorf("zkdisk: append of zxid 0x%x behind 0x%x", txn.Zxid, d.last)
	case d.epochs && txn.Zxid == d.last+1 && epoch(txn.Zxid) != epoch(d.last):
		return ErrZxidsUsedUp
	}
	if d.roll || len(d.pending) == 0 {
		b := batch{start: d.end, buf: d.spare[:0]}
		d.spare = nil
		if d.roll {
			b.create, b.start, b.buf = txn.Zxid, 0, AppendLogHeader(b.buf)
		}
		d.roll = false
		d.pending = append(d.pending, b)
	}
	b := &d.pending[len(d.pending)-1]
	before := len(b.buf)
	b.buf = appendRecordOf(b.buf, txn, d.opt.Tree.Digest, b.start)
	d.appended += int64(len(b.buf) - before)
	d.end = b.start + int64(len(b.buf))
	d.last = txn.Zxid
	return nil
}

func epoch(zxid int64) int64 { return zxid >> 32 }

// follows reports whether a transaction may come behind another.
func follows(last, next int64) bool { return next == last+1 || epoch(next) > epoch(last) }

// Flush writes what was appended and makes it safe with one sync, or one more where a new log
// begins. When it returns nil, all that was appended before the call survives anything. An error
// is for ever ([ErrFailed]): whether a transaction is on disk then only a new [Open] can tell.
func (d *Dir) Flush() error {
	d.mu.Lock()
	batches, last, err := d.pending, d.last, d.err
	d.pending = nil
	d.mu.Unlock()
	if err != nil {
		return err
	}
	for _, b := range batches {
		if err := d.write(b); err != nil {
			return d.fail(err)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.flushed = last
	if n := len(batches); n > 0 && cap(batches[n-1].buf) <= maxSpare {
		d.spare = batches[n-1].buf
	}
	return nil
}

// maxSpare is the largest buffer that is kept.
const maxSpare = 4 << 20

// Flushed returns the zxid up to which all is on disk.
func (d *Dir) Flushed() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.flushed
}

// Appended returns how many bytes of transactions were appended since [Open].
func (d *Dir) Appended() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.appended
}

func (d *Dir) write(b batch) error {
	if b.create != 0 {
		if err := d.create(b.create); err != nil {
			return err
		}
	}
	end := d.pos + int64(len(b.buf))
	if end > d.allocated {
		step := d.opt.Prealloc
		size := (end + step - 1) / step * step
		if err := d.log.Extend(size); err != nil {
			return fmt.Errorf("%s: %w", d.logName, err)
		}
		d.allocated = size
	}
	if _, err := d.log.WriteAt(b.buf, d.pos); err != nil {
		return fmt.Errorf("%s: %w", d.logName, err)
	}
	d.pos = end
	if b.create != 0 {
		return d.fs.Together(d.syncLog, func() error { return d.fs.SyncDir(d.path) })
	}
	return d.syncLog()
}

func (d *Dir) syncLog() error {
	if plant.ServerSkipsFsync {
		return nil
	}
	if err := d.log.Sync(); err != nil {
		return fmt.Errorf("%s: %w", d.logName, err)
	}
	return nil
}

// create ends the old log and begins a new one.
func (d *Dir) create(zxid int64) error {
	if d.log != nil {
		// All of it is safe; what is cut off is zeros, which may as well stay.
		if err := d.log.Truncate(d.pos); err != nil {
			return fmt.Errorf("%s: %w", d.logName, err)
		}
		if err := d.log.Close(); err != nil {
			return fmt.Errorf("%s: %w", d.logName, err)
		}
	}
	d.logName = fileName(logPrefix, zxid)
	log, err := d.fs.Create(d.name(d.logName))
	if err != nil {
		d.log = nil
		return err
	}
	d.log, d.pos, d.allocated = log, 0, 0
	return nil
}
