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
