package conformance

import (
	"slices"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// The operations, and what create modes go with which.

var operationFacts = facts(syncEchoesAnything, authTypeIsIgnored, closeSessionEndsConnection, unknownModes,
	containerModeOnPlainCreate, ttlModeOnPlainCreate, ttlModeWithoutTTLs, containerOpWithOtherModes, ttlOpWithOtherModes,
	ttlRange, ttlOpWithoutTTLs, ephemeralsByPrefix, whoAmIHasTheAddress, reconfigIsDisabled, allChildrenNumber,
	createRepliesWithThePath, create2RepliesWithAStat)

func syncEchoesAnything(t *testing.T, s *server) {
	c := s.open(t)
	for _, path := range []string{"/", "", "no path", "/missing", "/a//b", "/\x00", "/\u00e4\u20ac"} {
		if got := as[zkproto.SyncResponse](t, c.Want(zkproto.OK, zkproto.OpSync, at(path))); got.Path != path || got.NullPath {
			t.Errorf("sync %q = %+v", path, got)
		}
	}
	if got := as[zkproto.SyncResponse](t, c.Want(zkproto.OK, zkproto.OpSync, zkproto.PathRequest{NullPath: true})); !got.NullPath {
		t.Errorf("sync of the null path = %+v", got)
	}
}

func authTypeIsIgnored(t *testing.T, s *server) {
	c := s.open(t)
	for _, typ := range []int32{0, 1, -1, 100} {
		c.Want(zkproto.OK, zkproto.OpAuth, zkproto.AuthRequest{Type: typ, Scheme: "digest", Auth: []byte("bob:pw")})
	}
}

func closeSessionEndsConnection(t *testing.T, s *server) {
	for _, body := range []rawzk.Body{nil, rawzk.Bytes{1, 2, 3}} {
		c := s.open(t)
		if p := c.Want(zkproto.OK, zkproto.OpCloseSession, body); len(p.Body) > 0 {
			t.Errorf("reply to closeSession has a body: %x", p.Body)
		}
		c.Closed()
		refused(t, s, rawzk.Resume(c.Session))
	}
}

func unknownModes(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for _, mode := range []zkproto.CreateMode{-1, 7, 8, 100, 1 << 30} {
		tryAll(c,
			try{zkproto.ErrBadArguments, zkproto.OpCreate, createAs(d+"/a", mode)},
			try{zkproto.ErrBadArguments, zkproto.OpCreate2, createAs(d+"/a", mode)},
			try{zkproto.ErrBadArguments, zkproto.OpCreateContainer, createAs(d+"/a", mode)},
			try{zkproto.ErrBadArguments, zkproto.OpCreateTTL, zkproto.CreateTTLRequest{Path: d + "/a", ACL: open, Mode: mode, TTL: 1000}},
		)
	}
	missing(c, d+"/a")
}

// hadAChild makes a container due: one that never had a child stays.
func hadAChild(c *rawzk.Conn, path string) {
	c.TB.Helper()
	c.Want(zkproto.OK, zkproto.OpCreate, create(path+"/child"))
	c.Want(zkproto.OK, zkproto.OpDelete, del(path+"/child"))
}

// gone waits until the server has deleted a znode.
func gone(c *rawzk.Conn, path string) {
	c.TB.Helper()
	c.Exchange(zkproto.OpExists, watch(path))
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		if c.Call(zkproto.OpExists, read(path)).Err == zkproto.ErrNoNode {
			return
		}
		if ev, ok := c.Next().Event(); ok && ev.Type == zkproto.EventDeleted && ev.Path == path {
			return
		}
	}
	c.TB.Errorf("%s is still there", path)
}

// stays checks that the reaper leaves a znode alone, by one that it must take at the same time.
func stays(c *rawzk.Conn, path, taken string) {
	c.TB.Helper()
	gone(c, taken)
	statOf(c, path)
}

func containerModeOnPlainCreate(t *testing.T, s *server) {
	c := s.with(t, options{reaper: true}).open(t)
	d := dir(c)
	c.Want(zkproto.OK, zkproto.OpCreate, createAs(d+"/plain", zkproto.ModeContainer))
	c.Want(zkproto.OK, zkproto.OpCreate2, createAs(d+"/plain2", zkproto.ModeContainer))
	c.Want(zkproto.OK, zkproto.OpCreateContainer, createAs(d+"/real", zkproto.ModeContainer))
	for _, name := range []string{"/plain", "/plain2", "/real"} {
		hadAChild(c, d+name)
	}
	stays(c, d+"/plain", d+"/real")
	statOf(c, d+"/plain2")
}

