package model_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/model"
	"github.com/gazoo-zk/gazoo/zktest"
)

func wantViolation(t *testing.T, what string, err error, schema, path string, rules ...string) {
	t.Helper()
	bad, ok := errors.AsType[*model.SchemaError](err)
	if len(rules) == 0 {
		if err != nil {
			t.Errorf("%s: %v, want no violation", what, err)
		}
		return
	}
	if !ok || !errors.Is(err, model.ErrSchema) || bad.Schema != schema || bad.Path != path || !slices.Equal(bad.Rules, rules) {
		t.Errorf("%s: %v, want schema %q, path %s, rules %q", what, err, schema, path, rules)
		return
	}
	for _, part := range append([]string{schema, path}, rules...) {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %v, want it to name %q", what, err, part)
		}
	}
}

// Each rule by itself, allowed, required and forbidden.
func TestSchemaRules(t *testing.T) {
	ttl := gazoo.TTL(time.Second)
	create := func(opts ...gazoo.CreateOption) func(*model.SchemaSet) error {
		return func(s *model.SchemaSet) error { return s.CheckCreate("/n", []byte("x"), opts...) }
	}
	read := func(watched bool) func(*model.SchemaSet) error {
		return func(s *model.SchemaSet) error { return s.CheckRead("/n", watched) }
	}
	del := func(s *model.SchemaSet) error { return s.CheckDelete("/n") }
	set := func(s *model.SchemaSet) error { return s.CheckSet("/n", []byte("x")) }
	for _, c := range []struct {
		name   string
		schema model.Schema
		do     func(*model.SchemaSet) error
		rules  []string
	}{
		{"all is allowed", model.Schema{}, create(gazoo.Ephemeral(), gazoo.Sequential()), nil},
		{"must be ephemeral", model.Schema{Ephemeral: model.Must}, create(), []string{"must be ephemeral"}},
		{"is ephemeral", model.Schema{Ephemeral: model.Must}, create(gazoo.Ephemeral()), nil},
		{"cannot be ephemeral", model.Schema{Ephemeral: model.Cannot}, create(gazoo.Ephemeral(), gazoo.Sequential()), []string{"cannot be ephemeral"}},
		{"must be sequential", model.Schema{Sequential: model.Must}, create(ttl), []string{"must be sequential"}},
		{"is sequential", model.Schema{Sequential: model.Must}, create(ttl, gazoo.Sequential()), nil},
		{"cannot be sequential", model.Schema{Sequential: model.Cannot}, create(gazoo.Sequential()), []string{"cannot be sequential"}},
		{"must be a container", model.Schema{Container: model.Must}, create(), []string{"must be a container"}},
		{"is a container", model.Schema{Container: model.Must}, create(gazoo.Container()), nil},
		{"cannot be a container", model.Schema{Container: model.Cannot}, create(gazoo.Container()), []string{"cannot be a container"}},
		{"must have a TTL", model.Schema{TTL: model.Must}, create(), []string{"must be of limited life (TTL)"}},
		{"has a TTL", model.Schema{TTL: model.Must}, create(ttl), nil},
		{"cannot have a TTL", model.Schema{TTL: model.Cannot}, create(ttl, gazoo.Sequential()), []string{"cannot be of limited life (TTL)"}},
		{
			"several at once",
			model.Schema{Ephemeral: model.Must, Sequential: model.Must, Container: model.Cannot},
			create(gazoo.Container()),
			[]string{"must be ephemeral", "must be sequential", "cannot be a container"},
		},
		{"a set does not ask for the kind", model.Schema{Ephemeral: model.Must}, set, nil},
		{"deletable", model.Schema{}, del, nil},
		{"not deletable", model.Schema{Deleted: model.Cannot}, del, []string{"cannot be deleted"}},
		{"not watched", model.Schema{Watched: model.Must}, read(false), []string{"must be watched"}},
		{"watched", model.Schema{Watched: model.Must}, read(true), nil},
		{"watched, but must not", model.Schema{Watched: model.Cannot}, read(true), []string{"cannot be watched"}},
		{"not watched, and must not", model.Schema{Watched: model.Cannot}, read(false), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.schema.Name, c.schema.Path = "the schema", "/n"
			s := must1(model.NewSchemas([]model.Schema{c.schema}))
			wantViolation(t, c.name, c.do(s), "the schema", "/n", c.rules...)
		})
	}
}

