package membership

import (
	"errors"
	"time"

	"github.com/gazoo-zk/gazoo"
)

// Foreign says what a [PersistentNode] does about a znode at its path that somebody else made.
type Foreign uint8

const (
	// ForeignWait waits until the other znode has gone, and then registers. It is the default.
	ForeignWait Foreign = iota
	// ForeignReport does so too, and makes [PersistentNode.WaitCreated] return [ErrForeignOwner] meanwhile.
	ForeignReport
	// ForeignReplace puts this node in the place of the other one, in a single transaction: for a process that has
	// started again and finds what its former life has left.
	ForeignReplace
)

// Option configures a [PersistentNode]. Options are checked together, before anything is sent.
type Option func(*options)

type options struct {
	persistent bool
	container  bool
	ttl        time.Duration
	ttlSet     bool
	sequential bool
	protected  bool

	acl              []gazoo.ACL
	aclSet           bool
	containerParents bool
	noRepair         bool
	foreign          Foreign
	jitter           time.Duration
	keep             bool
}

// Persistent registers a persistent znode instead of an ephemeral one. Such a node belongs to whoever is at its path:
// one that exists already is taken over, with its data replaced.
func Persistent() Option { return func(o *options) { o.persistent = true } }

// Container registers a container znode: the server deletes it some time after its last child has gone, and then it is
// made again.
func Container() Option { return func(o *options) { o.container = true } }

// TTL registers a znode that outlives this process by d at most: it is touched (its data is set again) three times in d.
// The server needs extended types enabled.
func TTL(d time.Duration) Option {
	return func(o *options) { o.ttl, o.ttlSet = d, true }
}

// Sequential lets the server append its ten digits when the znode is made for the first time; from then on it keeps
// that name. A GUID goes before the name as with [Protected]. Not with [Container].
func Sequential() Option { return func(o *options) { o.sequential = true } }

// Protected puts a GUID of this node before its name (_c_GUID-name, as Curator does), so that it shares the path with
// no other.
func Protected() Option { return func(o *options) { o.protected = true } }

// WithACL gives the znode, and parents that have to be made, an ACL other than the client's default.
func WithACL(acl ...gazoo.ACL) Option {
	return func(o *options) { o.acl, o.aclSet = acl, true }
}

// ContainerParents makes missing parents as containers, which the server deletes when they are empty. By default they
// are persistent.
func ContainerParents() Option { return func(o *options) { o.containerParents = true } }

// WithoutRepair leaves the znode's data alone when somebody else has changed it. By default it is set back.
func WithoutRepair() Option { return func(o *options) { o.noRepair = true } }

// OnForeign says what to do about a znode of somebody else (default [ForeignWait]). What a former session of this node
// has left is replaced whatever the policy.
func OnForeign(policy Foreign) Option { return func(o *options) { o.foreign = policy } }

// WithJitter waits a random time of up to d before registering again in a new session, so that a fleet that has lost
// its sessions together does not come back in one moment. The first registration does not wait.
func WithJitter(d time.Duration) Option { return func(o *options) { o.jitter = d } }

// KeepOnClose leaves the znode where it is when the node is closed; an ephemeral goes with its session.
func KeepOnClose() Option { return func(o *options) { o.keep = true } }

// maxTTL is the largest time to live in milliseconds that servers take.
const maxTTL = 1<<40 - 1

func newOptions(opts []Option) (options, error) {
	var o options
	for _, opt := range opts {
		if opt != nil {
			opt(&o)
		}
	}
	var errs []error
	refuse := func(arg, reason string) {
		errs = append(errs, &gazoo.ArgumentError{Arg: arg, Reason: reason})
	}
	kinds := 0
	for _, set := range []bool{o.persistent, o.container, o.ttlSet} {
		if set {
			kinds++
		}
	}
	if kinds > 1 {
		refuse("mode", "Persistent, Container and TTL exclude each other")
	}
	if o.container && o.sequential {
		refuse("mode", "a container cannot be sequential")
	}
	if o.ttlSet && (o.ttl < time.Millisecond || o.ttl.Milliseconds() > maxTTL) {
		refuse("TTL", "must be between 1 ms and 2^40-1 ms")
	}
	if o.aclSet && len(o.acl) == 0 {
		refuse("ACL", "must not be empty")
	}
	if o.foreign > ForeignReplace {
		refuse("OnForeign", "unknown policy")
	}
	if o.jitter < 0 {
		refuse("WithJitter", "must not be negative")
	}
	return o, errors.Join(errs...)
}

func (o *options) ephemeral() bool { return !o.persistent && !o.container && !o.ttlSet }

// touchEvery is how often a znode with a TTL is written, 0 for others.
func (o *options) touchEvery() time.Duration { return o.ttl / 3 }

// create returns the options of a create; a named one is one whose sequence number is part of the path already.
func (o *options) create(named, parents bool) []gazoo.CreateOption {
	var c []gazoo.CreateOption
	switch {
	case o.container:
		c = append(c, gazoo.Container())
	case o.ttlSet:
		c = append(c, gazoo.TTL(o.ttl))
	case o.ephemeral():
		c = append(c, gazoo.Ephemeral())
	}
	if o.sequential && !named {
		c = append(c, gazoo.Sequential())
	}
	if o.aclSet {
		c = append(c, gazoo.WithACL(o.acl...))
	}
	switch {
	case !parents:
	case o.containerParents:
		c = append(c, gazoo.ContainerParents())
	default:
		c = append(c, gazoo.Parents())
	}
	return c
}
