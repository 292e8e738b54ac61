package recipes

import (
	"context"
	"testing"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/interop/recipes/peer"
	"github.com/gazoo-zk/gazoo/recipes/lock"
)

// rw makes a side of gazoo's read/write lock a party.
func rw(name string, shared bool, style lock.Style) party {
	p := ours(name, func(zk *gazoo.Client, path string) (taker, error) {
		l, err := lock.NewRW(zk, path, lock.WithStyle(style))
		return func(ctx context.Context) (holding, error) {
			if shared {
				return l.RLock(ctx)
			}
			return l.Lock(ctx)
		}, err
	})
	p.shared = shared
	return p
}

// reader marks one of theirs as sharing.
func reader(p party) party {
	p.shared = true
	return p
}

// rwParties are those of rwTable.
var rwParties = []party{
	reader(theirs("Kazoo R", kazoos, "ReadLock", nil, nil)),
	theirs("Kazoo W", kazoos, "WriteLock", nil, nil),
	theirs("Kazoo Lock", kazoos, "Lock", nil, nil),
	reader(theirs("Curator R", curators, "InterProcessReadWriteLock", nil, peer.Args{"mode": "read"})),
	theirs("Curator W", curators, "InterProcessReadWriteLock", nil, peer.Args{"mode": "write"}),
	theirs("go-zookeeper", gozks, "Lock", nil, nil),
	rw("gazoo kazoo R", true, lock.Kazoo),
	rw("gazoo kazoo W", false, lock.Kazoo),
	rw("gazoo curatorrw R", true, lock.CuratorRW),
	rw("gazoo curatorrw W", false, lock.CuratorRW),
	rw("gazoo custom R", true, lock.Custom("w-", "r-")),
	ours("gazoo lock", mutex()),
}

// rwTable says who waits for whom, S where two readers share. Kazoo's plain Lock walks past readers; ours does not.
const rwTable = `
                  | Kazoo R | Kazoo W | Kazoo Lock | Curator R | Curator W | go-zookeeper | gazoo kazoo R | gazoo kazoo W | gazoo curatorrw R | gazoo curatorrw W | gazoo custom R | gazoo lock
Kazoo R           | S | W | I | S | I | W | S | W | S | W | S | W
Kazoo W           | W | W | W | I | I | W | W | W | W | W | W | W
Curator R         | S | I | I | S | W | W | S | W | S | W | S | W
Curator W         | I | I | I | W | W | W | W | W | W | W | W | W
gazoo kazoo R     | S | W | I | S | I | W | S | W | S | W | S | W
gazoo kazoo W     | W | W | W | I | I | W | W | W | W | W | W | W
gazoo curatorrw R | S | I | I | S | W | W | S | W | S | W | S | W
gazoo curatorrw W | I | I | I | W | W | W | W | W | W | W | W | W
`

// TestRWTable is TestLockTable for read/write locks.
func TestRWTable(t *testing.T) {
	checkTable(t, "read/write lock", rwTable, rwParties)
}

// TestWriterBetweenReaders has a reader wait for a writer that came before it, across the libraries, though another
// reader holds: in that order they get the lock.
func TestWriterBetweenReaders(t *testing.T) {
	byName := make(map[string]party)
	for _, p := range rwParties {
		byName[p.name] = p
	}
	onEach(t, func(t *testing.T, s *site) {
		for _, names := range [][3]string{
			{"Kazoo R", "gazoo kazoo W", "Kazoo R"},
			{"gazoo kazoo R", "Kazoo W", "gazoo kazoo R"},
			{"Curator R", "gazoo curatorrw W", "Curator R"},
			{"gazoo curatorrw R", "Curator W", "gazoo curatorrw R"},
		} {
			t.Run(names[1], func(t *testing.T) {
				path := newPath()
				first := byName[names[0]].contend(t, s, 0, path)
				first.acquires(t, names[0])
				writer := byName[names[1]].contend(t, s, 0, path)
				if !s.waiting(t, writer.session, path, writer.done) {
					t.Fatalf("%s walks in on %s", names[1], names[0])
				}
				last := byName[names[2]].contend(t, s, 1, path)
				if !s.waiting(t, last.session, path, last.done) {
					t.Fatalf("%s passes the %s that came before", names[2], names[1])
				}
				first.release(t)
				writer.acquires(t, names[1])
				select {
				case <-last.done:
					t.Errorf("%s holds beside %s", names[2], names[1])
				default:
				}
				writer.release(t)
				last.acquires(t, names[2])
				last.release(t)
				s.empties(t, path)
			})
		}
	})
}

// TestDowngradeLetsTheirsIn turns our write lock into a read lock while a reader of theirs waits, which comes in; a writer
// does not. It comes later: in Kazoo 2.8 a reader also waits for writers behind it, and they wait for each other for ever.
func TestDowngradeLetsTheirsIn(t *testing.T) {
	cases := []struct {
		style        lock.Style
		reader, next party
	}{
		{lock.Kazoo, theirs("Kazoo R", kazoos, "ReadLock", nil, nil), theirs("Kazoo W", kazoos, "WriteLock", nil, nil)},
		{
			lock.CuratorRW,
			theirs("Curator R", curators, "InterProcessReadWriteLock", nil, peer.Args{"mode": "read"}),
			theirs("Curator W", curators, "InterProcessReadWriteLock", nil, peer.Args{"mode": "write"}),
		},
	}
	onEach(t, func(t *testing.T, s *site) {
		for _, c := range cases {
			t.Run(c.reader.name, func(t *testing.T) {
				path := newPath()
				l, err := lock.NewRW(s.gazoo[0], path, lock.WithStyle(c.style))
				if err != nil {
					t.Fatal(err)
				}
				held, err := l.Lock(within(t))
				if err != nil {
					t.Fatal(err)
				}
				reader := c.reader.contend(t, s, 0, path)
				if !s.waiting(t, reader.session, path, reader.done) {
					t.Fatalf("%s walks in on a writer", c.reader.name)
				}
				read, err := held.Downgrade(within(t))
				if err != nil {
					t.Fatalf("Downgrade: %v", err)
				}
				reader.acquires(t, c.reader.name)
				reader.release(t)
				writer := c.next.contend(t, s, 1, path)
				if !s.waiting(t, writer.session, path, writer.done) {
					t.Fatalf("%s walks in on a reader", c.next.name)
				}
				if err := read.Err(); err != nil {
					t.Errorf("Err() = %v, want a read lock", err)
				}
				if err := read.Release(within(t)); err != nil {
					t.Fatal(err)
				}
				writer.acquires(t, c.next.name)
				writer.release(t)
				s.empties(t, path)
			})
		}
	})
}
