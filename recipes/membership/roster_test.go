package membership_test

import (
	"errors"
	"fmt"
	"maps"
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

func newMember(t testing.TB, zk *gazoo.Client, path, id, data string) *membership.Member {
	t.Helper()
	m, err := membership.NewMember(zk, path, id, []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close(soon(t)) })
	if err := errors.Join(m.WaitCreated(within(t, 10*time.Second)), m.Roster().WaitSynced(within(t, 10*time.Second))); err != nil {
		t.Fatal(err)
	}
	return m
}

func show(entries []membership.Entry) string {
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "%s=%s ", e.Name, e.Data)
	}
	return strings.TrimSpace(b.String())
}

// waitShown waits until a roster shows these members.
func waitShown(t testing.TB, r *membership.Roster, want string) {
	t.Helper()
	got := "nothing yet"
	for entries, err := range r.Watch(within(t, time.Minute)) {
		if err != nil {
			t.Fatalf("roster shows %q, want %q: %v", got, want, err)
		}
		if got = show(entries); got == want {
			return
		}
	}
}

func TestGroup(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		path := recipetest.Path(t) + "/group"
		one := newMember(t, recipetest.Dial(t, c.Hosts()), path, "one", "a")
		two := newMember(t, recipetest.Dial(t, c.Hosts()), path, "two", "b")
		waitShown(t, one.Roster(), "one=a two=b")
		waitShown(t, two.Roster(), "one=a two=b")
		two.SetData([]byte("c"))
		waitShown(t, one.Roster(), "one=a two=c")
		want := map[string][]byte{"one": []byte("a"), "two": []byte("c")}
		if got := one.Members(); !maps.EqualFunc(got, want, func(a, b []byte) bool { return string(a) == string(b) }) || one.ID() != "one" {
			t.Errorf("Members() = %q, want %q", got, want)
		}
		if e, found := one.Roster().Get("two"); !found || string(e.Data) != "c" || !e.Stat.Ephemeral() {
			t.Errorf("Get(two) = %+v, %v", e, found)
		}
		if err := two.Close(within(t, 10*time.Second)); err != nil {
			t.Errorf("Close: %v", err)
		}
		waitShown(t, one.Roster(), "one=a")
		if err := one.Roster().Err(); err != nil {
			t.Errorf("Err() = %v, want nil", err)
		}
	})
}

// Members and lists come back by themselves, whoever loses what.
func TestGroupOutlivesSessions(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		a, b := recipetest.Client(t, srv), recipetest.Client(t, srv)
		one, two := newMember(t, a, "/group", "one", "a"), newMember(t, b, "/group", "two", "b")
		waitShown(t, one.Roster(), "one=a two=b")
		waitShown(t, two.Roster(), "one=a two=b")
		srv.Session(b.SessionID()).BlackHole()
		waitShown(t, one.Roster(), "one=a")
		if got := show(two.Roster().Entries()); got != "one=a two=b" || !errors.Is(two.Roster().Err(), membership.ErrStale) {
			t.Errorf("cut off: %q, Err() = %v, want the old list and ErrStale", got, two.Roster().Err())
		}
		one.SetData([]byte("new"))
		srv.Heal()
		waitShown(t, one.Roster(), "one=new two=b")
		waitShown(t, two.Roster(), "one=new two=b")
		if err := two.Roster().Err(); err != nil {
			t.Errorf("back: Err() = %v, want nil", err)
		}
		srv.Restart(zktest.LoseData)
		two.SetData([]byte("reborn"))
		waitShown(t, one.Roster(), "one=new two=reborn")
		waitShown(t, two.Roster(), "one=new two=reborn")
	})
}

