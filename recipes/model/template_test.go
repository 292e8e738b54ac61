package model_test

import (
	"encoding"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/model"
)

func TestParseTemplate(t *testing.T) {
	for _, c := range []struct {
		text, root string
		params     []string
		bad        string // part of the error; "" when it is a template
	}{
		{"/", "/", nil, ""},
		{"/app", "/app", nil, ""},
		{"/{a}", "/", []string{"a"}, ""},
		{"/app/{tenant}/users/user-{id}.json", "/app", []string{"tenant", "id"}, ""},
		{"/app/b{x}", "/app", []string{"x"}, ""},
		{"", "", nil, "begin"},
		{"app/{a}", "", nil, "begin"},
		{"/app/", "", nil, "no znode can have"},
		{"/a//b", "", nil, "no znode can have"},
		{"/a/../b", "", nil, "no znode can have"},
		{"/a/{}", "", nil, "without a name"},
		{"/{a}/{a}", "", nil, "twice"},
		{"/{a}{b}", "", nil, "more than one"},
		{"/{a}-{b}", "", nil, "more than one"},
		{"/{a", "", nil, "braces"},
		{"/a}", "", nil, "braces"},
		{"/}a{", "", nil, "braces"},
		{"/{{a}}", "", nil, "braces"},
		{"/{a}}", "", nil, "more than one"},
		{"/{a/b}", "", nil, "braces"},
		{"/a\x00{b}", "", nil, "no znode can have"},
	} {
		got, err := model.ParseTemplate(c.text)
		if c.bad != "" {
			if !errors.Is(err, gazoo.ErrBadArguments) || !strings.Contains(err.Error(), c.bad) {
				t.Errorf("ParseTemplate(%q): %v, want an error with %q", c.text, err, c.bad)
			}
			continue
		}
		if err != nil || got.String() != c.text || got.Root() != c.root || !slices.Equal(got.Parameters(), c.params) {
			t.Errorf("ParseTemplate(%q): %s, root %s, parameters %q, %v", c.text, got, got.Root(), got.Parameters(), err)
		}
	}
}

func TestResolve(t *testing.T) {
	tmpl := model.MustTemplate("/app/{tenant}/users/user-{id}.json")
	for _, c := range []struct {
		values []string
		want   string
		bad    []string // parts of the error
	}{
		{[]string{"acme", "7"}, "/app/acme/users/user-7.json", nil},
		{[]string{"a b", "{x}"}, "/app/a b/users/user-{x}.json", nil},
		{[]string{"ä", ".."}, "/app/ä/users/user-...json", nil},
		{[]string{"acme"}, "", []string{"1 values for 2"}},
		{[]string{"acme", "7", "8"}, "", []string{"3 values for 2"}},
		{[]string{"", "7"}, "", []string{"parameter tenant", "empty"}},
		{[]string{"a/b", "7"}, "", []string{"parameter tenant", "slash"}},
		{[]string{"..", ""}, "", []string{"parameter tenant", "relative", "parameter id", "empty"}},
		{[]string{"a\x01", "\xff"}, "", []string{"parameter tenant", "U+0001", "parameter id", "UTF-8"}},
	} {
		got, err := tmpl.Resolve(c.values...)
		if got != c.want || (err != nil) != (c.bad != nil) || err != nil && !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("Resolve(%q): %q, %v, want %q", c.values, got, err, c.want)
		}
		for _, part := range c.bad {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("Resolve(%q): %v, want it to say %q", c.values, err, part)
			}
		}
		if err != nil {
			continue
		}
		if back, err := tmpl.Parse(got); err != nil || !slices.Equal(back, c.values) {
			t.Errorf("Parse(%q): %q, %v, want %q", got, back, err, c.values)
		}
	}
}

