package discovery

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// ServiceType says how long an instance stays registered.
type ServiceType string

// The types, in Curator's words.
const (
	Dynamic           ServiceType = "DYNAMIC"            // as long as its program has a session. The default
	DynamicSequential ServiceType = "DYNAMIC_SEQUENTIAL" // the same, with a number after its id
	Static            ServiceType = "STATIC"             // until its registration is closed, or it is purged
	Permanent         ServiceType = "PERMANENT"          // until [Discovery.Remove]
)

// None is the payload type of instances without one.
type None = *struct{}

// Instance is an instance of a service, with a payload of its own.
type Instance[T any] struct {
	Name       string    // of the service
	ID         string    // a name that no other instance of the service has
	Address    string    // "" when it has none
	Port       int       // 0 when it has none
	SSLPort    int       // 0 when it has none
	Payload    T         // whatever encoding/json can do
	Registered time.Time // to the millisecond
	Type       ServiceType
	URI        URISpec
	Disabled   bool // providers leave it out
}

// wire is an instance as Curator writes it.
type wire struct {
	Name       string          `json:"name"`
	ID         string          `json:"id"`
	Address    *string         `json:"address"`
	Port       *int            `json:"port"`
	SSLPort    *int            `json:"sslPort"`
	Payload    json.RawMessage `json:"payload"`
	Registered int64           `json:"registrationTimeUTC"`
	Type       ServiceType     `json:"serviceType"`
	URI        *URISpec        `json:"uriSpec"`
	Enabled    *bool           `json:"enabled,omitempty"` // Curator leaves it out by default, and old versions refuse it
}

// MarshalJSON encodes the instance as Curator does.
func (i Instance[T]) MarshalJSON() ([]byte, error) { return i.marshal("") }

// marshal is MarshalJSON with the payload's Java class.
func (i Instance[T]) marshal(class string) ([]byte, error) {
	payload, err := json.Marshal(i.Payload)
	if err != nil {
		return nil, err
	}
	w := wire{
		Name: i.Name, ID: i.ID, Address: optional(i.Address), Port: optional(i.Port), SSLPort: optional(i.SSLPort),
		Payload: withClass(payload, class), Registered: millis(i.Registered), Type: i.kind(),
	}
	if i.Disabled {
		w.Enabled = new(false)
	}
	if !i.URI.IsZero() {
		w.URI = &i.URI
	}
	return json.Marshal(w)
}

// kind returns the type, with its default.
func (i Instance[T]) kind() ServiceType {
	if i.Type == "" {
		return Dynamic
	}
	return i.Type
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// optional returns nil for the zero value: Curator writes null.
func optional[V comparable](v V) *V {
	var zero V
	if v == zero {
		return nil
	}
	return &v
}

func value[V any](p *V) (v V) {
	if p != nil {
		v = *p
	}
	return v
}

// withClass puts the class in front of a payload's fields, if it is an object that has none yet.
func withClass(payload []byte, class string) []byte {
	if class == "" || len(payload) == 0 || payload[0] != '{' {
		return payload
	}
	var has struct {
		Class *string `json:"@class"`
	}
	if json.Unmarshal(payload, &has) == nil && has.Class != nil {
		return payload
	}
	name, _ := json.Marshal(class) // a string never fails
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"@class":%s`, name)
	if rest := payload[1:]; rest[0] != '}' {
		b.WriteByte(',')
		b.Write(rest)
	} else {
		b.Write(rest)
	}
	return b.Bytes()
}

// UnmarshalJSON decodes what Curator writes. Missing fields get Curator's defaults, unknown ones are ignored.
func (i *Instance[T]) UnmarshalJSON(data []byte) error {
	w := wire{Type: Dynamic}
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	if w.Name == "" || w.ID == "" {
		return errors.New("not an instance: it has no name or no id")
	}
	out := Instance[T]{
		Name: w.Name, ID: w.ID, Address: value(w.Address), Port: value(w.Port), SSLPort: value(w.SSLPort),
		Type: w.Type, URI: value(w.URI), Disabled: w.Enabled != nil && !*w.Enabled,
	}
	if w.Registered != 0 {
		out.Registered = time.UnixMilli(w.Registered)
	}
	if len(w.Payload) > 0 {
		if err := json.Unmarshal(w.Payload, &out.Payload); err != nil {
			return fmt.Errorf("payload: %w", err)
		}
	}
	*i = out
	return nil
}
