package gazoo_test

import (
	"errors"
	"math"
	"testing"

	"github.com/gazoo-zk/gazoo"
)

func TestValidatePath(t *testing.T) {
	for _, path := range []string{"/", "/a", "/a/b", "/...", "/.a", "/a.", "/..a/b", "/a b", "/\u00a0", "/\uf900", "/\uffef", "/日本", "/a%20b", "/ü/é"} {
		if err := gazoo.ValidatePath(path); err != nil {
			t.Errorf("ValidatePath(%q): %v", path, err)
		}
	}
	for _, path := range badPaths {
		err := gazoo.ValidatePath(path)
		if arg, ok := errors.AsType[*gazoo.ArgumentError](err); !ok || arg.Arg != "path" || !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("ValidatePath(%q): %v, want an *ArgumentError about the path", path, err)
		}
	}
}

func TestNormalizePath(t *testing.T) {
	for in, want := range map[string]string{
		"": "/", "/": "/", "//": "/", "a": "/a", "/a/": "/a", "a//b///c/": "/a/b/c", "/a/b": "/a/b",
	} {
		if got, err := gazoo.NormalizePath(in); err != nil || got != want {
			t.Errorf("NormalizePath(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"/a/../b", "/./a", ".", "..", "/a\x00"} {
		if got, err := gazoo.NormalizePath(in); !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("NormalizePath(%q) = %q, %v, want an error", in, got, err)
		}
	}
}

func TestPathHelpers(t *testing.T) {
	for _, c := range []struct {
		parts []string
		want  string
	}{
		{nil, ""},
		{[]string{""}, ""},
		{[]string{"/"}, "/"},
		{[]string{"/", "a"}, "/a"},
		{[]string{"/a", "b", "c"}, "/a/b/c"},
		{[]string{"/a/", "/b/"}, "/a/b"},
		{[]string{"a", "b"}, "a/b"},
		{[]string{"/a", "", "b"}, "/a/b"},
		{[]string{"//a", "b"}, "/a/b"},
	} {
		if got := gazoo.JoinPath(c.parts...); got != c.want {
			t.Errorf("JoinPath(%q) = %q, want %q", c.parts, got, c.want)
		}
	}
	for path, want := range map[string][2]string{"/": {"/", ""}, "/a": {"/", "a"}, "/a/b": {"/a", "b"}, "/a/b/c": {"/a/b", "c"}, "/a/": {"/a", ""}} {
		parent, name := gazoo.SplitPath(path)
		if parent != want[0] || name != want[1] || gazoo.ParentPath(path) != want[0] || gazoo.BaseName(path) != want[1] {
			t.Errorf("SplitPath(%q) = %q, %q, want %q", path, parent, name, want)
		}
	}
}

func TestSequenceOf(t *testing.T) {
	for path, want := range map[string]struct {
		prefix string
		seq    int32
		ok     bool
	}{
		"/q/n-0000000000":           {"/q/n-", 0, true},
		"/q/n0000000012":            {"/q/n", 12, true},
		"/q/0000000012":             {"/q/", 12, true},
		"/q/n-2147483647":           {"/q/n-", math.MaxInt32, true},
		"/q/n--2147483648":          {"/q/n-", math.MinInt32, true},
		"/q/n-2147483648":           {"/q/n", math.MinInt32, true}, // no positive counter gets there
		"/q/n--1000000000":          {"/q/n-", -1000000000, true},
		"/q/n-1000000005":           {"/q/n-", 1000000005, true},
		"/q/n--000000001":           {"/q/n-", -1, true}, // %010d of a small negative number
		"/q/n":                      {"/q/n", 0, false},
		"/q/n-123":                  {"/q/n-123", 0, false},
		"/q/n-00000000x0":           {"/q/n-00000000x0", 0, false},
		"/q/n-9999999999":           {"/q/n-9999999999", 0, false},
		"":                          {"", 0, false},
		"/_c_1-2-n-0000000007":      {"/_c_1-2-n-", 7, true},
		"/q/n-00000000120000000034": {"/q/n-0000000012", 34, true},
	} {
		prefix, seq, ok := gazoo.SequenceOf(path)
		if prefix != want.prefix || seq != want.seq || ok != want.ok {
			t.Errorf("SequenceOf(%q) = %q, %d, %v, want %q, %d, %v", path, prefix, seq, ok, want.prefix, want.seq, want.ok)
		}
	}
}
