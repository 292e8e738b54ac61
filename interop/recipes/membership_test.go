package recipes

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/interop/recipes/peer"
	"github.com/gazoo-zk/gazoo/recipes/membership"
	"github.com/gazoo-zk/gazoo/recipes/partition"
	"github.com/gazoo-zk/gazoo/zktest"
)

// TestParty has Kazoo and gazoo in one party.
func TestParty(t *testing.T) {
	kinds := []struct {
		kind string
		make func(zk *gazoo.Client, path, identifier string, opts ...membership.Option) (*membership.Party, error)
	}{
		{"Party", membership.NewParty},
		{"ShallowParty", membership.NewShallowParty},
	}
	onEach(t, func(t *testing.T, s *site) {
		for _, k := range kinds {
			t.Run(k.kind, func(t *testing.T) {
				path := newPath()
				theirs := makes(t, s.kazoo[0], k.kind, path, peer.Args{"identifier": "kazoo-1"})
				theirs.do(nil, "join", nil)
				ours, err := k.make(s.gazoo[0], path, "gazoo-1")
				if err != nil {
					t.Fatal(err)
				}
				check := func(when string, want ...string) {
					t.Helper()
					var seen []string
					theirs.do(&seen, "members", nil)
					slices.Sort(seen)
					var mine []string
					for id, err := range ours.Members(t.Context()) {
						if err != nil {
							t.Fatal(err)
						}
						mine = append(mine, id)
					}
					slices.Sort(mine)
					if !slices.Equal(mine, want) || !slices.Equal(seen, want) {
						t.Errorf("%s: gazoo sees %q, Kazoo sees %q; want %q", when, mine, seen, want)
					}
					var n int
					theirs.do(&n, "len", nil)
					if m, err := ours.Len(t.Context()); err != nil || m != len(want) || n != len(want) {
						t.Errorf("%s: gazoo counts %d (%v), Kazoo counts %d; want %d", when, m, err, n, len(want))
					}
				}
				check("before ours has joined", "kazoo-1")
				if err := ours.Join(within(t)); err != nil {
					t.Fatal(err)
				}
				check("with both", "gazoo-1", "kazoo-1")
				theirs.do(nil, "leave", nil)
				check("when theirs has left", "gazoo-1")
				if left, err := ours.Leave(within(t)); err != nil || !left {
					t.Errorf("Leave() = %v, %v; want true", left, err)
				}
				check("when all have left")
				found.format("party: " + k.kind + " of Kazoo, both ways")
			})
		}
	})
}

// TestGroupMember has Curator and gazoo in one group.
func TestGroupMember(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		path := newPath()
		theirs := makes(t, s.curator[0], "GroupMember", path, peer.Args{"identifier": "curator-1", "data": []byte("theirs")})
		ours, err := membership.NewMember(s.gazoo[0], path, "gazoo-1", []byte("ours"))
		if err != nil {
			t.Fatal(err)
		}
		defer ours.Close(within(t))
		check := func(when string, want map[string]string) {
			t.Helper()
			var mine, seen map[string]string
			zktest.Eventually(t, when, func() bool {
				mine = texts(ours.Members())
				var data map[string][]byte
				theirs.do(&data, "members", nil)
				seen = texts(data)
				return maps.Equal(mine, want) && maps.Equal(seen, want)
			})
		}
		check("both see both", map[string]string{"curator-1": "theirs", "gazoo-1": "ours"})
		theirs.do(nil, "set", peer.Args{"data": []byte("theirs, changed")})
		check("data of Curator has changed", map[string]string{"curator-1": "theirs, changed", "gazoo-1": "ours"})
		ours.SetData([]byte("ours, changed"))
		check("data of gazoo has changed", map[string]string{"curator-1": "theirs, changed", "gazoo-1": "ours, changed"})
		theirs.do(nil, "close", nil)
		zktest.Eventually(t, "Curator has left", func() bool {
			return maps.Equal(texts(ours.Members()), map[string]string{"gazoo-1": "ours, changed"})
		})
		found.format("group: GroupMember of Curator, both ways")
	})
}

func texts(m map[string][]byte) map[string]string {
	all := make(map[string]string, len(m))
	for k, v := range m {
		all[k] = string(v)
	}
	return all
}

