package zkdisk

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gazoo-zk/gazoo/internal/ztree"
	"github.com/gazoo-zk/gazoo/zkproto"
)

var small = Options{Tree: ztree.Options{Digest: true, ExtendedTypes: true}, Prealloc: 4096}

const dataDir = "/srv/zk"

// mustOpen opens the directory and closes it with the test.
func mustOpen(t *testing.T, disk FS, opt Options) (*Dir, *Recovery) {
	t.Helper()
	d, rec, err := Open(disk, dataDir, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, rec
}

func inDir(name string) string { return filepath.Join(dataDir, versionDir, name) }

// workload makes random requests, nearly all of which change the tree.
type workload struct {
	rnd *rand.Rand
	now int64
}

func newWorkload(seed uint64) *workload {
	return &workload{rnd: rand.New(rand.NewPCG(seed, 2)), now: 1_700_000_000_000}
}

func (w *workload) op() zkproto.MultiOp {
	path := ""
	for range 1 + w.rnd.IntN(3) {
		path += fmt.Sprintf("/%c", 'a'+w.rnd.IntN(4))
	}
	op := zkproto.MultiOp{Op: zkproto.OpCreate, Path: path, Version: -1, ACL: open}
	if w.rnd.IntN(5) > 0 {
		op.Data = bytes.Repeat([]byte{byte(w.rnd.IntN(3))}, w.rnd.IntN(20)*w.rnd.IntN(80))
	}
	if w.rnd.IntN(4) == 0 {
		op.ACL = []zkproto.ACL{{Perms: zkproto.PermAll, Scheme: "ip", ID: fmt.Sprintf("10.0.0.%d", w.rnd.IntN(9))}, open[0]}
	}
	switch w.rnd.IntN(9) {
	case 0, 1:
		op.Mode = zkproto.CreateMode(w.rnd.IntN(4))
	case 2:
		op.Op, op.Mode = zkproto.OpCreateContainer, zkproto.ModeContainer
	case 3:
		op.Op, op.Mode, op.TTL = zkproto.OpCreateTTL, zkproto.ModePersistentTTL, 5000
	case 4:
		op.Op = zkproto.OpDelete
	case 5, 6, 7:
		op.Op = zkproto.OpSetData
	}
	return op
}

// step makes one request, of all trees alike, and returns its transaction.
func (w *workload) step(trees ...*ztree.Tree) *ztree.Txn {
	w.now += int64(w.rnd.IntN(100))
	c := &ztree.Caller{Session: 0x100 + int64(w.rnd.IntN(3)), Cxid: int32(w.rnd.IntN(99))}
	kind, ops := w.rnd.IntN(12), []zkproto.MultiOp{w.op(), w.op()}
	if kind == 1 {
		ops[0].Op = zkproto.OpSetACL
	}
	var out ztree.Outcome
	for _, tree := range trees {
		switch _, alive := tree.Session(c.Session); {
		case !alive:
			out = tree.CreateSession(c.Session, 10000, w.now)
		case kind == 0:
			out = tree.CloseSession(c.Session, 1, w.now)
		case kind < 4 && kind > 1:
			out = tree.Multi(c, w.now, ops)
		default:
			out = tree.Write(c, w.now, ops[0])
		}
	}
	return &out.Txn
}

// content is all that a tree holds, in a form that can be compared: the ACLs in place of keys.
type content struct {
	zxid, digest int64
	sessions     map[int64]int32
	nodes        map[string]ztree.NodeRecord
	acls         map[string][]zkproto.ACL
}

func contentOf(tree *ztree.Tree) content {
	c := content{zxid: tree.Zxid(), digest: tree.Digest(), sessions: tree.Sessions(), nodes: map[string]ztree.NodeRecord{}, acls: map[string][]zkproto.ACL{}}
	s := tree.Snapshot()
	for n, ok := s.Next(); ok; n, ok = s.Next() {
		n.ACLKey = 0
		c.nodes[n.Path] = n
		c.acls[n.Path], _ = tree.ACLOf(n.Path)
	}
	return c
}

// difference returns "" when two trees are equal by every field.
func difference(got, want content) string {
	switch {
	case got.zxid != want.zxid:
		return fmt.Sprintf("zxid 0x%x, want 0x%x", got.zxid, want.zxid)
	case !maps.Equal(got.sessions, want.sessions):
		return fmt.Sprintf("sessions %v, want %v", got.sessions, want.sessions)
	}
	for _, path := range slices.Sorted(maps.Keys(want.nodes)) {
		if g, w := got.nodes[path], want.nodes[path]; !reflect.DeepEqual(g, w) {
			return fmt.Sprintf("%q is %+v, want %+v", path, g, w)
		}
		if g, w := got.acls[path], want.acls[path]; !slices.Equal(g, w) {
			return fmt.Sprintf("ACL of %q is %v, want %v", path, g, w)
		}
	}
	if len(got.nodes) != len(want.nodes) || got.digest != want.digest {
		return fmt.Sprintf("%d znodes with digest %d, want %d with %d", len(got.nodes), got.digest, len(want.nodes), want.digest)
	}
	return ""
}

// write appends and flushes n transactions, each by itself.
func write(t *testing.T, d *Dir, w *workload, tree *ztree.Tree, n int) {
	t.Helper()
	for range n {
		if err := errors.Join(d.Append(w.step(tree)), d.Flush()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFreshDirectory(t *testing.T) {
	disk := NewSimDisk()
	d, rec := mustOpen(t, disk, small)
	if !rec.Fresh || rec.Tree.Zxid() != 0 {
		t.Errorf("Open of nothing: %+v", rec)
	}
	if names, _ := disk.ReadDir(inDir("")); !slices.Equal(names, []string{"snapshot.0"}) {
		t.Errorf("files of a fresh directory: %v, want snapshot.0", names)
	}
	w := newWorkload(1)
	write(t, d, w, rec.Tree, 5)
	if names, _ := disk.ReadDir(inDir("")); !slices.Equal(names, []string{"log.1", "snapshot.0"}) {
		t.Errorf("files: %v, want log.1 and snapshot.0", names)
	}
	d.Close()
	_, again := mustOpen(t, disk, small)
	if again.Fresh || again.Transactions != 5 || len(again.Notes) > 0 {
		t.Errorf("Open again: %+v", again)
	}
	if diff := difference(contentOf(again.Tree), contentOf(rec.Tree)); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyOneServerUsesADirectory(t *testing.T) {
	for name, fsys := range map[string]FS{"sim": NewSimDisk(), "os": OS{}} {
		dir := filepath.Join(t.TempDir(), "zk")
		d, _, err := Open(fsys, dir, small)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, _, err := Open(fsys, dir, small); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: second Open: %v, want ErrLocked", name, err)
		}
		if err := d.Close(); err != nil {
			t.Errorf("%s: Close: %v", name, err)
		}
		if d, _, err = Open(fsys, dir, small); err != nil {
			t.Errorf("%s: Open after Close: %v", name, err)
		} else {
			d.Close()
		}
	}
}

// put writes a file as it is.
func put(t *testing.T, disk FS, name string, data []byte) {
	t.Helper()
	f, err := disk.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	f.Close()
}

func get(t *testing.T, disk FS, name string) []byte {
	t.Helper()
	f, err := disk.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, _ := f.Size()
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && size > 0 {
		t.Fatal(err)
	}
	return b
}

func TestWrongDirectoriesAreRefused(t *testing.T) {
	snapshotOf := func(owner int64) []byte {
		var buf bytes.Buffer
		w := NewSnapshotWriter(&buf, SnapshotHead{})
		w.Write(ztree.NodeRecord{ACLKey: -1})
		w.Write(ztree.NodeRecord{Path: "/t", ACLKey: -1, Owner: owner})
		w.Finish(nil)
		return buf.Bytes()
	}
	noTTL := small
	noTTL.Tree.ExtendedTypes = false
	ttl := int64(-1)<<56 | 1000
	for _, c := range []struct {
		name, file string
		data       []byte
		opt        Options
		want       string
	}{
		{"logs without a snapshot", inDir("log.1"), AppendLogHeader(nil), small, "dataLogDir"},
		{"version-2 itself", filepath.Join(dataDir, "snapshot.0"), nil, small, "the data directory is the one above"},
		{"TTLs in a snapshot", inDir("snapshot.5"), snapshotOf(ttl), noTTL, "extended types are off"},
		{"snappy", inDir("snapshot.5.snappy"), nil, small, "Snappy"},
		{"an ACL that is nowhere", inDir("snapshot.5"), func() []byte {
			var buf bytes.Buffer
			w := NewSnapshotWriter(&buf, SnapshotHead{})
			w.Write(ztree.NodeRecord{ACLKey: 9})
			w.Finish(nil)
			return buf.Bytes()
		}(), small, "the ACL of"},
		{"no valid snapshot", inDir("snapshot.5"), []byte("ZKSN"), small, "no snapshot is valid: snapshot.5 is damaged"},
	} {
		disk := NewSimDisk()
		disk.MkdirAll(inDir(""))
		put(t, disk, c.file, c.data)
		_, _, err := Open(disk, dataDir, c.opt)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dataDir) {
			t.Errorf("%s: Open = %v, want an error with %q", c.name, err, c.want)
		}
	}
	disk := NewSimDisk()
	disk.Fault(func(op, name string) error { return errors.New("read-only file system") })
	if _, _, err := Open(disk, dataDir, small); err == nil || !strings.Contains(err.Error(), "cannot be written") {
		t.Errorf("Open of an unwritable directory = %v", err)
	}
	// A session of server 255 looks nearly like a TTL.
	disk = NewSimDisk()
	disk.MkdirAll(inDir(""))
	put(t, disk, inDir("snapshot.5"), snapshotOf(int64(-1)<<56|0x123456789abcde))
	if _, rec, err := Open(disk, dataDir, noTTL); err != nil || len(rec.Dropped) != 1 {
		t.Errorf("Open with an ephemeral of session 0xff…: %v", err)
	}
}

// A TTL znode that only the log knows is refused too.
func TestTTLInLogIsRefused(t *testing.T) {
	disk := NewSimDisk()
	d, rec := mustOpen(t, disk, small)
	out := rec.Tree.Multi(&ztree.Caller{}, 1, []zkproto.MultiOp{{Op: zkproto.OpCreateTTL, Path: "/t", ACL: open, Mode: zkproto.ModePersistentTTL, TTL: 5}})
	if err := errors.Join(d.Append(&out.Txn), d.Flush(), d.Close()); err != nil {
		t.Fatal(err)
	}
	opt := small
	opt.Tree.ExtendedTypes = false
	if _, _, err := Open(disk, dataDir, opt); err == nil || !strings.Contains(err.Error(), `log.1: "/t" has a TTL`) {
		t.Errorf("Open = %v", err)
	}
}

func TestForeignFilesStay(t *testing.T) {
	disk := NewSimDisk()
	d, rec := mustOpen(t, disk, small)
	foreign := []string{filepath.Join(dataDir, "myid"), inDir("currentEpoch"), inDir("acceptedEpoch"), inDir("notes.txt"), inDir("snapshot.x"), inDir("log.1.bak")}
	for _, name := range foreign {
		put(t, disk, name, []byte("7\n"))
	}
	w := newWorkload(1)
	for range 5 {
		write(t, d, w, rec.Tree, 2)
		if err := d.Save(rec.Tree); err != nil {
			t.Fatal(err)
		}
	}
	d.Close()
	mustOpen(t, disk, small)
	for _, name := range foreign {
		if got := get(t, disk, name); string(got) != "7\n" {
			t.Errorf("%s is %q", name, got)
		}
	}
}

func TestPurgeKeepsWhatSnapshotsNeed(t *testing.T) {
	disk := NewSimDisk()
	d, rec := mustOpen(t, disk, small)
	w := newWorkload(1)
	for range 5 {
		write(t, d, w, rec.Tree, 3)
		if err := d.Save(rec.Tree); err != nil {
			t.Fatal(err)
		}
	}
	write(t, d, w, rec.Tree, 1)
	names, _ := disk.ReadDir(inDir(""))
	if want := []string{"log.10", "log.a", "log.d", "snapshot.9", "snapshot.c", "snapshot.f"}; !slices.Equal(names, want) {
		t.Fatalf("files %v, want %v", names, want)
	}
	d.Close()
	// Each of them is enough with the logs that are left.
	want := contentOf(rec.Tree)
	for _, damaged := range []string{"", "snapshot.f", "snapshot.c"} {
		if damaged != "" {
			put(t, disk, inDir(damaged), []byte("nonsense"))
		}
		d, again, err := Open(disk, dataDir, small)
		if err != nil {
			t.Fatal(err)
		}
		if diff := difference(contentOf(again.Tree), want); diff != "" {
			t.Errorf("with %s damaged: %s", damaged, diff)
		}
		if noted := strings.Contains(strings.Join(again.Notes, "\n"), damaged+" is damaged"); damaged != "" && !noted {
			t.Errorf("notes %q do not tell of %s", again.Notes, damaged)
		}
		d.Close()
	}
}

// A compressed snapshot is read as Apache writes it; a damaged one is damage.
func TestGzippedSnapshot(t *testing.T) {
	disk := NewSimDisk()
	d, rec := mustOpen(t, disk, small)
	write(t, d, newWorkload(1), rec.Tree, 20)
	if err := errors.Join(d.Save(rec.Tree), d.Close()); err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	gz := gzip.NewWriter(&buf)
	gz.Write(get(t, disk, inDir("snapshot.14")))
	gz.Close()
	disk.Remove(inDir("snapshot.14"))
	for i := -1; i < buf.Len(); i += 7 {
		b := bytes.Clone(buf.Bytes())
		if i >= 0 {
			b = b[:i]
		}
		put(t, disk, inDir("snapshot.14.gz"), b)
		d, again, err := Open(disk, dataDir, small)
		if err != nil {
			t.Fatalf("the first %d bytes: %v", i, err)
		}
		if diff := difference(contentOf(again.Tree), contentOf(rec.Tree)); diff != "" {
			t.Errorf("the first %d bytes: %s", i, diff)
		}
		if whole := again.Snapshot == "snapshot.14.gz"; i == -1 && !whole || whole && i >= 0 && i < buf.Len()-8 {
			t.Errorf("the first %d of %d bytes: loaded from %s", i, buf.Len(), again.Snapshot)
		}
		d.Close()
	}
}

// A tree that is not what the files say is told, from a snapshot as from a log.
func TestDigestMismatchIsTold(t *testing.T) {
	for _, logged := range []bool{false, true} {
		disk := NewSimDisk()
		d, rec := mustOpen(t, disk, small)
		txn := newWorkload(1).step(rec.Tree)
		if logged {
			txn.Digest++
			if err := errors.Join(d.Append(txn), d.Flush()); err != nil {
				t.Fatal(err)
			}
		} else {
			var buf bytes.Buffer
			w := NewSnapshotWriter(&buf, SnapshotHead{})
			w.Write(ztree.NodeRecord{ACLKey: -1})
			w.Finish(&Digest{Zxid: 5, Version: ztree.DigestVersion, Digest: 1})
			put(t, disk, inDir("snapshot.5"), buf.Bytes())
		}
		d.Close()
		if _, rec := mustOpen(t, disk, small); rec.DigestMismatches != 1 || len(rec.Notes) != 1 {
			t.Errorf("in the log %v: %d mismatches, notes %q", logged, rec.DigestMismatches, rec.Notes)
		}
	}
}

// With epoch files the counter of transactions ends with the epoch, which they would not know.
func TestZxidsDoNotRunIntoTheNextEpoch(t *testing.T) {
	for _, epochs := range []bool{false, true} {
		disk := NewSimDisk()
		d, _ := mustOpen(t, disk, small)
		d.Close()
		if epochs {
			put(t, disk, inDir("currentEpoch"), []byte("0"))
		}
		disk.Rename(inDir("snapshot.0"), inDir("snapshot.fffffffe"))
		d, rec := mustOpen(t, disk, small)
		w := newWorkload(1)
		write(t, d, w, rec.Tree, 1)
		err := d.Append(w.step(rec.Tree))
		if epochs != errors.Is(err, ErrZxidsUsedUp) || !epochs && err != nil {
			t.Errorf("Append of zxid 0x100000000, epoch files %v: %v", epochs, err)
		}
		d.Close()
		d, _, err = Open(disk, dataDir, small)
		if epochs != errors.Is(err, ErrZxidsUsedUp) || !epochs && err != nil {
			t.Errorf("Open behind zxid 0xffffffff, epoch files %v: %v", epochs, err)
		}
		if err == nil {
			d.Close()
		}
		// What is there can be read, and go on in a directory of its own.
		if rec, err := Read(disk, dataDir, small); err != nil || rec.Tree.Zxid() != 0xffffffff {
			t.Errorf("Read = %v, want zxid 0xffffffff", err)
		}
	}
}

// A tree that was read somewhere else is what an empty directory begins with. The first one is
// not changed, nor is one that holds data.
func TestSeed(t *testing.T) {
	disk := NewSimDisk()
	d, rec := mustOpen(t, disk, small)
	w := newWorkload(1)
	write(t, d, w, rec.Tree, 20)
	want := contentOf(rec.Tree)
	d.Close()
	put(t, disk, inDir("log.1"), append(get(t, disk, inDir("log.1")), 1, 2, 3)) // torn: would be cut
	ops := disk.Ops()
	rec, err := Read(disk, dataDir, small)
	if err != nil {
		t.Fatal(err)
	}
	if diff := difference(contentOf(rec.Tree), want); diff != "" || disk.Ops() != ops {
		t.Errorf("Read: %s; the disk was changed %d times", diff, disk.Ops()-ops)
	}
	seeded := small
	seeded.Seed = rec.Tree
	if _, _, err := Open(disk, dataDir, seeded); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("Open of a directory with data, seeded = %v, want ErrNotEmpty", err)
	}
	d, rec, err = Open(disk, "/srv/new", seeded)
	if err != nil {
		t.Fatal(err)
	}
	write(t, d, w, rec.Tree, 5)
	want = contentOf(rec.Tree)
	d.Close()
	d, rec, err = Open(disk, "/srv/new", small)
	if err != nil {
		t.Fatal(err)
	}
	if diff := difference(contentOf(rec.Tree), want); diff != "" || rec.Snapshot != "snapshot.14" || rec.Transactions != 5 {
		t.Errorf("seeded directory: %s; %s and %d transactions", diff, rec.Snapshot, rec.Transactions)
	}
	d.Close()
	for _, c := range []struct{ dir, want string }{{"/srv/none", "not exist"}, {"/srv", "not exist"}} {
		if _, err := Read(disk, c.dir, small); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Read(%s) = %v, want %q", c.dir, err, c.want)
		}
	}
}

// Something else's directory is refused before anything is put there; what servers and systems
// leave in empty ones is not.
func TestForeignDirectoriesAreRefused(t *testing.T) {
	for name, ok := range map[string]bool{"main.go": false, "myid": true, "lost+found": true, "gazoo.lock": true} {
		disk := NewSimDisk()
		disk.MkdirAll(dataDir)
		put(t, disk, filepath.Join(dataDir, name), nil)
		ops := disk.Ops()
		d, _, err := Open(disk, dataDir, small)
		if ok && err != nil || !ok && (err == nil || !strings.Contains(err.Error(), name) || disk.Ops() != ops) {
			t.Errorf("Open of a directory with %s = %v, with %d changes", name, err, disk.Ops()-ops)
		}
		if err == nil {
			d.Close()
		}
	}
}

func TestGapsBetweenZxids(t *testing.T) {
	for _, c := range []struct {
		name  string
		zxids []int64
		want  string // of the error
		last  int64
	}{
		{"no gap", []int64{1, 2, 3}, "", 3},
		{"new epoch", []int64{1, 2, 1<<32 + 1}, "", 1<<32 + 1},
		{"epochs left out", []int64{1, 5<<32 + 7, 5<<32 + 8}, "", 5<<32 + 8},
		{"one missing", []int64{1, 3}, "log.1: transaction 0x3 comes behind 0x1", 0},
		{"first missing", []int64{2}, "log.1: transaction 0x2 comes behind 0x0", 0},
		{"twice", []int64{1, 1}, "transaction 0x1 comes behind 0x1", 0},
		{"backwards", []int64{1, 2, 1}, "transaction 0x1 comes behind 0x2", 0},
		{"epoch backwards", []int64{1<<32 + 1, 2}, "transaction 0x2 comes behind 0x100000001", 0},
		{"an error twice", []int64{1, 2, -2, 3}, "", 3},
	} {
		disk := NewSimDisk()
		d, _ := mustOpen(t, disk, small)
		d.Close()
		log := AppendLogHeader(nil)
		for _, zxid := range c.zxids {
			txn := ztree.Txn{Zxid: max(zxid, -zxid), Record: ztree.Record{Type: zkproto.OpDelete, Path: "/none"}}
			if zxid < 0 {
				txn.Record = ztree.Record{Type: zkproto.OpError}
			}
			log = AppendRecord(log, &txn, false)
		}
		put(t, disk, inDir("log.1"), log)
		d, rec, err := Open(disk, dataDir, small)
		switch {
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: Open = %v, want %q", c.name, err, c.want)
		case c.want == "" && (err != nil || rec.Tree.Zxid() != c.last):
			t.Errorf("%s: Open = %v, want zxid %x", c.name, err, c.last)
		}
		if err == nil {
			d.Close()
		}
	}
}
