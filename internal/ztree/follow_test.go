package ztree

import (
	"fmt"
	"reflect"
	"testing"
)

// A tree that is fed the transactions of another one, one by one, is the same after each, quotas
// included, and tells watches the same.
func TestFollow(t *testing.T) {
	for seed := range uint64(20) {
		a := newActor(seed, Options{EnforceQuota: seed%2 == 0})
		copied := New(a.tree.Options())
		for _, txn := range a.log {
			if _, err := copied.Follow(txn); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 400 {
			out := a.step()
			got, err := copied.Follow(out.Txn)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, out.Changes) {
				t.Fatalf("seed %d, step %d, %+v:\nchanges %+v\nwant    %+v", seed, i, out.Txn, got, out.Changes)
			}
			if copied.Digest() != out.Txn.Digest {
				t.Fatalf("seed %d, step %d, %+v: digest %d, want %d", seed, i, out.Txn, copied.Digest(), out.Txn.Digest)
			}
		}
		sameTree(t, fmt.Sprintf("seed %d", seed), copied, a.tree)
	}
}
