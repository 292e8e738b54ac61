package model

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gazoo-zk/gazoo"
)

// ErrNoMatch says that a path is not one that a template makes.
var ErrNoMatch = errors.New("path does not match the template")

// Template makes paths of parameters and parameters of paths. Each component of its path is a text, a parameter in
// braces, or a parameter with text before and behind it:
//
//	/app/{tenant}/users/user-{id}
//
// So every path that it makes can be taken apart again, and gives the same parameters. The zero Template is that of "/".
// It is a value, and safe for concurrent use.
type Template struct{ parts []part }

// part is one component.
type part struct {
	before, name, behind string // name is "" for a component without a parameter
}

func (p part) String() string {
	if p.name == "" {
		return p.before
	}
	return p.before + "{" + p.name + "}" + p.behind
}

// ParseTemplate reads a template.
//
// Errors: [gazoo.ErrBadArguments] for a path that ZooKeeper refuses whatever the parameters are, parameters without a
// name or with the name of another one, and more than one in a component.
func ParseTemplate(text string) (Template, error) {
	var t Template
	bad := func(format string, a ...any) (Template, error) {
		return Template{}, &gazoo.ArgumentError{Arg: "template", Reason: fmt.Sprintf("%q ", text) + fmt.Sprintf(format, a...)}
	}
	rest, absolute := strings.CutPrefix(text, "/")
	if !absolute {
		return bad("does not begin with '/'")
	}
	if rest == "" {
		return t, nil
	}
	for component := range strings.SplitSeq(rest, "/") {
		var p part
		var open, closed bool
		p.before, p.name, open = strings.Cut(component, "{")
		if open {
			p.name, p.behind, closed = strings.Cut(p.name, "}")
		}
		switch {
		case open != closed || strings.Contains(p.before, "}") || strings.ContainsAny(p.name, "{"):
			return bad("has braces that do not match in %q", component)
		case strings.ContainsAny(p.behind, "{}"):
			return bad("has more than one parameter in %q", component)
		case open && p.name == "":
			return bad("has a parameter without a name")
		case open && slices.Contains(t.Parameters(), p.name):
			return bad("has parameter %q twice", p.name)
		}
		example := p.before + p.behind
		if open {
			example = p.before + "x" + p.behind
		}
		if err := checkName(example); err != nil {
			return bad("has component %q, which no znode can have: %v", component, err)
		}
		t.parts = append(t.parts, p)
	}
	return t, nil
}

// MustTemplate is ParseTemplate for templates in the program's text: it panics on an error.
func MustTemplate(text string) Template {
	t, err := ParseTemplate(text)
	if err != nil {
		panic(err)
	}
	return t
}

// String returns the template's text.
func (t Template) String() string {
	if len(t.parts) == 0 {
		return "/"
	}
	var b strings.Builder
	for _, p := range t.parts {
		b.WriteByte('/')
		b.WriteString(p.String())
	}
	return b.String()
}

// Parameters returns the names of the parameters that are open, from left to right.
func (t Template) Parameters() (names []string) {
	for _, p := range t.parts {
		if p.name != "" {
			names = append(names, p.name)
		}
	}
	return names
}

// Root returns the longest path that begins all paths of the template: what to list, watch or cache.
func (t Template) Root() string {
	n := slices.IndexFunc(t.parts, func(p part) bool { return p.name != "" })
	if n < 0 {
		n = len(t.parts)
	}
	return Template{t.parts[:n]}.String()
}

// Depth returns how many components the template has.
func (t Template) Depth() int { return len(t.parts) }

// Resolve makes the path of values for all open parameters, from left to right.
//
// Errors: [gazoo.ErrBadArguments] for another number of values, and for each value that is empty, holds a slash, or is
// not possible in a znode's name; every problem at once.
func (t Template) Resolve(values ...string) (string, error) {
	names := t.Parameters()
	if len(names) != len(values) {
		return "", fmt.Errorf("template %s: %w", t, &gazoo.ArgumentError{
			Arg: "parameters", Reason: fmt.Sprintf("%d values for %d parameters", len(values), len(names)),
		})
	}
	t, err := t.fill(values)
	if err != nil {
		return "", err
	}
	return t.String(), nil
}

