package conformance

import (
	"fmt"
	"testing"

	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// Quotas, and znodes that the server deletes by itself.

var (
	quotaFacts = facts(statsAreFilledIn, statsFollowInPlace, deletedLimitsStopCounting, softLimitsRefuseNothing,
		hardLimitsNeedEnforcement, hardCountLimit, hardBytesLimit, multiOvershootsQuota, quotaNeedsBothZnodes, deepestQuotaCounts,
		clientsMaySetTheStats, limitsCountNothingThemselves, newLimitsTakeEffect)
	reaperFacts = facts(reapingFiresEvents, unusedContainersStay, childrenKeepTTLZnodes, setDataRenewsTTL)
)

func quotaOf(path, name string) string { return "/zookeeper/quota" + path + "/zookeeper_" + name }

// used returns the stats of a quota.
func used(c *rawzk.Conn, path string) string {
	c.TB.Helper()
	return string(dataOf(c, quotaOf(path, "stats")))
}

func wantUsed(c *rawzk.Conn, path string, count, bytes int) {
	c.TB.Helper()
	if got, want := used(c, path), fmt.Sprintf("count=%d,bytes=%d", count, bytes); got != want {
		c.TB.Errorf("stats of the quota: %s, want %s", got, want)
	}
}

const noLimits = "count=-1,bytes=-1"

func statsAreFilledIn(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	made(c, zkproto.CreateRequest{Path: d + "/a", Data: []byte("1234"), ACL: open})
	limit(c, d, noLimits)
	wantUsed(c, d, 2, 5)
}

func statsFollowInPlace(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	limit(c, d, noLimits)
	path := quotaOf(d, "stats")
	before := statOf(c, path)
	c.Want(zkproto.OK, zkproto.OpGetData, watch(path))
	made(c, zkproto.CreateRequest{Path: d + "/a", Data: []byte("1234"), ACL: open})
	wantUsed(c, d, 2, 5)
	c.Want(zkproto.OK, zkproto.OpSetData, zkproto.SetDataRequest{Path: d + "/a", Data: []byte("123456"), Version: -1})
	wantUsed(c, d, 2, 7)
	codes(c, multi(mCreate(d+"/b", 0), mCreate(d+"/b/c", 0)), zkproto.OK, zkproto.OK)
	wantUsed(c, d, 4, 9)
	c.Want(zkproto.OK, zkproto.OpDelete, del(d+"/a"))
	wantUsed(c, d, 3, 3)
	codes(c, multi(mCreate(d+"/x", 0), mCheck(d, 77)), zkproto.OK, zkproto.ErrBadVersion)
	wantUsed(c, d, 3, 3)
	after := statOf(c, path)
	if after.DataLength != int32(len("count=3,bytes=3")) {
		t.Errorf("data length %d", after.DataLength)
	}
	before.DataLength, after.DataLength = 0, 0
	if after != before {
		t.Errorf("stat %+v of the stats, want %+v as before", after, before)
	}
	events(c)
}

func deletedLimitsStopCounting(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	limit(c, d, noLimits)
	c.Want(zkproto.OK, zkproto.OpDelete, del(quotaOf(d, "limits")))
	made(c, create(d+"/a"))
	wantUsed(c, d, 1, 1)
}

func softLimitsRefuseNothing(t *testing.T, s *server) {
	for _, opt := range []options{{}, {enforceQuota: true}} {
		c := s.with(t, opt).open(t)
		d := dir(c)
		limit(c, d, "count=1,bytes=1")
		made(c, create(d+"/a"))
		c.Want(zkproto.OK, zkproto.OpSetData, zkproto.SetDataRequest{Path: d, Data: make([]byte, 100), Version: -1})
		wantUsed(c, d, 2, 101)
	}
}

func hardLimitsNeedEnforcement(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	limit(c, d, "count=-1,bytes=-1=;byteHardLimit=1;countHardLimit=1")
	made(c, create(d+"/a"))
	c.Want(zkproto.OK, zkproto.OpSetData, zkproto.SetDataRequest{Path: d, Data: make([]byte, 100), Version: -1})
}

func hardCountLimit(t *testing.T, s *server) {
	c := s.with(t, options{enforceQuota: true}).open(t)
	d := dir(c)
	limit(c, d, "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=3")
	made(c, create(d+"/a"))
	made(c, create(d+"/a/b"))
	c.Want(zkproto.ErrQuotaExceeded, zkproto.OpCreate, create(d+"/c"))
	c.Want(zkproto.ErrQuotaExceeded, zkproto.OpCreate, createAs(d+"/a/s", zkproto.ModeEphemeralSequential))
	c.Want(zkproto.OK, zkproto.OpSetData, zkproto.SetDataRequest{Path: d, Data: make([]byte, 100), Version: -1})
	c.Want(zkproto.OK, zkproto.OpDelete, del(d+"/a/b"))
	made(c, create(d+"/c"))
	wantUsed(c, d, 3, 102)
}

func hardBytesLimit(t *testing.T, s *server) {
	c := s.with(t, options{enforceQuota: true}).open(t)
	d := dir(c)
	limit(c, d, "count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=-1")
	big := func(path string, n int) zkproto.CreateRequest {
		return zkproto.CreateRequest{Path: path, Data: make([]byte, n), ACL: open}
	}
	c.Want(zkproto.ErrQuotaExceeded, zkproto.OpCreate, big(d+"/a", 10)) // the znode itself has one
	c.Want(zkproto.OK, zkproto.OpCreate, big(d+"/a", 9))
	for _, x := range []struct {
		bytes int
		want  zkproto.Code
	}{{10, zkproto.ErrQuotaExceeded}, {9, zkproto.OK}, {8, zkproto.OK}} {
		c.Want(x.want, zkproto.OpSetData, zkproto.SetDataRequest{Path: d + "/a", Data: make([]byte, x.bytes), Version: -1})
	}
	made(c, create(d+"/b"))
	c.Want(zkproto.ErrQuotaExceeded, zkproto.OpCreate, create(d+"/d"))
}

func multiOvershootsQuota(t *testing.T, s *server) {
	c := s.with(t, options{enforceQuota: true}).open(t)
	d := dir(c)
	limit(c, d, "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=2")
	// Each alone is within what was used before.
	codes(c, multi(mCreate(d+"/a", 0), mCreate(d+"/b", 0), mCreate(d+"/c", 0)), zkproto.OK, zkproto.OK, zkproto.OK)
	wantUsed(c, d, 4, 4)
	c.Want(zkproto.ErrQuotaExceeded, zkproto.OpCreate, create(d+"/d"))
	codes(c, multi(mCreate(d+"/d", 0)), zkproto.ErrQuotaExceeded)
	// Nor does a quota count that the multi itself sets.
	e := made(c, create(d+"2"))
	limit(c, e, noLimits)
	c.Want(zkproto.OK, zkproto.OpDelete, del(quotaOf(e, "limits")))
	limits := mCreate(quotaOf(e, "limits"), 0)
	limits.Data = []byte("count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=1")
	codes(c, multi(limits, mCreate(e+"/a", 0)), zkproto.OK, zkproto.OK)
	codes(c, multi(mCreate(e+"/b", 0)), zkproto.ErrQuotaExceeded)
	codes(c, multi(mDelete(quotaOf(e, "limits"), -1), mCreate(e+"/b", 0)), zkproto.OK, zkproto.ErrQuotaExceeded)
}

func quotaNeedsBothZnodes(t *testing.T, s *server) {
	c := s.with(t, options{enforceQuota: true}).open(t)
	d := dir(c)
	limit(c, d, "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=1")
	c.Want(zkproto.ErrQuotaExceeded, zkproto.OpCreate, create(d+"/a"))
	c.Want(zkproto.OK, zkproto.OpDelete, del(quotaOf(d, "stats")))
	c.Want(zkproto.OK, zkproto.OpCreate, create(d+"/a"))
	req := create(quotaOf(d, "stats"))
	req.Data = []byte("count=0,bytes=0")
	made(c, req)
	wantUsed(c, d, 2, 2)
	c.Want(zkproto.ErrQuotaExceeded, zkproto.OpCreate, create(d+"/b"))
}

func deepestQuotaCounts(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	a := made(c, create(d+"/a"))
	limit(c, a, noLimits)
	made(c, create(a+"/b"))
	made(c, create(d+"/outside"))
	wantUsed(c, a, 2, 2)
}

func clientsMaySetTheStats(t *testing.T, s *server) {
	c := s.with(t, options{enforceQuota: true}).open(t)
	d := dir(c)
	limit(c, d, "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=50")
	c.Want(zkproto.OK, zkproto.OpSetData, zkproto.SetDataRequest{Path: quotaOf(d, "stats"), Data: []byte("count=49,bytes=7"), Version: -1})
	made(c, create(d+"/a"))
	wantUsed(c, d, 50, 8)
	c.Want(zkproto.ErrQuotaExceeded, zkproto.OpCreate, create(d+"/b"))
}

func limitsCountNothingThemselves(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	limit(c, d, noLimits)
	c.Want(zkproto.OK, zkproto.OpDelete, del(quotaOf(d, "limits")))
	made(c, create(d+"/a"))
	made(c, zkproto.CreateRequest{Path: quotaOf(d, "limits"), Data: []byte(noLimits), ACL: open})
	wantUsed(c, d, 1, 1) // what came meanwhile is not made up for
	made(c, create(d+"/b"))
	wantUsed(c, d, 2, 2)
}

func newLimitsTakeEffect(t *testing.T, s *server) {
	c := s.with(t, options{enforceQuota: true}).open(t)
	d := dir(c)
	limit(c, d, noLimits)
	made(c, create(d+"/a"))
	hard := []byte("count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=2")
	c.Want(zkproto.OK, zkproto.OpSetData, zkproto.SetDataRequest{Path: quotaOf(d, "limits"), Data: hard, Version: -1})
	c.Want(zkproto.ErrQuotaExceeded, zkproto.OpCreate, create(d+"/b"))
}

func reapingFiresEvents(t *testing.T, s *server) {
	c := s.with(t, options{reaper: true}).open(t)
	d := dir(c)
	container := d + "/c"
	c.Want(zkproto.OK, zkproto.OpCreateContainer, createAs(container, zkproto.ModeContainer))
	addWatch(c, d, persistent)
	c.Want(zkproto.OK, zkproto.OpGetData, watch(container))
	c.Want(zkproto.OK, zkproto.OpGetChildren, watch(container))
	causes(c, zkproto.OpMulti, multi(mCreate(container+"/x", 0), mDelete(container+"/x", -1)), children(container))
	var got []string
	for len(got) < 2 {
		got = append(got, eventsOf(t, []rawzk.Reply{c.Next()})...)
	}
	same(t, got, []string{deleted(container), children(d)})
}

func unusedContainersStay(t *testing.T, s *server) {
	c := s.with(t, options{reaper: true}).open(t)
	d := dir(c)
	for _, name := range []string{"/unused", "/used", "/full"} {
		c.Want(zkproto.OK, zkproto.OpCreateContainer, createAs(d+name, zkproto.ModeContainer))
	}
	made(c, create(d+"/full/x"))
	hadAChild(c, d+"/used")
	stays(c, d+"/unused", d+"/used")
	statOf(c, d+"/full")
}

func childrenKeepTTLZnodes(t *testing.T, s *server) {
	c := s.with(t, options{reaper: true}).open(t)
	d := dir(c)
	c.Want(zkproto.OK, zkproto.OpMulti, multi(
		zkproto.MultiOp{Op: zkproto.OpCreateTTL, Path: d + "/full", ACL: open, Mode: zkproto.ModePersistentTTL, TTL: 1}, mCreate(d+"/full/x", 0)))
	c.Want(zkproto.OK, zkproto.OpCreateTTL, createTTL(d+"/long", 60_000))
	c.Want(zkproto.OK, zkproto.OpCreateTTL, createTTL(d+"/short", 1))
	stays(c, d+"/full", d+"/short")
	statOf(c, d+"/long")
	c.Want(zkproto.OK, zkproto.OpDelete, del(d+"/full/x"))
	gone(c, d+"/full")
}

func setDataRenewsTTL(t *testing.T, s *server) {
	c := s.with(t, options{reaper: true}).open(t)
	d := dir(c)
	const ttl = 2000
	c.Want(zkproto.OK, zkproto.OpCreateTTL, createTTL(d+"/a", ttl))
	c.Want(zkproto.OK, zkproto.OpCreateTTL, createTTL(d+"/b", ttl/2))
	gone(c, d+"/b") // some time later
	c.Want(zkproto.OK, zkproto.OpSetData, set(d+"/a"))
	renewed := statOf(c, d+"/a").Mtime
	c.Want(zkproto.OK, zkproto.OpGetChildren, watch(d))
	c.Next() // it goes
	// Another that begins now is the clock: its ctime is when the first had gone.
	made(c, create(d+"/clock"))
	if lived := statOf(c, d+"/clock").Ctime - renewed; lived <= ttl {
		t.Errorf("a znode with a TTL of %d ms went %d ms behind a set of its data", ttl, lived)
	}
}
