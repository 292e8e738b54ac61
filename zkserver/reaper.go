package zkserver

import "time"

// reaper deletes containers that lost their children and znodes past their TTL.
type reaper struct {
	alarm alarm
	due   []string // found by the last look, and not deleted yet
}

// reapPause keeps deletes apart, as Apache does with at most 10000 in a minute.
const reapPause = 6 * time.Millisecond

// reap looks for znodes, or deletes one of those that the last look found.
func (e *engine) reap() {
	r := &e.reaper
	if e.readOnly || e.failed {
		r.due = nil
		r.alarm.set(e.srv.cfg.reapInterval)
		return
	}
	now := e.now()
	if len(r.due) == 0 {
		r.due = e.tree.Due(now)
	}
	if len(r.due) > 0 {
		if out, ok := e.tree.Reap(r.due[0], now); ok {
			e.wrote(&out)
		}
		r.due = r.due[1:]
	}
	if len(r.due) > 0 {
		r.alarm.set(reapPause)
		return
	}
	r.alarm.set(e.srv.cfg.reapInterval)
}
