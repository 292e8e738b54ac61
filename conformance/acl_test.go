package conformance

import (
	"slices"
	"testing"

	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// Access control lists: what is accepted, what is stored, and whom it lets do what.

var aclFacts = facts(unknownPermissionBits, permissionsOfOperations, existsNeedsNoPermission, duplicatesAreRemoved,
	emptyACLIsInvalid, wrongWorldIsInvalid, nullIDIsNoACL, authStandsForIdentities, authWithoutIdentities,
	unknownSchemesAreInvalid, digestIDs, ipIDs, ipRangesMatch, entriesAddUp, digestsAreMasked, skippedACLs)

const (
	bob = "bob:ikIaKsbtGweaHnb/jKn7OHqbunM=" // of bob:pw
	amy = "amy:ytedbzoRRPHPjfCmtagR0pUO0cI=" // of amy:pw
)

func unknownPermissionBits(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for _, perms := range []zkproto.Perm{255, 0, 1 << 30, -1} {
		want := []zkproto.ACL{acl(perms|zkproto.PermAdmin, "world", "anyone"), acl(perms, "ip", "127.0.0.1")}
		path := made(c, zkproto.CreateRequest{Path: d + "/a", ACL: want, Mode: zkproto.ModePersistentSequential})
		if got := aclOf(c, path); !slices.Equal(got, want) {
			t.Errorf("ACL %v reads back as %v", want, got)
		}
	}
}

func permissionsOfOperations(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for _, x := range []struct {
		needs zkproto.Perm
		op    zkproto.OpCode
		body  func(path string) rawzk.Body
	}{
		{zkproto.PermCreate, zkproto.OpCreate, func(p string) rawzk.Body { return create(p + "/x") }},
		{zkproto.PermCreate, zkproto.OpCreate2, func(p string) rawzk.Body { return create(p + "/x") }},
		{zkproto.PermCreate, zkproto.OpCreateContainer, func(p string) rawzk.Body { return create(p + "/x") }},
		{zkproto.PermCreate, zkproto.OpCreateTTL, func(p string) rawzk.Body { return createTTL(p+"/x", 60_000) }},
		{zkproto.PermDelete, zkproto.OpDelete, func(p string) rawzk.Body { return del(p + "/kid") }},
		{zkproto.PermRead, zkproto.OpGetData, func(p string) rawzk.Body { return read(p) }},
		{zkproto.PermRead, zkproto.OpGetChildren, func(p string) rawzk.Body { return read(p) }},
		{zkproto.PermRead, zkproto.OpGetChildren2, func(p string) rawzk.Body { return read(p) }},
		{zkproto.PermRead, zkproto.OpGetAllChildrenNumber, func(p string) rawzk.Body { return at(p) }},
		{zkproto.PermWrite, zkproto.OpSetData, func(p string) rawzk.Body { return set(p) }},
		{zkproto.PermAdmin, zkproto.OpSetACL, func(p string) rawzk.Body { return setACL(p, open...) }},
		{0, zkproto.OpExists, func(p string) rawzk.Body { return read(p) }},
		{0, zkproto.OpSync, func(p string) rawzk.Body { return at(p) }},
		{0, zkproto.OpAddWatch, func(p string) rawzk.Body { return zkproto.AddWatchRequest{Path: p} }},
	} {
		for perms, want := range map[zkproto.Perm]zkproto.Code{x.needs: zkproto.OK, zkproto.PermAll &^ x.needs: zkproto.ErrNoAuth} {
			if x.needs == 0 {
				want = zkproto.OK
			}
			path := made(c, createAs(d+"/a", zkproto.ModePersistentSequential))
			made(c, create(path+"/kid"))
			c.Want(zkproto.OK, zkproto.OpSetACL, setACL(path, acl(perms, "world", "anyone")))
			if p := c.Call(x.op, x.body(path)); p.Err != want {
				t.Errorf("%v with permissions %v: %v, want %v", x.op, perms, p.Err.Name(), want.Name())
			}
		}
	}
}

func existsNeedsNoPermission(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	made(c, createWith(d+"/a", none...))
	statOf(c, d+"/a")
}

func duplicatesAreRemoved(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	a, b, e := acl(1, "world", "anyone"), acl(30, "world", "anyone"), acl(1, "ip", "127.0.0.1")
	made(c, createWith(d+"/a", a, e, a, b, e, a))
	if got, want := aclOf(c, d+"/a"), []zkproto.ACL{a, e, b}; !slices.Equal(got, want) {
		t.Errorf("ACL %v, want %v", got, want)
	}
}

func emptyACLIsInvalid(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	null := zkproto.AppendInt32(zkproto.AppendBuffer(zkproto.AppendString(nil, d+"/a"), nil), -1)
	tryAll(c,
		try{zkproto.ErrInvalidACL, zkproto.OpCreate, createWith(d + "/a")},
		try{zkproto.ErrInvalidACL, zkproto.OpCreate, rawzk.Bytes(zkproto.AppendInt32(null, 0))},
		try{zkproto.ErrInvalidACL, zkproto.OpSetACL, setACL(d)},
		try{zkproto.ErrInvalidACL, zkproto.OpSetACL, rawzk.Bytes(zkproto.AppendInt32(zkproto.AppendInt32(zkproto.AppendString(nil, d), -1), -1))},
	)
}

func wrongWorldIsInvalid(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for _, id := range []string{"", "Anyone", "nobody", "anyone "} {
		c.Want(zkproto.ErrInvalidACL, zkproto.OpSetACL, setACL(d, acl(31, "world", id)))
	}
	c.Want(zkproto.OK, zkproto.OpSetACL, setACL(d, open...))
}

// nullACL is a list with one entry of which the scheme or the id may be null.
func nullACL(b []byte, scheme, id *string) []byte {
	b = zkproto.AppendInt32(zkproto.AppendInt32(b, 1), int32(zkproto.PermAll))
	for _, text := range []*string{scheme, id} {
		if text == nil {
			b = zkproto.AppendNullString(b)
		} else {
			b = zkproto.AppendString(b, *text)
		}
	}
	return b
}

func nullIDIsNoACL(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	c.Want(zkproto.OK, zkproto.OpAuth, auth("digest", "bob:pw"))
	for _, x := range []struct {
		scheme, id *string
		want       zkproto.Code
	}{
		{new("world"), nil, zkproto.ErrMarshallingError},
		{new("digest"), nil, zkproto.ErrMarshallingError},
		{new("ip"), nil, zkproto.ErrMarshallingError},
		{new("unknown"), nil, zkproto.ErrInvalidACL},
		{nil, nil, zkproto.ErrInvalidACL},
		{nil, new("anyone"), zkproto.ErrInvalidACL},
		{new("auth"), nil, zkproto.OK},
	} {
		body := zkproto.AppendInt32(nullACL(zkproto.AppendString(nil, d), x.scheme, x.id), -1)
		if p := c.Call(zkproto.OpSetACL, rawzk.Bytes(body)); p.Err != x.want {
			t.Errorf("setACL %q: %v, want %v", body, p.Err.Name(), x.want.Name())
		}
		body = zkproto.AppendBuffer(zkproto.AppendString(nil, d+"/a"), nil)
		body = zkproto.AppendInt32(nullACL(body, x.scheme, x.id), int32(zkproto.ModePersistentSequential))
		if p := c.Call(zkproto.OpCreate, rawzk.Bytes(body)); p.Err != x.want {
			t.Errorf("create %q: %v, want %v", body, p.Err.Name(), x.want.Name())
		}
		inside := zkproto.MultiHeader{Type: zkproto.OpCreate, Err: -1}.AppendTo(nil)
		inside = zkproto.MultiHeader{Type: zkproto.OpError, Done: true, Err: -1}.AppendTo(append(inside, body...))
		want := x.want
		if want == zkproto.ErrInvalidACL { // which is told of the operation
			want = zkproto.OK
		}
		if p := c.Call(zkproto.OpMulti, rawzk.Bytes(inside)); p.Err != want {
			t.Errorf("multi of create %q: %v, want %v", body, p.Err.Name(), want.Name())
		}
	}
}

func authStandsForIdentities(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	c.Want(zkproto.OK, zkproto.OpAuth, auth("digest", "bob:pw"))
	for _, id := range []string{"", "whatever", "amy:x"} {
		path := made(c, zkproto.CreateRequest{Path: d + "/a", ACL: []zkproto.ACL{acl(5, "auth", id), acl(16, "world", "anyone")}, Mode: zkproto.ModePersistentSequential})
		if got, want := aclOf(c, path), []zkproto.ACL{acl(5, "digest", bob), acl(16, "world", "anyone")}; !slices.Equal(got, want) {
			t.Errorf("auth:%s became %v, want %v", id, got, want)
		}
	}
	// What comes of it is not compared with the rest again.
	made(c, createWith(d+"/twice", acl(31, "digest", bob), acl(31, "auth", "")))
	if got, want := aclOf(c, d+"/twice"), []zkproto.ACL{acl(31, "digest", bob), acl(31, "digest", bob)}; !slices.Equal(got, want) {
		t.Errorf("bob and auth became %v, want %v", got, want)
	}
	c.Want(zkproto.OK, zkproto.OpAuth, auth("digest", "amy:pw"))
	made(c, createWith(d+"/both", acl(31, "auth", "")))
	got := aclOf(c, d+"/both")
	slices.SortFunc(got, func(a, b zkproto.ACL) int { return slices.Compare([]string{a.ID}, []string{b.ID}) })
	if want := []zkproto.ACL{acl(31, "digest", amy), acl(31, "digest", bob)}; !slices.Equal(got, want) {
		t.Errorf("auth of two became %v, want %v", got, want)
	}
}

func authWithoutIdentities(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	c.Want(zkproto.ErrInvalidACL, zkproto.OpCreate, createWith(d+"/a", acl(31, "auth", "")))
	c.Want(zkproto.OK, zkproto.OpAuth, auth("ip", ""))
	c.Want(zkproto.ErrInvalidACL, zkproto.OpSetACL, setACL(d, acl(31, "world", "anyone"), acl(31, "auth", "")))
}

func unknownSchemesAreInvalid(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for _, scheme := range []string{"sasl", "x509", "super", "", "Digest", "host"} {
		c.Want(zkproto.ErrInvalidACL, zkproto.OpCreate, createWith(d+"/a", acl(31, scheme, "x")))
		c.Want(zkproto.ErrInvalidACL, zkproto.OpSetACL, setACL(d, acl(31, "world", "anyone"), acl(31, scheme, "x")))
	}
}

func digestIDs(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for id, want := range map[string]zkproto.Code{
		"user:hash": zkproto.OK, ":x": zkproto.OK, "a:b:": zkproto.OK, "a:b::": zkproto.OK, " : ": zkproto.OK,
		"user": zkproto.ErrInvalidACL, "a:": zkproto.ErrInvalidACL, "a:b:c": zkproto.ErrInvalidACL, "": zkproto.ErrInvalidACL,
		":": zkproto.ErrInvalidACL, "::": zkproto.ErrInvalidACL, "::x": zkproto.ErrInvalidACL, "a::x": zkproto.ErrInvalidACL,
	} {
		c.Want(want, zkproto.OpSetACL, setACL(d, acl(31, "world", "anyone"), acl(31, "digest", id)))
	}
}

func ipIDs(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for id, want := range map[string]zkproto.Code{
		"10.1.2.3": zkproto.OK, "0.0.0.0": zkproto.OK, "255.255.255.255": zkproto.OK, "10.1.2.3/0": zkproto.OK, "10.1.2.3/32": zkproto.OK,
		"10.1.2.3/8":  zkproto.OK,
		"10.1.2.3/33": zkproto.ErrInvalidACL, "10.1.2.3/-1": zkproto.ErrInvalidACL, "10.1.2": zkproto.ErrInvalidACL,
		"10.1.2.3.4": zkproto.ErrInvalidACL, "10.1.2.256": zkproto.ErrInvalidACL, "::1": zkproto.ErrInvalidACL, "::1/64": zkproto.ErrInvalidACL,
		"": zkproto.ErrInvalidACL, "localhost": zkproto.ErrInvalidACL, "10.1.2.3/": zkproto.ErrInvalidACL, "10.1.2.3/x": zkproto.ErrInvalidACL,
		"10.1.2.3/8/8": zkproto.ErrInvalidACL, "010.001.002.003": zkproto.OK, "10.1.2.3/08": zkproto.OK, "10.1.2.3/+8": zkproto.OK,
		"10.1.2.-3": zkproto.ErrInvalidACL, " 10.1.2.3": zkproto.ErrInvalidACL, "10.1.2.3 ": zkproto.ErrInvalidACL, "+10.1.2.3": zkproto.OK,
		"10..2.3": zkproto.ErrInvalidACL, "10.1.2.3.": zkproto.ErrInvalidACL, "10.-0.2.3/-0": zkproto.OK, "10.1.2.1_0": zkproto.ErrInvalidACL, "/8": zkproto.ErrInvalidACL,
	} {
		c.Want(want, zkproto.OpSetACL, setACL(d, acl(31, "world", "anyone"), acl(31, "ip", id)))
	}
}

func ipRangesMatch(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for id, want := range map[string]zkproto.Code{
		"127.0.0.1": zkproto.OK, "127.0.0.0/8": zkproto.OK, "127.255.255.255/8": zkproto.OK, "10.1.2.3/0": zkproto.OK, "127.0.0.1/32": zkproto.OK,
		"127.0.0.3/31": zkproto.ErrNoAuth, "127.0.0.0/31": zkproto.OK, "10.0.0.0/8": zkproto.ErrNoAuth, "127.0.0.2": zkproto.ErrNoAuth,
		"128.0.0.0/1": zkproto.ErrNoAuth, "1.0.0.0/1": zkproto.OK, "127.000.00.01": zkproto.OK, "+127.0.0.0/08": zkproto.OK,
	} {
		path := made(c, zkproto.CreateRequest{Path: d + "/a", ACL: []zkproto.ACL{acl(zkproto.PermRead, "ip", id)}, Mode: zkproto.ModePersistentSequential})
		if p := c.Call(zkproto.OpGetData, read(path)); p.Err != want {
			t.Errorf("get of what ip:%s may read: %v, want %v", id, p.Err.Name(), want.Name())
		}
	}
}

func entriesAddUp(t *testing.T, s *server) {
	c, other := s.open(t), s.open(t)
	d := dir(c)
	c.Want(zkproto.OK, zkproto.OpAuth, auth("digest", "bob:pw"))
	made(c, createWith(d+"/a", acl(zkproto.PermRead, "world", "anyone"), acl(zkproto.PermWrite, "digest", bob), acl(0, "ip", "127.0.0.1"), acl(zkproto.PermAdmin, "digest", amy)))
	for who, want := range map[*rawzk.Conn]zkproto.Code{c: zkproto.OK, other: zkproto.ErrNoAuth} {
		who.Want(zkproto.OK, zkproto.OpGetData, read(d+"/a"))
		who.Want(want, zkproto.OpSetData, set(d+"/a"))
		who.Want(zkproto.ErrNoAuth, zkproto.OpSetACL, setACL(d+"/a", open...))
	}
	other.Want(zkproto.OK, zkproto.OpAuth, auth("digest", "amy:pw"))
	other.Want(zkproto.OK, zkproto.OpSetACL, setACL(d+"/a", open...))
}

func digestsAreMasked(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	list := []zkproto.ACL{
		acl(zkproto.PermRead, "world", "anyone"), acl(zkproto.PermAdmin, "digest", bob), acl(1, "digest", "a:b:"), acl(1, "digest", ":x"),
		acl(1, "ip", "10.0.0.1"),
	}
	made(c, createWith(d+"/a", list...))
	want := slices.Clone(list)
	want[1].ID, want[2].ID = "bob:x", "a:x"
	if got := aclOf(c, d+"/a"); !slices.Equal(got, want) {
		t.Errorf("ACL without the permission to administer: %v, want %v", got, want)
	}
	c.Want(zkproto.OK, zkproto.OpAuth, auth("digest", "bob:pw"))
	if got := aclOf(c, d+"/a"); !slices.Equal(got, list) {
		t.Errorf("ACL with it: %v, want %v", got, list)
	}
}

func skippedACLs(t *testing.T, s *server) {
	c := s.with(t, options{skipACL: true}).open(t)
	d := dir(c)
	made(c, createWith(d+"/a", acl(0, "world", "anyone")))
	tryAll(c,
		try{zkproto.OK, zkproto.OpCreate, create(d + "/a/b")},
		try{zkproto.OK, zkproto.OpGetData, watch(d + "/a")},
		try{zkproto.OK, zkproto.OpDelete, del(d + "/a/b")},
		try{zkproto.OK, zkproto.OpSetACL, setACL(d+"/a", none...)},
	)
	causes(c, zkproto.OpSetData, set(d+"/a"), changed(d+"/a"))
	c.Want(zkproto.OK, zkproto.OpSetACL, setACL(d+"/a", acl(31, "digest", bob)))
	if got := aclOf(c, d+"/a"); got[0].ID != bob {
		t.Errorf("ACL %v, want it as it is", got)
	}
}
