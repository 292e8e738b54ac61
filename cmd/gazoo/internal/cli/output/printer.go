// Package output writes what commands print on stdout: lines, tables and JSON.
//
// On a terminal tables are aligned and have a heading; otherwise they are bare lines with tabs
// between the fields, which no znode path can contain. JSON is one object per line.
package output

import (
	"bufio"
	"encoding/json"
	"io"
	"strings"
	"text/tabwriter"
)

// Printer writes one command's data. Nothing is certain to be out, and no error known, before
// Flush.
type Printer struct {
	w        *bufio.Writer
	json     bool
	terminal bool
	err      error // the first one
}

// New returns a Printer for JSON or text, on a terminal or not.
func New(w io.Writer, json, terminal bool) *Printer {
	return &Printer{w: bufio.NewWriter(w), json: json, terminal: terminal}
}

// JSON reports whether JSON is wanted.
func (p *Printer) JSON() bool { return p.json }

// Terminal reports whether a person reads along.
func (p *Printer) Terminal() bool { return p.terminal }

// Show writes v when JSON is wanted and otherwise what text writes, and flushes.
func (p *Printer) Show(v any, text func()) error {
	if p.json {
		p.Object(v)
	} else {
		text()
	}
	return p.Flush()
}

// Object writes v as JSON on a line of its own.
func (p *Printer) Object(v any) {
	enc := json.NewEncoder(p.w)
	enc.SetEscapeHTML(false)
	p.note(enc.Encode(v))
}

// Line writes fields separated by tabs.
func (p *Printer) Line(fields ...string) { p.Bytes([]byte(strings.Join(fields, "\t") + "\n")) }

// Bytes writes data as it is.
func (p *Printer) Bytes(b []byte) {
	_, err := p.w.Write(b)
	p.note(err)
}

// Table writes rows, on a terminal in columns below a heading (unless that is nil).
func (p *Printer) Table(heading []string, rows [][]string) {
	if !p.terminal {
		for _, row := range rows {
			p.Line(row...)
		}
		return
	}
	tw := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	if heading != nil {
		rows = append([][]string{heading}, rows...)
	}
	for _, row := range rows {
		_, err := io.WriteString(tw, strings.Join(row, "\t")+"\n")
		p.note(err)
	}
	p.note(tw.Flush())
}

// Flush hands everything written to the stream and returns the first error there was.
func (p *Printer) Flush() error {
	p.note(p.w.Flush())
	return p.err
}

func (p *Printer) note(err error) {
	if p.err == nil {
		p.err = err
	}
}
