package model

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/gazoo-zk/gazoo"
)

// ErrSchema is matched by every violation of a schema: a [*SchemaError], or several of them joined. Nothing was sent.
var ErrSchema = errors.New("schema violated")

// SchemaError says which rules of a schema an operation would have broken.
type SchemaError struct {
	Schema string   // its name; empty when there is none for the path, which [Strict] makes an error
	Op     string   // "create", "set", "delete", "read" or "watch"
	Path   string   // as given
	Rules  []string // every rule that was broken, such as "must be ephemeral"
	Data   []byte   // what was to be written
	Err    error    // of the validator, nil for none
}

// Error names the operation, the path, the schema and the rules.
func (e *SchemaError) Error() string {
	rules := strings.Join(e.Rules, "; ")
	if e.Schema == "" {
		return fmt.Sprintf("%s %s: %s", e.Op, e.Path, rules)
	}
	return fmt.Sprintf("%s %s: schema %q: %s", e.Op, e.Path, e.Schema, rules)
}

// Is matches [ErrSchema].
func (e *SchemaError) Is(target error) bool { return target == ErrSchema }

// Unwrap returns the validator's error.
func (e *SchemaError) Unwrap() error { return e.Err }

// Allowance is what a schema says of a kind of operation. The zero value allows.
type Allowance uint8

const (
	Can    Allowance = iota // allowed
	Must                    // required
	Cannot                  // forbidden
)

// String returns Curator's word for it.
func (a Allowance) String() string {
	switch a {
	case Can:
		return "can"
	case Must:
		return "must"
	case Cannot:
		return "cannot"
	}
	return fmt.Sprintf("Allowance(%d)", uint8(a))
}

// broken returns the rule that is broken, "" for none.
func (a Allowance) broken(does bool, what string) string {
	switch {
	case a == Must && !does:
		return "must be " + what
	case a == Cannot && does:
		return "cannot be " + what
	}
	return ""
}

// Validator checks what is to be written. acl is nil for a set, and for a create with the client's default. It must be
// safe for concurrent use and must not keep or change the data.
type Validator func(path string, data []byte, acl []gazoo.ACL) error

// Schema says what may be done with the znodes of a path or of a pattern. The zero values allow everything.
type Schema struct {
	Name    string // required, and unique in a set
	Path    string // the path, or
	Pattern string // a regular expression (RE2) that a whole path matches
	Doc     string // what the znodes are for

	Ephemeral  Allowance
	Sequential Allowance
	Container  Allowance
	TTL        Allowance
	// Watched set to Must forbids reads without a watch.
	Watched Allowance
	// Deleted is Can or Cannot.
	Deleted Allowance

	Validate Validator         // nil: any data and ACL
	Metadata map[string]string // whatever the program wants to say of it
}

// SchemaSet finds the schema of a path: the one with that very path, or the first one whose pattern matches the whole
// path. Paths are as they are given to the client's view, and those of sequential znodes without their number. A nil
// set allows everything. Safe for concurrent use.
type SchemaSet struct {
	all      []Schema
	byPath   map[string]*Schema
	byName   map[string]*Schema
	patterns []pattern
	strict   bool
}

type pattern struct {
	re     *regexp.Regexp
	schema *Schema
}

// SchemaOption changes a set of schemas.
type SchemaOption func(*SchemaSet)

// Strict makes it a violation to use a path that has no schema.
func Strict() SchemaOption { return func(s *SchemaSet) { s.strict = true } }

