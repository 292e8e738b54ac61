package queue

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
)

const (
	// A list serves until it is this old, or, when listing takes long, until this many times as long: at most a
	// twentieth of the time is spent on listing.
	listAge   = 50 * time.Millisecond
	listShare = 20

	// maxWindow is how far from the front a consumer looks that others are always faster than.
	maxWindow = 64

	// A list is read again, before it is old, when so many of its entries have gone to others: as many, and one for
	// so many that are left, which is about what listing those costs.
	staleAfter, staleShare = 4, 64

	// maxCost bounds what a listing is taken to cost, which may have waited for a connection.
	maxCost = 100 * time.Millisecond
)

// feed hands out the queue's entries, in order, each to one caller in this process. It keeps a list from one listing to
// the next, so that n items do not cost n listings.
type feed struct {
	zk     *gazoo.Client
	style  Style
	acl    []gazoo.ACL
	places []place

	// turn is held by the one caller that lists, or waits for a change; the others wait for it. So an item put into
	// an empty queue wakes one request of each process.
	turn chan struct{}

	mu     sync.Mutex
	ready  []entry           // in order, nobody has them in this process
	busy   map[key]time.Time // not to be handed out: until then, or, if zero, until it is given back
	listed time.Time         // when the list was read; zero when it must be read again
	cost   time.Duration     // what that took
	window int               // how many from the front to choose from: see lost
	losses int               // entries of the list that others had first
	kick   chan struct{}     // told when an entry is given back
}

// key names an entry among all shards.
type key struct {
	shard int
	name  string
}

func (e entry) key() key { return key{e.shard, e.name} }

// never is when an entry that is set aside is looked at again.
var never = time.Unix(math.MaxInt32*1000, 0)

func newFeed(zk *gazoo.Client, cfg *config, places []place) *feed {
	return &feed{
		zk: zk, style: cfg.style, acl: cfg.acl, places: places,
		turn: make(chan struct{}, 1), busy: map[key]time.Time{}, window: 1, kick: make(chan struct{}, 1),
	}
}

// next returns the next entry and keeps it from other callers until won, lost, giveBack or putOff. Without wait it
// returns ErrEmpty when there is none.
func (f *feed) next(ctx context.Context, wait bool) (entry, error) {
	if e, ok := f.claim(); ok {
		return e, nil
	}
	if !wait {
		return f.look(ctx)
	}
	select {
	case f.turn <- struct{}{}:
	case <-ctx.Done():
		return entry{}, context.Cause(ctx)
	}
	defer func() { <-f.turn }()
	if e, ok := f.claim(); ok { // whoever had the turn before has listed
		return e, nil
	}
	for {
		entries, watches, err := f.list(ctx, true)
		if err != nil {
			return entry{}, err
		}
		if e, ok := f.merge(entries); ok {
			closeAll(watches)
			return e, nil
		}
		err = f.waitFor(ctx, watches)
		closeAll(watches)
		if err != nil {
			return entry{}, err
		}
	}
}

// look lists and returns the first entry, or ErrEmpty.
func (f *feed) look(ctx context.Context) (entry, error) {
	entries, _, err := f.list(ctx, false)
	if err != nil {
		return entry{}, err
	}
	if e, ok := f.merge(entries); ok {
		return e, nil
	}
	return entry{}, ErrEmpty
}

// claim takes an entry off the list, unless the list is too old.
func (f *feed) claim() (entry, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listed.IsZero() || time.Since(f.listed) > max(listAge, listShare*f.cost) {
		return entry{}, false
	}
	return f.pick()
}

// pick takes an entry off the list; the caller has the lock.
func (f *feed) pick() (entry, bool) {
	now := time.Now()
	if len(f.ready) == 0 || !f.due(f.ready[0], now) {
		return entry{}, false
	}
	i := 0
	if f.window > 1 {
		n := 1
		for n < min(f.window, len(f.ready)) && f.equal(f.ready[0], f.ready[n], now) {
			n++
		}
		i = rand.IntN(n)
	}
	e := f.ready[i]
	copy(f.ready[1:], f.ready[:i])
	f.ready = f.ready[1:]
	f.busy[e.key()] = time.Time{}
	return e, true
}

