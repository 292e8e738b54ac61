package recipes

import (
	"context"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/interop/recipes/peer"
	"github.com/gazoo-zk/gazoo/recipes/barrier"
)

// barrierSide is a library's barrier.
type barrierSide interface {
	create(t *testing.T)
	remove(t *testing.T)
	// wait begins to wait for its removal. The session is whose watch shows that it waits.
	wait(t *testing.T) (session int64, result *pending)
}

// pending is something that is waited for.
type pending struct {
	done <-chan struct{}
	err  func() error // after done
}

// must waits for it.
func (p *pending) must(t *testing.T, what string) {
	t.Helper()
	select {
	case <-p.done:
	case <-within(t).Done():
		t.Fatalf("%s: no answer", what)
	}
	if err := p.err(); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// in begins f.
func in(t *testing.T, f func(ctx context.Context) error) *pending {
	t.Helper()
	done := make(chan struct{})
	ctx := within(t)
	var err error
	go func() {
		defer close(done)
		err = f(ctx)
	}()
	return &pending{done, func() error { return err }}
}

// asked turns a peer's operation, which must say true, into something to wait for.
func asked(call *peer.Call) *pending {
	return &pending{call.Done(), func() error {
		var ok bool
		err := call.Wait(context.Background(), &ok)
		if err == nil && !ok {
			return context.DeadlineExceeded
		}
		return err
	}}
}

type peerBarrier struct {
	object
	session int64
}

func (b peerBarrier) create(t *testing.T) { b.do(nil, "create", nil) }
func (b peerBarrier) remove(t *testing.T) { b.do(nil, "remove", nil) }
func (b peerBarrier) wait(t *testing.T) (int64, *pending) {
	return b.session, asked(b.o.Start("wait", timeout))
}

type ourBarrier struct {
	*barrier.Barrier
	session int64
}

func (b ourBarrier) create(t *testing.T) {
	t.Helper()
	if _, err := b.Create(within(t)); err != nil {
		t.Fatal(err)
	}
}

func (b ourBarrier) remove(t *testing.T) {
	t.Helper()
	if removed, err := b.Remove(within(t)); err != nil || !removed {
		t.Fatalf("Remove() = %v, %v; want true", removed, err)
	}
}

func (b ourBarrier) wait(t *testing.T) (int64, *pending) {
	t.Helper()
	return b.session, in(t, b.Wait)
}

// TestBarrier has each library put up and take down a barrier for which each waits.
func TestBarrier(t *testing.T) {
	sides := []struct {
		name string
		make func(t *testing.T, s *site, who int, path string) barrierSide
	}{
		{"Kazoo", func(t *testing.T, s *site, who int, path string) barrierSide {
			return peerBarrier{makes(t, s.kazoo[who], "Barrier", path, nil), s.kazoo[who].Session}
		}},
		{"Curator", func(t *testing.T, s *site, who int, path string) barrierSide {
			return peerBarrier{makes(t, s.curator[who], "DistributedBarrier", path, nil), s.curator[who].Session}
		}},
		{"gazoo", func(t *testing.T, s *site, who int, path string) barrierSide {
			b, err := barrier.New(s.gazoo[who], path)
			if err != nil {
				t.Fatal(err)
			}
			return ourBarrier{b, s.gazoo[who].SessionID()}
		}},
	}
	onEach(t, func(t *testing.T, s *site) {
		for _, owner := range sides {
			for _, waiter := range sides {
				t.Run(owner.name+"/"+waiter.name, func(t *testing.T) {
					path := newPath()
					mine := owner.make(t, s, 0, path)
					mine.create(t)
					session, result := waiter.make(t, s, 1, path).wait(t)
					if !s.waiting(t, session, path, result.done) {
						t.Fatalf("%s passes a barrier of %s: %v", waiter.name, owner.name, result.err())
					}
					mine.remove(t)
					result.must(t, waiter.name+" waits")
					if owner.name != waiter.name {
						found.format("barrier: " + owner.name + " for " + waiter.name)
					}
				})
			}
		}
	})
}

// memberSide is one that takes part in a double barrier.
type memberSide struct {
	name    string
	session int64
	enter   func() *pending
	leave   func() *pending
}

// TestDoubleBarrier lets one member of each library meet, whoever comes last, and part, whoever stays last.
func TestDoubleBarrier(t *testing.T) {
	theirs := func(name, kind string, clients func(*site) [2]*peer.Client) func(*testing.T, *site, string) memberSide {
		return func(t *testing.T, s *site, path string) memberSide {
			o := makes(t, clients(s)[0], kind, path, peer.Args{"members": 3})
			return memberSide{
				name, clients(s)[0].Session,
				func() *pending { return asked(o.o.Start("enter", timeout)) },
				func() *pending { return asked(o.o.Start("leave", timeout)) },
			}
		}
	}
	sides := []func(*testing.T, *site, string) memberSide{
		theirs("Kazoo", "DoubleBarrier", kazoos),
		theirs("Curator", "DistributedDoubleBarrier", curators),
		func(t *testing.T, s *site, path string) memberSide {
			d, err := barrier.NewDouble(s.gazoo[0], path, 3)
			if err != nil {
				t.Fatal(err)
			}
			var m *barrier.Member
			return memberSide{
				"gazoo", s.gazoo[0].SessionID(),
				func() *pending {
					return in(t, func(ctx context.Context) (err error) {
						m, err = d.Enter(ctx)
						return err
					})
				},
				func() *pending { return in(t, func(ctx context.Context) error { return m.Leave(ctx) }) },
			}
		},
	}
	orders := [][3]int{{0, 1, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}, {1, 0, 2}, {0, 2, 1}}
	onEach(t, func(t *testing.T, s *site) {
		for i, order := range orders {
			path := newPath()
			var members [3]memberSide
			name := ""
			for k, side := range order {
				members[k] = sides[side](t, s, path)
				name += members[k].name + " "
			}
			t.Run(name, func(t *testing.T) {
				meetAt(t, s, path, members, "enter", func(m memberSide) *pending { return m.enter() })
				// They leave in another order than they came.
				parting := [3]memberSide{members[(i+1)%3], members[(i+2)%3], members[i%3]}
				meetAt(t, s, path, parting, "leave", func(m memberSide) *pending { return m.leave() })
				s.empties(t, path)
				found.format("double barrier: Kazoo, Curator and gazoo")
			})
		}
	})
}

// meetAt has members do something one after the other, for which all but the last must wait.
func meetAt(t *testing.T, s *site, path string, members [3]memberSide, what string, do func(memberSide) *pending) {
	t.Helper()
	var results [3]*pending
	for k, m := range members {
		results[k] = do(m)
		if k < 2 && !s.waiting(t, m.session, path, results[k].done) {
			t.Fatalf("%s: %s did not wait: %v", m.name, what, results[k].err())
		}
	}
	for k, m := range members {
		results[k].must(t, m.name+": "+what)
	}
}

// TestDoubleBarrierTimeout has one of theirs give up, which must let nobody in.
func TestDoubleBarrierTimeout(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		path := newPath()
		theirs := makes(t, s.curator[0], "DistributedDoubleBarrier", path, peer.Args{"members": 2})
		var entered bool
		theirs.do(&entered, "enter", peer.Args{"timeout_ms": 200})
		if entered {
			t.Error("Curator entered alone")
		}
		// Curator leaves its member behind when it gives up.
		d, err := barrier.NewDouble(s.gazoo[0], path, len(s.children(t, path))+2)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if _, err := d.Enter(ctx); err == nil {
			t.Error("Enter() = nil with one member too few")
		}
	})
}
