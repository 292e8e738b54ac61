package zkdisk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/adler32"
	"io"

	"github.com/gazoo-zk/gazoo/internal/ztree"
	"github.com/gazoo-zk/gazoo/zkproto"
)

const (
	logMagic      = 0x5a4b4c47 // ZKLG
	formatVersion = 2
	headerSize    = 16
	recordHead    = 12  // checksum and length
	recordTail    = 'B' // behind the entry
	minEntry      = 32  // the header of a transaction
)

// AppendLogHeader appends what a log begins with.
func AppendLogHeader(b []byte) []byte {
	b = zkproto.AppendInt32(b, logMagic)
	b = zkproto.AppendInt32(b, formatVersion)
	return zkproto.AppendInt64(b, 0)
}

// AppendRecord appends a transaction as a log has it: checksum, length, entry, 'B'.
func AppendRecord(b []byte, txn *ztree.Txn, digest bool) []byte {
	return appendRecordOf(b, txn, digest, -1)
}

// appendRecordOf is AppendRecord with the place where the flush begins that the record is part
// of, behind the digest, where Apache's reader and others take no notice.
//
// A power failure during a flush can lose any part of it, the first as well as the last. Then
// there are records in the file behind a hole, and only this number tells them from records of
// later flushes, which prove that the hole was once on disk, so that it is damage.
func appendRecordOf(b []byte, txn *ztree.Txn, digest bool, flush int64) []byte {
	at := len(b)
	b = append(b, make([]byte, recordHead)...)
	b = AppendTxn(b, txn, digest)
	if flush >= 0 {
		b = zkproto.AppendInt64(b, flush)
	}
	entry := b[at+recordHead:]
	binary.BigEndian.PutUint64(b[at:], uint64(adler32.Checksum(entry)))
	binary.BigEndian.PutUint32(b[at+8:], uint32(len(entry)))
	return append(b, recordTail)
}

// DamageError says where a log or a snapshot is damaged.
type DamageError struct {
	File   string // "" when the reader was not told
	Offset int64
	Reason string

	// Torn is set when it may be the work of a power failure during the last write to the file:
	// nothing behind Offset was ever acknowledged.
	Torn bool
}

// Error names the file, the place and the reason.
func (e *DamageError) Error() string {
	file := e.File
	if file == "" {
		file = "file"
	}
	return fmt.Sprintf("%s is damaged at offset %d: %s", file, e.Offset, e.Reason)
}

// LogReader reads the records of a log.
type LogReader struct {
	r    io.ReaderAt
	size int64
	off  int64 // of the next record; 0 before the header was read
	zxid int64 // of the last record
	err  error

	buf    []byte // bytes of the file from bufOff on
	bufOff int64
}

// NewLogReader returns a reader of a log of size bytes.
func NewLogReader(r io.ReaderAt, size int64) *LogReader { return &LogReader{r: r, size: size} }

// Offset returns where the last record ends that Next returned, which is the length of the log
// without padding and torn tail.
func (l *LogReader) Offset() int64 { return l.off }

// Next returns the next record: [io.EOF] at the end of the log, where nothing or only zeros
// follow, and a [*DamageError] where something else does. An error ends the log.
func (l *LogReader) Next() (Entry, error) {
	if l.err != nil {
		return Entry{}, l.err
	}
	e, err := l.next()
	if err != nil {
		l.err = err
		return Entry{}, err
	}
	l.zxid = e.Txn.Zxid
	l.off = e.End
	return e, nil
}

func (l *LogReader) next() (Entry, error) {
	at := l.off
	if at == 0 {
		if reason, err := l.header(); err != nil || reason != "" {
			return Entry{}, l.damage(0, reason, err)
		}
		at = headerSize
		l.off = at
	}
	e, reason, err := l.record(at)
	if err == nil && reason == "" {
		return e, nil
	}
	if err == io.EOF {
		return Entry{}, io.EOF
	}
	return Entry{}, l.damage(at, reason, err)
}

func (l *LogReader) header() (reason string, err error) {
	if l.size < headerSize {
		return "the header is incomplete", nil
	}
	b, err := l.bytes(0, headerSize)
	if err != nil {
		return "", err
	}
	r := zkproto.NewReader(b)
	switch magic, version, dbid := r.Int32(), r.Int32(), r.Int64(); {
	case magic != logMagic:
		return fmt.Sprintf("it does not begin like a transaction log: %08x", uint32(magic)), nil
	case version != formatVersion:
		return fmt.Sprintf("version %d of the format is unknown", version), nil
	case dbid != 0:
		return fmt.Sprintf("database id %d", dbid), nil
	}
	return "", nil
}

