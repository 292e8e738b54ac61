package model

import (
	"encoding/json"
	"fmt"
)

// Codec turns values into the data of a znode and back. It must be safe for concurrent use. Decode may keep the data that
// it gets, but must not change it. The codecs of package counter fit too.
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

// JSON keeps values as JSON. Empty data is an error.
func JSON[T any]() Codec[T] {
	return CodecFunc(
		func(v T) ([]byte, error) { return json.Marshal(v) },
		func(data []byte) (v T, err error) { return v, json.Unmarshal(data, &v) },
	)
}

// Bytes keeps data as it is.
func Bytes() Codec[[]byte] {
	same := func(data []byte) ([]byte, error) { return data, nil }
	return CodecFunc(same, same)
}

// Text keeps strings as they are.
func Text() Codec[string] {
	return CodecFunc(
		func(v string) ([]byte, error) { return []byte(v), nil },
		func(data []byte) (string, error) { return string(data), nil },
	)
}

// DataError says that the data of a znode is not what the codec wants, or that a value cannot be encoded.
type DataError struct {
	Path string
	Data []byte // as stored; nil when encoding failed
	Err  error  // what is wrong with it
}

// Error names the path and shows the beginning of the data.
func (e *DataError) Error() string {
	if e.Data == nil {
		return fmt.Sprintf("%s: value cannot be stored: %v", e.Path, e.Err)
	}
	shown, more := e.Data, ""
	if len(shown) > 32 {
		shown, more = shown[:32], "…"
	}
	return fmt.Sprintf("%s: bad data %q%s: %v", e.Path, shown, more, e.Err)
}

// Unwrap returns what is wrong.
func (e *DataError) Unwrap() error { return e.Err }