// NewSchemas makes a set.
//
// Errors: [gazoo.ErrBadArguments], every problem of every schema at once.
func NewSchemas(schemas []Schema, opts ...SchemaOption) (*SchemaSet, error) {
	s := &SchemaSet{all: slices.Clone(schemas), byPath: map[string]*Schema{}, byName: map[string]*Schema{}}
	for _, opt := range opts {
		opt(s)
	}
	var problems []error
	for i := range s.all {
		if err := s.add(&s.all[i]); err != nil {
			problems = append(problems, fmt.Errorf("schema %d, %q: %w", i, s.all[i].Name, err))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *SchemaSet) add(one *Schema) error {
	var problems []error
	bad := func(arg, format string, a ...any) {
		problems = append(problems, &gazoo.ArgumentError{Arg: arg, Reason: fmt.Sprintf(format, a...)})
	}
	one.Metadata = maps.Clone(one.Metadata)
	switch {
	case one.Name == "":
		bad("name", "is empty")
	case s.byName[one.Name] != nil:
		bad("name", "is that of another schema")
	default:
		s.byName[one.Name] = one
	}
	switch {
	case (one.Path == "") == (one.Pattern == ""):
		bad("path", "there must be a path or a pattern, and not both")
	case one.Path != "":
		if err := gazoo.ValidatePath(one.Path); err != nil {
			problems = append(problems, err)
		} else if s.byPath[one.Path] != nil {
			bad("path", "%s is that of another schema", one.Path)
		}
		s.byPath[one.Path] = one
	default:
		re, err := regexp.Compile(`\A(?:` + one.Pattern + `)\z`)
		if err == nil {
			_, err = regexp.Compile(one.Pattern) // it must be whole without what is around it
		}
		if err != nil {
			bad("pattern", "%v", err)
		}
		s.patterns = append(s.patterns, pattern{re, one})
	}
	for _, a := range []struct {
		arg string
		is  Allowance
	}{
		{"ephemeral", one.Ephemeral},
		{"sequential", one.Sequential},
		{"container", one.Container},
		{"ttl", one.TTL},
		{"watched", one.Watched},
		{"deleted", one.Deleted},
	} {
		if a.is > Cannot {
			bad(a.arg, "is no allowance")
		}
	}
	if one.Deleted == Must {
		bad("deleted", "no znode has to be deleted")
	}
	return errors.Join(problems...)
}

// Schemas returns all schemas, in order.
func (s *SchemaSet) Schemas() []Schema {
	if s == nil {
		return nil
	}
	return slices.Clone(s.all)
}

// Of returns the schema of a path; false when there is none.
func (s *SchemaSet) Of(path string) (Schema, bool) {
	if one := s.find(path); one != nil {
		return *one, true
	}
	return Schema{}, false
}

// Named returns the schema of a name; false when there is none.
func (s *SchemaSet) Named(name string) (Schema, bool) {
	if s == nil || s.byName[name] == nil {
		return Schema{}, false
	}
	return *s.byName[name], true
}

func (s *SchemaSet) find(path string) *Schema {
	if s == nil {
		return nil
	}
	if one := s.byPath[path]; one != nil {
		return one
	}
	for _, p := range s.patterns {
		if p.re.MatchString(path) {
			return p.schema
		}
	}
	return nil
}

// CheckCreate checks a create with these options. It is nil or a [*SchemaError] with every rule that would be broken.
// Parents that are made on the way are not checked.
func (s *SchemaSet) CheckCreate(path string, data []byte, opts ...gazoo.CreateOption) error {
	return s.check("create", path, data, func(one *Schema) ([]string, []gazoo.ACL) {
		what := gazoo.DescribeCreate(opts...)
		return []string{
			one.Ephemeral.broken(what.Mode.Ephemeral(), "ephemeral"),
			one.Sequential.broken(what.Mode.Sequential(), "sequential"),
			one.Container.broken(what.Mode.Container(), "a container"),
			one.TTL.broken(what.Mode.TTL(), "of limited life (TTL)"),
		}, what.ACL
	})
}

// CheckSet checks a write of data.
func (s *SchemaSet) CheckSet(path string, data []byte) error {
	return s.check("set", path, data, func(*Schema) ([]string, []gazoo.ACL) { return nil, nil })
}

// CheckDelete checks a delete.
func (s *SchemaSet) CheckDelete(path string) error {
	return s.check("delete", path, nil, func(one *Schema) ([]string, []gazoo.ACL) {
		return []string{one.Deleted.broken(true, "deleted")}, nil
	})
}

// CheckRead checks a read, with a watch or without.
func (s *SchemaSet) CheckRead(path string, watched bool) error {
	op := "read"
	if watched {
		op = "watch"
	}
	return s.check(op, path, nil, func(one *Schema) ([]string, []gazoo.ACL) {
		return []string{one.Watched.broken(watched, "watched")}, nil
	})
}

func (s *SchemaSet) check(op, path string, data []byte, rules func(*Schema) ([]string, []gazoo.ACL)) error {
	if s == nil {
		return nil
	}
	one := s.find(path)
	if one == nil {
		if s.strict {
			return &SchemaError{Op: op, Path: path, Rules: []string{"there is no schema for this path"}, Data: data}
		}
		return nil
	}
	broken, acl := rules(one)
	broken = slices.DeleteFunc(broken, func(rule string) bool { return rule == "" })
	var verr error
	if one.Validate != nil && (op == "create" || op == "set") {
		if verr = one.Validate(path, data, acl); verr != nil {
			broken = append(broken, "not valid: "+verr.Error())
		}
	}
	if len(broken) == 0 {
		return nil
	}
	return &SchemaError{Schema: one.Name, Op: op, Path: path, Rules: broken, Data: data, Err: verr}
}

// String documents all schemas, for people.
func (s *SchemaSet) String() string {
	var b strings.Builder
	for _, one := range s.Schemas() {
		fmt.Fprintf(&b, "%s: %s%s\n", one.Name, one.Path, one.Pattern)
		if one.Doc != "" {
			fmt.Fprintf(&b, "\t%s\n", one.Doc)
		}
		for _, a := range []struct {
			what string
			is   Allowance
		}{
			{"be ephemeral", one.Ephemeral},
			{"be sequential", one.Sequential},
			{"be a container", one.Container},
			{"have a TTL", one.TTL},
			{"be watched", one.Watched},
			{"be deleted", one.Deleted},
		} {
			if a.is != Can {
				fmt.Fprintf(&b, "\t%s %s\n", a.is, a.what)
			}
		}
		for _, key := range slices.Sorted(maps.Keys(one.Metadata)) {
			fmt.Fprintf(&b, "\t%s = %s\n", key, one.Metadata[key])
		}
	}
	return b.String()
}
