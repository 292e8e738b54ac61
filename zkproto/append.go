package zkproto

import "encoding/binary"

// AppendBool appends one byte, 0 or 1.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// AppendInt32 appends 4 bytes, big-endian.
func AppendInt32(b []byte, v int32) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(v))
}

// AppendInt64 appends 8 bytes, big-endian.
func AppendInt64(b []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(v))
}

// AppendBuffer appends a buffer: the null buffer (length -1) for a nil v, the
// length and the bytes for every other. Servers store the two as different
// values.
func AppendBuffer(b, v []byte) []byte {
	if v == nil {
		return AppendInt32(b, -1)
	}
	b = AppendInt32(b, int32(len(v)))
	return append(b, v...)
}

// AppendString appends a string, never the null string.
func AppendString(b []byte, s string) []byte {
	b = AppendInt32(b, int32(len(s)))
	return append(b, s...)
}

// AppendNullString appends the null string, length -1.
func AppendNullString(b []byte) []byte { return AppendInt32(b, -1) }

// AppendStrings appends a vector of strings. A nil v is sent as the empty
// vector and not as the null one, because servers answer a null vector with
// [ErrMarshallingError].
func AppendStrings(b []byte, v []string) []byte {
	b = AppendInt32(b, int32(len(v)))
	for _, s := range v {
		b = AppendString(b, s)
	}
	return b
}

// appendNullable appends s, or the null string when null is set.
func appendNullable(b []byte, s string, null bool) []byte {
	if null {
		return AppendNullString(b)
	}
	return AppendString(b, s)
}

// appendOptional appends s, with "" as the null string.
func appendOptional(b []byte, s string) []byte {
	return appendNullable(b, s, s == "")
}
