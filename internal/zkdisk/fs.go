package zkdisk

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
)

// FS is what a [Dir] needs of a file system. Names are joined with the separator of the system.
// Nothing of a directory (new, renamed, removed files) is safe before SyncDir, nor of a file
// before its Sync. Errors about missing files are fs.ErrNotExist.
type FS interface {
	Open(name string) (File, error)        // an existing file, to read and write
	OpenRead(name string) (File, error)    // an existing file, to read
	Create(name string) (File, error)      // a new file, or an old one emptied
	ReadDir(name string) ([]string, error) // names in the directory, sorted
	Rename(from, to string) error          // replaces what is there
	Remove(name string) error
	MkdirAll(name string) error
	SyncDir(name string) error

	// Together calls functions that sync, in any order or at once, and returns when all have.
	Together(syncs ...func() error) error

	// Lock creates a file and locks it until it is closed, or the process ends. It fails when
	// somebody else has the lock.
	Lock(name string) (io.Closer, error)
}

// File is an open file.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Writer // behind what was written with it before
	io.Closer
	Size() (int64, error)
	Truncate(size int64) error // cuts off
	Extend(size int64) error   // grows with zeros
	Sync() error
}

// OS is the file system of the machine.
type OS struct{}

// Open opens a file.
func (OS) Open(name string) (File, error) { return wrap(os.OpenFile(name, os.O_RDWR, 0)) }

// OpenRead opens a file that need not be writable.
func (OS) OpenRead(name string) (File, error) { return wrap(os.Open(name)) }

// Create makes a file.
func (OS) Create(name string) (File, error) {
	return wrap(os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644))
}

func wrap(f *os.File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// ReadDir lists a directory.
func (OS) ReadDir(name string) ([]string, error) {
	entries, err := os.ReadDir(name)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// Rename renames a file.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove removes a file.
func (OS) Remove(name string) error { return os.Remove(name) }

// MkdirAll makes a directory and its parents.
func (OS) MkdirAll(name string) error { return os.MkdirAll(name, 0o755) }

// SyncDir makes the entries of a directory safe. Windows keeps them so by itself.
func (OS) SyncDir(name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(filepath.Clean(name))
	if err != nil {
		return err
	}
	err = d.Sync()
	if closed := d.Close(); err == nil {
		err = closed
	}
	return err
}

// Together calls all at once: a disk makes several syncs in little more time than one.
func (OS) Together(syncs ...func() error) error {
	errs := make([]error, len(syncs))
	var wg sync.WaitGroup
	for i, f := range syncs {
		wg.Go(func() { errs[i] = f() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f osFile) Extend(size int64) error {
	old, err := f.Size()
	if err != nil || size <= old {
		return err
	}
	if allocate(f.File, old, size-old) == nil {
		return nil
	}
	return f.Truncate(size) // without room set aside
}
