package membership_test

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/membership"
	"github.com/gazoo-zk/gazoo/zktest"
)

// kinds are the two kinds of party, with what Kazoo's look like: a pattern of the znode's name, and its data.
var kinds = []struct {
	name string
	make func(*gazoo.Client, string, string, ...membership.Option) (*membership.Party, error)
	node string
}{
	{"party", membership.NewParty, `^[0-9a-f]{32}__party__$`},
	{"shallow party", membership.NewShallowParty, `^[0-9a-f]{32}-host-\d$`},
}

func members(t testing.TB, p *membership.Party) []string {
	t.Helper()
	var ids []string
	for id, err := range p.Members(t.Context()) {
		if err != nil {
			t.Fatalf("Members: %v", err)
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func TestPartyMembers(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
				zk := recipetest.Dial(t, c.Hosts())
				path := recipetest.Path(t)
				ctx := within(t, 20*time.Second)
				var parties []*membership.Party
				for _, id := range []string{"host-1", "host-2", "host-2"} {
					p, err := kind.make(zk, path, id)
					if err != nil {
						t.Fatal(err)
					}
					if got := members(t, p); p.Participating() || slices.Contains(got, id) && len(parties) < 2 {
						t.Errorf("before Join: participating %v, members %q", p.Participating(), got)
					}
					for range 2 {
						if err := p.Join(ctx); err != nil {
							t.Fatal(err)
						}
					}
					if !p.Participating() || p.Identifier() != id {
						t.Errorf("%s does not participate", id)
					}
					parties = append(parties, p)
				}
				if _, err := zk.Create(ctx, path+"/foreign", nil); err != nil {
					t.Fatal(err)
				}
				want := []string{"host-1", "host-2", "host-2"}
				if err := zk.Sync(ctx, path); err != nil {
					t.Fatal(err)
				}
				if got := members(t, parties[0]); !slices.Equal(got, want) {
					t.Errorf("Members() = %q, want %q", got, want)
				}
				if n, err := parties[0].Len(ctx); n != 3 || err != nil {
					t.Errorf("Len() = %d, %v, want 3", n, err)
				}
				for _, name := range recipetest.Children(t, zk, path) {
					data, stat, err := zk.Get(ctx, path+"/"+name)
					if err != nil || name != "foreign" && (!regexp.MustCompile(kind.node).MatchString(name) || !slices.Contains(want, string(data)) || !stat.Ephemeral()) {
						t.Errorf("znode %s with data %q, %v: not as Kazoo makes it", name, data, err)
					}
				}
				for _, wantLeft := range []bool{true, false} {
					if left, err := parties[1].Leave(ctx); left != wantLeft || err != nil || parties[1].Participating() {
						t.Errorf("Leave = %v, %v, participating %v, want %v", left, err, parties[1].Participating(), wantLeft)
					}
				}
				if n, err := parties[0].Len(ctx); n != 2 || err != nil {
					t.Errorf("after Leave: Len() = %d, %v, want 2", n, err)
				}
				if err := parties[1].Join(ctx); err != nil {
					t.Errorf("joining again: %v", err)
				}
			})
		})
	}
}

// Kazoo's party is empty after an expiry and says that it is participating; here it is neither.
func TestPartyOutlivesTheSession(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				zk := recipetest.Client(t, srv)
				p, err := kind.make(zk, "/party", "host-1")
				if err != nil {
					t.Fatal(err)
				}
				if err := p.Join(within(t, time.Second)); err != nil {
					t.Fatal(err)
				}
				srv.Refuse()
				srv.ExpireSession(zk.SessionID())
				time.Sleep(recipetest.SessionTimeout)
				if p.Participating() || !gazoo.SessionLost(p.Err()) {
					t.Errorf("cut off: Participating() = %v, Err() = %v, want false and the session's end", p.Participating(), p.Err())
				}
				srv.Heal()
				if err := p.Join(within(t, time.Minute)); err != nil {
					t.Fatal(err)
				}
				if got := members(t, p); !slices.Equal(got, []string{"host-1"}) || !p.Participating() || p.Err() != nil {
					t.Errorf("back: Members() = %q, Participating() = %v, Err() = %v", got, p.Participating(), p.Err())
				}
				if left, err := p.Leave(within(t, time.Second)); !left || err != nil {
					t.Errorf("Leave = %v, %v, want true", left, err)
				}
			})
		})
	}
}

