package zkdisk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/ensemble"
	"github.com/gazoo-zk/gazoo/internal/zkdisk"
	"github.com/gazoo-zk/gazoo/internal/ztree"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// znode is all that a client can learn about a znode.
type znode struct {
	Data []byte
	ACL  []zkproto.ACL
	Stat zkproto.Stat
	Kids []string
}

var super = &ztree.Caller{IDs: []ztree.ID{{Scheme: "super"}}}

// ofTree reads a tree as a client would.
func ofTree(t *testing.T, tree *ztree.Tree) map[string]znode {
	t.Helper()
	all := map[string]znode{}
	var visit func(p string)
	visit = func(p string) {
		data, stat, code := tree.Get(super, p)
		acl, _, code2 := tree.GetACL(super, p)
		kids, _, code3 := tree.Children(super, p)
		if code != zkproto.OK || code2 != zkproto.OK || code3 != zkproto.OK {
			t.Fatalf("read of %s: %v, %v, %v", p, code, code2, code3)
		}
		slices.Sort(kids)
		all[p] = znode{data, acl, stat, kids}
		for _, kid := range kids {
			visit(path.Join(p, kid))
		}
	}
	visit("/")
	return all
}

// ofServer reads all of a server.
func ofServer(t *testing.T, zk *gazoo.Client) map[string]znode {
	t.Helper()
	all := map[string]znode{}
	var visit func(p string)
	visit = func(p string) {
		data, stat, err := zk.Get(t.Context(), p)
		acl, _, err2 := zk.GetACL(t.Context(), p)
		kids, err3 := zk.Children(t.Context(), p)
		if err := errors.Join(err, err2, err3); err != nil {
			t.Fatalf("read of %s: %v", p, err)
		}
		slices.Sort(kids)
		all[p] = znode{data, acl, stat, kids}
		for _, kid := range kids {
			visit(path.Join(p, kid))
		}
	}
	visit("/")
	return all
}

func same(t *testing.T, what string, got, want map[string]znode) {
	t.Helper()
	for p, w := range want {
		if g := got[p]; !reflect.DeepEqual(g, w) && !(len(g.Kids) == 0 && len(w.Kids) == 0 && reflect.DeepEqual(znode{g.Data, g.ACL, g.Stat, nil}, znode{w.Data, w.ACL, w.Stat, nil})) {
			t.Errorf("%s: %s\n got %+v\nwant %+v", what, p, g, w)
		}
	}
	for p := range got {
		if _, there := want[p]; !there {
			t.Errorf("%s: %s should not be there", what, p)
		}
	}
}

// apache is a real server on a directory that others use in between.
type apache struct {
	t   *testing.T
	e   *ensemble.Ensemble
	s   *ensemble.Server
	dir string
}

func newApache(t *testing.T) *apache {
	e := ensemble.StartT(t, ensemble.Config{
		SuperDigest:      gazoo.DigestID("super", "secret"),
		SystemProperties: map[string]string{"zookeeper.snapCount": "40"},
	})
	a := &apache{t, e, e.Server(0), filepath.Dir(e.Server(0).DataDir())}
	a.kill()
	if err := a.s.Wipe(); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *apache) kill() {
	a.t.Helper()
	if err := a.s.Kill(); err != nil {
		a.t.Fatal(err)
	}
}

func (a *apache) start() {
	a.t.Helper()
	if err := a.s.Start(); err != nil {
		a.t.Fatalf("Apache does not start: %v\n%s", err, a.s.Log())
	}
}

// connect opens a session that only [apache.kill] ends, so that its ephemerals stay.
func (a *apache) connect() *gazoo.Client {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), 30*time.Second)
	defer cancel()
	zk, err := gazoo.Connect(ctx, a.e.Hosts(), gazoo.WithAuth("digest", []byte("super:secret")), gazoo.WithSessionTimeout(time.Minute))
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { zk.CloseNow() })
	return zk
}

// noMismatch checks that Apache found the digests of all transactions to be right.
func (a *apache) noMismatch() {
	a.t.Helper()
	text, err := ensemble.FourLetter(a.s.Addr(), "mntr")
	if err != nil || !strings.Contains(text, "zk_digest_mismatches_count\t0\n") {
		a.t.Errorf("mntr does not say zk_digest_mismatches_count 0: %v\n%s", err, text)
	}
}

