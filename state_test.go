package gazoo_test

import (
	"context"
	"testing"

	"github.com/gazoo-zk/gazoo"
)

// transitions is a hook that fails the test when a client's state changes in a way that is not
// promised, or when the record of a change contradicts itself.
type transitions struct {
	t    *testing.T
	last gazoo.StateChange
}

func (c *transitions) OnSession(ch gazoo.StateChange) {
	type step struct{ from, to gazoo.State }
	switch (step{ch.From, ch.To}) {
	case step{gazoo.StateLost, gazoo.StateConnected},
		step{gazoo.StateConnected, gazoo.StateSuspended},
		step{gazoo.StateConnected, gazoo.StateLost},
		step{gazoo.StateSuspended, gazoo.StateLost},
		step{gazoo.StateSuspended, gazoo.StateConnected}:
	default:
		c.t.Errorf("state went from %v to %v", ch.From, ch.To)
	}
	if ch.From == gazoo.StateConnected && ch.To == gazoo.StateLost && ch.Keeper != gazoo.KeeperClosed && ch.Keeper != gazoo.KeeperAuthFailed {
		c.t.Errorf("state went from connected to lost with keeper state %v: only Close and a refused credential may do that", ch.Keeper)
	}
	if ch.From != c.last.To || ch.Seq != c.last.Seq+1 || ch.Missed != 0 {
		c.t.Errorf("change %d from %v follows change %d to %v (missed %d)", ch.Seq, ch.From, c.last.Seq, c.last.To, ch.Missed)
	}
	if ch.To == gazoo.StateConnected {
		if ch.Err != nil || ch.NewSession == ch.Resumed || ch.Session == 0 || ch.Timeout <= 0 || ch.Server == "" {
			c.t.Errorf("inconsistent change to connected: %+v", ch)
		}
		if ch.First != (ch.Seq == 1) {
			c.t.Errorf("change %d to connected says First = %v", ch.Seq, ch.First)
		}
	} else if ch.Err == nil || ch.First || ch.NewSession || ch.Resumed || ch.HistoryLost {
		c.t.Errorf("inconsistent change to %v: %+v", ch.To, ch)
	}
	c.last = ch
}

// closed is a context that has ended, for waits that must not wait.
func closed(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
