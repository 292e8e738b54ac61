package discovery_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/recipes/discovery"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/membership"
	"github.com/gazoo-zk/gazoo/zktest"
)

func TestMain(m *testing.M) { recipetest.Main(m) }

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func services(t testing.TB, zk *gazoo.Client, base string, opts ...discovery.Option) *discovery.Discovery[string] {
	t.Helper()
	d, err := discovery.New[string](zk, base, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func register(t testing.TB, d *discovery.Discovery[string], i discovery.Instance[string], opts ...membership.Option) *discovery.Registration[string] {
	t.Helper()
	r, err := d.Register(i, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Second)
		defer cancel()
		_ = r.Close(ctx) // a test may end without a server
	})
	if err := r.WaitCreated(within(t, 10*time.Second)); err != nil {
		t.Fatal(err)
	}
	return r
}

func web(id string) discovery.Instance[string] {
	return discovery.Instance[string]{Name: "web", ID: id, Address: "10.0.0.1", Port: 80}
}

func show(instances []discovery.Instance[string]) string {
	var b strings.Builder
	for _, i := range instances {
		fmt.Fprintf(&b, "%s=%s ", i.ID, i.Payload)
	}
	return strings.TrimSpace(b.String())
}

// waitShown waits until a cache shows these instances.
func waitShown(t testing.TB, c *discovery.Cache[string], want string) {
	t.Helper()
	got := "nothing yet"
	for instances, err := range c.Watch(within(t, time.Minute)) {
		if err != nil {
			t.Fatalf("cache shows %q, want %q: %v", got, want, err)
		}
		if got = show(instances); got == want {
			return
		}
	}
}

func TestServices(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		zk := recipetest.Dial(t, c.Hosts())
		d := services(t, zk, recipetest.Path(t))
		ctx := within(t, 20*time.Second)
		if names, err := d.Names(ctx); len(names) != 0 || err != nil {
			t.Errorf("Names() = %q, %v, want none", names, err)
		}
		cache, err := d.Cache("web")
		if err != nil {
			t.Fatal(err)
		}
		defer cache.Close()
		one := register(t, d, web("one"))
		made := register(t, d, discovery.Instance[string]{Name: "db"}).Instance()
		if !regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString(made.ID) || made.Registered.IsZero() || made.Type != discovery.Dynamic {
			t.Errorf("registered with defaults: %+v", made)
		}
		if names, err := d.Names(ctx); !slices.Equal(names, []string{"db", "web"}) || err != nil {
			t.Errorf("Names() = %q, %v, want db and web", names, err)
		}
		waitShown(t, cache, "one=")
		changed := one.Instance()
		changed.Payload, changed.ID = "new", "not changed"
		if err := errors.Join(one.Update(changed), one.WaitCreated(ctx)); err != nil {
			t.Fatal(err)
		}
		waitShown(t, cache, "one=new")
		if i, err := d.Instance(ctx, "web", "one"); i.Payload != "new" || i.Port != 80 || err != nil {
			t.Errorf("Instance(web, one) = %+v, %v", i, err)
		}
		if list, err := d.Instances(ctx, "web"); show(list) != "one=new" || err != nil {
			t.Errorf("Instances(web) = %q, %v", show(list), err)
		}
		if err := cache.Err(); err != nil {
			t.Errorf("Err() = %v, want nil", err)
		}
		if err := one.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		waitShown(t, cache, "")
		if _, err := d.Instance(ctx, "web", "one"); !errors.Is(err, gazoo.ErrNoNode) {
			t.Errorf("Instance of a closed registration: %v, want ErrNoNode", err)
		}
	})
}