func ttlModeOnPlainCreate(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for _, mode := range []zkproto.CreateMode{zkproto.ModePersistentTTL, zkproto.ModePersistentSequentialTTL} {
		for _, op := range []zkproto.OpCode{zkproto.OpCreate, zkproto.OpCreate2, zkproto.OpCreateContainer} {
			c.Want(zkproto.ErrBadArguments, op, createAs(d+"/a", mode))
		}
	}
}

func ttlModeWithoutTTLs(t *testing.T, s *server) {
	c := s.with(t, options{noTTL: true}).open(t)
	for _, mode := range []zkproto.CreateMode{zkproto.ModePersistentTTL, zkproto.ModePersistentSequentialTTL} {
		for _, op := range []zkproto.OpCode{zkproto.OpCreate, zkproto.OpCreate2, zkproto.OpCreateContainer} {
			c.Want(zkproto.ErrUnimplemented, op, createAs("no path", mode))
		}
	}
	c.Want(zkproto.OK, zkproto.OpPing, nil) // the connection goes on
}

func containerOpWithOtherModes(t *testing.T, s *server) {
	c := s.with(t, options{reaper: true}).open(t)
	d := dir(c)
	for mode, name := range map[zkproto.CreateMode]string{0: "/persistent", 1: "/ephemeral", 2: "/sequential", 3: "/both"} {
		p := as[zkproto.Create2Response](t, c.Want(zkproto.OK, zkproto.OpCreateContainer, createAs(d+name, mode)))
		if (len(p.Path) == len(d+name)+10) != mode.Sequential() {
			t.Errorf("createContainer with %v made %s", mode, p.Path)
		}
		if p.Stat.EphemeralOwner != 0 {
			t.Errorf("createContainer with %v: owner %#x, want none", mode, p.Stat.EphemeralOwner)
		}
		hadAChild(c, p.Path)
		gone(c, p.Path)
	}
}

func ttlOpWithOtherModes(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for mode := range zkproto.ModePersistentTTL {
		for _, ttl := range []int64{0, 1, 1000, zkproto.MaxTTL} {
			c.Want(zkproto.ErrBadArguments, zkproto.OpCreateTTL, zkproto.CreateTTLRequest{Path: d + "/a", ACL: open, Mode: mode, TTL: ttl})
		}
	}
}

func ttlRange(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for ttl, want := range map[int64]zkproto.Code{
		-1: zkproto.ErrBadArguments, 0: zkproto.ErrBadArguments, -1 << 63: zkproto.ErrBadArguments,
		zkproto.MaxTTL + 1: zkproto.ErrBadArguments, 1<<63 - 1: zkproto.ErrBadArguments, zkproto.MaxTTL: zkproto.OK, 60_000: zkproto.OK,
	} {
		req := createTTL(d+"/a", ttl)
		req.Mode = zkproto.ModePersistentSequentialTTL
		c.Want(want, zkproto.OpCreateTTL, req)
	}
}

func ttlOpWithoutTTLs(t *testing.T, s *server) {
	c := s.with(t, options{noTTL: true}).open(t)
	c.Want(zkproto.ErrUnimplemented, zkproto.OpCreateTTL, createTTL("no path", 1000))
	c.Want(zkproto.ErrUnimplemented, zkproto.OpCreateTTL, createTTL("/a", 0))
	c.Want(zkproto.OK, zkproto.OpPing, nil)
}

func ephemeralsByPrefix(t *testing.T, s *server) {
	c, other := s.open(t), s.open(t)
	d := dir(c)
	for _, name := range []string{"/a", "/ab", "/b"} {
		c.Want(zkproto.OK, zkproto.OpCreate, createAs(d+name, zkproto.ModeEphemeral))
	}
	other.Want(zkproto.OK, zkproto.OpCreate, createAs(d+"/other", zkproto.ModeEphemeral))
	all := []string{d + "/a", d + "/ab", d + "/b"}
	for prefix, want := range map[string][]string{
		"": all, "/": all, "  ": all, " / ": all, d + "/a": {d + "/a", d + "/ab"}, d + "/ab": {d + "/ab"}, d: all, d + "/other": {},
		d + "//": {}, "no path": {}, d[1:]: {},
	} {
		got := as[zkproto.EphemeralsResponse](t, c.Want(zkproto.OK, zkproto.OpGetEphemerals, at(prefix))).Paths
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("ephemerals with prefix %q = %q, want %q", prefix, got, want)
		}
	}
	got := as[zkproto.EphemeralsResponse](t, c.Want(zkproto.OK, zkproto.OpGetEphemerals, zkproto.PathRequest{NullPath: true})).Paths
	if slices.Sort(got); !slices.Equal(got, all) {
		t.Errorf("ephemerals with a null prefix = %q, want %q", got, all)
	}
}

