package zkproto

// A GetACLResponse answers OpGetACL.
type GetACLResponse struct {
	ACL  []ACL // digest hashes read "x" unless the caller has PermAdmin
	Stat Stat
}

// AppendTo appends the wire form of m to b.
func (m GetACLResponse) AppendTo(b []byte) []byte {
	b = appendACLs(b, m.ACL)
	return m.Stat.AppendTo(b)
}

// Decode fills m from r.
func (m *GetACLResponse) Decode(r *Reader) {
	m.ACL, _ = decodeACLs(r)
	m.Stat.Decode(r)
}

// A SetACLRequest goes with OpSetACL.
type SetACLRequest struct {
	Path     string
	ACL      []ACL
	Version  int32 // expected Aversion; -1 means any
	NullPath bool  // the path is the null string; set by Decode
	NullID   bool  // an id in ACL is the null string; set by Decode, not read by AppendTo
}

// AppendTo appends the wire form of m to b.
func (m SetACLRequest) AppendTo(b []byte) []byte {
	b = appendNullable(b, m.Path, m.NullPath)
	b = appendACLs(b, m.ACL)
	return AppendInt32(b, m.Version)
}

// Decode fills m from r.
func (m *SetACLRequest) Decode(r *Reader) {
	m.Path, m.NullPath = decodePath(r)
	m.ACL, m.NullID = decodeACLs(r)
	m.Version = r.Int32()
}

// An AuthRequest goes with OpAuth. It holds credentials: never log it.
type AuthRequest struct {
	Type   int32  // 0; servers ignore it
	Scheme string // "digest"
	Auth   []byte // for digest, user:password
}

// AppendTo appends the wire form of m to b.
func (m AuthRequest) AppendTo(b []byte) []byte {
	b = AppendInt32(b, m.Type)
	b = AppendString(b, m.Scheme)
	return AppendBuffer(b, m.Auth)
}

// Decode fills m from r. A null scheme becomes "", which servers refuse just
// the same.
func (m *AuthRequest) Decode(r *Reader) {
	m.Type = r.Int32()
	m.Scheme = r.String()
	m.Auth = r.Buffer()
}

// A SASLRequest goes with OpSASL and carries one message of the mechanism.
type SASLRequest struct {
	Token []byte
}

// AppendTo appends the wire form of m to b.
func (m SASLRequest) AppendTo(b []byte) []byte { return AppendBuffer(b, m.Token) }

// Decode fills m from r.
func (m *SASLRequest) Decode(r *Reader) { m.Token = r.Buffer() }

// A SASLResponse answers OpSASL. A null token may follow even a header with an
// error.
type SASLResponse struct {
	Token []byte // nil when the server has nothing more to say
}

// AppendTo appends the wire form of m to b.
func (m SASLResponse) AppendTo(b []byte) []byte { return AppendBuffer(b, m.Token) }

// Decode fills m from r.
func (m *SASLResponse) Decode(r *Reader) { m.Token = r.Buffer() }

// A ClientInfo is one identity of a connection.
type ClientInfo struct {
	Scheme string
	User   string // digest: the part before the colon; ip: the address
}

// AppendTo appends the wire form of c to b.
func (c ClientInfo) AppendTo(b []byte) []byte {
	b = AppendString(b, c.Scheme)
	return AppendString(b, c.User)
}

// Decode fills c from r.
func (c *ClientInfo) Decode(r *Reader) {
	c.Scheme = r.String()
	c.User = r.String()
}

// A WhoAmIResponse answers OpWhoAmI.
type WhoAmIResponse struct {
	Clients []ClientInfo // in no order; an entry of scheme ip is always there
}

// AppendTo appends the wire form of m to b.
func (m WhoAmIResponse) AppendTo(b []byte) []byte {
	b = AppendInt32(b, int32(len(m.Clients)))
	for _, c := range m.Clients {
		b = c.AppendTo(b)
	}
	return b
}

// Decode fills m from r.
func (m *WhoAmIResponse) Decode(r *Reader) {
	m.Clients = nil
	n := r.count(8) // two string lengths
	if n < 0 {
		return
	}
	clients := make([]ClientInfo, n)
	for i := range clients {
		clients[i].Decode(r)
	}
	if r.err == nil {
		m.Clients = clients
	}
}
