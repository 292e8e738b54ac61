package conformance

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// This file and modelwatch_test.go are a server as simple as can be, for the property tests to compare with: a map from
// path to znode, a multi that works on a copy, and two maps of watches for each client. It is written from the facts
// alone and shares nothing with the server but the records.

// people is the number of clients.
const people = 3

type mnode struct {
	data                []byte
	acl                 []zkproto.ACL
	czxid, mzxid, pzxid int64
	version, aversion   int32
	creates             int32 // children ever made
	owner               int   // client plus 1, or 0
}

// identity is what a client has proved.
type identity struct{ scheme, id string }

type mclient struct {
	ids         []identity
	data, child map[string]watchMode
}

// change is what watches may be told of.
type change struct {
	typ            zkproto.EventType
	path           string
	acl, parentACL []zkproto.ACL
}

// model is the server. Paths are absolute and root is the znode of the test, which is there from the start.
type model struct {
	root    string
	nodes   map[string]*mnode
	zxid    int64 // counts from the create of root, which is 0
	clients [people]*mclient
	changes []change
	events  [people][]string
}

func newModel(root string) *model {
	m := &model{root: root, nodes: map[string]*mnode{root: {acl: open, data: []byte("v")}}}
	for i := range m.clients {
		m.clients[i] = newClient()
	}
	return m
}

func newClient() *mclient {
	return &mclient{
		ids: []identity{{"ip", "127.0.0.1"}}, data: make(map[string]watchMode), child: make(map[string]watchMode),
	}
}

func parentOf(path string) string { return path[:max(0, strings.LastIndexByte(path, '/'))] }

func (m *model) kids(path string) []string {
	var names []string
	for p := range m.nodes {
		if p != path && parentOf(p) == path {
			names = append(names, p[len(path)+1:])
		}
	}
	slices.Sort(names)
	return names
}

func (m *model) stat(path string) zkproto.Stat {
	n, kids := m.nodes[path], int32(len(m.kids(path)))
	return zkproto.Stat{
		Czxid: n.czxid, Mzxid: n.mzxid, Pzxid: n.pzxid, Version: n.version, Aversion: n.aversion,
		Cversion: 2*n.creates - kids, NumChildren: kids, DataLength: int32(len(n.data)), EphemeralOwner: int64(n.owner),
	}
}

// valid is the full validation of a path.
func valid(path string) bool {
	if path == "/" {
		return true
	}
	if !strings.HasPrefix(path, "/") || !utf8.ValidString(path) {
		return false
	}
	for _, name := range splitPath(path) {
		if name == "" || name == "." || name == ".." {
			return false
		}
	}
	return !strings.ContainsFunc(path, func(r rune) bool {
		return r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0xd800 && r <= 0xf8ff || r >= 0xfff0
	})
}

// matching is whom the entries of the generator's ACLs mean.
func matching(who identity, entry zkproto.ACL) bool {
	if who.scheme != entry.Scheme {
		return false
	}
	return who.id == entry.ID || entry.Scheme == "ip" && entry.ID == "127.0.0.0/8"
}

func (m *model) may(client int, acl []zkproto.ACL, want zkproto.Perm) bool {
	for _, entry := range acl {
		if entry.Perms&want == 0 {
			continue
		}
		if entry.Scheme == "world" || slices.ContainsFunc(m.clients[client].ids, func(id identity) bool { return matching(id, entry) }) {
			return true
		}
	}
	return false
}

// fix makes what is stored of an ACL; nil when it is invalid.
func (m *model) fix(client int, acl []zkproto.ACL) []zkproto.ACL {
	var out []zkproto.ACL
	for i, entry := range acl {
		if slices.Contains(acl[:i], entry) {
			continue
		}
		switch entry.Scheme {
		case "world":
			if entry.ID != "anyone" {
				return nil
			}
			out = append(out, entry)
		case "digest":
			if len(strings.Split(strings.TrimRight(entry.ID, ":"), ":")) != 2 {
				return nil
			}
			out = append(out, entry)
		case "ip":
			out = append(out, entry)
		case "auth":
			before := len(out)
			for _, id := range m.clients[client].ids {
				if id.scheme == "digest" {
					out = append(out, acl1(entry.Perms, id))
				}
			}
			if len(out) == before {
				return nil
			}
		default:
			return nil
		}
	}
	return out
}

func acl1(perms zkproto.Perm, id identity) zkproto.ACL { return acl(perms, id.scheme, id.id) }

