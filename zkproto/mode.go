package zkproto

import "strconv"

// A CreateMode is the flags field of a create request. It is an enumeration,
// not a set of bits. Unknown values keep their number.
type CreateMode int32

// The create modes.
const (
	// ModePersistent znodes stay until they are deleted.
	ModePersistent CreateMode = 0
	// ModeEphemeral znodes are deleted with the session that created them, and
	// have no children.
	ModeEphemeral CreateMode = 1
	// ModePersistentSequential appends ten digits of the parent's counter.
	ModePersistentSequential CreateMode = 2
	// ModeEphemeralSequential is ephemeral and sequential.
	ModeEphemeralSequential CreateMode = 3
	// ModeContainer znodes are deleted by the server some time after their
	// last child is. A container is stored only with [OpCreateContainer], or
	// inside a multi.
	ModeContainer CreateMode = 4
	// ModePersistentTTL znodes are deleted by the server when they have no
	// children and were not modified for their TTL. Needs [OpCreateTTL].
	ModePersistentTTL CreateMode = 5
	// ModePersistentSequentialTTL is sequential with a TTL.
	ModePersistentSequentialTTL CreateMode = 6
)

// MaxTTL is the longest TTL of a znode, in milliseconds: 2^40-1, about 34 years.
const MaxTTL int64 = 1<<40 - 1

// Valid reports whether m is one of the modes above.
func (m CreateMode) Valid() bool {
	return m >= ModePersistent && m <= ModePersistentSequentialTTL
}

// Ephemeral reports whether the znode ends with its session.
func (m CreateMode) Ephemeral() bool {
	return m == ModeEphemeral || m == ModeEphemeralSequential
}

// Sequential reports whether the server appends a number to the name.
func (m CreateMode) Sequential() bool {
	return m == ModePersistentSequential || m == ModeEphemeralSequential || m == ModePersistentSequentialTTL
}

// Container reports whether the znode is a container.
func (m CreateMode) Container() bool { return m == ModeContainer }

// TTL reports whether the znode has a time to live.
func (m CreateMode) TTL() bool {
	return m == ModePersistentTTL || m == ModePersistentSequentialTTL
}

// String returns words such as "ephemeral sequential"; "mode 9" for an unknown
// mode.
func (m CreateMode) String() string {
	switch m {
	case ModePersistent:
		return "persistent"
	case ModeEphemeral:
		return "ephemeral"
	case ModePersistentSequential:
		return "persistent sequential"
	case ModeEphemeralSequential:
		return "ephemeral sequential"
	case ModeContainer:
		return "container"
	case ModePersistentTTL:
		return "persistent with ttl"
	case ModePersistentSequentialTTL:
		return "persistent sequential with ttl"
	}
	return "mode " + strconv.Itoa(int(m))
}
