package gazoo

import (
	"context"
	"time"
)

// PauseManager stops the client's event loop for d, which is what a paused process looks like
// from inside: no timer runs, no ping leaves.
func (zk *Client) PauseManager(d time.Duration) {
	zk.core.manager.do(func() { time.Sleep(d) })
}

// WatchesContext reports whether the end of ctx is watched for all callers that came with it.
func (zk *Client) WatchesContext(ctx context.Context) bool {
	w := zk.core.contexts.current.Load()
	return w != nil && w.done == ctx.Done()
}
