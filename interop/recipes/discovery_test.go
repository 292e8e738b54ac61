package recipes

import (
	"cmp"
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo/interop/recipes/peer"
	"github.com/gazoo-zk/gazoo/recipes/discovery"
	"github.com/gazoo-zk/gazoo/zktest"
)

// record is an instance as Curator sees it.
type record struct {
	Name       string `json:"name"`
	ID         string `json:"id"`
	Address    string `json:"address"`
	Port       int    `json:"port"`
	SSLPort    int    `json:"ssl_port"`
	Registered int64  `json:"registered"`
	Type       string `json:"type"`
	Enabled    bool   `json:"enabled"`
	URI        string `json:"uri"`
	Payload    any    `json:"payload"`
}

// seen is gazoo's view as Curator's.
func seen(i discovery.Instance[any]) record {
	r := record{
		Name: i.Name, ID: i.ID, Address: i.Address, Port: i.Port, SSLPort: i.SSLPort,
		Registered: i.Registered.UnixMilli(), Type: string(i.Type), Enabled: !i.Disabled, Payload: i.Payload,
	}
	if !i.URI.IsZero() {
		r.URI = i.BuildURI(nil)
	}
	return r
}

// discoveryCases are instances that differ in what they have.
var discoveryCases = []discovery.Instance[any]{
	{Name: "web", ID: "full", Address: "10.0.0.1", Port: 80, SSLPort: 443, URI: uri("{scheme}://{address}:{port}/{id}"), Payload: map[string]any{"weight": 3.5, "tags": "a b"}},
	{Name: "web", ID: "bare", Address: "host-2"},
	{Name: "web", ID: "text", Address: "host-3", Port: 1, Payload: "just text, \u00fc"},
	{Name: "web", ID: "disabled", Address: "host-4", Port: 2, Disabled: true},
	{Name: "web", ID: "static", Address: "host-5", Port: 3, Type: discovery.Static},
	{Name: "web", ID: "permanent", Address: "host-6", Port: 4, Type: discovery.Permanent},
}

func uri(template string) discovery.URISpec {
	spec, err := discovery.ParseURISpec(template)
	if err != nil {
		panic(err)
	}
	return spec
}

// payloadClass is what Curator reads objects as.
const payloadClass = "java.util.TreeMap"

// TestDiscovery has Curator and gazoo find what the other has registered, with every field, and the same bytes in the
// znode.
func TestDiscovery(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		path := newPath()
		ours, err := discovery.New[any](s.gazoo[0], path, discovery.WithPayloadClass(payloadClass))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range discoveryCases {
			t.Run(c.ID, func(t *testing.T) {
				theirs := makes(t, s.curator[0], "ServiceDiscovery", path, peer.Args{"enabled_field": c.Disabled})
				defer theirs.do(nil, "close", nil)
				c.Name += "-" + c.ID
				args := peer.Args{"name": c.Name, "identifier": "theirs", "address": c.Address, "enabled": !c.Disabled}
				if c.Port != 0 {
					args["port"] = c.Port
				}
				if c.SSLPort != 0 {
					args["ssl_port"] = c.SSLPort
				}
				if c.Type != "" {
					args["type"] = string(c.Type)
				}
				if !c.URI.IsZero() {
					args["uri"] = c.URI.String()
				}
				if c.Payload != nil {
					args["payload"] = c.Payload
				}
				theirs.do(nil, "register", args)
				mine := c
				mine.ID = "ours"
				reg, err := ours.Register(mine)
				if err != nil {
					t.Fatal(err)
				}
				if err := reg.WaitCreated(within(t)); err != nil {
					t.Fatal(err)
				}

				var all []record
				theirs.do(&all, "instances", peer.Args{"name": c.Name})
				slices.SortFunc(all, func(a, b record) int { return cmp.Compare(a.ID, b.ID) })
				instances, err := ours.Instances(t.Context(), c.Name)
				if err != nil || len(instances) != 2 || len(all) != 2 {
					t.Fatalf("gazoo sees %v, %v; Curator sees %v; want two instances", instances, err, all)
				}
				for i, instance := range instances {
					got := seen(instance)
					if m, ok := got.Payload.(map[string]any); ok {
						delete(m, "@class") // which is Java's
					}
					if !reflect.DeepEqual(got, all[i]) {
						t.Errorf("gazoo sees  %+v\nCurator sees %+v", got, all[i])
					}
					if want := cmp.Or(c.Type, discovery.Dynamic); got.Type != string(want) || got.Enabled == c.Disabled || !reflect.DeepEqual(got.Payload, c.Payload) {
						t.Errorf("instance is %+v, want what was registered: %+v", got, c)
					}
				}
				compareData(t, s, path+"/"+c.Name)

				theirs.do(nil, "unregister", peer.Args{"identifier": "theirs"})
				if err := reg.Close(within(t)); err != nil {
					t.Fatal(err)
				}
				if c.Type == discovery.Permanent {
					if err := ours.Remove(within(t), c.Name, "ours"); err != nil {
						t.Fatal(err)
					}
				}
				s.empties(t, path+"/"+c.Name)
				found.format("discovery: " + c.ID + " instance of Curator, both ways")
			})
		}
	})
}

