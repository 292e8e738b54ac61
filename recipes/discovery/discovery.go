package discovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/owned"
	"github.com/gazoo-zk/gazoo/recipes/membership"
)

// ErrMalformed says that a znode below a service is no instance that can be read.
var ErrMalformed = errors.New("znode is not an instance")

// Option configures a [Discovery].
type Option func(*options)

type options struct{ class string }

// WithPayloadClass puts the name of a Java class into payloads that are objects, as the field "@class": programs that
// use Curator read them as that class, and cannot read objects without it. Strings need none.
func WithPayloadClass(name string) Option { return func(o *options) { o.class = name } }

// Discovery is the services below a path, whose payloads are of one type ([None] when they have none). It is safe for
// concurrent use and needs no close.
type Discovery[T any] struct {
	zk   *gazoo.Client
	base string
	opts options
}

// New returns the services below a path. Nothing is sent. The error is a [gazoo.ArgumentError].
func New[T any](zk *gazoo.Client, base string, opts ...Option) (*Discovery[T], error) {
	if err := gazoo.ValidatePath(base); err != nil {
		return nil, fmt.Errorf("discovery %s: %w", base, err)
	}
	d := &Discovery[T]{zk: zk, base: base}
	for _, opt := range opts {
		if opt != nil {
			opt(&d.opts)
		}
	}
	return d, nil
}

// Registration keeps an instance registered. Whoever made it closes it.
type Registration[T any] struct {
	node     *membership.PersistentNode
	class    string
	instance Instance[T]
}

// Register begins to keep an instance registered and returns at once: [Registration.WaitCreated] waits until it is. An
// ID that is missing is made up, the time of registration is the present, and the type [Dynamic]. The options are
// those of the znode, without those that change its mode or name; [membership.OnForeign] says what happens when another
// session has an instance with the same ID.
//
// The error is a [gazoo.ArgumentError], or the payload's that cannot be encoded.
func (d *Discovery[T]) Register(instance Instance[T], opts ...membership.Option) (*Registration[T], error) {
	if instance.ID == "" {
		instance.ID = owned.NewGUID().Dashed()
	}
	if instance.Registered.IsZero() {
		instance.Registered = time.Now().Truncate(time.Millisecond)
	}
	instance.Type = instance.kind()
	own := []membership.Option{membership.ContainerParents()}
	switch instance.Type {
	case Dynamic:
	case DynamicSequential:
		own = append(own, membership.Sequential())
	case Static:
		own = append(own, membership.Persistent())
	case Permanent:
		own = append(own, membership.Persistent(), membership.KeepOnClose())
	default:
		return nil, d.refuse("Type", fmt.Sprintf("%q is none", instance.Type))
	}
	path, err := d.path(instance.Name, instance.ID)
	if err != nil {
		return nil, err
	}
	data, err := instance.marshal(d.opts.class)
	if err != nil {
		return nil, fmt.Errorf("register %s: %w", path, err)
	}
	node, err := membership.NewPersistentNode(d.zk, path, data, append(own, opts...)...)
	if err != nil {
		return nil, err
	}
	return &Registration[T]{node: node, class: d.opts.class, instance: instance}, nil
}

func (d *Discovery[T]) refuse(arg, reason string) error {
	return fmt.Errorf("discovery %s: %w", d.base, &gazoo.ArgumentError{Arg: arg, Reason: reason})
}

// path returns the path of a service, or of one of its instances.
func (d *Discovery[T]) path(names ...string) (string, error) {
	for _, name := range names {
		if name == "" || strings.Contains(name, "/") || gazoo.ValidatePath("/"+name) != nil {
			return "", d.refuse("name", fmt.Sprintf("%q is not fit for a znode", name))
		}
	}
	return gazoo.JoinPath(append([]string{d.base}, names...)...), nil
}

// Instance returns the instance as it was registered.
func (r *Registration[T]) Instance() Instance[T] { return r.instance }