// How long an instance of each type stays.
func TestServiceTypes(t *testing.T) {
	for _, tc := range []struct {
		kind                      discovery.ServiceType
		dump                      string // pattern of the znode
		outlivesSession, outlives bool   // the session's end; Close
	}{
		{discovery.Dynamic, `^/s/web/id .* ephemeral$`, false, false},
		{discovery.DynamicSequential, `^/s/web/_c_[0-9a-f-]{36}-id0000000000 .* ephemeral$`, false, false},
		{discovery.Static, `^/s/web/id "[^"].*}"$`, true, false},
		{discovery.Permanent, `^/s/web/id "[^"].*}"$`, true, true},
	} {
		t.Run(string(tc.kind), func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				zk := recipetest.Client(t, srv)
				d := services(t, zk, "/s")
				i := web("id")
				i.Type = tc.kind
				r := register(t, d, i)
				path := r.Node()
				at, _ := path.Current()
				if got := strings.TrimSpace(srv.Dump(zktest.Below(at.Path))); !regexp.MustCompile(tc.dump).MatchString(got) {
					t.Errorf("znode %s, want %s", got, tc.dump)
				}
				if got := srv.Dump(zktest.Below("/s")); !strings.Contains(got, "/s container") || !strings.Contains(got, "/s/web container") {
					t.Errorf("parents are no containers:\n%s", got)
				}
				srv.Refuse()
				srv.ExpireSession(zk.SessionID())
				synctest.Wait()
				if _, found := srv.Get(at.Path); found != tc.outlivesSession {
					t.Errorf("after the session: found %v, want %v", found, tc.outlivesSession)
				}
				srv.Heal()
				zktest.Eventually(t, "it is back in the next session", func() bool { _, found := srv.Get(at.Path); return found })
				if err := r.Close(within(t, time.Minute)); err != nil {
					t.Fatal(err)
				}
				if _, found := srv.Get(at.Path); found != tc.outlives {
					t.Errorf("after Close: found %v, want %v", found, tc.outlives)
				}
				srv.DropReply(zktest.OpDelete, "")
				for range 2 {
					if err := d.Remove(within(t, time.Minute), "web", "id"); err != nil {
						t.Errorf("Remove: %v", err)
					}
				}
				if _, found := srv.Get(at.Path); found {
					t.Error("still there after Remove")
				}
			})
		})
	}
}

func TestPayloadClass(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		type size struct {
			N int `json:"n"`
		}
		for i, tc := range []struct {
			payload any
			want    string
		}{
			{size{3}, `{"@class":"org.Size","n":3}`},
			{struct{}{}, `{"@class":"org.Size"}`},
			{payload{Class: "own"}, `{"@class":"own","name":"","weight":0}`},
			{"text", `"text"`},
			{nil, `null`},
		} {
			d, err := discovery.New[any](zk, "/s", discovery.WithPayloadClass("org.Size"))
			if err != nil {
				t.Fatal(err)
			}
			r, err := d.Register(discovery.Instance[any]{Name: "web", ID: fmt.Sprint(i), Payload: tc.payload})
			if err != nil {
				t.Fatal(err)
			}
			if err := r.WaitCreated(within(t, time.Second)); err != nil {
				t.Fatal(err)
			}
			text, _ := srv.Get(fmt.Sprintf("/s/web/%d", i))
			var got struct{ Payload json.RawMessage }
			if err := json.Unmarshal([]byte(text), &got); err != nil || string(got.Payload) != tc.want {
				t.Errorf("payload %v is written as %s, %v, want %s", tc.payload, got.Payload, err, tc.want)
			}
			if err := r.Close(within(t, time.Second)); err != nil {
				t.Error(err)
			}
		}
	})
}

// What is no instance neither hides the others nor goes unnoticed.
func TestMalformedInstances(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		d := services(t, recipetest.Client(t, srv), "/s")
		register(t, d, web("good"))
		if err := srv.Put("/s/web/bad", "{"); err != nil {
			t.Fatal(err)
		}
		list, err := d.Instances(t.Context(), "web")
		if show(list) != "good=" || !errors.Is(err, discovery.ErrMalformed) || !strings.Contains(err.Error(), "/s/web/bad") {
			t.Errorf("Instances = %q, %v, want good, and ErrMalformed of /s/web/bad", show(list), err)
		}
		cache, err := d.Cache("web")
		if err != nil {
			t.Fatal(err)
		}
		defer cache.Close()
		waitShown(t, cache, "good=")
		if err := cache.Err(); !errors.Is(err, discovery.ErrMalformed) {
			t.Errorf("Err() = %v, want ErrMalformed", err)
		}
		if err := srv.Put("/s/web/bad", `{"name":"web","id":"bad","payload":"mended"}`); err != nil {
			t.Fatal(err)
		}
		waitShown(t, cache, "bad=mended good=")
		if err := cache.Err(); err != nil {
			t.Errorf("Err() = %v, want nil", err)
		}
	})
}

