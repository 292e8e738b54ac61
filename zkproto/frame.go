package zkproto

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// DefaultFrameLimit is the largest frame an Apache server accepts by default,
// in bytes without the length: jute.maxbuffer, 1 MiB - 1. Replies of a server
// can be larger.
const DefaultFrameLimit = 1<<20 - 1

// BeginFrame appends room for the length of a frame to b. What is appended
// next is the frame, until [EndFrame] is called with the same mark.
func BeginFrame(b []byte) (b2 []byte, mark int) {
	return append(b, 0, 0, 0, 0), len(b)
}

// EndFrame writes the length of the frame that began at mark and returns b.
func EndFrame(b []byte, mark int) []byte {
	binary.BigEndian.PutUint32(b[mark:], uint32(len(b)-mark-4))
	return b
}

// A FrameSizeError says that a frame is larger than the reader's limit.
type FrameSizeError struct {
	Size  int // of the frame, in bytes without the length
	Limit int
	// Head is the first bytes of the frame, at most ReplyHeaderSize: enough to
	// tell which request it answers. It belongs to the error.
	Head []byte
}

// Error names the size and the limit.
func (e *FrameSizeError) Error() string {
	return fmt.Sprintf("frame of %d bytes exceeds the limit of %d", e.Size, e.Limit)
}

const (
	firstBuffer = 4 << 10  // enough for most replies
	keepBuffer  = 64 << 10 // a buffer up to this size is kept for ever
	smallFrames = 8        // this many frames that do not need it end a larger buffer
)

// A FrameReader splits a stream into frames. It reads as much as its buffer
// holds in one call, so pipelined frames cost no call each. The buffer begins
// small and at most doubles when it is full, so memory follows the bytes that
// arrived and never the length a peer claims; a buffer that a big frame made
// large is given up after a few small frames.
//
// Read errors other than [ErrCorrupt] do not spoil the state: after a timeout
// Next goes on where it stopped. A FrameReader is not safe for concurrent use.
type FrameReader struct {
	r       io.Reader
	limit   int
	head    int // of an oversized frame, what is read before it is refused
	buf     []byte
	start   int   // buf[start:end] has been read from r, but not been returned
	end     int   //
	skip    int   // bytes of an oversized frame still to be dropped
	small   int   // consecutive frames that did not need a buffer above keepBuffer
	readErr error // came with bytes, to be returned when those are used up
	corrupt bool
}

// NewFrameReader returns a FrameReader over r that refuses frames above limit
// bytes. A limit of 0 or less is none but that of the length field.
func NewFrameReader(r io.Reader, limit int) *FrameReader {
	f := &FrameReader{r: r, head: ReplyHeaderSize}
	f.SetLimit(limit)
	return f
}

// SetHead changes how many bytes of a frame above the limit are read before it
// is refused, at most [ReplyHeaderSize], the default: 0 refuses it for its
// length alone, which is for servers, whose peers may send no more than that.
func (f *FrameReader) SetHead(n int) { f.head = min(max(n, 0), ReplyHeaderSize) }

// SetLimit changes the limit for the frames that follow.
func (f *FrameReader) SetLimit(limit int) {
	if limit <= 0 || limit > math.MaxInt32 {
		limit = math.MaxInt32
	}
	f.limit = limit
}

// Next returns the next frame without its length. The slice is valid until the
// next call that has to read; those for which Buffered is true do not.
//
// A frame above the limit returns its first bytes, as many as SetHead says,
// and a [*FrameSizeError]; the next call drops the rest without storing it, so
// the stream stays usable. A negative length is [ErrCorrupt], for good. The
// end of the stream is io.EOF between two frames, io.ErrUnexpectedEOF inside
// one.
func (f *FrameReader) Next() ([]byte, error) {
	if f.corrupt {
		return nil, ErrCorrupt
	}
	if err := f.drop(); err != nil {
		return nil, err
	}
	f.shrink()
	if err := f.fill(4); err != nil {
		return nil, err
	}
	size := int(int32(binary.BigEndian.Uint32(f.buf[f.start:])))
	if size < 0 {
		f.corrupt = true
		return nil, ErrCorrupt
	}
	if size > f.limit {
		head := min(size, f.head)
		if err := f.fill(4 + head); err != nil {
			return nil, err
		}
		frame := f.take(head)
		f.skip = size - head
		return frame, &FrameSizeError{Size: size, Limit: f.limit, Head: append([]byte(nil), frame...)}
	}
	if err := f.fill(4 + size); err != nil {
		return nil, err
	}
	if 4+size > keepBuffer {
		f.small = 0
	} else {
		f.small++
	}
	return f.take(size), nil
}