// The exact path comes first, then the patterns in their order, which match whole paths.
func TestSchemaOf(t *testing.T) {
	schemas := []model.Schema{
		{Name: "any user", Pattern: "/users/.*"},
		{Name: "short", Pattern: "/.|/long"},
		{Name: "all users", Pattern: "/u.*"},
		{Name: "root user", Path: "/users/root"},
	}
	s := must1(model.NewSchemas(schemas))
	strict := must1(model.NewSchemas(schemas, model.Strict()))
	for path, want := range map[string]string{
		"/users/root": "root user", "/users/ann": "any user", "/users/ann/x": "any user", "/users": "all users",
		"/a": "short", "/long": "short", "/long/a": "", "/x/users/a": "", "/": "", "/a/": "",
	} {
		got, found := s.Of(path)
		if got.Name != want || found != (want != "") {
			t.Errorf("Of(%s): %q, %v, want %q", path, got.Name, found, want)
		}
		if err := s.CheckSet(path, nil); err != nil {
			t.Errorf("CheckSet(%s): %v", path, err)
		}
		if err := strict.CheckDelete(path); (err != nil) != (want == "") || err != nil && !errors.Is(err, model.ErrSchema) {
			t.Errorf("CheckDelete(%s), strict: %v", path, err)
		}
	}
	if one, found := s.Named("short"); !found || one.Pattern != "/.|/long" {
		t.Errorf("Named: %+v, %v", one, found)
	}
	var none *model.SchemaSet
	if _, found := none.Of("/a"); found || none.CheckCreate("/a", nil) != nil || none.Schemas() != nil || none.String() != "" {
		t.Error("a set that is nil has rules")
	}
}

// Each problem of each schema is told when the set is made.
func TestSchemasRefused(t *testing.T) {
	_, err := model.NewSchemas([]model.Schema{
		{Path: "/a"},
		{Name: "both", Path: "/b", Pattern: "/c"},
		{Name: "neither"},
		{Name: "regexp", Pattern: "/a)(b"},
		{Name: "path", Path: "c/"},
		{Name: "path", Path: "/a"},
		{Name: "words", Path: "/d", Ephemeral: 7, Deleted: model.Must},
	})
	if !errors.Is(err, gazoo.ErrBadArguments) {
		t.Fatalf("NewSchemas: %v", err)
	}
	for _, part := range []string{
		`schema 0, "": invalid name: is empty`, `schema 1, "both": invalid path`, `schema 2, "neither": invalid path`,
		`schema 3, "regexp": invalid pattern`, `schema 4, "path": invalid path`, `schema 5, "path": invalid name`, "/a is that of another",
		`schema 6, "words": invalid ephemeral`, "invalid deleted",
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("NewSchemas: %v\nwant it to say %q", err, part)
		}
	}
}

func guarded(t *testing.T, zk *gazoo.Client) *model.Guard {
	t.Helper()
	return model.NewGuard(zk, must1(model.NewSchemas([]model.Schema{
		{Name: "members", Pattern: "/members/.*", Ephemeral: model.Must, Sequential: model.Must, Watched: model.Must},
		{Name: "config", Path: "/config", Ephemeral: model.Cannot, Watched: model.Cannot, Deleted: model.Cannot, Validate: wantJSON},
	}, model.Strict())))
}

var errNoJSON = errors.New("no JSON")

func wantJSON(_ string, data []byte, acl []gazoo.ACL) error {
	if !json.Valid(data) || acl != nil {
		return errNoJSON
	}
	return nil
}

