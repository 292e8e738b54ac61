package membership_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/membership"
	"github.com/gazoo-zk/gazoo/zktest"
)

func TestNodeIsRegisteredAndRemoved(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		zk := recipetest.Dial(t, c.Hosts())
		path := recipetest.Path(t) + "/deep/node"
		n := newNode(t, zk, path, "one")
		data, stat, err := zk.Get(t.Context(), path)
		if err != nil || string(data) != "one" || stat.EphemeralOwner != zk.SessionID() {
			t.Fatalf("Get = %q owner 0x%x, %v, want one of 0x%x", data, stat.EphemeralOwner, err, zk.SessionID())
		}
		if r, ok := n.Current(); !ok || r.Path != path || r.Czxid != stat.Czxid || r.Session != zk.SessionID() || r.Count != 1 {
			t.Errorf("Current() = %+v, %v, want the znode with czxid %d", r, ok, stat.Czxid)
		}
		n.SetData([]byte("two"))
		if err := n.WaitCreated(within(t, 10*time.Second)); err != nil {
			t.Fatal(err)
		}
		if data, _, err := zk.Get(t.Context(), path); err != nil || string(data) != "two" {
			t.Errorf("after SetData and WaitCreated: Get = %q, %v, want two", data, err)
		}
		for range 2 {
			if err := n.Close(within(t, 10*time.Second)); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		if _, found, err := zk.Exists(t.Context(), path); found || err != nil {
			t.Errorf("after Close: Exists = %v, %v, want it gone", found, err)
		}
		if err := n.Err(); !errors.Is(err, membership.ErrClosed) {
			t.Errorf("after Close: Err() = %v, want ErrClosed", err)
		}
		if r, ok := n.Current(); ok {
			t.Errorf("after Close: Current() = %+v, want none", r)
		}
	})
}

// Every mode comes back after the session has ended and after somebody has deleted it, at the same path.
func TestNodeComesBackInEveryMode(t *testing.T) {
	guid := `_c_[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}-`
	for _, tc := range []struct {
		name string
		opts []membership.Option
		path string // pattern
		dump string // what Dump says of the mode
	}{
		{"ephemeral", nil, "/dir/node", " ephemeral"},
		{"protected", []membership.Option{membership.Protected()}, "/dir/" + guid + "node", " ephemeral"},
		{"ephemeral sequential", []membership.Option{membership.Sequential()}, "/dir/" + guid + `node0000000000`, " ephemeral"},
		{"persistent", []membership.Option{membership.Persistent()}, "/dir/node", ""},
		{"persistent sequential", []membership.Option{membership.Persistent(), membership.Sequential()}, "/dir/" + guid + `node0000000000`, ""},
		{"container", []membership.Option{membership.Container()}, "/dir/node", " container"},
		{"TTL", []membership.Option{membership.TTL(time.Minute)}, "/dir/node", " ttl=1m0s"},
		{"TTL sequential", []membership.Option{membership.TTL(time.Minute), membership.Sequential()}, "/dir/" + guid + `node0000000000`, " ttl=1m0s"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				zk := recipetest.Client(t, srv)
				n := newNode(t, zk, "/dir/node", "data", tc.opts...)
				first, ok := n.Current()
				if !ok || !regexp.MustCompile("^"+tc.path+"$").MatchString(first.Path) {
					t.Fatalf("Current() = %+v, %v, want a path like %s", first, ok, tc.path)
				}
				want := first.Path + ` "data"` + tc.dump
				if got := strings.TrimSpace(srv.Dump(zktest.Below(first.Path))); got != want {
					t.Fatalf("registered:\n got %s\nwant %s", got, want)
				}
				if err := srv.Remove(first.Path); err != nil {
					t.Fatal(err)
				}
				waitCount(t, n, 2)
				srv.ExpireSession(zk.SessionID())
				if strings.Contains(tc.dump, "ephemeral") {
					waitCount(t, n, 3)
				}
				synctest.Wait()
				if got := strings.TrimSpace(srv.Dump(zktest.Below(first.Path))); got != want {
					t.Errorf("again:\n got %s\nwant %s", got, want)
				}
				last, ok := n.Current()
				if !ok || last.Path != first.Path || last.Czxid <= first.Czxid {
					t.Errorf("Current() = %+v, %v, want the path of %+v and a larger czxid", last, ok, first)
				}
				if err := n.Close(within(t, time.Second)); err != nil {
					t.Errorf("Close: %v", err)
				}
				srv.RequireTree(t, "/dir")
			})
		})
	}
}