// Buffered reports whether Next can return without reading from the stream.
// A loop that handles a batch of frames ends the batch when it is false.
func (f *FrameReader) Buffered() bool {
	if f.corrupt {
		return true
	}
	have := f.end - f.start - f.skip
	if have < 4 {
		return false
	}
	size := int(int32(binary.BigEndian.Uint32(f.buf[f.start+f.skip:])))
	if size > f.limit {
		size = min(size, f.head)
	}
	return have-4 >= size // a negative size needs no more bytes to be refused
}

// take returns the size bytes behind the length at the front of the buffer.
func (f *FrameReader) take(size int) []byte {
	from := f.start + 4
	f.start = from + size
	return f.buf[from:f.start:f.start]
}

// drop gets rid of what remains of an oversized frame.
func (f *FrameReader) drop() error {
	for f.skip > 0 {
		n := min(f.skip, f.end-f.start)
		f.start += n
		f.skip -= n
		if f.skip == 0 {
			break
		}
		if err := f.read(); err != nil {
			return midFrame(err)
		}
	}
	return nil
}

// fill reads until n bytes are buffered.
func (f *FrameReader) fill(n int) error {
	for f.end-f.start < n {
		f.makeRoom(n)
		if err := f.read(); err != nil {
			if f.end > f.start {
				err = midFrame(err)
			}
			return err
		}
	}
	return nil
}

// makeRoom makes sure that there is free space at the end of the buffer for a
// frame of n bytes that is partly in it: by moving that part to the front when
// the whole fits, else by doubling a buffer that is full.
func (f *FrameReader) makeRoom(n int) {
	if f.start+n <= len(f.buf) {
		return
	}
	have := f.end - f.start
	if have == len(f.buf) {
		size := max(firstBuffer, 2*len(f.buf))
		if size > keepBuffer { // no more than the frame needs
			size = min(size, max(n, keepBuffer))
		}
		f.replaceBuffer(size)
		return
	}
	if f.start > 0 {
		copy(f.buf, f.buf[f.start:f.end])
		f.start, f.end = 0, have
	}
}

// read reads once into the free space, which is the whole buffer when nothing
// is buffered.
func (f *FrameReader) read() error {
	if err := f.readErr; err != nil {
		f.readErr = nil
		return err
	}
	if f.start == f.end {
		f.start, f.end = 0, 0
		if len(f.buf) == 0 {
			f.buf = make([]byte, firstBuffer)
		}
	}
	for range 100 { // as bufio does: a reader may return nothing, but not for ever
		free := len(f.buf) - f.end
		n, err := f.r.Read(f.buf[f.end:])
		if n < 0 || n > free {
			panic("zkproto: reader returned an impossible count")
		}
		f.end += n
		if n == 0 && err == nil {
			continue
		}
		if n > 0 {
			f.readErr = err
			err = nil
			// The peer sends faster than this buffer takes: fewer, larger reads.
			if n == free && f.start == 0 && n == len(f.buf) && len(f.buf) < keepBuffer {
				f.replaceBuffer(2 * len(f.buf))
			}
		}
		return err
	}
	return io.ErrNoProgress
}

// shrink gives up a large buffer when recent frames did not need it and what
// is in it fits into a small one.
func (f *FrameReader) shrink() {
	if len(f.buf) > keepBuffer && f.small >= smallFrames && f.end-f.start <= firstBuffer {
		f.replaceBuffer(firstBuffer)
	}
}

// replaceBuffer moves what is buffered to the front of a new buffer.
func (f *FrameReader) replaceBuffer(size int) {
	buf := make([]byte, size)
	f.end = copy(buf, f.buf[f.start:f.end])
	f.start = 0
	f.buf = buf
}

// midFrame turns the end of the stream inside a frame into an error that does
// not look like a proper end.
func midFrame(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