// ours is an open directory with its tree.
type ours struct {
	t    *testing.T
	d    *zkdisk.Dir
	rec  *zkdisk.Recovery
	tree *ztree.Tree
}

func (a *apache) open() *ours {
	a.t.Helper()
	opt := zkdisk.Options{Tree: ztree.Options{Digest: true, ExtendedTypes: true}, Prealloc: 1 << 16}
	d, rec, err := zkdisk.Open(zkdisk.OS{}, a.dir, opt)
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { d.Close() })
	if rec.DigestMismatches > 0 || len(rec.Dropped) > 0 {
		a.t.Errorf("Open: %d digest mismatches, dropped %v, notes %q", rec.DigestMismatches, rec.Dropped, rec.Notes)
	}
	return &ours{a.t, d, rec, rec.Tree}
}

func (o *ours) log(out ztree.Outcome) {
	o.t.Helper()
	if err := o.d.Append(&out.Txn); err != nil {
		o.t.Fatal(err)
	}
}

func (o *ours) close() {
	o.t.Helper()
	if err := errors.Join(o.d.Flush(), o.d.Close()); err != nil {
		o.t.Fatal(err)
	}
}

var open = []zkproto.ACL{{Perms: zkproto.PermAll, Scheme: "world", ID: "anyone"}}

// fill makes znodes of all kinds below a new one, in every way there is, under session id.
func (o *ours) fill(root string, id int64) {
	now := time.Now().UnixMilli()
	c := &ztree.Caller{Session: id, Cxid: 7, IDs: []ztree.ID{{Scheme: "digest", ID: gazoo.DigestID("me", "pw")}}}
	mine := []zkproto.ACL{{Perms: zkproto.PermAll, Scheme: "auth"}, {Perms: zkproto.PermRead, Scheme: "ip", ID: "127.0.0.1/8"}}
	create := func(op zkproto.OpCode, mode zkproto.CreateMode, p, data string, acl []zkproto.ACL) zkproto.MultiOp {
		m := zkproto.MultiOp{Op: op, Path: root + p, Data: []byte(data), ACL: acl, Mode: mode}
		if mode.TTL() {
			m.TTL = 3_600_000
		}
		return m
	}
	set := func(p, data string, version int32) zkproto.MultiOp {
		return zkproto.MultiOp{Op: zkproto.OpSetData, Path: root + p, Data: []byte(data), Version: version}
	}
	write := func(op zkproto.MultiOp) { now++; o.log(o.tree.Write(c, now, op)) }
	o.log(o.tree.CreateSession(id, 60000, now))
	write(create(zkproto.OpCreate, zkproto.ModePersistent, "", "", open))
	write(create(zkproto.OpCreate2, zkproto.ModePersistent, "/kid", "some data", mine))
	write(zkproto.MultiOp{Op: zkproto.OpCreate, Path: root + "/null", ACL: open})
	for range 3 {
		write(create(zkproto.OpCreate, zkproto.ModePersistentSequential, "/seq-", "s", open))
		write(create(zkproto.OpCreate, zkproto.ModeEphemeralSequential, "/eph-", "e", mine))
	}
	write(create(zkproto.OpCreateContainer, zkproto.ModeContainer, "/container", "c", open))
	write(create(zkproto.OpCreateTTL, zkproto.ModePersistentTTL, "/ttl", "t", open))
	write(create(zkproto.OpCreateTTL, zkproto.ModePersistentTTL, "/ttl/below", "t", mine))
	write(zkproto.MultiOp{Op: zkproto.OpDelete, Path: root + "/seq-0000000002", Version: -1})
	write(zkproto.MultiOp{Op: zkproto.OpSetACL, Path: root + "/kid", ACL: open, Version: 0})
	write(zkproto.MultiOp{Op: zkproto.OpSetACL, Path: root + "/ttl", ACL: mine[1:], Version: -1})
	write(set("/kid", "changed", 0))
	write(set("/kid", "refused", 0))
	write(set("/höhle", "missing", 0))
	write(create(zkproto.OpCreate, zkproto.ModePersistent, "/höhle", strings.Repeat("x", 20_000), open))
	write(zkproto.MultiOp{Op: zkproto.OpSetData, Path: root + "/null", Version: -1})
	for _, p := range []string{"/zookeeper/quota" + root, "/zookeeper/quota" + root + "/zookeeper_limits", "/zookeeper/quota" + root + "/zookeeper_stats"} {
		write(zkproto.MultiOp{Op: zkproto.OpCreate, Path: p, Data: []byte("count=1000,bytes=1000"), ACL: open})
	}
	now++
	o.log(o.tree.Multi(c, now, []zkproto.MultiOp{
		create(zkproto.OpCreate2, zkproto.ModePersistent, "/multi", "m", open),
		create(zkproto.OpCreate, zkproto.ModeContainer, "/multi/container", "m", open),
		create(zkproto.OpCreateTTL, zkproto.ModePersistentTTL, "/multi/ttl", "m", mine),
		create(zkproto.OpCreate, zkproto.ModeEphemeral, "/multi/eph", "m", mine),
		{Op: zkproto.OpCheck, Path: root + "/kid", Version: 1},
		set("/multi", "again", 0),
		create(zkproto.OpCreate, zkproto.ModePersistent, "/multi/gone", "m", mine),
		{Op: zkproto.OpDelete, Path: root + "/multi/gone", Version: -1},
	}))
	o.log(o.tree.Multi(c, now, []zkproto.MultiOp{set("/kid", "never", -1), set("/missing", "", 0), set("/kid", "", 0)}))
	// A session that ends with ephemerals.
	o.log(o.tree.CreateSession(id+1, 60000, now))
	c2 := &ztree.Caller{Session: id + 1}
	o.log(o.tree.Write(c2, now, create(zkproto.OpCreate, zkproto.ModeEphemeral, "/passing", "", open)))
	o.log(o.tree.CloseSession(id+1, 2, now))
}

