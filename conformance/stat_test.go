package conformance

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// What a stat says, the initial tree, and the names of sequential znodes.

var statFacts = facts(statOfANewZnode, dataChangesAlone, pzxidOfChildren, cversionCountsBothWays, aversionCountsACLs,
	ownerOnTheWire, initialTree, sequenceCountsCreates, sequenceInsideAMulti, failedMultiGivesNumbersBack,
	sequentialNameMayBeEmpty, multiSharesZxidAndTime)

func statOfANewZnode(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	begin := time.Now().Add(-time.Second).UnixMilli()
	p := c.Want(zkproto.OK, zkproto.OpCreate, createAs(d+"/a", zkproto.ModeEphemeral))
	got := statOf(c, d+"/a")
	if got.Ctime < begin || got.Ctime > time.Now().Add(time.Second).UnixMilli() {
		t.Errorf("ctime %d is not the time", got.Ctime)
	}
	want := zkproto.Stat{
		Czxid: p.Zxid, Mzxid: p.Zxid, Pzxid: p.Zxid, Ctime: got.Ctime, Mtime: got.Ctime, DataLength: 1,
		EphemeralOwner: c.Session.SessionID,
	}
	if got != want {
		t.Errorf("stat %+v, want %+v", got, want)
	}
}

func dataChangesAlone(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	first := statOf(c, d)
	c.Want(zkproto.OK, zkproto.OpSetACL, setACL(d, open...))
	c.Want(zkproto.OK, zkproto.OpCreate, create(d+"/a"))
	c.Want(zkproto.OK, zkproto.OpSetData, set(d+"/a"))
	c.Want(zkproto.OK, zkproto.OpDelete, del(d+"/a"))
	if got := statOf(c, d); got.Mzxid != first.Mzxid || got.Mtime != first.Mtime || got.Version != 0 {
		t.Errorf("set of the ACL and changes of children made %+v of %+v, want mzxid, mtime and version as before", got, first)
	}
	p := c.Want(zkproto.OK, zkproto.OpSetData, zkproto.SetDataRequest{Path: d, Data: []byte("abc"), Version: 0})
	got := as[zkproto.StatResponse](t, p).Stat
	if got.Mzxid != p.Zxid || got.Version != 1 || got.DataLength != 3 || got.Czxid != first.Czxid || got.Ctime != first.Ctime {
		t.Errorf("set of data in %d: %+v", p.Zxid, got)
	}
	if again := statOf(c, d); again != got {
		t.Errorf("the stat that setData told %+v is not that of exists %+v", got, again)
	}
}

func pzxidOfChildren(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	pzxid := func(step string, want int64) {
		t.Helper()
		if got := statOf(c, d).Pzxid; got != want {
			t.Errorf("%s: pzxid %d, want %d", step, got, want)
		}
	}
	born := statOf(c, d).Czxid
	pzxid("new", born)
	c.Want(zkproto.OK, zkproto.OpSetData, set(d))
	pzxid("own data set", born)
	made := c.Want(zkproto.OK, zkproto.OpCreate, create(d+"/a")).Zxid
	pzxid("child created", made)
	c.Want(zkproto.OK, zkproto.OpSetData, set(d+"/a"))
	c.Want(zkproto.OK, zkproto.OpCreate, create(d+"/a/b"))
	c.Want(zkproto.OK, zkproto.OpDelete, del(d+"/a/b"))
	pzxid("child's data set and grandchild created and deleted", made)
	pzxid("child deleted", c.Want(zkproto.OK, zkproto.OpDelete, del(d+"/a")).Zxid)
}

func cversionCountsBothWays(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	want := int32(0)
	for i := range 5 {
		c.Want(zkproto.OK, zkproto.OpCreate, create(fmt.Sprintf("%s/%d", d, i)))
		want++
		if i%2 == 0 {
			c.Want(zkproto.OK, zkproto.OpDelete, del(fmt.Sprintf("%s/%d", d, i)))
			want++
		}
		if got := statOf(c, d); got.Cversion != want || int(got.NumChildren) != (i+1)/2 {
			t.Errorf("cversion %d with %d children, want %d with %d", got.Cversion, got.NumChildren, want, (i+1)/2)
		}
	}
}

func aversionCountsACLs(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for want := int32(1); want < 4; want++ {
		got := as[zkproto.StatResponse](t, c.Want(zkproto.OK, zkproto.OpSetACL, setACL(d, open...))).Stat
		if got.Aversion != want || got != statOf(c, d) {
			t.Errorf("set of the ACL: %+v, want aversion %d", got, want)
		}
	}
}

func ownerOnTheWire(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	c.Want(zkproto.OK, zkproto.OpCreateContainer, createAs(d+"/c", zkproto.ModeContainer))
	c.Want(zkproto.OK, zkproto.OpCreateTTL, createTTL(d+"/t", 60_000))
	c.Want(zkproto.OK, zkproto.OpCreate, createAs(d+"/e", zkproto.ModeEphemeral))
	for name, want := range map[string]int64{"/c": 0, "/t": 0, "/e": c.Session.SessionID, "": 0} {
		if got := statOf(c, d+name).EphemeralOwner; got != want {
			t.Errorf("owner of %q is %#x, want %#x", name, got, want)
		}
	}
}

