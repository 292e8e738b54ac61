package faultproxy

import "encoding/binary"

const (
	prefixLen = 4
	// maxFrame is far above what ZooKeeper sends and far below what the first bytes of a four-letter word or of a
	// TLS record would mean as a length.
	maxFrame = 64 << 20
)

// framer follows the frame boundaries of one direction. Frames pass through in pieces as they come, except those
// that begin while a filter is installed: they are held until complete.
type framer struct {
	raw    bool // not frames at all: everything passes
	prefix [prefixLen]byte
	got    int    // bytes of prefix seen
	left   int    // bytes of the body still to come, once got is prefixLen
	holds  bool   // the current frame is being held
	held   []byte // its bytes so far
}

// feed takes the next bytes of the stream. It calls emit for each piece to pass on, with whole set for a held frame
// that is complete, and stops early with false when emit does. The pieces may be kept.
func (f *framer) feed(b []byte, hold bool, emit func(piece []byte, whole bool) bool) bool {
	start := 0 // b[start:i] passes but was not emitted yet
	i := 0
	for i < len(b) && !f.raw {
		if f.got == 0 {
			f.holds = hold
		}
		n := f.advance(b[i:])
		if f.holds {
			if start < i && !emit(b[start:i], false) {
				return false
			}
			f.held = append(f.held, b[i:i+n]...)
			start = i + n
		}
		i += n
		if f.got < prefixLen || f.left > 0 && !f.raw {
			continue
		}
		piece, whole := f.held, f.holds && !f.raw
		f.got, f.holds, f.held = 0, false, nil
		if len(piece) > 0 && !emit(piece, whole) {
			return false
		}
	}
	return start == len(b) || emit(b[start:], false)
}

// advance counts the leading bytes of b that belong to the current prefix, or to the current body.
func (f *framer) advance(b []byte) int {
	if f.got < prefixLen {
		n := copy(f.prefix[f.got:], b)
		f.got += n
		if f.got == prefixLen {
			size := binary.BigEndian.Uint32(f.prefix[:])
			f.raw = size > maxFrame
			f.left = int(size)
		}
		return n
	}
	n := min(f.left, len(b))
	f.left -= n
	return n
}

// flush emits the part of a frame that was held when the stream ended.
func (f *framer) flush(emit func(piece []byte) bool) bool {
	piece := f.held
	f.held = nil
	return len(piece) == 0 || emit(piece)
}
