package zkserver

import (
	"time"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// latency is what requests took inside the server, in milliseconds.
type latency struct {
	n, sum, least, most int64
}

func (l *latency) add(ms int64) {
	if l.n == 0 || ms < l.least {
		l.least = ms
	}
	l.most = max(l.most, ms)
	l.n++
	l.sum += ms
}

// average is a decimal with up to four places, and one at least.
func (l *latency) average() decimal { return decimalOf(float64(l.sum) / float64(max(1, l.n))) }

// connStats are the numbers of a connection that four-letter words show.
type connStats struct {
	received, sent int64
	op             string // last one
	cxid           int32
	zxid           int64
	response       time.Time
	last           int64 // latency
	latency        latency
}

// note counts a request that has been answered.
func (s *connStats) note(r *request, e *engine) {
	ms := time.Since(r.at).Milliseconds()
	s.received++
	s.op, s.cxid, s.zxid, s.response, s.last = opName(r.op), r.xid, e.tree.Zxid(), time.Now(), ms
	s.latency.add(ms)
	e.latency.add(ms)
	e.metrics.measure(r.op, ms)
}

// opName is how four-letter words call an operation.
func opName(op zkproto.OpCode) string {
	switch op {
	case zkproto.OpPing:
		return "PING"
	case zkproto.OpCreate, zkproto.OpCreate2, zkproto.OpCreateContainer, zkproto.OpCreateTTL:
		return "CREA"
	case zkproto.OpDelete, zkproto.OpDeleteContainer:
		return "DELE"
	case zkproto.OpExists:
		return "EXIS"
	case zkproto.OpGetData:
		return "GETD"
	case zkproto.OpSetData:
		return "SETD"
	case zkproto.OpGetACL:
		return "GETA"
	case zkproto.OpSetACL:
		return "SETA"
	case zkproto.OpGetChildren, zkproto.OpGetChildren2:
		return "GETC"
	case zkproto.OpGetAllChildrenNumber:
		return "GETACN"
	case zkproto.OpSync:
		return "SYNC"
	case zkproto.OpMulti:
		return "MULT"
	case zkproto.OpMultiRead:
		return "MLTR"
	case zkproto.OpCheck:
		return "CHEC"
	case zkproto.OpSetWatches:
		return "SETW"
	case zkproto.OpSetWatches2:
		return "STW2"
	case zkproto.OpAddWatch:
		return "ADDW"
	case zkproto.OpCheckWatches:
		return "CHKW"
	case zkproto.OpRemoveWatches:
		return "REMW"
	case zkproto.OpGetEphemerals:
		return "GETE"
	case zkproto.OpWhoAmI:
		return "HOMI"
	case zkproto.OpReconfig:
		return "RECO"
	case zkproto.OpCloseSession:
		return "CLOS"
	}
	return "NA"
}
