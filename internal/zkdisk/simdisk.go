package zkdisk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// Errors that a [SimDisk] makes.
var (
	ErrPowerOff = errors.New("power failure")
	ErrDiskFull = errors.New("no space left on simulated device")
)

const sector = 512

// SimDisk is a disk in memory that forgets what was not synced. It is safe for concurrent use.
//
// A power failure ([SimDisk.PowerOff], [SimDisk.PowerOffAt]) makes everything fail until
// [SimDisk.Reboot], which keeps of each file any subset of the sectors of 512 bytes written
// since its last Sync, the old or the new size, and of each directory any subset of the changes
// since its last SyncDir. A Sync that fails loses, for good and in silence, what it was to make
// safe, as Linux does: only a reboot shows it.
type SimDisk struct {
	mu       sync.Mutex
	root     *simNode
	boots    int
	ops      int
	off      bool
	offAt    int // 0 is never
	fault    func(op, name string) error
	capacity int64 // 0 is no limit
	locks    map[string]bool
}

// simNode is a file or a directory.
type simNode struct {
	dir bool

	data, safe []byte
	dirty      map[int]bool // sectors written since the last sync

	entries, safeEntries map[string]*simNode
	pending              []func(map[string]*simNode)
}

func newSimDir() *simNode {
	return &simNode{dir: true, entries: map[string]*simNode{}, safeEntries: map[string]*simNode{}}
}

// NewSimDisk returns an empty disk.
func NewSimDisk() *SimDisk { return &SimDisk{root: newSimDir(), locks: map[string]bool{}} }

// Fault calls f before each operation that changes something, named "create", "write", "extend",
// "truncate", "sync", "rename", "remove", "mkdir" or "syncdir". An error fails it; nil for f ends that.
func (d *SimDisk) Fault(f func(op, name string) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = f
}

// SetCapacity limits the bytes of all files; 0 is no limit.
func (d *SimDisk) SetCapacity(bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.capacity = bytes
}

// Ops returns how many operations changed something.
func (d *SimDisk) Ops() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ops
}

// PowerOff fails everything from here on.
func (d *SimDisk) PowerOff() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = true
}

// PowerOffAt fails the power in the middle of the n-th operation as [SimDisk.Ops] counts them:
// what it writes may survive, and nobody is told.
func (d *SimDisk) PowerOffAt(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.offAt = n
}

// Reboot ends a power failure. The seed decides what was lost. Open files and locks are gone.
func (d *SimDisk) Reboot(seed uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	rnd := rand.New(rand.NewPCG(seed, 0x5d))
	// Some failures lose nearly all, and some nearly nothing.
	lose := []float64{0, 0.1, 0.5, 0.9, 1}[rnd.IntN(5)]
	d.root.lose(func() bool { return rnd.Float64() < lose })
	d.boots++
	d.off, d.offAt, d.fault = false, 0, nil
	clear(d.locks)
}

func (n *simNode) lose(lost func() bool) {
	if !n.dir {
		size := len(n.safe)
		if !lost() {
			size = len(n.data)
		}
		kept := make([]byte, size)
		copy(kept, n.safe)
		sectors := make([]int, 0, len(n.dirty))
		for s := range n.dirty {
			sectors = append(sectors, s)
		}
		slices.Sort(sectors)
		for _, s := range sectors {
			from := s * sector
			if from >= size || lost() {
				continue
			}
			clear(kept[from:min(from+sector, size)])
			if from < len(n.data) {
				copy(kept[from:min(from+sector, size)], n.data[from:])
			}
		}
		n.data, n.safe, n.dirty = kept, slices.Clone(kept), nil
		return
	}
	for _, change := range n.pending {
		if !lost() {
			change(n.safeEntries)
		}
	}
	n.pending = nil
	n.entries = map[string]*simNode{}
	names := make([]string, 0, len(n.safeEntries))
	for name := range n.safeEntries {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		kid := n.safeEntries[name]
		kid.lose(lost)
		n.entries[name] = kid
	}
}

