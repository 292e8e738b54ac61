// Package owned makes znodes that belong to one session and to one call: each carries a GUID in its name, so that a
// create whose answer was lost can be found again, and none is left behind when its maker gives up.
//
// A znode with the GUID is accepted only when it is owned by the very session that was to own it
// (CURATOR-498: a node of the session before, about to vanish, must not be adopted).
package owned

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
)

// GUID tells the znodes of one call from all others.
type GUID [16]byte

// NewGUID returns a random GUID (a version 4 UUID).
func NewGUID() GUID {
	var g GUID
	rand.Read(g[:]) // never fails (crypto/rand)
	g[6] = g[6]&0x0f | 0x40
	g[8] = g[8]&0x3f | 0x80
	return g
}

// Hex returns 32 hex digits, as Kazoo writes them.
func (g GUID) Hex() string { return hex.EncodeToString(g[:]) }

// Dashed returns the UUID with dashes, by which Curator knows its protected znodes.
func (g GUID) Dashed() string {
	h := g.Hex()
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// In reports whether a name carries the GUID in either form.
func (g GUID) In(name string) bool {
	return strings.Contains(name, g.Hex()) || strings.Contains(name, g.Dashed())
}

// Spec says what to create.
type Spec struct {
	Parent     string
	Name       func(GUID) string // the name, with the GUID in it, without the number
	Data       []byte
	ACL        []gazoo.ACL // nil is the client's default
	Sequential bool
	Persistent bool // not an ephemeral: it is found by its GUID alone, and belongs to no session
	Containers bool // parents that are missing are made as containers, where the server knows them
}

// Node is a znode that was created.
type Node struct {
	Path    string
	GUID    GUID
	Czxid   int64          // zxid of its creation
	Session *gazoo.Session // that owns it, or in which it was made when it is persistent

	persistent bool
}

// Create creates a znode in session s, whose tenancy it never leaves. It comes back when the znode is there and known,
// with an error of the server, with ErrSessionOver or another error of the session, or when ctx ends. In the latter
// cases a znode that may have been made is deleted in the background.
func Create(ctx context.Context, zk *gazoo.Client, s *gazoo.Session, spec Spec) (Node, error) {
	zk = zk.InSession(s)
	node := Node{GUID: NewGUID(), Session: s, persistent: spec.Persistent}
	path := gazoo.JoinPath(spec.Parent, spec.Name(node.GUID))
	var opts []gazoo.CreateOption
	if !spec.Persistent {
		opts = append(opts, gazoo.Ephemeral())
	}
	if spec.Sequential {
		opts = append(opts, gazoo.Sequential())
	}
	if spec.ACL != nil {
		opts = append(opts, gazoo.WithACL(spec.ACL...))
	}
	doubt := false // whether a try may have been applied
	giveUp := func(err error) (Node, error) {
		if doubt {
			node.forget(zk, spec)
		}
		return Node{}, err
	}
	for {
		created, stat, err := zk.CreateStat(ctx, path, spec.Data, opts...)
		switch {
		case err == nil:
			node.Path, node.Czxid = created, stat.Czxid
			return node, nil
		case errors.Is(err, gazoo.ErrNoNode):
			// Somebody may delete the parents again: the loop makes them again.
			err = EnsureParent(ctx, zk, spec.Parent, spec.Containers, spec.ACL)
			if err != nil && !retry.Lost(err) {
				return giveUp(err)
			}
		case gazoo.MaybeApplied(err):
			doubt = true
		case errors.Is(err, gazoo.ErrNodeExists) && doubt: // the lost try came late
		case !retry.Lost(err):
			return giveUp(err)
		}
		for resolved := !doubt; !resolved && ctx.Err() == nil && s.Err() == nil; {
			found, ferr := node.find(ctx, zk, spec)
			switch {
			case ferr == nil && found:
				return node, nil
			case ferr == nil:
				resolved = true
			case !retry.Lost(ferr) && ctx.Err() == nil:
				return giveUp(ferr)
			}
		}
		if err == nil {
			continue
		}
		// That the connection went is not why this ends: what comes behind Create must not take it for that.
		if over := s.Err(); over != nil {
			return giveUp(retry.Canceled(ctx, fmt.Errorf("%w: %w", over, err)))
		}
		if ctx.Err() != nil {
			return giveUp(retry.Canceled(ctx, err))
		}
	}
}

// EnsureParent makes a directory with its own missing parents, as containers or, without these and on servers older than
// containers, as plain znodes. A nil ACL is the client's default.
func EnsureParent(ctx context.Context, zk *gazoo.Client, path string, containers bool, acl []gazoo.ACL) error {
	var opts []gazoo.CreateOption
	if acl != nil {
		opts = append(opts, gazoo.WithACL(acl...))
	}
	if containers {
		_, err := zk.EnsurePath(ctx, path, append(opts[:len(opts):len(opts)], gazoo.Container())...)
		if !errors.Is(err, gazoo.ErrNotSupported) && !errors.Is(err, gazoo.ErrUnimplemented) {
			return err
		}
	}
	_, err := zk.EnsurePath(ctx, path, opts...)
	return err
}

// find looks for the znode of a try whose answer was lost.
func (n *Node) find(ctx context.Context, zk *gazoo.Client, spec Spec) (bool, error) {
	names, err := n.listed(ctx, zk, spec.Parent)
	if err != nil {
		return false, err
	}
	for _, path := range names {
		stat, found, err := zk.Exists(ctx, path)
		if err != nil {
			return false, err
		}
		if found && (n.persistent || stat.EphemeralOwner == n.Session.ID()) {
			n.Path, n.Czxid = path, stat.Czxid
			return true, nil
		}
	}
	return false, nil
}

// listed returns the paths below parent that carry the GUID.
func (n *Node) listed(ctx context.Context, zk *gazoo.Client, parent string) (paths []string, err error) {
	// The server connected to now may be behind the one that took the create.
	if err := zk.Sync(ctx, parent); err != nil {
		return nil, err
	}
	names, err := zk.Children(ctx, parent)
	if errors.Is(err, gazoo.ErrNoNode) {
		return nil, nil
	}
	for _, name := range names {
		if n.GUID.In(name) {
			paths = append(paths, gazoo.JoinPath(parent, name))
		}
	}
	return paths, err
}

// forget deletes, in the background, whatever a try in doubt has made.
func (n Node) forget(zk *gazoo.Client, spec Spec) {
	zk.Cleanup(n.owner(), func(ctx context.Context, zk *gazoo.Client) error {
		paths, err := n.listed(ctx, zk, spec.Parent)
		for _, path := range paths {
			if err := zk.DeleteIfExists(ctx, path, gazoo.AnyVersion); err != nil {
				return err
			}
		}
		return err
	})
}

// owner returns the session whose end is the end of the znode; nil when it outlives all.
func (n Node) owner() *gazoo.Session {
	if n.persistent {
		return nil
	}
	return n.Session
}

// Discard deletes the znode in the background, in its session: see [gazoo.Client.Cleanup].
func (n Node) Discard(zk *gazoo.Client) {
	zk.Cleanup(n.owner(), func(ctx context.Context, zk *gazoo.Client) error {
		return zk.DeleteIfExists(ctx, n.Path, gazoo.AnyVersion)
	})
}

// Session waits until the client has a session that can own something, and returns it.
func Session(ctx context.Context, zk *gazoo.Client) (*gazoo.Session, error) {
	changes := zk.SubscribeState()
	for {
		if s := zk.Session(); s != nil && !s.ReadOnly() && s.Err() == nil {
			return s, nil
		}
		// A client that has ended already changes no more.
		if err := zk.Context().Err(); err != nil {
			return nil, context.Cause(zk.Context())
		}
		if _, err := changes.Next(ctx); err != nil {
			return nil, err
		}
	}
}

// While returns the context of work that is done while something is held, and until ctx ends. done ends it.
func While(held, ctx context.Context) (work context.Context, done func()) {
	work, cancel := context.WithCancelCause(held)
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	return work, func() { stop(); cancel(nil) }
}