func (f *feed) due(e entry, now time.Time) bool {
	return !f.style.delayed || e.order <= now.UnixMilli()
}

// equal reports whether two entries may be taken in any order.
func (f *feed) equal(a, b entry, now time.Time) bool {
	if f.style.delayed {
		return f.due(b, now)
	}
	return a.order == b.order
}

// won forgets an entry that has been removed.
func (f *feed) won(e entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.busy, e.key())
	f.window = max(1, f.window-1)
}

// kept notes that an entry was locked: it stays out of the list until it is given back.
func (f *feed) kept() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.window = max(1, f.window-1)
}

// forget notes that an entry which was kept has gone.
func (f *feed) forget(e entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.busy, e.key())
}

// lost forgets an entry that somebody else had first, and looks further behind the front the next time: consumers that
// start from the same list would otherwise race for one item after the other, and all but one of them in vain.
func (f *feed) lost(e entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.busy, e.key())
	f.window = min(2*f.window, maxWindow)
	if f.losses++; f.losses > staleAfter+len(f.ready)/staleShare {
		f.listed = time.Time{}
	}
}

// giveBack makes an entry available again, to this process too.
func (f *feed) giveBack(e entry) {
	f.mu.Lock()
	delete(f.busy, e.key())
	i, listed := slices.BinarySearchFunc(f.ready, e, compare)
	if !listed {
		f.ready = slices.Insert(f.ready, i, e)
	}
	f.mu.Unlock()
	f.wake()
}

// putOff makes an entry available again after a time.
func (f *feed) putOff(e entry, d time.Duration) {
	until := time.Now().Add(d)
	f.mu.Lock()
	f.busy[e.key()] = until
	f.listed = time.Time{}
	f.mu.Unlock()
	f.wake()
}

// reserve is a claim of one entry, wherever it is in the list.
func (f *feed) reserve(e entry) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if until, busy := f.busy[e.key()]; busy && until.IsZero() {
		return false
	}
	f.busy[e.key()] = time.Time{}
	if i, listed := slices.BinarySearchFunc(f.ready, e, compare); listed {
		f.ready = slices.Delete(f.ready, i, i+1)
	}
	return true
}

// setAside never hands the entry out again.
func (f *feed) setAside(e entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.busy[e.key()] = never
}

// added is told of every entry that this process puts. The list goes on to serve if the entry belongs to its end.
func (f *feed) added(e entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.ready); n > 0 && e.order < f.ready[n-1].order {
		f.listed = time.Time{}
	}
}

// wake ends the wait of whoever has the turn.
func (f *feed) wake() {
	select {
	case f.kick <- struct{}{}:
	default:
	}
}

// waitFor waits until it is worth listing again.
func (f *feed) waitFor(ctx context.Context, watches []*gazoo.Watch) error {
	changed := make(chan struct{}, 1)
	for _, w := range watches {
		w.Then(func(gazoo.Event, error) {
			select {
			case changed <- struct{}{}:
			default:
			}
		})
	}
	var alarm <-chan time.Time
	if at, ok := f.alarm(); ok {
		timer := time.NewTimer(max(time.Until(at), 0))
		defer timer.Stop()
		alarm = timer.C
	}
	select {
	case <-changed:
	case <-ctx.Done():
	case <-f.kick:
	case <-alarm:
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	// Changes that follow each other fast are seen together.
	return retry.Sleep(ctx, f.rest())
}

// alarm returns when an entry comes due, or may be looked at again.
func (f *feed) alarm() (at time.Time, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at = never
	for _, until := range f.busy {
		if !until.IsZero() && until.Before(at) {
			at = until
		}
	}
	if f.style.delayed && len(f.ready) > 0 {
		if due := time.UnixMilli(f.ready[0].order); due.Before(at) {
			at = due
		}
	}
	return at, at != never
}

// rest returns how long not to list, so that listing keeps to its share of the time.
func (f *feed) rest() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listed.IsZero() {
		return 0
	}
	return min(listShare*f.cost-time.Since(f.listed), time.Second)
}

// listing is what one look at all places has shown.
type listing struct {
	entries []entry
	cost    time.Duration
}

