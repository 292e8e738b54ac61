package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/gazoo-zk/gazoo"
)

// ReadSchemas reads schemas from JSON in the format of Curator's SchemaSetLoader, an array of objects:
//
//	name             required
//	path             required: a path, or with isRegex a regular expression
//	isRegex          true or false, default false
//	schemaValidator  a key of validators
//	documentation    text
//	ephemeral, sequential, watched
//	                 "can", "must" or "cannot", default "can"
//	canBeDeleted     true or false, default false: Curator documents true, but does this
//	metadata         an object of texts
//
// container and ttl, with the values of ephemeral, are additions that Curator ignores, as other fields are here. As in
// Curator, a slash at the end of a path does not count, the text "true" and numbers other than 0 are true, and texts can be
// numbers and booleans. Regular expressions are RE2's: what Java has beyond that, such as look-ahead, is an error.
//
// Errors: [gazoo.ErrBadArguments], every problem of every schema at once; that of the JSON or of r.
func ReadSchemas(r io.Reader, validators map[string]Validator, opts ...SchemaOption) (*SchemaSet, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read schemas: %w", err)
	}
	var objects []map[string]json.RawMessage
	if err := json.Unmarshal(text, &objects); err != nil {
		return nil, fmt.Errorf("read schemas: %w: %w", &gazoo.ArgumentError{Arg: "JSON", Reason: "is not an array of objects"}, err)
	}
	var problems []error
	schemas := make([]Schema, 0, len(objects))
	for i, fields := range objects {
		f := jsonFields{fields: fields}
		one := f.schema(validators)
		if err := errors.Join(f.problems...); err != nil {
			problems = append(problems, fmt.Errorf("read schemas: schema %d, %q: %w", i, one.Name, err))
			continue
		}
		schemas = append(schemas, one)
	}
	set, err := NewSchemas(schemas, opts...)
	if err != nil {
		problems = append(problems, fmt.Errorf("read schemas: %w", err))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return set, nil
}

// jsonFields reads the fields of one object.
type jsonFields struct {
	fields   map[string]json.RawMessage
	problems []error
}

func (f *jsonFields) bad(name, format string, a ...any) {
	f.problems = append(f.problems, &gazoo.ArgumentError{Arg: name, Reason: fmt.Sprintf(format, a...)})
}

func (f *jsonFields) schema(validators map[string]Validator) Schema {
	for _, name := range []string{"name", "path"} {
		if _, there := f.fields[name]; !there {
			f.bad(name, "is missing")
		}
	}
	one := Schema{
		Name: f.text("name"), Doc: f.text("documentation"),
		Ephemeral: f.allowance("ephemeral"), Sequential: f.allowance("sequential"), Watched: f.allowance("watched"),
		Container: f.allowance("container"), TTL: f.allowance("ttl"),
	}
	if path := f.text("path"); f.truth("isRegex") {
		one.Pattern = path
	} else {
		one.Path = path
		if len(path) > 1 {
			one.Path = strings.TrimSuffix(path, "/")
		}
	}
	if !f.truth("canBeDeleted") {
		one.Deleted = Cannot
	}
	if _, there := f.fields["schemaValidator"]; there {
		name := f.text("schemaValidator")
		if one.Validate = validators[name]; one.Validate == nil {
			f.bad("schemaValidator", "there is none with the name %q", name)
		}
	}
	if raw, there := f.fields["metadata"]; there {
		values := jsonFields{}
		if err := json.Unmarshal(raw, &values.fields); err != nil {
			f.bad("metadata", "is no object")
		}
		one.Metadata = map[string]string{}
		for _, name := range slices.Sorted(maps.Keys(values.fields)) {
			one.Metadata[name] = values.text(name)
		}
		f.problems = append(f.problems, values.problems...)
	}
	return one
}

// text reads a text, or a number or boolean as a text; "" when it is missing or null.
func (f *jsonFields) text(name string) string {
	var value any
	d := json.NewDecoder(bytes.NewReader(f.fields[name]))
	d.UseNumber()
	if f.fields[name] == nil || d.Decode(&value) != nil {
		return ""
	}
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number, bool:
		return fmt.Sprint(v)
	}
	f.bad(name, "is no text")
	return ""
}

// truth reads a boolean, the text "true", or a number that is true unless it is 0.
func (f *jsonFields) truth(name string) bool {
	text := f.text(name)
	if raw := f.fields[name]; len(raw) > 0 && raw[0] != '"' {
		if number, err := strconv.ParseFloat(text, 64); err == nil {
			return number != 0
		}
	}
	return strings.TrimSpace(text) == "true"
}

func (f *jsonFields) allowance(name string) Allowance {
	if _, there := f.fields[name]; !there {
		return Can
	}
	switch text := f.text(name); strings.ToLower(text) {
	case "can":
		return Can
	case "must":
		return Must
	case "cannot":
		return Cannot
	default:
		f.bad(name, "is %q, and not can, must or cannot", text)
	}
	return Can
}