func waitCount(t testing.TB, n *membership.PersistentNode, count uint64) membership.Registration {
	t.Helper()
	for r, err := range n.Registrations(within(t, time.Minute)) {
		if err != nil {
			t.Fatalf("registration %d: %v", count, err)
		}
		if r.Count >= count {
			return r
		}
	}
	panic("unreachable: an iteration ends with an error")
}

// Whatever answer is lost, there is one znode with the newest data, and none after Close.
func TestNodeSurvivesLostAnswers(t *testing.T) {
	for _, mode := range []struct {
		name string
		opts []membership.Option
	}{
		{"ephemeral", nil},
		{"ephemeral sequential", []membership.Option{membership.Sequential()}},
		{"persistent", []membership.Option{membership.Persistent()}},
		{"persistent sequential", []membership.Option{membership.Persistent(), membership.Sequential()}},
	} {
		t.Run(mode.name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				zk := recipetest.Client(t, srv)
				if err := srv.Put("/dir", ""); err != nil {
					t.Fatal(err)
				}
				created := srv.DropReply(zktest.OpCreate, "")
				n := newNode(t, zk, "/dir/node", "one", mode.opts...)
				if created.Hits() != 1 {
					t.Fatal("no create was lost")
				}
				if got := srv.Count(); got != 2 {
					t.Fatalf("after a lost create there are %d znodes, want 2:\n%s", got, srv.Dump())
				}
				r, _ := n.Current()
				set := srv.DropReply(zktest.OpSet, "")
				n.SetData([]byte("two"))
				if err := n.WaitCreated(within(t, 10*time.Second)); err != nil {
					t.Fatal(err)
				}
				if got, _ := srv.Get(r.Path); got != "two" || set.Hits() != 1 {
					t.Errorf("after a lost set: %q (%d lost), want two", got, set.Hits())
				}
				deleted := srv.DropReply(zktest.OpDelete, "")
				if err := n.Close(within(t, 10*time.Second)); err != nil || deleted.Hits() != 1 {
					t.Errorf("Close = %v with %d lost deletes, want nil", err, deleted.Hits())
				}
				srv.RequireTree(t, "/dir")
			})
		})
	}
}

// A Close right behind a create whose answer never came leaves nothing, although the node never knew its znode.
func TestCloseRemovesWhatALostCreateMade(t *testing.T) {
	for name, opts := range map[string][]membership.Option{
		"ephemeral":             nil,
		"sequential":            {membership.Sequential()},
		"persistent sequential": {membership.Persistent(), membership.Sequential()},
	} {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				zk := recipetest.Client(t, srv)
				if err := srv.Put("/dir", ""); err != nil {
					t.Fatal(err)
				}
				create := srv.DropReply(zktest.OpCreate, "")
				srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpConnect}, Do: zktest.DropRequest(), Times: 3})
				n := startNode(t, zk, "/dir/node", "one", opts...)
				if err := create.Wait(within(t, time.Second)); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				if err := n.Close(ctx); !errors.Is(err, context.Canceled) {
					t.Errorf("Close with a dead context = %v, want context.Canceled", err)
				}
				if err := n.Close(within(t, 5*time.Second)); err != nil {
					t.Errorf("Close again: %v", err)
				}
				if got := srv.Count(); got != 1 {
					t.Errorf("left behind:\n%s", srv.Dump())
				}
			})
		})
	}
}