func newProvider(t testing.TB, d *discovery.Discovery[string], opts ...discovery.ProviderOption[string]) *discovery.Provider[string] {
	t.Helper()
	p, err := d.Provider("web", opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// pick returns the ids of n picks.
func pick(t testing.TB, p *discovery.Provider[string], n int) string {
	t.Helper()
	var ids []string
	for range n {
		i, err := p.Instance(within(t, time.Second))
		if err != nil {
			ids = append(ids, "none")
			if !errors.Is(err, discovery.ErrNoInstance) {
				t.Errorf("Instance: %v, want ErrNoInstance", err)
			}
			continue
		}
		ids = append(ids, i.ID)
	}
	return strings.Join(ids, " ")
}

func TestStrategies(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		d := services(t, recipetest.Client(t, srv), "/s")
		round := newProvider(t, d)
		random := newProvider(t, d, discovery.WithStrategy(discovery.Random[string]()))
		sticky := newProvider(t, d, discovery.WithStrategy(discovery.Sticky(discovery.RoundRobin[string]())))
		last := newProvider(t, d, discovery.WithStrategy(func(list []discovery.Instance[string]) int { return len(list) - 1 }))
		wild := newProvider(t, d, discovery.WithStrategy(func([]discovery.Instance[string]) int { return 17 }))
		if got := pick(t, round, 1); got != "none" {
			t.Errorf("without instances: %s", got)
		}
		a := register(t, d, web("a"))
		register(t, d, web("b"))
		register(t, d, web("c"))
		synctest.Wait()
		if got := pick(t, round, 5); got != "a b c a b" {
			t.Errorf("round robin picks %s", got)
		}
		if got := pick(t, sticky, 3); got != "a a a" {
			t.Errorf("sticky picks %s", got)
		}
		if got := pick(t, last, 2); got != "c c" {
			t.Errorf("a function picks %s", got)
		}
		if got := pick(t, random, 200); strings.Count(got, "a") < 20 || strings.Count(got, "b") < 20 || strings.Count(got, "c") < 20 {
			t.Errorf("random picks %s", got)
		}
		if i, err := wild.Instance(t.Context()); !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("a pick out of range: %v, %v", i, err)
		}
		if err := a.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := pick(t, sticky, 2); got != "b b" && got != "c c" {
			t.Errorf("sticky picks %s after its instance has gone", got)
		}
	})
}

func TestFilters(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		d := services(t, recipetest.Client(t, srv), "/s")
		not := func(id string) discovery.ProviderOption[string] {
			return discovery.WithFilter(func(i discovery.Instance[string]) bool { return i.ID != id })
		}
		p := newProvider(t, d, not("a"), not("b"))
		var c *discovery.Registration[string]
		for _, id := range []string{"a", "b", "c", "d"} {
			r := register(t, d, web(id))
			if id == "c" {
				c = r
			}
		}
		synctest.Wait()
		if got := show(p.All()); got != "c= d=" {
			t.Errorf("All() = %s, want c and d", got)
		}
		off := c.Instance()
		off.Disabled = true
		if err := errors.Join(c.Update(off), c.WaitCreated(t.Context())); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := pick(t, p, 3); got != "d d d" {
			t.Errorf("with c disabled: %s", got)
		}
		if n := len(p.Cache().Instances()); n != 4 {
			t.Errorf("the cache has %d instances, want all 4", n)
		}
	})
}

// An instance is out after the errors of its policy, and back when the time is over; one that registers again is in.
func TestDownPolicy(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		d := services(t, recipetest.Client(t, srv), "/s")
		p := newProvider(t, d, discovery.WithDownPolicy[string](3, time.Minute))
		a := register(t, d, web("a"))
		register(t, d, web("b"))
		synctest.Wait()
		check := func(when, want string) {
			t.Helper()
			if got := show(p.All()); got != want {
				t.Errorf("%s: %s, want %s", when, got, want)
			}
		}
		p.NoteError(a.Instance())
		p.NoteError(a.Instance())
		check("after two errors", "a= b=")
		time.Sleep(40 * time.Second)
		p.NoteError(a.Instance())
		check("after three", "b=")
		time.Sleep(20 * time.Second)
		check("a minute after the first", "a= b=")
		p.NoteError(a.Instance())
		p.NoteError(a.Instance())
		check("after two more", "a= b=")
		p.NoteError(a.Instance())
		check("after the third", "b=")
		if err := a.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		register(t, d, web("a"))
		synctest.Wait()
		check("registered again", "a= b=")
	})
}

// Without a connection a provider goes on with what it knows, and then learns what it has missed.
func TestProviderOutlivesSessions(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		reader, writer := recipetest.Client(t, srv), recipetest.Client(t, srv)
		p := newProvider(t, services(t, reader, "/s"))
		d := services(t, writer, "/s")
		a := register(t, d, web("a"))
		waitShown(t, p.Cache(), "a=")
		srv.Session(reader.SessionID()).BlackHole()
		if err := a.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		register(t, d, web("b"))
		time.Sleep(time.Minute)
		if got := pick(t, p, 2); got != "a a" || !errors.Is(p.Cache().Err(), membership.ErrStale) {
			t.Errorf("cut off: %s, %v, want a and ErrStale", got, p.Cache().Err())
		}
		srv.Heal()
		waitShown(t, p.Cache(), "b=")
	})
}

