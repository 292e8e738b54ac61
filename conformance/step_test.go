package conformance

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// step is one thing that a client does. Paths that begin with "/" are below the znode of the test; "" is that itself.
type step struct {
	client int
	action action
	op     zkproto.OpCode // of a request
	m      zkproto.MultiOp
	num    int32 // watcher type, or mode of a persistent watch
	back   int64 // how many zxids a setWatches lags behind; negative: ahead of everything
	lists  [5][]string
	ops    []zkproto.MultiOp // of a multi or multiRead
}

type action int

const (
	request   action = iota
	login            // as the client's own user
	reconnect        // the same session on a new connection
	restart          // close the session and begin another
)

func (s step) String() string {
	switch s.action {
	case login:
		return fmt.Sprintf("client %d authenticates", s.client)
	case reconnect:
		return fmt.Sprintf("client %d reconnects", s.client)
	case restart:
		return fmt.Sprintf("client %d ends its session and begins another", s.client)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "client %d: %v", s.client, s.op)
	switch s.op {
	case zkproto.OpMulti, zkproto.OpMultiRead:
		for _, op := range s.ops {
			fmt.Fprintf(&b, " {%s}", describe(op))
		}
	case zkproto.OpAddWatch, zkproto.OpRemoveWatches:
		fmt.Fprintf(&b, " %q %d", s.m.Path, s.num)
	case zkproto.OpSetWatches, zkproto.OpSetWatches2:
		fmt.Fprintf(&b, " back %d %q", s.back, s.lists)
	default:
		m := s.m
		m.Op = s.op
		b.WriteString(strings.TrimPrefix(describe(m), s.op.String()))
	}
	return b.String()
}

// GoString makes it readable where the library prints what it drew.
func (s step) GoString() string { return s.String() }

func describe(op zkproto.MultiOp) string {
	switch op.Op {
	case zkproto.OpCreate, zkproto.OpCreate2, zkproto.OpCreateContainer:
		return fmt.Sprintf("%v %q %q %v %v", op.Op, op.Path, op.Data, op.ACL, op.Mode)
	case zkproto.OpCreateTTL:
		return fmt.Sprintf("%v %q %q %v %v ttl %d", op.Op, op.Path, op.Data, op.ACL, op.Mode, op.TTL)
	case zkproto.OpSetData:
		return fmt.Sprintf("%v %q %q version %d", op.Op, op.Path, op.Data, op.Version)
	case zkproto.OpSetACL:
		return fmt.Sprintf("%v %q %v version %d", op.Op, op.Path, op.ACL, op.Version)
	case zkproto.OpDelete, zkproto.OpCheck:
		return fmt.Sprintf("%v %q version %d", op.Op, op.Path, op.Version)
	}
	return fmt.Sprintf("%v %q watch %t", op.Op, op.Path, op.Watch)
}

// What steps are made of. The first of each is what a failing case shrinks to.
var (
	someOps = []zkproto.OpCode{
		zkproto.OpCreate, zkproto.OpCreate, zkproto.OpCreate2, zkproto.OpCreateContainer, zkproto.OpCreateTTL, zkproto.OpDelete, zkproto.OpDelete,
		zkproto.OpSetData, zkproto.OpSetData, zkproto.OpSetACL, zkproto.OpExists, zkproto.OpGetData, zkproto.OpGetChildren, zkproto.OpGetChildren2,
		zkproto.OpGetACL, zkproto.OpSync, zkproto.OpMulti, zkproto.OpMulti, zkproto.OpMultiRead, zkproto.OpAddWatch, zkproto.OpAddWatch,
		zkproto.OpRemoveWatches, zkproto.OpSetWatches, zkproto.OpSetWatches2, zkproto.OpGetEphemerals, zkproto.OpGetAllChildrenNumber,
	}
	opsInMulti = []zkproto.OpCode{
		zkproto.OpCreate, zkproto.OpDelete, zkproto.OpSetData, zkproto.OpCheck, zkproto.OpCreate2, zkproto.OpCreateContainer, zkproto.OpCreateTTL,
	}
	goodPaths = []string{"/a", "/a/b", "/a/b/c", "/b", "/a/c", "/b/a", "/c"}
	badPaths  = []string{"/", "//a", "/.", "/a/..", "/a/", "/a\x00", "/a\u0085", "/a/\ue000"}
	someData  = [][]byte{[]byte("x"), nil, {}, []byte("some data")}
	someACLs  = [][]zkproto.ACL{
		open,
		{acl(1, "world", "anyone"), acl(31, "digest", bob)},
		{acl(15, "world", "anyone")},
		{acl(30, "world", "anyone")},
		{acl(31, "auth", ""), acl(16, "world", "anyone")},
		{acl(27, "world", "anyone"), acl(27, "world", "anyone")},
		{acl(23, "world", "anyone"), acl(31, "digest", amy)},
		{acl(29, "ip", "127.0.0.0/8"), acl(2, "digest", bob)},
		{acl(31, "ip", "10.0.0.1"), acl(17, "world", "anyone")},
		{},
		{acl(31, "world", "nobody")},
		{acl(31, "world", "anyone"), acl(31, "digest", "a:b:c")},
		{acl(31, "sasl", "x")},
	}
	modes    = []zkproto.CreateMode{0, 0, 0, 1, 2, 3, 4, 5, 6, 7}
	versions = []int32{-1, 0, 1, 2, -2}
)

