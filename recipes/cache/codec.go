package cache

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
)

// Codec makes a value of a znode's data. It is called on the goroutine of the cache, and must not keep or change data
// beyond what it returns.
type Codec[T any] func(data []byte) (T, error)

// Bytes keeps data as it is.
func Bytes() Codec[[]byte] { return func(data []byte) ([]byte, error) { return data, nil } }

// Text keeps data as a string.
func Text() Codec[string] { return func(data []byte) (string, error) { return string(data), nil } }

// JSON decodes data with encoding/json. Null or empty data gives the zero value.
func JSON[T any]() Codec[T] {
	return func(data []byte) (v T, err error) {
		if len(data) > 0 {
			err = json.Unmarshal(data, &v)
		}
		return v, err
	}
}

// Gzip decompresses data before another codec reads it, as Curator's GzipCompressionProvider has compressed it. limit
// bounds what it becomes, in bytes: what is larger is an error.
func Gzip[T any](codec Codec[T], limit int64) Codec[T] {
	return func(data []byte) (v T, err error) {
		if len(data) == 0 {
			return codec(data)
		}
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return v, err
		}
		plain, err := io.ReadAll(io.LimitReader(r, limit+1))
		switch {
		case err != nil:
			return v, err
		case int64(len(plain)) > limit:
			return v, fmt.Errorf("more than %d bytes when decompressed", limit)
		}
		return codec(plain)
	}
}
