package zkproto

import "time"

// StatSize is the number of bytes that a Stat takes on the wire.
const StatSize = 68

// A Stat is what the server tells about a znode beside its data, in wire order.
type Stat struct {
	Czxid          int64 // zxid of the create
	Mzxid          int64 // zxid of the last change of data; neither children nor ACL change it
	Ctime          int64 // time of the create, milliseconds since 1970 on the server's clock
	Mtime          int64 // time of the last change of data, likewise
	Version        int32 // number of changes of data since the create; wraps to negative numbers
	Cversion       int32 // number of creates and deletes of direct children
	Aversion       int32 // number of changes of the ACL
	EphemeralOwner int64 // id of the owning session; 0 when not ephemeral, and for containers and TTL znodes
	DataLength     int32 // bytes; 0 for null data
	NumChildren    int32 // direct children
	Pzxid          int64 // zxid of the last create or delete of a direct child, at first Czxid
}

// Created returns [Stat.Ctime] as a time.
func (s Stat) Created() time.Time { return time.UnixMilli(s.Ctime) }

// Modified returns [Stat.Mtime] as a time. Server clocks can step back, so a
// later change may carry an earlier time.
func (s Stat) Modified() time.Time { return time.UnixMilli(s.Mtime) }

// Ephemeral reports whether the znode belongs to a session.
func (s Stat) Ephemeral() bool { return s.EphemeralOwner != 0 }

// OwnerSessionID returns the id of the session that an ephemeral znode belongs
// to; ok is false for every other znode.
func (s Stat) OwnerSessionID() (id int64, ok bool) {
	return s.EphemeralOwner, s.EphemeralOwner != 0
}

// AppendTo appends the wire form of s to b.
func (s Stat) AppendTo(b []byte) []byte {
	b = AppendInt64(b, s.Czxid)
	b = AppendInt64(b, s.Mzxid)
	b = AppendInt64(b, s.Ctime)
	b = AppendInt64(b, s.Mtime)
	b = AppendInt32(b, s.Version)
	b = AppendInt32(b, s.Cversion)
	b = AppendInt32(b, s.Aversion)
	b = AppendInt64(b, s.EphemeralOwner)
	b = AppendInt32(b, s.DataLength)
	b = AppendInt32(b, s.NumChildren)
	return AppendInt64(b, s.Pzxid)
}

// Decode fills s from r.
func (s *Stat) Decode(r *Reader) {
	s.Czxid = r.Int64()
	s.Mzxid = r.Int64()
	s.Ctime = r.Int64()
	s.Mtime = r.Int64()
	s.Version = r.Int32()
	s.Cversion = r.Int32()
	s.Aversion = r.Int32()
	s.EphemeralOwner = r.Int64()
	s.DataLength = r.Int32()
	s.NumChildren = r.Int32()
	s.Pzxid = r.Int64()
}
