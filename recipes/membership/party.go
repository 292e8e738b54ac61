package membership

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/owned"
)

const partyMark = "__party__"

// Party is a pool of members with identifiers, which need not differ: Kazoo's Party, or its ShallowParty. A party that
// was joined stays joined over lost sessions. It is safe for concurrent use. Looking at a party needs no Join, and
// nothing has to be closed before a Join; afterwards Leave ends it.
type Party struct {
	zk         *gazoo.Client
	path       string
	identifier string
	shallow    bool
	node       string // name of this member's znode
	opts       []Option

	turn chan struct{} // held by a Join or Leave under way

	mu      sync.Mutex
	member  *PersistentNode // while joined
	leaving *PersistentNode // being removed: a Join with the same name has to wait for it
}

// NewParty returns a party whose members carry the identifier as their znode's data. The party's path is made when
// somebody joins. Of the options those that change the znode's mode or name are refused.
func NewParty(zk *gazoo.Client, path, identifier string, opts ...Option) (*Party, error) {
	return newParty(zk, path, identifier, owned.NewGUID().Hex()+partyMark, false, opts)
}

// NewShallowParty returns a party whose members carry the identifier in their znode's name, which lists them in a
// single call. The identifier must be fit for a name.
func NewShallowParty(zk *gazoo.Client, path, identifier string, opts ...Option) (*Party, error) {
	return newParty(zk, path, identifier, owned.NewGUID().Hex()+"-"+identifier, true, opts)
}

func newParty(zk *gazoo.Client, path, identifier, node string, shallow bool, opts []Option) (*Party, error) {
	o, err := newOptions(opts)
	if err == nil && (!o.ephemeral() || o.protected || o.sequential || o.keep) {
		err = &gazoo.ArgumentError{Arg: "option", Reason: "not for a party, whose znodes are ephemeral and named by its own rules"}
	}
	if perr := gazoo.ValidatePath(path); perr != nil {
		err = errors.Join(err, perr)
	} else if perr := gazoo.ValidatePath("/" + node); perr != nil || strings.Contains(identifier, "/") && shallow {
		err = errors.Join(err, &gazoo.ArgumentError{Arg: "identifier", Reason: "not fit for the name of a znode"})
	}
	if err != nil {
		return nil, fmt.Errorf("party %s: %w", path, err)
	}
	return &Party{
		zk: zk, path: path, identifier: identifier, shallow: shallow, node: node, opts: opts,
		turn: make(chan struct{}, 1),
	}, nil
}

// Identifier returns this member's identifier.
func (p *Party) Identifier() string { return p.identifier }

// Join makes this program a member and waits until it is one; when it is already, until that is certain again. After
// an error it is not a member, and will not become one by itself.
func (p *Party) Join(ctx context.Context) error {
	if err := p.take(ctx, "join"); err != nil {
		return err
	}
	defer p.give()
	if gone := p.leavingNode(); gone != nil {
		if err := gone.Close(ctx); err != nil && ctx.Err() != nil {
			return fmt.Errorf("join party %s: %w", p.path, err)
		}
		p.set(nil, nil)
	}
	n := p.joined()
	if n == nil {
		var err error
		if n, err = NewPersistentNode(p.zk, gazoo.JoinPath(p.path, p.node), []byte(p.identifier), p.opts...); err != nil {
			return fmt.Errorf("join party %s: %w", p.path, err)
		}
		p.set(n, nil)
	}
	if err := n.WaitCreated(ctx); err != nil {
		p.set(nil, n)
		n.abandon()
		return fmt.Errorf("join party %s: %w", p.path, err)
	}
	return nil
}

// Leave ends the membership and reports whether there was a znode to delete: false when this program was no member, or
// somebody else, or the session's end, had deleted it. When ctx ends first, the deletion goes on in the background, and
// another Leave waits for it.
func (p *Party) Leave(ctx context.Context) (bool, error) {
	if err := p.take(ctx, "leave"); err != nil {
		return false, err
	}
	defer p.give()
	n := p.joined()
	if n == nil {
		n = p.leavingNode()
	}
	if n == nil {
		return false, nil
	}
	p.set(nil, n)
	deleted, err := n.remove(ctx)
	if err != nil {
		return false, fmt.Errorf("leave party %s: %w", p.path, err)
	}
	p.set(nil, nil)
	return deleted, nil
}