// Partial fills in the first open parameters, from left to right, and leaves the others open.
//
// Errors: as [Template.Resolve].
func (t Template) Partial(values ...string) (Template, error) {
	if n := len(t.Parameters()); len(values) > n {
		return Template{}, fmt.Errorf("template %s: %w", t, &gazoo.ArgumentError{
			Arg: "parameters", Reason: fmt.Sprintf("%d values for %d parameters", len(values), n),
		})
	}
	return t.fill(values)
}

// With fills in the parameter of a name.
//
// Errors: [gazoo.ErrBadArguments] when there is no such open parameter, and as [Template.Resolve].
func (t Template) With(name, value string) (Template, error) {
	at := slices.IndexFunc(t.parts, func(p part) bool { return p.name != "" && p.name == name })
	if at < 0 {
		return Template{}, fmt.Errorf("template %s: %w", t, &gazoo.ArgumentError{
			Arg: "parameter", Reason: fmt.Sprintf("there is no open one with the name %q", name),
		})
	}
	p, err := t.parts[at].fill(value)
	if err != nil {
		return Template{}, fmt.Errorf("template %s: %w", t, err)
	}
	parts := slices.Clone(t.parts)
	parts[at] = p
	return Template{parts}, nil
}

func (t Template) fill(values []string) (Template, error) {
	var problems []error
	parts := slices.Clone(t.parts)
	for i, p := range parts {
		if p.name == "" || len(values) == 0 {
			continue
		}
		filled, err := p.fill(values[0])
		if err != nil {
			problems = append(problems, fmt.Errorf("template %s: %w", t, err))
		}
		parts[i], values = filled, values[1:]
	}
	return Template{parts}, errors.Join(problems...)
}

func (p part) fill(value string) (part, error) {
	reason := ""
	switch {
	case value == "":
		reason = "is empty"
	case strings.Contains(value, "/"):
		reason = fmt.Sprintf("%q holds a slash", value)
	default:
		filled := p.before + value + p.behind
		err := checkName(filled)
		if err == nil {
			return part{before: filled}, nil
		}
		reason = fmt.Sprintf("%q cannot be in the name of a znode: %v", value, err)
	}
	return p, &gazoo.ArgumentError{Arg: "parameter " + p.name, Reason: reason}
}

// Parse takes a path apart into the values of the open parameters, from left to right.
//
// Errors: [ErrNoMatch].
func (t Template) Parse(path string) ([]string, error) {
	values, ok := t.match(path)
	if !ok {
		return nil, fmt.Errorf("%q, template %s: %w", path, t, ErrNoMatch)
	}
	return values, nil
}

// Match reports whether a path is one that the template makes.
func (t Template) Match(path string) bool {
	_, ok := t.match(path)
	return ok
}

func (t Template) match(path string) (values []string, ok bool) {
	if gazoo.ValidatePath(path) != nil {
		return nil, false
	}
	if path == "/" || len(t.parts) == 0 {
		return nil, path == "/" && len(t.parts) == 0
	}
	components := strings.Split(path[1:], "/")
	if len(components) != len(t.parts) {
		return nil, false
	}
	for i, p := range t.parts {
		value, ok := p.match(components[i])
		if !ok {
			return nil, false
		}
		if p.name != "" {
			values = append(values, value)
		}
	}
	return values, true
}

func (p part) match(component string) (value string, ok bool) {
	if p.name == "" {
		return "", component == p.before
	}
	value, ok = strings.CutPrefix(component, p.before)
	if ok {
		value, ok = strings.CutSuffix(value, p.behind)
	}
	return value, ok && value != ""
}

// leadsTo reports whether a path is above paths of the template, or one of them.
func (t Template) leadsTo(path string) bool {
	if path == "/" {
		return true
	}
	components := strings.Split(path[1:], "/")
	if len(components) > len(t.parts) {
		return false
	}
	for i, component := range components {
		if _, ok := t.parts[i].match(component); !ok {
			return false
		}
	}
	return true
}

// checkName checks one component of a path.
func checkName(name string) error {
	switch {
	case name == "":
		return &gazoo.ArgumentError{Arg: "name", Reason: "is empty"}
	case strings.Contains(name, "/"):
		return &gazoo.ArgumentError{Arg: "name", Reason: fmt.Sprintf("%q holds a slash", name)}
	}
	return gazoo.ValidatePath("/" + name)
}