// change does to a server what fill does to a tree, and makes it write snapshots meanwhile.
func (a *apache) change(zk *gazoo.Client, root string) {
	a.t.Helper()
	ctx := a.t.Context()
	if err := zk.AddAuth(ctx, "digest", []byte("me:pw")); err != nil {
		a.t.Fatal(err)
	}
	mine := gazoo.WithACL(gazoo.ACL{Perms: zkproto.PermAll, Scheme: "auth"})
	create := func(p, data string, opts ...gazoo.CreateOption) {
		a.t.Helper()
		if _, err := zk.Create(ctx, root+p, []byte(data), opts...); err != nil {
			a.t.Fatalf("Create(%s): %v", root+p, err)
		}
	}
	create("", "")
	create("/kid", "k", mine)
	create("/container", "c", gazoo.Container())
	create("/ttl", "t", gazoo.TTL(time.Hour))
	create("/eph", "e", gazoo.Ephemeral())
	for i := range 150 {
		create("/seq-", strings.Repeat("d", i*20), gazoo.Sequential())
		create(fmt.Sprintf("/own-%d", i), "o", gazoo.Ephemeral(), gazoo.WithACL(gazoo.ACL{Perms: zkproto.PermAll, Scheme: "ip", ID: fmt.Sprintf("10.0.0.%d", i)}))
		_, err := zk.Set(ctx, root+"/kid", fmt.Appendf(nil, "%d", i), int32(i))
		if i%3 == 0 {
			err = errors.Join(err, zk.Delete(ctx, fmt.Sprintf("%s/own-%d", root, i), -1))
		}
		if err != nil {
			a.t.Fatal(err)
		}
	}
	_, err := zk.Txn().Create(root+"/multi", []byte("m")).Create(root+"/multi/kid", nil, mine).Set(root+"/multi", []byte("n"), 0).Commit(ctx)
	if err != nil {
		a.t.Fatal(err)
	}
	if err := zk.Delete(ctx, root+"/missing", -1); !errors.Is(err, gazoo.ErrNoNode) {
		a.t.Fatal(err)
	}
	if _, err := zk.SetACL(ctx, root+"/ttl", []gazoo.ACL{{Perms: zkproto.PermRead, Scheme: "world", ID: "anyone"}}, 0); err != nil {
		a.t.Fatal(err)
	}
}

// snapshots returns the names of the snapshots there are.
func (a *apache) snapshots() []string {
	names, _ := filepath.Glob(filepath.Join(a.s.DataDir(), "snapshot.*"))
	return names
}

