package exit

import (
	"errors"
	"strings"

	"github.com/gazoo-zk/gazoo"
)

// Message returns an error as one line for people: what was attempted, on which znode, what went
// wrong and, for a write without an answer, that it may have been applied. Which server said so
// is left out: it is noise when a znode is missing.
func Message(err error) string {
	op, ok := errors.AsType[*gazoo.OpError](err)
	if !ok || as[*explained](err) || as[*ConnectError](err) {
		return OneLine(err.Error())
	}
	var b strings.Builder
	b.WriteString(op.Op)
	if op.Path != "" {
		b.WriteString(" " + op.Path)
	}
	b.WriteString(": " + OneLine(op.Err.Error()))
	if gazoo.MaybeApplied(err) {
		b.WriteString("; it may have been applied")
	}
	return b.String()
}

// OneLine joins the lines of a text, such as those of joined errors, with semicolons.
func OneLine(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "; ")
}
