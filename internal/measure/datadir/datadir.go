// Package datadir makes data directories with many znodes, for measurements.
package datadir

import (
	"errors"
	"fmt"
	"time"

	"github.com/gazoo-zk/gazoo/internal/zkdisk"
	"github.com/gazoo-zk/gazoo/internal/ztree"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// Size is the bytes of data of each znode.
const Size = 100

// each is the znodes of one parent.
const each = 1000

// Make writes a directory with a snapshot of so many znodes, a thousand in each parent.
func Make(dir string, znodes int) (err error) {
	d, rec, err := zkdisk.Open(zkdisk.OS{}, dir, zkdisk.Options{Tree: ztree.Options{Digest: true}, Keep: 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	acl := []zkproto.ACL{{Perms: zkproto.PermAll, Scheme: "world", ID: "anyone"}}
	now := time.Now().UnixMilli()
	create := func(path string, data []byte) error {
		out := rec.Tree.Write(&ztree.Caller{}, now, zkproto.MultiOp{Op: zkproto.OpCreate, Path: path, Data: data, ACL: acl})
		if out.Code != zkproto.OK {
			return fmt.Errorf("create %s: %v", path, out.Code)
		}
		return d.Append(&out.Txn)
	}
	data := make([]byte, Size)
	for i := range znodes {
		if i%each == 0 {
			if err := errors.Join(create(parent(i), nil), d.Flush()); err != nil {
				return err
			}
		}
		if err := create(Path(i), data); err != nil {
			return err
		}
	}
	return errors.Join(d.Flush(), d.Save(rec.Tree))
}

func parent(i int) string { return fmt.Sprintf("/parent%04d", i/each) }

// Path returns the path of the znode with a number.
func Path(i int) string { return fmt.Sprintf("%s/node%06d", parent(i), i%each) }
