package zkproto_test

import (
	"slices"
	"testing"

	"github.com/gazoo-zk/gazoo/zkproto"
)

func TestPermText(t *testing.T) {
	for _, tt := range []struct {
		perm zkproto.Perm
		text string
	}{
		{zkproto.PermAll, "cdrwa"},
		{zkproto.PermRead | zkproto.PermAdmin, "ra"},
		{zkproto.PermWrite, "w"},
		{zkproto.PermCreate | zkproto.PermDelete, "cd"},
		{255, "cdrwa|0xe0"},
		{0x40, "0x40"},
		{-1, "cdrwa|0xffffffe0"},
		{0, "none"},
	} {
		if got := tt.perm.String(); got != tt.text {
			t.Errorf("Perm(%d).String() = %q, want %q", int32(tt.perm), got, tt.text)
		}
		if got, err := zkproto.ParsePerm(tt.text); err != nil || got != tt.perm {
			t.Errorf("ParsePerm(%q) = %d, %v, want %d", tt.text, got, err, tt.perm)
		}
	}
}

func TestParseACL(t *testing.T) {
	for text, want := range map[string]zkproto.ACL{
		"world:anyone:rwcda":      {Perms: zkproto.PermAll, Scheme: "world", ID: "anyone"},
		"auth::r":                 {Perms: zkproto.PermRead, Scheme: "auth"},
		"digest:bob:aGFzaA==:rw":  {Perms: zkproto.PermRead | zkproto.PermWrite, Scheme: "digest", ID: "bob:aGFzaA=="},
		"ip:fe80::1:r":            {Perms: zkproto.PermRead, Scheme: "ip", ID: "fe80::1"},
		"x509:CN=a,O=b:a":         {Perms: zkproto.PermAdmin, Scheme: "x509", ID: "CN=a,O=b"},
		"world:anyone:":           {Scheme: "world", ID: "anyone"},
		"world:anyone:cdrwa|0x40": {Perms: zkproto.PermAll | 0x40, Scheme: "world", ID: "anyone"},
	} {
		got, err := zkproto.ParseACL(text)
		if err != nil || got != want {
			t.Errorf("ParseACL(%q) = %+v, %v, want %+v", text, got, err, want)
		}
		if again, err := zkproto.ParseACL(got.String()); err != nil || again != got {
			t.Errorf("ParseACL(%q) = %+v, %v, want %+v", got.String(), again, err, got)
		}
	}
	for _, bad := range []string{"", "world", "world:anyone", ":anyone:r", "world:anyone:rx", "world:anyone:r0x", "world:anyone:0x1ffffffff"} {
		if got, err := zkproto.ParseACL(bad); err == nil {
			t.Errorf("ParseACL(%q) = %+v, want an error", bad, got)
		}
	}
}

func TestParseACLs(t *testing.T) {
	got, err := zkproto.ParseACLs("world:anyone:r, digest:bob:h:cdrwa")
	want := []zkproto.ACL{
		{Perms: zkproto.PermRead, Scheme: "world", ID: "anyone"},
		{Perms: zkproto.PermAll, Scheme: "digest", ID: "bob:h"},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("ParseACLs = %v, %v, want %v", got, err, want)
	}
	for _, bad := range []string{"", "world:anyone:r,", "world:anyone:r,bob"} {
		if got, err := zkproto.ParseACLs(bad); err == nil {
			t.Errorf("ParseACLs(%q) = %v, want an error", bad, got)
		}
	}
}