func initialTree(t *testing.T, s *server) {
	c := s.with(t, options{alone: "initial tree"}).open(t) // and no other fact
	// A server that was asked whether it is ready has had sessions before, of which each began and ended.
	earlier := c.Session.SessionID & 0xffff
	if p := c.Want(zkproto.OK, zkproto.OpPing, nil); p.Zxid != 2*earlier+1 {
		t.Errorf("zxid %d in session %#x, want that zxids begin at 1 with the first session", p.Zxid, c.Session.SessionID)
	}
	for path, want := range map[string]zkproto.Stat{
		"/":                 {Cversion: -1, NumChildren: 1},
		"/zookeeper":        {Cversion: -2, NumChildren: 2},
		"/zookeeper/quota":  {},
		"/zookeeper/config": {Aversion: -1},
	} {
		p := as[zkproto.GetDataResponse](t, c.Want(zkproto.OK, zkproto.OpGetData, read(path)))
		if p.Stat != want || p.Data == nil || len(p.Data) > 0 {
			t.Errorf("%s has data %#v and stat %+v, want empty data and %+v", path, p.Data, p.Stat, want)
		}
	}
	if got := childrenOf(c, "/zookeeper"); !slices.Equal(got, []string{"config", "quota"}) {
		t.Errorf("children of /zookeeper: %q", got)
	}
	if n := as[zkproto.AllChildrenNumberResponse](t, c.Want(zkproto.OK, zkproto.OpGetAllChildrenNumber, at("/"))).Count; n != 3 {
		t.Errorf("a fresh tree has %d descendants of the root, want 3", n)
	}
}

func sequenceCountsCreates(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	next := func(step string, want int) {
		t.Helper()
		if got, want := made(c, createAs(d+"/s", zkproto.ModePersistentSequential)), fmt.Sprintf("%s/s%010d", d, want); got != want {
			t.Errorf("%s: %s, want %s", step, got, want)
		}
	}
	next("first child", 0)
	made(c, create(d+"/plain"))
	next("behind one that is not sequential", 2)
	c.Want(zkproto.ErrNodeExists, zkproto.OpCreate, create(d+"/plain"))
	c.Want(zkproto.ErrInvalidACL, zkproto.OpCreate, createWith(d+"/x"))
	next("behind failed creates", 3)
	c.Want(zkproto.OK, zkproto.OpDelete, del(d+"/plain"))
	c.Want(zkproto.OK, zkproto.OpDelete, del(d+"/s0000000003"))
	next("behind deletes", 4)
	if got := made(c, createAs(d+"/t-", zkproto.ModeEphemeralSequential)); got != d+"/t-0000000005" {
		t.Errorf("ephemeral sequential: %s", got)
	}
}

func sequenceInsideAMulti(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	seq := mCreate(d+"/s", zkproto.ModePersistentSequential)
	res := results(c, multi(seq, mCreate(d+"/a", 0), seq, mDelete(d+"/a", 0), seq))
	for i, want := range map[int]string{0: "0000000000", 2: "0000000002", 4: "0000000003"} {
		if res[i].Path != d+"/s"+want {
			t.Errorf("operation %d made %s, want number %s", i, res[i].Path, want)
		}
	}
}

func failedMultiGivesNumbersBack(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	seq := mCreate(d+"/s", zkproto.ModePersistentSequential)
	codes(c, multi(seq, seq, mCheck(d, 7)), zkproto.OK, zkproto.OK, zkproto.ErrBadVersion)
	if got := made(c, createAs(d+"/s", zkproto.ModePersistentSequential)); got != d+"/s0000000000" {
		t.Errorf("create behind a failed multi made %s", got)
	}
	if got := statOf(c, d); got.Cversion != 1 {
		t.Errorf("cversion %d, want 1", got.Cversion)
	}
}

func sequentialNameMayBeEmpty(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	if got := made(c, createAs(d+"/", zkproto.ModePersistentSequential)); got != d+"/0000000000" {
		t.Errorf("create of %s/ with a number made %s", d, got)
	}
	stat := statOf(c, "/")
	want := fmt.Sprintf("/%010d", (stat.Cversion+stat.NumChildren)/2)
	if got := made(c, createAs("/", zkproto.ModeEphemeralSequential)); got != want {
		t.Errorf("create of / with a number made %s, want %s", got, want)
	}
}

func multiSharesZxidAndTime(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	p := c.Want(zkproto.OK, zkproto.OpMulti, multi(mCreate(d+"/a", 0), mCreate(d+"/b", 0), mSet(d+"/a", 0), mSet(d+"/a", 1)))
	a, b := statOf(c, d+"/a"), statOf(c, d+"/b")
	if a.Czxid != p.Zxid || b.Czxid != p.Zxid || a.Mzxid != p.Zxid || a.Ctime != b.Ctime || a.Mtime != a.Ctime {
		t.Errorf("multi %d made %+v and %+v", p.Zxid, a, b)
	}
	res := as[zkproto.MultiResponse](t, p).Results
	if v, w := res[2].Stat.Version, res[3].Stat.Version; v != 1 || w != 2 {
		t.Errorf("the sets inside answer versions %d and %d, want the state right behind each", v, w)
	}
}
