package gazoo_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/peer"
)

func TestSetServersMovesTheSessionOffAServerThatLeft(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		b := &peer.Basic{}
		w.serve("a:2181", b.Handle)
		w.serve("b:2181", b.Handle)
		zk := w.connect("a/app")
		id := zk.SessionID()
		view, err := zk.Chroot("/deeper")
		must(t, err)
		must(t, view.SetServers("b"))
		time.Sleep(time.Second)
		if zk.Server() != "b:2181" || zk.SessionID() != id {
			t.Errorf("on %q in session %x, want b:2181 in %x", zk.Server(), zk.SessionID(), id)
		}
		if hosts := zk.Hosts(); len(hosts) != 1 || hosts[0].Name != "b" {
			t.Errorf("Hosts() = %v, want b", hosts)
		}
	})
}

func TestSetServersStaysWhereItMay(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		b := &peer.Basic{}
		a := w.serve("a:2181", b.Handle)
		w.serve("c:2181", b.Handle)
		zk := w.connect("a,b")
		sub := zk.SubscribeState()
		must(t, zk.SetServers("c,a")) // as many as before, and the present one is still there
		time.Sleep(time.Minute)
		if _, err := sub.Next(closed(t)); zk.Server() != "a:2181" || err == nil {
			t.Errorf("on %q, want no move from a:2181", zk.Server())
		}
		a.Close()
		time.Sleep(time.Second)
		if zk.Server() != "c:2181" {
			t.Errorf("after a was lost: on %q, want c:2181 of the new list", zk.Server())
		}
	})
}

func TestSetServersBeforeAnyServerWasFound(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		zk := w.client("nowhere")
		time.Sleep(10 * time.Second)
		w.serve("b:2181", (&peer.Basic{}).Handle)
		must(t, zk.SetServers("b"))
		w.waitState(zk, gazoo.StateConnected, 10*time.Second)
	})
}

func TestSetServersRefusesWhatItCannotDo(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.serve("a:2181", (&peer.Basic{}).Handle)
		zk := w.connect("a/app")
		for _, hosts := range []string{"a:0", "a/other", "a,,b"} {
			if err := zk.SetServers(hosts); len(argumentErrors(err)) != 1 || argumentErrors(err)[0].Arg != "hosts" {
				t.Errorf("SetServers(%q): %v, want an *ArgumentError about hosts", hosts, err)
			}
		}
		must(t, zk.SetServers("a/app"))
		must(t, zk.Close())
		if err := zk.SetServers("a"); !errors.Is(err, gazoo.ErrClosed) {
			t.Errorf("SetServers after Close: %v, want ErrClosed", err)
		}
	})
}
