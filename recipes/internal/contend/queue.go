package contend

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/owned"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
	"github.com/gazoo-zk/gazoo/recipes/tenure"
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
	// Granted, when set, is shown the data of this one's znode before each wait, and whenever it changes while waiting.
	// It returns true when the place has become the first by that: the entry is what it made of it.
	Granted func(ctx context.Context, e *Entry, data []byte, version int32) (bool, error)
}

// Entry is a place in the queue.
type Entry struct {
	owned.Node
	Contender
	// Token is the fencing token, once Wait has returned: the zxid of the newest change of the directory in the list that
	// showed that it was this one's turn. Whoever held before has left it by a later change than its own list showed, so
	// tokens grow from holder to holder, also where a znode takes the place of an older one.
	Token int64
	q     *Queue
	zk    *gazoo.Client // bound to the session that owns the znode
}

// Enter takes a place at the end, in session s.
func (q *Queue) Enter(ctx context.Context, s *gazoo.Session) (*Entry, error) {
	node, err := owned.Create(ctx, q.ZK, s, owned.Spec{
		Parent: q.Dir,
		Name:   func(id owned.GUID) string { return q.Style.Make(id, s.ID(), q.Role) },
		Data:   q.Data, ACL: q.ACL, Sequential: true, Persistent: q.Persistent,
		Containers: true,
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
			if !errors.Is(err, ErrBusy) || !e.leaveNow(ctx) {
				e.Leave()
			}
		}
		vanished := errors.Is(err, errVanished)
		over := gazoo.SessionLost(err) || s.Err() != nil && !errors.Is(err, ErrBusy)
		if ctx.Err() != nil || !vanished && !over || over && q.OneSession {
			return nil, retry.Canceled(ctx, err)
		}
	}
}

// Hold acquires a place and begins the tenure of what it stands for, by begin. A tenure that was lost before it had begun
// needs another place, unless OneSession; one whose first write was not committed in time ([tenure.Quorum]) begins again
// in its place, which is still the first unless the next write finds the znode gone. On an error no place is left behind.
func (q *Queue) Hold(ctx context.Context, try bool, begin func(*Entry) error) error {
	for {
		entry, err := q.Acquire(ctx, try)
		if err != nil {
			return err
		}
		err = begin(entry)
		for errors.Is(err, tenure.ErrUnverified) && ctx.Err() == nil {
			err = begin(entry)
		}
		if err == nil {
			return nil
		}
		entry.Leave()
		if q.OneSession || ctx.Err() != nil || !errors.Is(err, tenure.ErrLost) && !gazoo.SessionLost(err) {
			return retry.Canceled(ctx, err)
		}
	}
}

// errVanished says that somebody has deleted this one's place.
var errVanished = errors.New("contender deleted by others")

// Wait waits until it is this one's turn. The decision is always made from a fresh list.
func (e *Entry) Wait(ctx context.Context, try bool) error {
	for {
		list, token, err := e.list(ctx)
		switch {
		case err == nil:
		case retry.Passing(err) && ctx.Err() == nil:
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
			e.Token = token
			return nil
		case try:
			return ErrBusy
		}
		if e.q.Waiting != nil {
			e.q.Waiting(me)
		}
		if granted, err := e.await(ctx, ahead); granted || err != nil {
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

// list returns the contenders, in order, as this one's session sees them, and the zxid of the directory's newest change. A
// missing directory has none.
func (e *Entry) list(ctx context.Context) ([]Contender, int64, error) {
	names, stat, err := e.zk.ChildrenStat(ctx, e.q.Dir)
	if err != nil && !errors.Is(err, gazoo.ErrNoNode) {
		return nil, 0, err
	}
	list := e.q.Reader.Read(names)
	// A create that was sent twice, because its answer was lost, may in the end have been applied twice.
	return slices.DeleteFunc(list, func(c Contender) bool {
		twin := c.Name != e.Name && e.GUID.In(c.Name)
		if twin {
			double := e.Node
			double.Path = gazoo.JoinPath(e.q.Dir, c.Name)
			double.Discard(e.q.ZK)
		}
		return twin
	}), stat.Pzxid, nil
}

// await waits until something has happened to a contender, or this one's turn was granted.
func (e *Entry) await(ctx context.Context, c Contender) (granted bool, err error) {
	var own *gazoo.Watch
	if e.q.Granted != nil {
		data, stat, watch, err := e.watch(ctx, e.Name)
		if watch == nil {
			return false, orVanished(err)
		}
		defer watch.Close()
		if granted, err := e.q.Granted(ctx, e, data, stat.Version); granted || err != nil {
			return granted, err
		}
		own = watch
	}
	_, _, ahead, err := e.watch(ctx, c.Name)
	if ahead == nil {
		return false, err
	}
	defer ahead.Close()
	return false, either(ctx, ahead, own)
}

// watch reads a child with a watch. It returns no watch when the child is missing, and then no error.
func (e *Entry) watch(ctx context.Context, name string) ([]byte, gazoo.Stat, *gazoo.Watch, error) {
	for {
		data, stat, watch, err := e.zk.GetW(ctx, gazoo.JoinPath(e.q.Dir, name))
		switch {
		case errors.Is(err, gazoo.ErrNoNode):
			return nil, stat, nil, nil
		case retry.Passing(err) && ctx.Err() == nil:
			continue
		}
		return data, stat, watch, err
	}
}

func orVanished(err error) error {
	if err == nil {
		return errVanished
	}
	return err
}

// either waits until one of two watches has ended; the second may be nil. That a watch ends for a reason that is not the
// session's end is no error: the next list tells what has happened.
func either(ctx context.Context, one, two *gazoo.Watch) error {
	var second <-chan struct{}
	if two != nil {
		second = two.Done()
	}
	ended := one
	select {
	case <-one.Done():
	case <-second:
		ended = two
	case <-ctx.Done():
		_, err := one.Wait(ctx)
		return err
	}
	if _, err := ended.Result(); gazoo.SessionLost(err) {
		return err
	}
	return nil
}

// leaveNow gives the place up and reports whether the server has confirmed that: the next try would find it in its way.
func (e *Entry) leaveNow(ctx context.Context) bool {
	err := e.zk.Delete(ctx, e.Path, gazoo.AnyVersion)
	return err == nil || errors.Is(err, gazoo.ErrNoNode)
}

// Leave gives the place up, in the background.
func (e *Entry) Leave() { e.Discard(e.q.ZK) }

// Replace makes another znode of the same session, which has been made in the transaction czxid that removed the holder,
// this one's place.
func (e *Entry) Replace(path string, id owned.GUID, czxid int64) {
	e.Path, e.GUID, e.Czxid, e.Token = path, id, czxid, czxid
	e.Contender, _ = e.q.Reader.Parse(gazoo.BaseName(path))
}

// Client returns the client, bound to the session that owns the place.
func (e *Entry) Client() *gazoo.Client { return e.zk }