// identities returns what whoAmI tells, sorted.
func identities(c *rawzk.Conn) []zkproto.ClientInfo {
	c.TB.Helper()
	all := as[zkproto.WhoAmIResponse](c.TB, c.Want(zkproto.OK, zkproto.OpWhoAmI, nil)).Clients
	slices.SortFunc(all, func(a, b zkproto.ClientInfo) int {
		return slices.Compare([]string{a.Scheme, a.User}, []string{b.Scheme, b.User})
	})
	return all
}

func whoAmIHasTheAddress(t *testing.T, s *server) {
	c := s.open(t)
	const self = "127.0.0.1"
	if got, want := identities(c), []zkproto.ClientInfo{{Scheme: "ip", User: self}}; !slices.Equal(got, want) {
		t.Errorf("whoAmI = %v, want %v", got, want)
	}
	c.Want(zkproto.OK, zkproto.OpAuth, auth("digest", "bob:pw"))
	c.Want(zkproto.OK, zkproto.OpAuth, auth("digest", "bob:pw"))
	c.Want(zkproto.OK, zkproto.OpAuth, auth("digest", "amy:a:b"))
	want := []zkproto.ClientInfo{{Scheme: "digest", User: "amy"}, {Scheme: "digest", User: "bob"}, {Scheme: "ip", User: self}}
	if got := identities(c); !slices.Equal(got, want) {
		t.Errorf("whoAmI = %v, want %v", got, want)
	}
}

func reconfigIsDisabled(t *testing.T, s *server) {
	c := s.open(t)
	c.Want(zkproto.ErrReconfigDisabled, zkproto.OpReconfig, zkproto.ReconfigRequest{Leaving: "1", ConfigID: -1})
	c.Want(zkproto.OK, zkproto.OpPing, nil)
}

func allChildrenNumber(t *testing.T, s *server) {
	c := s.with(t, options{alone: "quiet"}).open(t)
	count := func(path string, want int32) {
		t.Helper()
		if got := as[zkproto.AllChildrenNumberResponse](t, c.Want(zkproto.OK, zkproto.OpGetAllChildrenNumber, at(path))).Count; got != want {
			t.Errorf("number of all children of %s = %d, want %d", path, got, want)
		}
	}
	before := as[zkproto.AllChildrenNumberResponse](t, c.Want(zkproto.OK, zkproto.OpGetAllChildrenNumber, at("/"))).Count
	d := dir(c)
	c.Want(zkproto.OK, zkproto.OpMulti, multi(mCreate(d+"/a", 0), mCreate(d+"/a/b", 0), mCreate(d+"/c", 0)))
	count(d, 3)
	count(d+"/a", 1)
	count(d+"/c", 0)
	count("/", before+4)
	count("/zookeeper", 2)
	c.Want(zkproto.ErrNoNode, zkproto.OpGetAllChildrenNumber, at(d+"/missing"))
	c.Want(zkproto.OK, zkproto.OpSetACL, setACL(d+"/c", except(zkproto.PermRead)...))
	c.Want(zkproto.ErrNoAuth, zkproto.OpGetAllChildrenNumber, at(d+"/c"))
}

func createRepliesWithThePath(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	if got := made(c, createAs(d+"/a", zkproto.ModeEphemeral)); got != d+"/a" {
		t.Errorf("create answered %q", got)
	}
}

func create2RepliesWithAStat(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for _, x := range []struct {
		op   zkproto.OpCode
		body rawzk.Body
		path string
	}{
		{zkproto.OpCreate2, create(d + "/a"), d + "/a"},
		{zkproto.OpCreateContainer, createAs(d+"/b", zkproto.ModeContainer), d + "/b"},
		{zkproto.OpCreateTTL, createTTL(d+"/c", 60_000), d + "/c"},
	} {
		p := c.Want(zkproto.OK, x.op, x.body)
		got := as[zkproto.Create2Response](t, p)
		if got.Path != x.path || got.Stat.Czxid != p.Zxid || got.Stat != statOf(c, x.path) {
			t.Errorf("%v = %+v, want %s and its stat", x.op, got, x.path)
		}
	}
}
