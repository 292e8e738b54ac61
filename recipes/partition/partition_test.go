package partition_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/cluster"
	"github.com/gazoo-zk/gazoo/recipes/internal/recipetest"
	"github.com/gazoo-zk/gazoo/recipes/lock"
	"github.com/gazoo-zk/gazoo/recipes/partition"
	"github.com/gazoo-zk/gazoo/zktest"
)

func TestMain(m *testing.M) { recipetest.Main(m) }

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func set(n int) []string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf("item-%02d", i)
	}
	return items
}

// board is where members write what they hold, and the checker of disjointness.
type board struct {
	mu     sync.Mutex
	holder map[string]claim
	faults []string
	shares int
}

type claim struct {
	member string
	ctx    context.Context
}

// take notes what a member holds. Who had it before must have given it, or know that the share is over.
func (b *board) take(ctx context.Context, member string, items []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.holder == nil {
		b.holder = make(map[string]claim)
	}
	b.shares++
	for _, item := range items {
		if other, held := b.holder[item]; held && (other.ctx.Err() == nil || errors.Is(context.Cause(other.ctx), partition.ErrRepartition)) {
			b.faults = append(b.faults, fmt.Sprintf("%s takes %s while %s holds it", member, item, other.member))
		}
		b.holder[item] = claim{member, ctx}
	}
}

func (b *board) give(ctx context.Context, items []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, item := range items {
		if b.holder[item].ctx == ctx {
			delete(b.holder, item)
		}
	}
}

// counts returns how many items each member holds.
func (b *board) counts() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := make(map[string]int)
	for _, c := range b.holder {
		n[c.member]++
	}
	return n
}

func (b *board) check(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, fault := range b.faults {
		t.Error(fault)
	}
}

// member runs a member that writes on the board, until stop is called, which waits for it.
func (b *board) member(t testing.TB, zk *gazoo.Client, path, id string, items []string, opts ...partition.Option) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := partition.Run(ctx, zk, path, items, func(ctx context.Context, mine []string) error {
			b.take(ctx, id, mine)
			<-ctx.Done()
			b.give(ctx, mine)
			return nil
		}, append([]partition.Option{partition.WithIdentifier(id)}, opts...)...)
		if !errors.Is(err, context.Canceled) && !errors.Is(err, gazoo.ErrClosed) {
			t.Errorf("Run of %s: %v, want context.Canceled or gazoo.ErrClosed", id, err)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

func TestSetIsDividedAmongMembers(t *testing.T) {
	recipetest.OnServers(t, func(t *testing.T, c cluster.Cluster) {
		path, items := recipetest.Path(t), set(7)
		quick := partition.WithTimeBoundary(20 * time.Millisecond)
		var b board
		stops := make(map[string]func())
		for _, id := range []string{"a", "b", "c"} {
			stops[id] = b.member(t, recipetest.Dial(t, c.Hosts()), path, id, items, quick)
		}
		waitCounts(t, &b, map[string]int{"a": 3, "b": 2, "c": 2})
		stops["a"]()
		waitCounts(t, &b, map[string]int{"b": 4, "c": 3})
		b.check(t)
	})
}

func waitCounts(t testing.TB, b *board, want map[string]int) {
	t.Helper()
	zktest.Eventually(t, fmt.Sprintf("the set is divided as %v", want), func() bool { return maps.Equal(b.counts(), want) })
}

func TestRoundRobin(t *testing.T) {
	for _, tc := range []struct {
		me      string
		members string
		items   string
		want    string
	}{
		{"a", "a", "3 1 2", "1 2 3"},
		{"a", "c b a", "1 2 3 4 5 6 7", "1 4 7"},
		{"c", "c b a", "1 2 3 4 5 6 7", "3 6"},
		{"c", "a b c", "1 2", ""},
		{"x", "a b c", "1 2", ""},
		{"é", "z é", "10 9 1", "10"}, // bytes and code points sort alike
		{"a", "a", "", ""},
	} {
		got := partition.RoundRobin(tc.me, strings.Fields(tc.members), strings.Fields(tc.items))
		if strings.Join(got, " ") != tc.want {
			t.Errorf("RoundRobin(%s, %s, %s) = %q, want %s", tc.me, tc.members, tc.items, got, tc.want)
		}
	}
}

// Members come, go, are cut off and lose sessions at random: no item is ever with two of them, and in the end every
// item is with one.
func TestNoItemHasTwoHolders(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
				rnd := rand.New(rand.NewPCG(seed, 1))
				const path, n = "/work", 9
				var b board
				type program struct {
					zk   *gazoo.Client
					stop func()
				}
				programs := make(map[string]program)
				for step := range 60 {
					id := fmt.Sprintf("m%d", rnd.IntN(4))
					p, there := programs[id]
					switch k := rnd.IntN(7); {
					case !there:
						zk := recipetest.Client(t, srv)
						// Each has a time boundary of its own, so their views of the party differ for seconds.
						boundary := partition.WithTimeBoundary(time.Duration(rnd.IntN(4)) * time.Second)
						programs[id] = program{zk, b.member(t, zk, path, id, set(n), boundary)}
					case k == 0:
						p.stop()
						delete(programs, id)
					case k == 1:
						p.zk.CloseNow()
						delete(programs, id)
					case k == 2:
						srv.Session(p.zk.SessionID()).BlackHole()
					case k == 3:
						srv.Heal()
					case k == 4:
						srv.Session(p.zk.SessionID()).Cut()
					case k == 5:
						srv.DropReply(zktest.OpCreate|zktest.OpDelete, "")
					default:
						srv.Restart(zktest.KeepData)
					}
					time.Sleep(time.Duration(rnd.IntN(4000)) * time.Millisecond)
					b.check(t)
					if t.Failed() {
						t.Fatalf("at step %d", step)
					}
				}
				srv.Heal()
				if len(programs) == 0 {
					return
				}
				time.Sleep(time.Minute)
				b.check(t)
				total := 0
				for id, held := range b.counts() {
					total += held
					if _, there := programs[id]; !there {
						t.Errorf("%s holds %d items although it has left", id, held)
					}
				}
				if total != n || b.shares < 5 {
					t.Errorf("%d of %d items are held, %d shares in all: %v", total, n, b.shares, b.counts())
				}
			})
		})
	}
}