// A guarded client refuses what breaks a rule, and sends nothing; what keeps to the rules it does.
func TestGuard(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		ctx := t.Context()
		g := guarded(t, recipetest.Client(t, srv))
		must(t, srv.Put("/members", ""))
		requests := func() (n int) {
			for _, e := range srv.Log() {
				if e.Request.Op != zktest.OpPing {
					n++
				}
			}
			return n
		}
		must1(g.Create(ctx, "/config", []byte("{}"))) // the connection is there
		before := requests()
		_, err := g.Create(ctx, "/config", []byte("{"), gazoo.Ephemeral(), gazoo.WithACL(gazoo.ReadACL()...))
		wantViolation(t, "Create", err, "config", "/config", "cannot be ephemeral", "not valid: no JSON")
		if !errors.Is(err, errNoJSON) {
			t.Errorf("Create: %v, want the validator's error in it", err)
		}
		_, _, err = g.CreateStat(ctx, "/members/m-", nil)
		wantViolation(t, "CreateStat", err, "members", "/members/m-", "must be ephemeral", "must be sequential")
		_, err = g.Set(ctx, "/config", []byte("}"), 0)
		wantViolation(t, "Set", err, "config", "/config", "not valid: no JSON")
		wantViolation(t, "Delete", g.Delete(ctx, "/config", 0), "config", "/config", "cannot be deleted")
		_, _, err = g.Get(ctx, "/members/a")
		wantViolation(t, "Get", err, "members", "/members/a", "must be watched")
		_, _, err = g.Exists(ctx, "/members/a")
		wantViolation(t, "Exists", err, "members", "/members/a", "must be watched")
		_, err = g.Children(ctx, "/members/a")
		wantViolation(t, "Children", err, "members", "/members/a", "must be watched")
		_, _, _, err = g.GetW(ctx, "/config")
		wantViolation(t, "GetW", err, "config", "/config", "cannot be watched")
		_, _, _, err = g.ExistsW(ctx, "/config")
		wantViolation(t, "ExistsW", err, "config", "/config", "cannot be watched")
		_, _, _, err = g.ChildrenW(ctx, "/config")
		wantViolation(t, "ChildrenW", err, "config", "/config", "cannot be watched")
		_, err = g.Watch(ctx, "/config")
		wantViolation(t, "Watch", err, "config", "/config", "cannot be watched")
		for _, err := range g.WatchData(ctx, "/config") {
			wantViolation(t, "WatchData", err, "config", "/config", "cannot be watched")
		}
		for _, err := range g.WatchChildren(ctx, "/config") {
			wantViolation(t, "WatchChildren", err, "config", "/config", "cannot be watched")
		}
		_, err = g.Create(ctx, "/elsewhere", nil)
		wantViolation(t, "Create", err, "", "/elsewhere", "there is no schema for this path")
		_, err = g.Txn().Set("/config", []byte("{"), 0).Create("/members/x", nil).Delete("/config", 0).Commit(ctx)
		for _, part := range []string{"not valid", "must be ephemeral", "must be sequential", "cannot be deleted"} {
			if !errors.Is(err, model.ErrSchema) || !strings.Contains(err.Error(), part) {
				t.Errorf("Commit: %v, want it to say %q", err, part)
			}
		}
		if n := requests(); n != before {
			t.Errorf("%d requests were sent for what was refused", n-before)
		}

		member := must1(g.Create(ctx, "/members/m-", nil, gazoo.Ephemeral(), gazoo.Sequential()))
		if _, _, w, err := g.GetW(ctx, member); err != nil {
			t.Errorf("GetW: %v", err)
		} else {
			w.Close()
		}
		stat, err := g.Set(ctx, "/config", []byte(`{"a":1}`), 0)
		must(t, err)
		if _, err := g.Txn().Check("/config", stat.Version).Set("/config", []byte("[]"), stat.Version).Delete(member, 0).Commit(ctx); err != nil {
			t.Errorf("Commit: %v", err)
		}
		if data, _, err := g.Get(ctx, "/config"); string(data) != "[]" || err != nil {
			t.Errorf("Get: %q, %v", data, err)
		}
		if _, err := g.Client().Create(ctx, "/elsewhere", nil); err != nil {
			t.Errorf("the client itself is guarded: %v", err)
		}
	})
}

