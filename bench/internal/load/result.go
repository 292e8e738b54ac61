package load

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
)

// Result is what a program reports of a load, in every language. Figures that a program cannot tell are left out.
type Result struct {
	Client     string `json:"client"`
	Version    string `json:"version,omitempty"` // of the library
	Runtime    string `json:"runtime,omitempty"` // of the language
	Op         string `json:"op"`
	Mode       string `json:"mode"`
	Size       int    `json:"size"`
	Names      int    `json:"names"`
	InFlight   int    `json:"inflight"`
	Goroutines int    `json:"goroutines"`
	Conns      int    `json:"conns"`

	Seconds float64 `json:"seconds"` // measured; of episodes, the part that counts
	Ops     int64   `json:"ops"`     // within that time
	Total   int64   `json:"total"`   // from the first to the last, warm-up included
	Rate    float64 `json:"ops_per_second"`

	P50  *float64 `json:"p50_us,omitempty"` // microseconds
	P99  *float64 `json:"p99_us,omitempty"`
	P999 *float64 `json:"p999_us,omitempty"`

	CPU        *float64 `json:"cpu_us_per_op,omitempty"` // microseconds of the process, user and system
	Allocs     *float64 `json:"allocs_per_op,omitempty"`
	AllocBytes *float64 `json:"alloc_bytes_per_op,omitempty"`
	// Calls are the read and write system calls that Linux counts for a process; send and recv are not among them.
	Calls   *float64 `json:"io_calls_per_op,omitempty"`
	PeakRSS *int64   `json:"peak_rss_bytes,omitempty"`

	// Extra are figures that only some loads have: see the loads' descriptions.
	Extra map[string]float64 `json:"extra,omitempty"`
}

// Write prints the result for people or as a line of JSON.
func (r *Result) Write(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	fmt.Fprintf(w, "%s %s %s: %.0f ops/s (%d in %.2f s)", r.Client, r.Op, r.Mode, r.Rate, r.Ops, r.Seconds)
	for _, f := range []struct {
		name string
		v    *float64
	}{
		{"p50 us", r.P50},
		{"p99 us", r.P99},
		{"p99.9 us", r.P999},
		{"cpu us/op", r.CPU},
		{"allocs/op", r.Allocs},
		{"B/op", r.AllocBytes},
		{"io calls/op", r.Calls},
	} {
		if f.v != nil {
			fmt.Fprintf(w, ", %s %.3g", f.name, *f.v)
		}
	}
	if r.PeakRSS != nil {
		fmt.Fprintf(w, ", peak RSS %.1f MiB", float64(*r.PeakRSS)/(1<<20))
	}
	for _, key := range slices.Sorted(maps.Keys(r.Extra)) {
		fmt.Fprintf(w, ", %s %.4g", key, r.Extra[key])
	}
	_, err := fmt.Fprintln(w)
	return err
}
