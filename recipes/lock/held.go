package lock

import (
	"context"
	"fmt"
	"sync"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/contend"
	"github.com/gazoo-zk/gazoo/recipes/internal/owned"
	"github.com/gazoo-zk/gazoo/recipes/tenure"
)

// Held is a lock, or a permit of a semaphore, that is held: see [tenure.Tenure] for what it promises. Release it.
//
// Of a lock that was taken again by its holder ([WithReentrance]) there are several handles, which share one tenure: its
// znode, token and session. Each has a context of its own, which ends with its release.
type Held struct {
	*tenure.Tenure
	hold *hold

	ctx      context.Context
	end      context.CancelCauseFunc
	released bool          // somebody releases it; guarded by hold.mu
	freed    chan struct{} // the release has its result
	result   error         // read behind freed
}

// hold is what the handles of one tenure share. It travels in the context of each.
type hold struct {
	mutex  *Mutex
	tenure *tenure.Tenure // set before the first handle is given away

	mu      sync.Mutex
	handles int
}

// holdKey is under which a context carries the hold of a lock: by client, whatever its view, and absolute path.
type holdKey struct {
	client context.Context
	path   string
}

func (m *Mutex) key() holdKey {
	return holdKey{client: m.zk.Context(), path: m.absolute()}
}

// absolute is the path of the lock without regard to chroots.
func (m *Mutex) absolute() string { return gazoo.JoinPath(m.zk.Root(), m.path) }

// begin starts the tenure of a znode that holds, with a fencing token.
func (m *Mutex) begin(ctx context.Context, node *owned.Node, token int64) (*Held, error) {
	h := &hold{mutex: m, handles: 1}
	held := &Held{hold: h, freed: make(chan struct{})}
	begun := make(chan struct{})
	opts := m.cfg.tenureOptions()
	if m.cfg.revoked {
		opts = append(opts, tenure.OnChange(held.watchRevocation(begun, m.cfg.revoke)))
	}
	session := node.Session
	if m.cfg.lasting {
		session = nil
	}
	if m.kind != ofPermit { // of which a program may have several
		ctx = context.WithValue(ctx, m.key(), h)
	}
	t, err := tenure.Begin(ctx, m.zk, session, node.Path, token, opts...)
	if err != nil {
		return nil, err
	}
	h.tenure, held.Tenure = t, t
	held.ctx, held.end = context.WithCancelCause(t.Context())
	close(begun)
	return held, nil
}

// share returns another handle of the tenure; nil when that is over.
func (h *hold) share(ctx context.Context) *Held {
	if h.tenure.Err() != nil || !h.join() {
		return nil
	}
	held := &Held{Tenure: h.tenure, hold: h, freed: make(chan struct{})}
	held.ctx, held.end = context.WithCancelCause(&joined{Context: h.tenure.Context(), values: context.WithoutCancel(ctx)})
	return held
}

func (h *hold) join() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.handles == 0 {
		return false
	}
	h.handles++
	return true
}

// leave takes a handle off. mine says that this call releases it, no earlier one; last that no handle is left.
func (h *Held) leave() (mine, last bool) {
	h.hold.mu.Lock()
	defer h.hold.mu.Unlock()
	if h.released {
		return false, false
	}
	h.released = true
	h.hold.handles--
	return true, h.hold.handles == 0
}

// leaveAlone is leave of a handle that is the only one; where there are others it does nothing.
func (h *Held) leaveAlone() (mine, alone bool) {
	h.hold.mu.Lock()
	defer h.hold.mu.Unlock()
	if h.released || h.hold.handles != 1 {
		return !h.released, false
	}
	h.released = true
	h.hold.handles = 0
	return true, true
}

// joined has the end of one context and the values of another. That the values come without an end of their own lets
// package context pass the end on without a goroutine in between.
type joined struct {
	context.Context
	values context.Context
}

func (j *joined) Value(key any) any {
	if v := j.values.Value(key); v != nil {
		return v
	}
	return j.Context.Value(key)
}

// Context is [tenure.Tenure.Context], and ends with the release of this handle as well.
func (h *Held) Context() context.Context { return h.ctx }

// Err is [tenure.Tenure.Err]; a handle that was released says [ErrReleased].
func (h *Held) Err() error {
	if cause := context.Cause(h.ctx); cause != nil {
		return cause
	}
	return h.Tenure.Err()
}

// Verify is [tenure.Tenure.Verify].
func (h *Held) Verify(ctx context.Context) error {
	if err := h.Err(); err != nil {
		return err
	}
	return h.Tenure.Verify(ctx)
}

// String names the znode and the state.
func (h *Held) String() string {
	if err := h.Err(); err != nil {
		return fmt.Sprintf("%s: %v", h.Path(), err)
	}
	return h.Tenure.String()
}

// Release gives the lock up: see [tenure.Tenure.Release]. While there are other handles of it ([WithReentrance]) only this
// one ends, and nothing is sent.
func (h *Held) Release(ctx context.Context) error {
	if mine, last := h.leave(); mine {
		if last {
			h.result = h.Tenure.Release(ctx)
		} else {
			h.result = h.Tenure.Err()
		}
		h.end(ErrReleased)
		close(h.freed)
	}
	<-h.freed
	return h.result
}

// shared reports whether others may hold beside it.
func (h *Held) shared() bool { return h.hold.mutex.role == contend.Shared }
