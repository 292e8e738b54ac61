package zkproto_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gazoo-zk/gazoo/zkproto"
)

func TestReaderErrorSticks(t *testing.T) {
	r := zkproto.NewReader([]byte{0, 0, 0, 1, 9})
	if got := r.Int64(); got != 0 || !errors.Is(r.Err(), zkproto.ErrTruncated) {
		t.Fatalf("Int64 of 5 bytes = %d, %v, want 0, ErrTruncated", got, r.Err())
	}
	r.Fail(errors.New("later"))
	if r.Int32() != 0 || r.Bool() || r.Buffer() != nil || r.Strings() != nil || r.Len() != 0 {
		t.Error("a failed Reader still returns values")
	}
	if err := r.Done(); err != zkproto.ErrTruncated {
		t.Errorf("Done() = %v, want the first error", err)
	}
	r.Reset([]byte{1})
	if !r.Bool() || r.Done() != nil {
		t.Error("Reset did not make the Reader usable")
	}
	r.Reset([]byte{1, 1})
	if r.Bool(); r.Done() != zkproto.ErrTrailing {
		t.Errorf("Done() = %v, want ErrTrailing", r.Done())
	}
}

func TestReaderRefusesImpossibleLengths(t *testing.T) {
	buffer := func(r *zkproto.Reader) { r.Buffer() }
	str := func(r *zkproto.Reader) { _ = r.String() }
	strs := func(r *zkproto.Reader) { r.Strings() }
	acls := func(r *zkproto.Reader) { new(zkproto.GetACLResponse).Decode(r) }
	who := func(r *zkproto.Reader) { new(zkproto.WhoAmIResponse).Decode(r) }
	for _, tt := range []struct {
		name string
		hex  string
		read func(*zkproto.Reader)
		want error
	}{
		{"buffer of -2", "fffffffe", buffer, zkproto.ErrCorrupt},
		{"buffer of 2^31-1", "7fffffff", buffer, zkproto.ErrTruncated},
		{"buffer without length", "0000", buffer, zkproto.ErrTruncated},
		{"string of -2", "fffffffe", str, zkproto.ErrCorrupt},
		{"string one byte short", "00000003 6162", str, zkproto.ErrTruncated},
		{"-2 strings", "fffffffe", strs, zkproto.ErrCorrupt},
		{"2^31-1 strings", "7fffffff", strs, zkproto.ErrCorrupt},
		{"more strings than lengths", "00000002 00000000 0000", strs, zkproto.ErrCorrupt},
		{"bad length of last string", "00000002 00000001 61 fffffffe", strs, zkproto.ErrCorrupt},
		{"last string short", "00000002 00000001 61 00000002 61", strs, zkproto.ErrTruncated},
		{"2^31-1 acl entries", "7fffffff", acls, zkproto.ErrCorrupt},
		{"more acl entries than fit", "00000002" + worldHex + "00", acls, zkproto.ErrTruncated},
		{"2^31-1 clients", "7fffffff", who, zkproto.ErrCorrupt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := unhex(t, tt.hex)
			r := zkproto.NewReader(b)
			tt.read(&r)
			if err := r.Err(); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

func TestHostileCountsCostNothing(t *testing.T) {
	b := unhex(t, "7fffffff")
	for name, rec := range map[string]record{
		"strings": &zkproto.ChildrenResponse{},
		"acl":     &zkproto.GetACLResponse{},
		"clients": &zkproto.WhoAmIResponse{},
		"data":    &zkproto.GetDataResponse{},
	} {
		n := testing.AllocsPerRun(100, func() {
			r := zkproto.NewReader(b)
			rec.Decode(&r)
			if r.Err() == nil {
				t.Fatalf("%s: a count of 2^31-1 in 4 bytes was accepted", name)
			}
		})
		if n > 1 { // the Reader itself, which escapes through the interface
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestBufferTellsNullFromEmpty(t *testing.T) {
	dst := make([]byte, 3, 8)
	r := zkproto.NewReader(unhex(t, "ffffffff 00000000 ffffffff 00000000 00000002 6162 00000009 616263646566676869 ffffffff 00000000"))
	if b := r.Buffer(); b != nil {
		t.Errorf("null Buffer = %v, want nil", b)
	}
	if b := r.Buffer(); b == nil || len(b) != 0 {
		t.Errorf("empty Buffer = %v, want empty and not nil", b)
	}
	if b := r.BufferTo(dst); b != nil {
		t.Errorf("null BufferTo = %v, want nil", b)
	}
	if b := r.BufferTo(dst); b == nil || len(b) != 0 {
		t.Errorf("empty BufferTo = %v, want empty and not nil", b)
	}
	if b := r.BufferTo(dst); string(b) != "ab" || &b[0] != &dst[0] {
		t.Errorf("BufferTo = %q, want ab in the given memory", b)
	}
	if b := r.BufferTo(dst); string(b) != "abcdefghi" || &b[0] == &dst[0] {
		t.Errorf("BufferTo = %q, want abcdefghi in new memory", b)
	}
	if s, ok := r.NullableString(); s != "" || ok {
		t.Errorf("null string = %q, %v", s, ok)
	}
	if s, ok := r.NullableString(); s != "" || !ok {
		t.Errorf("empty string = %q, %v", s, ok)
	}
	if err := r.Done(); err != nil {
		t.Error(err)
	}
}

func TestRawBufferAliasesWithoutReach(t *testing.T) {
	b := unhex(t, "00000002 6162 00000001 63")
	r := zkproto.NewReader(b)
	raw := r.RawBuffer()
	if &raw[0] != &b[4] || cap(raw) != 2 {
		t.Fatalf("RawBuffer aliases nothing or too much: cap %d", cap(raw))
	}
	_ = append(raw, 'x')
	if got := r.RawBuffer(); string(got) != "c" {
		t.Errorf("next buffer = %q after appending to the first", got)
	}
}

func TestStringsKeepOddNames(t *testing.T) {
	want := []string{"", "a", strings.Repeat("n", 300), "\x00\xff", "ü"}
	b := zkproto.AppendStrings(nil, want)
	b = zkproto.AppendInt32(b, 1)
	b = zkproto.AppendNullString(b)
	r := zkproto.NewReader(b)
	got := r.Strings()
	if !slices.Equal(got, want) {
		t.Errorf("Strings() = %q, want %q", got, want)
	}
	if null := r.Strings(); len(null) != 1 || null[0] != "" || r.Done() != nil {
		t.Errorf("Strings() of one null = %q, %v", null, r.Done())
	}
	for i := range b {
		b[i] = 'x'
	}
	if !slices.Equal(got, want) {
		t.Errorf("names changed with the input: %q", got)
	}
}

func TestStringsTakesTwoAllocations(t *testing.T) {
	var names []string
	for i := range 1000 {
		names = append(names, fmt.Sprintf("member-%010d", i))
	}
	b := zkproto.AppendStrings(nil, names)
	n := testing.AllocsPerRun(100, func() {
		r := zkproto.NewReader(b)
		if len(r.Strings()) != len(names) || r.Done() != nil {
			t.Fatal("bad decode")
		}
	})
	if n != 2 {
		t.Errorf("Strings of 1000 names: %v allocations, want 2", n)
	}
}

// TestListsOfNamesTakeTwoAllocations also holds what a list keeps alive: nothing of the stat behind it.
func TestListsOfNamesTakeTwoAllocations(t *testing.T) {
	names := []string{"a", "", "member-0000000001"}
	b := zkproto.Children2Response{Children: names, Stat: stat}.AppendTo(nil)
	var m zkproto.Children2Response
	n := testing.AllocsPerRun(100, func() {
		r := zkproto.NewReader(b)
		m.Decode(&r)
		if r.Done() != nil || m.Stat != stat || !slices.Equal(m.Children, names) {
			t.Fatal("bad decode")
		}
	})
	if n != 2 {
		t.Errorf("children: %v allocations, want 2", n)
	}
	for cut := range len(b) {
		r := zkproto.NewReader(b[:cut])
		if m.Decode(&r); !errors.Is(r.Err(), zkproto.ErrTruncated) && !errors.Is(r.Err(), zkproto.ErrCorrupt) {
			t.Errorf("%d bytes of %d: %v, want an error", cut, len(b), r.Err())
		}
	}
	// Behind names that are well by themselves there is too little for a stat.
	r := zkproto.NewReader(zkproto.AppendStrings(nil, slices.Repeat([]string{"name"}, 100)))
	if m.Decode(&r); !errors.Is(r.Err(), zkproto.ErrTruncated) || m.Children != nil {
		t.Errorf("without a stat: %v, want ErrTruncated", r.Err())
	}
}

func TestGetDataDecodesWithoutAllocating(t *testing.T) {
	b := zkproto.GetDataResponse{Data: bytes.Repeat([]byte("d"), 1000), Stat: stat}.AppendTo(nil)
	dst := make([]byte, 1000)
	var m zkproto.GetDataResponse
	n := testing.AllocsPerRun(100, func() {
		r := zkproto.NewReader(b)
		m.DecodeTo(&r, dst)
		if r.Done() != nil || m.Stat != stat {
			t.Fatal("bad decode")
		}
	})
	if n != 0 {
		t.Errorf("GetData into given memory: %v allocations, want 0", n)
	}
}

func TestEncodingIntoGivenMemoryDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 512)
	data := []byte("value")
	n := testing.AllocsPerRun(100, func() {
		b, mark := zkproto.BeginFrame(buf[:0])
		b = zkproto.RequestHeader{Xid: 1, Op: zkproto.OpCreate}.AppendTo(b)
		b = zkproto.CreateRequest{Path: "/a", Data: data, ACL: world}.AppendTo(b)
		b = zkproto.EndFrame(b, mark)
		if len(b) == 0 {
			t.Fatal("nothing encoded")
		}
	})
	if n != 0 {
		t.Errorf("encoding a create: %v allocations, want 0", n)
	}
}

func TestMultiRefusesOtherOperations(t *testing.T) {
	for _, op := range []zkproto.OpCode{zkproto.OpSetACL, zkproto.OpExists, zkproto.OpMulti, zkproto.OpDeleteContainer, 99, zkproto.OpError} {
		var req zkproto.MultiRequest
		r := zkproto.NewReader(append(zkproto.MultiHeader{Type: op, Err: -1}.AppendTo(nil), make([]byte, 64)...))
		req.Decode(&r)
		if !errors.Is(r.Err(), zkproto.ErrCorrupt) || req.Ops != nil {
			t.Errorf("multi with %v: %v, %v, want ErrCorrupt", op, req.Ops, r.Err())
		}
	}
	var resp zkproto.MultiResponse
	r := zkproto.NewReader(append(zkproto.MultiHeader{Type: zkproto.OpSync}.AppendTo(nil), make([]byte, 64)...))
	resp.Decode(&r)
	if !errors.Is(r.Err(), zkproto.ErrCorrupt) || resp.Results != nil {
		t.Errorf("result of sync: %v, want ErrCorrupt", r.Err())
	}
}

// BenchmarkStrings decodes 10,000 names of 12 bytes.
func BenchmarkStrings(b *testing.B) {
	names := make([]string, 10000)
	for i := range names {
		names[i] = fmt.Sprintf("name-%07d", i)
	}
	wire := zkproto.AppendStrings(nil, names)
	b.Run("Strings", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r := zkproto.NewReader(wire)
			r.Strings()
		}
	})
	b.Run("ChildrenResponse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var m zkproto.ChildrenResponse
			r := zkproto.NewReader(wire)
			m.Decode(&r)
		}
	})
}
