package discovery

import (
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/gazoo-zk/gazoo"
)

// URISpec is a template of a URI, such as "{scheme}://{address}:{port}/app": Curator's UriSpec. An instance fills in
// {scheme} (https when it has an SSL port, else http), {name}, {id}, {address}, {port}, {ssl-port},
// {registration-time-utc} and {service-type}; {[} and {]} stand for braces.
type URISpec struct {
	Parts []URIPart `json:"parts"`
}

// URIPart is a text, or the name of a variable.
type URIPart struct {
	Value    string `json:"value"`
	Variable bool   `json:"variable"`
}

// ParseURISpec reads a template. The error is a [gazoo.ArgumentError] about braces that do not match.
func ParseURISpec(s string) (URISpec, error) {
	var spec URISpec
	rest, inside := s, false
	for rest != "" {
		text, brace := rest, byte(0)
		if i := strings.IndexAny(rest, "{}"); i >= 0 {
			text, brace, rest = rest[:i], rest[i], rest[i+1:]
		} else {
			rest = ""
		}
		if text != "" {
			if inside {
				text = strings.TrimSpace(text)
			}
			spec.Parts = append(spec.Parts, URIPart{text, inside})
		}
		if brace != 0 {
			if inside == (brace == '{') {
				return URISpec{}, badSpec(s)
			}
			inside = !inside
		}
	}
	if inside {
		return URISpec{}, badSpec(s)
	}
	return spec, nil
}

func badSpec(s string) error {
	return fmt.Errorf("URI spec %q: %w", s, &gazoo.ArgumentError{Arg: "spec", Reason: "braces do not match"})
}

// IsZero reports whether there is no template.
func (u URISpec) IsZero() bool { return len(u.Parts) == 0 }

// String returns the template.
func (u URISpec) String() string {
	var b strings.Builder
	for _, p := range u.Parts {
		if p.Variable {
			b.WriteString("{" + p.Value + "}")
		} else {
			b.WriteString(p.Value)
		}
	}
	return b.String()
}

// Build fills in the variables; one that is missing is left out.
func (u URISpec) Build(vars map[string]string) string {
	var b strings.Builder
	for _, p := range u.Parts {
		switch value, found := vars[p.Value]; {
		case !p.Variable:
			b.WriteString(p.Value)
		case found:
			b.WriteString(value)
		default:
			b.WriteString(predefined[p.Value])
		}
	}
	return b.String()
}

var predefined = map[string]string{"[": "{", "]": "}", "scheme": "http"}

// BuildURI fills the instance's template with what is known of it; vars come before that, and may be nil.
func (i Instance[T]) BuildURI(vars map[string]string) string {
	all := map[string]string{
		"name": i.Name, "id": i.ID, "address": i.Address,
		"port": number(i.Port), "ssl-port": number(i.SSLPort),
		"registration-time-utc": strconv.FormatInt(millis(i.Registered), 10),
		"service-type":          strings.ToLower(string(i.kind())),
	}
	if i.SSLPort != 0 {
		all["scheme"] = "https"
	}
	maps.Copy(all, vars)
	return i.URI.Build(all)
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}
