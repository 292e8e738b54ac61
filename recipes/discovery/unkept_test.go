package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/discovery"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/zktest"
)

// send asks a handler, for ten seconds at most.
func send(t testing.TB, h http.Handler, method, path, body string, header ...string) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(within(t, 10*time.Second), method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	got, _ := io.ReadAll(w.Result().Body)
	return w.Code, strings.TrimSpace(string(got))
}

const (
	path = "/v1/service/web/a"
	body = `{"name":"web","id":"a","address":"h","port":1,"registrationTimeUTC":1700000000000,"serviceType":"STATIC","payload":"p"}`
)

// What is put over HTTP is an instance as any other, outlives whoever has put it, is replaced, and removed, any number of
// times.
func TestHandlerWrites(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		d := services(t, zk, "/s")
		h := d.Handler(discovery.WithWrites())
		for _, payload := range []string{"p", "p", "q"} {
			if code, text := send(t, h, "PUT", path, strings.ReplaceAll(body, `"p"`, `"`+payload+`"`), "Content-Type", "application/json; charset=utf-8"); code != 201 || text != "" {
				t.Fatalf("PUT: %d %s, want 201", code, text)
			}
		}
		want := strings.ReplaceAll(body, `"p"`, `"q"`)
		if code, text := send(t, h, "GET", path, ""); code != 200 || text != want {
			t.Errorf("GET: %d %s, want 200 %s", code, text, want)
		}
		srv.Session(zk.SessionID()).Expire()
		synctest.Wait()
		other := services(t, recipetest.Client(t, srv), "/s")
		i, err := other.Instance(t.Context(), "web", "a")
		if err != nil || i.Payload != "q" || i.Type != discovery.Static || i.Registered.UnixMilli() != 1700000000000 {
			t.Errorf("behind the end of the session that wrote it: %+v, %v", i, err)
		}
		for range 2 {
			if code, text := send(t, h, "DELETE", path, ""); code != 200 {
				t.Errorf("DELETE: %d %s, want 200", code, text)
			}
		}
		if _, err := other.Instance(t.Context(), "web", "a"); !errors.Is(err, gazoo.ErrNoNode) {
			t.Errorf("behind a DELETE: %v, want ErrNoNode", err)
		}

		// Without a time of registration it is the present.
		before := time.Now()
		if code, text := send(t, h, "PUT", path, `{"name":"web","id":"a","address":"h","serviceType":"PERMANENT"}`); code != 201 {
			t.Errorf("PUT of the least: %d %s", code, text)
		}
		if i, err = other.Instance(t.Context(), "web", "a"); err != nil || i.Registered.Before(before) || i.Type != discovery.Permanent {
			t.Errorf("the least: %+v, %v, want a time from %v", i, err, before)
		}
	})
}

// What is no instance changes nothing, and the answer says what is wrong.
func TestHandlerRefusesBadInstances(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		d := services(t, zk, "/s")
		h := d.Handler(discovery.WithWrites())
		writes := srv.Add(zktest.Rule{Match: zktest.Match{Op: zktest.OpWrite}, Do: zktest.DelayReply(0)})
		with := func(old, new string) string { return strings.ReplaceAll(body, old, new) }
		for _, tc := range []struct {
			method, path, body string
			header             []string
			code               int
			says               string
		}{
			{"PUT", path, "", nil, 400, "not an instance"},
			{"PUT", path, "{", nil, 400, "not an instance"},
			{"PUT", path, body + body, nil, 400, "not an instance"},
			{"PUT", path, `[` + body + `]`, nil, 400, "not an instance"},
			{"PUT", path, with(`"p"`, `{"x":1}`), nil, 400, "payload"},
			{"PUT", path, with(`"id":"a"`, `"id":"b"`), nil, 400, "of the path"},
			{"PUT", path, with(`"web"`, `"db"`), nil, 400, "of the path"},
			{"PUT", path, with("STATIC", "DYNAMIC"), nil, 400, "DYNAMIC"},
			{"PUT", path, with("STATIC", "DYNAMIC_SEQUENTIAL"), nil, 400, "DYNAMIC_SEQUENTIAL"},
			{"PUT", path, with(`"serviceType":"STATIC",`, ""), nil, 400, "serviceType"},
			{"PUT", path, with(`"address":"h",`, ""), nil, 400, "address"},
			{"PUT", path, with(`"port":1`, `"port":70000`), nil, 400, "port"},
			{"PUT", path, with(`"port":1`, `"sslPort":-1`), nil, 400, "port"},
			{"PUT", "/v1/service/web/a%2Fb", with(`"a"`, `"a/b"`), nil, 400, "not fit"},
			{"PUT", "/v1/service/web/%00", with(`"a"`, `"\u0000"`), nil, 400, "not fit"},
			{"DELETE", "/v1/service/web/a%2Fb", "", nil, 400, "not fit"},
			{"PUT", path, with(`"p"`, `"`+strings.Repeat("x", discovery.MaxBody)+`"`), nil, 413, "65536"},
			{"PUT", path, body, []string{"Content-Type", "text/plain"}, 415, "application/json"},
			{"PUT", "/v1/service/web", body, nil, 405, ""},
			{"DELETE", "/v1/service/web", "", nil, 405, ""},
		} {
			code, text := send(t, h, tc.method, tc.path, tc.body, tc.header...)
			if code != tc.code || !strings.Contains(text, tc.says) {
				t.Errorf("%s %s %.100s: %d %s, want %d and %q", tc.method, tc.path, tc.body, code, text, tc.code, tc.says)
			}
		}
		if n := writes.Hits(); n > 0 {
			t.Errorf("%d writes by what was refused", n)
		}
		long := with(`"p"`, `"`+strings.Repeat("x", discovery.MaxBody-len(body)+1)+`"`)
		if code, text := send(t, h, "PUT", path, long); code != 201 {
			t.Errorf("PUT of %d bytes: %d %s, want 201", len(long), code, text)
		}
		srv.BlackHole()
		for _, method := range []string{"PUT", "DELETE"} {
			if code, _ := send(t, h, method, path, body); code != http.StatusServiceUnavailable {
				t.Errorf("%s without ZooKeeper: %d, want 503", method, code)
			}
		}
	})
}

