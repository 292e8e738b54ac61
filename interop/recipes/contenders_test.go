package recipes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/interop/recipes/peer"
	"github.com/gazoo-zk/gazoo/recipes/lock"
	"github.com/gazoo-zk/gazoo/zktest"
)

// TestContenders has Kazoo and gazoo list who holds a lock and who waits, with their identities.
func TestContenders(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		path := newPath()
		theirs := makes(t, s.kazoo[0], "Lock", path, peer.Args{"identifier": "kazoo-1", "patterns": []string{"-lock-"}})
		theirs.do(nil, "acquire", timeout)
		mu, err := lock.New(s.gazoo[0], path, lock.WithIdentity([]byte("gazoo-2")))
		if err != nil {
			t.Fatal(err)
		}
		waiting := in(t, func(ctx context.Context) error {
			held, err := mu.Lock(ctx)
			if err == nil {
				err = held.Release(ctx)
			}
			return err
		})
		s.waiting(t, s.gazoo[0].SessionID(), path, waiting.done)
		curator := makes(t, s.curator[0], "InterProcessMutex", path, nil)
		call := curator.o.Start("acquire", timeout) // it does not wait for those
		zktest.Eventually(t, "there are three", func() bool { return len(s.children(t, path)) == 3 })

		all, err := mu.Contenders(t.Context())
		if err != nil || len(all) != 3 {
			t.Fatalf("Contenders() = %v, %v; want three", all, err)
		}
		for i, want := range []lock.Contender{
			{Identity: "kazoo-1", Session: s.kazoo[0].Session, Turn: true},
			{Identity: "gazoo-2", Session: s.gazoo[0].SessionID()},
			{Session: s.curator[0].Session},
		} {
			got := all[i]
			// Curator's data is its address.
			if want.Identity != "" && got.Identity != want.Identity || got.Session != want.Session || got.Position != i || got.Turn != want.Turn {
				t.Errorf("contender %d is %+v, want %+v", i, got, want)
			}
		}
		var seen []string
		theirs.do(&seen, "contenders", nil)
		if len(seen) != 3 || seen[0] != "kazoo-1" || seen[1] != "gazoo-2" {
			t.Errorf("Kazoo sees the contenders %q, want kazoo-1, gazoo-2 and Curator", seen)
		}
		var nodes []string
		curator.must(call, nil)
		if curator.do(&nodes, "participants", nil); len(nodes) != 3 {
			t.Errorf("Curator sees the contenders %q, want three", nodes)
		}
		curator.do(nil, "release", nil)
		theirs.do(nil, "release", nil)
		waiting.must(t, "Lock and Release")
		s.empties(t, path)
		found.format("lock: contenders of Kazoo and Curator")
	})
}

// TestRevocation has Curator ask gazoo for the lock, and gazoo ask Curator.
func TestRevocation(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		path := newPath()
		theirs := makes(t, s.curator[0], "InterProcessMutex", path, nil)
		theirs.do(nil, "revocable", nil)
		theirs.do(nil, "acquire", timeout)
		mu, err := lock.New(s.gazoo[0], path, lock.WithStyle(lock.Curator), lock.WithRevocable(nil))
		if err != nil {
			t.Fatal(err)
		}
		all, err := mu.Contenders(t.Context())
		if err != nil || len(all) != 1 {
			t.Fatalf("Contenders() = %v, %v; want one", all, err)
		}
		if err := mu.Revoke(within(t), all[0]); err != nil {
			t.Fatal(err)
		}
		var told bool
		if theirs.do(&told, "revoked", timeout); !told {
			t.Error("Curator was not told of the revocation")
		}
		theirs.do(nil, "release", nil)

		held, err := mu.Lock(within(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.curator[1].Start("revoke", peer.Args{"path": held.Path()}).Wait(within(t), nil); err != nil {
			t.Fatal(err)
		}
		select {
		case <-held.Context().Done():
		case <-within(t).Done():
			t.Fatal("gazoo was not told of the revocation")
		}
		if err := context.Cause(held.Context()); !errors.Is(err, lock.ErrRevoked) {
			t.Errorf("cause is %v, want ErrRevoked", err)
		}
		call := theirs.o.Start("acquire", timeout)
		s.mustWait(t, s.curator[0].Session, path, call) // revoked, and not released
		held.Release(within(t))
		theirs.must(call, nil)
		theirs.do(nil, "release", nil)
		found.format("lock: revocation of Curator, both ways")
	})
}

