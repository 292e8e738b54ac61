package zkproto_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// frame returns body with its length in front.
func frame(body []byte) []byte {
	b, mark := zkproto.BeginFrame(nil)
	return zkproto.EndFrame(append(b, body...), mark)
}

// A script is a reader that hands out its pieces one call at a time; a piece
// can be an error. It counts the calls.
type script struct {
	pieces []any
	calls  int
}

func (s *script) Read(p []byte) (int, error) {
	s.calls++
	if len(s.pieces) == 0 {
		return 0, io.EOF
	}
	switch piece := s.pieces[0].(type) {
	case error:
		s.pieces = s.pieces[1:]
		return 0, piece
	case []byte:
		n := copy(p, piece)
		if n < len(piece) {
			s.pieces[0] = piece[n:]
		} else {
			s.pieces = s.pieces[1:]
		}
		return n, nil
	}
	panic("script takes []byte and error")
}

func TestBeginFrameNestsInABatch(t *testing.T) {
	b, mark := zkproto.BeginFrame(nil)
	b = zkproto.EndFrame(append(b, "one"...), mark)
	b, mark = zkproto.BeginFrame(b)
	b = zkproto.EndFrame(b, mark)
	if want := unhex(t, "00000003 6f6e65 00000000"); !bytes.Equal(b, want) {
		t.Errorf("two frames = %x, want %x", b, want)
	}
}

func TestFrameReaderReadsBufferedFramesWithoutACall(t *testing.T) {
	batch := append(append(frame([]byte("one")), frame(nil)...), frame([]byte("three"))...)
	s := &script{pieces: []any{batch[:len(batch)-2], batch[len(batch)-2:]}}
	fr := zkproto.NewFrameReader(s, 100)
	if fr.Buffered() {
		t.Error("Buffered() before the first read")
	}
	for i, want := range []struct {
		body     string
		buffered bool
		calls    int
	}{{"one", true, 1}, {"", false, 1}, {"three", false, 2}} {
		got, err := fr.Next()
		if err != nil || string(got) != want.body {
			t.Fatalf("frame %d = %q, %v, want %q", i, got, err, want.body)
		}
		if fr.Buffered() != want.buffered || s.calls != want.calls {
			t.Errorf("after frame %d: Buffered() = %v after %d calls, want %v after %d", i, fr.Buffered(), s.calls, want.buffered, want.calls)
		}
	}
	if _, err := fr.Next(); err != io.EOF {
		t.Errorf("end of stream: %v, want io.EOF", err)
	}
}

func TestFrameReaderSurvivesAnOversizedFrame(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 20000)
	stream := append(append(frame(big), frame([]byte("next"))...), frame(big[:17])...)
	for name, r := range map[string]io.Reader{
		"at once":       bytes.NewReader(stream),
		"byte by byte":  iotest.OneByteReader(bytes.NewReader(stream)),
		"data with EOF": iotest.DataErrReader(bytes.NewReader(stream)),
	} {
		fr := zkproto.NewFrameReader(r, 16)
		head, err := fr.Next()
		size, ok := errors.AsType[*zkproto.FrameSizeError](err)
		if !ok || size.Size != len(big) || size.Limit != 16 || string(size.Head) != "0123456789abcdef" || !bytes.Equal(head, size.Head) {
			t.Fatalf("%s: Next() = %q, %v, want the head and a FrameSizeError", name, head, err)
		}
		if got, err := fr.Next(); err != nil || string(got) != "next" {
			t.Errorf("%s: frame behind the oversized one = %q, %v", name, got, err)
		}
		fr.SetLimit(17)
		if got, err := fr.Next(); err != nil || len(got) != 17 {
			t.Errorf("%s: frame under the new limit = %q, %v", name, got, err)
		}
		if _, err := fr.Next(); err != io.EOF {
			t.Errorf("%s: end of stream: %v, want io.EOF", name, err)
		}
		if string(size.Head) != "0123456789abcdef" {
			t.Errorf("%s: the head in the error changed to %q", name, size.Head)
		}
	}
}

func TestFrameReaderSkipsAShortOversizedFrame(t *testing.T) {
	fr := zkproto.NewFrameReader(bytes.NewReader(append(frame([]byte("abc")), frame([]byte("d"))...)), 2)
	head, err := fr.Next()
	if _, ok := errors.AsType[*zkproto.FrameSizeError](err); !ok || string(head) != "abc" {
		t.Fatalf("Next() = %q, %v, want abc and a FrameSizeError", head, err)
	}
	if !fr.Buffered() {
		t.Error("Buffered() = false with the next frame in the buffer")
	}
	if got, err := fr.Next(); err != nil || string(got) != "d" {
		t.Errorf("Next() = %q, %v, want d", got, err)
	}
}

func TestFrameReaderRefusesALengthAlone(t *testing.T) {
	// Nothing comes behind the length, and nothing is needed.
	fr := zkproto.NewFrameReader(bytes.NewReader(unhex(t, "00000001 61 00000003")), 2)
	fr.SetHead(0)
	if got, err := fr.Next(); err != nil || string(got) != "a" {
		t.Fatalf("Next() = %q, %v, want a", got, err)
	}
	if !fr.Buffered() {
		t.Error("Buffered() = false, but Next needs no read to refuse")
	}
	if head, err := fr.Next(); len(head) != 0 {
		t.Errorf("Next() = %q, want no head", head)
	} else if _, ok := errors.AsType[*zkproto.FrameSizeError](err); !ok {
		t.Errorf("Next() = %v, want a FrameSizeError", err)
	}
}