// The states, as a program written after Kazoo's sees them.
func TestStates(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		p := newPartitioner(t, zk, "a", set(4), partition.WithTimeBoundary(5*time.Second))
		if p.State() != partition.StateAllocating || p.Identifier() != "a" {
			t.Errorf("new: %v", p.State())
		}
		start := time.Now()
		acquire(t, p, "item-00", "item-01", "item-02", "item-03")
		if d := time.Since(start); d < 5*time.Second || d > 6*time.Second {
			t.Errorf("acquired after %v, want the time boundary", d)
		}
		share, _, _ := p.Share()

		q := newPartitioner(t, recipetest.Client(t, srv), "b", set(4), partition.WithTimeBoundary(5*time.Second))
		time.Sleep(time.Minute)
		if p.State() != partition.StateRelease || !errors.Is(context.Cause(share), partition.ErrRepartition) {
			t.Errorf("after a join: %v, %v, want RELEASE and ErrRepartition", p.State(), context.Cause(share))
		}
		if err := p.WaitAcquired(t.Context()); !errors.Is(err, partition.ErrRepartition) {
			t.Errorf("WaitAcquired = %v, want ErrRepartition", err)
		}
		if q.State() != partition.StateAllocating {
			t.Errorf("the other is %v while its items are still held", q.State())
		}
		if err := p.Release(within(t, time.Second)); err != nil {
			t.Fatal(err)
		}
		acquire(t, p, "item-00", "item-02")
		acquire(t, q, "item-01", "item-03")

		// A disconnect within the session time-out is no reason to give anything up.
		before := p.Status().ID
		srv.Cut()
		time.Sleep(time.Second)
		if s := p.Status(); s.ID != before || s.State != partition.StateAcquired {
			t.Errorf("after a disconnect: %+v, want the state with ID %d", s, before)
		}

		// A lost session is final.
		share, _, _ = p.Share()
		srv.Session(zk.SessionID()).BlackHole()
		time.Sleep(recipetest.SessionTimeout)
		if p.State() != partition.StateFailed || !gazoo.SessionLost(p.Err()) || !errors.Is(context.Cause(share), lock.ErrLost) && !gazoo.SessionLost(context.Cause(share)) {
			t.Errorf("after an expiry: %v, Err() = %v, share ended by %v", p.State(), p.Err(), context.Cause(share))
		}
		if _, items, ok := p.Share(); ok || slices.Collect(p.Items()) != nil {
			t.Errorf("after an expiry: Share() = %q, %v", items, ok)
		}
		srv.Heal()
		if err := p.WaitAcquired(within(t, time.Minute)); !gazoo.SessionLost(err) {
			t.Errorf("WaitAcquired = %v, want the session's end", err)
		}
		if err := q.Release(within(t, time.Minute)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if err := q.Release(within(t, time.Minute)); err != nil {
			t.Fatal(err)
		}
		acquire(t, q, "item-00", "item-01", "item-02", "item-03")
		if err := q.Finish(within(t, time.Second)); err != nil {
			t.Fatal(err)
		}
		if !errors.Is(q.Err(), partition.ErrFinished) || q.State().String() != "FAILURE" {
			t.Errorf("finished: %v, %v", q.State(), q.Err())
		}
		if s := srv.Dump(zktest.Below("/work/party")); strings.Contains(s, "ephemeral") {
			t.Errorf("left behind:\n%s", s)
		}
	})
}

