package recipes

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/interop/recipes/peer"
	"github.com/gazoo-zk/gazoo/recipes/election"
	"github.com/gazoo-zk/gazoo/zktest"
)

// candidate makes gazoo's election a party.
func candidate(opts ...election.Option) func(*gazoo.Client, string) (taker, error) {
	return func(zk *gazoo.Client, path string) (taker, error) {
		e, err := election.New(zk, path, opts...)
		return func(ctx context.Context) (holding, error) { return e.Campaign(ctx) }, err
	}
}

// electionParties are those of electionTable.
var electionParties = []party{
	theirsWith("Kazoo", kazoos, "Election", nil, nil, "lead", "resign"),
	theirsWith("LeaderLatch", curators, "LeaderLatch", peer.Args{"identifier": "latch"}, nil, "lead", "resign"),
	theirsWith("LeaderSelector", curators, "LeaderSelector", peer.Args{"identifier": "selector"}, nil, "lead", "resign"),
	theirsWith("ZooKeeper", curators, "LeaderElectionSupport", peer.Args{"identifier": "support"}, nil, "lead", "resign"),
	ours("gazoo kazoo", candidate(election.WithStyle(election.Kazoo))),
	ours("gazoo curator", candidate(election.WithStyle(election.Curator))),
	ours("gazoo latch", candidate(election.WithStyle(election.CuratorLatch))),
}

// electionTable says who waits for whom. ZooKeeper's own election fails on any child that is not its own.
const electionTable = `
               | Kazoo | LeaderLatch | LeaderSelector | ZooKeeper | gazoo kazoo | gazoo curator | gazoo latch
Kazoo          | W | I | I | F | W | W | W
LeaderLatch    | I | W | I | F | W | W | W
LeaderSelector | I | I | W | F | W | W | W
ZooKeeper      | I | I | I | W | W | W | W
gazoo kazoo    | W | I | I | F | W | W | W
gazoo curator  | I | I | W | F | W | W | W
gazoo latch    | I | W | I | F | W | W | W
`

// TestElectionTable is TestLockTable for elections.
func TestElectionTable(t *testing.T) {
	checkTable(t, "election", electionTable, electionParties)
}

// TestElectionIdentities has everybody see who the candidates are, and who leads.
func TestElectionIdentities(t *testing.T) {
	cases := []struct {
		kind    string
		clients func(*site) [2]*peer.Client
		style   election.Style
	}{
		{"Election", kazoos, election.Kazoo},
		{"LeaderLatch", curators, election.CuratorLatch},
		{"LeaderSelector", curators, election.Curator},
	}
	onEach(t, func(t *testing.T, s *site) {
		for _, c := range cases {
			t.Run(c.kind, func(t *testing.T) {
				path := newPath()
				theirs := makes(t, c.clients(s)[0], c.kind, path, peer.Args{"identifier": "theirs"})
				theirs.do(nil, "lead", timeout)
				e, err := election.New(s.gazoo[0], path, election.WithIdentity("ours"), election.WithStyle(c.style))
				if err != nil {
					t.Fatal(err)
				}
				latch := e.Start()
				defer latch.Close(within(t))
				zktest.Eventually(t, "ours is a candidate", func() bool { return len(s.children(t, path)) == 2 })

				all, err := e.Candidates(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				var ids []string
				for _, c := range all {
					ids = append(ids, c.Identity)
				}
				if want := []string{"theirs", "ours"}; !slices.Equal(ids, want) {
					t.Errorf("Candidates() = %q, want %q", ids, want)
				}
				var seen []string
				theirs.do(&seen, "contenders", nil)
				slices.Sort(seen)
				if want := []string{"ours", "theirs"}; !slices.Equal(seen, want) {
					t.Errorf("%s sees the candidates %q, want %q", c.kind, seen, want)
				}

				leaders := make(chan string, 10)
				ctx, cancel := context.WithCancel(t.Context())
				watched := make(chan struct{})
				go func() {
					defer close(watched)
					for l, err := range e.Observe(ctx) {
						if err != nil {
							return
						}
						leaders <- l.Identity
					}
				}()
				defer func() { cancel(); <-watched }()
				if got := <-leaders; got != "theirs" {
					t.Errorf("Observe() = %q at first, want theirs", got)
				}
				theirs.do(nil, "resign", timeout)
				if _, err := latch.Await(within(t)); err != nil {
					t.Fatalf("Await() behind the resignation of %s: %v", c.kind, err)
				}
				for got := range leaders {
					if got == "ours" {
						break
					}
				}
				found.format("election: identities, " + c.kind + " and gazoo")
				if c.kind == "Election" {
					return // its contenders() is all it has
				}
				other := makes(t, c.clients(s)[1], c.kind, path, peer.Args{"identifier": "other"})
				call := other.o.Start("lead", timeout)
				s.mustWait(t, c.clients(s)[1].Session, path, call)
				var leader string
				other.do(&leader, "leader", nil)
				if leader != "ours" {
					t.Errorf("%s sees the leader %q, want ours", c.kind, leader)
				}
				if err := latch.Close(within(t)); err != nil {
					t.Fatal(err)
				}
				other.must(call, nil)
				other.do(nil, "resign", timeout)
			})
		}
	})
}

// TestHandOverPassesOthers hands a leadership to another candidate of ours while one of theirs is between the two: it
// must go on waiting.
func TestHandOverPassesOthers(t *testing.T) {
	cases := []struct {
		kind    string
		clients func(*site) [2]*peer.Client
		style   election.Style
	}{
		{"Election", kazoos, election.Kazoo},
		{"LeaderLatch", curators, election.CuratorLatch},
		{"LeaderSelector", curators, election.Curator},
	}
	onEach(t, func(t *testing.T, s *site) {
		for _, c := range cases {
			t.Run(c.kind, func(t *testing.T) {
				path := newPath()
				join := func(who int, id string) *election.Latch {
					e, err := election.New(s.gazoo[who], path, election.WithIdentity(id), election.WithStyle(c.style))
					if err != nil {
						t.Fatal(err)
					}
					return e.Start()
				}
				first := join(0, "first")
				defer first.Close(within(t))
				l, err := first.Await(within(t))
				if err != nil {
					t.Fatal(err)
				}
				theirs := makes(t, c.clients(s)[0], c.kind, path, peer.Args{"identifier": "theirs"})
				call := theirs.o.Start("lead", timeout)
				s.mustWait(t, c.clients(s)[0].Session, path, call)
				second := join(1, "second")
				defer second.Close(within(t))
				zktest.Eventually(t, "the third is a candidate", func() bool { return len(s.children(t, path)) == 3 })

				token := l.Token()
				if err := l.HandOver(within(t), "second"); err != nil {
					t.Fatalf("HandOver: %v", err)
				}
				l, err = second.Await(within(t))
				if err != nil {
					t.Fatal(err)
				}
				if l.Token() <= token {
					t.Errorf("token %d behind %d, must grow", l.Token(), token)
				}
				// It has been told of the change, and looks again, and waits.
				select {
				case <-call.Done():
					t.Fatalf("%s leads although the leadership was handed over", c.kind)
				case <-time.After(100 * time.Millisecond):
				}
				s.mustWait(t, c.clients(s)[0].Session, path, call)
				if err := l.Err(); err != nil {
					t.Errorf("Err() = %v, want a leadership", err)
				}
				if err := second.Close(within(t)); err != nil {
					t.Fatal(err)
				}
				theirs.must(call, nil)
				theirs.do(nil, "resign", timeout)
			})
		}
	})
}
