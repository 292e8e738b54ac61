package recipetest

import (
	"testing"

	"github.com/gazoo-zk/gazoo/internal/zkdisk"
	"github.com/gazoo-zk/gazoo/internal/ztree"
	"github.com/gazoo-zk/gazoo/zkserver"
	"github.com/gazoo-zk/gazoo/zktest"
)

// Numbering makes the znode at path, of one component, whose sequential children are numbered from next on: what takes
// two thousand million creates otherwise.
func Numbering(t testing.TB, path string, next int32) zktest.Option {
	t.Helper()
	tree := ztree.Load(ztree.Options{})
	for _, r := range []ztree.NodeRecord{
		{Path: "", ACLKey: ztree.OpenACLKey},
		{Path: path, ACLKey: ztree.OpenACLKey, Czxid: 1, Mzxid: 1, Pzxid: 1, Creates: next},
	} {
		if err := tree.AddNode(r); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	d, _, err := zkdisk.Open(zkdisk.OS{}, dir, zkdisk.Options{Seed: tree.Finish(1)})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return zktest.WithServer(zkserver.WithDir(dir))
}
