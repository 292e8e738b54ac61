package zkproto

// A PathWatchRequest goes with OpExists, OpGetData, OpGetChildren and
// OpGetChildren2.
type PathWatchRequest struct {
	Path     string
	Watch    bool // leave a one-shot watch
	NullPath bool // the path is the null string; set by Decode
}

// AppendTo appends the wire form of m to b.
func (m PathWatchRequest) AppendTo(b []byte) []byte {
	b = appendNullable(b, m.Path, m.NullPath)
	return AppendBool(b, m.Watch)
}

// Decode fills m from r.
func (m *PathWatchRequest) Decode(r *Reader) {
	m.Path, m.NullPath = decodePath(r)
	m.Watch = r.Bool()
}

// A PathRequest goes with OpGetACL, OpSync, OpGetEphemerals and
// OpGetAllChildrenNumber.
type PathRequest struct {
	Path     string
	NullPath bool // the path is the null string; set by Decode
}

// AppendTo appends the wire form of m to b.
func (m PathRequest) AppendTo(b []byte) []byte { return appendNullable(b, m.Path, m.NullPath) }

// Decode fills m from r.
func (m *PathRequest) Decode(r *Reader) { m.Path, m.NullPath = decodePath(r) }

// A StatResponse answers OpExists, OpSetData and OpSetACL.
type StatResponse struct {
	Stat Stat
}

// AppendTo appends the wire form of m to b.
func (m StatResponse) AppendTo(b []byte) []byte { return m.Stat.AppendTo(b) }

// Decode fills m from r.
func (m *StatResponse) Decode(r *Reader) { m.Stat.Decode(r) }

// A GetDataResponse answers OpGetData.
type GetDataResponse struct {
	Data []byte // nil for null data
	Stat Stat
}

// AppendTo appends the wire form of m to b.
func (m GetDataResponse) AppendTo(b []byte) []byte {
	b = AppendBuffer(b, m.Data)
	return m.Stat.AppendTo(b)
}

// Decode fills m from r. Data is new memory.
func (m *GetDataResponse) Decode(r *Reader) { m.DecodeTo(r, nil) }

// DecodeTo is Decode with Data copied into dst[:0] if it fits there, see
// [Reader.BufferTo]; then nothing is allocated.
func (m *GetDataResponse) DecodeTo(r *Reader, dst []byte) {
	m.Data = r.BufferTo(dst)
	m.Stat.Decode(r)
}

// A SetDataRequest goes with OpSetData.
type SetDataRequest struct {
	Path     string
	Data     []byte // nil is stored as null data, which differs from empty
	Version  int32  // expected data version; -1 means any
	NullPath bool   // the path is the null string; set by Decode
}

// AppendTo appends the wire form of m to b.
func (m SetDataRequest) AppendTo(b []byte) []byte {
	b = appendNullable(b, m.Path, m.NullPath)
	b = AppendBuffer(b, m.Data)
	return AppendInt32(b, m.Version)
}

// Decode fills m from r.
func (m *SetDataRequest) Decode(r *Reader) {
	m.Path, m.NullPath = decodePath(r)
	m.Data = r.Buffer()
	m.Version = r.Int32()
}

// A SyncResponse answers OpSync with the path of the request, unchecked.
type SyncResponse struct {
	Path     string
	NullPath bool // the path is the null string; set by Decode
}

// AppendTo appends the wire form of m to b.
func (m SyncResponse) AppendTo(b []byte) []byte { return appendNullable(b, m.Path, m.NullPath) }

// Decode fills m from r.
func (m *SyncResponse) Decode(r *Reader) { m.Path, m.NullPath = decodePath(r) }

// A CheckVersionRequest goes with OpCheck. It is of use only inside a multi:
// outside of one, no server version gives it a useful answer.
type CheckVersionRequest struct {
	Path     string
	Version  int32 // expected data version; -1 means any
	NullPath bool  // the path is the null string; set by Decode
}

// AppendTo appends the wire form of m to b.
func (m CheckVersionRequest) AppendTo(b []byte) []byte {
	b = appendNullable(b, m.Path, m.NullPath)
	return AppendInt32(b, m.Version)
}

// Decode fills m from r.
func (m *CheckVersionRequest) Decode(r *Reader) {
	m.Path, m.NullPath = decodePath(r)
	m.Version = r.Int32()
}