// write does one operation that changes the tree, with a zxid that is used already. A result says what a multi tells.
func (m *model) write(client int, op zkproto.MultiOp, inMulti bool) (zkproto.MultiResult, zkproto.Code) {
	switch op.Op {
	case zkproto.OpDelete:
		return zkproto.MultiResult{Op: op.Op}, m.delete(client, op)
	case zkproto.OpSetData:
		return m.setData(client, op)
	case zkproto.OpSetACL:
		return m.setACL(client, op)
	case zkproto.OpCheck:
		return zkproto.MultiResult{Op: op.Op}, m.check(client, op)
	}
	return m.create(client, op, inMulti)
}

func (m *model) create(client int, op zkproto.MultiOp, inMulti bool) (none zkproto.MultiResult, code zkproto.Code) {
	ttl := op.Op == zkproto.OpCreateTTL
	switch {
	case op.Mode < 0 || op.Mode > 6:
		return none, zkproto.ErrBadArguments
	case op.Mode >= 5 && !ttl && inMulti:
		return none, zkproto.ErrMarshallingError
	case op.Mode >= 5 && (!ttl || op.TTL < 1 || op.TTL >= 1<<40), op.Mode < 5 && ttl && !inMulti:
		return none, zkproto.ErrBadArguments
	case !strings.Contains(op.Path, "/") || strings.Contains(op.Path, "\x00"):
		return none, zkproto.ErrBadArguments
	}
	acl := m.fix(client, op.ACL)
	if acl == nil {
		return none, zkproto.ErrInvalidACL
	}
	parentPath, path := parentOf(op.Path), op.Path
	parent := m.nodes[parentPath]
	switch {
	case parent == nil:
		return none, zkproto.ErrNoNode
	case !m.may(client, parent.acl, zkproto.PermCreate):
		return none, zkproto.ErrNoAuth
	}
	if op.Mode == 2 || op.Mode == 3 || op.Mode == 6 {
		path = fmt.Sprintf("%s%010d", path, parent.creates)
	}
	switch {
	case !valid(path):
		return none, zkproto.ErrBadArguments
	case m.nodes[path] != nil:
		return none, zkproto.ErrNodeExists
	case parent.owner != 0:
		return none, zkproto.ErrNoChildrenForEphemerals
	}
	n := &mnode{data: op.Data, acl: acl, czxid: m.zxid, mzxid: m.zxid, pzxid: m.zxid}
	container := op.Op == zkproto.OpCreateContainer
	if inMulti {
		container = op.Mode == 4
	}
	if (op.Mode == 1 || op.Mode == 3) && !container {
		n.owner = client + 1
	}
	m.nodes[path] = n
	parent.creates++
	parent.pzxid = m.zxid
	m.changes = append(m.changes, change{zkproto.EventCreated, path, acl, parent.acl})
	res := zkproto.MultiResult{Op: zkproto.OpCreate, Path: path, Stat: m.stat(path)}
	if inMulti && (container || op.Mode >= 5) {
		res.Op, res.HasStat = zkproto.OpCreate2, true
	}
	return res, zkproto.OK
}

func versionIs(want, have int32) bool { return want == -1 || want == have }

func (m *model) delete(client int, op zkproto.MultiOp) zkproto.Code {
	if !strings.Contains(op.Path, "/") || strings.Contains(op.Path, "\x00") {
		return zkproto.ErrBadArguments
	}
	parent, n := m.nodes[parentOf(op.Path)], m.nodes[op.Path]
	switch {
	case parent == nil:
		return zkproto.ErrNoNode
	case !m.may(client, parent.acl, zkproto.PermDelete):
		return zkproto.ErrNoAuth
	case n == nil:
		return zkproto.ErrNoNode
	case !versionIs(op.Version, n.version):
		return zkproto.ErrBadVersion
	case len(m.kids(op.Path)) > 0:
		return zkproto.ErrNotEmpty
	}
	m.remove(op.Path)
	return zkproto.OK
}

func (m *model) remove(path string) {
	n, parent := m.nodes[path], m.nodes[parentOf(path)]
	delete(m.nodes, path)
	parent.pzxid = m.zxid
	m.changes = append(m.changes, change{zkproto.EventDeleted, path, n.acl, parent.acl})
}

// target is the znode of an operation that validates its path.
func (m *model) target(client int, path string, want zkproto.Perm) (*mnode, zkproto.Code) {
	if !valid(path) {
		return nil, zkproto.ErrBadArguments
	}
	n := m.nodes[path]
	switch {
	case n == nil:
		return nil, zkproto.ErrNoNode
	case !m.may(client, n.acl, want):
		return nil, zkproto.ErrNoAuth
	}
	return n, zkproto.OK
}