// TestMultiLock has a multi-lock of either wait for one of the other.
func TestMultiLock(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		base := newPath()
		paths := []string{base + "-a", base + "-b"}
		multi := func(paths ...string) *lock.Multi {
			var locks []*lock.Mutex
			for _, path := range paths {
				mu, err := lock.New(s.gazoo[0], path, lock.WithStyle(lock.Curator))
				if err != nil {
					t.Fatal(err)
				}
				locks = append(locks, mu)
			}
			m, err := lock.NewMulti(locks...)
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		theirs := makes(t, s.curator[0], "InterProcessMultiLock", "", peer.Args{"paths": paths})
		held, err := multi(paths[1]).Lock(within(t))
		if err != nil {
			t.Fatal(err)
		}
		call := theirs.o.Start("acquire", timeout)
		s.mustWait(t, s.curator[0].Session, paths[1], call)
		if err := held.Release(within(t)); err != nil {
			t.Fatal(err)
		}
		theirs.must(call, nil)
		if _, err := multi(paths...).TryLock(within(t)); !errors.Is(err, lock.ErrBusy) {
			t.Errorf("TryLock() = %v while Curator holds both, want ErrBusy", err)
		}
		waiting := in(t, func(ctx context.Context) error {
			held, err := multi(paths...).Lock(ctx)
			if err == nil {
				err = held.Release(ctx)
			}
			return err
		})
		if !s.waiting(t, s.gazoo[0].SessionID(), paths[0], waiting.done) {
			t.Error("gazoo walks in on Curator's multi-lock")
		}
		theirs.do(nil, "release", nil)
		waiting.must(t, "Lock and Release")
		found.format("lock: InterProcessMultiLock, both ways")
	})
}

// TestNamesOfOthers has contenders made by hand, in the names of libraries that do not run here, which ours waits for in
// every style, and children that are none, which it ignores.
func TestNamesOfOthers(t *testing.T) {
	const session = 0x1234abcd5678
	contenders := []string{
		fmt.Sprintf("x-%d-", session),    // ZooKeeper's recipe in Java
		fmt.Sprintf("x-%016x-", session), // and in C
		"n_",                             // ZooKeeper's election
		"ex", "sh",                       // zk for Ruby; this one shares
		"latch-some-id-",                            // the zookeeper crate for Rust
		strings.Repeat("0a", 16) + "__lock__",       // Kazoo
		"_c_00112233445566778899aabbccddeeff-lock-", // go-zookeeper/zk
	}
	foreign := []string{"config", "lock", "0000000000", "notes-0000000001x", "__lock__", "locksmith"}
	styles := map[string]lock.Style{"kazoo": lock.Kazoo, "curator": lock.Curator, "curatorrw": lock.CuratorRW, "zkrecipe": lock.ZKRecipe, "custom": lock.Custom("mine-", "")}
	onEach(t, func(t *testing.T, s *site) {
		for name, style := range styles {
			t.Run(name, func(t *testing.T) {
				path := newPath()
				mu, err := lock.New(s.gazoo[0], path, lock.WithStyle(style))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := s.zk.Create(t.Context(), path, nil); err != nil {
					t.Fatal(err)
				}
				for _, child := range foreign {
					if _, err := s.zk.Create(t.Context(), path+"/"+child, nil); err != nil {
						t.Fatal(err)
					}
				}
				for _, prefix := range contenders {
					node, err := s.zk.Create(t.Context(), path+"/"+prefix, nil, gazoo.Ephemeral(), gazoo.Sequential())
					if err != nil {
						t.Fatal(err)
					}
					if held, err := mu.TryLock(within(t)); !errors.Is(err, lock.ErrBusy) {
						t.Errorf("TryLock() = %v, %v; want ErrBusy because of %s", held, err, node)
					}
					if err := s.zk.Delete(t.Context(), node, gazoo.AnyVersion); err != nil {
						t.Fatal(err)
					}
				}
				held, err := mu.TryLock(within(t))
				if err != nil {
					t.Fatalf("TryLock() = %v beside children that are no contenders: %q", err, foreign)
				}
				if err := held.Release(within(t)); err != nil {
					t.Fatal(err)
				}
				names := s.children(t, path)
				slices.Sort(names)
				if want := slices.Sorted(slices.Values(foreign)); !slices.Equal(names, want) {
					t.Errorf("children are %q, want the foreign ones %q", names, want)
				}
			})
		}
	})
}