// TestPersistentNode compares the names of protected nodes, by which programs find them.
func TestPersistentNode(t *testing.T) {
	protected := regexp.MustCompile(`^_c_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-name$`)
	onEach(t, func(t *testing.T, s *site) {
		path := newPath()
		if _, err := s.zk.Create(t.Context(), path, nil); err != nil {
			t.Fatal(err)
		}
		theirs := makes(t, s.curator[0], "PersistentNode", path+"/name", peer.Args{"data": []byte("theirs"), "protection": true})
		ours, err := membership.NewPersistentNode(s.gazoo[0], path+"/name", []byte("ours"), membership.Protected())
		if err != nil {
			t.Fatal(err)
		}
		defer ours.Close(within(t))
		if err := ours.WaitCreated(within(t)); err != nil {
			t.Fatal(err)
		}
		names := s.children(t, path)
		if len(names) != 2 || !protected.MatchString(names[0]) || !protected.MatchString(names[1]) {
			t.Errorf("children are %q, want two that match %v", names, protected)
		}
		theirs.do(nil, "close", nil)
		found.format("persistent node: protected name of Curator")
	})
}

// TestPartition divides a set between Kazoo and gazoo, whoever comes first, and gives all to who is left.
func TestPartition(t *testing.T) {
	items := []string{"a", "b", "c", "d"}
	const boundary = 150 * time.Millisecond
	onEach(t, func(t *testing.T, s *site) {
		t.Run("ours leaves", func(t *testing.T) {
			path := newPath()
			ours := share(t, s, path, items, boundary)
			ours.want(t, 4)
			theirs := makes(t, s.kazoo[0], "SetPartitioner", path,
				peer.Args{"set": items, "identifier": "kazoo", "boundary_ms": boundary.Milliseconds()})
			call := theirs.o.Start("acquire", peer.Args{"timeout_ms": patience.Milliseconds(), "items": 2})
			mine := ours.want(t, 2)
			var seen []string
			theirs.must(call, &seen)
			checkDivision(t, items, mine, seen)

			ours.leave()
			theirs.do(&seen, "acquire", peer.Args{"timeout_ms": patience.Milliseconds(), "items": 4})
			if !slices.Equal(seen, items) {
				t.Errorf("Kazoo has %q when ours has left, want all", seen)
			}
			theirs.do(nil, "finish", nil)
		})
		t.Run("theirs leaves", func(t *testing.T) {
			path := newPath()
			theirs := makes(t, s.kazoo[0], "SetPartitioner", path,
				peer.Args{"set": items, "identifier": "kazoo", "boundary_ms": boundary.Milliseconds()})
			var seen []string
			theirs.do(&seen, "acquire", peer.Args{"timeout_ms": patience.Milliseconds(), "items": 4})
			ours := share(t, s, path, items, boundary)
			theirs.do(&seen, "acquire", peer.Args{"timeout_ms": patience.Milliseconds(), "items": 2})
			checkDivision(t, items, ours.want(t, 2), seen)
			theirs.do(nil, "finish", nil)
			ours.want(t, 4)
			ours.leave()
		})
		found.format("partition: SetPartitioner of Kazoo, both ways")
	})
}

func checkDivision(t *testing.T, items, mine, seen []string) {
	t.Helper()
	if all := slices.Sorted(slices.Values(slices.Concat(mine, seen))); !slices.Equal(all, items) {
		t.Errorf("gazoo has %q, Kazoo has %q; want each of %q once", mine, seen, items)
	}
}

// sharer is a member of ours.
type sharer struct {
	shares chan []string
	leave  func()
}

func share(t *testing.T, s *site, path string, items []string, boundary time.Duration) sharer {
	t.Helper()
	shares := make(chan []string, 100)
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan struct{})
	go func() {
		defer close(left)
		partition.Run(ctx, s.gazoo[0], path, items, func(ctx context.Context, mine []string) error {
			shares <- mine
			<-ctx.Done()
			return nil
		}, partition.WithIdentifier("gazoo"), partition.WithTimeBoundary(boundary))
	}()
	leave := func() {
		cancel()
		<-left
	}
	t.Cleanup(leave)
	return sharer{shares, leave}
}

// want waits for a share of so many items.
func (s sharer) want(t *testing.T, n int) []string {
	t.Helper()
	for {
		select {
		case mine := <-s.shares:
			if len(mine) == n {
				return mine
			}
		case <-within(t).Done():
			t.Fatalf("no share of %d items", n)
		}
	}
}