func TestParse(t *testing.T) {
	tmpl := model.MustTemplate("/app/{tenant}/user-{id}")
	for _, c := range []struct {
		path string
		want []string // nil: no match
	}{
		{"/app/acme/user-7", []string{"acme", "7"}},
		{"/app/user-/user-user-", []string{"user-", "user-"}},
		{"/app/acme/user-", nil},
		{"/app/acme/usher-7", nil},
		{"/App/acme/user-7", nil},
		{"/app/acme", nil},
		{"/app/acme/user-7/x", nil},
		{"/app//user-7", nil},
		{"/app/acme/user-7/", nil},
		{"app/acme/user-7", nil},
		{"/", nil},
		{"", nil},
	} {
		got, err := tmpl.Parse(c.path)
		if !slices.Equal(got, c.want) || (c.want == nil) != errors.Is(err, model.ErrNoMatch) || tmpl.Match(c.path) != (c.want != nil) {
			t.Errorf("Parse(%q): %q, %v, want %q", c.path, got, err, c.want)
		}
	}
}

// Templates are filled in step by step; each step is a template of its own.
func TestPartialTemplates(t *testing.T) {
	whole := model.MustTemplate("/{env}/app/{tenant}/{user}")
	prod := must1(whole.Partial("prod"))
	acme := must1(prod.With("tenant", "{acme}"))
	if got := acme.String(); got != "/prod/app/{acme}/{user}" {
		t.Errorf("the text is %s", got)
	}
	if got := acme.Parameters(); !slices.Equal(got, []string{"user"}) {
		t.Errorf("open parameters: %q", got)
	}
	if acme.Root() != "/prod/app/{acme}" || prod.Root() != "/prod/app" || whole.Root() != "/" {
		t.Errorf("roots: %s, %s, %s", acme.Root(), prod.Root(), whole.Root())
	}
	if got, err := acme.Resolve("ann"); got != "/prod/app/{acme}/ann" || err != nil {
		t.Errorf("Resolve: %q, %v", got, err)
	}
	if acme.Match("/prod/app/other/ann") || !prod.Match("/prod/app/other/ann") || prod.Match("/dev/app/other/ann") {
		t.Error("a parameter that is filled in matches another value")
	}
	if all := must1(whole.Partial("a", "b", "c")); all.String() != "/a/app/b/c" || all.Parameters() != nil {
		t.Errorf("filled in whole: %s", all)
	}
	if _, err := whole.Partial("a", "b", "c", "d"); !errors.Is(err, gazoo.ErrBadArguments) {
		t.Errorf("Partial with too many: %v", err)
	}
	for _, c := range [][2]string{{"env", "x"}, {"none", "x"}, {"user", ""}, {"user", "a/b"}} {
		if _, err := acme.With(c[0], c[1]); !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("With(%q, %q): %v, want ErrBadArguments", c[0], c[1], err)
		}
	}
}

// level is a text by itself.
type level int

var _ encoding.TextMarshaler = level(0)

func (l level) MarshalText() ([]byte, error) {
	if l < 0 {
		return nil, errors.New("below the ground")
	}
	return fmt.Appendf(nil, "L%d", int(l)), nil
}

func (l *level) UnmarshalText(text []byte) error {
	_, err := fmt.Sscanf(string(text), "L%d", (*int)(l))
	return err
}

// Keys are structs whose fields have a text, or the value itself, and come back from the path as they were.
func TestPaths(t *testing.T) {
	type place struct {
		Host    netip.Addr
		Level   level
		Port    uint16 `path:"p"`
		Active  bool
		Comment string `path:"-"`
	}
	places, err := model.NewPaths[place]("/at/{host}/{LEVEL}/port{p}/{active}")
	must(t, err)
	key := place{Host: netip.MustParseAddr("fe80::1"), Level: 3, Port: 8080, Active: true}
	path, err := places.Path(key)
	if path != "/at/fe80::1/L3/port8080/true" || err != nil {
		t.Errorf("Path: %q, %v", path, err)
	}
	if back, err := places.Parse(path); back != key || err != nil {
		t.Errorf("Parse: %+v, %v, want %+v", back, err, key)
	}
	for _, bad := range []string{
		"/at/fe80::1/L3/port8080/yes", "/at/fe80::1/L3/port8080/1", "/at/fe80::1/L3/port70000/true", "/at/fe80::1/L3/port080/true",
		"/at/FE80::1/L3/port8080/true", "/at/fe80::1/3/port8080/true", "/at/fe80::1/L3/port8080",
	} {
		if got, err := places.Parse(bad); !errors.Is(err, model.ErrNoMatch) || got != (place{}) {
			t.Errorf("Parse(%s): %+v, %v, want ErrNoMatch", bad, got, err)
		}
	}
	key.Level = -1
	if _, err := places.Path(key); !errors.Is(err, gazoo.ErrBadArguments) || !strings.Contains(err.Error(), "below the ground") {
		t.Errorf("Path of what has no text: %v", err)
	}
	names := must1(model.NewPaths[string]("/names/{name}"))
	if _, err := names.Path("a/b"); !errors.Is(err, gazoo.ErrBadArguments) {
		t.Errorf("Path(a/b): %v", err)
	}
	if got := must1(names.Parse("/names/ann")); got != "ann" {
		t.Errorf("Parse: %q", got)
	}
	days := must1(model.NewPaths[time.Time]("/days/{day}"))
	day := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	if got := must1(days.Parse(must1(days.Path(day)))); !got.Equal(day) {
		t.Errorf("there and back: %v", got)
	}
}

