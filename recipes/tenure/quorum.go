package tenure

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Quorum keeps the tenure only as long as the ensemble commits writes for it: one that changes nothing is sent every
// eighth of the session time-out, and the tenure ends half a time-out after the send time of the last one that was
// committed. So it ends before the leader can expire the session, even when the server that the client talks to is cut
// off from the leader. To begin takes one such write.
func Quorum() Option { return func(c *config) { c.quorum = true } }

// proof is the send time of the newest committed write, which is good for half the session time-out.
type proof struct{ sent atomic.Pointer[time.Time] }

// renew moves it forward.
func (p *proof) renew(sent time.Time) {
	for {
		old := p.sent.Load()
		if old != nil && !sent.After(*old) || p.sent.CompareAndSwap(old, &sent) {
			return
		}
	}
}

// age is the time since, on whichever clock advanced more: the monotonic one stops while a machine sleeps, the wall
// clock can be set.
func (p *proof) age() time.Duration {
	sent, now := *p.sent.Load(), time.Now()
	return max(now.Sub(sent), now.Round(0).Sub(sent.Round(0)))
}

func (t *Tenure) beginQuorum(ctx context.Context) error {
	t.proof.renew(time.Now())
	soon, cancel := context.WithTimeout(ctx, t.session.Timeout()/2)
	defer cancel()
	err := t.Verify(soon)
	if err != nil && soon.Err() != nil && ctx.Err() == nil && !errors.Is(err, ErrLost) {
		err = fmt.Errorf("%w: %s: %w: %w", ErrLost, t.path, ErrUnverified, err)
	}
	return err
}

// keepVerified commits a write from time to time, and ends the tenure when that fails for too long.
func (t *Tenure) keepVerified() {
	limit := t.session.Timeout() / 2
	deadline := time.AfterFunc(limit-t.proof.age(), func() { t.Err() })
	defer deadline.Stop()
	tick := time.NewTicker(limit / 4)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-t.ctx.Done():
			return
		}
		// One that is not answered must not hold up the end, which Err finds by the clock.
		ctx, cancel := context.WithTimeout(t.ctx, max(limit-t.proof.age(), time.Millisecond))
		t.Verify(ctx)
		cancel()
		deadline.Reset(max(limit-t.proof.age(), 0))
		t.Err()
	}
}
