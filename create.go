package gazoo

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// CreateMode is the kind of a znode, as on the wire.
type CreateMode = zkproto.CreateMode

// CreateOption says what kind of znode to create, and how.
type CreateOption func(*createOptions)

type createOptions struct {
	ephemeral, sequential, container, hasTTL  bool
	ttl                                       time.Duration
	parents, containerParents, protected, set bool
	acl                                       []ACL
	hasACL                                    bool
}

// Ephemeral makes a znode that the server deletes with the session. It cannot have children.
func Ephemeral() CreateOption { return func(o *createOptions) { o.ephemeral = true } }

// Sequential appends the parent's counter, ten digits, to the name: see [SequenceOf]. The
// path may end in '/': the name is then the number alone.
func Sequential() CreateOption { return func(o *createOptions) { o.sequential = true } }

// Container makes a znode that the server deletes some time after its last child has gone.
func Container() CreateOption { return func(o *createOptions) { o.container = true } }

// TTL makes a znode that the server deletes when it has no children and was not written for
// d, between 1 ms and 2^40-1 ms. The server needs extended types enabled and answers
// [ErrUnimplemented] otherwise. Goes with Sequential, not with Ephemeral.
func TTL(d time.Duration) CreateOption {
	return func(o *createOptions) { o.ttl, o.hasTTL = d, true }
}

// Parents creates missing parents as persistent znodes without data, with the same ACL.
func Parents() CreateOption { return func(o *createOptions) { o.parents = true } }

// ContainerParents is Parents with container znodes.
func ContainerParents() CreateOption {
	return func(o *createOptions) { o.parents, o.containerParents = true, true }
}

// WithACL gives the znode an ACL other than the client's default ([WithDefaultACL]).
func WithACL(acl ...ACL) CreateOption {
	return func(o *createOptions) { o.acl, o.hasACL = acl, true }
}

// Protected puts a fresh GUID before the name (_c_GUID-name, as Curator does), so that after
// a lost answer Create can find out by itself whether the znode was made, and repeats the
// create if not. It accepts only a znode of its own: same GUID and, for ephemerals, owned by
// this very session. Create then returns [ErrConnectionLoss] only when ctx ends first.
func Protected() CreateOption { return func(o *createOptions) { o.protected = true } }

// OrSet writes the data over a znode that exists already. Not with Sequential or Protected.
func OrSet() CreateOption { return func(o *createOptions) { o.set = true } }

// Creation is what create options ask for.
type Creation struct {
	Mode                      CreateMode
	TTL                       time.Duration
	ACL                       []ACL // nil is the client's default
	Parents, ContainerParents bool
	Protected, OrSet          bool
}

// DescribeCreate returns what create options ask for, for programs that look at the creates of others before they are
// made: checks, audits, dry runs. It does not validate them.
func DescribeCreate(opts ...CreateOption) Creation {
	o := &createOptions{}
	for _, opt := range opts {
		opt(o)
	}
	c := Creation{
		TTL: o.ttl, Parents: o.parents, ContainerParents: o.containerParents, Protected: o.protected, OrSet: o.set,
	}
	c.Mode, _ = o.mode()
	if o.hasACL {
		c.ACL = append([]ACL{}, o.acl...)
	}
	return c
}

func (o *createOptions) mode() (CreateMode, zkproto.OpCode) {
	switch {
	case o.container:
		return zkproto.ModeContainer, zkproto.OpCreateContainer
	case o.hasTTL && o.sequential:
		return zkproto.ModePersistentSequentialTTL, zkproto.OpCreateTTL
	case o.hasTTL:
		return zkproto.ModePersistentTTL, zkproto.OpCreateTTL
	case o.ephemeral && o.sequential:
		return zkproto.ModeEphemeralSequential, zkproto.OpCreate
	case o.ephemeral:
		return zkproto.ModeEphemeral, zkproto.OpCreate
	case o.sequential:
		return zkproto.ModePersistentSequential, zkproto.OpCreate
	}
	return zkproto.ModePersistent, zkproto.OpCreate
}

