package recipes

import (
	"slices"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/interop/recipes/peer"
	"github.com/gazoo-zk/gazoo/recipes/lock"
	"github.com/gazoo-zk/gazoo/recipes/membership"
	"github.com/gazoo-zk/gazoo/zktest"
)

// TestKilledPeer kills processes of the other libraries while they hold a lock that gazoo waits for: it gets the lock when
// the server has ended their sessions, not before, and the member that Kazoo was is gone from the party.
func TestKilledPeer(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		type victim struct {
			process *peer.Process
			path    string
			done    chan error
		}
		var victims []*victim
		party := newPath()
		for _, library := range []struct {
			start func() (*peer.Process, error)
			kind  string
			style lock.Style
		}{
			{peer.Kazoo, "Lock", lock.Kazoo},
			{peer.Curator, "InterProcessMutex", lock.Curator},
			{peer.GoZK, "Lock", lock.Kazoo},
		} {
			p, err := library.start()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { p.Kill() })
			c, err := p.Connect(within(t), s.hosts)
			if err != nil {
				t.Fatal(err)
			}
			v := &victim{process: p, path: newPath(), done: make(chan error, 1)}
			victims = append(victims, v)
			var held bool
			makes(t, c, library.kind, v.path, nil).do(&held, "acquire", timeout)
			if !held {
				t.Fatalf("%s did not get a free lock", p.Name)
			}
			if library.kind == "Lock" && p.Name == shared.kazoo.Name {
				makes(t, c, "Party", party, peer.Args{"identifier": "kazoo"}).do(nil, "join", nil)
			}
			mu, err := lock.New(s.gazoo[0], v.path, lock.WithStyle(library.style))
			if err != nil {
				t.Fatal(err)
			}
			ctx := within(t)
			go func() {
				held, err := mu.Lock(ctx)
				if err == nil {
					err = held.Release(ctx)
				}
				v.done <- err
			}()
			s.waitChildren(t, v.path, 2)
		}
		for _, v := range victims {
			if err := v.process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		killed := time.Now()
		for _, v := range victims {
			if err := <-v.done; err != nil {
				t.Errorf("Lock behind the dead %s: %v", v.process.Name, err)
			}
			// The server hears of nobody's death: it has to wait for their time-outs.
			if took := time.Since(killed); took < 2*time.Second {
				t.Errorf("Lock behind the dead %s came after %v, before the session can have ended", v.process.Name, took)
			}
			found.format("expiry: gazoo behind a killed " + v.process.Name)
		}
		ours, err := membership.NewParty(s.gazoo[0], party, "gazoo")
		if err != nil {
			t.Fatal(err)
		}
		zktest.Eventually(t, "the party is empty", func() bool {
			var members []string
			for id, err := range ours.Members(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				members = append(members, id)
			}
			return !slices.Contains(members, "kazoo")
		})
	})
}
