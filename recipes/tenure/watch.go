package tenure

import (
	"errors"
	"time"

	"github.com/gazoo-zk/gazoo"
	"github.com/gazoo-zk/gazoo/recipes/internal/retry"
)

// throttlePause is how long a server that refuses for overload is left alone.
const throttlePause = 100 * time.Millisecond

// run watches the znode until the tenure ends, and deletes what a lost one leaves behind.
func (t *Tenure) run(stop func() bool) {
	defer close(t.ended)
	defer stop()
	if t.cfg.quorum && t.session != nil {
		verified := make(chan struct{})
		go func() { defer close(verified); t.keepVerified() }()
		defer func() { <-verified }()
	}
	for t.watching.Err() == nil {
		t.look()
	}
	// A session that was merely presumed expired may come back, and with it the znode. What is released is the
	// business of Release.
	if !t.released.Load() {
		t.discard()
	}
}

// look reads the znode and waits until something happens to it.
func (t *Tenure) look() {
	if t.released.Load() {
		<-t.watching.Done() // the znode is on its way out, and nothing that happens to it matters
		return
	}
	data, stat, watch, err := t.zk.GetW(t.watching, t.path)
	switch {
	case err == nil:
	case errors.Is(err, gazoo.ErrNoNode) && t.replacing.Load():
		<-t.watching.Done() // Replace tells what has become of it
		return
	case errors.Is(err, gazoo.ErrNoNode):
		t.lose(ErrDeleted)
		return
	case gazoo.SessionLost(err) && t.session == nil, retry.Passing(err):
		return // the next one waits for a connection
	case errors.Is(err, gazoo.ErrThrottledOp): // an overloaded server has not looked at all
		retry.Sleep(t.watching, throttlePause)
		return
	default:
		t.lose(err)
		return
	}
	defer watch.Close()
	if t.cfg.changed != nil {
		t.cfg.changed(data, stat)
	}
	// Whatever ends the watch, the next look tells what has become of the znode.
	watch.Wait(t.watching)
}
