package recipes

import (
	"context"
	"strings"
	"testing"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/interop/recipes/peer"
	"github.com/gazoo-zk/gazoo/recipes/lock"
)

// party is a way to take a lock: a library, and how it is used.
type party struct {
	name   string
	ours   bool
	shared bool // a reader
	// contend begins to take the lock of a path, by the first or the second client of the library.
	contend func(t *testing.T, s *site, who int, path string) *contender
}

// contender is one that wants the lock.
type contender struct {
	session int64
	done    <-chan struct{}
	held    func() (bool, error) // after done
	release func(t *testing.T)
}

// acquires waits until it has the lock.
func (c *contender) acquires(t *testing.T, who string) {
	t.Helper()
	select {
	case <-c.done:
	case <-within(t).Done():
		t.Fatalf("%s: no lock", who)
	}
	if ok, err := c.held(); !ok || err != nil {
		t.Fatalf("%s: acquire = %v, %v; want the lock", who, ok, err)
	}
}

// theirs is a party in another process: a lock.
func theirs(name string, clients func(*site) [2]*peer.Client, kind string, make, acquire peer.Args) party {
	return theirsWith(name, clients, kind, make, acquire, "acquire", "release")
}

// theirsWith is one with words of its own for taking and giving back.
func theirsWith(name string, clients func(*site) [2]*peer.Client, kind string, make, acquire peer.Args, take, give string) party {
	return party{name: name, contend: func(t *testing.T, s *site, who int, path string) *contender {
		t.Helper()
		client := clients(s)[who]
		o := makes(t, client, kind, path, make)
		args := peer.Args{"timeout_ms": patience.Milliseconds()}
		for k, v := range acquire {
			args[k] = v
		}
		call := o.o.Start(take, args)
		return &contender{
			session: client.Session,
			done:    call.Done(),
			held: func() (ok bool, err error) {
				err = call.Wait(context.Background(), &ok)
				return ok, err
			},
			release: func(t *testing.T) {
				t.Helper()
				o.do(nil, give, acquire)
			},
		}
	}}
}

// holding is what gazoo's recipes hand out.
type holding interface {
	Err() error
	Release(ctx context.Context) error
}

// taker waits until it holds.
type taker func(ctx context.Context) (holding, error)

// ours is a party in this process.
func ours(name string, make func(zk *gazoo.Client, path string) (taker, error)) party {
	return party{name: name, ours: true, contend: func(t *testing.T, s *site, who int, path string) *contender {
		t.Helper()
		zk := s.gazoo[who]
		take, err := make(zk, path)
		if err != nil {
			t.Fatal(err)
		}
		done := newChan()
		var held holding
		ctx := within(t)
		go func() {
			defer close(done)
			held, err = take(ctx)
		}()
		return &contender{
			session: zk.SessionID(),
			done:    done,
			held:    func() (bool, error) { return err == nil && held.Err() == nil, err },
			release: func(t *testing.T) {
				t.Helper()
				if err := held.Release(within(t)); err != nil {
					t.Fatalf("Release: %v", err)
				}
			},
		}
	}}
}

// newChan is for where make is a parameter.
func newChan() chan struct{} { return make(chan struct{}) }

// mutex makes gazoo's lock a party.
func mutex(opts ...lock.Option) func(*gazoo.Client, string) (taker, error) {
	return func(zk *gazoo.Client, path string) (taker, error) {
		mu, err := lock.New(zk, path, opts...)
		return func(ctx context.Context) (holding, error) { return mu.Lock(ctx) }, err
	}
}

func kazoos(s *site) [2]*peer.Client   { return s.kazoo }
func curators(s *site) [2]*peer.Client { return s.curator }
func gozks(s *site) [2]*peer.Client    { return s.gozk }

// lockParties are those of lockTable.
var lockParties = []party{
	theirs("Kazoo", kazoos, "Lock", nil, nil),
	theirs("Kazoo+pattern", kazoos, "Lock", peer.Args{"patterns": []string{"-lock-"}}, nil),
	theirs("Kazoo renamed", kazoos, "RenamedLock", nil, nil),
	theirs("Curator", curators, "InterProcessMutex", nil, nil),
	theirs("Curator RW", curators, "InterProcessReadWriteLock", nil, peer.Args{"mode": "write"}),
	theirs("go-zookeeper", gozks, "Lock", nil, nil),
	theirs("ZooKeeper", curators, "WriteLock", nil, nil),
	ours("gazoo kazoo", mutex(lock.WithStyle(lock.Kazoo))),
	ours("gazoo curator", mutex(lock.WithStyle(lock.Curator))),
	ours("gazoo curatorrw", mutex(lock.WithStyle(lock.CuratorRW))),
	ours("gazoo zkrecipe", mutex(lock.WithStyle(lock.ZKRecipe))),
	ours("gazoo custom", mutex(lock.WithStyle(lock.Custom("mine-", "")))),
}

