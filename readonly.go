package gazoo

import (
	"context"
	"errors"
	"time"
)

// This file is what the manager does while the connection is to a read-only server, one that
// is cut off from its ensemble: its session is provisional, and a read-write server is sought.

var errFoundReadWrite = errors.New("a read-write server was found")

// hunt looks for a read-write server until it finds one or the connection ends.
func (m *manager) hunt(l *link) {
	ctx, cancel := context.WithCancel(m.c.ctx)
	m.stopHunt = cancel
	hosts := m.hosts.list()
	m.wg.Go(func() { m.c.hunter(ctx, hosts, l) })
}

func (m *manager) endHunt() {
	if m.stopHunt != nil {
		m.stopHunt()
		m.stopHunt = nil
	}
	select {
	case <-m.found:
	default:
	}
}

// hunter asks server after server for "isro", 100 ms apart at first and a minute at most, the
// way the Java client does. Servers that come up late are found in a later round.
func (c *core) hunter(ctx context.Context, hosts []Host, l *link) {
	pause := 100 * time.Millisecond
	for {
		for _, h := range hosts {
			if c.readWrite(ctx, h, l) {
				select {
				case c.manager.found <- h:
				default:
				}
				return
			}
			if sleep(ctx, pause, nil) != nil {
				return
			}
		}
		pause = min(2*pause, time.Minute)
	}
}

// readWrite asks one host, all its addresses, within a second each.
func (c *core) readWrite(ctx context.Context, h Host, l *link) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	addrs, err := c.addresses(ctx, h)
	if err != nil {
		return false
	}
	for _, addr := range addrs {
		if word, err := c.askWord(ctx, h, addr, "isro"); err == nil && word == "rw" {
			return true
		}
	}
	return false
}

// leaveReadOnly gives up the provisional session for a read-write server.
func (m *manager) leaveReadOnly(h Host) {
	if m.readOnly == nil || m.link == nil {
		return
	}
	m.hosts.retry(h)
	m.link.fail(errFoundReadWrite)
}

// endReadOnly forgets a provisional session after its connection: nothing was held in it, so
// its loss is certain at once.
func (m *manager) endReadOnly() {
	life := m.readOnly
	m.readOnly = nil
	m.forget(life, ErrReadOnlyEnded)
	m.c.watches.endOneShots(ErrReadOnlyEnded)
	m.setState(StateChange{To: StateLost, Keeper: KeeperConnecting, Session: life.id, Timeout: life.timeout(), Err: ErrReadOnlyEnded})
}
