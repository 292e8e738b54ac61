package zkproto

// RequestHeaderSize and ReplyHeaderSize are the sizes of the headers in bytes.
const (
	RequestHeaderSize = 8
	ReplyHeaderSize   = 16
)

// A RequestHeader begins every frame of a client, except the connect request.
type RequestHeader struct {
	Xid int32 // chosen by the client and echoed; see the Xid constants
	Op  OpCode
}

// AppendTo appends the wire form of h to b.
func (h RequestHeader) AppendTo(b []byte) []byte {
	b = AppendInt32(b, h.Xid)
	return AppendInt32(b, int32(h.Op))
}

// Decode fills h from r.
func (h *RequestHeader) Decode(r *Reader) {
	h.Xid = r.Int32()
	h.Op = OpCode(r.Int32())
}

// A ReplyHeader begins every frame of a server, except the connect response.
type ReplyHeader struct {
	Xid int32
	// Zxid is the zxid of the request's own transaction for a write, and the
	// newest applied one for everything else. It is 0 for auth and SASL, and
	// -1 with ErrUnimplemented and for most watch events.
	Zxid int64
	// Err is the outcome. Unless it is OK there is no body; 3.8.0 may send an
	// empty multi body with ErrMarshallingError, to be ignored.
	Err Code
}

// AppendTo appends the wire form of h to b.
func (h ReplyHeader) AppendTo(b []byte) []byte {
	b = AppendInt32(b, h.Xid)
	b = AppendInt64(b, h.Zxid)
	return AppendInt32(b, int32(h.Err))
}

// Decode fills h from r.
func (h *ReplyHeader) Decode(r *Reader) {
	h.Xid = r.Int32()
	h.Zxid = r.Int64()
	h.Err = Code(r.Int32())
}