// begin is called with the mutex held, before an operation that changes something. late reports
// that the power fails in the middle: the operation is to be done and its error returned.
func (d *SimDisk) begin(op, name string) (late bool, err error) {
	if d.off {
		return false, ErrPowerOff
	}
	d.ops++
	if d.fault != nil {
		if err := d.fault(op, name); err != nil {
			return false, err
		}
	}
	if d.offAt != 0 && d.ops >= d.offAt {
		d.off = true
		return true, ErrPowerOff
	}
	return false, nil
}

func parts(name string) []string {
	return strings.FieldsFunc(filepath.ToSlash(filepath.Clean(name)), func(r rune) bool { return r == '/' || r == '.' && name == "." })
}

func notExist(op, name string) error { return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist} }

func (d *SimDisk) find(name string) *simNode {
	n := d.root
	for _, p := range parts(name) {
		if n = n.entries[p]; n == nil {
			return nil
		}
	}
	return n
}

// parent returns the directory of a name and the last part of it.
func (d *SimDisk) parent(op, name string) (*simNode, string, error) {
	all := parts(name)
	if len(all) == 0 {
		return nil, "", notExist(op, name)
	}
	n := d.find(strings.Join(all[:len(all)-1], "/"))
	if n == nil || !n.dir {
		return nil, "", notExist(op, name)
	}
	return n, all[len(all)-1], nil
}

// change does something to a directory that a power failure may undo.
func (n *simNode) change(f func(map[string]*simNode)) {
	f(n.entries)
	n.pending = append(n.pending, f)
}

// Open opens a file.
func (d *SimDisk) Open(name string) (File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return nil, ErrPowerOff
	}
	n := d.find(name)
	if n == nil || n.dir {
		return nil, notExist("open", name)
	}
	return &simFile{d: d, n: n, name: name, boot: d.boots}, nil
}

// OpenRead opens a file.
func (d *SimDisk) OpenRead(name string) (File, error) { return d.Open(name) }

// Create makes a file, or empties it.
func (d *SimDisk) Create(name string) (File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	late, err := d.begin("create", name)
	if err != nil && !late {
		return nil, err
	}
	dir, last, perr := d.parent("create", name)
	if perr != nil {
		return nil, perr
	}
	n := dir.entries[last]
	if n == nil {
		n = &simNode{}
		dir.change(func(m map[string]*simNode) { m[last] = n })
	} else {
		n.resize(0)
	}
	return &simFile{d: d, n: n, name: name, boot: d.boots}, err
}