// The server that the node talks to lags behind: it does not know yet of the znode whose create was lost. Close does not
// believe it.
func TestCloseOnALaggingServer(t *testing.T) {
	for name, opts := range map[string][]membership.Option{
		"ephemeral":             nil,
		"persistent":            {membership.Persistent()},
		"ephemeral sequential":  {membership.Sequential()},
		"persistent sequential": {membership.Persistent(), membership.Sequential()},
	} {
		t.Run(name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				zk := recipetest.Client(t, srv)
				if err := srv.Put("/dir", ""); err != nil {
					t.Fatal(err)
				}
				srv.Endpoint(0).Lag(2 * time.Second)
				n := startNode(t, zk, "/dir/node", "x", opts...)
				time.Sleep(time.Second)
				if err := n.Close(within(t, 0)); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Close = %v, want its deadline", err)
				}
				srv.Cut()
				if err := n.Close(within(t, time.Minute)); err != nil {
					t.Errorf("Close again: %v", err)
				}
				time.Sleep(10 * time.Second)
				srv.RequireTree(t, "/dir")
			}, zktest.Endpoints(1))
		})
	}
}

// The link is down while the node is closed: the znode goes when it is back, in the same session.
func TestCloseDuringADisconnect(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		n := newNode(t, zk, "/node", "x")
		srv.Refuse()
		srv.Cut()
		if err := n.Close(within(t, time.Second)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close without a connection = %v, want its deadline", err)
		}
		session := zk.SessionID()
		srv.Heal()
		zktest.Eventually(t, "the znode has gone", func() bool { _, found := srv.Get("/node"); return !found })
		if zk.SessionID() != session {
			t.Error("the session was lost, which proves nothing")
		}
		if err := n.Close(within(t, time.Second)); err != nil {
			t.Errorf("Close again: %v", err)
		}
	})
}

// Close deletes its own znode alone, also when somebody else has taken the path meanwhile.
func TestCloseLeavesWhatIsForeign(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk, other := recipetest.Client(t, srv), recipetest.Client(t, srv)
		n := newNode(t, zk, "/node", "x")
		if _, err := other.Txn().Delete("/node", gazoo.AnyVersion).Create("/node", []byte("theirs"), gazoo.Ephemeral()).Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := n.Close(within(t, time.Second)); err != nil {
			t.Errorf("Close: %v", err)
		}
		waitOwned(t, srv, "/node", "theirs", other.SessionID())
	})
}

func TestDriftIsRepaired(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		newNode(t, zk, "/kept", "right")
		loose := newNode(t, zk, "/loose", "right", membership.WithoutRepair())
		for _, path := range []string{"/kept", "/loose"} {
			if err := srv.Put(path, "wrong"); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if got, _ := srv.Get("/kept"); got != "right" {
			t.Errorf("repaired data = %q, want right", got)
		}
		if got, _ := srv.Get("/loose"); got != "wrong" {
			t.Errorf("data under WithoutRepair = %q, want wrong", got)
		}
		loose.SetData([]byte("new"))
		time.Sleep(time.Second)
		if got, _ := srv.Get("/loose"); got != "new" {
			t.Errorf("new data under WithoutRepair = %q, want new", got)
		}
	})
}

// Two programs that both want their data in one znode write at a bounded rate.
func TestFightsAreBounded(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		for _, data := range []string{"mine", "no, mine"} {
			newNode(t, recipetest.Client(t, srv), "/node", data, membership.Persistent())
		}
		before := srv.Zxid()
		time.Sleep(10 * time.Minute)
		if writes := srv.Zxid() - before; writes < 10 || writes > 600 {
			t.Errorf("%d writes in ten minutes, want some, and about one in 2.5 s", writes)
		}
	})
}

