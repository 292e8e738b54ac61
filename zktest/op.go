package zktest

import (
	"strings"

	"github.com/gazoo-zk/gazoo/zkproto"
)

// Op is a set of operations, as a [Match] names them: OpCreate|OpSet. An operation stands for
// all requests that do it, whatever their version; OpCreate for example is also the create of a
// container, and one whose answer has a stat.
type Op uint32

// The operations. OpConnect is the handshake that begins a connection, and OpEvent a watch
// event, which goes the other way: from the server to a client.
const (
	OpConnect Op = 1 << iota
	OpCreate
	OpDelete
	OpSet
	OpSetACL
	OpMulti // a transaction
	OpReconfig
	OpGet
	OpExists
	OpChildren
	OpGetACL
	OpMultiRead
	OpEphemerals
	OpAllChildrenNumber
	OpSync
	OpWhoAmI
	OpAddWatch
	OpRemoveWatches // checking them too
	OpSetWatches    // how a client takes its watches to another connection
	OpPing
	OpAuth
	OpSASL
	OpCloseSession
	OpEvent
	OpUnknown // any that the package has no name for

	opEnd

	// OpWrite is all that change the tree, and OpRead all that only look at it.
	OpWrite = OpCreate | OpDelete | OpSet | OpSetACL | OpMulti | OpReconfig
	OpRead  = OpGet | OpExists | OpChildren | OpGetACL | OpMultiRead | OpEphemerals | OpAllChildrenNumber

	// OpRequest is everything that a client sends in a session except pings.
	OpRequest = (opEnd - 1) &^ (OpConnect | OpEvent | OpPing)
)

var opNames = [...]string{
	"connect", "create", "delete", "set", "setACL", "multi", "reconfig", "get", "exists", "children", "getACL",
	"multiRead", "ephemerals", "allChildrenNumber", "sync", "whoAmI", "addWatch", "removeWatches", "setWatches",
	"ping", "auth", "sasl", "closeSession", "event", "unknown",
}

// String returns the names, with | between them; "any" for none, which matches all.
func (op Op) String() string {
	if op == 0 {
		return "any"
	}
	var names []string
	for i, name := range opNames {
		if op&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "|")
}

// opOf returns the operation that a request does.
func opOf(code zkproto.OpCode) Op {
	switch code {
	case zkproto.OpCreate, zkproto.OpCreate2, zkproto.OpCreateContainer, zkproto.OpCreateTTL:
		return OpCreate
	case zkproto.OpDelete, zkproto.OpDeleteContainer:
		return OpDelete
	case zkproto.OpSetData:
		return OpSet
	case zkproto.OpSetACL:
		return OpSetACL
	case zkproto.OpMulti:
		return OpMulti
	case zkproto.OpReconfig:
		return OpReconfig
	case zkproto.OpGetData:
		return OpGet
	case zkproto.OpExists:
		return OpExists
	case zkproto.OpGetChildren, zkproto.OpGetChildren2:
		return OpChildren
	case zkproto.OpGetACL:
		return OpGetACL
	case zkproto.OpMultiRead:
		return OpMultiRead
	case zkproto.OpGetEphemerals:
		return OpEphemerals
	case zkproto.OpGetAllChildrenNumber:
		return OpAllChildrenNumber
	case zkproto.OpSync:
		return OpSync
	case zkproto.OpWhoAmI:
		return OpWhoAmI
	case zkproto.OpAddWatch:
		return OpAddWatch
	case zkproto.OpRemoveWatches, zkproto.OpCheckWatches:
		return OpRemoveWatches
	case zkproto.OpSetWatches, zkproto.OpSetWatches2:
		return OpSetWatches
	case zkproto.OpPing:
		return OpPing
	case zkproto.OpAuth:
		return OpAuth
	case zkproto.OpSASL:
		return OpSASL
	case zkproto.OpCloseSession:
		return OpCloseSession
	}
	return OpUnknown
}

// Request is what a client asks for, as rules see it; or a watch event.
type Request struct {
	Op       Op             // exactly one
	Code     zkproto.OpCode // as sent; 0 of a connect and of an event
	Path     string         // "" when it has none
	Paths    []string       // of a transaction or a multi-read, in order
	Session  int64          // 0 while there is none; of a connect the one that it wants to go on with
	Endpoint *Endpoint      // that it came to
	Xid      int32          // of the request; 0 of a connect, and -1 of an event
}

// parse reads what rules have to know from a frame of a client.
func parse(frame []byte) (Request, bool) {
	r := zkproto.NewReader(frame)
	var h zkproto.RequestHeader
	h.Decode(&r)
	if r.Err() != nil {
		return Request{}, false
	}
	req := Request{Op: opOf(h.Op), Code: h.Op, Xid: h.Xid}
	switch req.Op {
	case OpMulti, OpMultiRead:
		var m zkproto.MultiRequest
		m.Decode(&r)
		for _, op := range m.Ops {
			req.Paths = append(req.Paths, op.Path)
		}
	case OpCreate, OpDelete, OpSet, OpSetACL, OpGet, OpExists, OpChildren, OpGetACL, OpEphemerals,
		OpAllChildrenNumber, OpSync, OpAddWatch, OpRemoveWatches:
		req.Path = r.String()
	}
	return req, true
}

// paths returns all paths of a request.
func (r *Request) paths() []string {
	if r.Path != "" {
		return []string{r.Path}
	}
	return r.Paths
}
