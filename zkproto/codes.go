package zkproto

import "strconv"

// A Code is the result code in a reply header. It implements error, and equals
// the constants below, so errors.Is(err, ErrNoNode) works on anything that
// wraps it. A code that has no constant keeps its number.
type Code int32

// OK is the code of success. It is a Code and therefore an error value:
// compare with OK before handing a code on as an error.
const OK Code = 0

// Codes that tell of trouble with the system rather than of the outcome of an
// operation.
const (
	// ErrSystemError is never sent to clients.
	ErrSystemError Code = -1
	// ErrRuntimeInconsistency marks the operations behind the one that failed
	// a multi: they were not tried.
	ErrRuntimeInconsistency Code = -2
	// ErrDataInconsistency is never sent.
	ErrDataInconsistency Code = -3
	// ErrConnectionLoss is made by clients: no reply came, so the request may
	// or may not have been applied.
	ErrConnectionLoss Code = -4
	// ErrMarshallingError says that the server could not decode the request,
	// or met an exception it did not expect.
	ErrMarshallingError Code = -5
	// ErrUnimplemented answers an opcode the server does not know; it closes
	// the connection then. Also TTL znodes without extended types, and
	// reconfig on a standalone server, where the connection stays.
	ErrUnimplemented Code = -6
	// ErrOperationTimeout is made by clients.
	ErrOperationTimeout Code = -7
	// ErrBadArguments says that the path or the create mode is invalid.
	ErrBadArguments Code = -8
	// ErrInvalidState is made by the C client.
	ErrInvalidState Code = -9
	// ErrUnknownSession is internal to servers.
	ErrUnknownSession Code = -12
	// ErrNewConfigNoQuorum says that a quorum of the new configuration is not
	// connected and in sync with the leader.
	ErrNewConfigNoQuorum Code = -13
	// ErrReconfigInProgress says that another reconfiguration is under way.
	ErrReconfigInProgress Code = -14
	// ErrSSLConnection is made by the C client.
	ErrSSLConnection Code = -15
	// ErrAPIError is a boundary and not sent: every code below it is an
	// ordinary outcome of an operation.
	ErrAPIError Code = -100
)

// Codes that are outcomes of operations.
const (
	// ErrNoNode says that the znode, or the parent of a znode to be created,
	// does not exist.
	ErrNoNode Code = -101
	// ErrNoAuth says that the ACL gives the connection no permission.
	ErrNoAuth Code = -102
	// ErrBadVersion says that the expected version is not the znode's.
	ErrBadVersion Code = -103
	// ErrNoChildrenForEphemerals says that the parent is an ephemeral znode.
	ErrNoChildrenForEphemerals Code = -108
	// ErrNodeExists says that the path of a create is taken.
	ErrNodeExists Code = -110
	// ErrNotEmpty says that the znode to be deleted has children.
	ErrNotEmpty Code = -111
	// ErrSessionExpired says that the session is over or being closed.
	ErrSessionExpired Code = -112
	// ErrInvalidCallback is made by clients.
	ErrInvalidCallback Code = -113
	// ErrInvalidACL says that the ACL is empty, or names a scheme or an id the
	// server does not accept.
	ErrInvalidACL Code = -114
	// ErrAuthFailed says that credentials or a SASL token were refused; the
	// server closes the connection.
	ErrAuthFailed Code = -115
	// ErrClosing is made by the C client.
	ErrClosing Code = -116
	// ErrNothing is made by the C client.
	ErrNothing Code = -117
	// ErrSessionMoved says that the session was taken over through another
	// server. Servers close the connection instead of sending it.
	ErrSessionMoved Code = -118
	// ErrNotReadOnly refuses a write on a read-only server.
	ErrNotReadOnly Code = -119
	// ErrEphemeralOnLocalSession refuses an ephemeral znode to a local session.
	ErrEphemeralOnLocalSession Code = -120
	// ErrNoWatcher says that there is no watch to check or to remove.
	ErrNoWatcher Code = -121
	// ErrRequestTimeout is made by the Java client.
	ErrRequestTimeout Code = -122
	// ErrReconfigDisabled says that the server does not allow reconfig.
	ErrReconfigDisabled Code = -123
	// ErrSessionClosedRequireSASLAuth refuses any request of a connection that
	// lacks the authentication the server enforces; it closes the connection.
	ErrSessionClosedRequireSASLAuth Code = -124
	// ErrQuotaExceeded refuses a write over a hard quota. Servers from 3.7.
	ErrQuotaExceeded Code = -125
	// ErrThrottledOp says that the server was too busy and did not execute the
	// request. Servers from 3.7.
	ErrThrottledOp Code = -127
)

