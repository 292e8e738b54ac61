package model

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/gazoo-zk/gazoo"
)

// Paths maps keys to paths by a template, and back. A key is a struct with a field for each parameter: the one whose tag
// names it, or whose name is the parameter's but for upper and lower case.
//
//	type UserKey struct {
//		Tenant string
//		ID     int64 `path:"user"`
//	}
//	users, err := model.NewPaths[UserKey]("/app/{tenant}/users/{user}")
//
// For a template with one parameter the key can also be the value itself. Values are strings, integers, booleans, and
// what implements [encoding.TextMarshaler] and [encoding.TextUnmarshaler]. Every field must be one of a parameter, as a
// key would else not come back whole; the tag "-" leaves a field out.
//
// Safe for concurrent use.
type Paths[K any] struct {
	template Template
	fields   []int // of each parameter: the index of its field in K, whole for K itself
}

// NewPaths makes the mapping of a template.
//
// Errors: [gazoo.ErrBadArguments], every problem at once.
func NewPaths[K any](template string) (*Paths[K], error) {
	t, err := ParseTemplate(template)
	if err != nil {
		return nil, fmt.Errorf("new paths: %w", err)
	}
	p := &Paths[K]{template: t}
	if err := p.bind(reflect.TypeFor[K]()); err != nil {
		return nil, fmt.Errorf("new paths of %s: %w", template, err)
	}
	return p, nil
}

// whole stands for the index of a field where the key is the value itself.
const whole = -1

// fieldAt returns the part of a key that is a parameter.
func fieldAt(key reflect.Value, index int) reflect.Value {
	if index == whole {
		return key
	}
	return key.Field(index)
}

func (p *Paths[K]) bind(key reflect.Type) error {
	var problems []error
	bad := func(format string, a ...any) {
		problems = append(problems, &gazoo.ArgumentError{Arg: "key type " + key.String(), Reason: fmt.Sprintf(format, a...)})
	}
	names := p.template.Parameters()
	if textual(key) {
		if len(names) != 1 {
			bad("is one value, for %d parameters", len(names))
		}
		p.fields = []int{whole}
		return errors.Join(problems...)
	}
	if key.Kind() != reflect.Struct {
		bad("is neither a value that has a text nor a struct of such values")
		return errors.Join(problems...)
	}
	used := map[string]bool{}
	for _, name := range names {
		field, ok := fieldOf(key, name)
		switch {
		case !ok:
			bad("has no field for parameter %q", name)
		case used[field.Name]:
			bad("has one field, %s, for two parameters", field.Name)
		case !textual(field.Type):
			bad("has a field %s that has no text: %s", field.Name, field.Type)
		default:
			used[field.Name] = true
			p.fields = append(p.fields, field.Index[0])
		}
	}
	for i := range key.NumField() {
		if f := key.Field(i); !used[f.Name] && f.Tag.Get("path") != "-" {
			bad("has a field %s that is no parameter", f.Name)
		}
	}
	return errors.Join(problems...)
}

// fieldOf returns the field of a parameter: by its tag, or else by its name.
func fieldOf(key reflect.Type, name string) (found reflect.StructField, ok bool) {
	for i := range key.NumField() {
		f := key.Field(i)
		tag, tagged := f.Tag.Lookup("path")
		switch {
		case !f.IsExported() || f.Anonymous || tag == "-":
		case tagged && tag == name:
			return f, true
		case !tagged && !ok && strings.EqualFold(f.Name, name):
			found, ok = f, true
		}
	}
	return found, ok
}

var (
	marshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	unmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// textual reports whether values of a type can be made a text and back.
func textual(t reflect.Type) bool {
	if reflect.PointerTo(t).Implements(unmarshaler) && reflect.PointerTo(t).Implements(marshaler) {
		return true
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	}
	return false
}

// Template returns the template.
func (p *Paths[K]) Template() Template { return p.template }

// Path makes the path of a key.
//
// Errors: [gazoo.ErrBadArguments], every problem at once: see [Template.Resolve].
func (p *Paths[K]) Path(key K) (string, error) {
	v := reflect.ValueOf(&key).Elem()
	values := make([]string, len(p.fields))
	for i, index := range p.fields {
		text, err := textOf(fieldAt(v, index))
		if err != nil {
			return "", fmt.Errorf("template %s: %w: %w", p.template,
				&gazoo.ArgumentError{Arg: "parameter " + p.template.Parameters()[i], Reason: "has no text"}, err)
		}
		values[i] = text
	}
	return p.template.Resolve(values...)
}

// Parse takes a path apart into a key.
//
// Errors: [ErrNoMatch], also for a value that its field cannot hold, or that would be written differently, such as the
// integer 007: then no key has that path.
func (p *Paths[K]) Parse(path string) (K, error) {
	var key, none K
	values, err := p.template.Parse(path)
	if err != nil {
		return none, err
	}
	v := reflect.ValueOf(&key).Elem()
	for i, index := range p.fields {
		field := fieldAt(v, index)
		err := setText(field, values[i])
		if err == nil {
			var again string
			if again, err = textOf(field); err == nil && again != values[i] {
				err = fmt.Errorf("it is written %q", again)
			}
		}
		if err != nil {
			return none, fmt.Errorf("%q, template %s: %w: parameter %s: %w", path, p.template, ErrNoMatch, p.template.Parameters()[i], err)
		}
	}
	return key, nil
}

func textOf(v reflect.Value) (string, error) {
	if m, ok := v.Addr().Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		return string(text), err
	}
	switch {
	case v.Kind() == reflect.Bool:
		return strconv.FormatBool(v.Bool()), nil
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10), nil
	case v.CanUint():
		return strconv.FormatUint(v.Uint(), 10), nil
	}
	return v.String(), nil
}

func setText(v reflect.Value, text string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch {
	case v.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(text)
		v.SetBool(b)
		return err
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		v.SetInt(n)
		return err
	case v.CanUint():
		n, err := strconv.ParseUint(text, 10, v.Type().Bits())
		v.SetUint(n)
		return err
	}
	v.SetString(text)
	return nil
}
