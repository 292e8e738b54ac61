package output

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/gazoo-zk/gazoo"
)

func TestValue(t *testing.T) {
	tests := []struct {
		name   string
		data   []byte
		json   string
		inline string
	}{
		{"null", nil, `{"data":null}`, `null`},
		{"empty", []byte{}, `{"data":""}`, `""`},
		{"text", []byte("a <b>\n\"ü\"\x00"), `{"data":"a <b>\n\"ü\"\u0000"}`, `"a <b>\n\"ü\"\u0000"`},
		{"the word null", []byte("null"), `{"data":"null"}`, `"null"`},
		{"bytes", []byte{0xff, 0x00, 0xfe}, `{"data_base64":"/wD+"}`, `base64:/wD+`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			p := New(&b, true, false)
			if err := p.Show(ValueOf(tt.data), nil); err != nil || b.String() != tt.json+"\n" {
				t.Errorf("Show(ValueOf(%q)) printed %q, %v; want %q", tt.data, b.String(), err, tt.json)
			}
			if got := Inline(tt.data); got != tt.inline {
				t.Errorf("Inline(%q) = %q, want %q", tt.data, got, tt.inline)
			}
		})
	}
}

func TestStat(t *testing.T) {
	s := StatOf(gazoo.Stat{
		Czxid: 0x100000001, Mzxid: 2, Pzxid: 3, Ctime: 1, Mtime: 1700000000123, Version: -2, Cversion: 4, Aversion: 5,
		EphemeralOwner: -1, DataLength: 6, NumChildren: 7,
	})
	text, err := json.Marshal(s)
	want := `{"czxid":"0x100000001","mzxid":"0x2","pzxid":"0x3","ctime":"1970-01-01T00:00:00.001Z","mtime":"2023-11-14T22:13:20.123Z",` +
		`"version":-2,"cversion":4,"aversion":5,"ephemeral_owner":"0xffffffffffffffff","data_length":6,"num_children":7}`
	if err != nil || string(text) != want {
		t.Errorf("JSON is\n%s, %v; want\n%s", text, err, want)
	}
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatal(err)
	}
	if got := len(s.Rows()); got != len(object) {
		t.Errorf("Rows() has %d rows, JSON %d fields", got, len(object))
	}
	for _, row := range s.Rows() {
		if _, ok := object[row[0]]; !ok {
			t.Errorf("JSON has no field %q, which Rows() has", row[0])
		}
	}
}

func TestTable(t *testing.T) {
	rows := [][]string{{"a", "1"}, {"größer", "22"}}
	tests := []struct {
		name     string
		terminal bool
		want     string
	}{
		{"piped", false, "a\t1\ngrößer\t22\n"},
		{"terminal", true, "NAME    N\na       1\ngrößer  22\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			p := New(&b, false, tt.terminal)
			p.Table([]string{"NAME", "N"}, rows)
			if err := p.Flush(); err != nil || b.String() != tt.want {
				t.Errorf("Table printed %q, %v; want %q", b.String(), err, tt.want)
			}
		})
	}
}

func TestWriteErrorsAreKept(t *testing.T) {
	full := errors.New("disk full")
	p := New(failing{full}, false, false)
	p.Line("x")
	if err := p.Flush(); !errors.Is(err, full) {
		t.Errorf("Flush() = %v, want %v", err, full)
	}
	p.Line("y")
	if err := p.Flush(); !errors.Is(err, full) {
		t.Errorf("second Flush() = %v, want %v", err, full)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
