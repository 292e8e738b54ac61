package discovery_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/discovery"
)

type payload struct {
	Class  string `json:"@class,omitzero"`
	Name   string `json:"name"`
	Weight int    `json:"weight"`
}

func spec(t testing.TB, s string) discovery.URISpec {
	t.Helper()
	u, err := discovery.ParseURISpec(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// The JSON is what curator-x-discovery 5.4 writes for the same instance (and reads: enabled is missing unless it is false).
func TestCuratorJSON(t *testing.T) {
	at := time.UnixMilli(1700000000000)
	t.Run("object", func(t *testing.T) {
		roundTrip(t, discovery.Instance[payload]{
			Name: "svc", ID: "id-1", Address: "10.0.0.1", Port: 80, SSLPort: 443, Payload: payload{"D$P", "n", 3},
			Registered: at, Type: discovery.Dynamic, URI: spec(t, "{scheme}://{address}:{port}/x"),
		}, `{"name":"svc","id":"id-1","address":"10.0.0.1","port":80,"sslPort":443,"payload":{"@class":"D$P","name":"n","weight":3},"registrationTimeUTC":1700000000000,"serviceType":"DYNAMIC","uriSpec":{"parts":[{"value":"scheme","variable":true},{"value":"://","variable":false},{"value":"address","variable":true},{"value":":","variable":false},{"value":"port","variable":true},{"value":"/x","variable":false}]}}`)
	})
	t.Run("none", func(t *testing.T) {
		roundTrip(t, discovery.Instance[discovery.None]{
			Name: "svc", ID: "id-1", Address: "10.0.0.1", Registered: at, Type: discovery.Static,
		}, `{"name":"svc","id":"id-1","address":"10.0.0.1","port":null,"sslPort":null,"payload":null,"registrationTimeUTC":1700000000000,"serviceType":"STATIC","uriSpec":null}`)
	})
	t.Run("text", func(t *testing.T) {
		roundTrip(t, discovery.Instance[string]{
			Name: "svc", ID: "id-1", Payload: "hello", Registered: at, Type: discovery.DynamicSequential, Disabled: true,
		}, `{"name":"svc","id":"id-1","address":null,"port":null,"sslPort":null,"payload":"hello","registrationTimeUTC":1700000000000,"serviceType":"DYNAMIC_SEQUENTIAL","uriSpec":null,"enabled":false}`)
	})
	t.Run("defaults", func(t *testing.T) {
		for _, text := range []string{
			`{"name":"svc","id":"x"}`,
			`{"name":"svc","id":"x","address":null,"payload":null,"uriSpec":null,"zzz":[1,{"y":2}]}`,
		} {
			var got discovery.Instance[payload]
			err := json.Unmarshal([]byte(text), &got)
			want := discovery.Instance[payload]{Name: "svc", ID: "x", Type: discovery.Dynamic}
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("Unmarshal(%s) = %+v, %v, want %+v", text, got, err, want)
			}
		}
	})
	t.Run("malformed", func(t *testing.T) {
		for _, text := range []string{``, `x`, `[]`, `{"name":"svc"}`, `{"id":"x"}`, `{"name":"svc","id":"x","port":"80"}`, `{"name":"svc","id":"x","payload":{"weight":"heavy"}}`} {
			var got discovery.Instance[payload]
			if err := json.Unmarshal([]byte(text), &got); err == nil || !reflect.DeepEqual(got, discovery.Instance[payload]{}) {
				t.Errorf("Unmarshal(%s) = %+v, %v, want an error and nothing", text, got, err)
			}
		}
	})
}

func roundTrip[T any](t *testing.T, instance discovery.Instance[T], text string) {
	t.Helper()
	got, err := json.Marshal(instance)
	if err != nil || string(got) != text {
		t.Errorf("Marshal:\n got %s, %v\nwant %s", got, err, text)
	}
	var back discovery.Instance[T]
	if err := json.Unmarshal([]byte(text), &back); err != nil || !reflect.DeepEqual(back, instance) {
		t.Errorf("Unmarshal:\n got %+v, %v\nwant %+v", back, err, instance)
	}
}

// The wanted values are what curator-x-discovery 5.4 builds.
func TestURISpec(t *testing.T) {
	const text = "{scheme}://{address}:{port}/{ id }?{[}x{]}={name}&s={ssl-port}&t={registration-time-utc}&y={service-type}&q={foo}"
	u := spec(t, text)
	full := discovery.Instance[discovery.None]{
		Name: "svc", ID: "id-1", Address: "10.0.0.1", Port: 80, SSLPort: 443, Registered: time.UnixMilli(1700000000000), URI: u,
	}
	bare := discovery.Instance[discovery.None]{
		Name: "svc", ID: "id-1", Address: "10.0.0.1", Registered: time.UnixMilli(1700000000000), Type: discovery.Static, URI: u,
	}
	for what, tc := range map[string]struct{ got, want string }{
		"variables":   {full.BuildURI(map[string]string{"foo": "bar", "scheme": "gopher"}), "gopher://10.0.0.1:80/id-1?{x}=svc&s=443&t=1700000000000&y=dynamic&q=bar"},
		"SSL":         {full.BuildURI(nil), "https://10.0.0.1:80/id-1?{x}=svc&s=443&t=1700000000000&y=dynamic&q="},
		"no ports":    {bare.BuildURI(nil), "http://10.0.0.1:/id-1?{x}=svc&s=&t=1700000000000&y=static&q="},
		"no instance": {u.Build(nil), "http://:/?{x}=&s=&t=&y=&q="},
		"template":    {spec(t, "a{b}c").String(), "a{b}c"},
		"no template": {discovery.Instance[string]{}.BuildURI(nil), ""},
	} {
		if tc.got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", what, tc.got, tc.want)
		}
	}
	for _, bad := range []string{"{", "}", "a{b", "a}b", "{a{b}}", "{a}}"} {
		if u, err := discovery.ParseURISpec(bad); !errors.Is(err, gazoo.ErrBadArguments) || !u.IsZero() {
			t.Errorf("ParseURISpec(%q) = %v, %v, want ErrBadArguments", bad, u, err)
		}
	}
}