func newPartitioner(t testing.TB, zk *gazoo.Client, id string, items []string, opts ...partition.Option) *partition.Partitioner {
	t.Helper()
	p, err := partition.New(zk, "/work", items, append([]partition.Option{partition.WithIdentifier(id)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 20*time.Second)
		defer cancel()
		if err := p.Finish(ctx); err != nil {
			t.Errorf("Finish: %v", err)
		}
	})
	return p
}

func acquire(t testing.TB, p *partition.Partitioner, want ...string) {
	t.Helper()
	err := p.WaitAcquired(within(t, time.Minute))
	for errors.Is(err, partition.ErrRepartition) { // it had taken its items before it saw that a member has left
		if err = p.Release(within(t, time.Minute)); err == nil {
			err = p.WaitAcquired(within(t, time.Minute))
		}
	}
	if err != nil {
		t.Fatalf("%s: WaitAcquired: %v (state %v)", p.Identifier(), err, p.State())
	}
	_, got, ok := p.Share()
	if !ok || !slices.Equal(got, want) || !slices.Equal(slices.Collect(p.Items()), want) {
		t.Fatalf("%s: Share() = %q, %v, want %q", p.Identifier(), got, ok, want)
	}
}

// Nobody takes anything before the party has been the same for the time boundary.
func TestTimeBoundaryStartsAnew(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		start := time.Now()
		var parts []*partition.Partitioner
		for i := range 5 {
			parts = append(parts, newPartitioner(t, recipetest.Client(t, srv), fmt.Sprint(i), set(5), partition.WithTimeBoundary(10*time.Second)))
			time.Sleep(8 * time.Second)
		}
		for i, p := range parts {
			if p.Status().ID != 1 {
				t.Errorf("member %d has been %v before the party was stable", i, p.State())
			}
		}
		for i, p := range parts {
			acquire(t, p, set(5)[i])
		}
		if d := time.Since(start); d != 42*time.Second {
			t.Errorf("acquired after %v, want 4·8 s + 10 s", d)
		}
	})
}

// The members change while one waits for a lock that somebody else holds: it lets go and divides anew.
func TestChangeWhileLocking(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		mu, err := lock.New(recipetest.Client(t, srv), "/work/locks/item-01")
		if err != nil {
			t.Fatal(err)
		}
		held, err := mu.Lock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p := newPartitioner(t, recipetest.Client(t, srv), "a", set(2), partition.WithTimeBoundary(time.Second))
		time.Sleep(time.Minute)
		if p.State() != partition.StateAllocating {
			t.Fatalf("%v although an item is locked by somebody else", p.State())
		}
		q := newPartitioner(t, recipetest.Client(t, srv), "b", set(2), partition.WithTimeBoundary(time.Second))
		acquire(t, p, "item-00")
		if q.State() != partition.StateAllocating {
			t.Errorf("%v although its item is locked by somebody else", q.State())
		}
		if err := held.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		acquire(t, q, "item-01")
	})
}

