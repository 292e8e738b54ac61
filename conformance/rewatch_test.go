package conformance

import (
	"fmt"
	"testing"

	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// Watches that are removed, looked for, and set again on another connection.

var rewatchFacts = facts(unknownWatcherTypes, removalOfNothing, removeChildrenType, removeDataType, removeAnyType,
	removalLeavesOtherConnections, checkFindsOwnWatches, setWatchesOfData, setWatchesOfExist, setWatchesOfChildren,
	setWatchesOfPersistent, setWatchesBeforeReply, setWatchesOfTheRecreated, setWatchesRefusesNull, setWatchesChecksNothing,
	setWatchesComeInOrder)

func unwatch(path string, typ zkproto.WatcherType) zkproto.RemoveWatchesRequest {
	return zkproto.RemoveWatchesRequest{Path: path, Type: typ}
}

const (
	remove = zkproto.OpRemoveWatches
	check  = zkproto.OpCheckWatches
)

func unknownWatcherTypes(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	c.Want(zkproto.OK, zkproto.OpGetData, watch(d))
	addWatch(c, d, persistent)
	for _, typ := range []zkproto.WatcherType{0, 4, 5, 6, -1, 100} {
		c.Want(zkproto.ErrMarshallingError, remove, unwatch(d, typ))
		c.Want(zkproto.ErrMarshallingError, check, unwatch(d, typ))
	}
	for _, mode := range []zkproto.AddWatchMode{-1, 2, 3, 100} {
		c.Want(zkproto.ErrMarshallingError, zkproto.OpAddWatch, zkproto.AddWatchRequest{Path: d, Mode: mode})
	}
}

func removalOfNothing(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for _, path := range []string{d, d + "/missing", "no path", ""} {
		for typ := zkproto.WatcherChildren; typ <= zkproto.WatcherAny; typ++ {
			c.Want(zkproto.ErrNoWatcher, remove, unwatch(path, typ))
			if path != "no path" { // over which Apache stumbles here
				c.Want(zkproto.ErrNoWatcher, check, unwatch(path, typ))
			}
		}
	}
	c.Want(zkproto.OK, zkproto.OpGetData, watch(d))
	c.Want(zkproto.ErrNoWatcher, remove, unwatch(d, zkproto.WatcherChildren))
	c.Want(zkproto.OK, remove, unwatch(d, zkproto.WatcherData))
	c.Want(zkproto.ErrNoWatcher, remove, unwatch(d, zkproto.WatcherData))
	c.Want(zkproto.OK, zkproto.OpGetChildren, watch(d))
	c.Want(zkproto.ErrNoWatcher, remove, unwatch(d, zkproto.WatcherData))
	c.Want(zkproto.OK, remove, unwatch(d, zkproto.WatcherChildren))
}

func removeChildrenType(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	a := made(c, create(d+"/a"))
	c.Want(zkproto.OK, zkproto.OpGetData, watch(a))
	c.Want(zkproto.OK, zkproto.OpGetChildren, watch(a))
	causes(c, remove, unwatch(a, zkproto.WatcherChildren)) // the server tells nobody
	causes(c, zkproto.OpCreate, create(a+"/x"))
	causes(c, zkproto.OpSetData, set(a), changed(a))
	// Half of a persistent one.
	addWatch(c, a, persistent)
	c.Want(zkproto.OK, remove, unwatch(a, zkproto.WatcherChildren))
	causes(c, zkproto.OpCreate, create(a+"/y"))
	causes(c, zkproto.OpSetData, set(a), changed(a))
	causes(c, zkproto.OpSetData, set(a), changed(a))
}

func removeDataType(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	a := made(c, create(d+"/a"))
	c.Want(zkproto.OK, zkproto.OpExists, watch(a))
	c.Want(zkproto.OK, zkproto.OpGetChildren, watch(a))
	causes(c, remove, unwatch(a, zkproto.WatcherData))
	causes(c, zkproto.OpSetData, set(a))
	causes(c, zkproto.OpCreate, create(a+"/x"), children(a))
	c.Want(zkproto.ErrNoNode, zkproto.OpExists, watch(d+"/missing"))
	c.Want(zkproto.OK, remove, unwatch(d+"/missing", zkproto.WatcherData))
	causes(c, zkproto.OpCreate, create(d+"/missing"))
	addWatch(c, a, persistent)
	c.Want(zkproto.OK, remove, unwatch(a, zkproto.WatcherData))
	causes(c, zkproto.OpSetData, set(a))
	causes(c, zkproto.OpCreate, create(a+"/y"), children(a))
	// Of a recursive one the half that is left tells of no creates.
	addWatch(c, a, recursive)
	c.Want(zkproto.OK, remove, unwatch(a, zkproto.WatcherData))
	causes(c, zkproto.OpSetData, set(a))
	causes(c, zkproto.OpCreate, create(a+"/z"))
}

func removeAnyType(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for i, set := range []func(string){
		func(path string) { c.Want(zkproto.OK, zkproto.OpGetData, watch(path)) },
		func(path string) { c.Want(zkproto.OK, zkproto.OpGetChildren, watch(path)) },
		func(path string) { addWatch(c, path, persistent) },
		func(path string) { addWatch(c, path, recursive) },
	} {
		path := made(c, create(fmt.Sprintf("%s/%d", d, i)))
		set(path)
		causes(c, remove, unwatch(path, zkproto.WatcherAny))
		causes(c, zkproto.OpCreate, create(path+"/x"))
		causes(c, zkproto.OpDelete, del(path+"/x"))
		causes(c, zkproto.OpDelete, del(path))
	}
}

func removalLeavesOtherConnections(t *testing.T, s *server) {
	a, b := s.open(t), s.open(t)
	d := dir(a)
	for _, c := range []*rawzk.Conn{a, b} {
		c.Want(zkproto.OK, zkproto.OpGetData, watch(d))
		addWatch(c, d+"/x", recursive)
	}
	a.Want(zkproto.OK, remove, unwatch(d, zkproto.WatcherAny))
	a.Want(zkproto.OK, remove, unwatch(d+"/x", zkproto.WatcherAny))
	causes(a, zkproto.OpSetData, set(d))
	causes(a, zkproto.OpCreate, create(d+"/x"))
	events(b, changed(d), created(d+"/x"))
}

func checkFindsOwnWatches(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	c.Want(zkproto.OK, zkproto.OpGetData, watch(d))
	c.Want(zkproto.OK, check, unwatch(d, zkproto.WatcherData))
	c.Want(zkproto.OK, check, unwatch(d, zkproto.WatcherAny))
	c.Want(zkproto.ErrNoWatcher, check, unwatch(d, zkproto.WatcherChildren))
	addWatch(c, d, persistent)
	c.Want(zkproto.OK, check, unwatch(d, zkproto.WatcherChildren))
	causes(c, zkproto.OpSetData, set(d), changed(d)) // looking takes nothing away
}

// again is setWatches of one list.
type list int

const (
	ofData list = iota
	ofExist
	ofChildren
)

func again(zxid int64, l list, paths ...string) rawzk.Body {
	lists := [3][]string{}
	lists[l] = paths
	return zkproto.SetWatchesRequest{RelativeZxid: zxid, Data: lists[ofData], Exist: lists[ofExist], Child: lists[ofChildren]}
}

const setWatches = zkproto.OpSetWatches

func setWatchesOfData(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	a := made(c, create(d+"/a"))
	zxid := c.Want(zkproto.OK, zkproto.OpSetData, set(a)).Zxid
	causes(c, setWatches, again(zxid, ofData, a, d+"/missing"), deleted(d+"/missing"))
	causes(c, zkproto.OpSetData, set(a), changed(a)) // it was registered
	causes(c, setWatches, again(zxid, ofData, a), changed(a))
	causes(c, zkproto.OpSetData, set(a)) // and this time not
	// Neither the ACL nor children count.
	zxid = c.Want(zkproto.OK, zkproto.OpPing, nil).Zxid
	c.Want(zkproto.OK, zkproto.OpSetACL, setACL(a, open...))
	made(c, create(a+"/x"))
	causes(c, setWatches, again(zxid, ofData, a))
}

func setWatchesOfExist(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	zxid := c.Want(zkproto.OK, zkproto.OpPing, nil).Zxid
	causes(c, setWatches, again(zxid+1<<20, ofExist, d, d+"/a"), created(d)) // the zxid does not count
	causes(c, zkproto.OpCreate, create(d+"/a"), created(d+"/a"))
}

func setWatchesOfChildren(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	zxid := c.Want(zkproto.OK, zkproto.OpCreate, create(d+"/a")).Zxid
	c.Want(zkproto.OK, zkproto.OpSetData, set(d)) // does not count
	causes(c, setWatches, again(zxid, ofChildren, d, d+"/missing"), deleted(d+"/missing"))
	causes(c, zkproto.OpDelete, del(d+"/a"), children(d))
	causes(c, setWatches, again(zxid, ofChildren, d), children(d))
	causes(c, zkproto.OpCreate, create(d+"/a"))
}

func setWatchesOfPersistent(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	a, b := d+"/a", d+"/b"
	made(c, create(b))
	causes(c, zkproto.OpSetWatches2, zkproto.SetWatches2Request{Persistent: []string{a, d}, PersistentRecursive: []string{b, d + "/c"}})
	for range 2 {
		causes(c, zkproto.OpCreate, create(a), created(a), children(d))
		causes(c, zkproto.OpCreate, create(a+"/x"), children(a))
		causes(c, zkproto.OpCreate, create(b+"/x"), created(b+"/x"))
		causes(c, zkproto.OpDelete, del(a+"/x"), children(a))
		causes(c, zkproto.OpDelete, del(b+"/x"), deleted(b+"/x"))
		causes(c, zkproto.OpDelete, del(a), deleted(a), children(d))
	}
	// The first three lists are those of the older request.
	zxid := c.Want(zkproto.OK, zkproto.OpPing, nil).Zxid
	causes(c, zkproto.OpSetWatches2, zkproto.SetWatches2Request{RelativeZxid: zxid, Data: []string{b}, Exist: []string{b}, Child: []string{a}},
		created(b), deleted(a))
}

func setWatchesBeforeReply(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	var paths, want []string
	for i := range 50 {
		paths = append(paths, fmt.Sprintf("%s/%d", d, i))
		want = append(want, deleted(paths[i]))
	}
	causes(c, setWatches, again(0, ofData, paths...), want...)
	events(c)
}

func setWatchesOfTheRecreated(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	a := made(c, create(d+"/a"))
	zxid := c.Want(zkproto.OK, zkproto.OpPing, nil).Zxid
	c.Want(zkproto.OK, zkproto.OpDelete, del(a))
	made(c, create(a))
	causes(c, setWatches, again(zxid, ofData, a), changed(a))
	causes(c, setWatches, again(zxid, ofChildren, a), children(a))
}

func setWatchesRefusesNull(t *testing.T, s *server) {
	c := s.open(t)
	null, empty := zkproto.AppendInt32(nil, -1), zkproto.AppendInt32(nil, 0)
	for lists, op := range map[int]zkproto.OpCode{3: zkproto.OpSetWatches, 5: zkproto.OpSetWatches2} {
		for bad := range lists {
			b := zkproto.AppendInt64(nil, 0)
			for i := range lists {
				if i == bad {
					b = append(b, null...)
				} else {
					b = append(b, empty...)
				}
			}
			c.Want(zkproto.ErrMarshallingError, op, rawzk.Bytes(b))
		}
	}
}

func setWatchesChecksNothing(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	locked := made(c, createWith(d+"/a", except(zkproto.PermRead)...))
	zxid := c.Want(zkproto.OK, zkproto.OpPing, nil).Zxid
	causes(c, setWatches, again(zxid, ofData, locked, "no path", "//"), deleted("no path"), deleted("//"))
	causes(c, setWatches, again(zxid, ofExist, "no path", "//"))
	// The permission is asked when it fires.
	causes(c, zkproto.OpSetData, set(locked))
}

func setWatchesComeInOrder(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	a, b, m := made(c, create(d+"/a")), made(c, create(d+"/b")), d+"/missing"
	causes(c, setWatches, zkproto.SetWatchesRequest{Data: []string{b, m, a}, Exist: []string{b, a}, Child: []string{m, b, a}},
		changed(b), deleted(m), changed(a), created(b), created(a), deleted(m), children(b), children(a))
}
