package recipes

import (
	"errors"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/interop/recipes/peer"
	"github.com/gazoo-zk/gazoo/recipes/lease"
)

// obtains has Kazoo ask for a lease.
func obtains(t *testing.T, s *site, path, identifier string, args peer.Args) bool {
	t.Helper()
	all := peer.Args{"path": path, "identifier": identifier, "seconds": 60}
	for k, v := range args {
		all[k] = v
	}
	var ok bool
	if err := s.kazoo[0].Start("lease", all).Wait(within(t), &ok); err != nil {
		t.Fatal(err)
	}
	return ok
}

// TestLease has Kazoo and gazoo respect each other's leases, renew their own, and take over what has ended.
func TestLease(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		path := newPath()
		if !obtains(t, s, path, "kazoo", nil) {
			t.Fatal("Kazoo did not get a free lease")
		}
		ours, err := lease.New(s.gazoo[0], path, time.Minute, lease.WithHolder("gazoo"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ours.Obtain(within(t)); !errors.Is(err, lease.ErrTaken) {
			t.Errorf("Obtain() = %v while Kazoo has it, want ErrTaken", err)
		}
		record, found1, err := ours.Current(within(t))
		if left := time.Until(record.End); err != nil || !found1 || record.Holder != "kazoo" || left < 50*time.Second || left > 61*time.Second {
			t.Errorf("Current() = %+v, %v, %v; want Kazoo's lease of a minute", record, found1, err)
		}
		if !obtains(t, s, path, "kazoo", nil) {
			t.Error("Kazoo cannot renew its lease")
		}
		same, err := lease.New(s.gazoo[0], path, time.Second, lease.WithHolder("kazoo"))
		if err != nil {
			t.Fatal(err)
		}
		grant, err := same.Obtain(within(t)) // the same holder, in another program
		if err != nil {
			t.Fatalf("Obtain() = %v by the same holder, want a renewal", err)
		}
		ctx, cancel := grant.Context(within(t))
		defer cancel()
		<-ctx.Done() // a second at most
		if _, err := ours.Obtain(within(t)); err != nil {
			t.Fatalf("Obtain() = %v when the lease has ended", err)
		}
		if obtains(t, s, path, "kazoo", nil) {
			t.Error("Kazoo got the lease that gazoo has")
		}
		if !obtains(t, s, path, "gazoo", nil) {
			t.Error("Kazoo could not renew the lease as the same holder")
		}
		if err := ours.Release(within(t)); err != nil {
			t.Fatal(err)
		}
		if !obtains(t, s, path, "kazoo", nil) {
			t.Error("Kazoo did not get the lease that was released")
		}
		found.format("lease: NonBlockingLease, both ways")
	})
}

// TestMultiLease has Kazoo and gazoo share a number of leases.
func TestMultiLease(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		path := newPath()
		multi := func(holder string) error {
			m, err := lease.NewMulti(s.gazoo[0], path, 2, time.Minute, lease.WithHolder(holder))
			if err != nil {
				t.Fatal(err)
			}
			_, err = m.Obtain(within(t))
			return err
		}
		two := peer.Args{"count": 2}
		if !obtains(t, s, path, "kazoo-1", two) {
			t.Fatal("Kazoo did not get the first of two")
		}
		if err := multi("gazoo-1"); err != nil {
			t.Fatalf("Obtain() = %v, want the second of two", err)
		}
		if obtains(t, s, path, "kazoo-2", two) {
			t.Error("Kazoo got a third of two")
		}
		if err := multi("gazoo-2"); !errors.Is(err, lease.ErrTaken) {
			t.Errorf("Obtain() = %v, want ErrTaken", err)
		}
		if !obtains(t, s, path, "kazoo-1", two) {
			t.Error("Kazoo cannot renew")
		}
		if err := multi("gazoo-1"); err != nil {
			t.Errorf("Obtain() = %v, want a renewal", err)
		}
		found.format("lease: MultiNonBlockingLease, both ways")
	})
}
