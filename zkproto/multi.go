package zkproto

import "fmt"

// MultiHeaderSize is the number of bytes that a MultiHeader takes.
const MultiHeaderSize = 9

// A MultiHeader stands before each operation and result of a multi, and ends
// the list.
type MultiHeader struct {
	Type OpCode
	Done bool // true on the header that ends the list
	Err  Code // -1 in requests and at the end of the list
}

// AppendTo appends the wire form of h to b.
func (h MultiHeader) AppendTo(b []byte) []byte {
	b = AppendInt32(b, int32(h.Type))
	b = AppendBool(b, h.Done)
	return AppendInt32(b, int32(h.Err))
}

// Decode fills h from r.
func (h *MultiHeader) Decode(r *Reader) {
	h.Type = OpCode(r.Int32())
	h.Done = r.Bool()
	h.Err = Code(r.Int32())
}

// multiEnd ends the list of operations and the list of results.
var multiEnd = MultiHeader{Type: OpError, Done: true, Err: -1}

// A MultiOp is one operation of a multi or multiRead. Op says which fields are
// used beside Path:
//
//	OpCreate, OpCreate2, OpCreateContainer   Data, ACL, Mode
//	OpCreateTTL                              Data, ACL, Mode, TTL
//	OpDelete, OpCheck                        Version
//	OpSetData                                Data, Version
//	OpGetData, OpGetChildren                 Watch, which servers ignore
//
// A multi takes all but the last line and a multiRead only the last line.
// Servers answer ErrMarshallingError to a whole request with any other op.
type MultiOp struct {
	Op       OpCode
	Path     string
	Data     []byte
	ACL      []ACL
	Mode     CreateMode
	TTL      int64 // milliseconds
	Version  int32 // -1 means any
	Watch    bool
	NullPath bool // the path is the null string; set by Decode
	NullID   bool // an id in ACL is the null string; set by Decode, not read by AppendTo
}

// AppendTo appends the header and the record of o to b. An op that cannot be
// part of a multi is sent as a header alone, which no server accepts.
func (o MultiOp) AppendTo(b []byte) []byte {
	b = MultiHeader{Type: o.Op, Err: -1}.AppendTo(b)
	switch o.Op {
	case OpCreate, OpCreate2, OpCreateContainer:
		return CreateRequest{Path: o.Path, Data: o.Data, ACL: o.ACL, Mode: o.Mode, NullPath: o.NullPath}.AppendTo(b)
	case OpCreateTTL:
		return CreateTTLRequest{Path: o.Path, Data: o.Data, ACL: o.ACL, Mode: o.Mode, TTL: o.TTL, NullPath: o.NullPath}.AppendTo(b)
	case OpDelete, OpCheck:
		return DeleteRequest{Path: o.Path, Version: o.Version, NullPath: o.NullPath}.AppendTo(b)
	case OpSetData:
		return SetDataRequest{Path: o.Path, Data: o.Data, Version: o.Version, NullPath: o.NullPath}.AppendTo(b)
	case OpGetData, OpGetChildren:
		return PathWatchRequest{Path: o.Path, Watch: o.Watch, NullPath: o.NullPath}.AppendTo(b)
	}
	return b
}

// decode reads the record that follows a header of type op.
func (o *MultiOp) decode(op OpCode, r *Reader) {
	*o = MultiOp{Op: op}
	o.Path, o.NullPath = decodePath(r)
	switch op {
	case OpCreate, OpCreate2, OpCreateContainer, OpCreateTTL:
		o.Data = r.Buffer()
		o.ACL, o.NullID = decodeACLs(r)
		o.Mode = CreateMode(r.Int32())
		if op == OpCreateTTL {
			o.TTL = r.Int64()
		}
	case OpDelete, OpCheck:
		o.Version = r.Int32()
	case OpSetData:
		o.Data = r.Buffer()
		o.Version = r.Int32()
	case OpGetData, OpGetChildren:
		o.Watch = r.Bool()
	default:
		r.Fail(fmt.Errorf("%w: %v in a multi", ErrCorrupt, op))
	}
}

// A MultiRequest goes with OpMulti and OpMultiRead.
type MultiRequest struct {
	Ops []MultiOp
}

// AppendTo appends the wire form of m to b.
func (m MultiRequest) AppendTo(b []byte) []byte {
	for i := range m.Ops {
		b = m.Ops[i].AppendTo(b)
	}
	return AppendMultiEnd(b)
}

// AppendMultiEnd appends what ends a list of operations or results, for those
// who append the elements one by one.
func AppendMultiEnd(b []byte) []byte { return multiEnd.AppendTo(b) }

