package zkserver_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/internal/rawzk"
	"github.com/gazoo-zk/gazoo/zkproto"
	"github.com/gazoo-zk/gazoo/zkserver"
)

func paths(nodes []zkserver.Node) []string {
	var all []string
	for _, n := range nodes {
		all = append(all, n.Path)
	}
	return all
}

func TestNodesPutAndRemove(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		c := v.dial().Open(20 * time.Second)
		c.Want(zkproto.OK, zkproto.OpAddWatch, zkproto.AddWatchRequest{Path: "/", Mode: zkproto.WatchPersistentRecursive})
		closed := create("/locked")
		closed.ACL = []zkproto.ACL{{Perms: zkproto.PermRead, Scheme: "world", ID: "anyone"}}
		c.Send(zkproto.OpCreate, closed)
		c.Next()
		c.Next()

		must(t, v.srv.Put("/a/b/c", []byte("1")))
		must(t, v.srv.Put("/a/b/c", []byte("2")))
		must(t, v.srv.Put("/locked/x", nil)) // no ACL stops it
		for _, want := range []string{"/a", "/a/b", "/a/b/c", "/a/b/c", "/locked/x"} {
			if ev := event(t, c.Next()); ev.Path != want {
				t.Errorf("event of %s, want %s: the server's own writes are seen by all", ev.Path, want)
			}
		}
		nodes := v.srv.Nodes("/a")
		if got, want := paths(nodes), []string{"/a", "/a/b", "/a/b/c"}; !slices.Equal(got, want) {
			t.Fatalf("Nodes(/a) = %q, want %q", got, want)
		}
		if n := nodes[2]; string(n.Data) != "2" || n.Stat.Version != 1 || !slices.Equal(n.ACL, open) {
			t.Errorf("/a/b/c = %+v, want data 2 of version 1, open", n)
		}
		if zxid := v.srv.Zxid(); zxid != nodes[2].Stat.Mzxid+1 {
			t.Errorf("Zxid() = %#x, want one more than the last set, %#x", zxid, nodes[2].Stat.Mzxid)
		}
		must(t, v.srv.Remove("/a"))
		if got := v.srv.Nodes("/a"); got != nil {
			t.Errorf("Nodes(/a) = %q after Remove", paths(got))
		}
		for _, x := range []struct {
			err  error
			want error
		}{
			{v.srv.Remove("/a"), zkproto.ErrNoNode},
			{v.srv.Remove("/zookeeper/quota"), zkproto.ErrBadArguments},
			{v.srv.Put("a", nil), zkproto.ErrBadArguments},
			{v.srv.Put("", nil), zkproto.ErrBadArguments},
			{v.srv.Put("/x/../y", nil), zkproto.ErrBadArguments},
		} {
			if !errors.Is(x.err, x.want) {
				t.Errorf("error %v, want %v", x.err, x.want)
			}
		}
		v.srv.Close()
		if err := v.srv.Put("/a", nil); !errors.Is(err, zkserver.ErrClosed) {
			t.Errorf("Put of a closed server = %v, want ErrClosed", err)
		}
		if err := v.srv.Remove("/a"); !errors.Is(err, zkserver.ErrClosed) {
			t.Errorf("Remove of a closed server = %v, want ErrClosed", err)
		}
	})
}

func TestWatchesAreListed(t *testing.T) {
	virtual(t, func(t *testing.T, v *world) {
		a, b := v.dial().Open(20*time.Second), v.dial().Open(20*time.Second)
		a.Want(zkproto.ErrNoNode, zkproto.OpExists, zkproto.PathWatchRequest{Path: "/x", Watch: true})
		a.Want(zkproto.OK, zkproto.OpGetChildren, zkproto.PathWatchRequest{Path: "/", Watch: true})
		b.Want(zkproto.OK, zkproto.OpAddWatch, zkproto.AddWatchRequest{Path: "/x", Mode: zkproto.WatchPersistent})
		b.Want(zkproto.OK, zkproto.OpAddWatch, zkproto.AddWatchRequest{Path: "/", Mode: zkproto.WatchPersistentRecursive})
		ida, idb := a.Session.SessionID, b.Session.SessionID
		want := []zkserver.WatchInfo{
			{ida, "/", zkserver.WatchChildren},
			{idb, "/", zkserver.WatchRecursive},
			{ida, "/x", zkserver.WatchData},
			{idb, "/x", zkserver.WatchPersistent},
		}
		if got := v.srv.Watches(); !slices.Equal(got, want) {
			t.Errorf("Watches() = %+v, want %+v", got, want)
		}
	})
}

func TestDataOfAnotherServer(t *testing.T) {
	first := start(t)
	c := rawzk.Dial(t, first.Addr()).Open(20 * time.Second)
	req := create("/e")
	req.Mode = zkproto.ModeEphemeral
	c.Want(zkproto.OK, zkproto.OpCreate, req)
	first.Close()
	second := start(t, zkserver.WithDataOf(first))
	d := rawzk.Dial(t, second.Addr())
	if s := d.Handshake(rawzk.Resume(c.Session)); s.SessionID != c.Session.SessionID {
		t.Fatalf("resumed as %+v, want the session of the server before", s)
	}
	d.Want(zkproto.OK, zkproto.OpExists, zkproto.PathWatchRequest{Path: "/e"})
	d.Want(zkproto.OK, zkproto.OpCloseSession, nil)
	if got := second.Nodes("/e"); got != nil {
		t.Errorf("the ephemeral outlived its session: %+v", got)
	}
}
