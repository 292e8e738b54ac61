package gazoo_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/internal/ensemble"
)

// awaitKeeper waits for the next Connected of a kind.
func awaitKeeper(t *testing.T, sub *gazoo.StateSubscription, want gazoo.KeeperState) gazoo.StateChange {
	t.Helper()
	for {
		if ch := awaitState(t, sub, gazoo.StateConnected); ch.Keeper == want {
			return ch
		}
	}
}

// keeperStates is a hook that collects the changes of a client's state.
type keeperStates struct {
	mu   sync.Mutex
	seen []gazoo.KeeperState
}

func (k *keeperStates) OnSession(ch gazoo.StateChange) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen = append(k.seen, ch.Keeper)
}

func (k *keeperStates) has(s gazoo.KeeperState) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Contains(k.seen, s)
}

// A server that is cut off from its ensemble serves readers that asked for it. They go back
// to read-write as soon as there is such a server; nobody else ever attaches to it.
func TestReadOnlyServer(t *testing.T) {
	e := ensemble.StartT(t, ensemble.Config{Servers: 3, ReadOnlyMode: true, LocalSessions: true, QuorumProxies: true})
	ctx := deadline(t, 90*time.Second)
	leader, err := e.WaitLeader(ctx)
	must(t, err)
	lonely := (leader + 1) % 3
	writer := connect(t, e.Server(leader).Addr())
	_, err = writer.Create(ctx, "/n", []byte("before"))
	must(t, err)
	must(t, connectTo(t, e, lonely).Sync(ctx, "/"))

	e.Partition(lonely)
	_, err = e.Server(lonely).WaitMode(ctx, ensemble.ModeReadOnly)
	must(t, err)

	// Only the lonely server is known: the opted-in client gets a provisional session there.
	var states keeperStates
	reader := connect(t, e.Server(lonely).Addr(), gazoo.WithReadOnly(), gazoo.WithHook(&states))
	sub := reader.SubscribeState()
	session := reader.Session()
	if reader.KeeperState() != gazoo.KeeperConnectedReadOnly || reader.State() != gazoo.StateConnected || !session.ReadOnly() || session.Err() == nil {
		t.Errorf("state %v, %v, session read-only %v, tenancy %v; want connected read-only without a tenancy",
			reader.State(), reader.KeeperState(), session.ReadOnly(), session.Err())
	}
	if data, _, err := reader.Get(ctx, "/n"); err != nil || string(data) != "before" {
		t.Errorf("Get = %q, %v", data, err)
	}
	_, _, w, err := reader.GetW(ctx, "/n")
	must(t, err)
	_, err = reader.Create(ctx, "/x", nil)
	wantErr(t, "Create", err, gazoo.ErrNotReadOnly)
	_, err = reader.Set(ctx, "/n", nil, gazoo.AnyVersion)
	wantErr(t, "Set", err, gazoo.ErrNotReadOnly)
	wantErr(t, "Delete", reader.Delete(ctx, "/n", gazoo.AnyVersion), gazoo.ErrNotReadOnly)
	_, err = reader.Txn().Set("/n", nil, 0).Commit(ctx)
	wantErr(t, "Commit", err, gazoo.ErrNotReadOnly)
	if gazoo.MaybeApplied(err) {
		t.Errorf("Commit = %v, want it refused", err)
	}

	// The client that did not opt in finds nobody there, and goes to the others when it knows
	// them, in its own session.
	_, err = gazoo.Connect(deadline(t, 2*time.Second), e.Server(lonely).Addr())
	wantErr(t, "Connect without having opted in", err, context.DeadlineExceeded)
	_, err = gazoo.Connect(ctx, e.Server(lonely).Addr(), gazoo.WithFailFast())
	wantErr(t, "Connect that fails fast", err, gazoo.ErrNoServer)
	var plain keeperStates
	both := e.Server(lonely).Addr() + "," + e.Server(leader).Addr()
	strict := connect(t, both, gazoo.WithHostOrder(), gazoo.WithHook(&plain))
	if got := strict.Server(); got != e.Server(leader).Addr() {
		t.Errorf("Server = %s, want the leader", got)
	}

	// The opted-in client that knows a read-write server moves there by itself.
	var moved keeperStates
	mover := connect(t, both, gazoo.WithReadOnly(), gazoo.WithHostOrder(), gazoo.WithHook(&moved))
	moves := mover.SubscribeState()
	if mover.KeeperState() == gazoo.KeeperConnectedReadOnly {
		if ch := awaitKeeper(t, moves, gazoo.KeeperConnected); !ch.NewSession || ch.Server != e.Server(leader).Addr() {
			t.Errorf("moved with %+v, want a new session on the leader", ch)
		}
	}
	_, err = mover.Set(ctx, "/n", []byte("meanwhile"), gazoo.AnyVersion)
	must(t, err)
	settleCallbacks(t, mover)
	if !moved.has(gazoo.KeeperConnectedReadOnly) {
		t.Error("the first server of the list was not used read-only")
	}

	// Healed, the lonely server takes writes again, in a session that is real.
	e.Heal()
	ch := awaitKeeper(t, sub, gazoo.KeeperConnected)
	if !ch.NewSession || ch.Session == session.ID() || reader.Session().ReadOnly() || reader.Session().Err() != nil {
		t.Errorf("after the heal: %+v, want a new read-write session", ch)
	}
	_, err = w.Wait(ctx)
	wantErr(t, "watch of the provisional session", err, gazoo.ErrReadOnlyEnded)
	wantErr(t, "cause of the provisional session's end", context.Cause(session.Context()), gazoo.ErrReadOnlyEnded)
	must(t, retrySync(ctx, reader))
	if data, _, err := reader.Get(ctx, "/n"); err != nil || string(data) != "meanwhile" {
		t.Errorf("Get after the heal = %q, %v", data, err)
	}
	_, err = reader.Create(ctx, "/eph", nil, gazoo.Ephemeral())
	must(t, err)
	settleCallbacks(t, strict)
	if plain.has(gazoo.KeeperConnectedReadOnly) {
		t.Error("the client that did not opt in was connected read-only")
	}
}

// connectTo opens a client on one server.
func connectTo(t *testing.T, e *ensemble.Ensemble, i int) *gazoo.Client {
	t.Helper()
	return connect(t, e.Server(i).Addr())
}
