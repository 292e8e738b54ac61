package zkserver

import (
	"fmt"

	"github.com/gazoo-zk/gazoo/internal/ztree"
	"github.com/gazoo-zk/gazoo/zkproto"
)

// Journal is the seam for durability, for tests.
type Journal = journal

// WithJournal makes a server that begins with an empty tree and a journal.
func WithJournal(j Journal) Option {
	return func(c *config) {
		c.open = func(o ztree.Options) (*ztree.Tree, journal, error) { return ztree.New(o), j, nil }
	}
}

// WithTap shows each transaction to a test, in their order, before it is durable.
func WithTap(see func(ztree.Txn)) Option {
	return func(c *config) {
		c.open = func(o ztree.Options) (*ztree.Tree, journal, error) {
			tree, j, err := c.openDisk(o)
			if err != nil {
				return nil, nil, err
			}
			return tree, &tapped{j.(*diskJournal), see}, nil
		}
	}
}

type tapped struct {
	*diskJournal
	see func(ztree.Txn)
}

func (t *tapped) Append(txn ztree.Txn) {
	t.see(txn)
	t.diskJournal.Append(txn)
}

// Fill makes znodes of 100 bytes below path, which exists, without a client.
func Fill(s *Server, path string, n int) {
	super := &ztree.Caller{IDs: []ztree.ID{{Scheme: "super"}}}
	acl := []zkproto.ACL{{Perms: zkproto.PermAll, Scheme: "world", ID: "anyone"}}
	for i := 0; i < n; i += 1000 {
		s.call(func(e *engine) {
			for k := i; k < min(i+1000, n); k++ {
				out := e.tree.Write(super, e.now(), zkproto.MultiOp{
					Op: zkproto.OpCreate, Path: fmt.Sprintf("%s/n%07d", path, k), Data: make([]byte, 100), ACL: acl,
				})
				e.wrote(&out)
			}
		})
	}
}
