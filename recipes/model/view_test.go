package model_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/recipes/cache"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/model"
	"github.com/gazoo-zk/gazoo/zktest"
)

func newView(t *testing.T, m *model.Model[userKey, user], opts ...model.ViewOption) *model.View[userKey, user] {
	t.Helper()
	v, err := m.Cached(opts...)
	must(t, err)
	t.Cleanup(func() { v.Close() })
	return v
}

func entries(t *testing.T, v *model.View[userKey, user]) (all []string) {
	t.Helper()
	for e, err := range v.All() {
		if err != nil {
			all = append(all, fmt.Sprint(e.Key, " bad"))
			continue
		}
		all = append(all, fmt.Sprintf("%v%v%d", e.Key, e.Value, e.Version()))
	}
	return all
}

// A view answers by keys, with versions that a write can be based on, and shows one's own writes when it is asked to.
func TestView(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		ctx := t.Context()
		zk := recipetest.Dial(t, c.Hosts())
		users, err := model.New[userKey](zk, recipetest.Path(t)+"/{tenant}/users/{user}", model.JSON[user]())
		must(t, err)
		ann, bob := userKey{"acme", 1}, userKey{"best", 2}
		made := must1(must1(users.At(ann)).Create(ctx, user{Name: "Ann"}))
		v := newView(t, users)
		must(t, v.WaitSynced(ctx))
		got, err := v.Get(ctx, ann)
		if err != nil || got.Value != made.Value || got.Stat.Czxid != made.Stat.Czxid || got.Version() != 0 || got.Path != made.Path {
			t.Errorf("Get: %+v, %v, want %+v", got, err, made)
		}
		if _, err := v.Get(ctx, bob); !errors.Is(err, gazoo.ErrNoNode) {
			t.Errorf("Get of nothing: %v, want ErrNoNode", err)
		}
		got.Value.Logins = 1
		set, err := must1(v.At(ann)).Set(ctx, got)
		must(t, err)
		must(t, v.WaitApplied(ctx, set))
		if now := must1(v.Get(ctx, ann)); now.Value != set.Value || now.Stat.Mzxid != set.Stat.Mzxid {
			t.Errorf("Get behind WaitApplied: %+v, want %+v", now, set)
		}
		go must1(users.At(bob)).Put(ctx, user{Name: "Bob"})
		now, err := v.WaitFor(ctx, bob, func(b model.Versioned[user], found bool) bool { return found && b.Value.Name == "Bob" })
		if err != nil || now.Value.Name != "Bob" || now.Stat.Czxid == 0 {
			t.Errorf("WaitFor: %+v, %v", now, err)
		}
		if got, want := entries(t, v), []string{"{acme 1}{Ann 1}1", "{best 2}{Bob 0}0"}; !slices.Equal(got, want) {
			t.Errorf("All: %q, want %q", got, want)
		}
		must(t, v.Close())
		if _, err := v.WaitFor(ctx, ann, func(model.Versioned[user], bool) bool { return false }); !errors.Is(err, cache.ErrClosed) {
			t.Errorf("WaitFor behind Close: %v, want ErrClosed", err)
		}
	})
}

// Only what a key has is in a view; the rest of the tree is not even read.
func TestViewKeepsToItsTemplate(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		must(t, srv.Put("/app", "no user"))
		for _, path := range []string{
			"/app/acme/users/1", "/app/acme/users/2", "/app/acme/users/02", "/app/acme/users/1/photo", "/app/acme/groups/1", "/other/acme/users/1",
		} {
			must(t, srv.Put(path, `{"Name":"x"}`))
		}
		must(t, srv.Put("/app/acme/users/3", "{"))
		users := newUsers(t, recipetest.Client(t, srv))
		v := newView(t, users)
		must(t, v.WaitSynced(t.Context()))
		if got, want := entries(t, v), []string{"{acme 1}{x 0}0", "{acme 2}{x 0}0", "{acme 3} bad"}; !slices.Equal(got, want) {
			t.Errorf("All: %q, want %q", got, want)
		}
		for _, e := range srv.Log() {
			if s := e.String(); strings.Contains(s, "photo") || strings.Contains(s, "groups/") || strings.Contains(s, "other") {
				t.Errorf("read in vain: %s", s)
			}
		}
		_, err := v.Get(t.Context(), userKey{"acme", 3})
		if bad, ok := errors.AsType[*model.DataError](err); !ok || bad.Path != "/app/acme/users/3" || string(bad.Data) != "{" {
			t.Errorf("Get of bad data: %v, want a DataError", err)
		}
		if _, err := v.Get(t.Context(), userKey{"a/b", 3}); !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("Get of a key without a path: %v", err)
		}
	})
}

// A znode and its children as a view whose keys are paths.
func TestViewOfANode(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		ctx := t.Context()
		for _, path := range []string{"/n", "/n/a", "/n/a/deep"} {
			must(t, srv.Put(path, `{}`))
		}
		n := newNode(t, recipetest.Client(t, srv), "/n")
		for depth, want := range map[int]string{1: "/n /n/a", 2: "/n /n/a /n/a/deep"} {
			v := must1(n.Cached(model.WithCache(cache.WithDepth(depth))))
			defer v.Close()
			must(t, v.WaitSynced(ctx))
			var paths []string
			for e := range v.All() {
				paths = append(paths, e.Key)
			}
			if got := strings.Join(paths, " "); got != want {
				t.Errorf("with depth %d: %s, want %s", depth, got, want)
			}
			if _, err := v.Get(ctx, "/elsewhere"); !errors.Is(err, cache.ErrOutside) {
				t.Errorf("Get outside: %v, want ErrOutside", err)
			}
			if _, err := v.WaitFor(ctx, "/elsewhere", nil); !errors.Is(err, cache.ErrOutside) {
				t.Errorf("WaitFor outside: %v, want ErrOutside", err)
			}
		}
	})
}

