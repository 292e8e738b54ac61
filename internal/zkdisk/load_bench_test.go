package zkdisk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/gazoo-zk/gazoo/internal/ztree"
)

// BenchmarkReadSnapshot reads a snapshot of 10,000 znodes, without making a tree of them.
func BenchmarkReadSnapshot(b *testing.B) {
	const znodes = 10_000
	var file bytes.Buffer
	w := NewSnapshotWriter(&file, SnapshotHead{})
	for i := range znodes {
		w.Write(ztree.NodeRecord{Path: fmt.Sprintf("/parent%04d/node%06d", i/1000, i%1000), Data: make([]byte, 100), Czxid: int64(i)})
	}
	if err := w.Finish(nil); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(file.Len()))
	for b.Loop() {
		r, err := NewSnapshotReader(bytes.NewReader(file.Bytes()))
		n := 0
		for ; err == nil; n++ {
			_, err = r.Next()
		}
		if !errors.Is(err, io.EOF) || n != znodes+1 {
			b.Fatalf("read %d znodes: %v", n-1, err)
		}
	}
}