// list reads the entries, and, with watch, sets watches that tell when to list again; the caller closes them. A place
// that is missing is made then: somebody may have deleted it under us.
func (f *feed) list(ctx context.Context, watch bool) (listing, []*gazoo.Watch, error) {
	for {
		start := time.Now()
		entries, watches, err := f.read(ctx, watch)
		if err == nil {
			return listing{entries, min(time.Since(start), maxCost)}, watches, nil
		}
		closeAll(watches)
		switch {
		case errors.Is(err, gazoo.ErrNoNode):
			if err := f.ensure(ctx); err != nil {
				return listing{}, nil, err
			}
		case !retry.Lost(err) || ctx.Err() != nil:
			return listing{}, nil, err
		}
	}
}

// ensure makes the places.
func (f *feed) ensure(ctx context.Context) error {
	for _, p := range f.places {
		if err := ensure(ctx, f.zk, p.entries, f.acl); err != nil {
			return err
		}
		if p.taken == "" {
			continue
		}
		if err := ensure(ctx, f.zk, p.taken, f.acl); err != nil {
			return err
		}
	}
	return nil
}

// read lists all places in one round trip. The entries come first: one that is consumed meanwhile then looks
// available, which the next step finds out; the other way round one that is taken would.
func (f *feed) read(ctx context.Context, watch bool) (entries []entry, watches []*gazoo.Watch, err error) {
	var replies []gazoo.Future[gazoo.WatchedDirectory]
	var plain []gazoo.Future[gazoo.Directory]
	ask := func(path string) {
		if watch {
			replies = append(replies, f.zk.Async().ChildrenW(ctx, path))
		} else {
			plain = append(plain, f.zk.Async().Children(ctx, path))
		}
	}
	for _, p := range f.places {
		ask(p.entries)
		if p.taken != "" {
			ask(p.taken)
		}
	}
	answer := func() []string {
		if !watch {
			reply := plain[0]
			plain = plain[1:]
			dir, failed := reply.Wait(ctx)
			if errors.Is(failed, gazoo.ErrNoNode) {
				return nil // nothing there; who only looks makes nothing
			}
			err = errors.Join(err, failed)
			return dir.Children
		}
		reply := replies[0]
		replies = replies[1:]
		dir, failed := reply.Wait(ctx)
		if dir.Watch != nil {
			watches = append(watches, dir.Watch)
		} else if failed != nil {
			// The answer may still come, and with it a watch that nobody would close.
			reply.Then(func(late gazoo.WatchedDirectory, _ error) {
				if late.Watch != nil {
					late.Watch.Close()
				}
			})
		}
		err = errors.Join(err, failed)
		return dir.Children
	}
	for shard, p := range f.places {
		names := answer()
		taken := map[string]bool{}
		if p.taken != "" {
			for _, name := range answer() {
				taken[name] = true
			}
		}
		for _, name := range names {
			if e, ok := f.style.parse(name); ok && !taken[name] {
				e.shard = shard
				entries = append(entries, e)
			}
		}
	}
	return entries, watches, err
}

// merge replaces the list and takes an entry off it, in one step: another caller may come with an older list at any
// time, and whoever waits for a change must not miss what its own list had.
func (f *feed) merge(l listing) (entry, bool) {
	slices.SortFunc(l.entries, compare)
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	f.ready = l.entries[:0]
	held := map[key]time.Time{}
	for _, e := range l.entries {
		until, busy := f.busy[e.key()]
		if busy && (until.IsZero() || until.After(now)) {
			held[e.key()] = until
		} else {
			f.ready = append(f.ready, e)
		}
	}
	for k, until := range f.busy {
		if until.IsZero() {
			held[k] = until // its owner is still at it, although it has gone
		}
	}
	f.busy, f.listed, f.cost, f.losses = held, now, l.cost, 0
	return f.pick()
}

func closeAll(watches []*gazoo.Watch) {
	for _, w := range watches {
		w.Close()
	}
}

// ensure makes a persistent path, over lost connections.
func ensure(ctx context.Context, zk *gazoo.Client, path string, acl []gazoo.ACL) error {
	var opts []gazoo.CreateOption
	if acl != nil {
		opts = append(opts, gazoo.WithACL(acl...))
	}
	for {
		_, err := zk.EnsurePath(ctx, path, opts...)
		if err == nil || !retry.Lost(err) || ctx.Err() != nil {
			return err
		}
	}
}
