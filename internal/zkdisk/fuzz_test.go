package zkdisk

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"

	"github.com/gazoo-zk/gazoo/internal/ztree"
)

// FuzzLog: whatever a file holds, reading it ends, and what was read can be written and read
// again.
func FuzzLog(f *testing.F) {
	log := AppendLogHeader(nil)
	for i, c := range records {
		txn := txnOf(c.rec)
		txn.Zxid += int64(i)
		log = appendRecordOf(log, &txn, i%2 == 0, int64(len(log)))
	}
	f.Add(log)
	f.Add(log[:len(log)-3])
	f.Add(append(bytes.Clone(log), make([]byte, 64)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		l := NewLogReader(bytes.NewReader(b), int64(len(b)))
		for {
			e, err := l.Next()
			if err != nil {
				if _, damaged := errors.AsType[*DamageError](err); !damaged && err != io.EOF {
					t.Fatalf("Next: %v", err)
				}
				break
			}
			var again Entry
			err = DecodeTxn(&again, AppendTxn(nil, &e.Txn, true))
			again.Txn.Digest = e.Txn.Digest // its version, or that of an error, may be none
			if err != nil || !reflect.DeepEqual(again.Txn, e.Txn) && !oldForm(e.Txn.Record) {
				t.Fatalf("%+v reads again as %+v, %v", e.Txn, again.Txn, err)
			}
		}
		if l.Offset() > int64(len(b)) || cap(l.buf) > len(b) {
			t.Fatalf("%d bytes read, %d kept, of %d", l.Offset(), cap(l.buf), len(b))
		}
	})
}

// oldForm reports whether a record is written otherwise than it was read: null lists as empty ones.
func oldForm(rec ztree.Record) bool {
	if rec.ACL == nil || rec.Paths == nil {
		return true
	}
	return len(rec.Parts) > 0
}

// FuzzSnapshot: whatever a file holds, reading it ends, with memory in proportion.
func FuzzSnapshot(f *testing.F) {
	var buf bytes.Buffer
	w := NewSnapshotWriter(&buf, snapHead)
	for _, n := range snapNodes {
		w.Write(n)
	}
	if err := w.Finish(&Digest{9, 2, 7}); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes())
	f.Add(buf.Bytes()[:buf.Len()-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		r, nodes, err := readSnapshot(b)
		if err != nil {
			if _, damaged := errors.AsType[*DamageError](err); !damaged {
				t.Fatalf("read: %v", err)
			}
			return
		}
		if cap(r.buf) > 2*len(b)+512 {
			t.Fatalf("%d bytes of memory for %d", cap(r.buf), len(b))
		}
		var again bytes.Buffer
		w := NewSnapshotWriter(&again, r.SnapshotHead)
		for _, n := range nodes {
			w.Write(n)
		}
		if err := w.Finish(r.Digest); err != nil {
			t.Fatal(err)
		}
		r2, nodes2, err := readSnapshot(again.Bytes())
		if err != nil || !reflect.DeepEqual(nodes, nodes2) || !reflect.DeepEqual(r2.Sessions, r.Sessions) {
			t.Fatalf("written again it reads %v, %v", nodes2, err)
		}
	})
}