// A roster costs one watch and reads only what has changed.
func TestRosterReadsOnlyChanges(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		for i := range 500 {
			if err := srv.Put(fmt.Sprintf("/list/%03d", i), "x"); err != nil {
				t.Fatal(err)
			}
		}
		r := newRoster(t, recipetest.Client(t, srv), "/list", membership.WithNames(func(name string) bool { return name != "007" }))
		if got := len(r.Entries()); got != 499 {
			t.Fatalf("%d entries, want 499", got)
		}
		if w := srv.Watches(); len(w) != 1 {
			t.Errorf("%d watches, want 1", len(w))
		}
		reads := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpRead}, Do: zktest.Call(func(zktest.Request) {})})
		for _, path := range []string{"/list/003", "/list/007", "/list/new", "/list/new/deeper", "/elsewhere"} {
			if err := srv.Put(path, "y"); err != nil {
				t.Fatal(err)
			}
		}
		if err := srv.Remove("/list/004"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if e, _ := r.Get("003"); string(e.Data) != "y" || len(r.Entries()) != 499 {
			t.Errorf("003 = %q of %d, want y of 499", e.Data, len(r.Entries()))
		}
		if n := reads.Hits(); n < 3 || n > 6 {
			t.Errorf("%d reads for three changes", n)
		}
	})
}

// Reads that get lost, and children that may not be read, do not stall the list.
func TestRosterUnderFaults(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		for path, data := range map[string]string{"/list/a": "1", "/list/b": "2"} {
			if err := srv.Put(path, data); err != nil {
				t.Fatal(err)
			}
		}
		srv.DropReply(zktest.OpAddWatch, "")
		srv.DropReply(zktest.OpChildren, "")
		srv.DropReply(zktest.OpGet, "/list/a")
		srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpGet, Path: "/list/b"}, Do: zktest.Fail(gazoo.ErrThrottledOp), Times: 2})
		r := newRoster(t, recipetest.Client(t, srv), "/list")
		waitShown(t, r, "a=1 b=2")
		srv.Fail(zktest.OpGet, "/list/b", gazoo.ErrNoAuth)
		if err := srv.Put("/list/b", "secret"); err != nil {
			t.Fatal(err)
		}
		waitShown(t, r, "a=1")
		if err := r.Err(); !errors.Is(err, gazoo.ErrNoAuth) {
			t.Errorf("Err() = %v, want ErrNoAuth", err)
		}
		if err := srv.Remove("/list"); err != nil {
			t.Fatal(err)
		}
		waitShown(t, r, "")
		if err := srv.Put("/list/c", "3"); err != nil {
			t.Fatal(err)
		}
		waitShown(t, r, "c=3")
		if err := r.Err(); err != nil {
			t.Errorf("Err() = %v, want nil", err)
		}
		r.Close()
		var last error
		for _, err := range r.Watch(t.Context()) {
			last = err
		}
		if !errors.Is(last, membership.ErrClosed) || !errors.Is(r.Err(), membership.ErrClosed) {
			t.Errorf("after Close: Watch ends with %v, Err() = %v, want ErrClosed", last, r.Err())
		}
	})
}

func newRoster(t testing.TB, zk *gazoo.Client, path string, opts ...membership.RosterOption) *membership.Roster {
	t.Helper()
	r, err := membership.NewRoster(zk, path, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	if err := r.WaitSynced(within(t, time.Minute)); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestGroupArguments(t *testing.T) {
	for name, make := range map[string]func() (*membership.Member, error){
		"path":  func() (*membership.Member, error) { return membership.NewMember(nil, "group", "x", nil) },
		"id":    func() (*membership.Member, error) { return membership.NewMember(nil, "/g", "a/b", nil) },
		"no id": func() (*membership.Member, error) { return membership.NewMember(nil, "/g", "", nil) },
		"mode": func() (*membership.Member, error) {
			return membership.NewMember(nil, "/g", "x", nil, membership.Sequential())
		},
	} {
		if m, err := make(); m != nil || !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("%s: %v, %v, want ErrBadArguments", name, m, err)
		}
	}
	if _, err := membership.NewRoster(nil, "x"); !errors.Is(err, gazoo.ErrBadArguments) {
		t.Errorf("NewRoster: %v, want ErrBadArguments", err)
	}
}
