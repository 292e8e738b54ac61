package output

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// Value is a znode's data in JSON: "data" is null or a string; data that is not UTF-8 comes as
// "data_base64" instead.
type Value struct {
	Data   json.RawMessage `json:"data,omitempty"`
	Base64 []byte          `json:"data_base64,omitempty"`
}

// ValueOf returns the JSON form of data. Nil is null, which is not the same as empty.
func ValueOf(data []byte) Value {
	switch {
	case data == nil:
		return Value{Data: json.RawMessage("null")}
	case utf8.Valid(data):
		return Value{Data: json.RawMessage(quote(string(data)))}
	}
	return Value{Base64: data}
}

// Inline returns data as one field of a line: null, a JSON string, or base64: and the rest.
func Inline(data []byte) string {
	v := ValueOf(data)
	if v.Data != nil {
		return string(v.Data)
	}
	text, _ := json.Marshal(v.Base64)
	return "base64:" + strings.Trim(string(text), `"`)
}

func quote(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.Encode(s) // a string in memory cannot fail
	return strings.TrimSuffix(b.String(), "\n")
}
