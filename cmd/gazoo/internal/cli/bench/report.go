package bench

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gazoo-zk/gazoo/cmd/gazoo/internal/cli/exit"
	"github.com/gazoo-zk/gazoo/internal/histogram"
)

type result struct {
	Seconds     float64        `json:"seconds"`
	Connections int            `json:"connections"`
	InFlight    int            `json:"in_flight"`
	Size        int            `json:"size"`
	Operations  []figures      `json:"operations"`
	Total       figures        `json:"total"`
	Failures    map[string]int `json:"failures,omitempty"`
}

// figures are those of one kind of operation, or of all. Latencies are in microseconds.
type figures struct {
	Op        string  `json:"op"`
	PerSecond float64 `json:"per_second"`
	Count     uint64  `json:"count"`
	Failed    int64   `json:"failed"`
	P50       float64 `json:"p50_us"`
	P90       float64 `json:"p90_us"`
	P99       float64 `json:"p99_us"`
	P999      float64 `json:"p999_us"`
	Max       float64 `json:"max_us"`
	Histogram []bar   `json:"histogram,omitempty"`
}

// bar is a row of a histogram: a power of two.
type bar struct {
	UpTo  float64 `json:"up_to_us"`
	Count uint64  `json:"count"`
}

func us(d time.Duration) float64 { return math.Round(float64(d.Nanoseconds())/100) / 10 }

func (o *options) figures(name string, s histogram.Snapshot, failed int64, took time.Duration) figures {
	f := figures{
		Op: name, Count: s.Count(), Failed: failed, PerSecond: math.Round(float64(s.Count())/took.Seconds()*10) / 10,
		P50: us(s.Quantile(0.5)), P90: us(s.Quantile(0.9)), P99: us(s.Quantile(0.99)), P999: us(s.Quantile(0.999)),
		Max: us(s.Max()),
	}
	if o.histogram {
		for b := range s.Doublings() {
			f.Histogram = append(f.Histogram, bar{us(b.High), b.Count})
		}
	}
	return f
}

func (o *options) report(c counts, failures map[string]int, took time.Duration) error {
	r := result{
		Seconds: math.Round(took.Seconds()*1000) / 1000, Connections: o.connections, InFlight: o.inFlight, Size: o.size,
		Operations: []figures{}, Failures: failures,
	}
	var all histogram.Snapshot
	var failed int64
	for k := range kinds {
		if c.took[k].Count() == 0 && c.failed[k] == 0 {
			continue
		}
		r.Operations = append(r.Operations, o.figures(kind(k).String(), c.took[k], c.failed[k], took))
		all = all.Plus(c.took[k])
		failed += c.failed[k]
	}
	r.Total = o.figures("total", all, failed, took)
	p := o.env.Printer()
	return p.Show(r, func() {
		rows := make([][]string, 0, len(r.Operations)+1)
		for _, f := range append(r.Operations, r.Total) {
			rows = append(rows, f.row())
		}
		p.Table([]string{"OPERATION", "OPS/S", "COUNT", "FAILED", "P50 US", "P90 US", "P99 US", "P99.9 US", "MAX US"}, rows)
		if !o.histogram {
			return
		}
		rows = nil
		for _, f := range r.Operations {
			rows = append(rows, f.bars(p.Terminal())...)
		}
		if p.Terminal() {
			p.Line("")
		}
		p.Table([]string{"OPERATION", "UP TO US", "COUNT", "PERCENT"}, rows)
	})
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

func (f figures) row() []string {
	return []string{
		f.Op, number(f.PerSecond), fmt.Sprint(f.Count), fmt.Sprint(f.Failed),
		number(f.P50), number(f.P90), number(f.P99), number(f.P999), number(f.Max),
	}
}

// bars returns the rows of the histogram, on a terminal with bars.
func (f figures) bars(draw bool) [][]string {
	const width = 40
	var rows [][]string
	var so, most uint64
	for _, b := range f.Histogram {
		most = max(most, b.Count)
	}
	for _, b := range f.Histogram {
		so += b.Count
		row := []string{f.Op, number(b.UpTo), fmt.Sprint(b.Count), number(100 * float64(so) / float64(f.Count))}
		if draw {
			row = append(row, strings.Repeat("#", int(math.Ceil(width*float64(b.Count)/float64(most)))))
		}
		rows = append(rows, row)
	}
	return rows
}

// explain tells of failures, and returns an error when there were any.
func (o *options) explain(all *tally) error {
	if all.first == nil {
		return nil
	}
	sum := 0
	for _, reason := range slices.SortedFunc(maps.Keys(all.failures), func(a, b string) int {
		return all.failures[b] - all.failures[a]
	}) {
		o.env.Say("%d failed: %s", all.failures[reason], exit.OneLine(reason))
		sum += all.failures[reason]
	}
	return exit.Explain(all.first, "%d operations failed, the first with %s", sum, exit.Message(all.first))
}
