package ztree

import "testing"

func TestFreshTreeHasApachesDigest(t *testing.T) {
	tree := New(Options{Digest: true})
	if tree.Digest() != 1371985504 {
		t.Errorf("Digest() = %d, want 1371985504", tree.Digest())
	}
	if tree.Len() != 4 {
		t.Errorf("Len() = %d", tree.Len())
	}
}
