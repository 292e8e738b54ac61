package zkproto

import "strconv"

// An OpCode is the type field of a request header, and of a [MultiHeader].
type OpCode int32

// The opcodes, with the request and reply records that go with them. "Since"
// names the first server version; a server that does not know an opcode answers
// [ErrUnimplemented] and closes the connection.
const (
	// OpNotification is the type of watch events inside servers; a client that
	// sends it is answered like an unknown opcode.
	OpNotification OpCode = 0
	// OpCreate takes a [CreateRequest] and answers a [CreateResponse].
	OpCreate OpCode = 1
	// OpDelete takes a [DeleteRequest]; the answer is empty.
	OpDelete OpCode = 2
	// OpExists takes a [PathWatchRequest] and answers a [StatResponse].
	OpExists OpCode = 3
	// OpGetData takes a [PathWatchRequest] and answers a [GetDataResponse].
	OpGetData OpCode = 4
	// OpSetData takes a [SetDataRequest] and answers a [StatResponse].
	OpSetData OpCode = 5
	// OpGetACL takes a [PathRequest] and answers a [GetACLResponse].
	OpGetACL OpCode = 6
	// OpSetACL takes a [SetACLRequest] and answers a [StatResponse].
	OpSetACL OpCode = 7
	// OpGetChildren takes a [PathWatchRequest] and answers a [ChildrenResponse].
	OpGetChildren OpCode = 8
	// OpSync takes a [PathRequest] and answers a [SyncResponse].
	OpSync OpCode = 9
	// OpPing has no records; its reply carries [XidPing] whatever was sent.
	OpPing OpCode = 11
	// OpGetChildren2 takes a [PathWatchRequest] and answers a
	// [Children2Response]. Since 3.3.
	OpGetChildren2 OpCode = 12
	// OpCheck takes a [CheckVersionRequest] and is only of use inside a multi.
	// Since 3.4.
	OpCheck OpCode = 13
	// OpMulti takes a [MultiRequest] and answers a [MultiResponse]. Since 3.4.
	OpMulti OpCode = 14
	// OpCreate2 takes a [CreateRequest] and answers a [Create2Response]. Since
	// 3.5.0.
	OpCreate2 OpCode = 15
	// OpReconfig takes a [ReconfigRequest] and answers a [ReconfigResponse].
	// Since 3.5.0.
	OpReconfig OpCode = 16
	// OpCheckWatches takes a [CheckWatchesRequest]; the answer is empty. Since
	// 3.5.0.
	OpCheckWatches OpCode = 17
	// OpRemoveWatches takes a [RemoveWatchesRequest]; the answer is empty.
	// Since 3.5.0.
	OpRemoveWatches OpCode = 18
	// OpCreateContainer takes a [CreateRequest] and answers a
	// [Create2Response]. Since 3.5.1.
	OpCreateContainer OpCode = 19
	// OpDeleteContainer is meant for servers' own use.
	OpDeleteContainer OpCode = 20
	// OpCreateTTL takes a [CreateTTLRequest] and answers a [Create2Response].
	// Since 3.5.3, on servers with extended types enabled.
	OpCreateTTL OpCode = 21
	// OpMultiRead takes a [MultiRequest] and answers a [MultiResponse]. Since
	// 3.6.0.
	OpMultiRead OpCode = 22
	// OpAuth takes an [AuthRequest]; the answer is empty. Servers handle it at
	// once, so its reply can overtake earlier ones.
	OpAuth OpCode = 100
	// OpSetWatches takes a [SetWatchesRequest]; the answer is empty.
	OpSetWatches OpCode = 101
	// OpSASL takes a [SASLRequest] and answers a [SASLResponse]. Since 3.4.
	OpSASL OpCode = 102
	// OpGetEphemerals takes a [PathRequest], whose path is a plain string
	// prefix, and answers an [EphemeralsResponse]. Since 3.6.0.
	OpGetEphemerals OpCode = 103
	// OpGetAllChildrenNumber takes a [PathRequest] and answers an
	// [AllChildrenNumberResponse]. Since 3.6.0.
	OpGetAllChildrenNumber OpCode = 104
	// OpSetWatches2 takes a [SetWatches2Request]; the answer is empty. Since
	// 3.6.0.
	OpSetWatches2 OpCode = 105
	// OpAddWatch takes an [AddWatchRequest] and answers an [AddWatchResponse].
	// Since 3.6.0.
	OpAddWatch OpCode = 106
	// OpWhoAmI has no request record and answers a [WhoAmIResponse]. Since
	// 3.7.0.
	OpWhoAmI OpCode = 107
	// OpCreateSession is a transaction type; clients create sessions with a
	// [ConnectRequest].
	OpCreateSession OpCode = -10
	// OpCloseSession has no records; the server closes the connection after
	// the reply.
	OpCloseSession OpCode = -11
	// OpError is the type of failed results in a multi, and of its end.
	OpError OpCode = -1
)

// Request ids that mean something of their own. Servers echo every other id.
const (
	// XidNotification marks a frame as a [WatcherEvent].
	XidNotification int32 = -1
	// XidPing marks the reply to a ping, whatever id the ping carried.
	XidPing int32 = -2
	// XidAuth is the id of auth requests by convention.
	XidAuth int32 = -4
	// XidSetWatches is the id of setWatches requests by convention.
	XidSetWatches int32 = -8
)

// String returns the name used in errors and logs, such as "getData"; "op 55"
// for an unknown opcode.
func (op OpCode) String() string {
	switch op {
	case OpNotification:
		return "notification"
	case OpCreate:
		return "create"
	case OpDelete:
		return "delete"
	case OpExists:
		return "exists"
	case OpGetData:
		return "getData"
	case OpSetData:
		return "setData"
	case OpGetACL:
		return "getACL"
	case OpSetACL:
		return "setACL"
	case OpGetChildren:
		return "getChildren"
	case OpSync:
		return "sync"
	case OpPing:
		return "ping"
	case OpGetChildren2:
		return "getChildren2"
	case OpCheck:
		return "check"
	case OpMulti:
		return "multi"
	case OpCreate2:
		return "create2"
	case OpReconfig:
		return "reconfig"
	case OpCheckWatches:
		return "checkWatches"
	case OpRemoveWatches:
		return "removeWatches"
	case OpCreateContainer:
		return "createContainer"
	case OpDeleteContainer:
		return "deleteContainer"
	case OpCreateTTL:
		return "createTTL"
	case OpMultiRead:
		return "multiRead"
	case OpAuth:
		return "auth"
	case OpSetWatches:
		return "setWatches"
	case OpSASL:
		return "sasl"
	case OpGetEphemerals:
		return "getEphemerals"
	case OpGetAllChildrenNumber:
		return "getAllChildrenNumber"
	case OpSetWatches2:
		return "setWatches2"
	case OpAddWatch:
		return "addWatch"
	case OpWhoAmI:
		return "whoAmI"
	case OpCreateSession:
		return "createSession"
	case OpCloseSession:
		return "closeSession"
	case OpError:
		return "error"
	}
	return "op " + strconv.Itoa(int(op))
}
