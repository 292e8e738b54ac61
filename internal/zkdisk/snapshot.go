package zkdisk

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/adler32"
	"io"
	"maps"
	"slices"

	"github.com/gazoo-zk/gazoo/internal/ztree"
	"github.com/gazoo-zk/gazoo/zkproto"
)

const (
	snapMagic = 0x5a4b534e // ZKSN
	snapEnd   = "/"        // in place of a path, and behind each checksum
	sealSize  = 8 + 4 + 1
)

// Digest is the digest of the tree at a zxid, as snapshots keep it.
type Digest struct {
	Zxid    int64
	Version int32
	Digest  int64
}

// SnapshotHead is what a snapshot begins with.
type SnapshotHead struct {
	Sessions map[int64]int32         // id to time-out in milliseconds
	ACLs     map[int64][]zkproto.ACL // by key
}

// SnapshotWriter writes a snapshot. The first error sticks, and Finish returns it.
type SnapshotWriter struct {
	w   io.Writer
	sum hash.Hash32
	buf []byte
	err error
}

// NewSnapshotWriter begins a snapshot. It writes to w in large pieces.
func NewSnapshotWriter(w io.Writer, head SnapshotHead) *SnapshotWriter {
	s := &SnapshotWriter{w: w, sum: adler32.New()}
	b := zkproto.AppendInt32(nil, snapMagic)
	b = zkproto.AppendInt32(b, formatVersion)
	b = zkproto.AppendInt64(b, -1)
	b = zkproto.AppendInt32(b, int32(len(head.Sessions)))
	for _, id := range slices.Sorted(maps.Keys(head.Sessions)) {
		b = zkproto.AppendInt64(b, id)
		b = zkproto.AppendInt32(b, head.Sessions[id])
	}
	b = zkproto.AppendInt32(b, int32(len(head.ACLs)))
	for _, key := range slices.Sorted(maps.Keys(head.ACLs)) {
		b = zkproto.AppendInt64(b, key)
		b = appendACLs(b, head.ACLs[key])
	}
	s.buf = b
	return s
}

// Write adds a znode, whose parent must have come before.
func (s *SnapshotWriter) Write(n ztree.NodeRecord) {
	if len(s.buf) >= window {
		s.flush()
	}
	b := zkproto.AppendString(s.buf, n.Path)
	b = zkproto.AppendBuffer(b, n.Data)
	b = zkproto.AppendInt64(b, n.ACLKey)
	for _, v := range [4]int64{n.Czxid, n.Mzxid, n.Ctime, n.Mtime} {
		b = zkproto.AppendInt64(b, v)
	}
	for _, v := range [3]int32{n.Version, n.Creates, n.Aversion} {
		b = zkproto.AppendInt32(b, v)
	}
	b = zkproto.AppendInt64(b, n.Owner)
	s.buf = zkproto.AppendInt64(b, n.Pzxid)
}

// Finish ends the znodes and writes the checksums; with a digest, that too.
func (s *SnapshotWriter) Finish(d *Digest) error {
	s.buf = zkproto.AppendString(s.buf, snapEnd)
	s.seal()
	if d != nil {
		s.buf = zkproto.AppendInt64(s.buf, d.Zxid)
		s.buf = zkproto.AppendInt32(s.buf, d.Version)
		s.buf = zkproto.AppendInt64(s.buf, d.Digest)
		s.seal()
	}
	s.flush()
	return s.err
}

func (s *SnapshotWriter) seal() {
	s.flush()
	s.buf = zkproto.AppendInt64(s.buf, int64(s.sum.Sum32()))
	s.buf = zkproto.AppendString(s.buf, snapEnd)
}

func (s *SnapshotWriter) flush() {
	s.sum.Write(s.buf)
	if s.err == nil {
		_, s.err = s.w.Write(s.buf)
	}
	s.buf = s.buf[:0]
}

// SnapshotReader reads a snapshot.
type SnapshotReader struct {
	SnapshotHead

	// Digest and LastZxid are known when Next has returned io.EOF; nil where the writer had none.
	Digest   *Digest
	LastZxid *int64

	r   *bufio.Reader
	sum hash.Hash32
	off int64
	buf []byte
	err error // sticks
}

// NewSnapshotReader reads the beginning of a snapshot, as far as the znodes.
func NewSnapshotReader(r io.Reader) (*SnapshotReader, error) {
	s := &SnapshotReader{r: bufio.NewReaderSize(r, window), sum: adler32.New()}
	s.Sessions, s.ACLs = make(map[int64]int32), make(map[int64][]zkproto.ACL)
	magic, version := s.int32(), s.int32()
	s.int64() // the database id, which nobody looks at
	switch {
	case s.err != nil:
	case magic != snapMagic:
		s.fail(fmt.Sprintf("it does not begin like a snapshot: %08x", uint32(magic)))
	case version != formatVersion:
		s.fail(fmt.Sprintf("version %d of the format is unknown", version))
	}
	for range s.count() {
		id, timeout := s.int64(), s.int32()
		if s.err != nil {
			break
		}
		s.Sessions[id] = timeout
	}
	for range s.count() {
		key := s.int64()
		acl := s.acls()
		if s.err != nil {
			break
		}
		s.ACLs[key] = acl
	}
	if s.err != nil {
		return nil, s.err
	}
	return s, nil
}