func (o *createOptions) validate(path string) error {
	if err := validatePath(path, o.sequential); err != nil {
		return err
	}
	switch {
	case path == "/" && !o.sequential:
		return badArg("path", "the root exists always")
	case o.container && (o.ephemeral || o.sequential || o.hasTTL):
		return badArg("options", "Container goes with no other kind")
	case o.ephemeral && o.hasTTL:
		return badArg("options", "a znode is Ephemeral or has a TTL, not both")
	case o.hasTTL && (o.ttl < time.Millisecond || o.ttl.Milliseconds() > zkproto.MaxTTL):
		return badArg("TTL", "%v is not between 1 ms and 2^40-1 ms", o.ttl)
	case o.set && (o.sequential || o.protected):
		return badArg("options", "OrSet goes neither with Sequential nor with Protected")
	case o.protected && strings.HasSuffix(path, "/"):
		return badArg("options", "Protected needs a name")
	}
	if o.hasACL {
		return validateACL(o.acl)
	}
	return nil
}

// Create makes a znode with the given data (nil is stored as null) and returns its actual
// path: [Sequential] and [Protected] change the name. Without options it is persistent.
//
// Errors: [ErrNoNode] parent missing, [ErrNodeExists], [ErrNoChildrenForEphemerals],
// [ErrInvalidACL], [ErrNoAuth] (needs Create on the parent), [ErrQuotaExceeded],
// [ErrUnimplemented] TTL not enabled, [ErrRequestTooLarge]. After [ErrConnectionLoss] the
// znode may exist: see [MaybeApplied] and [Protected]. Without Protected a create is never
// retried.
func (zk *Client) Create(ctx context.Context, path string, data []byte, opts ...CreateOption) (string, error) {
	if len(opts) == 0 {
		return zk.create1(ctx, path, data, nil, false, nil)
	}
	var stat Stat
	return zk.createAny(ctx, path, data, &stat, false, opts)
}

// CreateStat is Create that also returns the new znode's stat, in the same request (create2;
// on servers before 3.5 by a read afterwards).
func (zk *Client) CreateStat(ctx context.Context, path string, data []byte, opts ...CreateOption) (string, Stat, error) {
	var stat Stat
	created, err := zk.createAny(ctx, path, data, &stat, true, opts)
	return created, stat, err
}

// create1 is one create request.
func (zk *Client) create1(ctx context.Context, path string, data []byte, o *createOptions, wantStat bool, stat *Stat) (string, error) {
	cl, err := zk.newCreate(path, data, o, wantStat)
	if err := zk.run(ctx, cl, err); err != nil {
		return "", err
	}
	created := takeCreated(cl)
	if stat != nil {
		*stat = cl.stat
	}
	cl.release()
	return created, nil
}

// hintError is a refusal with what to do about it.
type hintError struct {
	err  error
	hint string
}

func (e *hintError) Error() string { return e.err.Error() + ": " + e.hint }
func (e *hintError) Unwrap() error { return e.err }

func (zk *Client) newCreate(path string, data []byte, o *createOptions, wantStat bool) (*call, error) {
	if o == nil {
		o = &createOptions{}
	}
	mode, op := o.mode()
	if op == zkproto.OpCreate && wantStat {
		op = zkproto.OpCreate2
	}
	cl := zk.core.newCall(op, "create", path)
	cl.write = true
	if err := o.validate(path); err != nil {
		return cl, err
	}
	cl.req.path = zk.root + path
	cl.req.data, cl.req.mode, cl.req.ttl = data, mode, o.ttl.Milliseconds()
	cl.req.acl = zk.aclFor(cl.req.path, o.acl)
	return cl, nil
}

func takeCreated(cl *call) string {
	path, _ := relPath(cl.root, cl.str)
	return path
}

// createAny is Create with everything.
func (zk *Client) createAny(ctx context.Context, path string, data []byte, stat *Stat, wantStat bool, opts []CreateOption) (string, error) {
	o := &createOptions{}
	for _, opt := range opts {
		opt(o)
	}
	if err := o.validate(path); err != nil {
		return "", refuse("create", path, err)
	}
	if ctx == nil {
		return "", refuse("create", path, errNilContext)
	}
	if o.protected {
		return zk.createProtected(ctx, path, data, o, wantStat, stat)
	}
	return zk.createParents(ctx, path, data, o, wantStat, stat)
}

