package counter

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Codec turns values into the data of a znode and back. It must be safe for concurrent use, and must not keep the data.
type Codec[T any] interface {
	Encode(T) ([]byte, error)
	Decode([]byte) (T, error)
}

// CodecFunc makes a codec of two functions.
func CodecFunc[T any](encode func(T) ([]byte, error), decode func([]byte) (T, error)) Codec[T] {
	return funcs[T]{encode, decode}
}

type funcs[T any] struct {
	encode func(T) ([]byte, error)
	decode func([]byte) (T, error)
}

func (f funcs[T]) Encode(v T) ([]byte, error)    { return f.encode(v) }
func (f funcs[T]) Decode(data []byte) (T, error) { return f.decode(data) }

// JSON keeps values as JSON.
func JSON[T any]() Codec[T] {
	return CodecFunc(
		func(v T) ([]byte, error) { return json.Marshal(v) },
		func(data []byte) (v T, err error) { return v, json.Unmarshal(data, &v) },
	)
}

// Bytes keeps data as it is.
func Bytes() Codec[[]byte] {
	return CodecFunc(
		func(v []byte) ([]byte, error) { return v, nil },
		func(data []byte) ([]byte, error) { return append([]byte{}, data...), nil },
	)
}

// String keeps text as it is.
func String() Codec[string] {
	return CodecFunc(
		func(v string) ([]byte, error) { return []byte(v), nil },
		func(data []byte) (string, error) { return string(data), nil },
	)
}

// IntText keeps an integer as decimal text, as Kazoo's Counter does.
func IntText() Codec[int64] {
	return CodecFunc(
		func(v int64) ([]byte, error) { return strconv.AppendInt(nil, v, 10), nil },
		func(data []byte) (int64, error) {
			v, err := strconv.ParseInt(pythonNumber(data), 10, 64)
			return v, plain(err)
		},
	)
}

// FloatText keeps a number as decimal text, as Kazoo's Counter with a float default does. It is written as Python
// does, so that it reads the same everywhere.
func FloatText() Codec[float64] {
	return CodecFunc(
		func(v float64) ([]byte, error) { return []byte(pythonFloat(v)), nil },
		func(data []byte) (float64, error) {
			v, err := strconv.ParseFloat(pythonNumber(data), 64)
			return v, plain(err)
		},
	)
}

// Int32 keeps an integer as 4 bytes, big-endian, as Curator's SharedCount and DistributedAtomicInteger do.
func Int32() Codec[int32] {
	return CodecFunc(
		func(v int32) ([]byte, error) { return binary.BigEndian.AppendUint32(nil, uint32(v)), nil },
		func(data []byte) (int32, error) {
			if len(data) != 4 {
				return 0, fmt.Errorf("%d bytes, want 4", len(data))
			}
			return int32(binary.BigEndian.Uint32(data)), nil
		},
	)
}

// Int64 keeps an integer as 8 bytes, big-endian, as Curator's DistributedAtomicLong does.
func Int64() Codec[int64] {
	return CodecFunc(
		func(v int64) ([]byte, error) { return binary.BigEndian.AppendUint64(nil, uint64(v)), nil },
		func(data []byte) (int64, error) {
			if len(data) != 8 {
				return 0, fmt.Errorf("%d bytes, want 8", len(data))
			}
			return int64(binary.BigEndian.Uint64(data)), nil
		},
	)
}

// pythonNumber strips the white space that Python's int and float ignore.
func pythonNumber(data []byte) string { return strings.TrimSpace(string(data)) }

// plain drops the name of Go's function and the text itself, which the error of the value shows.
func plain(err error) error {
	switch {
	case errors.Is(err, strconv.ErrRange):
		return errors.New("out of range")
	case err != nil:
		return errors.New("not a number")
	}
	return nil
}

// pythonFloat is Python's repr of a float: the shortest text that reads the same, with a point or an exponent in it.
func pythonFloat(v float64) string {
	switch {
	case math.IsNaN(v):
		return "nan"
	case math.IsInf(v, 1):
		return "inf"
	case math.IsInf(v, -1):
		return "-inf"
	}
	if abs := math.Abs(v); abs != 0 && (abs < 1e-4 || abs >= 1e16) {
		return strconv.FormatFloat(v, 'e', -1, 64)
	}
	text := strconv.FormatFloat(v, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}