// Decode fills m from r. An op that cannot be part of a multi is [ErrCorrupt];
// whether reads and writes are mixed is for the server to check. The list
// grows only with operations that were read in full.
func (m *MultiRequest) Decode(r *Reader) {
	m.Ops = nil
	var ops []MultiOp
	for {
		var h MultiHeader
		h.Decode(r)
		if r.err != nil {
			return
		}
		if h.Done {
			m.Ops = ops
			return
		}
		var o MultiOp
		o.decode(h.Type, r)
		if r.err != nil {
			return
		}
		ops = append(ops, o)
	}
}

// A MultiResult is the outcome of one operation. Op says which fields are used:
//
//	OpCreate                                        Path
//	OpCreate2, OpCreateContainer, OpCreateTTL       Path, Stat
//	OpDelete, OpCheck                               none
//	OpSetData                                       Stat
//	OpGetData                                       Data, Stat
//	OpGetChildren                                   Children
//	OpError                                         Err
//
// Op is what the server says, not what was asked: containers and TTL znodes
// answer OpCreate2, and 3.8.0 and 3.8.1 answer OpCreate, without a Stat, to
// create2. In a failed multi every result is OpError: OK for the operations
// before the one that failed, ErrRuntimeInconsistency for those behind it.
type MultiResult struct {
	Op       OpCode
	Err      Code
	Path     string
	Stat     Stat
	HasStat  bool // Stat came with the result; set by Decode, not read by AppendTo
	Data     []byte
	Children []string
}

// AppendTo appends the header and the body of m to b.
func (m MultiResult) AppendTo(b []byte) []byte {
	b = MultiHeader{Type: m.Op, Err: m.Err}.AppendTo(b)
	switch m.Op {
	case OpCreate:
		return AppendString(b, m.Path)
	case OpCreate2, OpCreateContainer, OpCreateTTL:
		b = AppendString(b, m.Path)
		return m.Stat.AppendTo(b)
	case OpSetData:
		return m.Stat.AppendTo(b)
	case OpGetData:
		b = AppendBuffer(b, m.Data)
		return m.Stat.AppendTo(b)
	case OpGetChildren:
		return AppendStrings(b, m.Children)
	case OpError:
		return AppendInt32(b, int32(m.Err))
	}
	return b
}

// Next fills m with the next result of a multi's reply and reports whether
// there was one: the end of the list is none, and neither is an error. The path
// of a create is returned and not stored in m: it is a slice of the reader's
// input, so a caller that knows the path already allocates nothing for it.
func (m *MultiResult) Next(r *Reader) (path []byte, more bool) {
	var h MultiHeader
	h.Decode(r)
	if r.err != nil || h.Done {
		return nil, false
	}
	path = m.decode(h, r)
	return path, r.err == nil
}

// decode reads the body that follows h, and returns the path in it.
func (m *MultiResult) decode(h MultiHeader, r *Reader) (path []byte) {
	*m = MultiResult{Op: h.Type, Err: h.Err}
	switch h.Type {
	case OpCreate:
		path = r.RawBuffer()
	case OpCreate2, OpCreateContainer, OpCreateTTL:
		path = r.RawBuffer()
		m.decodeStat(r)
	case OpDelete, OpCheck:
	case OpSetData:
		m.decodeStat(r)
	case OpGetData:
		m.Data = r.Buffer()
		m.decodeStat(r)
	case OpGetChildren:
		m.Children = r.Strings()
	case OpError:
		m.Err = Code(r.Int32())
	default:
		r.Fail(fmt.Errorf("%w: result of %v in a multi", ErrCorrupt, h.Type))
	}
	return path
}

func (m *MultiResult) decodeStat(r *Reader) {
	m.Stat.Decode(r)
	m.HasStat = r.err == nil
}

// A MultiResponse answers OpMulti and OpMultiRead. The reply header says OK
// also when a multi failed; look for the first result with another Err.
type MultiResponse struct {
	Results []MultiResult // one per operation, in their order
}

// AppendTo appends the wire form of m to b.
func (m MultiResponse) AppendTo(b []byte) []byte {
	for i := range m.Results {
		b = m.Results[i].AppendTo(b)
	}
	return multiEnd.AppendTo(b)
}

// Decode fills m from r. The list grows only with results that were read in
// full.
func (m *MultiResponse) Decode(r *Reader) {
	m.Results = nil
	var results []MultiResult
	for {
		var res MultiResult
		path, more := res.Next(r)
		if r.err != nil {
			return
		}
		if !more {
			m.Results = results
			return
		}
		res.Path = string(path)
		results = append(results, res)
	}
}
