package conformance

import (
	"slices"
	"testing"

	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// Paths, and the znodes that every server has.

var pathFacts = facts(dotsInNames, allowedCharacters, forbiddenCharacters, createLooksForTheParentFirst,
	deleteOfSpecialPaths, deleteValidatesNothingElse, setValidatesFully, existsRefusesNUL, readsOnlyLookUp,
	addWatchChecksNoPath, nullPaths, nullPathInAMulti, emptyPathIsTheRoot, emptyPathIsNeverWatched, specialZnodes,
	configIsReadOnly, whoMayHaveChildren)

func dotsInNames(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for _, name := range []string{"...", ".a", "a.", "..a", "a..b", ".. "} {
		made(c, create(d+"/"+name))
	}
	for _, name := range []string{".", ".."} {
		c.Want(zkproto.ErrBadArguments, zkproto.OpCreate, create(d+"/"+name))
		c.Want(zkproto.ErrBadArguments, zkproto.OpSetData, set(d+"/"+name+"/a"))
	}
}

func allowedCharacters(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	names := []string{" ", "a b", "\u00a0", "\uf900", "\uffef", "~", "\ud7ff", "\u2028", "ä€", "%", "\\", ":"}
	for _, name := range names {
		made(c, create(d+"/"+name))
	}
	slices.Sort(names)
	if got := childrenOf(c, d); !slices.Equal(got, names) {
		t.Errorf("children %q, want %q", got, names)
	}
}

func forbiddenCharacters(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for _, name := range []string{
		"\x00", "\x01", "\x1f", "\x7f", "\u0080", "\u009f", "\ue000", "\uf8ff", "\ufff0", "\uffff", "\ufffd", "\U0001f600",
		"\xed\xa0\xbd\xed\xb8\x80",     // a character as two surrogates
		"\xff", "\xc0\x80", "\xe2\x82", // no UTF-8
	} {
		for _, path := range []string{d + "/" + name, d + "/a" + name + "b"} {
			c.Want(zkproto.ErrBadArguments, zkproto.OpCreate, create(path))
			c.Want(zkproto.ErrBadArguments, zkproto.OpSetData, set(path))
			c.Want(zkproto.ErrBadArguments, zkproto.OpSetACL, setACL(path, open...))
			codes(c, multi(mCheck(path, -1)), zkproto.ErrBadArguments)
		}
	}
}

func createLooksForTheParentFirst(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for path, want := range map[string]zkproto.Code{
		d + "//a": zkproto.ErrNoNode, d + "/../x": zkproto.ErrNoNode, d + "/\x01/x": zkproto.ErrNoNode, "no slash/x": zkproto.ErrNoNode,
		d + "/": zkproto.ErrBadArguments, d + "/..": zkproto.ErrBadArguments, "no slash": zkproto.ErrBadArguments, "": zkproto.ErrBadArguments,
		"//": zkproto.ErrBadArguments, "/": zkproto.ErrNodeExists, d[1:] + "/x": zkproto.ErrNoNode, d + "/a/": zkproto.ErrNoNode,
		"/.": zkproto.ErrBadArguments,
	} {
		for _, op := range []zkproto.OpCode{zkproto.OpCreate, zkproto.OpCreate2, zkproto.OpCreateContainer} {
			c.Want(want, op, create(path))
		}
		c.Want(want, zkproto.OpCreateTTL, createTTL(path, 1000))
	}
	c.Want(zkproto.OK, zkproto.OpSetACL, setACL(d, except(zkproto.PermCreate)...))
	c.Want(zkproto.ErrNoAuth, zkproto.OpCreate, create(d+"/.."))
	c.Want(zkproto.ErrNoAuth, zkproto.OpCreate, create(d+"/"))
}

func deleteOfSpecialPaths(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for _, path := range []string{"", "no slash", d + "/\x00", "/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"} {
		for _, version := range []int32{-1, 0, 7} {
			c.Want(zkproto.ErrBadArguments, zkproto.OpDelete, zkproto.DeleteRequest{Path: path, Version: version})
			codes(c, multi(mDelete(path, version)), zkproto.ErrBadArguments)
		}
		c.Want(zkproto.ErrBadArguments, zkproto.OpDeleteContainer, at(path))
	}
	c.Want(zkproto.ErrBadArguments, zkproto.OpDeleteContainer, at(d)) // it is not for clients
}

func deleteValidatesNothingElse(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for _, path := range []string{d + "/", d + "//a", d + "/..", d + "/\x01", d + "/\ue000", "//", d[1:] + "/a"} {
		c.Want(zkproto.ErrNoNode, zkproto.OpDelete, del(path))
	}
}

func setValidatesFully(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for _, path := range []string{"", "no slash", d + "/", d + "//a", d + "/.", d + "/../a", d[1:], "//"} {
		c.Want(zkproto.ErrBadArguments, zkproto.OpSetData, set(path))
		c.Want(zkproto.ErrBadArguments, zkproto.OpSetACL, setACL(path, open...))
		codes(c, multi(mSet(path, -1)), zkproto.ErrBadArguments)
		codes(c, multi(mCheck(path, -1)), zkproto.ErrBadArguments)
	}
}

func existsRefusesNUL(t *testing.T, s *server) {
	c := s.open(t)
	for _, path := range []string{"\x00", "/a\x00", "/\x00/a"} {
		c.Want(zkproto.ErrBadArguments, zkproto.OpExists, watch(path))
	}
	for _, path := range []string{"/missing", "no slash", "//", "/missing/", "/\x01"} {
		c.Want(zkproto.ErrNoNode, zkproto.OpExists, read(path))
	}
}

func readsOnlyLookUp(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	made(c, create(d+"/a"))
	for _, path := range []string{d + "/", d + "//a", "no slash", d + "/a/", d + "/\x00", d + "/../" + d, "//", d[1:], "/."} {
		for _, op := range []zkproto.OpCode{zkproto.OpGetData, zkproto.OpGetChildren, zkproto.OpGetChildren2} {
			c.Want(zkproto.ErrNoNode, op, watch(path))
		}
		c.Want(zkproto.ErrNoNode, zkproto.OpGetACL, at(path))
		c.Want(zkproto.ErrNoNode, zkproto.OpGetAllChildrenNumber, at(path))
	}
}

func addWatchChecksNoPath(t *testing.T, s *server) {
	c := s.open(t)
	for _, path := range []string{"foo//", "", "\x00", "/a/", "/missing"} {
		for _, mode := range []zkproto.AddWatchMode{zkproto.WatchPersistent, zkproto.WatchPersistentRecursive} {
			p := c.Want(zkproto.OK, zkproto.OpAddWatch, zkproto.AddWatchRequest{Path: path, Mode: mode})
			if got := as[zkproto.AddWatchResponse](t, p); got.Err != 0 {
				t.Errorf("addWatch %q = %+v", path, got)
			}
		}
	}
}

func nullPaths(t *testing.T, s *server) {
	c := s.open(t)
	null := zkproto.PathWatchRequest{NullPath: true}
	tryAll(c,
		try{zkproto.ErrMarshallingError, zkproto.OpCreate, zkproto.CreateRequest{NullPath: true, ACL: open}},
		try{zkproto.ErrMarshallingError, zkproto.OpCreate2, zkproto.CreateRequest{NullPath: true, ACL: open}},
		try{zkproto.ErrMarshallingError, zkproto.OpCreateContainer, zkproto.CreateRequest{NullPath: true, ACL: open}},
		try{zkproto.ErrMarshallingError, zkproto.OpCreateTTL, zkproto.CreateTTLRequest{NullPath: true, ACL: open, Mode: 5, TTL: 1000}},
		try{zkproto.ErrMarshallingError, zkproto.OpDelete, zkproto.DeleteRequest{NullPath: true}},
		try{zkproto.ErrMarshallingError, zkproto.OpExists, null},
		try{zkproto.ErrMarshallingError, zkproto.OpGetData, null},
		try{zkproto.ErrMarshallingError, zkproto.OpGetChildren, null},
		try{zkproto.ErrMarshallingError, zkproto.OpGetChildren2, null},
		try{zkproto.ErrMarshallingError, zkproto.OpGetACL, zkproto.PathRequest{NullPath: true}},
		try{zkproto.ErrMarshallingError, zkproto.OpGetAllChildrenNumber, zkproto.PathRequest{NullPath: true}},
		try{zkproto.ErrBadArguments, zkproto.OpSetData, zkproto.SetDataRequest{NullPath: true}},
		try{zkproto.ErrBadArguments, zkproto.OpSetACL, zkproto.SetACLRequest{NullPath: true, ACL: open}},
		try{zkproto.OK, zkproto.OpSync, zkproto.PathRequest{NullPath: true}},
		try{zkproto.OK, zkproto.OpGetEphemerals, zkproto.PathRequest{NullPath: true}},
	)
}

func nullPathInAMulti(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for _, bad := range []zkproto.MultiOp{
		{Op: zkproto.OpCreate, NullPath: true, ACL: open},
		{Op: zkproto.OpDelete, NullPath: true},
		{Op: zkproto.OpSetData, NullPath: true},
		{Op: zkproto.OpCheck, NullPath: true},
	} {
		for _, ops := range [][]zkproto.MultiOp{{bad}, {mSet(d, -1), bad}, {bad, mSet(d, -1)}} {
			if p := c.Call(zkproto.OpMulti, multi(ops...)); p.Err != zkproto.ErrMarshallingError {
				t.Errorf("multi with %v of the null path: %v, want MarshallingError", bad.Op, p.Err.Name())
			}
			// What Apache had prepared of it goes with the next transaction.
			c.Want(zkproto.ErrNoNode, zkproto.OpDelete, del("/missing"))
		}
	}
	if v := statOf(c, d).Version; v != 0 {
		t.Errorf("version %d, want that none of the sets was done", v)
	}
}

func emptyPathIsTheRoot(t *testing.T, s *server) {
	c := s.open(t)
	root := statOf(c, "/")
	if got := statOf(c, ""); got != root {
		t.Errorf(`exists "" = %+v, want that of the root %+v`, got, root)
	}
	dataOf(c, "")
	if got, want := childrenOf(c, ""), childrenOf(c, "/"); !slices.Equal(got, want) {
		t.Errorf(`children of "" = %q, want those of the root %q`, got, want)
	}
	aclOf(c, "")
	tryAll(c,
		try{zkproto.ErrBadArguments, zkproto.OpCreate, create("")},
		try{zkproto.ErrBadArguments, zkproto.OpSetData, set("")},
		try{zkproto.ErrBadArguments, zkproto.OpSetACL, setACL("", open...)},
		try{zkproto.ErrBadArguments, zkproto.OpDelete, del("")},
	)
}

func emptyPathIsNeverWatched(t *testing.T, s *server) {
	c := s.open(t)
	c.Want(zkproto.OK, zkproto.OpGetData, watch(""))
	c.Want(zkproto.OK, zkproto.OpGetChildren, watch(""))
	c.Want(zkproto.OK, zkproto.OpSetData, zkproto.SetDataRequest{Path: "/", Data: []byte{}, Version: -1})
	d := dir(c)
	c.Want(zkproto.OK, zkproto.OpDelete, del(d))
	events(c)
}

func specialZnodes(t *testing.T, s *server) {
	c := s.with(t, options{alone: "quiet"}).open(t)
	for _, path := range []string{"/", "/zookeeper", "/zookeeper/quota"} {
		if got := aclOf(c, path); !slices.Equal(got, open) {
			t.Errorf("ACL of %s: %v, want %v", path, got, open)
		}
		c.Want(zkproto.OK, zkproto.OpSetData, set(path))
		c.Want(zkproto.OK, zkproto.OpSetACL, setACL(path, open...))
		if path != "/" {
			c.Want(zkproto.OK, zkproto.OpCreate, create(path+"/below"))
			c.Want(zkproto.OK, zkproto.OpDelete, del(path+"/below"))
		}
	}
}

func configIsReadOnly(t *testing.T, s *server) {
	c := s.with(t, options{super: true}).open(t)
	const path = "/zookeeper/config"
	if got := aclOf(c, path); !slices.Equal(got, []zkproto.ACL{acl(zkproto.PermRead, "world", "anyone")}) {
		t.Errorf("ACL of %s: %v", path, got)
	}
	if data := dataOf(c, path); len(data) > 0 {
		t.Errorf("%s holds %q, want nothing", path, data)
	}
	writes := []try{
		{zkproto.ErrNoAuth, zkproto.OpSetData, zkproto.SetDataRequest{Path: path, Data: []byte{}, Version: -1}},
		{zkproto.ErrNoAuth, zkproto.OpCreate, create(path + "/below")},
		{zkproto.ErrNoAuth, zkproto.OpSetACL, setACL(path, acl(zkproto.PermRead, "world", "anyone"))},
	}
	tryAll(c, writes...)
	c.Want(zkproto.OK, zkproto.OpAuth, auth("digest", superPassword))
	for _, x := range writes {
		c.Want(zkproto.OK, x.op, x.body)
	}
	c.Want(zkproto.OK, zkproto.OpDelete, del(path+"/below"))
}

func whoMayHaveChildren(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	c.Want(zkproto.OK, zkproto.OpCreateContainer, createAs(d+"/c", zkproto.ModeContainer))
	c.Want(zkproto.OK, zkproto.OpCreateTTL, createTTL(d+"/t", 60_000))
	c.Want(zkproto.OK, zkproto.OpCreate, createAs(d+"/e", zkproto.ModeEphemeral))
	for _, x := range []try{
		{zkproto.OK, zkproto.OpCreate, create(d + "/c/x")},
		{zkproto.OK, zkproto.OpCreate, createAs(d+"/t/x", zkproto.ModeEphemeral)},
		{zkproto.ErrNoChildrenForEphemerals, zkproto.OpCreate, create(d + "/e/x")},
		{zkproto.ErrNoChildrenForEphemerals, zkproto.OpCreate, createAs(d+"/e/x", zkproto.ModeEphemeralSequential)},
	} {
		c.Want(x.want, x.op, rawzk.Body(x.body))
	}
}