// take waits for its turn: Join and Leave run one after another.
func (p *Party) take(ctx context.Context, verb string) error {
	select {
	case p.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s party %s: %w", verb, p.path, context.Cause(ctx))
	}
}

func (p *Party) give() { <-p.turn }

func (p *Party) set(member, leaving *PersistentNode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.member, p.leaving = member, leaving
}

func (p *Party) joined() *PersistentNode {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.member
}

func (p *Party) leavingNode() *PersistentNode {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.leaving
}

// Participating reports whether this program is a member at present: it has joined, and its znode exists in a session
// that is alive. It reads the clock.
func (p *Party) Participating() bool {
	_, ok := p.Current()
	return ok
}

// Current returns this member's registration; ok is false when it is not participating.
func (p *Party) Current() (r Registration, ok bool) {
	if n := p.joined(); n != nil {
		return n.Current()
	}
	return Registration{}, false
}

// Err returns nil while the program participates, or has not joined, and otherwise what its membership waits for: see
// [PersistentNode.Err].
func (p *Party) Err() error {
	if n := p.joined(); n != nil {
		return n.Err()
	}
	return nil
}

// Members iterates over the identifiers of the present members, this program's among them, in no order. A path that
// does not exist has none. An error is the last element.
func (p *Party) Members(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		names, err := p.list(ctx)
		if err == nil {
			names, err = p.identifiers(ctx, names)
		}
		if err != nil {
			yield("", err)
			return
		}
		for _, name := range names {
			if !yield(name, nil) {
				return
			}
		}
	}
}

// Len returns the number of members.
func (p *Party) Len(ctx context.Context) (int, error) {
	names, err := p.list(ctx)
	return len(names), err
}

// Watch iterates over the identifiers of the members: the present ones at once, then the newest list after each change,
// across reconnects and sessions. The last element carries the error that ended it: see [gazoo.Client.WatchChildren].
func (p *Party) Watch(ctx context.Context) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		var last []string
		first := true
		for snap, err := range p.zk.WatchChildren(ctx, p.path) {
			if err != nil {
				yield(nil, err)
				return
			}
			names := p.mine(snap.Children)
			slices.Sort(names)
			if !first && slices.Equal(names, last) {
				continue // the path itself, or a foreign child
			}
			first, last = false, names
			var ids []string
			err = p.zk.Retry(ctx, func(ctx context.Context) (err error) {
				ids, err = p.identifiers(ctx, names)
				return err
			})
			if !yield(ids, err) || err != nil {
				return
			}
		}
	}
}

// list returns the names of the members' znodes.
func (p *Party) list(ctx context.Context) ([]string, error) {
	names, err := p.zk.Children(ctx, p.path)
	if errors.Is(err, gazoo.ErrNoNode) {
		return nil, nil
	}
	return p.mine(names), err
}

// mine leaves out the children that are no members of this kind of party.
func (p *Party) mine(names []string) []string {
	var members []string
	for _, name := range names {
		if p.shallow {
			if hex, _, ok := strings.Cut(name, "-"); !ok || !isHex32(hex) {
				continue
			}
		} else if !strings.Contains(name, partyMark) {
			continue
		}
		members = append(members, name)
	}
	return members
}

func isHex32(s string) bool {
	return len(s) == 32 && strings.Trim(s, "0123456789abcdef") == ""
}

// identifiers turns names of znodes into identifiers. Those that have gone meanwhile are left out.
func (p *Party) identifiers(ctx context.Context, names []string) ([]string, error) {
	ids := make([]string, 0, len(names))
	if p.shallow {
		for _, name := range names {
			_, id, _ := strings.Cut(name, "-")
			ids = append(ids, id)
		}
		return ids, nil
	}
	reads := make([]gazoo.Future[gazoo.Node], len(names))
	for i, name := range names {
		reads[i] = p.zk.Async().Get(ctx, gazoo.JoinPath(p.path, name))
	}
	for _, read := range reads {
		node, err := read.Wait(ctx)
		if errors.Is(err, gazoo.ErrNoNode) {
			continue
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, string(node.Data))
	}
	return ids, nil
}