// What read-through is for: a cache that has nothing yet, or is behind.
func TestReadThrough(t *testing.T) {
	for _, c := range []struct {
		through     model.Through
		missing     string // what Get shows before the cache has heard of a znode
		behindWrite string // and of its next write
	}{
		{model.CacheOnly, "none", "one"},
		{model.WhenMissing, "one", "one"},
		{model.WhenStale, "one", "two"},
	} {
		t.Run(fmt.Sprint(c.through), func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				ctx := t.Context()
				users := newUsers(t, recipetest.Client(t, srv))
				key := userKey{"acme", 1}
				v := newView(t, users, model.WithReadThrough(c.through))
				must(t, v.WaitSynced(ctx))
				show := func() string {
					got, err := v.Get(ctx, key)
					if errors.Is(err, gazoo.ErrNoNode) {
						return "none"
					}
					must(t, err)
					return got.Value.Name
				}
				unheard := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpEvent}, Do: zktest.Ignore()})
				must(t, srv.Put("/app/acme/users/1", `{"Name":"one"}`))
				if got := show(); got != c.missing {
					t.Errorf("before the cache knows: %s, want %s", got, c.missing)
				}
				unheard.Remove()
				srv.Cut() // everything is compared
				if _, err := v.WaitFor(ctx, key, func(_ model.Versioned[user], found bool) bool { return found }); err != nil {
					t.Fatal(err)
				}
				must(t, v.WaitSynced(ctx))
				// The cache is stale from a lost connection until it has compared everything.
				srv.Refuse()
				srv.Cut()
				zktest.Eventually(t, "the cache is stale", func() bool { return v.Cache().Synced().Stale })
				must(t, srv.Put("/app/acme/users/1", `{"Name":"two"}`))
				time.AfterFunc(time.Second, srv.Heal)
				if got := show(); got != c.behindWrite {
					t.Errorf("while the cache is stale: %s, want %s", got, c.behindWrite)
				}
			})
		})
	}
}

// Events are typed: keys and versions before and after, one for bad data, none for what no key has.
func TestViewEvents(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		ctx, cancel := context.WithCancel(t.Context())
		users := newUsers(t, recipetest.Client(t, srv))
		v := newView(t, users)
		must(t, v.WaitSynced(ctx))
		steps := []func() error{
			func() error { return srv.Put("/app/acme/users/1", `{"Name":"Ann"}`) },
			func() error { return srv.Put("/app/acme/users/x", `{"Name":"x"}`) },
			func() error { return srv.Put("/app/acme/users/1", `{`) },
			func() error { return srv.Put("/app/acme/users/1", `{"Name":"Eve"}`) },
			func() error { return srv.Remove("/app/acme/users/1") },
		}
		go func() {
			for _, step := range steps {
				synctest.Wait()
				if err := step(); err != nil {
					t.Error(err)
				}
			}
			synctest.Wait()
			cancel()
		}()
		show := func(v *model.Versioned[user]) string {
			if v == nil {
				return "none"
			}
			return fmt.Sprint(v.Value.Name, v.Version())
		}
		var got []string
		var last error
		for ev, err := range v.Events(ctx) {
			if last = err; err == nil {
				_, bad := errors.AsType[*model.DataError](ev.Err)
				got = append(got, fmt.Sprintf("%v%v%s %s %v", ev.Type, ev.Key, show(ev.Old), show(ev.New), bad))
			}
		}
		want := []string{
			"synced{ 0}none none false", "added{acme 1}none Ann0 false", "changed{acme 1}Ann0 1 true", "changed{acme 1}1 Eve2 false",
			"removed{acme 1}Eve2 none false",
		}
		if !slices.Equal(got, want) {
			t.Errorf("events: %q\nwant %q", got, want)
		}
		if !errors.Is(last, context.Canceled) {
			t.Errorf("the last element: %v, want context.Canceled", last)
		}
	})
}

// The session ends under a view while others write: it comes back with exactly what is there, and whoever waits is told.
func TestViewOutlivesTheSession(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		ctx := t.Context()
		zk := recipetest.Client(t, srv)
		users := newUsers(t, zk)
		stay, gone, come := userKey{"acme", 1}, userKey{"acme", 2}, userKey{"best", 3}
		for _, key := range []userKey{stay, gone} {
			must1(must1(users.At(key)).Create(ctx, user{}))
		}
		v := newView(t, users)
		must(t, v.WaitSynced(ctx))
		kept := must1(v.Get(ctx, stay))
		waited := make(chan error, 1)
		go func() {
			_, err := v.WaitFor(ctx, come, func(_ model.Versioned[user], found bool) bool { return found })
			waited <- err
		}()
		synctest.Wait()
		old := zk.SessionID()
		srv.Refuse()
		srv.ExpireSession(old)
		must(t, srv.Remove("/app/acme/users/2"))
		must(t, srv.Put("/app/best/users/3", `{"Logins":3}`))
		must(t, srv.Put("/app/acme/users/1", `{"Logins":9}`))
		srv.Heal()
		if err := <-waited; err != nil {
			t.Errorf("WaitFor: %v", err)
		}
		must(t, v.WaitSynced(ctx))
		if got, want := entries(t, v), []string{"{acme 1}{ 9}1", "{best 3}{ 3}0"}; !slices.Equal(got, want) {
			t.Errorf("All: %q, want %q", got, want)
		}
		if _, err := must1(v.At(stay)).Set(ctx, kept); !errors.Is(err, model.ErrConflict) {
			t.Errorf("Set on the version from before: %v, want ErrConflict", err)
		}
		if zk.SessionID() == old {
			t.Error("no session ended, which shows nothing")
		}
	})
}
