package zkproto

import (
	"encoding/binary"
	"errors"
)

// Errors a [Reader] ends with. They are compared with errors.Is, because some
// decoders wrap them to say what was wrong.
var (
	// ErrTruncated says that the record needs more bytes than there are.
	ErrTruncated = errors.New("zkproto: truncated record")

	// ErrCorrupt says that a length, count or type cannot be right whatever
	// bytes follow: a negative length other than -1, or a count of elements
	// that could not fit into the remaining bytes.
	ErrCorrupt = errors.New("zkproto: corrupt record")

	// ErrTrailing says that bytes remain behind a complete record.
	ErrTrailing = errors.New("zkproto: trailing bytes after record")
)

// A Reader takes primitive values off the front of a byte slice. Its first
// error sticks: everything read afterwards is zero, and nothing is left to
// read, so a decoder reads all fields and checks [Reader.Err] or [Reader.Done]
// once at the end.
//
// A length or count is compared with the remaining bytes before anything is
// allocated for it, so hostile input costs no more than a small multiple of
// its own size. A Reader is not safe for concurrent use.
type Reader struct {
	b   []byte // what has not been read yet
	err error
}

// NewReader returns a Reader over b. It keeps b and never writes to it.
func NewReader(b []byte) Reader { return Reader{b: b} }

// Reset makes r read b and forgets its error.
func (r *Reader) Reset(b []byte) { *r = Reader{b: b} }

// Len returns the number of unread bytes; 0 after an error.
func (r *Reader) Len() int { return len(r.b) }

// Err returns the first error, or nil.
func (r *Reader) Err() error { return r.err }

// Fail makes err the error of r unless it has one already. Decoders outside
// this package use it to reject a value that is well-formed but impossible.
func (r *Reader) Fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

// Done returns the first error, [ErrTrailing] if unread bytes remain, or nil.
func (r *Reader) Done() error {
	if r.err == nil && len(r.b) > 0 {
		return ErrTrailing
	}
	return r.err
}

// Bool reads one byte; like Apache's reader it takes any non-zero byte as true.
func (r *Reader) Bool() bool {
	if len(r.b) < 1 {
		r.Fail(ErrTruncated)
		return false
	}
	v := r.b[0] != 0
	r.b = r.b[1:]
	return v
}

// Int32 reads a 4-byte big-endian number.
func (r *Reader) Int32() int32 {
	if len(r.b) < 4 {
		r.Fail(ErrTruncated)
		return 0
	}
	v := int32(binary.BigEndian.Uint32(r.b))
	r.b = r.b[4:]
	return v
}

// Int64 reads an 8-byte big-endian number.
func (r *Reader) Int64() int64 {
	if len(r.b) < 8 {
		r.Fail(ErrTruncated)
		return 0
	}
	v := int64(binary.BigEndian.Uint64(r.b))
	r.b = r.b[8:]
	return v
}

// RawBuffer reads a buffer without copying it: nil for the null buffer, else a
// slice of the Reader's input, which changes when the owner of the input
// reuses it. Its capacity ends with the buffer, so appending to it copies.
func (r *Reader) RawBuffer() []byte {
	n := int(r.Int32())
	if n < 0 {
		if n != -1 {
			r.Fail(ErrCorrupt)
		}
		return nil
	}
	if n > len(r.b) {
		r.Fail(ErrTruncated)
		return nil
	}
	if r.err != nil { // the length itself could not be read
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

// Buffer reads a buffer into memory of its own. The null buffer is nil, the
// empty buffer is an empty slice that is not nil.
func (r *Reader) Buffer() []byte { return r.BufferTo(nil) }

// BufferTo is [Reader.Buffer] with reused memory: the buffer is copied into
// dst[:0] when it fits into dst's capacity, else into new memory. The null
// buffer is nil, and dst is untouched.
func (r *Reader) BufferTo(dst []byte) []byte {
	raw := r.RawBuffer()
	if raw == nil {
		return nil
	}
	if dst == nil || cap(dst) < len(raw) {
		fresh := make([]byte, len(raw)) // exactly: append would round up
		copy(fresh, raw)                // right behind the make, which then need not clear the memory
		return fresh
	}
	dst = dst[:len(raw)]
	copy(dst, raw)
	return dst
}

// String reads a string; the null string is "". The bytes are not checked to
// be UTF-8, because Java encodes characters above U+FFFF in its own way and
// what came from a server must go back to it unchanged. It is no fmt.Stringer to
// print a Reader with: it takes the string off.
func (r *Reader) String() string { return string(r.RawBuffer()) }

// NullableString reads a string and reports whether it was there: ok is false
// for the null string, and after an error.
func (r *Reader) NullableString() (s string, ok bool) {
	raw := r.RawBuffer()
	return string(raw), raw != nil
}

// Strings reads a vector of strings. The null vector is nil, the empty vector
// an empty slice that is not nil; null elements are "".
//
// However many strings there are, they cost two allocations, because all share
// one backing string: keeping one of them keeps the bytes of all.
func (r *Reader) Strings() []string {
	n := r.count(4) // each costs at least its length
	if n < 0 {
		return nil
	}
	// Walk once before allocating, so that a bad length deep inside costs nothing.
	end, err := split(nil, n, "", r.b)
	if err != nil {
		r.Fail(err)
		return nil
	}
	v := make([]string, n)
	// Lengths included: they are cheaper than a gather.
	split(v, n, string(r.b[:end]), r.b)
	r.b = r.b[end:]
	return v
}

// stringsBefore is [Reader.Strings] for a vector behind which tail bytes follow,
// the end of the record. It is faster, because it need not look where the
// vector ends before it allocates: the backing string is a copy of all that
// comes before the tail. A vector that turns out to be bad costs as much as a
// good one.
func (r *Reader) stringsBefore(tail int) []string {
	n := r.count(4)
	if n < 0 {
		return nil
	}
	b := r.b[:max(0, len(r.b)-tail)]
	if n > len(b)/4 {
		r.Fail(ErrTruncated) // of the tail, at least
		return nil
	}
	v := make([]string, n)
	end, err := split(v, n, string(b), b)
	if err != nil {
		r.Fail(err)
		return nil
	}
	r.b = r.b[end:]
	return v
}

// split walks over n strings in b and returns where they end. Unless v is nil
// it is filled with slices of all, a copy of b as far as they go.
func split(v []string, n int, all string, b []byte) (end int, err error) {
	for i := range n {
		if len(b)-end < 4 {
			return 0, ErrTruncated
		}
		size := int(int32(binary.BigEndian.Uint32(b[end:])))
		end += 4
		if size <= 0 {
			if size < -1 {
				return 0, ErrCorrupt
			}
			continue // empty or null
		}
		if size > len(b)-end {
			return 0, ErrTruncated
		}
		if v != nil {
			v[i] = all[end : end+size]
		}
		end += size
	}
	return end, nil
}

// count reads the length of a vector whose elements take at least elemSize
// bytes each. It returns -1 for the null vector and after an error.
func (r *Reader) count(elemSize int) int {
	n := int(r.Int32())
	if r.err != nil || n == -1 {
		return -1
	}
	if n < 0 || n > len(r.b)/elemSize {
		r.Fail(ErrCorrupt)
		return -1
	}
	return n
}

// skipRest reads what remains, for records that may grow at their end.
func (r *Reader) skipRest() {
	if r.err == nil {
		r.b = nil
	}
}
