package queue

import (
	"encoding/json"
	"fmt"
)

// Codec turns items into bytes and back. Both functions are needed, and must be safe for concurrent use. Decode gets
// bytes that nobody else has, and may keep them.
type Codec[T any] struct {
	Encode func(T) ([]byte, error)
	Decode func([]byte) (T, error)
}

// Bytes leaves items as they are.
func Bytes() Codec[[]byte] {
	same := func(b []byte) ([]byte, error) { return b, nil }
	return Codec[[]byte]{Encode: same, Decode: same}
}

// Text is for items that are strings.
func Text() Codec[string] {
	return Codec[string]{
		Encode: func(s string) ([]byte, error) { return []byte(s), nil },
		Decode: func(b []byte) (string, error) { return string(b), nil },
	}
}

// JSON is for items that package encoding/json knows to write and read.
func JSON[T any]() Codec[T] {
	return Codec[T]{
		Encode: func(v T) ([]byte, error) { return json.Marshal(v) },
		Decode: func(b []byte) (v T, err error) {
			err = json.Unmarshal(b, &v)
			return v, err
		},
	}
}

// DecodeError is about an item that the codec, or Curator's framing, does not understand. It stays in the queue, and
// the handle that found it passes it by from then on.
type DecodeError struct {
	Path string
	Data []byte
	Err  error
}

// Error names the znode and what is wrong with it.
func (e *DecodeError) Error() string { return fmt.Sprintf("decode the item at %s: %v", e.Path, e.Err) }

// Unwrap returns the codec's error.
func (e *DecodeError) Unwrap() error { return e.Err }

// encode makes the data of a znode for each item, or of one for all where the style frames them.
func (c *core[T]) encode(items []T) ([][]byte, error) {
	list := make([][]byte, 0, len(items))
	for _, item := range items {
		data, err := c.codec.Encode(item)
		if err != nil {
			return nil, fmt.Errorf("encode: %w", err)
		}
		list = append(list, data)
	}
	if c.cfg.style.framed {
		list = [][]byte{appendFrame(nil, list...)}
	}
	return list, nil
}

// decode returns the items of a znode: one, or any number where the style frames them.
func (c *core[T]) decode(path string, data []byte) ([]T, error) {
	parts := [][]byte{data}
	if c.cfg.style.framed {
		var err error
		if parts, err = parseFrame(data); err != nil {
			return nil, &DecodeError{Path: path, Data: data, Err: err}
		}
	}
	items := make([]T, 0, len(parts))
	for _, part := range parts {
		item, err := c.codec.Decode(part)
		if err != nil {
			return nil, &DecodeError{Path: path, Data: data, Err: err}
		}
		items = append(items, item)
	}
	return items, nil
}