// Two members that both want everything do not get it together, whatever their functions say.
func TestOwnFunction(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		all := partition.WithFunc(func(_ string, _, items []string) []string { return append(items, items[0]) })
		p := newPartitioner(t, recipetest.Client(t, srv), "a", set(3), all, partition.WithTimeBoundary(0))
		acquire(t, p, set(3)...)
		q := newPartitioner(t, recipetest.Client(t, srv), "b", set(3), all, partition.WithTimeBoundary(time.Second))
		time.Sleep(time.Minute)
		if p.State() != partition.StateRelease || q.State() != partition.StateAllocating {
			t.Errorf("%v and %v, want the second to wait for the first", p.State(), q.State())
		}
		if err := p.Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
		acquire(t, q, set(3)...)

		bad := newPartitioner(t, recipetest.Client(t, srv), "c", set(3), partition.WithTimeBoundary(0),
			partition.WithFunc(func(string, []string, []string) []string { return []string{"elsewhere"} }))
		if err := bad.WaitAcquired(within(t, time.Minute)); !errors.Is(err, partition.ErrDivision) {
			t.Errorf("WaitAcquired = %v, want ErrDivision", err)
		}
	})
}

// Run ends with what its function returns while the share is held, and with nothing that it returns afterwards.
func TestRunEndsWithItsFunction(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		zk := recipetest.Client(t, srv)
		oops := errors.New("oops")
		calls := 0
		err := partition.Run(t.Context(), zk, "/work", set(3), func(ctx context.Context, items []string) error {
			if calls++; calls == 1 {
				srv.ExpireSession(zk.SessionID())
				<-ctx.Done()
				if !gazoo.SessionLost(context.Cause(ctx)) && !errors.Is(context.Cause(ctx), lock.ErrLost) {
					t.Errorf("the share ended by %v, want the session's end", context.Cause(ctx))
				}
				return errors.New("not told")
			}
			return oops
		}, partition.WithTimeBoundary(time.Second))
		if !errors.Is(err, oops) || calls != 2 {
			t.Errorf("Run = %v after %d calls, want oops after 2", err, calls)
		}
		synctest.Wait()
		if s := srv.Sessions(); len(s) != 1 || len(s[0].Ephemerals) != 0 {
			t.Errorf("left behind:\n%s", srv.Dump())
		}
	})
}

// The set is worked on for as long as the function needs to stop, although its context has ended.
func TestItemsStayHeldUntilTheFunctionReturns(t *testing.T) {
	recipetest.Bubble(t, func(t *testing.T, srv *zktest.Server) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		started := make(chan struct{})
		go func() {
			done <- partition.Run(ctx, recipetest.Client(t, srv), "/work", set(1), func(ctx context.Context, items []string) error {
				close(started)
				<-ctx.Done()
				time.Sleep(time.Minute)
				return nil
			}, partition.WithTimeBoundary(0))
		}()
		<-started
		cancel()
		time.Sleep(30 * time.Second)
		mu, err := lock.New(recipetest.Client(t, srv), "/work/locks/item-00")
		if err != nil {
			t.Fatal(err)
		}
		if held, err := mu.TryLock(t.Context()); !errors.Is(err, lock.ErrBusy) {
			t.Errorf("TryLock = %v, %v, want ErrBusy", held, err)
		}
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run = %v, want context.Canceled", err)
		}
	})
}

func TestArguments(t *testing.T) {
	for name, tc := range map[string]struct {
		path  string
		items []string
		opts  []partition.Option
	}{
		"path":             {"work", nil, nil},
		"item with slash":  {"/work", []string{"a/b"}, nil},
		"empty item":       {"/work", []string{""}, nil},
		"item twice":       {"/work", []string{"a", "b", "a"}, nil},
		"identifier":       {"/work", nil, []partition.Option{partition.WithIdentifier("a/b")}},
		"function":         {"/work", nil, []partition.Option{partition.WithFunc(nil)}},
		"negative bounary": {"/work", nil, []partition.Option{partition.WithTimeBoundary(-1)}},
	} {
		if err := partition.Run(t.Context(), &gazoo.Client{}, tc.path, tc.items, nil, tc.opts...); !errors.Is(err, gazoo.ErrBadArguments) {
			t.Errorf("%s: Run = %v, want ErrBadArguments", name, err)
		}
	}
}
