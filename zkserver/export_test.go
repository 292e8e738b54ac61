package zkserver

import "github.com/gazoo-zk/gazoo/internal/ztree"

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
