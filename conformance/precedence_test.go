package conformance

import (
	"testing"

	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// Which of several errors a request is answered.

var precedenceFacts = facts(createErrorsInOrder, deleteErrorsInOrder, setDataErrorsInOrder, setACLErrorsInOrder,
	checkErrorsInOrder, readErrorsInOrder, failedReadsSetNoWatch, versionsMatchExactly, getACLErrorsInOrder)

func createErrorsInOrder(t *testing.T, s *server) {
	c := s.with(t, options{enforceQuota: true}).open(t)
	d := dir(c)
	locked := d + "/locked"
	made(c, createWith(locked, except(zkproto.PermCreate)...))
	made(c, createAs(d+"/e", zkproto.ModeEphemeral))
	made(c, create(d+"/there"))
	made(c, create(d+"/full"))
	limit(c, d+"/full", "count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=1")
	full := func(path string, mode zkproto.CreateMode, acl []zkproto.ACL) zkproto.CreateRequest {
		return zkproto.CreateRequest{Path: path, Mode: mode, ACL: acl}
	}
	tryAll(c,
		// the mode, before anything else
		try{zkproto.ErrBadArguments, zkproto.OpCreate, full(d+"/missing/x", 9, nil)},
		try{zkproto.ErrBadArguments, zkproto.OpCreateTTL, zkproto.CreateTTLRequest{NullPath: true, Mode: 5, TTL: -7}},
		// the rough look at the path, before the ACL
		try{zkproto.ErrBadArguments, zkproto.OpCreate, full("no slash", 0, nil)},
		// the ACL, before the parent
		try{zkproto.ErrInvalidACL, zkproto.OpCreate, full(d+"/missing/x", 0, nil)},
		try{zkproto.ErrInvalidACL, zkproto.OpCreate, full(locked+"/..", 0, nil)},
		// the parent, before the path
		try{zkproto.ErrNoNode, zkproto.OpCreate, full(d+"/missing/..", 0, open)},
		// permission on the parent, before the path, and before whether it exists
		try{zkproto.ErrNoAuth, zkproto.OpCreate, full(locked+"/..", 0, open)},
		try{zkproto.ErrNoAuth, zkproto.OpCreate, full(locked+"/x", 0, open)},
		// the path, before the parent's kind
		try{zkproto.ErrBadArguments, zkproto.OpCreate, full(d+"/e/..", 0, open)},
		// whether it exists, before the quota
		try{zkproto.ErrNodeExists, zkproto.OpCreate, full(d+"/there", 0, open)},
		try{zkproto.ErrNoChildrenForEphemerals, zkproto.OpCreate, full(d+"/e/x", 0, open)},
		try{zkproto.ErrQuotaExceeded, zkproto.OpCreate, full(d+"/full/x", 0, open)},
	)
}

func deleteErrorsInOrder(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	locked := d + "/locked"
	made(c, create(locked))
	made(c, create(locked+"/x"))
	c.Want(zkproto.OK, zkproto.OpSetACL, setACL(locked, except(zkproto.PermDelete)...))
	made(c, create(d+"/a"))
	made(c, create(d+"/a/b"))
	version := func(path string, v int32) zkproto.DeleteRequest {
		return zkproto.DeleteRequest{Path: path, Version: v}
	}
	tryAll(c,
		try{zkproto.ErrBadArguments, zkproto.OpDelete, version("/zookeeper", 7)},
		try{zkproto.ErrNoNode, zkproto.OpDelete, version(d+"/missing/x", 7)},
		try{zkproto.ErrNoAuth, zkproto.OpDelete, version(locked+"/missing", 7)},
		try{zkproto.ErrNoAuth, zkproto.OpDelete, version(locked+"/x", 7)},
		try{zkproto.ErrNoNode, zkproto.OpDelete, version(d+"/missing", 7)},
		try{zkproto.ErrBadVersion, zkproto.OpDelete, version(d+"/a", 7)},
		try{zkproto.ErrNotEmpty, zkproto.OpDelete, version(d+"/a", 0)},
	)
	// The permission is the parent's alone.
	c.Want(zkproto.OK, zkproto.OpSetACL, setACL(d+"/a/b", none...))
	c.Want(zkproto.OK, zkproto.OpDelete, del(d+"/a/b"))
}

func setDataErrorsInOrder(t *testing.T, s *server) {
	c := s.with(t, options{enforceQuota: true}).open(t)
	d := dir(c)
	made(c, createWith(d+"/locked", except(zkproto.PermWrite)...))
	limit(c, d, "count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=-1")
	large := make([]byte, 100)
	tryAll(c,
		try{zkproto.ErrBadArguments, zkproto.OpSetData, zkproto.SetDataRequest{Path: d + "/missing/", Data: large, Version: 7}},
		try{zkproto.ErrNoNode, zkproto.OpSetData, zkproto.SetDataRequest{Path: d + "/missing", Data: large, Version: 7}},
		try{zkproto.ErrNoAuth, zkproto.OpSetData, zkproto.SetDataRequest{Path: d + "/locked", Data: large, Version: 7}},
		try{zkproto.ErrQuotaExceeded, zkproto.OpSetData, zkproto.SetDataRequest{Path: d, Data: large, Version: 7}},
		try{zkproto.ErrBadVersion, zkproto.OpSetData, zkproto.SetDataRequest{Path: d, Data: []byte("w"), Version: 7}},
	)
}

func setACLErrorsInOrder(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	made(c, createWith(d+"/locked", except(zkproto.PermAdmin)...))
	req := func(path string, acl []zkproto.ACL) zkproto.SetACLRequest {
		return zkproto.SetACLRequest{Path: path, ACL: acl, Version: 7}
	}
	tryAll(c,
		try{zkproto.ErrBadArguments, zkproto.OpSetACL, req(d+"/missing/", nil)},
		try{zkproto.ErrInvalidACL, zkproto.OpSetACL, req(d+"/missing", nil)},
		try{zkproto.ErrNoNode, zkproto.OpSetACL, req(d+"/missing", open)},
		try{zkproto.ErrInvalidACL, zkproto.OpSetACL, req(d+"/locked", nil)},
		try{zkproto.ErrNoAuth, zkproto.OpSetACL, req(d+"/locked", open)},
		try{zkproto.ErrBadVersion, zkproto.OpSetACL, req(d, open)},
	)
	c.Want(zkproto.OK, zkproto.OpSetData, set(d)) // which moves another version
	c.Want(zkproto.OK, zkproto.OpSetACL, zkproto.SetACLRequest{Path: d, ACL: open, Version: 0})
}

func checkErrorsInOrder(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	made(c, createWith(d+"/locked", except(zkproto.PermRead)...))
	for path, want := range map[string]zkproto.Code{
		d + "/missing/": zkproto.ErrBadArguments, d + "/missing": zkproto.ErrNoNode, d + "/locked": zkproto.ErrNoAuth, d: zkproto.ErrBadVersion,
	} {
		codes(c, multi(mCheck(path, 7)), want)
	}
	codes(c, multi(mCheck(d, 0), mCheck(d, -1)), zkproto.OK, zkproto.OK)
}

func readErrorsInOrder(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	made(c, createWith(d+"/locked", except(zkproto.PermRead)...))
	made(c, create(d+"/locked/below"))
	for _, op := range []zkproto.OpCode{zkproto.OpGetData, zkproto.OpGetChildren, zkproto.OpGetChildren2} {
		c.Want(zkproto.ErrNoNode, op, read(d+"/locked/missing")) // whoever may not list may still look
		c.Want(zkproto.ErrNoAuth, op, read(d+"/locked"))
		c.Want(zkproto.OK, op, read(d+"/locked/below"))
	}
}

func failedReadsSetNoWatch(t *testing.T, s *server) {
	c, other := s.open(t), s.open(t)
	d := dir(c)
	made(c, createWith(d+"/locked", except(zkproto.PermRead)...))
	for _, op := range []zkproto.OpCode{zkproto.OpGetData, zkproto.OpGetChildren, zkproto.OpGetChildren2} {
		c.Want(zkproto.ErrNoNode, op, watch(d+"/missing"))
		c.Want(zkproto.ErrNoAuth, op, watch(d+"/locked"))
	}
	c.Want(zkproto.OK, zkproto.OpSetACL, setACL(d+"/locked", open...))
	other.Want(zkproto.OK, zkproto.OpCreate, create(d+"/missing"))
	other.Want(zkproto.OK, zkproto.OpSetData, set(d+"/locked"))
	other.Want(zkproto.OK, zkproto.OpCreate, create(d+"/locked/x"))
	events(c)
	// exists does set one on what is missing.
	c.Want(zkproto.ErrNoNode, zkproto.OpExists, watch(d+"/later"))
	other.Want(zkproto.OK, zkproto.OpCreate, create(d+"/later"))
	events(c, created(d+"/later"))
}

func versionsMatchExactly(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for _, v := range []int32{-2, 1, -1 << 31, 1<<31 - 1} {
		c.Want(zkproto.ErrBadVersion, zkproto.OpSetData, zkproto.SetDataRequest{Path: d, Version: v})
		c.Want(zkproto.ErrBadVersion, zkproto.OpSetACL, zkproto.SetACLRequest{Path: d, ACL: open, Version: v})
		c.Want(zkproto.ErrBadVersion, zkproto.OpDelete, zkproto.DeleteRequest{Path: d, Version: v})
		codes(c, multi(mCheck(d, v)), zkproto.ErrBadVersion)
	}
	for _, v := range []int32{0, 1, -1, 3} {
		c.Want(zkproto.OK, zkproto.OpSetData, zkproto.SetDataRequest{Path: d, Version: v})
	}
	c.Want(zkproto.OK, zkproto.OpDelete, zkproto.DeleteRequest{Path: d, Version: 4})
}

func getACLErrorsInOrder(t *testing.T, s *server) {
	c := s.open(t)
	d := dir(c)
	for _, x := range []struct {
		acl  []zkproto.ACL
		want zkproto.Code
	}{
		{except(zkproto.PermRead), zkproto.OK},
		{except(zkproto.PermAdmin), zkproto.OK},
		{except(zkproto.PermRead | zkproto.PermAdmin), zkproto.ErrNoAuth},
	} {
		path := made(c, zkproto.CreateRequest{Path: d + "/a", ACL: x.acl, Mode: zkproto.ModePersistentSequential})
		c.Want(x.want, zkproto.OpGetACL, at(path))
	}
	c.Want(zkproto.ErrNoNode, zkproto.OpGetACL, at(d+"/missing"))
}

// limit puts a quota on a path.
func limit(c *rawzk.Conn, path, limits string) {
	c.TB.Helper()
	at := "/zookeeper/quota"
	for _, name := range splitPath(path) {
		at += "/" + name
		if code := c.Call(zkproto.OpCreate, create(at)).Err; code != zkproto.OK && code != zkproto.ErrNodeExists {
			c.TB.Fatalf("create %s: %v", at, code)
		}
	}
	for name, data := range map[string]string{"/zookeeper_limits": limits, "/zookeeper_stats": "count=0,bytes=0"} {
		req := create(at + name)
		req.Data = []byte(data)
		c.Want(zkproto.OK, zkproto.OpCreate, req)
	}
}
