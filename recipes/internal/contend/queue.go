package contend

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/owned"
)

// ErrBusy is returned by a try: somebody is ahead.
var ErrBusy = errors.New("held by others")

// Queue is a directory of contenders, with how to take part.
type Queue struct {
	ZK     *gazoo.Client
	Dir    string
	Style  Style
	Reader Reader

	Role       Role
	Data       []byte
	ACL        []gazoo.ACL
	Persistent bool // contenders outlive their session

	// OneSession gives up when the session ends while waiting. Otherwise the wait goes on in the next one, at its end.
	OneSession bool
	// Waiting is told, before each wait, how many contenders are ahead.
	Waiting func(ahead int)
}

// Entry is a place in the queue.
type Entry struct {
	owned.Node
	Contender
	q  *Queue
	zk *gazoo.Client // bound to the session that owns the znode
}

// Enter takes a place at the end, in session s.
func (q *Queue) Enter(ctx context.Context, s *gazoo.Session) (*Entry, error) {
	node, err := owned.Create(ctx, q.ZK, s, owned.Spec{
		Parent: q.Dir,
		Name:   func(id owned.GUID) string { return q.Style.make(id, s.ID(), q.Role) },
		Data:   q.Data, ACL: q.ACL, Sequential: true, Persistent: q.Persistent,
		Parents: []gazoo.CreateOption{gazoo.Container()},
	})
	if err != nil {
		return nil, err
	}
	e := &Entry{Node: node, q: q, zk: q.ZK.InSession(s)}
	name := gazoo.BaseName(node.Path)
	var ok bool
	if e.Contender, ok = q.Reader.Parse(name); !ok {
		// It would look like a contender that somebody deletes again and again.
		e.Leave()
		return nil, fmt.Errorf("contender %s is not read back as one of style %s", name, q.Style.Name)
	}
	return e, nil
}

// Acquire takes a place and waits until it is this one's turn; with try it fails with ErrBusy instead of waiting. When
// the session ends meanwhile it begins anew in the next, unless OneSession. On an error no place is left behind.
func (q *Queue) Acquire(ctx context.Context, try bool) (*Entry, error) {
	for {
		s, err := owned.Session(ctx, q.ZK)
		if err != nil {
			return nil, err
		}
		e, err := q.Enter(ctx, s)
		if err == nil {
			if err = e.Wait(ctx, try); err == nil {
				return e, nil
			}
			e.Leave()
		}
		vanished := errors.Is(err, errVanished)
		over := owned.Gone(err) || s.Err() != nil && !errors.Is(err, ErrBusy)
		if ctx.Err() != nil || !vanished && !over || over && q.OneSession {
			return nil, err
		}
	}
}

// errVanished says that somebody has deleted this one's place.
var errVanished = errors.New("contender deleted by others")

// Wait waits until it is this one's turn. The decision is always made from a fresh list.
func (e *Entry) Wait(ctx context.Context, try bool) error {
	for {
		list, err := e.List(ctx)
		switch {
		case err == nil:
		case owned.Passing(err) && ctx.Err() == nil:
			continue
		default:
			return err
		}
		me := slices.IndexFunc(list, func(c Contender) bool { return c.Name == e.Name })
		if me < 0 {
			return errVanished
		}
		ahead, blocked := Blocker(list, me)
		switch {
		case !blocked:
			return nil
		case try:
			return ErrBusy
		}
		if e.q.Waiting != nil {
			e.q.Waiting(me)
		}
		if err := e.await(ctx, ahead); err != nil {
			return err
		}
	}
}

// Blocker returns whom the contender at an index waits for: the nearest one before it that does not tolerate it.
func Blocker(list []Contender, me int) (Contender, bool) {
	for _, c := range slices.Backward(list[:me]) {
		if list[me].Role == Exclusive || c.Role == Exclusive {
			return c, true
		}
	}
	return Contender{}, false
}

// List returns the contenders, in order, as this one's session sees them. A missing directory has none.
func (e *Entry) List(ctx context.Context) ([]Contender, error) {
	names, err := e.zk.Children(ctx, e.q.Dir)
	if err != nil && !errors.Is(err, gazoo.ErrNoNode) {
		return nil, err
	}
	list := e.q.Reader.Read(names)
	// A create that was sent twice, because its answer was lost, may in the end have been applied twice.
	return slices.DeleteFunc(list, func(c Contender) bool {
		twin := c.Name != e.Name && e.GUID.In(c.Name)
		if twin {
			double := e.Node
			double.Path = child(e.q.Dir, c.Name)
			double.Discard(e.q.ZK)
		}
		return twin
	}), nil
}

// await waits until something has happened to a contender.
func (e *Entry) await(ctx context.Context, c Contender) error {
	for {
		_, _, watch, err := e.zk.GetW(ctx, child(e.q.Dir, c.Name))
		switch {
		case errors.Is(err, gazoo.ErrNoNode):
			return nil
		case owned.Passing(err) && ctx.Err() == nil:
			continue
		case err != nil:
			return err
		}
		_, err = watch.Wait(ctx)
		watch.Close()
		if err != nil && (ctx.Err() != nil || owned.Gone(err)) {
			return err
		}
		return nil
	}
}

// Leave gives the place up, in the background.
func (e *Entry) Leave() { e.Discard(e.q.ZK) }

// Client returns the client, bound to the session that owns the place.
func (e *Entry) Client() *gazoo.Client { return e.zk }

func child(parent, name string) string {
	if parent == "/" {
		return "/" + name
	}
	return parent + "/" + name
}
