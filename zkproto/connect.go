package zkproto

import "encoding/binary"

// A ConnectRequest is the first frame on a connection. It has no header.
type ConnectRequest struct {
	ProtocolVersion int32  // 0
	LastZxidSeen    int64  // a server that is behind it closes the connection without a word
	TimeoutMS       int32  // wanted session timeout in milliseconds; the server clamps it
	SessionID       int64  // 0 asks for a new session
	Password        []byte // 16 bytes to resume a session; ignored for a new one
	ReadOnly        bool   // whether a read-only server will do
	HasReadOnly     bool   // whether ReadOnly is on the wire; clients up to 3.3 do not send it
}

// AppendTo appends the wire form of m to b.
func (m ConnectRequest) AppendTo(b []byte) []byte {
	b = AppendInt32(b, m.ProtocolVersion)
	b = AppendInt64(b, m.LastZxidSeen)
	b = AppendInt32(b, m.TimeoutMS)
	b = AppendInt64(b, m.SessionID)
	b = AppendBuffer(b, m.Password)
	if m.HasReadOnly {
		b = AppendBool(b, m.ReadOnly)
	}
	return b
}

// Decode fills m from r and takes all bytes that remain: servers ignore what
// follows the fields they know.
func (m *ConnectRequest) Decode(r *Reader) {
	m.ProtocolVersion = r.Int32()
	m.LastZxidSeen = r.Int64()
	m.TimeoutMS = r.Int32()
	m.SessionID = r.Int64()
	m.Password = r.Buffer()
	m.ReadOnly, m.HasReadOnly = decodeReadOnly(r)
}

// A ConnectResponse is the server's answer to a [ConnectRequest]. It has no
// header.
type ConnectResponse struct {
	ProtocolVersion int32  // 0
	TimeoutMS       int32  // granted session timeout in milliseconds; 0 or less: the session is refused
	SessionID       int64  // 0 when refused
	Password        []byte // 16 bytes, all zero when refused
	ReadOnly        bool   // whether the server is read-only
	HasReadOnly     bool   // whether ReadOnly is on the wire: only if the request had it
}

// Refused reports whether the server does not know the session, or not with
// that password: it is over for good.
func (m ConnectResponse) Refused() bool { return m.TimeoutMS <= 0 }

// AppendTo appends the wire form of m to b.
func (m ConnectResponse) AppendTo(b []byte) []byte {
	b = AppendInt32(b, m.ProtocolVersion)
	b = AppendInt32(b, m.TimeoutMS)
	b = AppendInt64(b, m.SessionID)
	b = AppendBuffer(b, m.Password)
	if m.HasReadOnly {
		b = AppendBool(b, m.ReadOnly)
	}
	return b
}

// Decode fills m from r and takes all bytes that remain, as other servers may
// add fields of their own. A missing read-only byte is no error: some never
// send it.
func (m *ConnectResponse) Decode(r *Reader) {
	m.ProtocolVersion = r.Int32()
	m.TimeoutMS = r.Int32()
	m.SessionID = r.Int64()
	m.Password = r.Buffer()
	m.ReadOnly, m.HasReadOnly = decodeReadOnly(r)
}

// decodeReadOnly reads the optional last byte of both connect records and
// drops whatever follows it.
func decodeReadOnly(r *Reader) (readOnly, present bool) {
	if r.Len() == 0 {
		return false, false
	}
	readOnly = r.Bool()
	r.skipRest()
	return readOnly, true
}

// SessionPassword returns the password that Apache servers give the session
// with this id: 16 bytes of Java's random generator seeded with the id. It is a
// checksum rather than a secret, which is why any server of an ensemble can
// check it without having stored it.
func SessionPassword(id int64) [16]byte {
	const (
		multiplier = 0x5DEECE66D
		mask       = 1<<48 - 1
	)
	var p [16]byte
	s := (uint64(id) ^ 0xB3415C00 ^ multiplier) & mask
	for i := 0; i < len(p); i += 4 {
		s = (s*multiplier + 0xB) & mask
		binary.LittleEndian.PutUint32(p[i:], uint32(s>>16))
	}
	return p
}