// What belongs to a session stays as its program has registered it, and what an ACL protects as well.
func TestHandlerLeavesTheInstancesOfOthers(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		d := services(t, zk, "/s")
		h := d.Handler(discovery.WithWrites())
		mine := discovery.Instance[string]{Name: "web", ID: "a", Address: "mine", Payload: "p"}
		register(t, d, mine)
		for _, method := range []string{"PUT", "DELETE"} {
			if code, text := send(t, h, method, path, body); code != http.StatusConflict {
				t.Errorf("%s over an instance of a session: %d %s, want 409", method, code, text)
			}
		}
		if i, err := d.Instance(t.Context(), "web", "a"); err != nil || i.Address != "mine" {
			t.Errorf("the instance of a session is %+v, %v", i, err)
		}
		_, err := zk.Create(t.Context(), "/s/closed", nil, gazoo.WithACL(gazoo.DigestACL(gazoo.PermAll, "a", "b")))
		if err != nil {
			t.Fatal(err)
		}
		if code, text := send(t, h, "PUT", "/v1/service/closed/a", strings.ReplaceAll(body, "web", "closed")); code != http.StatusForbidden {
			t.Errorf("PUT where an ACL forbids it: %d %s, want 403", code, text)
		}
	})
}

// Somebody else is quicker, between the look and the write: there is another look, and the request is done all the same.
func TestHandlerWritesBesideOthers(t *testing.T) {
	for _, tc := range []struct {
		name   string
		before zktest.Op
		other  func(srv *zktest.Server) error
		method string
		left   string
	}{
		{"written before it is replaced", zktest.OpSet, func(srv *zktest.Server) error { return srv.Put("/s/web/a", "other") }, "PUT", "h"},
		{"deleted before it is looked at", zktest.OpGet, func(srv *zktest.Server) error { return srv.Remove("/s/web/a") }, "PUT", "h"},
		{"deleted before it is replaced", zktest.OpSet, func(srv *zktest.Server) error { return srv.Remove("/s/web/a") }, "PUT", "h"},
		{"written before it is deleted", zktest.OpDelete, func(srv *zktest.Server) error { return srv.Put("/s/web/a", "other") }, "DELETE", ""},
		{"deleted before it is deleted", zktest.OpDelete, func(srv *zktest.Server) error { return srv.Remove("/s/web/a") }, "DELETE", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				d := services(t, recipetest.Client(t, srv), "/s")
				h := d.Handler(discovery.WithWrites())
				if err := srv.Put("/s/web/a", "old"); err != nil {
					t.Fatal(err)
				}
				rule := srv.Add(zktest.Rule{Match: zktest.Match{Op: tc.before, Path: "/s/web/a"}, Times: 1, Do: zktest.Call(func(zktest.Request) {
					if err := tc.other(srv); err != nil {
						t.Error(err)
					}
				})})
				if code, text := send(t, h, tc.method, path, body); code/100 != 2 || rule.Hits() == 0 {
					t.Errorf("%s: %d %s, with %d changes by others", tc.method, code, text, rule.Hits())
				}
				i, err := d.Instance(t.Context(), "web", "a")
				if i.Address != tc.left || (err != nil) != (tc.left == "") {
					t.Errorf("left is %+v, %v, want the address %q", i, err, tc.left)
				}
			})
		})
	}
}