func TestHandler(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		d := services(t, zk, "/s")
		at := time.UnixMilli(1700000000000)
		full := discovery.Instance[string]{Name: "web", ID: "a", Address: "h", Port: 1, SSLPort: 2, Payload: "p", Registered: at, URI: spec(t, "x")}
		off := discovery.Instance[string]{Name: "web", ID: "b", Registered: at, Disabled: true}
		register(t, d, full)
		register(t, d, off)
		off.Name = "idle"
		register(t, d, off)
		const a = `{"name":"web","id":"a","address":"h","port":1,"sslPort":2,"registrationTimeUTC":1700000000000,"serviceType":"DYNAMIC","payload":"p"}`
		const b = `{"name":"web","id":"b","address":null,"registrationTimeUTC":1700000000000,"serviceType":"DYNAMIC","payload":""}`
		h := d.Handler()
		ask := func(method, path string) (int, string) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(within(t, time.Second), method, path, nil))
			body, _ := io.ReadAll(w.Result().Body)
			return w.Code, strings.TrimSpace(string(body))
		}
		for _, tc := range []struct {
			method, path string
			code         int
			body         string
		}{
			{"GET", "/v1/service", 200, `[{"name":"idle"},{"name":"web"}]`},
			{"GET", "/v1/service/web", 200, "[" + a + "," + b + "]"},
			{"GET", "/v1/service/none", 200, "[]"},
			{"GET", "/v1/service/web/a", 200, a},
			{"GET", "/v1/service/web/none", 404, "not found"},
			{"GET", "/v1/service/a%2Fb", 404, "not found"},
			{"GET", "/v1/anyservice/web", 200, a},
			{"GET", "/v1/anyservice/idle", 404, "not found"},
			{"GET", "/v1/elsewhere", 404, "404 page not found"},
			{"PUT", "/v1/service/web/a", 405, "Method Not Allowed"},
			{"DELETE", "/v1/service/web/a", 405, "Method Not Allowed"},
		} {
			if code, body := ask(tc.method, tc.path); code != tc.code || body != tc.body {
				t.Errorf("%s %s: %d %s, want %d %s", tc.method, tc.path, code, body, tc.code, tc.body)
			}
		}
		if err := srv.Put("/s/web/bad", "{"); err != nil {
			t.Fatal(err)
		}
		if code, body := ask("GET", "/v1/service/web"); code != 200 || body != "["+a+","+b+"]" {
			t.Errorf("with a malformed instance: %d %s", code, body)
		}
		if code, body := ask("GET", "/v1/anyservice/web"); code != 200 || body != a {
			t.Errorf("any beside a malformed instance: %d %s", code, body)
		}
		if code, _ := ask("GET", "/v1/service/web/bad"); code != http.StatusInternalServerError {
			t.Errorf("a malformed instance: %d, want 500", code)
		}
		srv.BlackHole()
		for _, path := range []string{"/v1/service", "/v1/service/web", "/v1/service/web/a", "/v1/anyservice/web"} {
			if code, _ := ask("GET", path); code != http.StatusServiceUnavailable {
				t.Errorf("%s without ZooKeeper: %d, want 503", path, code)
			}
		}
	})
}

func TestArguments(t *testing.T) {
	if _, err := discovery.New[string](nil, "s"); !errors.Is(err, gazoo.ErrBadArguments) {
		t.Errorf("New: %v, want ErrBadArguments", err)
	}
	d := services(t, nil, "/s")
	for what, i := range map[string]discovery.Instance[string]{
		"no name": {},
		"name":    {Name: "a/b"},
		"id":      {Name: "a", ID: "a/b"},
		"type":    {Name: "a", Type: "FOREVER"},
	} {
		if r, err := d.Register(i); r != nil || !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("Register with bad %s: %v, %v, want ErrBadArguments", what, r, err)
		}
	}
	for what, opt := range map[string]discovery.ProviderOption[string]{
		"strategy": discovery.WithStrategy[string](nil),
		"filter":   discovery.WithFilter[string](nil),
		"errors":   discovery.WithDownPolicy[string](0, time.Second),
		"window":   discovery.WithDownPolicy[string](1, 0),
	} {
		if p, err := d.Provider("web", opt); p != nil || !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("Provider with bad %s: %v, %v, want ErrBadArguments", what, p, err)
		}
	}
}