// Scenario: a new session starts while the old one's ephemeral is still there, for 30 s more.
func TestOldOwnerStillThere(t *testing.T) {
	t.Run("of another process", func(t *testing.T) {
		recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
			old := recipetest.Client(t, srv, gazoo.WithSessionTimeout(30*time.Second))
			if _, err := old.Create(t.Context(), "/node", []byte("old"), gazoo.Ephemeral()); err != nil {
				t.Fatal(err)
			}
			id := old.SessionID()
			srv.Session(id).BlackHole()
			zk := recipetest.Client(t, srv)
			start := time.Now()
			n := startNode(t, zk, "/node", "new")
			time.Sleep(20 * time.Second)
			if r, ok := n.Current(); ok || !errors.Is(n.Err(), membership.ErrForeignOwner) {
				t.Fatalf("beside the old owner: Current() = %+v, %v, Err() = %v, want ErrForeignOwner", r, ok, n.Err())
			}
			if err := n.WaitCreated(within(t, time.Minute)); err != nil {
				t.Fatalf("WaitCreated: %v", err)
			}
			if d := time.Since(start); d < 25*time.Second || owner(srv, "/node") != zk.SessionID() {
				t.Errorf("after %v the owner is 0x%x, want 0x%x after 30 s", d, owner(srv, "/node"), zk.SessionID())
			}
		})
	})
	t.Run("of another process, replaced", func(t *testing.T) {
		recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
			old := recipetest.Client(t, srv)
			if _, err := old.Create(t.Context(), "/node", []byte("old"), gazoo.Ephemeral()); err != nil {
				t.Fatal(err)
			}
			zk := recipetest.Client(t, srv)
			newNode(t, zk, "/node", "new", membership.OnForeign(membership.ForeignReplace))
			waitOwned(t, srv, "/node", "new", zk.SessionID())
		})
	})
	t.Run("of another process, reported", func(t *testing.T) {
		recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
			old := recipetest.Client(t, srv)
			if _, err := old.Create(t.Context(), "/node", []byte("old"), gazoo.Ephemeral()); err != nil {
				t.Fatal(err)
			}
			zk := recipetest.Client(t, srv)
			n := startNode(t, zk, "/node", "new", membership.OnForeign(membership.ForeignReport))
			if err := n.WaitCreated(within(t, time.Minute)); !errors.Is(err, membership.ErrForeignOwner) {
				t.Errorf("WaitCreated = %v, want ErrForeignOwner", err)
			}
			old.Close()
			waitOwned(t, srv, "/node", "new", zk.SessionID())
		})
	})
	// A server that starts a new session instead of refusing the old one leaves the old one's ephemeral.
	t.Run("of this very client", func(t *testing.T) {
		recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
			zk := recipetest.Client(t, srv, gazoo.WithSessionTimeout(30*time.Second))
			n := newNode(t, zk, "/node", "x")
			first, _ := n.Current()
			srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpConnect}, Do: zktest.NewSession(), Times: 1})
			srv.Cut()
			start := time.Now()
			r := waitCount(t, n, 2)
			if r.Session == first.Session || r.Session != zk.SessionID() || r.Session != owner(srv, "/node") {
				t.Errorf("registered for 0x%x, the znode's owner is 0x%x, the session 0x%x", r.Session, owner(srv, "/node"), zk.SessionID())
			}
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("it took %v, want it replaced at once", d)
			}
			time.Sleep(time.Minute) // the old session ends meanwhile
			waitOwned(t, srv, "/node", "x", zk.SessionID())
		})
	})
}

// Scenario: there is no server at first, the data changes twice, a server appears, the session ends.
func TestFirstConnectLate(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		srv.Stop()
		zk, err := gazoo.New(srv.Addr(), gazoo.WithDialer(srv.Dial), gazoo.WithSessionTimeout(recipetest.SessionTimeout))
		if err != nil {
			t.Fatal(err)
		}
		defer zk.CloseNow()
		n := startNode(t, zk, "/app/node", "one")
		time.Sleep(time.Hour)
		n.SetData([]byte("two"))
		n.SetData([]byte("three"))
		if err := n.WaitCreated(within(t, time.Second)); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("WaitCreated without a server = %v, want its deadline", err)
		}
		srv.Restart(zktest.KeepData)
		if err := n.WaitCreated(within(t, time.Minute)); err != nil {
			t.Fatal(err)
		}
		waitOwned(t, srv, "/app/node", "three", zk.SessionID())

		srv.ExpireSession(zk.SessionID())
		n.SetData([]byte("four"))
		if err := n.WaitCreated(within(t, time.Minute)); err != nil {
			t.Fatal(err)
		}
		waitOwned(t, srv, "/app/node", "four", zk.SessionID())

		srv.DropReply(zktest.OpDelete, "/app/node")
		for range 3 {
			if err := n.Close(within(t, time.Minute)); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		srv.RequireTree(t, "/app")
	})
}

