package gazoo

import "time"

// PauseManager stops the client's event loop for d, which is what a paused process looks like
// from inside: no timer runs, no ping leaves.
func (zk *Client) PauseManager(d time.Duration) {
	zk.core.manager.do(func() { time.Sleep(d) })
}