// lockTable says who waits for whom: W waits, I walks in, F fails. The first four rows and columns are what was measured
// without gazoo.
const lockTable = `
                | Kazoo | Kazoo+pattern | Curator | go-zookeeper | Curator RW | ZooKeeper | gazoo kazoo | gazoo curator | gazoo curatorrw | gazoo zkrecipe | gazoo custom
Kazoo           | W | W | I | W | I | I | W | W | W | W | W
Kazoo renamed   | I | W | W | W | I | W | W | W | W | W | W
Curator         | I | W | W | W | I | W | W | W | W | W | W
go-zookeeper    | I | W | W | W | I | W | W | W | W | W | W
Curator RW      | I | I | I | W | W | I | W | W | W | W | W
ZooKeeper       | I | I | I | F | I | W | W | W | W | W | W
gazoo kazoo     | W | W | I | W | I | I | W | W | W | W | W
gazoo curator   | I | W | W | W | I | W | W | W | W | W | W
gazoo curatorrw | I | I | I | W | W | I | W | W | W | W | W
gazoo zkrecipe  | I | I | I | F | I | W | W | W | W | W | W
`

// TestLockTable lets every party hold a lock while every other comes, on one path. Ours waits for everybody, whatever its
// style, and those wait for ours whose names it uses; what the others do among themselves shows that the test can see
// somebody walk in. Whoever waits gets the lock after the release, and nobody leaves anything behind.
func TestLockTable(t *testing.T) {
	checkTable(t, "lock", lockTable, lockParties)
}

// checkTable lets every party of a table's rows hold while every one of its columns comes, on each server.
func checkTable(t *testing.T, what, table string, parties []party) {
	t.Helper()
	byName := make(map[string]party)
	for _, p := range parties {
		byName[p.name] = p
	}
	lines := strings.Split(strings.TrimSpace(table), "\n")
	newcomers := fields(lines[0])[1:]
	onEach(t, func(t *testing.T, s *site) {
		for _, line := range lines[1:] {
			row := fields(line)
			for i, newcomer := range newcomers {
				want := map[string]outcome{"W": waits, "I": walksIn, "F": fails, "S": shares}[row[1+i]]
				t.Run(row[0]+"/"+newcomer, func(t *testing.T) {
					meet(t, s, what, byName[row[0]], byName[newcomer], want)
				})
			}
		}
	})
}

func fields(line string) []string {
	f := strings.Split(line, "|")
	for i := range f {
		f[i] = strings.TrimSpace(f[i])
	}
	return f
}

// meet lets one hold the lock when another comes.
func meet(t *testing.T, s *site, table string, first, second party, want outcome) {
	t.Helper()
	path := newPath()
	if _, err := s.zk.Create(t.Context(), path, nil); err != nil { // ZooKeeper's election wants it
		t.Fatal(err)
	}
	holder := first.contend(t, s, 0, path)
	holder.acquires(t, "holder "+first.name)
	newcomer := second.contend(t, s, 1, path)

	got := waits
	if !s.waiting(t, newcomer.session, path, newcomer.done) {
		ok, err := newcomer.held()
		switch {
		case err != nil:
			got = fails
			t.Logf("%s: %v", second.name, err)
		case ok && first.shared && second.shared:
			got = shares
		case ok:
			got = walksIn
		default:
			t.Fatalf("newcomer %s gave up", second.name)
		}
	}
	if names := s.children(t, path); len(names) != 2 {
		t.Errorf("contenders are %q, want two", names)
	}
	if got != want {
		t.Errorf("holder %s, newcomer %s: it %s, want that it %s", first.name, second.name, got, want)
	}
	found.cell(cell{table: table, target: s.target, holder: first.name, newcomer: second.name, ours: first.ours || second.ours, outcome: got})

	if got == waits {
		select {
		case <-newcomer.done:
			t.Errorf("newcomer %s has the lock before it was released", second.name)
		default:
		}
	}
	holder.release(t)
	if got == fails {
		return // what it leaves behind is its own
	}
	newcomer.acquires(t, "newcomer "+second.name)
	newcomer.release(t)
	s.empties(t, path)
}