func TestFrameReaderRefusesNegativeLengthForGood(t *testing.T) {
	fr := zkproto.NewFrameReader(bytes.NewReader(unhex(t, "00000001 61 ffffffff 00000001 62")), 0)
	if got, err := fr.Next(); err != nil || string(got) != "a" {
		t.Fatalf("Next() = %q, %v", got, err)
	}
	for range 2 {
		if !fr.Buffered() {
			t.Error("Buffered() = false, but Next needs no read to refuse")
		}
		if _, err := fr.Next(); !errors.Is(err, zkproto.ErrCorrupt) {
			t.Fatalf("negative length: %v, want ErrCorrupt", err)
		}
	}
}

func TestFrameReaderTellsACutFrame(t *testing.T) {
	whole := frame([]byte("abcdef"))
	for n := 1; n < len(whole); n++ {
		for _, limit := range []int{100, 3} {
			fr := zkproto.NewFrameReader(bytes.NewReader(whole[:n]), limit)
			_, err := fr.Next()
			if err != io.ErrUnexpectedEOF {
				t.Errorf("%d of %d bytes, limit %d: %v, want io.ErrUnexpectedEOF", n, len(whole), limit, err)
			}
		}
	}
	fr := zkproto.NewFrameReader(bytes.NewReader(frame(make([]byte, 50))[:30]), 20)
	fr.Next()
	if _, err := fr.Next(); err != io.ErrUnexpectedEOF {
		t.Errorf("end while skipping: %v, want io.ErrUnexpectedEOF", err)
	}
}

func TestFrameReaderGoesOnAfterATimeout(t *testing.T) {
	whole := frame([]byte("abcdef"))
	fr := zkproto.NewFrameReader(&script{pieces: []any{
		os.ErrDeadlineExceeded, whole[:2], os.ErrDeadlineExceeded, whole[2:7], os.ErrDeadlineExceeded, whole[7:],
	}}, 100)
	for range 3 {
		if _, err := fr.Next(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("Next() error %v, want the deadline's", err)
		}
	}
	if got, err := fr.Next(); err != nil || string(got) != "abcdef" {
		t.Errorf("Next() = %q, %v, want abcdef", got, err)
	}
}

func TestFrameReaderReportsAReaderThatDoesNothing(t *testing.T) {
	fr := zkproto.NewFrameReader(readerFunc(func([]byte) (int, error) { return 0, nil }), 0)
	if _, err := fr.Next(); err != io.ErrNoProgress {
		t.Errorf("Next() error %v, want io.ErrNoProgress", err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// The largest slice a FrameReader offers to Read shows how much it allocated.
func TestFrameReaderMemoryFollowsTheBytes(t *testing.T) {
	var largest int
	left := binary.BigEndian.AppendUint32(nil, 1<<30) // claims 1 GiB, sends 10 kB
	left = append(left, make([]byte, 10000)...)
	fr := zkproto.NewFrameReader(readerFunc(func(p []byte) (int, error) {
		largest = max(largest, len(p))
		if len(left) == 0 {
			return 0, io.EOF
		}
		n := copy(p, left)
		left = left[n:]
		return n, nil
	}), 0)
	if _, err := fr.Next(); err != io.ErrUnexpectedEOF {
		t.Fatalf("Next() error %v", err)
	}
	if largest > 32<<10 {
		t.Errorf("offered %d bytes to Read after 10 kB of a frame", largest)
	}
}

func TestFrameReaderGivesUpALargeBuffer(t *testing.T) {
	const big = 1 << 20
	var offered int
	var next [][]byte
	fr := zkproto.NewFrameReader(readerFunc(func(p []byte) (int, error) {
		offered = len(p)
		n := copy(p, next[0])
		if next[0] = next[0][n:]; len(next[0]) == 0 {
			next = next[1:]
		}
		return n, nil
	}), 0)
	next = append(next, frame(make([]byte, big)))
	if got, err := fr.Next(); err != nil || len(got) != big {
		t.Fatalf("big frame: %d bytes, %v", len(got), err)
	}
	for range 20 {
		next = append(next, frame([]byte("ping")))
		if got, err := fr.Next(); err != nil || string(got) != "ping" {
			t.Fatalf("small frame: %q, %v", got, err)
		}
	}
	if offered > 64<<10 {
		t.Errorf("twenty small frames later the buffer still has %d bytes", offered)
	}
}

func TestFrameReaderDoesNotAllocatePerFrame(t *testing.T) {
	batch := bytes.Repeat(frame(make([]byte, 88)), 200)
	src := bytes.NewReader(batch)
	fr := zkproto.NewFrameReader(src, 0)
	read := func() {
		src.Reset(batch)
		for range 200 {
			if _, err := fr.Next(); err != nil {
				t.Fatal(err)
			}
		}
	}
	read()
	read()
	if n := testing.AllocsPerRun(20, read); n != 0 {
		t.Errorf("200 frames: %v allocations, want 0", n)
	}
}

// A batch of frames may be held while more are taken out of the buffer, also when a large buffer is given up meanwhile.
func TestFrameReaderBufferedFramesStayValid(t *testing.T) {
	var batch []byte
	want := []string{strings.Repeat("large", 40_000)}
	batch = append(batch, frame([]byte(want[0]))...)
	for i := range 40 {
		want = append(want, fmt.Sprintf("frame %d", i))
		batch = append(batch, frame([]byte(want[i+1]))...)
	}
	fr := zkproto.NewFrameReader(&script{pieces: []any{batch}}, 1<<20)
	var held [][]byte
	for len(held) < len(want) {
		got, err := fr.Next()
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, got)
		if fr.Buffered() {
			continue
		}
		for i, got := range held {
			if string(got) != want[i] {
				t.Fatalf("frame %d = %.40q once all that was buffered is taken, want %.40q", i, got, want[i])
			}
			held[i] = []byte(want[i]) // it need not stay so
		}
	}
}
