package discovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/gazoo-zk/gazoo"
)

// This file is about instances that no program keeps registered: those that came over HTTP.

// HandlerOption changes what a [Discovery.Handler] does.
type HandlerOption func(*handlerOptions)

type handlerOptions struct{ writes bool }

// WithWrites lets the handler register and remove instances:
//
//	PUT    /v1/service/{name}/{id}  registers an instance, or replaces it: 201
//	DELETE /v1/service/{name}/{id}  removes it: 200, also when there is none
//
// The body of a PUT is the instance as GET shows it, in JSON, of at most [MaxBody] bytes: with the name and the id of the
// path, an address, and [Static] or [Permanent] as its type. A time of registration that is missing is the present.
//
// Nobody owns such an instance: its znode is a persistent one, written once, which outlives this program and whoever has
// sent it. Anybody may replace or remove it, and any number of programs may serve the same services. A permanent one
// stays until it is deleted. A static one stays until then too, unless somebody calls [Discovery.Purge]: then it has to
// be put again, with a new time, before it is too old.
//
// Instances of a session belong to their program: they are neither replaced nor removed, and the answer is 409. A static
// or permanent one that a program keeps by a [Registration] cannot be told from the others: what is written here, that
// program sets back. Other answers are 400 for what is no such instance, 413 for a longer body, 415 for another
// Content-Type than JSON, and 403 for what an ACL forbids. Behind 503 nobody knows what has been done; both may be
// repeated.
func WithWrites() HandlerOption { return func(o *handlerOptions) { o.writes = true } }

// MaxBody is how many bytes an instance may have that is registered over HTTP.
const MaxBody = 64 << 10

// errKept says that an instance belongs to a session.
var errKept = errors.New("instance belongs to a program that keeps it registered")

