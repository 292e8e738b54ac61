package zkproto

import "strconv"

// An EventType says what happened to a watched znode. Unknown values keep
// their number.
type EventType int32

// The event types. Servers send those from 1 to 4; the others are made by
// clients.
const (
	// EventNone tells of a change of the session, not of a znode.
	EventNone EventType = -1
	// EventCreated says that the znode was created.
	EventCreated EventType = 1
	// EventDeleted says that the znode was deleted.
	EventDeleted EventType = 2
	// EventDataChanged says that the data was set, perhaps to the same bytes.
	EventDataChanged EventType = 3
	// EventChildrenChanged says that a direct child was created or deleted.
	EventChildrenChanged EventType = 4
	// EventDataWatchRemoved says that a data watch was removed on request.
	EventDataWatchRemoved EventType = 5
	// EventChildWatchRemoved says that a child watch was removed on request.
	EventChildWatchRemoved EventType = 6
	// EventPersistentWatchRemoved says that a persistent watch was removed on
	// request.
	EventPersistentWatchRemoved EventType = 7
)

// String returns words such as "data changed"; "event 9" for an unknown type.
func (t EventType) String() string {
	switch t {
	case EventNone:
		return "none"
	case EventCreated:
		return "created"
	case EventDeleted:
		return "deleted"
	case EventDataChanged:
		return "data changed"
	case EventChildrenChanged:
		return "children changed"
	case EventDataWatchRemoved:
		return "data watch removed"
	case EventChildWatchRemoved:
		return "child watch removed"
	case EventPersistentWatchRemoved:
		return "persistent watch removed"
	}
	return "event " + strconv.Itoa(int(t))
}

// StateSyncConnected is the only [WatcherEvent.State] that servers send.
const StateSyncConnected int32 = 3

// A WatcherEvent is the body of a frame whose xid is [XidNotification].
type WatcherEvent struct {
	Type  EventType
	State int32 // always StateSyncConnected from a server
	Path  string
}

// AppendTo appends the wire form of e to b.
func (e WatcherEvent) AppendTo(b []byte) []byte {
	b = AppendInt32(b, int32(e.Type))
	b = AppendInt32(b, e.State)
	return AppendString(b, e.Path)
}

// Decode fills e from r.
func (e *WatcherEvent) Decode(r *Reader) {
	e.Type = EventType(r.Int32())
	e.State = r.Int32()
	e.Path = r.String()
}

// An AddWatchMode is the kind of watch an [AddWatchRequest] asks for.
type AddWatchMode int32

// The modes of addWatch. Both kinds stay until they are removed or the
// connection ends; one-shot watches come with reads instead.
const (
	// WatchPersistent tells of changes of the znode and of its list of children.
	WatchPersistent AddWatchMode = 0
	// WatchPersistentRecursive tells of creates, deletes and changes of data of
	// the znode and every descendant, and never of EventChildrenChanged.
	WatchPersistentRecursive AddWatchMode = 1
)

// String returns "persistent", "persistent recursive", or "mode 9" for an
// unknown mode.
func (m AddWatchMode) String() string {
	switch m {
	case WatchPersistent:
		return "persistent"
	case WatchPersistentRecursive:
		return "persistent recursive"
	}
	return "mode " + strconv.Itoa(int(m))
}

// A WatcherType chooses the watches that checkWatches and removeWatches mean.
type WatcherType int32

// The watcher types.
const (
	// WatcherChildren are watches set by listing children.
	WatcherChildren WatcherType = 1
	// WatcherData are watches set by exists and getData.
	WatcherData WatcherType = 2
	// WatcherAny are all watches of the path, persistent ones included.
	WatcherAny WatcherType = 3
	// WatcherPersistent are persistent watches. Servers from 3.9; others answer
	// ErrMarshallingError.
	WatcherPersistent WatcherType = 4
	// WatcherPersistentRecursive are persistent recursive watches. Servers from
	// 3.9; others answer ErrMarshallingError.
	WatcherPersistentRecursive WatcherType = 5
)

// String returns words such as "children"; "type 9" for an unknown type.
func (t WatcherType) String() string {
	switch t {
	case WatcherChildren:
		return "children"
	case WatcherData:
		return "data"
	case WatcherAny:
		return "any"
	case WatcherPersistent:
		return "persistent"
	case WatcherPersistentRecursive:
		return "persistent recursive"
	}
	return "type " + strconv.Itoa(int(t))
}