// A node that was cut off does not claim to be registered once its session may be over, and says so by the clock.
func TestPresumedExpiryEndsTheClaim(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		n := newNode(t, zk, "/node", "x")
		srv.Session(zk.SessionID()).BlackHole()
		time.Sleep(3 * time.Second)
		if _, ok := n.Current(); !ok {
			t.Error("not current although the session lives")
		}
		time.Sleep(recipetest.SessionTimeout)
		if r, ok := n.Current(); ok || !gazoo.SessionLost(n.Err()) {
			t.Errorf("Current() = %+v, %v, Err() = %v, want the session's end", r, ok, n.Err())
		}
		srv.Heal()
		waitCount(t, n, 2)
		waitOwned(t, srv, "/node", "x", zk.SessionID())
	})
}

// A fleet that has lost its sessions together comes back spread over the jitter.
func TestJitterSpreadsAFleet(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		const fleet, jitter = 20, time.Minute
		for i := range fleet {
			newNode(t, recipetest.Client(t, srv), "/app/"+string(rune('a'+i)), "", membership.WithJitter(jitter))
		}
		for _, s := range srv.Sessions() {
			srv.ExpireSession(s.ID)
		}
		time.Sleep(jitter / 2)
		zk := recipetest.Client(t, srv)
		if n := len(recipetest.Children(t, zk, "/app")); n < 2 || n > fleet-2 {
			t.Errorf("%d of %d are back after half the jitter", n, fleet)
		}
		time.Sleep(jitter/2 + 10*time.Second)
		if n := len(recipetest.Children(t, zk, "/app")); n != fleet {
			t.Errorf("%d of %d are back after the jitter", n, fleet)
		}
	})
}

func TestTTLNodeIsTouched(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		n := newNode(t, zk, "/node", "x", membership.TTL(time.Minute), membership.KeepOnClose())
		time.Sleep(time.Hour)
		r, ok := n.Current()
		if _, found := srv.Get("/node"); !found || !ok || r.Count != 1 {
			t.Errorf("after an hour: found %v, Current() = %+v, %v, want the first znode", found, r, ok)
		}
		if err := n.Close(within(t, time.Second)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		if _, found := srv.Get("/node"); !found {
			t.Error("gone although it was kept, and touched within the minute")
		}
		time.Sleep(time.Minute)
		if _, found := srv.Get("/node"); found {
			t.Error("still there although nobody has touched it for its time to live")
		}
	})
}

// What the server refuses is told at once, and the node goes on trying.
func TestRefusalsAreTold(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		srv.Fail(zktest.OpCreate, "/node", gazoo.ErrNoAuth)
		n := startNode(t, zk, "/node", "x")
		if err := n.WaitCreated(within(t, time.Minute)); !errors.Is(err, gazoo.ErrNoAuth) {
			t.Errorf("WaitCreated = %v, want ErrNoAuth", err)
		}
		waitCount(t, n, 1)
		if err := n.WaitCreated(within(t, time.Minute)); err != nil || n.Err() != nil {
			t.Errorf("later: WaitCreated = %v, Err() = %v", err, n.Err())
		}
	})
}

func TestClosedClientEndsTheNode(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		n := newNode(t, zk, "/node", "x")
		zk.Close()
		var last error
		for _, err := range n.Registrations(within(t, time.Minute)) {
			last = err
		}
		if !errors.Is(last, gazoo.ErrClosed) {
			t.Errorf("Registrations ended with %v, want gazoo.ErrClosed", last)
		}
		if err := n.Close(within(t, time.Second)); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

func TestNodeArguments(t *testing.T) {
	for name, opts := range map[string][]membership.Option{
		"two modes":            {membership.Persistent(), membership.Container()},
		"sequential container": {membership.Container(), membership.Sequential()},
		"short TTL":            {membership.TTL(time.Microsecond)},
		"empty ACL":            {membership.WithACL()},
		"policy":               {membership.OnForeign(17)},
		"negative jitter":      {membership.WithJitter(-1)},
	} {
		if n, err := membership.NewPersistentNode(nil, "/x", nil, opts...); n != nil || !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("%s: NewPersistentNode = %v, %v, want ErrBadArguments", name, n, err)
		}
	}
	for _, path := range []string{"/", "x", "/x/", ""} {
		if _, err := membership.NewPersistentNode(nil, path, nil); !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("NewPersistentNode(%q): %v, want ErrBadArguments", path, err)
		}
	}
}