func (d *Discovery[T]) handlePut(w http.ResponseWriter, r *http.Request) {
	if content := r.Header.Get("Content-Type"); content != "" {
		if kind, _, err := mime.ParseMediaType(content); err != nil || kind != "application/json" {
			http.Error(w, "instance is not application/json", http.StatusUnsupportedMediaType)
			return
		}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		if _, long := errors.AsType[*http.MaxBytesError](err); long {
			http.Error(w, fmt.Sprintf("instance has more than %d bytes", MaxBody), http.StatusRequestEntityTooLarge)
		} else {
			http.Error(w, "body cannot be read", http.StatusBadRequest)
		}
		return
	}
	instance, err := d.unkept(body, r.PathValue("name"), r.PathValue("id"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	confirm(w, http.StatusCreated, d.put(r.Context(), instance))
}

func (d *Discovery[T]) handleDelete(w http.ResponseWriter, r *http.Request) {
	confirm(w, http.StatusOK, d.removeUnkept(r.Context(), r.PathValue("name"), r.PathValue("id")))
}

// confirm answers a write.
func confirm(w http.ResponseWriter, done int, err error) {
	switch {
	case err == nil:
		w.WriteHeader(done)
	case errors.Is(err, errKept):
		http.Error(w, errKept.Error(), http.StatusConflict)
	case errors.Is(err, gazoo.ErrBadArguments):
		http.Error(w, "name or id is not fit for a znode", http.StatusBadRequest)
	case errors.Is(err, gazoo.ErrNoAuth):
		http.Error(w, "ZooKeeper forbids it", http.StatusForbidden)
	default:
		http.Error(w, "ZooKeeper cannot be asked, or has not answered", http.StatusServiceUnavailable)
	}
}

// unkept decodes an instance that is to be registered at a name and an id.
func (d *Discovery[T]) unkept(body []byte, name, id string) (Instance[T], error) {
	var instance Instance[T]
	if err := json.Unmarshal(body, &instance); err != nil {
		return instance, fmt.Errorf("not an instance: %w", err)
	}
	switch {
	case instance.Name != name || instance.ID != id:
		return instance, errors.New("name or id is not that of the path")
	case instance.Type != Static && instance.Type != Permanent:
		return instance, fmt.Errorf("serviceType is %q, not %s or %s: no session would hold it", instance.Type, Static, Permanent)
	case instance.Address == "":
		return instance, errors.New("there is no address")
	case !validPort(instance.Port) || !validPort(instance.SSLPort):
		return instance, errors.New("port is out of range")
	}
	if instance.Registered.IsZero() {
		instance.Registered = time.Now()
	}
	return instance, nil
}

func validPort(port int) bool { return port >= 0 && port <= 65535 }

// put writes an instance that nobody keeps. It replaces one of its kind.
func (d *Discovery[T]) put(ctx context.Context, instance Instance[T]) error {
	path, err := d.path(instance.Name, instance.ID)
	if err != nil {
		return err
	}
	data, err := instance.marshal(d.opts.class)
	if err != nil {
		return err
	}
	for {
		_, err := d.zk.Create(ctx, path, data, gazoo.ContainerParents())
		if !errors.Is(err, gazoo.ErrNodeExists) {
			return err
		}
		_, err = d.alter(ctx, path, nil, func(stat gazoo.Stat) error {
			_, err := d.zk.Set(ctx, path, data, stat.Version)
			return err
		})
		if !errors.Is(err, gazoo.ErrNoNode) {
			return err
		}
	}
}

// removeUnkept deletes an instance that nobody keeps. A missing one is no error.
func (d *Discovery[T]) removeUnkept(ctx context.Context, name, id string) error {
	path, err := d.path(name, id)
	if err != nil {
		return err
	}
	_, err = d.alter(ctx, path, nil, func(stat gazoo.Stat) error { return d.zk.Delete(ctx, path, stat.Version) })
	if errors.Is(err, gazoo.ErrNoNode) {
		return nil
	}
	return err
}

// alter looks at an instance, and changes it if no session owns it and it meets a condition; nil for none. When it was
// changed by somebody else meanwhile, it is looked at again. done says whether it was changed.
func (d *Discovery[T]) alter(ctx context.Context, path string, cond func(data []byte) bool, change func(gazoo.Stat) error) (done bool, err error) {
	for {
		data, stat, err := d.zk.Get(ctx, path)
		switch {
		case err != nil:
			return false, err
		case stat.EphemeralOwner != 0:
			return false, errKept
		case cond != nil && !cond(data):
			return false, nil
		}
		if err = change(stat); !errors.Is(err, gazoo.ErrBadVersion) {
			return err == nil, err
		}
	}
}

// Purge removes the static instances that were registered longer than age ago and that no session owns, and returns how
// many: to be called from time to time where instances are registered over HTTP, by programs that may go without a word,
// as Curator's InstanceCleanup does. An instance that is put again meanwhile stays. One that a program keeps by a
// [Registration] comes back at once. What cannot be read as an instance is left alone.
//
// The times are those that whoever registered has given, so clocks have to agree, better than age. Errors:
// [gazoo.ErrBadArguments] when age is not positive, and those of the client, behind which what has been removed is gone.
func (d *Discovery[T]) Purge(ctx context.Context, age time.Duration) (removed int, err error) {
	if age <= 0 {
		return 0, d.refuse("age", "is not positive")
	}
	names, err := d.Names(ctx)
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		service, err := d.path(name)
		if err != nil {
			return removed, err
		}
		ids, err := d.children(ctx, service)
		if err != nil {
			return removed, err
		}
		for _, id := range ids {
			path := gazoo.JoinPath(service, id)
			old := func(data []byte) bool {
				instance, err := decode[T](path, data)
				return err == nil && instance.Type == Static && time.Since(instance.Registered) > age
			}
			done, err := d.alter(ctx, path, old, func(stat gazoo.Stat) error { return d.zk.Delete(ctx, path, stat.Version) })
			switch {
			case errors.Is(err, gazoo.ErrNoNode), errors.Is(err, errKept):
			case err != nil:
				return removed, err
			case done:
				removed++
			}
		}
	}
	return removed, nil
}