// A directory goes from this package to Apache's server and back, and again, and each reads what
// the other wrote, znode by znode and field by field.
func TestDirectoryTravels(t *testing.T) {
	a := newApache(t)
	o := a.open()
	o.fill("/first", 0x1000)
	if err := o.d.Save(o.tree); err != nil {
		t.Fatal(err)
	}
	o.fill("/second", 0x2000) // is in the log only
	want := ofTree(t, o.tree)
	o.close()

	for round := range 2 {
		a.start()
		zk := a.connect()
		got := ofServer(t, zk)
		same(t, fmt.Sprintf("round %d, what Apache reads of ours", round), got, want)
		a.noMismatch()

		before := len(a.snapshots())
		a.change(zk, fmt.Sprintf("/apache-%d", round))
		want = ofServer(t, zk)
		a.noMismatch()
		a.kill()
		zk.CloseNow()
		if n := len(a.snapshots()); n <= before {
			t.Errorf("Apache wrote no snapshot while it was used: %d, then %d", before, n)
		}

		a.openFromEach(want)
		o = a.open()
		same(t, fmt.Sprintf("round %d, what we read of Apache's", round), ofTree(t, o.tree), want)
		for _, p := range []string{"/first/container", "/first/ttl", "/apache-0/container", "/apache-0/ttl"} {
			checkKind(t, o.tree, p)
		}
		o.fill(fmt.Sprintf("/third-%d", round), 0x3000+int64(round)*16)
		want = ofTree(t, o.tree)
		o.close()
	}
}

// openFromEach opens copies of the directory without its newest snapshots, down to the oldest one
// that there is: the logs make up for what is missing.
func (a *apache) openFromEach(want map[string]znode) {
	a.t.Helper()
	files := map[string][]byte{}
	names, err := filepath.Glob(filepath.Join(a.s.DataDir(), "*"))
	for _, name := range names {
		data, readErr := os.ReadFile(name)
		err = errors.Join(err, readErr)
		if strings.HasPrefix(filepath.Base(name), "log.") { // 64 MiB of nearly nothing
			data = append(bytes.TrimRight(data, "\x00"), make([]byte, 1000)...)
		}
		files[filepath.Base(name)] = slices.Clone(data)
	}
	if err != nil {
		a.t.Fatal(err)
	}
	snaps := a.snapshots()
	if len(snaps) < 3 {
		a.t.Errorf("there are only %d snapshots", len(snaps))
	}
	for _, newest := range snaps {
		disk := zkdisk.NewSimDisk()
		if err := disk.MkdirAll("/zk/version-2"); err != nil {
			a.t.Fatal(err)
		}
		for name, data := range files {
			if !strings.HasPrefix(name, "snapshot.") || zxidOf(a.t, name) <= zxidOf(a.t, filepath.Base(newest)) {
				put(a.t, disk, "/zk/version-2/"+name, data)
			}
		}
		d, rec, err := zkdisk.Open(disk, "/zk", zkdisk.Options{Tree: ztree.Options{Digest: true, ExtendedTypes: true}})
		if err != nil {
			a.t.Fatalf("from %s: %v", newest, err)
		}
		if rec.Snapshot != filepath.Base(newest) || rec.DigestMismatches > 0 || len(rec.Dropped) > 0 {
			a.t.Errorf("from %s: %s, %d digest mismatches, dropped %v, notes %q", newest, rec.Snapshot, rec.DigestMismatches, rec.Dropped, rec.Notes)
		}
		same(a.t, "from "+newest, ofTree(a.t, rec.Tree), want)
		d.Close()
	}
}

func zxidOf(t *testing.T, name string) uint64 {
	t.Helper()
	zxid, err := strconv.ParseUint(strings.TrimPrefix(name, "snapshot."), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return zxid
}

func put(t *testing.T, disk *zkdisk.SimDisk, name string, data []byte) {
	t.Helper()
	f, err := disk.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
}

// checkKind checks that a container or a TTL znode is still one.
func checkKind(t *testing.T, tree *ztree.Tree, p string) {
	t.Helper()
	s := tree.Snapshot()
	defer s.Stop()
	for n, ok := s.Next(); ok; n, ok = s.Next() {
		if n.Path != p {
			continue
		}
		want := int64(-1) << 63
		if strings.HasSuffix(p, "ttl") {
			want = int64(-1)<<56 | 3_600_000
		}
		if n.Owner != want {
			t.Errorf("owner of %s is %x, want %x", p, uint64(n.Owner), uint64(want))
		}
		return
	}
	t.Errorf("%s is missing", p)
}
