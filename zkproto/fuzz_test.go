package zkproto_test

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"slices"
	"testing"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// The records of each direction; the first byte of a fuzz input chooses one.
var (
	requests = []record{
		&zkproto.ConnectRequest{}, &zkproto.RequestHeader{}, &zkproto.CreateRequest{}, &zkproto.CreateTTLRequest{}, &zkproto.DeleteRequest{},
		&zkproto.PathWatchRequest{}, &zkproto.PathRequest{}, &zkproto.SetDataRequest{}, &zkproto.SetACLRequest{}, &zkproto.CheckVersionRequest{},
		&zkproto.ReconfigRequest{}, &zkproto.CheckWatchesRequest{}, &zkproto.RemoveWatchesRequest{}, &zkproto.AuthRequest{}, &zkproto.SetWatchesRequest{},
		&zkproto.SetWatches2Request{}, &zkproto.SASLRequest{}, &zkproto.AddWatchRequest{},
	}
	responses = []record{
		&zkproto.ConnectResponse{}, &zkproto.ReplyHeader{}, &zkproto.CreateResponse{}, &zkproto.Create2Response{}, &zkproto.StatResponse{},
		&zkproto.GetDataResponse{}, &zkproto.GetACLResponse{}, &zkproto.ChildrenResponse{}, &zkproto.Children2Response{}, &zkproto.SyncResponse{},
		&zkproto.SASLResponse{}, &zkproto.EphemeralsResponse{}, &zkproto.AllChildrenNumberResponse{}, &zkproto.AddWatchResponse{}, &zkproto.WhoAmIResponse{},
		&zkproto.WatcherEvent{},
	}
	multis = []record{&zkproto.MultiRequest{}, &zkproto.MultiResponse{}}
)

func FuzzRequests(f *testing.F)  { fuzzRecords(f, requests) }
func FuzzResponses(f *testing.F) { fuzzRecords(f, responses) }
func FuzzMulti(f *testing.F)     { fuzzRecords(f, multis) }

// fuzzRecords feeds the golden records of the given types, and everything that
// can be made of them, to checkRecord.
func fuzzRecords(f *testing.F, types []record) {
	for _, tt := range golden {
		for i, rec := range types {
			if reflect.TypeOf(rec) == reflect.TypeOf(tt.rec) {
				f.Add(append([]byte{byte(i)}, unhex(f, tt.hex)...))
			}
		}
	}
	f.Add([]byte{0, 0x7f, 0xff, 0xff, 0xff})
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xfe})
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 0 {
			checkRecord(t, types[int(in[0])%len(types)], in[1:])
		}
	})
}

// checkRecord decodes in as a record like rec. What decodes must encode to
// something that decodes to an equal record and encodes to equal bytes, and
// may not take much more memory than the input.
func checkRecord(t *testing.T, rec record, in []byte) {
	input := slices.Clone(in)
	first := fresh(rec)
	r := zkproto.NewReader(in)
	first.Decode(&r)
	if !bytes.Equal(in, input) {
		t.Fatal("Decode wrote to its input")
	}
	if err := r.Err(); err != nil {
		if !errors.Is(err, zkproto.ErrTruncated) && !errors.Is(err, zkproto.ErrCorrupt) {
			t.Fatalf("%T: unexpected error %v", rec, err)
		}
		if r.Len() != 0 {
			t.Fatalf("%T: a failed reader has %d bytes left", rec, r.Len())
		}
		return
	}
	used := len(in) - r.Len()
	wire := first.AppendTo(nil)
	// Null and empty vectors have equal length, and so have null and empty
	// strings: nothing may get longer.
	if len(wire) > used {
		t.Fatalf("%T: %d bytes became %d", rec, used, len(wire))
	}
	second := fresh(rec)
	r.Reset(wire)
	second.Decode(&r)
	if err := r.Done(); err != nil {
		t.Fatalf("%T: own encoding %x: %v", rec, wire, err)
	}
	if again := second.AppendTo(nil); !bytes.Equal(again, wire) {
		t.Fatalf("%T: encodings differ:\n%x\n%x", rec, wire, again)
	}
	forgetNullVectors(reflect.ValueOf(first).Elem())
	forgetNullVectors(reflect.ValueOf(second).Elem())
	if !reflect.DeepEqual(first, second) {
		t.Fatalf("%T: decoded records differ:\n%+v\n%+v", rec, first, second)
	}
}

