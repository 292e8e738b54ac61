package discovery

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"

	"github.com/gazoo-zk/gazoo"
)

// Handler shows the services over HTTP, for programs that do not speak ZooKeeper, with the paths and the JSON of
// curator-x-discovery-server. It only reads, unless [WithWrites] says otherwise: registering is for programs that stay.
//
//	GET /v1/service              names of the services
//	GET /v1/service/{name}       instances of a service
//	GET /v1/service/{name}/{id}  one instance
//	GET /v1/anyservice/{name}    any enabled instance
//
// What is missing is answered 404, and 503 what no server of ZooKeeper could be asked for. Each request reads from
// ZooKeeper; it ends with its context. Who may ask is up to what is put around it.
func (d *Discovery[T]) Handler(opts ...HandlerOption) http.Handler {
	var o handlerOptions
	for _, opt := range opts {
		if opt != nil {
			opt(&o)
		}
	}
	mux := http.NewServeMux()
	if o.writes {
		mux.HandleFunc("PUT /v1/service/{name}/{id}", d.handlePut)
		mux.HandleFunc("DELETE /v1/service/{name}/{id}", d.handleDelete)
	}
	mux.HandleFunc("GET /v1/service", func(w http.ResponseWriter, r *http.Request) {
		names, err := d.Names(r.Context())
		out := make([]listedName, len(names))
		for i, name := range names {
			out[i].Name = name
		}
		answer(w, out, err)
	})
	mux.HandleFunc("GET /v1/service/{name}", func(w http.ResponseWriter, r *http.Request) {
		instances, err := d.Instances(r.Context(), r.PathValue("name"))
		out := make([]listed, 0, len(instances))
		for _, instance := range instances {
			out = append(out, list(instance))
		}
		answer(w, out, readable(err))
	})
	mux.HandleFunc("GET /v1/service/{name}/{id}", func(w http.ResponseWriter, r *http.Request) {
		instance, err := d.Instance(r.Context(), r.PathValue("name"), r.PathValue("id"))
		answer(w, list(instance), err)
	})
	mux.HandleFunc("GET /v1/anyservice/{name}", func(w http.ResponseWriter, r *http.Request) {
		instances, err := d.Instances(r.Context(), r.PathValue("name"))
		if err = readable(err); err != nil {
			answer(w, nil, err)
			return
		}
		var enabled []Instance[T]
		for _, instance := range instances {
			if !instance.Disabled {
				enabled = append(enabled, instance)
			}
		}
		if len(enabled) == 0 {
			answer(w, nil, ErrNoInstance)
			return
		}
		answer(w, list(enabled[rand.IntN(len(enabled))]), nil)
	})
	return mux
}

type listedName struct {
	Name string `json:"name"`
}

// listed is an instance as curator-x-discovery-server shows it.
type listed struct {
	Name       string      `json:"name"`
	ID         string      `json:"id"`
	Address    *string     `json:"address"`
	Port       int         `json:"port,omitzero"`
	SSLPort    int         `json:"sslPort,omitzero"`
	Registered int64       `json:"registrationTimeUTC"`
	Type       ServiceType `json:"serviceType"`
	Payload    any         `json:"payload"`
}

func list[T any](i Instance[T]) listed {
	return listed{i.Name, i.ID, optional(i.Address), i.Port, i.SSLPort, millis(i.Registered), i.kind(), i.Payload}
}

// readable drops the error about instances that were left out: the others are an answer.
func readable(err error) error {
	if errors.Is(err, ErrMalformed) {
		return nil
	}
	return err
}

func answer(w http.ResponseWriter, v any, err error) {
	var body []byte
	if err == nil {
		body, err = json.Marshal(v)
	}
	switch {
	case err == nil:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body) // the client has gone
	case errors.Is(err, gazoo.ErrNoNode), errors.Is(err, gazoo.ErrBadArguments), errors.Is(err, ErrNoInstance):
		http.Error(w, "not found", http.StatusNotFound)
	case errors.Is(err, ErrMalformed):
		http.Error(w, "instance cannot be read", http.StatusInternalServerError)
	default:
		http.Error(w, "ZooKeeper cannot be asked", http.StatusServiceUnavailable)
	}
}
