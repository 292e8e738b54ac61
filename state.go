package gazoo

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"
)

// State is what a program acts on. The possible changes are Lost→Connected,
// Connected→Suspended, Connected→Lost (credential refused, Close), Suspended→Lost and
// Suspended→Connected.
type State uint8

const (
	// StateLost: there is no session, or it must be taken as gone. It is also the state
	// before the first connection and after Close.
	StateLost State = iota
	// StateConnected: the session is alive and a server answers. A read-only connection
	// counts as connected; [Client.KeeperState] tells it apart.
	StateConnected
	// StateSuspended: the connection was lost, the session may live.
	StateSuspended
)

// String returns the state's name in lower case.
func (s State) String() string {
	switch s {
	case StateLost:
		return "lost"
	case StateConnected:
		return "connected"
	case StateSuspended:
		return "suspended"
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// KeeperState is the detailed state.
type KeeperState uint8

const (
	KeeperConnecting        KeeperState = iota // looking for a server
	KeeperConnected                            // on a read-write server
	KeeperConnectedReadOnly                    // on a read-only server, with a provisional session
	KeeperAuthFailed                           // a credential was refused: final
	KeeperExpired                              // a server said that the session is over; a new one is on its way
	KeeperClosed                               // closed: final
)

// String returns the state's name in lower case.
func (s KeeperState) String() string {
	names := [...]string{"connecting", "connected", "connected read-only", "auth failed", "expired", "closed"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("KeeperState(%d)", uint8(s))
}

// StateChange is one change of state, with what is known of its reason.
type StateChange struct {
	From, To State
	Keeper   KeeperState
	Session  int64         // id of the session concerned
	Timeout  time.Duration // negotiated time-out of that session
	Server   string        // address connected to, or lost

	First       bool // To is Connected for the first time in this client's life
	NewSession  bool // To is Connected with a session that did not exist before
	Resumed     bool // To is Connected and the session goes on; with From Lost: it had been presumed expired
	HistoryLost bool // the ensemble's history went backwards: caches and zxids are worthless

	Err    error  // why From ended, nil for To Connected
	Seq    uint64 // counts the changes of this client from 1
	Missed uint64 // for subscriptions: changes before this one that were not delivered
}

// stateBox holds the state value and those who wait for it.
type stateBox struct {
	calls *dispatcher
	hooks []SessionHook

	mu        sync.Mutex
	cur       StateChange
	keeper    KeeperState
	ended     error         // set by the last change: nothing follows
	changed   chan struct{} // closed at each change
	listeners []*stateListener
}

type stateListener struct{ fn func(StateChange) bool }

func newStateBox(calls *dispatcher, hooks []SessionHook) *stateBox {
	return &stateBox{calls: calls, hooks: hooks, changed: make(chan struct{}), keeper: KeeperConnecting}
}

// set makes ch the current state and queues the listeners. A change to the same state only
// updates the keeper state. ended, when not nil, says that this was the last change.
func (b *stateBox) set(ch StateChange, ended error) {
	b.mu.Lock()
	b.keeper = ch.Keeper
	ch.From = b.cur.To
	if ended != nil {
		b.ended = ended
	}
	if ch.From == ch.To && ended == nil {
		b.mu.Unlock()
		return
	}
	same := ch.From == ch.To
	if !same {
		ch.Seq = b.cur.Seq + 1
		b.cur = ch
	}
	close(b.changed)
	b.changed = make(chan struct{})
	listeners := b.listeners
	b.mu.Unlock()
	if same {
		return
	}
	for _, h := range b.hooks {
		b.calls.enqueue(func() { h.OnSession(ch) })
	}
	for _, l := range listeners {
		b.calls.enqueue(func() {
			if b.has(l) && l.fn(ch) {
				b.remove(l)
			}
		})
	}
}

func (b *stateBox) get() (StateChange, KeeperState, chan struct{}, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cur, b.keeper, b.changed, b.ended
}

func (b *stateBox) add(fn func(StateChange) bool) *stateListener {
	l := &stateListener{fn}
	b.mu.Lock()
	// Copied, never changed in place: set hands the slice out of the lock.
	b.listeners = append(slices.Clone(b.listeners), l)
	b.mu.Unlock()
	return l
}

func (b *stateBox) has(l *stateListener) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Contains(b.listeners, l)
}

func (b *stateBox) remove(l *stateListener) {
	b.mu.Lock()
	b.listeners = slices.DeleteFunc(slices.Clone(b.listeners), func(x *stateListener) bool { return x == l })
	b.mu.Unlock()
}

// State returns the current state.
func (zk *Client) State() State {
	cur, _, _, _ := zk.core.state.get()
	return cur.To
}

// KeeperState returns the detailed state.
func (zk *Client) KeeperState() KeeperState {
	_, keeper, _, _ := zk.core.state.get()
	return keeper
}

// Connected reports whether a server answers at present, read-only or not.
func (zk *Client) Connected() bool { return zk.State() == StateConnected }

// AddListener registers fn for every later change of state. Listeners run one after another
// on the client's callback goroutine, in the order of changes; they may call anything,
// blocking operations and Close included. fn returns true to remove itself; remove does so
// from outside, after which fn is not called again (a call in progress may still finish). A
// panic in fn is not recovered.
func (zk *Client) AddListener(fn func(StateChange) bool) (remove func()) {
	l := zk.core.state.add(fn)
	return func() { zk.core.state.remove(l) }
}

// WaitState blocks until the state is s. It returns at once when it is already, with the
// context's error when ctx ends first, and with [ErrClosed] or [ErrAuthFailed] when the client
// ends and s can no longer come.
func (zk *Client) WaitState(ctx context.Context, s State) error {
	if ctx == nil {
		return &OpError{Op: "wait for state " + s.String(), Outcome: OutcomeNotSent, Err: errNilContext}
	}
	for {
		cur, _, changed, ended := zk.core.state.get()
		if cur.To == s {
			return nil
		}
		if ended != nil {
			return &OpError{Op: "wait for state " + s.String(), Outcome: OutcomeNotSent, Err: ended}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return &OpError{Op: "wait for state " + s.String(), Outcome: OutcomeNotSent, Err: ctxError(ctx)}
		}
	}
}

// StateSubscription follows the state without a callback. A slow subscriber misses
// intermediate changes, which are counted, and always learns the latest. It needs no close.
// Not safe for concurrent use.
type StateSubscription struct {
	box  *stateBox
	seen uint64
}

// SubscribeState returns a subscription whose first Next returns the next change from now on.
func (zk *Client) SubscribeState() *StateSubscription {
	cur, _, _, _ := zk.core.state.get()
	return &StateSubscription{box: zk.core.state, seen: cur.Seq}
}

// Next blocks until there is a change that was not delivered yet and returns the newest one;
// its Missed field counts those skipped. After the client's last change it returns
// [ErrClosed] or [ErrAuthFailed].
func (s *StateSubscription) Next(ctx context.Context) (StateChange, error) {
	if ctx == nil {
		return StateChange{}, errNilContext
	}
	for {
		cur, _, changed, ended := s.box.get()
		if cur.Seq > s.seen {
			cur.Missed = cur.Seq - s.seen - 1
			s.seen = cur.Seq
			return cur, nil
		}
		if ended != nil {
			return StateChange{}, ended
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return StateChange{}, ctxError(ctx)
		}
	}
}

// StateChanges iterates over a subscription until ctx ends or the client does; the last
// element carries the error that ended it.
func (zk *Client) StateChanges(ctx context.Context) iter.Seq2[StateChange, error] {
	sub := zk.SubscribeState()
	return func(yield func(StateChange, error) bool) {
		for {
			ch, err := sub.Next(ctx)
			if !yield(ch, err) || err != nil {
				return
			}
		}
	}
}

var errNilContext = badArg("ctx", "nil")

// isEnded tells the errors after which nothing follows.
func isEnded(err error) bool { return errors.Is(err, ErrClosed) || errors.Is(err, ErrAuthFailed) }
