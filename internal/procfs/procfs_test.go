package procfs_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gazoo-zk/gazoo/internal/procfs"
)

func TestFigure(t *testing.T) {
	file := filepath.Join(t.TempDir(), "status")
	if err := os.WriteFile(file, []byte("Name:\tx\nVmHWM:\t  1234 kB\nsyscr: 56\nbad: 7 MB\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		file, key string
		want      int64
		fails     bool
	}{
		{file, "VmHWM", 1234, false},
		{file, "syscr", 56, false},
		{file, "VmH", 0, true}, // no part of a key is one
		{file, "bad", 0, true},
		{file + ".none", "VmHWM", 0, true},
	} {
		if got, err := procfs.Figure(c.file, c.key); got != c.want || (err != nil) != c.fails {
			t.Errorf("Figure(%s, %s) = %d, %v; want %d, error %v", filepath.Base(c.file), c.key, got, err, c.want, c.fails)
		}
	}
}
