package zkserver

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// printJSON writes fields as Apache's admin server does: in their order, indented by objects, with
// arrays on one line.
func printJSON(fields []field) []byte {
	var b strings.Builder
	printObject(&b, fields, "")
	return []byte(b.String())
}

func printObject(b *strings.Builder, fields []field, indent string) {
	if len(fields) == 0 {
		b.WriteString("{ }")
		return
	}
	b.WriteString("{\n")
	for i, f := range fields {
		if i > 0 {
			b.WriteString(",\n")
		}
		b.WriteString(indent + "  " + quote(f.key) + " : ")
		printValue(b, f.value, indent+"  ")
	}
	b.WriteString("\n" + indent + "}")
}

func printArray[T any](b *strings.Builder, list []T, indent string) {
	if len(list) == 0 {
		b.WriteString("[ ]")
		return
	}
	for i, v := range list {
		b.WriteString([]string{"[ ", ", "}[min(i, 1)])
		printValue(b, v, indent)
	}
	b.WriteString(" ]")
}

func printValue(b *strings.Builder, v any, indent string) {
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case []field:
		printObject(b, v, indent)
	case [][]field:
		printArray(b, v, indent)
	case []string:
		printArray(b, v, indent)
	case []int64:
		printArray(b, v, indent)
	case string:
		b.WriteString(quote(v))
	case decimal:
		b.WriteString(string(v))
	case bool:
		b.WriteString(strconv.FormatBool(v))
	default:
		fmt.Fprint(b, v) // integers
	}
}

// quote returns a JSON string. Bytes that are no UTF-8 become replacement characters.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""` // never: strings can be marshalled
	}
	return string(b)
}
