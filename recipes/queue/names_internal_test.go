package queue

import (
	"bytes"
	"fmt"
	"math"
	"testing"
	"time"
)

// Every name that a style makes is read back, over the whole range of the server's counter.
func TestNamesAreReadBack(t *testing.T) {
	due := time.UnixMilli(0x18C0000ABCD)
	for _, tt := range []struct {
		style Style
		opts  []PutOption
		order int64
		id    string
	}{
		{Kazoo, nil, 100, ""},
		{Kazoo, []PutOption{Priority(0)}, 0, ""},
		{Kazoo, []PutOption{Priority(999)}, 999, ""},
		{Simple, nil, 0, ""},
		{Curator, nil, 0, ""},
		{CuratorPriority, []PutOption{Priority(math.MinInt32)}, math.MinInt32, ""},
		{CuratorPriority, []PutOption{Priority(-1)}, -1, ""},
		{CuratorPriority, []PutOption{Priority(math.MaxInt32)}, math.MaxInt32, ""},
		{CuratorDelay, []PutOption{Due(due)}, due.UnixMilli(), ""},
		{CuratorDelay, []PutOption{Due(due.Add(-1))}, due.UnixMilli(), ""},
		{CuratorID, []PutOption{ID("a-1 ü-0000000001")}, 0, "a-1 ü-0000000001"},
	} {
		prefix, err := tt.style.newPut(tt.opts)
		if err != nil {
			t.Fatal(err)
		}
		for _, seq := range []int32{0, 1, 999999999, math.MaxInt32, math.MinInt32, -2147483647, -1000000000, -999999999, -1} {
			name := fmt.Sprintf("%s%010d", prefix, seq)
			e, ok := tt.style.parse(name)
			if !ok || e.seq != seq || e.order != tt.order || e.id != tt.id || e.prefix() != prefix {
				t.Errorf("style %s: parse(%s) = %+v, %v", tt.style.Name, name, e, ok)
			}
		}
	}
}

func FuzzParseName(f *testing.F) {
	for _, name := range []string{"entry-100-0000000001", "qn--2147483648", "queue-0FFFFFFFF0000000001", "queue-|18C|0000000001", "queue-||-000000001"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		for _, style := range []Style{Kazoo, Simple, Curator, CuratorPriority, CuratorDelay, CuratorID} {
			e, ok := style.parse(name)
			if !ok {
				continue
			}
			if e.name != name || e.digits < 10 || e.digits > len(name) {
				t.Fatalf("style %s: parse(%q) = %+v", style.Name, name, e)
			}
			if n, ok := number(name[len(e.prefix()):]); !ok || n != e.seq {
				t.Fatalf("style %s: parse(%q) = %+v", style.Name, name, e)
			}
		}
	})
}

func TestFrames(t *testing.T) {
	for _, items := range [][][]byte{nil, {{}}, {[]byte("a"), {}, []byte("bc")}, {bytes.Repeat([]byte{2}, 70000)}} {
		got, err := parseFrame(appendFrame(nil, items...))
		if err != nil || len(got) != len(items) {
			t.Fatalf("%d items come back as %d, %v", len(items), len(got), err)
		}
		for i := range items {
			if !bytes.Equal(got[i], items[i]) {
				t.Errorf("item %d: %q, want %q", i, got[i], items[i])
			}
		}
	}
	whole := appendFrame(nil, []byte("abc"))
	for n := range whole {
		if items, err := parseFrame(whole[:n]); err == nil {
			t.Errorf("the first %d bytes are read as %q", n, items)
		}
	}
	for _, bad := range []string{"\x00\x01\x00\x02\x02", "\x00\x01\x00\x01\x03", "\x00\x01\x00\x01\x01\xff\xff\xff\xffx\x02"} {
		if items, err := parseFrame([]byte(bad)); err == nil {
			t.Errorf("%q is read as %q", bad, items)
		}
	}
}

func FuzzParseFrame(f *testing.F) {
	f.Add(appendFrame(nil, []byte("a"), nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		items, err := parseFrame(data)
		if err != nil {
			return
		}
		if again := appendFrame(nil, items...); !bytes.HasPrefix(data, again) {
			t.Fatalf("%x is read as %q, which is written as %x", data, items, again)
		}
	})
}