// A key type that would lose something, or has no text, is refused when it is made.
func TestPathsRefused(t *testing.T) {
	refused := func(err error, want string) {
		t.Helper()
		if !errors.Is(err, gazoo.ErrBadArguments) || !strings.Contains(err.Error(), want) {
			t.Errorf("NewPaths: %v, want an error with %q", err, want)
		}
	}
	_, err := model.NewPaths[string]("/{a}/{b}")
	refused(err, "one value, for 2 parameters")
	_, err = model.NewPaths[[]string]("/{a}")
	refused(err, "neither")
	_, err = model.NewPaths[struct{ A string }]("/{a}/{b}")
	refused(err, `no field for parameter "b"`)
	_, err = model.NewPaths[struct{ A, B string }]("/{a}")
	refused(err, "field B that is no parameter")
	_, err = model.NewPaths[struct{ A []string }]("/{a}")
	refused(err, "field A that has no text")
	_, err = model.NewPaths[struct{ a string }]("/{a}")
	refused(err, `no field for parameter "a"`)
	_, err = model.NewPaths[struct{ A string }]("/{a}/{A}")
	refused(err, "for two parameters")
	_, err = model.NewPaths[struct{ A string }]("/{a")
	refused(err, "braces")
}

// Whatever a template makes of values, it takes apart into the same ones; whatever it takes apart, it makes again.
func FuzzTemplate(f *testing.F) {
	f.Add("/app/{tenant}/users/user-{id}", "acme", "7", "/app/acme/users/user-7")
	f.Add("/{a}", "x", "", "/y")
	f.Add("/", "", "", "/")
	f.Add("/p{a}s/{b}", "{", "}", "/pps/s")
	f.Fuzz(func(t *testing.T, text, a, b, path string) {
		tmpl, err := model.ParseTemplate(text)
		if err != nil {
			return
		}
		if tmpl.String() != text {
			t.Fatalf("ParseTemplate(%q).String() = %q", text, tmpl)
		}
		values := []string{a, b}[:min(2, len(tmpl.Parameters()))]
		if made, err := tmpl.Resolve(values...); err == nil {
			if err := gazoo.ValidatePath(made); err != nil {
				t.Errorf("%s of %q: %v", text, values, err)
			}
			if back, err := tmpl.Parse(made); err != nil || !slices.Equal(back, values) {
				t.Errorf("%s of %q: %q is %q, %v", text, values, made, back, err)
			}
		}
		if values, err := tmpl.Parse(path); err == nil {
			if made, err := tmpl.Resolve(values...); err != nil || made != path {
				t.Errorf("%s: %q is %q, which makes %q, %v", text, path, values, made, err)
			}
		}
		if part, err := tmpl.Partial(values[:min(1, len(values))]...); err == nil && len(values) == 2 {
			one, err1 := part.Resolve(b)
			both, err2 := tmpl.Resolve(a, b)
			if one != both || (err1 == nil) != (err2 == nil) {
				t.Errorf("%s of %q: by steps %q, %v, at once %q, %v", text, values, one, err1, both, err2)
			}
		}
	})
}