// codeText gives each known code the name Apache uses and a text for people.
var codeText = map[Code]struct{ name, text string }{
	OK:                              {"Ok", "ok"},
	ErrSystemError:                  {"SystemError", "system error"},
	ErrRuntimeInconsistency:         {"RuntimeInconsistency", "operation not tried because an earlier one failed"},
	ErrDataInconsistency:            {"DataInconsistency", "data inconsistency"},
	ErrConnectionLoss:               {"ConnectionLoss", "connection lost"},
	ErrMarshallingError:             {"MarshallingError", "request could not be decoded by the server"},
	ErrUnimplemented:                {"Unimplemented", "operation not supported by the server"},
	ErrOperationTimeout:             {"OperationTimeout", "operation timed out"},
	ErrBadArguments:                 {"BadArguments", "bad arguments"},
	ErrInvalidState:                 {"InvalidState", "invalid client state"},
	ErrUnknownSession:               {"UnknownSession", "unknown session"},
	ErrNewConfigNoQuorum:            {"NewConfigNoQuorum", "no quorum of the new configuration is connected"},
	ErrReconfigInProgress:           {"ReconfigInProgress", "another reconfiguration is in progress"},
	ErrSSLConnection:                {"SslConnectionError", "tls connection error"},
	ErrAPIError:                     {"APIError", "api error"},
	ErrNoNode:                       {"NoNode", "znode does not exist"},
	ErrNoAuth:                       {"NoAuth", "not permitted by the acl"},
	ErrBadVersion:                   {"BadVersion", "version does not match"},
	ErrNoChildrenForEphemerals:      {"NoChildrenForEphemerals", "ephemeral znodes cannot have children"},
	ErrNodeExists:                   {"NodeExists", "znode already exists"},
	ErrNotEmpty:                     {"NotEmpty", "znode has children"},
	ErrSessionExpired:               {"SessionExpired", "session expired"},
	ErrInvalidCallback:              {"InvalidCallback", "invalid callback"},
	ErrInvalidACL:                   {"InvalidACL", "invalid acl"},
	ErrAuthFailed:                   {"AuthFailed", "authentication failed"},
	ErrClosing:                      {"Closing", "client is closing"},
	ErrNothing:                      {"Nothing", "no server response to process"},
	ErrSessionMoved:                 {"SessionMoved", "session moved to another server"},
	ErrNotReadOnly:                  {"NotReadOnly", "write refused by a read-only server"},
	ErrEphemeralOnLocalSession:      {"EphemeralOnLocalSession", "ephemeral znode refused to a local session"},
	ErrNoWatcher:                    {"NoWatcher", "no such watch"},
	ErrRequestTimeout:               {"RequestTimeout", "request timed out"},
	ErrReconfigDisabled:             {"ReconfigDisabled", "reconfiguration is disabled"},
	ErrSessionClosedRequireSASLAuth: {"SessionClosedRequireSaslAuth", "server requires authentication"},
	ErrQuotaExceeded:                {"QuotaExceeded", "quota exceeded"},
	ErrThrottledOp:                  {"ThrottledOp", "request throttled by the server"},
}

// Error returns a short lower-case text without the number, such as "znode does
// not exist". A code without a constant reads "unknown server error -999".
func (c Code) Error() string {
	if t, ok := codeText[c]; ok {
		return t.text
	}
	return "unknown server error " + strconv.Itoa(int(c))
}

// Name returns the name Apache ZooKeeper gives the code, such as "NoNode", and
// the number for a code without one.
func (c Code) Name() string {
	if t, ok := codeText[c]; ok {
		return t.name
	}
	return strconv.Itoa(int(c))
}