// record reads the record at an offset; io.EOF when there are only zeros from there on.
func (l *LogReader) record(at int64) (e Entry, reason string, err error) {
	left := l.size - at
	if left <= recordHead {
		if zero, err := l.zeroFrom(at); err != nil || !zero {
			return e, "a record is incomplete", err
		}
		return e, "", io.EOF
	}
	head, err := l.bytes(at, recordHead)
	if err != nil {
		return e, "", err
	}
	sum, length := binary.BigEndian.Uint64(head), int64(int32(binary.BigEndian.Uint32(head[8:])))
	if sum == 0 && length == 0 {
		if zero, err := l.zeroFrom(at); err != nil || !zero {
			return e, "there is a hole in it", err
		}
		return e, "", io.EOF
	}
	switch {
	case length < minEntry:
		return e, fmt.Sprintf("a record of length %d", length), nil
	case length > left-recordHead-1:
		return e, "a record is incomplete", nil
	}
	all, err := l.bytes(at, int(recordHead+length+1))
	if err != nil {
		return e, "", err
	}
	entry := all[recordHead : recordHead+length]
	switch {
	case all[len(all)-1] != recordTail:
		return e, "a record has no end", nil
	case uint64(adler32.Checksum(entry)) != sum:
		return e, "the checksum of a record is wrong", nil
	}
	if err := DecodeTxn(&e, entry); err != nil {
		return e, err.Error(), nil
	}
	e.Offset, e.End = at, at+int64(len(all))
	if e.flush > at {
		e.flush = -1
	}
	return e, "", nil
}

// damage finds out what a bad record means, by what follows.
func (l *LogReader) damage(at int64, reason string, err error) error {
	if err != nil {
		return err
	}
	d := &DamageError{Offset: at, Reason: reason, Torn: true}
	if at == 0 {
		// A header that was never written is zeros. Anything else is no log of ours to cut.
		b, err := l.bytes(0, int(min(l.size, headerSize)))
		if err != nil {
			return err
		}
		if len(bytes.TrimLeft(b, "\x00")) > 0 && l.size >= headerSize {
			d.Torn = false
			return d
		}
	}
	for c := max(at+1, headerSize); c+recordHead+minEntry < l.size; {
		b, err := l.bytes(c, recordHead)
		if err != nil {
			return err
		}
		// A quick look first: the upper half of the checksum is zero, and not all else is.
		if n := bytes.IndexByte(b[:8], 0); binary.BigEndian.Uint32(b) != 0 {
			c += int64(max(n, 1))
			continue
		}
		length := binary.BigEndian.Uint32(b[8:])
		if length < minEntry || int64(length) > l.size-c-recordHead-1 {
			c++
			continue
		}
		e, why, err := l.record(c)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err != nil || why != "" || !l.follows(&e, at) {
			c++
			continue
		}
		if e.flush < 0 || e.flush > at {
			d.Torn = false
			return d
		}
		c = e.End
	}
	return d
}

// follows reports whether a record found behind a bad one at an offset belongs to this log,
// rather than to a log that somebody stored in a znode.
func (l *LogReader) follows(e *Entry, at int64) bool {
	if l.zxid == 0 {
		return true
	}
	if e.Txn.Zxid>>32 != l.zxid>>32 {
		return e.Txn.Zxid > l.zxid
	}
	missing := e.Txn.Zxid - l.zxid
	return missing >= 0 && missing <= (e.Offset-at)/(recordHead+minEntry+1)+1
}

// zeroFrom reports whether only zeros follow.
func (l *LogReader) zeroFrom(at int64) (bool, error) {
	for at < l.size {
		b, err := l.bytes(at, int(min(window, l.size-at)))
		if err != nil {
			return false, err
		}
		if len(bytes.TrimLeft(b, "\x00")) > 0 {
			return false, nil
		}
		at += int64(len(b))
	}
	return true, nil
}

// window is how much is read at least, where there is so much.
const window = 64 << 10

// bytes returns n bytes of the file, which must be there. They are valid until the next call.
func (l *LogReader) bytes(at int64, n int) ([]byte, error) {
	if i := at - l.bufOff; i >= 0 && i+int64(n) <= int64(len(l.buf)) {
		return l.buf[i : i+int64(n)], nil
	}
	want := int(min(max(int64(n), window), l.size-at))
	if cap(l.buf) < want {
		l.buf = make([]byte, want)
	}
	l.buf = l.buf[:want]
	l.bufOff = at
	if read, err := l.r.ReadAt(l.buf, at); read < want {
		l.buf = l.buf[:0]
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return l.buf[:n], nil
}