// ReadDir lists a directory.
func (d *SimDisk) ReadDir(name string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return nil, ErrPowerOff
	}
	n := d.find(name)
	if n == nil || !n.dir {
		return nil, notExist("readdir", name)
	}
	var names []string
	for name := range n.entries {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// Rename renames a file within its directory.
func (d *SimDisk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	late, err := d.begin("rename", from)
	if err != nil && !late {
		return err
	}
	dir, old, perr := d.parent("rename", from)
	toDir, last, terr := d.parent("rename", to)
	if perr = errors.Join(perr, terr); perr != nil {
		return perr
	}
	n := dir.entries[old]
	if n == nil || dir != toDir {
		return notExist("rename", from)
	}
	dir.change(func(m map[string]*simNode) {
		if m[old] == n {
			delete(m, old)
		}
		m[last] = n
	})
	return err
}

// Remove removes a file.
func (d *SimDisk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	late, err := d.begin("remove", name)
	if err != nil && !late {
		return err
	}
	dir, last, perr := d.parent("remove", name)
	if perr != nil {
		return perr
	}
	n := dir.entries[last]
	if n == nil {
		return notExist("remove", name)
	}
	dir.change(func(m map[string]*simNode) {
		if m[last] == n {
			delete(m, last)
		}
	})
	return err
}

// MkdirAll makes directories.
func (d *SimDisk) MkdirAll(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	late, err := d.begin("mkdir", name)
	if err != nil && !late {
		return err
	}
	n := d.root
	for _, p := range parts(name) {
		kid := n.entries[p]
		if kid == nil {
			kid = newSimDir()
			n.change(func(m map[string]*simNode) { m[p] = kid })
		}
		n = kid
	}
	return err
}

// SyncDir makes the entries of a directory safe.
func (d *SimDisk) SyncDir(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.find(name)
	if n == nil {
		return notExist("syncdir", name)
	}
	if late, err := d.begin("syncdir", name); err != nil {
		if !late && !d.off {
			n.pending = nil // lost for good
		}
		return err
	}
	for _, change := range n.pending {
		change(n.safeEntries)
	}
	n.pending = nil
	return nil
}

// Together calls one after the other, so that a seed says what happens.
func (d *SimDisk) Together(syncs ...func() error) error {
	for _, f := range syncs {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// Lock keeps others of this disk out.
func (d *SimDisk) Lock(name string) (io.Closer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return nil, ErrPowerOff
	}
	if d.locks[name] {
		return nil, ErrLocked
	}
	d.locks[name] = true
	return &simLock{d: d, name: name, boot: d.boots}, nil
}

type simLock struct {
	d    *SimDisk
	name string
	boot int
}

func (l *simLock) Close() error {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	if l.boot == l.d.boots {
		delete(l.d.locks, l.name)
	}
	return nil
}

type simFile struct {
	d    *SimDisk
	n    *simNode
	name string
	boot int
	pos  int64
}

func (n *simNode) resize(size int) {
	if n.dirty == nil {
		n.dirty = map[int]bool{}
	}
	for s := min(size, len(n.data)) / sector; s*sector < max(size, len(n.data)); s++ {
		n.dirty[s] = true
	}
	if size <= len(n.data) {
		n.data = n.data[:size:size]
		return
	}
	n.data = append(n.data, make([]byte, size-len(n.data))...)
}

// grow is resize with a look at the room that is left.
func (f *simFile) grow(size int64) error {
	if size <= int64(len(f.n.data)) {
		return nil
	}
	if f.d.capacity > 0 && f.d.root.usage()+size-int64(len(f.n.data)) > f.d.capacity {
		return fmt.Errorf("%s: %w", f.name, ErrDiskFull)
	}
	f.n.resize(int(size))
	return nil
}

func (n *simNode) usage() int64 {
	total := int64(len(n.data))
	for _, kid := range n.entries {
		total += kid.usage()
	}
	return total
}

// do is an operation that changes the file.
func (f *simFile) do(op string, change func() error) error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.boot != f.d.boots {
		return ErrPowerOff
	}
	late, err := f.d.begin(op, f.name)
	if err != nil && !late {
		if op == "sync" && !f.d.off {
			f.n.dirty = nil // lost for good
		}
		return err
	}
	if late && op == "sync" {
		return err
	}
	return errors.Join(err, change())
}

func (f *simFile) ReadAt(b []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.boot != f.d.boots || f.d.off {
		return 0, ErrPowerOff
	}
	if off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.n.data[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *simFile) WriteAt(b []byte, off int64) (int, error) {
	err := f.do("write", func() error {
		if err := f.grow(off + int64(len(b))); err != nil {
			return err
		}
		if f.n.dirty == nil {
			f.n.dirty = map[int]bool{}
		}
		copy(f.n.data[off:], b)
		for s := off / sector; s*sector < off+int64(len(b)); s++ {
			f.n.dirty[int(s)] = true
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(b), nil
}

func (f *simFile) Write(b []byte) (int, error) {
	n, err := f.WriteAt(b, f.pos)
	f.pos += int64(n)
	return n, err
}

func (f *simFile) Size() (int64, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.boot != f.d.boots || f.d.off {
		return 0, ErrPowerOff
	}
	return int64(len(f.n.data)), nil
}

func (f *simFile) Truncate(size int64) error {
	return f.do("truncate", func() error {
		if size < int64(len(f.n.data)) {
			f.n.resize(int(size))
			return nil
		}
		return f.grow(size)
	})
}

func (f *simFile) Extend(size int64) error {
	return f.do("extend", func() error { return f.grow(size) })
}

func (f *simFile) Sync() error {
	return f.do("sync", func() error {
		n := f.n
		safe := make([]byte, len(n.data))
		copy(safe, n.safe)
		for s := range n.dirty {
			from := s * sector
			if from < len(safe) {
				copy(safe[from:min(from+sector, len(safe))], n.data[from:])
			}
		}
		n.safe, n.dirty = safe, nil
		return nil
	})
}

func (f *simFile) Close() error { return nil }