// compareData wants the two instances of a service to have the same JSON, but for what must differ.
func compareData(t *testing.T, s *site, path string) {
	t.Helper()
	var docs []map[string]any
	for _, name := range s.children(t, path) {
		data, _, err := s.zk.Get(t.Context(), path+"/"+name)
		if err != nil {
			t.Fatal(err)
		}
		var doc map[string]any
		if err := json.Unmarshal(data, &doc); err != nil {
			t.Fatalf("%s: %v in %q", name, err, data)
		}
		delete(doc, "id")
		delete(doc, "registrationTimeUTC")
		docs = append(docs, doc)
	}
	if len(docs) == 2 && !reflect.DeepEqual(docs[0], docs[1]) {
		t.Errorf("data differs:\n%v\n%v", docs[0], docs[1])
	}
}

// TestDiscoverySequential has instances whose znodes get a number.
func TestDiscoverySequential(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		path := newPath()
		theirs := makes(t, s.curator[0], "ServiceDiscovery", path, nil)
		ours, err := discovery.New[any](s.gazoo[0], path)
		if err != nil {
			t.Fatal(err)
		}
		reg, err := ours.Register(discovery.Instance[any]{Name: "web", ID: "ours", Address: "a", Type: discovery.DynamicSequential})
		if err != nil {
			t.Fatal(err)
		}
		defer reg.Close(within(t))
		if err := reg.WaitCreated(within(t)); err != nil {
			t.Fatal(err)
		}
		theirs.do(nil, "register", peer.Args{"name": "web", "identifier": "theirs", "address": "b", "type": "DYNAMIC_SEQUENTIAL"})
		var all []record
		theirs.do(&all, "instances", peer.Args{"name": "web"})
		instances, err := ours.Instances(t.Context(), "web")
		if err != nil || len(instances) != 2 || len(all) != 2 {
			t.Fatalf("gazoo sees %v, %v; Curator sees %v; want two instances", instances, err, all)
		}
		theirs.do(nil, "close", nil)
		found.format("discovery: sequential instance of Curator, both ways")
	})
}

// TestDiscoveryWatched has gazoo's cache and provider follow what Curator registers, and Curator list gazoo's services.
func TestDiscoveryWatched(t *testing.T) {
	onEach(t, func(t *testing.T, s *site) {
		path := newPath()
		ours, err := discovery.New[any](s.gazoo[0], path)
		if err != nil {
			t.Fatal(err)
		}
		theirs := makes(t, s.curator[0], "ServiceDiscovery", path, peer.Args{"enabled_field": true})
		provider, err := ours.Provider("web")
		if err != nil {
			t.Fatal(err)
		}
		defer provider.Close()
		theirs.do(nil, "register", peer.Args{"name": "web", "identifier": "on", "address": "a", "port": 1})
		theirs.do(nil, "register", peer.Args{"name": "web", "identifier": "off", "address": "b", "port": 2, "enabled": false})
		zktest.Eventually(t, "the cache has both", func() bool { return len(provider.Cache().Instances()) == 2 })
		for range 3 {
			if i, err := provider.Instance(within(t)); err != nil || i.ID != "on" {
				t.Errorf("Instance() = %v, %v; want the one that is enabled", i, err)
			}
		}
		theirs.do(nil, "unregister", peer.Args{"identifier": "on"})
		zktest.Eventually(t, "none is left to pick", func() bool { return len(provider.All()) == 0 })

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := provider.Instance(ctx); err == nil {
			t.Error("Instance() = nil, want ErrNoInstance")
		}
		reg, err := ours.Register(discovery.Instance[any]{Name: "api", Address: "c"})
		if err != nil {
			t.Fatal(err)
		}
		defer reg.Close(within(t))
		if err := reg.WaitCreated(within(t)); err != nil {
			t.Fatal(err)
		}
		var names []string
		if theirs.do(&names, "names", nil); !slices.Equal(names, []string{"api", "web"}) {
			t.Errorf("Curator lists the services %q, want api and web", names)
		}
		theirs.do(nil, "close", nil)
	})
}