// Next returns the next znode. [io.EOF] says that all were there, and that the checksums are
// right; a [*DamageError] that they are not.
func (s *SnapshotReader) Next() (ztree.NodeRecord, error) {
	if s.err != nil {
		return ztree.NodeRecord{}, s.err
	}
	var n ztree.NodeRecord
	n.Path = string(s.buffer())
	if s.err == nil && n.Path == snapEnd {
		s.tail()
		if s.err == nil {
			s.err = io.EOF
		}
		return ztree.NodeRecord{}, s.err
	}
	if data := s.buffer(); data != nil {
		n.Data = append(make([]byte, 0, len(data)), data...)
	}
	b := s.take(statSize) // at once: most of the time of a start is spent here
	if b == nil {
		return ztree.NodeRecord{}, s.err
	}
	long := func(at int) int64 { return int64(binary.BigEndian.Uint64(b[at:])) }
	short := func(at int) int32 { return int32(binary.BigEndian.Uint32(b[at:])) }
	n.ACLKey = long(0)
	n.Czxid, n.Mzxid, n.Ctime, n.Mtime = long(8), long(16), long(24), long(32)
	n.Version, n.Creates, n.Aversion = short(40), short(44), short(48)
	n.Owner, n.Pzxid = long(52), long(60)
	return n, nil
}

// statSize is the bytes of a znode behind its data.
const statSize = 68

// tail reads what stands behind the znodes: a checksum, the digest and its checksum (3.6), the
// last zxid and its checksum (3.9). Each part may be missing.
func (s *SnapshotReader) tail() {
	s.seal()
	rest, err := s.r.Peek(8 + sealSize + 1)
	if len(rest) == 0 {
		s.ended(err)
		return
	}
	if len(rest) > 8+sealSize { // else there is no digest
		d := Digest{Zxid: s.int64(), Version: s.int32()}
		if d.Version >= ztree.DigestVersion {
			d.Digest = s.int64()
		} else {
			s.buffer() // as text, before 3.6.0
		}
		s.seal()
		if s.err == nil {
			s.Digest = &d
		}
	}
	if rest, err = s.r.Peek(1); len(rest) == 0 {
		s.ended(err)
		return
	}
	zxid := s.int64()
	s.seal()
	if s.err == nil {
		s.LastZxid = &zxid
	}
}

// ended takes a stream's end for the end, and any other error for what it is.
func (s *SnapshotReader) ended(err error) {
	if s.err == nil && err != io.EOF {
		s.err = err
	}
}

// seal checks the checksum of all bytes so far.
func (s *SnapshotReader) seal() {
	want := int64(s.sum.Sum32())
	at := s.off
	sum, end := s.int64(), s.buffer()
	if s.err == nil && (sum != want || string(end) != snapEnd) {
		s.off = at
		s.fail("the checksum is wrong")
	}
}

func (s *SnapshotReader) fail(reason string) {
	if s.err == nil {
		s.err = &DamageError{Offset: s.off, Reason: reason}
	}
}

func (s *SnapshotReader) int32() int32 {
	if b := s.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (s *SnapshotReader) int64() int64 {
	if b := s.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// count reads how many of something follow, for which nothing is allocated in advance.
func (s *SnapshotReader) count() int32 {
	n := s.int32()
	if n < 0 {
		s.fail(fmt.Sprintf("a count of %d", n))
	}
	if s.err != nil {
		return 0
	}
	return n
}

func (s *SnapshotReader) acls() []zkproto.ACL {
	n := s.int32()
	if n < -1 {
		s.fail(fmt.Sprintf("an ACL of length %d", n))
	}
	var acl []zkproto.ACL
	for range n {
		a := zkproto.ACL{Perms: zkproto.Perm(s.int32())}
		a.Scheme = string(s.buffer())
		a.ID = string(s.buffer())
		if s.err != nil {
			return nil
		}
		acl = append(acl, a)
	}
	return acl
}

// buffer reads a length and that many bytes, valid until the next call; nil for the null buffer.
func (s *SnapshotReader) buffer() []byte {
	n := s.int32()
	if n == -1 || s.err != nil {
		return nil
	}
	if n < 0 {
		s.fail(fmt.Sprintf("a length of %d", n))
		return nil
	}
	return s.take(int(n))
}

// take reads n bytes, which are valid until the next call. Memory grows with what arrives, not with what a length claims.
func (s *SnapshotReader) take(n int) []byte {
	if s.err != nil {
		return nil
	}
	if n <= s.r.Buffered() {
		b, _ := s.r.Peek(n)
		s.r.Discard(n)
		s.off += int64(n)
		s.sum.Write(b)
		return b
	}
	if s.buf == nil {
		s.buf = make([]byte, 0, 256)
	}
	s.buf = s.buf[:0]
	for len(s.buf) < n {
		have := len(s.buf)
		if have == cap(s.buf) {
			s.buf = slices.Grow(s.buf, min(n-have, max(have, 256)))
		}
		s.buf = s.buf[:min(n, cap(s.buf))]
		got, err := io.ReadFull(s.r, s.buf[have:])
		if err != nil {
			s.off += int64(have + got)
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				s.fail("it ends too early")
				return nil
			}
			s.err = err
			return nil
		}
	}
	s.off += int64(n)
	s.sum.Write(s.buf)
	return s.buf
}
