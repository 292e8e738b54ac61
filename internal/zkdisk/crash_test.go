package zkdisk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gazoo-zk/gazoo/internal/ztree"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// crashes returns how many power failures a test makes.
func crashes(t *testing.T) int {
	t.Helper()
	n := 300
	if s := os.Getenv("GAZOO_CRASHES"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// server is a tree on a directory, with what it has promised.
type server struct {
	*workload
	disk    *SimDisk
	d       *Dir
	tree    *ztree.Tree
	acked   int64             // newest transaction whose flush returned
	model   *ztree.Tree       // gets the same requests
	history map[int64]content // the tree behind each transaction
}

// run works until the power fails, and returns the error that shows it. Snapshots are written
// while transactions go on.
func (s *server) run() error {
	var snap *ztree.Snapshot
	var file *SnapshotFile
	defer func() {
		if snap != nil {
			snap.Stop()
		}
	}()
	for {
		for range 1 + s.rnd.IntN(8) {
			txn := s.step(s.model, s.tree)
			s.history[txn.Zxid] = contentOf(s.model)
			if err := s.d.Append(txn); err != nil {
				return err
			}
			for range s.rnd.IntN(20) {
				if snap == nil {
					break
				}
				if n, more := snap.Next(); more {
					file.Write(n)
				} else {
					snap = nil
				}
			}
		}
		if err := s.d.Flush(); err != nil {
			return err
		}
		s.acked = s.tree.Zxid()
		var err error
		switch {
		case file == nil && s.rnd.IntN(3) == 0:
			snap = s.tree.Snapshot()
			if file, err = s.d.BeginSnapshot(snap); err != nil {
				return err
			}
		case file != nil && snap == nil:
			if err := file.Commit(); err != nil {
				return err
			}
			file = nil
		}
	}
}

// After a power failure at any moment, everything acknowledged is there, nothing is half there,
// and the tree is one that the server had, by every field.
func TestCrash(t *testing.T) {
	total, torn, snapshots := crashes(t), 0, 0
	for done, seed := 0, uint64(0); done < total; seed++ {
		s := &server{workload: newWorkload(seed), disk: NewSimDisk(), history: map[int64]content{}}
		for life := 0; life < 10 && done < total; life++ {
			done++
			s.disk.PowerOffAt(s.disk.Ops() + 1 + s.rnd.IntN(80))
			d, rec, err := Open(s.disk, dataDir, Options{Tree: small.Tree, Prealloc: []int64{1, 512, 4096, 1 << 20}[s.rnd.IntN(4)], Keep: 1 + s.rnd.IntN(3)})
			if err == nil {
				s.check(t, seed, life, rec)
				torn += strings.Count(strings.Join(rec.Notes, " "), "taken for the end")
				if rec.Snapshot != "snapshot.0" {
					snapshots++
				}
				s.d, s.tree, s.acked = d, rec.Tree, rec.Tree.Zxid()
				s.model = clone(t, s.tree)
				s.history = map[int64]content{s.acked: contentOf(s.tree)}
				err = s.run()
				d.Close()
			}
			if !errors.Is(err, ErrPowerOff) {
				t.Fatalf("seed %d, life %d: %v", seed, life, err)
			}
			if t.Failed() {
				return
			}
			s.disk.Reboot(s.rnd.Uint64())
		}
	}
	t.Logf("%d crashes: %d torn tails, %d recoveries from a later snapshot", total, torn, snapshots)
	if total >= 100 && (torn == 0 || snapshots == 0) {
		t.Errorf("in %d crashes there were %d torn tails and %d snapshots: the test tests too little", total, torn, snapshots)
	}
}

// clone copies a tree.
func clone(t *testing.T, tree *ztree.Tree) *ztree.Tree {
	t.Helper()
	s := tree.Snapshot()
	l := ztree.Load(tree.Options())
	for id, timeout := range s.Sessions {
		l.AddSession(id, timeout)
	}
	for key, acl := range s.ACLs {
		l.AddACL(key, acl)
	}
	for n, ok := s.Next(); ok; n, ok = s.Next() {
		if err := l.AddNode(n); err != nil {
			t.Fatal(err)
		}
	}
	copied := l.Finish(s.Zxid)
	copied.Settle()
	return copied
}

func (s *server) check(t *testing.T, seed uint64, life int, rec *Recovery) {
	t.Helper()
	got := contentOf(rec.Tree)
	if got.zxid < s.acked {
		t.Errorf("seed %d, life %d: recovered up to 0x%x, but 0x%x was acknowledged", seed, life, got.zxid, s.acked)
		return
	}
	want, known := s.history[got.zxid]
	if !known && got.zxid > 0 {
		t.Errorf("seed %d, life %d: recovered up to 0x%x, which never was", seed, life, got.zxid)
		return
	}
	if known {
		if diff := difference(got, want); diff != "" {
			t.Errorf("seed %d, life %d: %s", seed, life, diff)
		}
	}
	if len(rec.Dropped) > 0 || rec.DigestMismatches > 0 {
		t.Errorf("seed %d, life %d: dropped %v, %d digest mismatches: %v", seed, life, rec.Dropped, rec.DigestMismatches, rec.Notes)
	}
}

// smallLog makes a directory with one log, each record flushed by itself, and returns the log
// without padding and where its records begin.
func smallLog(t *testing.T, n int) (disk *SimDisk, log []byte, starts []int64, trees []content) {
	t.Helper()
	disk = NewSimDisk()
	d, rec := mustOpen(t, disk, small)
	w := newWorkload(3)
	trees = append(trees, contentOf(rec.Tree))
	for range n {
		starts = append(starts, max(d.end, headerSize))
		write(t, d, w, rec.Tree, 1)
		trees = append(trees, contentOf(rec.Tree))
	}
	d.Close()
	log = get(t, disk, inDir("log.1"))
	return disk, log, starts, trees
}

// A last record that is cut off at any byte is truncated physically, and what comes next is
// written behind what was good.
func TestTornTail(t *testing.T) {
	_, log, starts, trees := smallLog(t, 6)
	last := starts[5]
	for n := last; n < int64(len(log)); n++ {
		for _, padding := range []int{0, 700} {
			disk, _, _, _ := smallLog(t, 1)
			put(t, disk, inDir("log.1"), append(bytes.Clone(log[:n]), make([]byte, padding)...))
			d, rec, err := Open(disk, dataDir, small)
			if err != nil {
				t.Fatalf("%d of %d bytes: %v", n-last, int64(len(log))-last, err)
			}
			if diff := difference(contentOf(rec.Tree), trees[5]); diff != "" {
				t.Fatalf("%d of %d bytes: %s", n-last, int64(len(log))-last, diff)
			}
			if size := len(get(t, disk, inDir("log.1"))); int64(size) != last {
				t.Fatalf("the log has %d bytes, want %d", size, last)
			}
			write(t, d, newWorkload(9), rec.Tree, 2)
			d.Close()
			d, again, err := Open(disk, dataDir, small)
			if err != nil {
				t.Fatal(err)
			}
			if diff := difference(contentOf(again.Tree), contentOf(rec.Tree)); diff != "" {
				t.Fatal(diff)
			}
			d.Close()
		}
	}
}

// Whatever byte of a log is changed, but for its last record, Open says where.
func TestDamageInTheMiddle(t *testing.T) {
	_, log, starts, _ := smallLog(t, 6)
	for i := range starts[5] {
		for _, to := range []byte{0, log[i] ^ 1, log[i] ^ 0x80, 0xff} {
			if to == log[i] {
				continue
			}
			disk, _, _, _ := smallLog(t, 1)
			bad := bytes.Clone(log)
			bad[i] = to
			put(t, disk, inDir("log.1"), bad)
			_, _, err := Open(disk, dataDir, small)
			damage, ok := errors.AsType[*DamageError](err)
			begin := int64(0)
			if k, found := slices.BinarySearch(starts, i+1); i >= headerSize && (found || k > 0) {
				begin = starts[k-1]
			}
			if !ok || damage.File != "log.1" || damage.Offset != begin {
				t.Fatalf("byte %d is %#x instead of %#x: Open = %v, want damage at offset %d", i, to, log[i], err, begin)
			}
		}
	}
	// A whole sector of zeros in what was once flushed is damage, too.
	disk, _, _, _ := smallLog(t, 1)
	bad := bytes.Clone(log)
	clear(bad[starts[1]:starts[2]])
	put(t, disk, inDir("log.1"), bad)
	if _, _, err := Open(disk, dataDir, small); err == nil {
		t.Error("a hole between flushes is not noticed")
	}
}

// Zeros behind the last record are padding; anything else there was never acknowledged.
func TestPaddingMayHoldAnything(t *testing.T) {
	_, log, _, trees := smallLog(t, 4)
	for _, at := range []int{0, 1, 7, 8, 11, 12, 13, 300, 511} {
		disk, _, _, _ := smallLog(t, 1)
		padded := append(bytes.Clone(log), make([]byte, 512)...)
		padded[len(log)+at] = 0x42
		put(t, disk, inDir("log.1"), padded)
		d, rec, err := Open(disk, dataDir, small)
		if err != nil {
			t.Fatal(err)
		}
		if diff := difference(contentOf(rec.Tree), trees[4]); diff != "" {
			t.Errorf("byte %d of the padding: %s", at, diff)
		}
		d.Close()
	}
}

// A znode may hold a piece of a log, and a record with it may be torn.
func TestLogInAZnodeIsNoDamage(t *testing.T) {
	_, log, starts, _ := smallLog(t, 6)
	disk, mine, _, trees := smallLog(t, 1)
	txn := ztree.Txn{Zxid: 2, Record: ztree.Record{Type: zkproto.OpSetData, Path: "/a", Data: log[starts[4]:]}}
	mine = appendRecordOf(mine, &txn, true, int64(len(mine)))
	mine[len(mine)-1] = 0
	put(t, disk, inDir("log.1"), mine)
	_, rec := mustOpen(t, disk, small)
	if diff := difference(contentOf(rec.Tree), trees[1]); diff != "" {
		t.Error(diff)
	}
}

// The tail of a log that is not the last may be torn when the next goes on where it stopped.
func TestTornTailBeforeTheNextLog(t *testing.T) {
	_, log, starts, trees := smallLog(t, 6)
	for _, c := range []struct {
		next int // record the next log begins with
		want string
	}{
		{4, ""},
		{5, "transaction 0x6 comes behind 0x4, at offset 16; log.1 is damaged at offset"},
	} {
		disk, _, _, _ := smallLog(t, 1)
		put(t, disk, inDir("log.1"), log[:starts[4]+20])
		// A new log, whose records say where its own flushes began.
		next := AppendLogHeader(nil)
		r := NewLogReader(bytes.NewReader(log), int64(len(log)))
		for {
			e, err := r.Next()
			if err == io.EOF {
				break
			}
			if e.Txn.Zxid > int64(c.next) {
				next = appendRecordOf(next, &e.Txn, true, int64(len(next)))
			}
		}
		put(t, disk, inDir(fmt.Sprintf("log.%x", c.next+1)), next)
		d, rec, err := Open(disk, dataDir, small)
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Open = %v, want %q", err, c.want)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if diff := difference(contentOf(rec.Tree), trees[6]); diff != "" {
			t.Error(diff)
		}
		d.Close()
	}
}

// After a failed write or sync nothing is written any more, and what was acknowledged is there.
func TestFailureIsForEver(t *testing.T) {
	for _, op := range []string{"create", "extend", "write", "sync", "syncdir"} {
		disk := NewSimDisk()
		d, rec := mustOpen(t, disk, small)
		w := newWorkload(1)
		if op == "write" || op == "sync" {
			write(t, d, w, rec.Tree, 3)
		}
		want, broken := contentOf(rec.Tree), errors.New("I/O error")
		disk.Fault(func(o, name string) error {
			if o == op {
				return broken
			}
			return nil
		})
		txn := w.step(rec.Tree)
		if err := d.Append(txn); err != nil {
			t.Fatal(err)
		}
		if err := d.Flush(); !errors.Is(err, ErrFailed) || !errors.Is(err, broken) {
			t.Errorf("Flush with a failing %s = %v, want ErrFailed", op, err)
		}
		disk.Fault(nil)
		ops := disk.Ops()
		for what, err := range map[string]error{"Append": d.Append(w.step(rec.Tree)), "Flush": d.Flush(), "Save": d.Save(rec.Tree), "Err": d.Err()} {
			if !errors.Is(err, ErrFailed) {
				t.Errorf("%s after a failed %s = %v, want ErrFailed", what, op, err)
			}
		}
		if disk.Ops() != ops {
			t.Errorf("the disk was written after a failed %s", op)
		}
		d.Close()
		disk.PowerOff()
		disk.Reboot(1)
		_, again := mustOpen(t, disk, small)
		if got := contentOf(again.Tree); got.zxid < want.zxid || got.zxid == want.zxid && difference(got, want) != "" {
			t.Errorf("after a failed %s: %s", op, difference(got, want))
		}
	}
}

// A full disk ends the log, as any failure does; a snapshot that finds no room ends nothing.
func TestFullDisk(t *testing.T) {
	disk := NewSimDisk()
	d, rec := mustOpen(t, disk, small)
	w := newWorkload(1)
	write(t, d, w, rec.Tree, 50)
	disk.SetCapacity(disk.root.usage() + 100)
	if err := d.Save(rec.Tree); !errors.Is(err, ErrDiskFull) || d.Err() != nil {
		t.Fatalf("Save on a full disk = %v, then Err() = %v", err, d.Err())
	}
	if names, _ := disk.ReadDir(inDir("")); len(names) != 2 {
		t.Errorf("files %v, want a log and a snapshot", names)
	}
	disk.SetCapacity(0)
	write(t, d, w, rec.Tree, 1)
	disk.SetCapacity(disk.root.usage())
	var err error
	for err == nil {
		err = errors.Join(d.Append(w.step(rec.Tree)), d.Flush())
	}
	if !errors.Is(err, ErrDiskFull) || !errors.Is(d.Err(), ErrFailed) {
		t.Errorf("Flush on a full disk = %v, Err() = %v", err, d.Err())
	}
}
