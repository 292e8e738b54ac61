package compare

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
)

// Report is a run of the command compare.
type Report struct {
	Command []string   `json:"command"`
	Date    string     `json:"date"`
	Machine string     `json:"machine"`
	Go      string     `json:"go"`
	Rounds  int        `json:"rounds"`
	Seconds float64    `json:"seconds"` // of each turn
	Loads   []*Outcome `json:"loads"`
}

// Save writes the report to a file.
func (r *Report) Save(file string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o666)
}

// Machine describes this machine in a line.
func Machine() string {
	cpu := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, model, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				cpu = strings.TrimSpace(model)
				break
			}
		}
	}
	kernel := runtime.GOOS
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel += " " + strings.TrimSpace(string(text))
	}
	return fmt.Sprintf("%s, %d processors, %s/%s", cpu, runtime.NumCPU(), kernel, runtime.GOARCH)
}

// columns are the figures that are shown, in order.
var columns = []struct {
	metric, heading string
	format          func(float64) string
}{
	{Rate, "ops/s", short},
	{"p50", "p50 µs", short},
	{P99, "p99 µs", short},
	{"p99.9", "p99.9 µs", short},
	{CPU, "CPU µs/op", short},
	{Allocs, "allocs/op", short},
	{"calls", "I/O calls/op", short},
	{"rss", "peak MiB", func(v float64) string { return short(v / (1 << 20)) }},
	{"server_cpu_us", "server CPU µs/op", short},
	{"server_mib", "server MiB", short},
	{"session_kib", "server KiB/session", short},
	{"znode_bytes", "server B/znode", short},
	{"recovery_ms", "start ms", short},
	{"snapshot_ms", "snapshot ms", short},
	{"snapshot_mib", "snapshot MiB", short},
	{"snapshot_pause_ms", "pause ms", short},
	{"snapshot_peak_mib", "server MiB with a snapshot", short},
	{"connected_ms", "reconnect ms", short},
	{"registered_ms", "watches ms", short},
}

// short writes a number with three digits that matter.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.2fM", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.1fk", v/1e3)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// table returns the figures of a load: a heading, and a row per subject. Columns that nobody has a figure for are
// left out. Ratios are of the rates.
func (o *Outcome) table() [][]string {
	base, hasBase := o.figure(Gozk, Rate)
	limit, hasLimit := o.figure(Raw, Rate)
	heading := []string{""}
	for _, c := range columns {
		if o.has(c.metric) {
			heading = append(heading, c.heading)
		}
	}
	if hasBase {
		heading = append(heading, "× gozk")
	}
	if hasLimit {
		heading = append(heading, "× raw")
	}
	rows := [][]string{heading}
	for _, s := range o.Subjects {
		row := []string{s.Name}
		for _, c := range columns {
			if !o.has(c.metric) {
				continue
			}
			f, ok := s.Figures[c.metric]
			cell := "–"
			if ok {
				cell = c.format(f.Median)
				if f.Min != f.Max {
					cell += " [" + c.format(f.Min) + "–" + c.format(f.Max) + "]"
				}
			}
			row = append(row, cell)
		}
		rate := s.Figures[Rate].Median
		if hasBase {
			row = append(row, short(rate/base.Median))
		}
		if hasLimit {
			row = append(row, short(rate/limit.Median))
		}
		rows = append(rows, row)
	}
	return rows
}

func (o *Outcome) has(metric string) bool {
	return slices.ContainsFunc(o.Subjects, func(s Shown) bool { _, ok := s.Figures[metric]; return ok })
}

// Print writes the outcome for people.
func (o *Outcome) Print(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range o.table() {
		fmt.Fprintln(tw, "  "+strings.Join(row, "\t"))
	}
	tw.Flush()
	for _, c := range o.Checks {
		fmt.Fprintln(w, "  "+c.String())
	}
}

// Markdown writes the report as tables.
func (r *Report) Markdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s, %s. `%s`: medians [minimum–maximum] of %d rounds of %g s.\n",
		r.Date, r.Machine, r.Go, strings.Join(r.Command, " "), r.Rounds, r.Seconds)
	for _, o := range r.Loads {
		fmt.Fprintf(&b, "\n### %s\n\n", o.Title)
		for i, row := range o.table() {
			fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
			if i == 0 {
				b.WriteString("| --- |" + strings.Repeat(" ---: |", len(row)-1) + "\n")
			}
		}
		if len(o.Skipped) > 0 {
			fmt.Fprintf(&b, "\nNot measured: %s.\n", strings.Join(o.Skipped, "; "))
		}
		if len(o.Checks) > 0 {
			b.WriteString("\n")
		}
		for _, c := range o.Checks {
			fmt.Fprintf(&b, "- %s\n", c)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