// some chooses the first most of the time.
func some[T any](t *rapid.T, label string, from []T) T {
	if rapid.IntRange(0, 2).Draw(t, "plain "+label) < 2 {
		return from[0]
	}
	return rapid.SampledFrom(from).Draw(t, label)
}

func drawPath(t *rapid.T) string {
	if rapid.IntRange(0, 19).Draw(t, "bad path") == 19 {
		return rapid.SampledFrom(badPaths).Draw(t, "path")
	}
	return rapid.SampledFrom(goodPaths).Draw(t, "path")
}

// drawReadPath also has the znode of the test, which is neither made nor deleted.
func drawReadPath(t *rapid.T) string {
	if rapid.IntRange(0, 5).Draw(t, "root") == 5 {
		return ""
	}
	return drawPath(t)
}

func drawOp(t *rapid.T, op zkproto.OpCode) zkproto.MultiOp {
	m := zkproto.MultiOp{Op: op}
	switch op {
	case zkproto.OpCreate, zkproto.OpCreate2, zkproto.OpCreateContainer, zkproto.OpCreateTTL:
		m.Path = drawPath(t)
		m.Data = some(t, "data", someData)
		m.ACL = some(t, "acl", someACLs)
		m.Mode = rapid.SampledFrom(modes).Draw(t, "mode")
		if op == zkproto.OpCreateTTL {
			if rapid.Bool().Draw(t, "ttl mode") {
				m.Mode = zkproto.ModePersistentTTL
			}
			m.TTL = some(t, "ttl", []int64{1 << 30, 0, 1<<40 - 1, 1 << 40})
		}
	case zkproto.OpDelete:
		m.Path, m.Version = drawPath(t), some(t, "version", versions)
	case zkproto.OpCheck:
		m.Path, m.Version = drawReadPath(t), some(t, "version", versions)
	case zkproto.OpSetData:
		m.Path, m.Data, m.Version = drawReadPath(t), some(t, "data", someData), some(t, "version", versions)
	case zkproto.OpSetACL:
		m.Path, m.ACL, m.Version = drawReadPath(t), rapid.SampledFrom(someACLs).Draw(t, "acl"), some(t, "version", versions)
	default:
		m.Path, m.Watch = drawReadPath(t), rapid.Bool().Draw(t, "watch")
	}
	return m
}

var steps = rapid.Custom(func(t *rapid.T) step {
	s := step{client: rapid.IntRange(0, people-1).Draw(t, "client")}
	if rapid.IntRange(0, 11).Draw(t, "request") == 11 {
		s.action = rapid.SampledFrom([]action{login, reconnect, restart}).Draw(t, "action")
		return s
	}
	s.op = rapid.SampledFrom(someOps).Draw(t, "op")
	switch s.op {
	case zkproto.OpMulti:
		for range rapid.IntRange(0, 4).Draw(t, "operations") {
			s.ops = append(s.ops, drawOp(t, rapid.SampledFrom(opsInMulti).Draw(t, "op inside")))
		}
	case zkproto.OpMultiRead:
		for range rapid.IntRange(0, 3).Draw(t, "reads") {
			op := rapid.SampledFrom([]zkproto.OpCode{zkproto.OpGetData, zkproto.OpGetChildren}).Draw(t, "op inside")
			s.ops = append(s.ops, drawOp(t, op))
		}
	case zkproto.OpAddWatch:
		s.m.Path, s.num = drawReadPath(t), some(t, "mode", []int32{0, 1, 1, 2})
	case zkproto.OpRemoveWatches:
		s.m.Path, s.num = drawReadPath(t), rapid.SampledFrom([]int32{3, 1, 2, 0, 4}).Draw(t, "type")
	case zkproto.OpSetWatches, zkproto.OpSetWatches2:
		s.back = rapid.Int64Range(-1, 20).Draw(t, "back")
		lists := 3
		if s.op == zkproto.OpSetWatches2 {
			lists = 5
		}
		for i := range lists {
			for range rapid.IntRange(0, 2).Draw(t, "paths") {
				s.lists[i] = append(s.lists[i], drawReadPath(t))
			}
		}
	default:
		s.m = drawOp(t, s.op)
	}
	return s
})