// Typed nodes and models keep to schemas by themselves.
func TestNodeWithSchemas(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		ctx := t.Context()
		zk := recipetest.Client(t, srv)
		unnamed := errors.New("a user has a name")
		set := must1(model.NewSchemas([]model.Schema{{
			Name: "user", Pattern: "/app/[^/]+/users/[0-9]+", Ephemeral: model.Cannot, Watched: model.Cannot, Deleted: model.Cannot,
			Validate: func(_ string, data []byte, _ []gazoo.ACL) error {
				var u user
				if err := json.Unmarshal(data, &u); err != nil || u.Name == "" {
					return unnamed
				}
				return nil
			},
		}, {Name: "watched", Path: "/w", Watched: model.Must}}))
		n := must1(newUsers(t, zk, model.WithSchemas(set)).At(userKey{"acme", 1}))
		v, err := n.Create(ctx, user{Name: "Ann"})
		must(t, err)
		for what, do := range map[string]func() error{
			"Create":    func() error { _, err := n.Create(ctx, user{}); return err },
			"ephemeral": func() error { _, err := n.Create(ctx, user{Name: "x"}, gazoo.Ephemeral()); return err },
			"Set":       func() error { _, err := n.Set(ctx, v.With(user{})); return err },
			"Put":       func() error { _, err := n.Put(ctx, user{}); return err },
			"Update":    func() error { _, err := n.Update(ctx, func(user) (user, error) { return user{}, nil }); return err },
			"Delete":    func() error { return n.Delete(ctx, 0) },
			"TxnCreate": func() error { return n.TxnCreate(zk.Txn(), user{}) },
			"TxnSet":    func() error { return n.TxnSet(zk.Txn(), v.With(user{})) },
			"TxnDelete": func() error { return n.TxnDelete(zk.Txn(), 0) },
			"Watch": func() error {
				for _, err := range n.Watch(ctx) {
					return err
				}
				return nil
			},
			"Cached": func() error { _, err := n.Cached(); return err },
		} {
			if err := do(); !errors.Is(err, model.ErrSchema) || !strings.Contains(err.Error(), n.Path()) {
				t.Errorf("%s: %v, want a violation of %s", what, err, n.Path())
			}
		}
		if now := must1(n.Get(ctx)); now != v {
			t.Errorf("Get: %+v, want %+v", now, v)
		}
		w := newNode(t, zk, "/w", model.WithSchemas(set))
		for what, do := range map[string]func() error{
			"Get":        func() error { _, err := w.Get(ctx); return err },
			"GetFresh":   func() error { _, err := w.GetFresh(ctx); return err },
			"Exists":     func() error { _, _, err := w.Exists(ctx); return err },
			"ChildNames": func() error { _, err := w.ChildNames(ctx); return err },
			"Children":   func() error { _, err := w.Children(ctx); return err },
		} {
			if err := do(); !errors.Is(err, model.ErrSchema) {
				t.Errorf("%s: %v, want ErrSchema", what, err)
			}
		}
	})
}

// The cases are answers of Curator 5.4.0's SchemaSetLoader to the same texts.
func TestReadSchemas(t *testing.T) {
	for _, c := range []struct {
		text string
		want string // of the schemas
		bad  string // part of the error, where Curator throws
	}{
		{`[{"name":"n","path":"/a"}]`, "n /a  can can can cannot", ""},
		{
			`[{"name":"n","path":"/a/","ephemeral":"MUST","sequential":"Cannot","canBeDeleted":"true","extra":1}]`,
			"n /a  must cannot can can", "",
		},
		{`[{"name":1,"path":"/a.*","isRegex":1,"documentation":"some"}]`, "1  /a.* can can can cannot some", ""},
		{`[{"name":"b","path":"/a","isRegex":"TRUE","canBeDeleted":"yes"}]`, "b /a  can can can cannot", ""},
		{`[{"name":"b","path":"/a","isRegex":" true ","canBeDeleted":true,"watched":"must"}]`, "b  /a can can must can", ""},
		{`[{"name":"b","path":"/a","isRegex":0,"canBeDeleted":2}]`, "b /a  can can can can", ""},
		{`[]`, "", ""},
		{`[{"name":"n","path":"/a"},{"name":"m","path":"/a"}]`, "", "another schema"},
		{`[{"name":"n","path":"/a"},{"name":"n","path":"/b"}]`, "", "another schema"},
		{`[{"name":"n","path":"/a","ephemeral":"maybe"}]`, "", "can, must or cannot"},
		{`[{"name":"n","path":"/a","ephemeral":null}]`, "", "can, must or cannot"},
		{`[{"name":"n","path":"/a","schemaValidator":"v"}]`, "", "schemaValidator"},
		{`[{"path":"/a"}]`, "", "name"},
		{`[{"name":"n"}]`, "", "path"},
		{`[{"name":"n","path":"(","isRegex":true}]`, "", "pattern"},
		{`[{"name":"n","path":"/(?=a)","isRegex":true}]`, "", "pattern"}, // Java's alone
		{`nonsense`, "", "array"},
	} {
		set, err := model.ReadSchemas(strings.NewReader(c.text), nil)
		if c.bad != "" {
			if !errors.Is(err, gazoo.ErrBadArguments) || !strings.Contains(err.Error(), c.bad) {
				t.Errorf("ReadSchemas(%s): %v, want an error with %q", c.text, err, c.bad)
			}
			continue
		}
		got := ""
		for _, s := range set.Schemas() {
			got += strings.TrimSpace(fmt.Sprintln(s.Name, s.Path, s.Pattern, s.Ephemeral, s.Sequential, s.Watched, s.Deleted, s.Doc))
		}
		if err != nil || got != c.want {
			t.Errorf("ReadSchemas(%s): %q, %v, want %q", c.text, got, err, c.want)
		}
	}
}

