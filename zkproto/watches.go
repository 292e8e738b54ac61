package zkproto

// An AddWatchRequest goes with OpAddWatch. Servers check nothing about the
// path, not even that it is one.
type AddWatchRequest struct {
	Path     string
	Mode     AddWatchMode
	NullPath bool // the path is the null string; set by Decode
}

// AppendTo appends the wire form of m to b.
func (m AddWatchRequest) AppendTo(b []byte) []byte {
	b = appendNullable(b, m.Path, m.NullPath)
	return AppendInt32(b, int32(m.Mode))
}

// Decode fills m from r.
func (m *AddWatchRequest) Decode(r *Reader) {
	m.Path, m.NullPath = decodePath(r)
	m.Mode = AddWatchMode(r.Int32())
}

// An AddWatchResponse answers OpAddWatch.
type AddWatchResponse struct {
	Err int32 // always 0; the outcome is in the header
}

// AppendTo appends the wire form of m to b.
func (m AddWatchResponse) AppendTo(b []byte) []byte { return AppendInt32(b, m.Err) }

// Decode fills m from r.
func (m *AddWatchResponse) Decode(r *Reader) { m.Err = r.Int32() }

// A CheckWatchesRequest goes with OpCheckWatches.
type CheckWatchesRequest struct {
	Path     string
	Type     WatcherType
	NullPath bool // the path is the null string; set by Decode
}

// AppendTo appends the wire form of m to b.
func (m CheckWatchesRequest) AppendTo(b []byte) []byte {
	b = appendNullable(b, m.Path, m.NullPath)
	return AppendInt32(b, int32(m.Type))
}

// Decode fills m from r.
func (m *CheckWatchesRequest) Decode(r *Reader) {
	m.Path, m.NullPath = decodePath(r)
	m.Type = WatcherType(r.Int32())
}

// A RemoveWatchesRequest goes with OpRemoveWatches.
type RemoveWatchesRequest struct {
	Path     string
	Type     WatcherType
	NullPath bool // the path is the null string; set by Decode
}

// AppendTo appends the wire form of m to b.
func (m RemoveWatchesRequest) AppendTo(b []byte) []byte {
	return CheckWatchesRequest(m).AppendTo(b)
}

// Decode fills m from r.
func (m *RemoveWatchesRequest) Decode(r *Reader) { (*CheckWatchesRequest)(m).Decode(r) }

// A SetWatchesRequest goes with OpSetWatches and tells a server which one-shot
// watches the client had before it reconnected. For what changed after
// RelativeZxid an event is sent at once; the other watches are set again.
//
// After Decode a nil list was the null vector, which servers refuse; encoding
// never sends that.
type SetWatchesRequest struct {
	RelativeZxid int64
	Data         []string // paths watched by getData, and by exists when they existed
	Exist        []string // paths watched by exists when they did not exist
	Child        []string // paths watched by getChildren
}

// AppendTo appends the wire form of m to b.
func (m SetWatchesRequest) AppendTo(b []byte) []byte {
	b = AppendInt64(b, m.RelativeZxid)
	b = AppendStrings(b, m.Data)
	b = AppendStrings(b, m.Exist)
	return AppendStrings(b, m.Child)
}

// Decode fills m from r.
func (m *SetWatchesRequest) Decode(r *Reader) {
	m.RelativeZxid = r.Int64()
	m.Data = r.Strings()
	m.Exist = r.Strings()
	m.Child = r.Strings()
}

// A SetWatches2Request goes with OpSetWatches2: a [SetWatchesRequest] with
// persistent watches, which never cause an event at once.
type SetWatches2Request struct {
	RelativeZxid        int64
	Data                []string
	Exist               []string
	Child               []string
	Persistent          []string
	PersistentRecursive []string
}

// AppendTo appends the wire form of m to b.
func (m SetWatches2Request) AppendTo(b []byte) []byte {
	b = SetWatchesRequest{m.RelativeZxid, m.Data, m.Exist, m.Child}.AppendTo(b)
	b = AppendStrings(b, m.Persistent)
	return AppendStrings(b, m.PersistentRecursive)
}

// Decode fills m from r.
func (m *SetWatches2Request) Decode(r *Reader) {
	m.RelativeZxid = r.Int64()
	m.Data = r.Strings()
	m.Exist = r.Strings()
	m.Child = r.Strings()
	m.Persistent = r.Strings()
	m.PersistentRecursive = r.Strings()
}
