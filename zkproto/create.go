package zkproto

// A CreateRequest goes with OpCreate, OpCreate2 and OpCreateContainer; the
// opcode, not Mode, decides whether a container is stored.
type CreateRequest struct {
	Path     string
	Data     []byte // nil is stored as null data, which differs from empty
	ACL      []ACL  // servers answer ErrInvalidACL to an empty list
	Mode     CreateMode
	NullPath bool // the path is the null string; set by Decode
	NullID   bool // an id in ACL is the null string; set by Decode, not read by AppendTo
}

// AppendTo appends the wire form of m to b.
func (m CreateRequest) AppendTo(b []byte) []byte {
	b = appendNullable(b, m.Path, m.NullPath)
	b = AppendBuffer(b, m.Data)
	b = appendACLs(b, m.ACL)
	return AppendInt32(b, int32(m.Mode))
}

// Decode fills m from r.
func (m *CreateRequest) Decode(r *Reader) {
	m.Path, m.NullPath = decodePath(r)
	m.Data = r.Buffer()
	m.ACL, m.NullID = decodeACLs(r)
	m.Mode = CreateMode(r.Int32())
}

// A CreateTTLRequest goes with OpCreateTTL.
type CreateTTLRequest struct {
	Path     string
	Data     []byte
	ACL      []ACL
	Mode     CreateMode // ModePersistentTTL or ModePersistentSequentialTTL
	TTL      int64      // milliseconds, 1 to MaxTTL
	NullPath bool       // the path is the null string; set by Decode
	NullID   bool       // an id in ACL is the null string; set by Decode, not read by AppendTo
}

// AppendTo appends the wire form of m to b.
func (m CreateTTLRequest) AppendTo(b []byte) []byte {
	b = CreateRequest{Path: m.Path, Data: m.Data, ACL: m.ACL, Mode: m.Mode, NullPath: m.NullPath}.AppendTo(b)
	return AppendInt64(b, m.TTL)
}

// Decode fills m from r.
func (m *CreateTTLRequest) Decode(r *Reader) {
	var c CreateRequest
	c.Decode(r)
	*m = CreateTTLRequest{Path: c.Path, Data: c.Data, ACL: c.ACL, Mode: c.Mode, NullPath: c.NullPath, NullID: c.NullID, TTL: r.Int64()}
}

// A CreateResponse answers OpCreate.
type CreateResponse struct {
	Path string // the actual path, with the digits of a sequential znode
}

// AppendTo appends the wire form of m to b.
func (m CreateResponse) AppendTo(b []byte) []byte { return AppendString(b, m.Path) }

// Decode fills m from r.
func (m *CreateResponse) Decode(r *Reader) { m.Path = r.String() }

// A Create2Response answers OpCreate2, OpCreateContainer and OpCreateTTL.
type Create2Response struct {
	Path string // the actual path, with the digits of a sequential znode
	Stat Stat
}

// AppendTo appends the wire form of m to b.
func (m Create2Response) AppendTo(b []byte) []byte {
	b = AppendString(b, m.Path)
	return m.Stat.AppendTo(b)
}

// Decode fills m from r.
func (m *Create2Response) Decode(r *Reader) {
	m.Path = r.String()
	m.Stat.Decode(r)
}

// A DeleteRequest goes with OpDelete.
type DeleteRequest struct {
	Path     string
	Version  int32 // expected data version; -1 means any
	NullPath bool  // the path is the null string; set by Decode
}

// AppendTo appends the wire form of m to b.
func (m DeleteRequest) AppendTo(b []byte) []byte {
	b = appendNullable(b, m.Path, m.NullPath)
	return AppendInt32(b, m.Version)
}

// Decode fills m from r.
func (m *DeleteRequest) Decode(r *Reader) {
	m.Path, m.NullPath = decodePath(r)
	m.Version = r.Int32()
}

// decodePath reads a path and reports whether it was the null string. A path
// that could not be read is not null: the reader's error tells of it.
func decodePath(r *Reader) (path string, null bool) {
	path, ok := r.NullableString()
	return path, !ok && r.err == nil
}
