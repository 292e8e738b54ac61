package gazoo

import "sync"

// dispatcher runs user callbacks (state listeners, hooks, Then functions) one after another
// on one goroutine, in the order in which they were queued. Its queue grows without bound: the
// receive path must never wait for user code, and nothing may be dropped.
type dispatcher struct {
	mu     sync.Mutex
	queue  []func()
	closed bool
	gone   bool          // the goroutine has ended
	wake   chan struct{} // one slot
	users  *userCode
}

func newDispatcher(users *userCode) *dispatcher {
	return &dispatcher{wake: make(chan struct{}, 1), users: users}
}

// enqueue adds fn; it never blocks. A function that comes after the goroutine has ended, a
// callback attached to an operation on a closed client, gets one of its own: nobody who was
// promised an answer goes without.
func (d *dispatcher) enqueue(fn func()) {
	d.mu.Lock()
	if d.gone {
		d.mu.Unlock()
		d.users.start(func() { d.users.call(fn) })
		return
	}
	d.queue = append(d.queue, fn)
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *dispatcher) close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *dispatcher) run() {
	var batch []func()
	for {
		d.mu.Lock()
		batch, d.queue = d.queue, batch[:0]
		d.gone = d.closed && len(batch) == 0
		gone := d.gone
		d.mu.Unlock()
		for i, fn := range batch {
			d.users.call(fn)
			batch[i] = nil
		}
		if len(batch) > 0 {
			continue
		}
		if gone {
			return
		}
		<-d.wake
	}
}

// userCode counts the client's goroutines that may run user code, so that Close can wait for
// all of them except those that are inside it at that moment: a callback may call Close.
type userCode struct {
	mu      sync.Mutex
	alive   int           // goroutines started and not ended
	outside int           // of these, not inside user code
	changed chan struct{} // made by a waiter, closed and dropped at the next change
}

func (u *userCode) add(alive, outside int) {
	u.mu.Lock()
	u.alive += alive
	u.outside += outside
	if u.changed != nil {
		close(u.changed)
		u.changed = nil
	}
	u.mu.Unlock()
}

// start runs fn on a goroutine that the client answers for.
func (u *userCode) start(fn func()) {
	u.add(1, 1)
	go func() {
		defer u.add(-1, -1)
		fn()
	}()
}

// call runs a user's function; while it runs Close does not wait for this goroutine.
func (u *userCode) call(fn func()) {
	u.add(0, -1)
	defer u.add(0, 1)
	fn()
}

// wait blocks until no goroutine is alive outside user code, or, with all set, until none is
// alive at all; or until stop is closed. It reports whether the former came true.
func (u *userCode) wait(stop <-chan struct{}, all bool) bool {
	for {
		u.mu.Lock()
		if u.changed == nil {
			u.changed = make(chan struct{})
		}
		n, changed := u.outside, u.changed
		if all {
			n = u.alive
		}
		u.mu.Unlock()
		if n == 0 {
			return true
		}
		select {
		case <-changed:
		case <-stop:
			return false
		}
	}
}
