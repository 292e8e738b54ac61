package zkserver

import (
	"slices"

	"github.com/gazoo-zk/gazoo/internal/ztree"
)

// journal makes transactions durable. The engine calls it from its own goroutine. Nothing that
// shows a transaction leaves the server before a flush that covers it is done.
type journal interface {
	// Append takes the next transaction. It does not wait for a disk.
	Append(ztree.Txn)

	// Flush makes everything appended so far durable and then calls done, once, from any
	// goroutine. The engine has one flush under way at a time, and goes on appending meanwhile.
	// After an error it appends nothing more.
	Flush(done func(error))

	// Close releases what the journal holds. No flush is under way.
	Close() error
}

// log notes a transaction, for the journal and the visibility of what shows it.
func (e *engine) log(txn ztree.Txn) {
	e.digests.note(&txn)
	e.metrics.batch++
	if e.journal != nil {
		e.journal.Append(txn)
	}
}

// settle ends a batch: what it put out is released, or held back until it is durable.
func (e *engine) settle() {
	durable := e.journal == nil || e.tree.Zxid() <= e.durable
	for _, c := range e.dirty {
		c.dirty = false
		switch {
		case c.gone:
		case durable:
			c.release(len(c.held), c.lastHeld)
			e.due(c)
			c.marks = c.marks[:0]
		default:
			if len(c.marks) == 0 {
				e.holding = append(e.holding, c)
			}
			c.marks = append(c.marks, mark{e.tree.Zxid(), len(c.held), c.lastHeld})
		}
	}
	clear(e.dirty)
	e.dirty = e.dirty[:0]
	e.deliver()
	if durable {
		e.srv.in.done(e.counted)
		clear(e.counted)
		e.counted = e.counted[:0]
		return
	}
	if len(e.counted) > 0 {
		e.flights = append(e.flights, flight{e.tree.Zxid(), e.counted})
		e.counted = nil
	}
	e.flush()
}

// due notes that the writer of a connection has something to do. What is for many goes in portions, so that the first of
// them need not wait for the last.
func (e *engine) due(c *conn) {
	const portion = 4 * manyConns
	if e.ready = append(e.ready, c); len(e.ready) == portion {
		e.deliver()
	}
}

// deliver lets what was released be sent: by the writers of the connections, or by the spreader when there are many.
func (e *engine) deliver() {
	many := len(e.ready) >= manyConns
	spread := e.ready[:0]
	for _, c := range e.ready {
		if many && c.raw != nil {
			spread = append(spread, c)
		} else {
			c.signal()
		}
	}
	if len(spread) > 0 {
		e.srv.spreader.spread(spread)
	}
	clear(e.ready)
	e.ready = e.ready[:0]
}

// mark says how much of what a connection is to be sent may go once a zxid is durable.
type mark struct {
	zxid int64
	end  int
	last bool
}

// flight is the requests of a batch, which count as inside until their replies may go.
type flight struct {
	zxid  int64
	conns []*conn
}

// fence is somebody of the program itself who waits for a zxid to be durable.
type fence struct {
	zxid int64
	safe chan<- bool // has room for the answer
}

// whenDurable answers true once everything that was done up to here is durable, and false when it
// never will be.
func (e *engine) whenDurable(safe chan<- bool) {
	if e.journal == nil || e.tree.Zxid() <= e.durable {
		safe <- true
		return
	}
	e.fences = append(e.fences, fence{e.tree.Zxid(), safe})
}

// passFences answers those that wait for what is durable, or all of them after a failure.
func (e *engine) passFences() {
	e.fences = slices.DeleteFunc(e.fences, func(f fence) bool {
		if !e.failed && f.zxid > e.durable {
			return false
		}
		f.safe <- !e.failed
		return true
	})
}

// flush starts a flush, unless one is under way: the requests that come meanwhile share the next.
func (e *engine) flush() {
	if e.flushing || e.failed || e.tree.Zxid() <= e.durable {
		return
	}
	e.flushing = true
	e.metrics.began()
	upTo := e.tree.Zxid()
	e.journal.Flush(func(err error) {
		e.srv.in.post(request{kind: kindDo, do: func(e *engine) { e.flushed(upTo, err) }})
	})
}

// flushed releases what a flush made durable.
func (e *engine) flushed(upTo int64, err error) {
	e.flushing = false
	if err != nil {
		e.fail(err)
		return
	}
	e.durable = upTo
	e.metrics.flushed()
	e.passFences()
	e.saver.durable(upTo)
	kept := e.holding[:0]
	for _, c := range e.holding {
		if c.gone {
			continue
		}
		n := 0
		for n < len(c.marks) && c.marks[n].zxid <= upTo {
			n++
		}
		if n > 0 {
			end, last := c.marks[n-1].end, c.marks[n-1].last
			c.marks = append(c.marks[:0], c.marks[n:]...)
			for i := range c.marks {
				c.marks[i].end -= end
			}
			c.release(end, last)
			e.due(c)
		}
		if len(c.marks) > 0 {
			kept = append(kept, c)
		}
	}
	clear(e.holding[len(kept):])
	e.holding = kept
	e.deliver()
	for len(e.flights) > 0 && e.flights[0].zxid <= upTo {
		e.srv.in.done(e.flights[0].conns)
		e.flights = e.flights[1:]
	}
	e.flush()
}

// fail ends the service for good: what could not be made durable must never be seen, and the
// tree has it already.
func (e *engine) fail(err error) {
	e.failed = true
	e.passFences()
	e.srv.failed(err)
	e.srv.cfg.logger.Error("journal failed, no longer serving", "err", err)
	e.dropAll()
	e.holding = nil
	for _, f := range e.flights {
		e.srv.in.done(f.conns)
	}
	e.flights = nil
}