// forgetNullVectors sets empty slices of anything but bytes to nil, and NullID
// to false: whether a vector or an id in an ACL was null is what encoding does
// not keep.
func forgetNullVectors(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name == "NullID" {
				v.Field(i).SetZero()
			}
			forgetNullVectors(v.Field(i))
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		if v.Len() == 0 {
			v.SetZero()
		}
		for i := range v.Len() {
			forgetNullVectors(v.Index(i))
		}
	}
}

// FuzzFrames cuts a stream into pieces of arbitrary size and compares what the
// FrameReader makes of it with the obvious way to split the whole.
func FuzzFrames(f *testing.F) {
	stream := slices.Concat(frame([]byte("one")), frame(nil), frame(make([]byte, 300)), frame([]byte("three")))
	f.Add(stream, []byte{1, 2, 3}, uint16(100))
	f.Add(stream[:len(stream)-1], []byte{255}, uint16(0))
	f.Add(append(stream, 0xff, 0xff, 0xff, 0xff, 0), []byte{}, uint16(16))
	f.Add(frame(make([]byte, 10000)), []byte{7, 200}, uint16(65535))
	f.Fuzz(func(t *testing.T, stream, cuts []byte, limit uint16) {
		left, calls := stream, 0
		fr := zkproto.NewFrameReader(readerFunc(func(p []byte) (int, error) {
			if len(p) == 0 {
				t.Fatal("Read of no space")
			}
			calls++
			if len(left) == 0 {
				return 0, io.EOF
			}
			n := len(left)
			if len(cuts) > 0 {
				n = 1 + 16*int(cuts[calls%len(cuts)])
			}
			n = copy(p, left[:min(n, len(left))])
			left = left[n:]
			return n, nil
		}), int(limit))
		rest := stream
		for {
			wantFrame, wantSize, wantErr := splitFrame(&rest, int(limit))
			before, buffered := calls, fr.Buffered()
			got, err := fr.Next()
			if buffered && calls != before {
				t.Fatal("Buffered() was true, but Next had to read")
			}
			size, oversized := errors.AsType[*zkproto.FrameSizeError](err)
			switch {
			case oversized != (wantSize > 0):
				t.Fatalf("Next() error %v, want an oversized frame of %d", err, wantSize)
			case oversized && size.Size != wantSize:
				t.Fatalf("oversized frame of %d, want %d", size.Size, wantSize)
			case !oversized && err != wantErr:
				t.Fatalf("Next() error %v, want %v", err, wantErr)
			case !bytes.Equal(got, wantFrame):
				t.Fatalf("frame %x, want %x", got, wantFrame)
			}
			if wantErr != nil {
				return
			}
		}
	})
}

// splitFrame takes a frame off the front of a complete stream: a frame, or the
// head and the size of one above the limit, or the error at the end.
func splitFrame(stream *[]byte, limit int) (frame []byte, oversized int, err error) {
	b := *stream
	if len(b) == 0 {
		return nil, 0, io.EOF
	}
	if len(b) < 4 {
		return nil, 0, io.ErrUnexpectedEOF
	}
	r := zkproto.NewReader(b)
	size := int(r.Int32())
	if size < 0 {
		return nil, 0, zkproto.ErrCorrupt
	}
	b = b[4:]
	if limit > 0 && size > limit {
		head := min(size, zkproto.ReplyHeaderSize)
		if len(b) < head {
			return nil, 0, io.ErrUnexpectedEOF
		}
		if len(b) < size {
			// The rest of the frame never comes: an error follows the head.
			*stream = []byte{0}
			return b[:head], size, nil
		}
		*stream = b[size:]
		return b[:head], size, nil
	}
	if len(b) < size {
		return nil, 0, io.ErrUnexpectedEOF
	}
	*stream = b[size:]
	return b[:size], 0, nil
}