// A program registers itself between the look and the write: what is written is what was looked at, or nothing.
func TestHandlerDoesNotHitAnInstanceThatHasJustCome(t *testing.T) {
	for method, op := range map[string]zktest.Op{"PUT": zktest.OpSet, "DELETE": zktest.OpDelete} {
		t.Run(method, func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				zk, other := recipetest.Client(t, srv), recipetest.Client(t, srv)
				d := services(t, zk, "/s")
				for _, data := range []string{"old", "older"} {
					if err := srv.Put("/s/web/a", data); err != nil {
						t.Fatal(err)
					}
				}
				srv.Add(zktest.Rule{Match: zktest.Match{Op: op, Path: "/s/web/a", Session: zk.SessionID()}, Times: 1, Do: zktest.Call(func(zktest.Request) {
					if err := srv.Remove("/s/web/a"); err != nil {
						t.Error(err)
					}
					if _, err := other.Create(t.Context(), "/s/web/a", []byte("theirs"), gazoo.Ephemeral()); err != nil {
						t.Error(err)
					}
				})})
				if code, text := send(t, d.Handler(discovery.WithWrites()), method, path, body); code != http.StatusConflict {
					t.Errorf("%s: %d %s, want 409", method, code, text)
				}
				if data, _, err := zk.Get(t.Context(), "/s/web/a"); err != nil || string(data) != "theirs" {
					t.Errorf("left is %q, %v", data, err)
				}
			})
		})
	}
}

// A static instance that is not put again in time is removed; a permanent one, one of a session, and what is none stay.
func TestPurge(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		d := services(t, recipetest.Client(t, srv), "/s")
		h := d.Handler(discovery.WithWrites())
		put := func(id, kind string) {
			t.Helper()
			text := fmt.Sprintf(`{"name":"web","id":%q,"address":"h","serviceType":%q}`, id, kind)
			if code, text := send(t, h, "PUT", "/v1/service/web/"+id, text); code != 201 {
				t.Fatalf("PUT: %d %s", code, text)
			}
		}
		put("gone", "STATIC")
		put("again", "STATIC")
		put("permanent", "PERMANENT")
		register(t, d, web("dynamic"))
		if err := srv.Put("/s/web/none", "{"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Second)
		put("again", "STATIC")
		if n, err := d.Purge(t.Context(), time.Minute); n != 0 || err != nil {
			t.Errorf("Purge before the time: %d, %v", n, err)
		}
		time.Sleep(11 * time.Second)
		if n, err := d.Purge(t.Context(), time.Minute); n != 1 || err != nil {
			t.Errorf("Purge: %d, %v, want 1", n, err)
		}
		instances, err := d.Instances(t.Context(), "web")
		var ids []string
		for _, i := range instances {
			ids = append(ids, i.ID)
		}
		if got := strings.Join(ids, " "); got != "again dynamic permanent" || !errors.Is(err, discovery.ErrMalformed) {
			t.Errorf("left are %s, %v", got, err)
		}
		if _, err := d.Purge(t.Context(), 0); !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("Purge of all: %v, want ErrBadArguments", err)
		}
	})
}

// A program without ZooKeeper registers an instance over HTTP.
func ExampleWithWrites() {
	ctx := context.Background()
	srv, err := zktest.New()
	if err != nil {
		log.Fatal(err)
	}
	defer srv.Close()
	zk, err := gazoo.Connect(ctx, srv.Addr(), gazoo.WithDialer(srv.Dial))
	if err != nil {
		log.Fatal(err)
	}
	defer zk.Close()
	services, err := discovery.New[string](zk, "/services")
	if err != nil {
		log.Fatal(err)
	}
	front := httptest.NewServer(services.Handler(discovery.WithWrites()))
	defer front.Close()

	instance := `{"name":"web","id":"1","address":"10.0.0.1","port":80,"serviceType":"STATIC"}`
	put, err := http.NewRequestWithContext(ctx, "PUT", front.URL+"/v1/service/web/1", strings.NewReader(instance))
	if err != nil {
		log.Fatal(err)
	}
	resp, err := front.Client().Do(put)
	if err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()
	found, err := services.Instance(ctx, "web", "1")
	fmt.Println(resp.Status, found.Address, err)
	// Output: 201 Created 10.0.0.1 <nil>
}