// Update changes what is registered, and returns at once; see [membership.PersistentNode.SetData]. Name, ID and type of
// the instance stay as they are, whatever the argument says.
func (r *Registration[T]) Update(instance Instance[T]) error {
	instance.Name, instance.ID, instance.Type = r.instance.Name, r.instance.ID, r.instance.Type
	if instance.Registered.IsZero() {
		instance.Registered = r.instance.Registered
	}
	data, err := instance.marshal(r.class)
	if err != nil {
		return fmt.Errorf("update %s/%s: %w", instance.Name, instance.ID, err)
	}
	r.node.SetData(data)
	return nil
}

// WaitCreated waits until the newest data is registered: see [membership.PersistentNode.WaitCreated].
func (r *Registration[T]) WaitCreated(ctx context.Context) error { return r.node.WaitCreated(ctx) }

// Node returns what keeps the znode: its state and its history.
func (r *Registration[T]) Node() *membership.PersistentNode { return r.node }

// Close ends the registration: the instance is deleted, unless it is [Permanent], as [membership.PersistentNode.Close]
// does.
func (r *Registration[T]) Close(ctx context.Context) error { return r.node.Close(ctx) }

// Remove deletes an instance, of whatever type, that nobody keeps registered: a permanent one. A missing instance is no
// error.
func (d *Discovery[T]) Remove(ctx context.Context, name, id string) error {
	path, err := d.path(name, id)
	if err != nil {
		return err
	}
	if err := d.zk.DeleteIdempotent(ctx, path, gazoo.AnyVersion); !errors.Is(err, gazoo.ErrNoNode) {
		return err
	}
	return nil
}

// Names returns the names of the services, sorted. A service without instances is among them until the server has
// deleted its container.
func (d *Discovery[T]) Names(ctx context.Context) ([]string, error) { return d.children(ctx, d.base) }

func (d *Discovery[T]) children(ctx context.Context, path string) ([]string, error) {
	names, err := d.zk.Children(ctx, path)
	if errors.Is(err, gazoo.ErrNoNode) {
		return nil, nil
	}
	slices.Sort(names)
	return names, err
}

// Instances reads the instances of a service, by the names of their znodes, whether they are enabled or not. Those that
// cannot be decoded are left out, and reported by an error that matches [ErrMalformed], beside the others.
func (d *Discovery[T]) Instances(ctx context.Context, name string) ([]Instance[T], error) {
	path, err := d.path(name)
	if err != nil {
		return nil, err
	}
	ids, err := d.children(ctx, path)
	if err != nil {
		return nil, err
	}
	reads := make([]gazoo.Future[gazoo.Node], len(ids))
	for i, id := range ids {
		reads[i] = d.zk.Async().Get(ctx, gazoo.JoinPath(path, id))
	}
	var instances []Instance[T]
	var malformed error
	for i, read := range reads {
		node, err := read.Wait(ctx)
		if errors.Is(err, gazoo.ErrNoNode) {
			continue
		}
		if err != nil {
			return nil, err
		}
		instance, err := decode[T](gazoo.JoinPath(path, ids[i]), node.Data)
		if err != nil {
			malformed = err
			continue
		}
		instances = append(instances, instance)
	}
	return instances, malformed
}

// Instance reads one instance. Errors: [gazoo.ErrNoNode], [ErrMalformed], and those of the client.
func (d *Discovery[T]) Instance(ctx context.Context, name, id string) (Instance[T], error) {
	path, err := d.path(name, id)
	if err != nil {
		return Instance[T]{}, err
	}
	data, _, err := d.zk.Get(ctx, path)
	if err != nil {
		return Instance[T]{}, err
	}
	return decode[T](path, data)
}

func decode[T any](path string, data []byte) (Instance[T], error) {
	var instance Instance[T]
	if err := json.Unmarshal(data, &instance); err != nil {
		return instance, fmt.Errorf("%s: %w: %w", path, ErrMalformed, err)
	}
	return instance, nil
}
