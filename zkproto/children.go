package zkproto

// A ChildrenResponse answers OpGetChildren.
type ChildrenResponse struct {
	Children []string // names, not paths, in no order; see Reader.Strings about memory
}

// AppendTo appends the wire form of m to b.
func (m ChildrenResponse) AppendTo(b []byte) []byte { return AppendStrings(b, m.Children) }

// Decode fills m from r.
func (m *ChildrenResponse) Decode(r *Reader) { m.Children = r.stringsBefore(0) }

// A Children2Response answers OpGetChildren2.
type Children2Response struct {
	Children []string // names, not paths, in no order; see Reader.Strings about memory
	Stat     Stat     // of the parent
}

// AppendTo appends the wire form of m to b.
func (m Children2Response) AppendTo(b []byte) []byte {
	b = AppendStrings(b, m.Children)
	return m.Stat.AppendTo(b)
}

// Decode fills m from r.
func (m *Children2Response) Decode(r *Reader) {
	m.Children = r.stringsBefore(StatSize)
	m.Stat.Decode(r)
}

// An EphemeralsResponse answers OpGetEphemerals.
type EphemeralsResponse struct {
	Paths []string // in no order; see Reader.Strings about memory
}

// AppendTo appends the wire form of m to b.
func (m EphemeralsResponse) AppendTo(b []byte) []byte { return AppendStrings(b, m.Paths) }

// Decode fills m from r.
func (m *EphemeralsResponse) Decode(r *Reader) { m.Paths = r.stringsBefore(0) }

// An AllChildrenNumberResponse answers OpGetAllChildrenNumber.
type AllChildrenNumberResponse struct {
	Count int32 // descendants, the znode itself not counted
}

// AppendTo appends the wire form of m to b.
func (m AllChildrenNumberResponse) AppendTo(b []byte) []byte { return AppendInt32(b, m.Count) }

// Decode fills m from r.
func (m *AllChildrenNumberResponse) Decode(r *Reader) { m.Count = r.Int32() }