func (m *model) setData(client int, op zkproto.MultiOp) (none zkproto.MultiResult, code zkproto.Code) {
	n, code := m.target(client, op.Path, zkproto.PermWrite)
	if code != zkproto.OK {
		return none, code
	}
	if !versionIs(op.Version, n.version) {
		return none, zkproto.ErrBadVersion
	}
	n.data, n.mzxid = op.Data, m.zxid
	n.version++
	m.changes = append(m.changes, change{typ: zkproto.EventDataChanged, path: op.Path, acl: n.acl})
	return zkproto.MultiResult{Op: op.Op, Stat: m.stat(op.Path), HasStat: true}, zkproto.OK
}

func (m *model) setACL(client int, op zkproto.MultiOp) (none zkproto.MultiResult, code zkproto.Code) {
	if !valid(op.Path) {
		return none, zkproto.ErrBadArguments
	}
	acl := m.fix(client, op.ACL)
	if acl == nil {
		return none, zkproto.ErrInvalidACL
	}
	n, code := m.target(client, op.Path, zkproto.PermAdmin)
	if code != zkproto.OK {
		return none, code
	}
	if !versionIs(op.Version, n.aversion) {
		return none, zkproto.ErrBadVersion
	}
	n.acl = acl
	n.aversion++
	return zkproto.MultiResult{Op: op.Op, Stat: m.stat(op.Path), HasStat: true}, zkproto.OK
}

func (m *model) check(client int, op zkproto.MultiOp) zkproto.Code {
	n, code := m.target(client, op.Path, zkproto.PermRead)
	if code == zkproto.OK && !versionIs(op.Version, n.version) {
		return zkproto.ErrBadVersion
	}
	return code
}

// multi does all operations or none.
func (m *model) multi(client int, ops []zkproto.MultiOp) ([]zkproto.MultiResult, zkproto.Code) {
	before := make(map[string]*mnode)
	for path, n := range m.nodes {
		before[path] = new(*n)
	}
	var results []zkproto.MultiResult
	for i, op := range ops {
		res, code := m.write(client, op, true)
		if code == zkproto.OK {
			results = append(results, res)
			continue
		}
		m.nodes, m.changes = before, nil
		if code == zkproto.ErrMarshallingError {
			return nil, code
		}
		results = make([]zkproto.MultiResult, len(ops))
		for j := range results {
			results[j].Op = zkproto.OpError
			if j > i {
				results[j].Err = zkproto.ErrRuntimeInconsistency
			}
		}
		results[i].Err = code
		return results, zkproto.OK
	}
	return results, zkproto.OK
}

// read does getData or getChildren.
func (m *model) read(client int, op zkproto.OpCode, path string) (res zkproto.MultiResult, code zkproto.Code) {
	n := m.nodes[path]
	switch {
	case n == nil:
		return res, zkproto.ErrNoNode
	case !m.may(client, n.acl, zkproto.PermRead):
		return res, zkproto.ErrNoAuth
	case op == zkproto.OpGetData:
		return zkproto.MultiResult{Op: op, Data: bytes.Clone(n.data), Stat: m.stat(path), HasStat: true}, zkproto.OK
	}
	return zkproto.MultiResult{Op: op, Children: m.kids(path), Stat: m.stat(path)}, zkproto.OK
}

func (m *model) getACL(client int, path string) ([]zkproto.ACL, zkproto.Code) {
	n := m.nodes[path]
	switch {
	case n == nil:
		return nil, zkproto.ErrNoNode
	case m.may(client, n.acl, zkproto.PermAdmin):
		return n.acl, zkproto.OK
	case !m.may(client, n.acl, zkproto.PermRead):
		return nil, zkproto.ErrNoAuth
	}
	masked := slices.Clone(n.acl)
	for i := range masked {
		if masked[i].Scheme == "digest" {
			user, _, _ := strings.Cut(masked[i].ID, ":")
			masked[i].ID = user + ":x"
		}
	}
	return masked, zkproto.OK
}

func (m *model) ephemerals(client int, prefix string) []string {
	paths := []string{}
	for _, path := range slices.Sorted(maps.Keys(m.nodes)) {
		if m.nodes[path].owner == client+1 && strings.HasPrefix(path, prefix) {
			paths = append(paths, path)
		}
	}
	return paths
}

func (m *model) descendants(client int, path string) (int32, zkproto.Code) {
	n := m.nodes[path]
	switch {
	case n == nil:
		return 0, zkproto.ErrNoNode
	case !m.may(client, n.acl, zkproto.PermRead):
		return 0, zkproto.ErrNoAuth
	}
	total := int32(0)
	for p := range m.nodes {
		if strings.HasPrefix(p, path+"/") {
			total++
		}
	}
	return total, zkproto.OK
}
