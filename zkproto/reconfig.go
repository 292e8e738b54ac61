package zkproto

// A ReconfigRequest goes with OpReconfig. Joining and Leaving describe a change
// and NewMembers a whole new ensemble; what is not used is "", sent as the null
// string.
type ReconfigRequest struct {
	Joining    string // server lines to add or replace, separated by commas
	Leaving    string // server ids to remove, separated by commas
	NewMembers string // server lines of the new ensemble, separated by commas
	ConfigID   int64  // change only this version of the configuration; -1 means any
}

// AppendTo appends the wire form of m to b.
func (m ReconfigRequest) AppendTo(b []byte) []byte {
	b = appendOptional(b, m.Joining)
	b = appendOptional(b, m.Leaving)
	b = appendOptional(b, m.NewMembers)
	return AppendInt64(b, m.ConfigID)
}

// Decode fills m from r.
func (m *ReconfigRequest) Decode(r *Reader) {
	m.Joining = r.String()
	m.Leaving = r.String()
	m.NewMembers = r.String()
	m.ConfigID = r.Int64()
}

// A ReconfigResponse answers OpReconfig with the new configuration as text and
// the Stat of /zookeeper/config.
type ReconfigResponse = GetDataResponse