// Validators are found by name, additions of this package are read, and all problems come at once.
func TestReadSchemasWhole(t *testing.T) {
	validators := map[string]model.Validator{"json": wantJSON}
	set, err := model.ReadSchemas(strings.NewReader(`[{
		"name": "n", "path": "/n", "schemaValidator": "json", "container": "must", "ttl": "cannot", "canBeDeleted": true,
		"metadata": {"owner": "ops", "level": 3, "on": true}
	}]`), validators, model.Strict())
	must(t, err)
	n, _ := set.Named("n")
	if n.Container != model.Must || n.TTL != model.Cannot || n.Metadata["owner"]+n.Metadata["level"]+n.Metadata["on"] != "ops3true" {
		t.Errorf("read: %+v", n)
	}
	wantViolation(t, "CheckSet", set.CheckSet("/n", []byte("{")), "n", "/n", "not valid: no JSON")
	wantViolation(t, "CheckSet", set.CheckSet("/x", nil), "", "/x", "there is no schema for this path")
	want := "n: /n\n\tmust be a container\n\tcannot have a TTL\n\tlevel = 3\n\ton = true\n\towner = ops\n"
	if got := set.String(); got != want {
		t.Errorf("String: %q, want %q", got, want)
	}
	_, err = model.ReadSchemas(strings.NewReader(`[{"path":[],"watched":{}},null,{"name":"x","path":"x","metadata":1}]`), validators)
	for _, part := range []string{`schema 0, "": invalid name`, "invalid path: is no text", "invalid watched", `schema 1`, `schema 2, "x": invalid metadata`} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("ReadSchemas: %v, want it to say %q", err, part)
		}
	}
}

// Whatever the text is, there is a set that keeps its own word, or an error that says that the text is wrong.
func FuzzReadSchemas(f *testing.F) {
	f.Add([]byte(`[{"name":"n","path":"/a","ephemeral":"must"},{"name":"r","path":"/a/.*","isRegex":true,"canBeDeleted":1}]`), "/a")
	f.Add([]byte(`[{"name":"n","path":"/a/","schemaValidator":"json","metadata":{"x":1e3}}]`), "/a/b")
	f.Add([]byte(`[null,{},{"name":null,"path":[]}]`), "/")
	f.Fuzz(func(t *testing.T, text []byte, path string) {
		set, err := model.ReadSchemas(bytes.NewReader(text), map[string]model.Validator{"json": wantJSON}, model.Strict())
		if err != nil {
			if !errors.Is(err, gazoo.ErrBadArguments) {
				t.Errorf("ReadSchemas: %v, want ErrBadArguments", err)
			}
			return
		}
		for _, s := range set.Schemas() {
			if named, ok := set.Named(s.Name); !ok || named.Path != s.Path {
				t.Errorf("schema %q is not found by its name", s.Name)
			}
			if of, _ := set.Of(s.Path); s.Path != "" && of.Name != s.Name {
				t.Errorf("%s has schema %q, want %q", s.Path, of.Name, s.Name)
			}
		}
		s, found := set.Of(path)
		if err := set.CheckDelete(path); (err == nil) != (found && s.Deleted == model.Can) {
			t.Errorf("CheckDelete(%q): %v, schema %+v", path, err, s)
		}
		if err := set.CheckCreate(path, []byte("{}"), gazoo.Ephemeral()); (err == nil) != (found && s.Ephemeral != model.Cannot &&
			s.Sequential != model.Must && s.Container != model.Must && s.TTL != model.Must) {
			t.Errorf("CheckCreate(%q): %v, schema %+v", path, err, s)
		}
	})
}