// createParents creates, makes missing parents if asked to, and falls back where the server
// has no create2.
func (zk *Client) createParents(ctx context.Context, path string, data []byte, o *createOptions, wantStat bool, stat *Stat) (string, error) {
	for {
		created, err := zk.create1(ctx, path, data, o, wantStat, stat)
		switch {
		case err == nil:
			return created, nil
		case wantStat && errors.Is(err, ErrNotSupported):
			return zk.createThenLook(ctx, path, data, o, stat)
		case o.parents && errors.Is(err, ErrNoNode):
			// Another client may delete the parents again: once more, then.
			if err := zk.ensure(ctx, ParentPath(path), o); err != nil {
				return "", err
			}
		case o.set && errors.Is(err, ErrNodeExists):
			s, err := zk.Set(ctx, path, data, AnyVersion)
			if errors.Is(err, ErrNoNode) {
				continue // deleted between the two
			}
			if stat != nil {
				*stat = s
			}
			return path, err
		default:
			return "", err
		}
	}
}

// createThenLook is createParents with a stat, in two requests.
func (zk *Client) createThenLook(ctx context.Context, path string, data []byte, o *createOptions, stat *Stat) (string, error) {
	created, err := zk.createParents(ctx, path, data, o, false, nil)
	if err != nil {
		return created, err
	}
	if *stat, _, err = zk.Exists(ctx, created); err != nil {
		// Whatever became of the look, the znode was made: doing it all again is not safe.
		return created, &OpError{Op: "create", Path: path, Outcome: OutcomeUnknown, Write: true, Err: errors.Unwrap(err)}
	}
	return created, nil
}

const protectedPrefix = "_c_"

// newGUID returns a version 4 UUID with dashes: Curator recognises protected znodes by it.
func newGUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// createProtected repeats a create until its fate is known.
func (zk *Client) createProtected(ctx context.Context, path string, data []byte, o *createOptions, wantStat bool, stat *Stat) (string, error) {
	parent, name := SplitPath(path)
	guid := newGUID()
	var lost error // of the try that may have been applied
	for {
		path := absPathName(parent, protectedPrefix+guid+"-"+name)
		created, err := zk.createParents(ctx, path, data, o, wantStat, stat)
		switch {
		case err == nil:
			return created, nil
		case MaybeApplied(err):
			lost = err
		case errors.Is(err, ErrConnectionLoss):
		case lost != nil && (passing(err) || errors.Is(err, ErrNodeExists)): // exists: the lost try came late
		default:
			return "", err
		}
		if ctx.Err() != nil {
			return "", cmp.Or(lost, err)
		}
		found, s, ferr := zk.findProtected(ctx, parent, guid)
		switch {
		case ferr != nil:
			return "", cmp.Or(lost, err) // the create's own error tells more
		case found == "":
		case o.ephemeral && s.EphemeralOwner != zk.SessionID():
			// It vanishes with the session that is dying. A new name keeps out of its way.
			guid, lost = newGUID(), nil
		default:
			if stat != nil {
				*stat = s
			}
			return found, nil
		}
	}
}

// passing reports whether the next connection or session may give another answer.
func passing(err error) bool {
	lost := errors.Is(err, ErrConnectionLoss) || errors.Is(err, ErrSessionExpired) || errors.Is(err, ErrSessionPresumed)
	return lost && !errors.Is(err, ErrSessionOver)
}

// findProtected looks for the znode of a create whose answer was lost.
func (zk *Client) findProtected(ctx context.Context, parent, guid string) (string, Stat, error) {
	for {
		found, stat, err := zk.findOnce(ctx, parent, guid)
		switch {
		case passing(err) && ctx.Err() == nil:
			continue
		case errors.Is(err, ErrNoNode):
			return "", Stat{}, nil
		}
		return found, stat, err
	}
}

func (zk *Client) findOnce(ctx context.Context, parent, guid string) (string, Stat, error) {
	// The server connected to now may be behind the one that took the create.
	if err := zk.Sync(ctx, parent); err != nil {
		return "", Stat{}, err
	}
	names, err := zk.Children(ctx, parent)
	if err != nil {
		return "", Stat{}, err
	}
	for _, name := range names {
		if strings.HasPrefix(name, protectedPrefix+guid) {
			path := absPathName(parent, name)
			stat, exists, err := zk.Exists(ctx, path)
			if err != nil || !exists {
				return "", Stat{}, err
			}
			return path, stat, nil
		}
	}
	return "", Stat{}, nil
}

// absPathName joins a parent and a name.
func absPathName(parent, name string) string {
	if parent == "/" {
		return "/" + name
	}
	return parent + "/" + name
}
