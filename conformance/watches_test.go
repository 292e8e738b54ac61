package conformance

import (
	"slices"
	"testing"

	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// What fires a watch, in which order, and what becomes of the watch.

var watchFacts = facts(eventsHaveNoZxid, bothTablesTellOnce, parentIsToldAfterTheChild, createTellsNodeThenParent,
	existsAndGetShareAWatch, childWatchesIgnoreTheRest, setACLFiresNothing, watchesAreOneShot, repeatedWatchIsOne, persistentWatchStays,
	recursiveWatchCoversDescendants, recursiveWatchOfTheRoot, oneEventForSeveralWatches, standardReplacesPersistent,
	lastPersistentModeWins, childWatchBelowRecursive, unreadableEventsAreNotSent, unreadableEventsUseUpTheWatch,
	watchesEndWithTheConnection, eachConnectionHasItsOwn)

func addWatch(c *rawzk.Conn, path string, mode zkproto.AddWatchMode) {
	c.TB.Helper()
	c.Want(zkproto.OK, zkproto.OpAddWatch, zkproto.AddWatchRequest{Path: path, Mode: mode})
}

const (
	persistent = zkproto.WatchPersistent
	recursive  = zkproto.WatchPersistentRecursive
)

func eventsHaveNoZxid(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	c.Want(zkproto.OK, zkproto.OpGetData, watch(d))
	frames := c.Exchange(zkproto.OpSetData, set(d))
	if p := frames[0]; p.Xid != zkproto.XidNotification || p.Zxid != -1 || p.Err != zkproto.OK {
		t.Errorf("header of an event: %+v, want xid -1, zxid -1, Ok", p.ReplyHeader)
	}
	frames = c.Exchange(zkproto.OpSetWatches, zkproto.SetWatchesRequest{Data: []string{d}})
	if p := frames[0]; p.Xid != zkproto.XidNotification || p.Zxid != -1 {
		t.Errorf("header of an event of setWatches: %+v, want xid -1, zxid -1", p.ReplyHeader)
	}
}

func bothTablesTellOnce(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	a := made(c, create(d+"/a"))
	c.Want(zkproto.OK, zkproto.OpGetData, watch(a))
	c.Want(zkproto.OK, zkproto.OpGetChildren, watch(a))
	causes(c, zkproto.OpDelete, del(a), deleted(a))
	// Both watches are used up.
	made(c, create(a))
	causes(c, zkproto.OpSetData, set(a))
	causes(c, zkproto.OpDelete, del(a))
}

func parentIsToldAfterTheChild(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	a := made(c, create(d+"/a"))
	c.Want(zkproto.OK, zkproto.OpGetChildren, watch(d))
	c.Want(zkproto.OK, zkproto.OpGetChildren, watch(a))
	c.Want(zkproto.OK, zkproto.OpGetData, watch(a))
	causes(c, zkproto.OpDelete, del(a), deleted(a), children(d))
}

func createTellsNodeThenParent(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	c.Want(zkproto.OK, zkproto.OpGetChildren2, watch(d))
	c.Want(zkproto.ErrNoNode, zkproto.OpExists, watch(d+"/a"))
	causes(c, zkproto.OpCreate, create(d+"/a"), created(d+"/a"), children(d))
}

func existsAndGetShareAWatch(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	c.Want(zkproto.OK, zkproto.OpExists, watch(d))
	c.Want(zkproto.OK, zkproto.OpGetData, watch(d))
	causes(c, zkproto.OpSetData, set(d), changed(d))
	causes(c, zkproto.OpSetData, set(d))
}

func childWatchesIgnoreTheRest(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	a := made(c, create(d+"/a"))
	c.Want(zkproto.OK, zkproto.OpGetChildren, watch(d))
	causes(c, zkproto.OpSetData, set(d))
	causes(c, zkproto.OpSetData, set(a))
	causes(c, zkproto.OpCreate, create(a+"/b"))
	causes(c, zkproto.OpDelete, del(a+"/b"))
	causes(c, zkproto.OpDelete, del(a), children(d))
}

func setACLFiresNothing(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	c.Want(zkproto.OK, zkproto.OpGetData, watch(d))
	c.Want(zkproto.OK, zkproto.OpGetChildren, watch(d))
	addWatch(c, d, recursive)
	causes(c, zkproto.OpSetACL, setACL(d, open...))
}

func watchesAreOneShot(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	c.Want(zkproto.OK, zkproto.OpGetData, watch(d))
	c.Want(zkproto.OK, zkproto.OpGetChildren, watch(d))
	c.Want(zkproto.ErrNoNode, zkproto.OpExists, watch(d+"/a"))
	causes(c, zkproto.OpSetData, set(d), changed(d))
	causes(c, zkproto.OpSetData, set(d))
	causes(c, zkproto.OpCreate, create(d+"/a"), created(d+"/a"), children(d))
	causes(c, zkproto.OpSetData, set(d+"/a"))
	causes(c, zkproto.OpCreate, create(d+"/b"))
}

func repeatedWatchIsOne(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for range 3 {
		c.Want(zkproto.OK, zkproto.OpGetData, watch(d))
		c.Want(zkproto.OK, zkproto.OpGetData, read(d)) // a read without one takes nothing away
	}
	causes(c, zkproto.OpSetData, set(d), changed(d))
	causes(c, zkproto.OpSetData, set(d))
}

func persistentWatchStays(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	a := d + "/a"
	addWatch(c, a, persistent) // of nothing as yet
	for range 2 {
		causes(c, zkproto.OpCreate, create(a), created(a))
		causes(c, zkproto.OpSetData, set(a), changed(a))
		causes(c, zkproto.OpCreate, create(a+"/b"), children(a))
		causes(c, zkproto.OpSetData, set(a+"/b"))
		causes(c, zkproto.OpCreate, create(a+"/b/c"))
		causes(c, zkproto.OpDelete, del(a+"/b/c"))
		causes(c, zkproto.OpDelete, del(a+"/b"), children(a))
		causes(c, zkproto.OpDelete, del(a), deleted(a))
	}
}

func recursiveWatchCoversDescendants(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	a, b := d+"/a", d+"/a/b"
	addWatch(c, a, recursive)
	for range 2 {
		causes(c, zkproto.OpCreate, create(a), created(a))
		causes(c, zkproto.OpSetData, set(a), changed(a))
		causes(c, zkproto.OpCreate, create(b), created(b))
		causes(c, zkproto.OpSetData, set(b), changed(b))
		causes(c, zkproto.OpCreate, create(b+"/c"), created(b+"/c"))
		causes(c, zkproto.OpDelete, del(b+"/c"), deleted(b+"/c"))
		causes(c, zkproto.OpDelete, del(b), deleted(b))
		causes(c, zkproto.OpDelete, del(a), deleted(a))
		causes(c, zkproto.OpCreate, create(d+"/ab")) // which only begins like it
		causes(c, zkproto.OpDelete, del(d+"/ab"))
	}
}

func recursiveWatchOfTheRoot(t *testing.T, s *server) {
	s = s.with(t, options{alone: "quiet"})
	c := s.open(t)
	addWatch(c, "/", recursive)
	causes(c, zkproto.OpCreate, create("/a"), created("/a"))
	causes(c, zkproto.OpSetData, set("/zookeeper"), changed("/zookeeper"))
	causes(c, zkproto.OpCreate, create("/zookeeper/quota/x"), created("/zookeeper/quota/x"))
	causes(c, zkproto.OpSetData, set("/"), changed("/"))
	causes(c, zkproto.OpDelete, del("/zookeeper/quota/x"), deleted("/zookeeper/quota/x"))
	causes(c, zkproto.OpDelete, del("/a"), deleted("/a"))
}

func oneEventForSeveralWatches(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	a := made(c, create(d+"/a"))
	addWatch(c, d, recursive)
	addWatch(c, a, recursive)
	causes(c, zkproto.OpCreate, create(a+"/b"), created(a+"/b"))
	c.Want(zkproto.OK, zkproto.OpExists, watch(a+"/b"))
	causes(c, zkproto.OpSetData, set(a+"/b"), changed(a+"/b"))
	causes(c, zkproto.OpDelete, del(a+"/b"), deleted(a+"/b"))
	causes(c, zkproto.OpSetData, set(a), changed(a))
}

func standardReplacesPersistent(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for _, mode := range []zkproto.AddWatchMode{persistent, recursive} {
		// The data half.
		a := made(c, createAs(d+"/a", zkproto.ModePersistentSequential))
		addWatch(c, a, mode)
		c.Want(zkproto.OK, zkproto.OpGetData, watch(a))
		causes(c, zkproto.OpSetData, set(a), changed(a))
		causes(c, zkproto.OpSetData, set(a))
		kids := []string{children(a)}
		if mode == recursive { // whose child half tells of nothing that is not a delete
			kids = nil
		}
		for range 2 {
			causes(c, zkproto.OpCreate, createAs(a+"/b", zkproto.ModePersistentSequential), kids...)
		}
		// The child half.
		b := made(c, createAs(d+"/b", zkproto.ModePersistentSequential))
		addWatch(c, b, mode)
		c.Want(zkproto.OK, zkproto.OpGetChildren, watch(b))
		for range 2 {
			causes(c, zkproto.OpSetData, set(b), changed(b))
		}
		first, second := []string{children(b)}, []string(nil)
		if mode == recursive { // whose data half goes on
			first, second = []string{created(b + "/x"), children(b)}, []string{created(b + "/y")}
		}
		causes(c, zkproto.OpCreate, create(b+"/x"), first...)
		causes(c, zkproto.OpCreate, create(b+"/y"), second...)
	}
	// And the other way: what stays replaces what does not.
	e := made(c, create(d+"/e"))
	c.Want(zkproto.OK, zkproto.OpGetData, watch(e))
	addWatch(c, e, persistent)
	for range 2 {
		causes(c, zkproto.OpSetData, set(e), changed(e))
	}
}

func lastPersistentModeWins(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	addWatch(c, d, persistent)
	addWatch(c, d, recursive)
	causes(c, zkproto.OpCreate, create(d+"/a"), created(d+"/a"))
	addWatch(c, d, persistent)
	causes(c, zkproto.OpCreate, create(d+"/b"), children(d))
}

func childWatchBelowRecursive(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	a := made(c, create(d+"/a"))
	addWatch(c, d, recursive)
	c.Want(zkproto.OK, zkproto.OpGetChildren, watch(a))
	causes(c, zkproto.OpCreate, create(a+"/b"), created(a+"/b"), children(a))
	causes(c, zkproto.OpCreate, create(a+"/c"), created(a+"/c"))
}

// private is a znode that others may change and not read.
func private(c *rawzk.Conn, path string) string {
	c.TB.Helper()
	return made(c, createWith(path, except(zkproto.PermRead)...))
}

func unreadableEventsAreNotSent(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	a := d + "/a"
	addWatch(c, d, recursive)
	addWatch(c, a, persistent)
	causes(c, zkproto.OpCreate, createWith(a, except(zkproto.PermRead)...)) // Created asks the znode's ACL
	causes(c, zkproto.OpSetData, set(a))
	causes(c, zkproto.OpCreate, create(a+"/b"), created(a+"/b")) // the recursive one, and not the change of children
	causes(c, zkproto.OpSetData, set(a+"/b"), changed(a+"/b"))
	causes(c, zkproto.OpDelete, del(a+"/b"), deleted(a+"/b"))
	causes(c, zkproto.OpDelete, del(a))
	// A parent that may not be read, with a child that may.
	p := private(c, d+"/p")
	addWatch(c, p, persistent)
	c.Want(zkproto.ErrNoNode, zkproto.OpExists, watch(p+"/x"))
	causes(c, zkproto.OpCreate, create(p+"/x"), created(p+"/x"))
	// What counts is what the connection may do at that moment.
	c.Want(zkproto.OK, zkproto.OpSetACL, setACL(p, open...))
	causes(c, zkproto.OpSetData, set(p), changed(p))
}

func unreadableEventsUseUpTheWatch(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	a := private(c, d+"/a")
	c.Want(zkproto.OK, zkproto.OpExists, watch(a)) // which asks no permission
	causes(c, zkproto.OpSetData, set(a))
	c.Want(zkproto.OK, zkproto.OpSetACL, setACL(a, open...))
	causes(c, zkproto.OpSetData, set(a))
}

func watchesEndWithTheConnection(t *testing.T, s *server) {
	c, other := s.open(t), s.open(t)
	d := dir(c)
	c.Want(zkproto.OK, zkproto.OpGetData, watch(d))
	c.Want(zkproto.OK, zkproto.OpGetChildren, watch(d))
	addWatch(c, d, recursive)
	again := s.resume(t, c.Session)
	other.Want(zkproto.OK, zkproto.OpSetData, set(d))
	other.Want(zkproto.OK, zkproto.OpCreate, create(d+"/a"))
	events(again)
	again.Want(zkproto.ErrNoWatcher, zkproto.OpRemoveWatches, zkproto.RemoveWatchesRequest{Path: d, Type: zkproto.WatcherAny})
}

func eachConnectionHasItsOwn(t *testing.T, s *server) {
	writer := s.open(t)
	d := dir(writer)
	var watchers []*rawzk.Conn
	for range 20 {
		c := s.open(t)
		c.Want(zkproto.OK, zkproto.OpGetData, watch(d))
		c.Want(zkproto.OK, zkproto.OpGetChildren, watch(d))
		watchers = append(watchers, c)
	}
	writer.Want(zkproto.OK, zkproto.OpSetData, set(d))
	writer.Want(zkproto.OK, zkproto.OpCreate, create(d+"/a"))
	for _, c := range slices.Backward(watchers) {
		events(c, changed(d), children(d))
	}
	events(writer)
}