// A Join that gives up leaves nothing, even when its create had arrived; one that follows is not undone by that.
func TestFailedJoinLeavesNothing(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		if err := srv.Put("/party", ""); err != nil {
			t.Fatal(err)
		}
		p, err := membership.NewParty(zk, "/party", "x")
		if err != nil {
			t.Fatal(err)
		}
		hold := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpCreate}, Do: zktest.HoldReply(), Times: 1})
		if err := p.Join(within(t, time.Second)); !errors.Is(err, context.DeadlineExceeded) || p.Participating() {
			t.Fatalf("Join = %v, Participating() = %v, want its deadline", err, p.Participating())
		}
		if srv.Count() != 2 {
			t.Fatal("the create had not arrived, which proves nothing")
		}
		hold.Release()
		time.Sleep(time.Second)
		srv.RequireTree(t, "/party")
		if err := p.Join(within(t, time.Minute)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := members(t, p); len(got) != 1 || !p.Participating() {
			t.Errorf("Members() = %q, Participating() = %v after joining again", got, p.Participating())
		}
	})
}

// A Leave whose time has run out goes on, and a Join behind it waits for that: its znode has the same name.
func TestJoinBehindAnUnfinishedLeave(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		p, err := membership.NewParty(zk, "/party", "x")
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Join(within(t, time.Second)); err != nil {
			t.Fatal(err)
		}
		srv.DropRequest(zktest.OpDelete, "")
		if left, err := p.Leave(within(t, 10*time.Millisecond)); left || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Leave = %v, %v, want its deadline", left, err)
		}
		if p.Participating() {
			t.Error("participating while leaving")
		}
		if err := p.Join(within(t, time.Minute)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if r, ok := p.Current(); !ok || r.Count != 1 {
			t.Errorf("Current() = %+v, %v, want a registration that nobody has deleted", r, ok)
		}
	})
}

// Leave tells whether there was something to leave, also when its answer was lost or somebody was faster.
func TestLeaveTellsTheTruth(t *testing.T) {
	for _, tc := range []struct {
		name  string
		fault func(srv *zktest.Server)
		want  bool
	}{
		{"nothing", func(*zktest.Server) {}, true},
		{"a lost answer", func(srv *zktest.Server) { srv.DropReply(zktest.OpDelete, "") }, true},
		{"a lost request", func(srv *zktest.Server) { srv.DropRequest(zktest.OpDelete, "") }, true},
		{"an expiry", func(srv *zktest.Server) {
			srv.Refuse()
			srv.ExpireSession(srv.Sessions()[0].ID)
			srv.Heal()
		}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				zk := recipetest.Client(t, srv)
				p, err := membership.NewParty(zk, "/party", "x")
				if err != nil {
					t.Fatal(err)
				}
				if err := p.Join(within(t, time.Second)); err != nil {
					t.Fatal(err)
				}
				tc.fault(srv)
				if left, err := p.Leave(within(t, time.Minute)); left != tc.want || err != nil {
					t.Errorf("Leave = %v, %v, want %v", left, err, tc.want)
				}
				srv.RequireTree(t, "/party")
			})
		})
	}
}

func TestPartyWatch(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				p, err := kind.make(recipetest.Client(t, srv), "/party", "host-1")
				if err != nil {
					t.Fatal(err)
				}
				seen := make(chan []string, 10)
				ctx, cancel := context.WithCancel(t.Context())
				go func() {
					defer close(seen)
					for ids, err := range p.Watch(ctx) {
						if err != nil {
							return
						}
						slices.Sort(ids)
						seen <- ids
					}
				}()
				step := func(what string, do func() error, want ...string) {
					t.Helper()
					if err := do(); err != nil {
						t.Fatalf("%s: %v", what, err)
					}
					synctest.Wait()
					if got := <-seen; !slices.Equal(got, want) {
						t.Errorf("%s: watch yields %q, want %q", what, got, want)
					}
				}
				other, err := kind.make(recipetest.Client(t, srv), "/party", "host-2")
				if err != nil {
					t.Fatal(err)
				}
				step("empty", func() error { return nil })
				step("join", func() error { return p.Join(ctx) }, "host-1")
				step("another", func() error { return other.Join(ctx) }, "host-1", "host-2")
				step("leave", func() error { _, err := p.Leave(ctx); return err }, "host-2")
				cancel()
				for range seen {
				}
			})
		})
	}
}

func TestPartyArguments(t *testing.T) {
	for name, make := range map[string]func() (*membership.Party, error){
		"path":               func() (*membership.Party, error) { return membership.NewParty(nil, "party", "x") },
		"mode":               func() (*membership.Party, error) { return membership.NewParty(nil, "/p", "x", membership.Persistent()) },
		"shallow identifier": func() (*membership.Party, error) { return membership.NewShallowParty(nil, "/p", "a/b") },
		"control characters": func() (*membership.Party, error) { return membership.NewShallowParty(nil, "/p", "a\x01") },
	} {
		if p, err := make(); p != nil || !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("%s: %v, %v, want ErrBadArguments", name, p, err)
		}
	}
	if _, err := membership.NewParty(nil, "/p", "any/thing"); err != nil {
		t.Errorf("a party's identifier is data: %v", err)
	}
}
